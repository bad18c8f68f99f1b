//! The life of a link: credit, loss, adoption, draining, and a gateway that talks nonsense.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;
use support::*;
use tidegate_backend::{Backend, Builder, DisconnectReason, Error, Namespace, Release, SendError, Socket};
use tidegate_core::backend::wire::{Adopted, EmitFlags, FromBackend, RefuseCode, Texts, ToBackend};
use tokio::sync::{Semaphore, mpsc};

/// What happened to a socket, as its handlers saw it.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Connected { id: String, recovered: bool },
    Disconnected(DisconnectReason),
    Released(Release),
}

/// Tells a channel what happens to sockets.
fn observe(ns: &mut Namespace) -> mpsc::UnboundedReceiver<Seen> {
    let (tell, seen) = mpsc::unbounded_channel();
    let (connected, disconnected, released) = (tell.clone(), tell.clone(), tell);
    ns.on_connected(move |socket| {
        let told = Seen::Connected { id: socket.id().to_owned(), recovered: socket.recovered() };
        connected.send(told).unwrap();
        std::future::ready(())
    });
    ns.on_disconnect(move |_, reason| {
        disconnected.send(Seen::Disconnected(reason)).unwrap();
        std::future::ready(())
    });
    ns.on_release(move |_, why| {
        released.send(Seen::Released(why)).unwrap();
        std::future::ready(())
    });
    seen
}

async fn started(gateway: &Gateway, builder: Builder, window: u32) -> (Peer, Backend) {
    let (peer, backend) = tokio::join!(gateway.welcome_with(window), soon(builder.connect()));
    (peer, backend.unwrap())
}

async fn serving(describe: impl FnOnce(&mut Namespace)) -> (Gateway, Peer, Backend) {
    let gateway = Gateway::new();
    let builder = Backend::builder(gateway.path()).namespace("/", describe);
    let (peer, backend) = started(&gateway, builder, WINDOW).await;
    (gateway, peer, backend)
}

// ---- credit
// --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn credit_is_given_for_what_was_handled_and_not_for_what_waits() {
    let go = Arc::new(Semaphore::new(0));
    let gateway = Gateway::new();
    let waits = Arc::clone(&go);
    let builder = Backend::builder(gateway.path()).window(64).namespace("/", |ns| {
        ns.on_sync("now", |_, _| ());
        ns.on("later", move |_, _| {
            let waits = Arc::clone(&waits);
            async move { waits.acquire().await.unwrap().forget() }
        });
    });
    let (mut peer, _backend) = started(&gateway, builder, WINDOW).await;
    peer.join(1).await;
    let connect_bytes = frame_bytes(&connect(1, "/"));
    peer.expect_credit(connect_bytes).await;
    let event_bytes = with_packet(r#"["later"]"#, |packet| {
        frame_bytes(&ToBackend::Event { socket: socket(1), ack: None, redelivered: false, packet })
    });
    peer.event(1, None, r#"["later"]"#).event(1, None, r#"["later"]"#).tick().await;
    peer.event(2, None, r#"["later"]"#).tick().await;
    peer.expect_credit(connect_bytes + event_bytes).await;
    assert_eq!(peer.credit, connect_bytes + event_bytes, "an event of nobody needs no handling");
    go.add_permits(1);
    peer.expect_credit(connect_bytes + 2 * event_bytes).await;
    go.add_permits(1);
    peer.expect_credit(connect_bytes + 3 * event_bytes).await;
    assert_eq!(peer.credit, connect_bytes + 3 * event_bytes);
}

fn frame_bytes(frame: &ToBackend<'_>) -> u64 {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes).unwrap();
    bytes.len() as u64
}

#[tokio::test]
async fn a_backend_sends_no_more_than_it_has_credit_for_and_says_when_its_queue_is_full() {
    let gateway = Gateway::new();
    let builder = Backend::builder(gateway.path()).queue_bytes(1000).namespace("/", |_| ());
    let (mut peer, backend) = started(&gateway, builder, 1).await;
    let io = backend.io("/");
    io.emit("first", ()).unwrap();
    peer.hear().await.unwrap();
    let mut queued = 0;
    while io.emit("next", (queued,)).is_ok() {
        queued += 1;
    }
    assert!(matches!(io.emit("next", ()), Err(SendError::Full)));
    peer.say(&ToBackend::Credit(1000)).send().await;
    soon(io.ready()).await.unwrap();
    io.emit("last", ()).unwrap();
    peer.say(&ToBackend::Credit(10_000)).send().await;
    for n in 0..queued {
        let frame = peer.hear().await.unwrap();
        let FromBackend::Broadcast { packet, .. } = decoded(&frame) else { panic!() };
        assert_eq!(packet, event(r#""next""#, &n.to_string()));
    }
    let frame = peer.hear().await.unwrap();
    let FromBackend::Broadcast { packet, .. } = decoded(&frame) else { panic!() };
    assert_eq!(packet, event(r#""last""#, ""));
}

// ---- batches
// -------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_batch_that_comes_in_pieces_is_answered_in_one_write() {
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.on_sync("echo", |_, event| event.ack(event.args()).unwrap());
    })
    .await;
    peer.join(1).await;
    let mut batch = Vec::new();
    for ack in 0..3 {
        with_packet(r#"["echo"]"#, |packet| {
            let event = ToBackend::Event { socket: socket(1), ack: Some(ack), redelivered: false, packet };
            event.encode(&mut batch).unwrap();
        });
    }
    ToBackend::Tick.encode(&mut batch).unwrap();
    for byte in batch {
        peer.say_bytes(&[byte]).send().await;
    }
    for ack in 0..3 {
        peer.expect(FromBackend::Ack { socket: socket(1), ack, packet: arguments("", &[]) }).await;
    }
}

#[tokio::test]
async fn a_batch_whose_end_does_not_come_is_answered_all_the_same() {
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.on_sync("echo", |_, event| event.ack(event.args()).unwrap());
    })
    .await;
    peer.join(1).await;
    peer.event(1, Some(1), r#"["echo"]"#).send().await;
    peer.expect(FromBackend::Ack { socket: socket(1), ack: 1, packet: arguments("", &[]) }).await;
}

// ---- loss and adoption
// ---------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_backend_waits_for_a_gateway_that_is_not_there_yet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("later.sock");
    let connecting = tokio::spawn(Backend::builder(&path).namespace("/", |_| ()).connect());
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    soon(listener.accept()).await.unwrap();
    connecting.abort();
}

#[tokio::test]
async fn after_the_link_is_lost_sockets_are_released_and_come_back_as_recovered() {
    let mut seen = None;
    let (gateway, mut peer, backend) = serving(|ns| {
        ns.on_connect(|socket| async move {
            assert!(!socket.recovered(), "who is in is not asked again");
            Ok(())
        });
        seen = Some(observe(ns));
    })
    .await;
    let mut seen = seen.unwrap();
    peer.join(1).await;
    assert_eq!(soon(seen.recv()).await.unwrap(), Seen::Connected { id: id_text(1), recovered: false });
    drop(peer);
    assert_eq!(soon(seen.recv()).await.unwrap(), Seen::Released(Release::LinkLost));
    let mut peer = gateway.welcome().await;
    let rooms = ["r".to_owned()];
    let adopted = Adopted { rooms: Texts::from(&rooms[..]), data: Some(r#"{"n":1}"#) };
    peer.say(&connect_adopted(1, "/", Some(adopted))).tick().await;
    peer.expect(FromBackend::Accept(socket(1))).await;
    assert_eq!(soon(seen.recv()).await.unwrap(), Seen::Connected { id: id_text(1), recovered: true });
    assert!(backend.is_linked());
}

#[tokio::test]
async fn an_adopted_socket_has_the_rooms_and_the_data_it_had_and_may_be_checked_again() {
    let (tell, mut sockets) = mpsc::unbounded_channel::<Socket>();
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.check_recovered(true).on_connect(move |socket| {
            tell.send(socket).unwrap();
            std::future::ready(Err(tidegate_backend::Rejection::new("not any more")))
        });
    })
    .await;
    let rooms = ["r".to_owned()];
    let adopted = Adopted { rooms: Texts::from(&rooms[..]), data: Some("7") };
    peer.say(&connect_adopted(1, "/", Some(adopted))).tick().await;
    let socket_1 = soon(sockets.recv()).await.unwrap();
    assert_eq!((socket_1.known_rooms(), socket_1.data::<u8>().unwrap()), (vec!["r".to_owned()], Some(7)));
    peer.expect(FromBackend::Reject { socket: socket(1), message: "not any more", data: None }).await;
}

#[tokio::test]
async fn a_socket_of_a_lost_link_cannot_be_sent_anything_over_the_next() {
    let (tell, mut sockets) = mpsc::unbounded_channel::<Socket>();
    let (gateway, mut peer, backend) = serving(|ns| {
        ns.on_connected(move |socket| {
            tell.send(socket).unwrap();
            std::future::ready(())
        });
    })
    .await;
    peer.join(1).await;
    let before = soon(sockets.recv()).await.unwrap();
    drop(peer);
    let mut peer = gateway.welcome().await;
    peer.join(2).await;
    assert!(before.emit("x", ()).is_err());
    assert!(before.join("r").is_err());
    assert!(!before.is_connected());
    backend.io("/").emit("y", ()).unwrap();
    let frame = peer.hear().await.unwrap();
    assert!(matches!(decoded(&frame), FromBackend::Broadcast { .. }));
}

// ---- refusal and nonsense
// ------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_refusal_for_good_ends_a_backend_and_others_do_not() {
    let gateway = Gateway::new();
    let backend = tokio::spawn(Backend::builder(gateway.path()).namespace("/", |_| ()).run());
    gateway.meet().await.refuse(RefuseCode::TooManyLinks).await;
    gateway.welcome().await.refuse(RefuseCode::ShuttingDown).await;
    gateway.meet().await.refuse(RefuseCode::NoCommonVersion).await;
    let error = soon(backend).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Refused { code: 2, ref message } if message == "no"), "{error}");
}

#[tokio::test]
async fn without_reconnecting_the_first_loss_is_the_end() {
    let gateway = Gateway::new();
    let builder = || Backend::builder(gateway.path()).reconnect(false).namespace("/", |_| ());
    let (peer, mut backend) = started(&gateway, builder(), WINDOW).await;
    drop(peer);
    assert!(matches!(soon(backend.closed()).await, Err(Error::Io(_))));
    let nowhere = Backend::builder(gateway.path().with_extension("gone")).reconnect(false);
    assert!(matches!(soon(nowhere.connect()).await, Err(Error::Io(_))));
    let long = builder().namespace(&"x".repeat(2000), |_| ());
    assert!(matches!(soon(long.connect()).await, Err(Error::Namespace(_))));
}

#[tokio::test]
async fn a_gateway_that_makes_no_sense_is_left_and_harms_nothing() {
    let unknown = [1, 0, 0, 0, 0xff];
    let without_type = [0, 0, 0, 0];
    let cut = [2, 0, 0, 0, 0xa1, 1];
    let endless = [0xff; 5];
    let mut not_json = Vec::new();
    with_packet("[nonsense]", |packet| {
        let event = ToBackend::Event { socket: socket(1), ack: None, redelivered: false, packet };
        event.encode(&mut not_json).unwrap();
    });
    let mut no_array = Vec::new();
    ToBackend::ServerEvent { token: 0, namespace: "/", json: "{}" }.encode(&mut no_array).unwrap();
    for nonsense in [&unknown[..], &without_type, &cut, &endless, &not_json, &no_array] {
        let gateway = Gateway::new();
        let builder = Backend::builder(gateway.path()).reconnect(false).namespace("/", |_| ());
        let (mut peer, mut backend) = started(&gateway, builder, WINDOW).await;
        peer.join(1).await;
        peer.say_bytes(nonsense).tick().await;
        peer.expect_end().await;
        let ended = soon(backend.closed()).await;
        assert!(matches!(ended, Err(Error::Protocol(_))), "{ended:?} after {nonsense:?}");
    }
}

#[tokio::test]
async fn what_is_about_sockets_that_are_not_here_is_ignored() {
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.on_sync("echo", |_, event| event.ack(event.args()).unwrap());
    })
    .await;
    peer.event(1, Some(1), r#"["echo"]"#);
    with_packet("[]", |packet| {
        peer.say(&ToBackend::Ack { socket: socket(1), ack: 1, packet });
        peer.say(&ToBackend::Answer { request: 1, packet });
    });
    peer.say(&ToBackend::Disconnected { socket: socket(1), reason: DisconnectReason::ClientNamespace });
    peer.say(&ToBackend::Transport { session: session(1), transport: "carrier pigeon" });
    peer.say(&ToBackend::Asked { request: 1, clients: 1 });
    peer.say(&ToBackend::ConnectionError { code: 0, message: "", handshake: "" });
    peer.tick().await;
    peer.join(1).await;
}

// ---- the end
// -------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_drain_lets_handlers_finish_and_hands_sockets_over_with_their_data() {
    let go = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&go);
    let (_gateway, mut peer, backend) = serving(|ns| {
        ns.on("slow", move |_, event| {
            let waits = Arc::clone(&waits);
            async move {
                waits.acquire().await.unwrap().forget();
                event.ack("done").unwrap();
            }
        });
        ns.on_release(|socket, why| async move {
            assert_eq!(why, Release::Handover);
            socket.set_data("last words").unwrap();
        });
        ns.on_connect(|socket| async move {
            if socket.id().ends_with('3') {
                std::future::pending::<()>().await;
            }
            Ok(())
        });
    })
    .await;
    peer.join(1).await;
    peer.join(2).await;
    peer.say(&connect(3, "/")).tick().await;
    let drained = tokio::spawn(backend.drain(Duration::from_secs(20)));
    peer.expect(FromBackend::Drain).await;
    peer.event(1, Some(1), r#"["slow"]"#).say(&ToBackend::Handover(socket(1)));
    peer.say(&ToBackend::Handover(socket(2))).say(&ToBackend::Handover(socket(3)));
    peer.say(&ToBackend::Handover(socket(4))).tick().await;
    peer.expect(FromBackend::Data { socket: socket(2), json: r#""last words""# }).await;
    // A CONNECT that is still being thought about, and a socket that is not known, are given back at once.
    for n in [2, 3, 4] {
        peer.expect(FromBackend::Released(socket(n))).await;
    }
    go.add_permits(1);
    peer.expect(FromBackend::Ack { socket: socket(1), ack: 1, packet: arguments(r#""done""#, &[]) }).await;
    peer.expect(FromBackend::Data { socket: socket(1), json: r#""last words""# }).await;
    peer.expect(FromBackend::Released(socket(1))).await;
    peer.say(&ToBackend::Drained).tick().await;
    peer.expect_end().await;
    assert!(soon(drained).await.unwrap().unwrap());
}

#[tokio::test]
async fn a_drain_that_takes_too_long_closes_the_link() {
    let mut seen = None;
    let (_gateway, mut peer, backend) = serving(|ns| seen = Some(observe(ns))).await;
    peer.join(1).await;
    let drained = soon(backend.drain(Duration::from_millis(1))).await.unwrap();
    assert!(!drained);
    let mut seen = seen.unwrap();
    soon(seen.recv()).await.unwrap();
    assert_eq!(soon(seen.recv()).await.unwrap(), Seen::Released(Release::LinkLost));
}

#[tokio::test]
async fn closing_sends_what_is_queued_first() {
    let (_gateway, mut peer, backend) = serving(|_| ()).await;
    backend.io("/").emit("last", ()).unwrap();
    soon(backend.close()).await.unwrap();
    let frame = peer.hear().await.unwrap();
    let FromBackend::Broadcast { flags, packet, .. } = decoded(&frame) else { panic!() };
    assert_eq!((flags, packet), (EmitFlags::default(), event(r#""last""#, "")));
    peer.expect_end().await;
}

#[tokio::test]
async fn a_backend_that_is_dropped_closes_its_link_and_one_without_a_link_ends_at_once() {
    let (gateway, mut peer, backend) = serving(|_| ()).await;
    drop(backend);
    peer.expect_end().await;
    let (peer, backend) = started(&gateway, Backend::builder(gateway.path()), WINDOW).await;
    let path = gateway.path();
    drop((peer, gateway));
    let backend = soon(backend.close()).await;
    assert!(backend.is_ok());
    assert!(!path.exists());
}
