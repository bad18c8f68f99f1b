//! What an application does with a socket, and what of it the gateway hears.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use support::*;
use tidegate_backend::{
    AckError, Args, ArgsRef, Backend, Binary, Builder, CloseReason, DisconnectReason, Namespace, Rejection,
    SendError, Socket,
};
use tidegate_core::backend::wire::{EmitFlags, FromBackend, Packet, Selector, Texts, ToBackend};
use tokio::sync::mpsc;

/// A gateway, a backend that serves `/` as described, and the link between them.
async fn serving(describe: impl FnOnce(&mut Namespace)) -> (Gateway, Peer, Backend) {
    let gateway = Gateway::new();
    let builder = Backend::builder(gateway.path()).namespace("/", describe);
    let (peer, backend) = started(&gateway, builder).await;
    (gateway, peer, backend)
}

async fn started(gateway: &Gateway, builder: Builder) -> (Peer, Backend) {
    let (peer, backend) = tokio::join!(gateway.welcome(), soon(builder.connect()));
    (peer, backend.unwrap())
}

/// A backend whose sockets come out of a channel, once they are in.
async fn with_sockets() -> (Gateway, Peer, Backend, mpsc::UnboundedReceiver<Socket>) {
    let (found, sockets) = mpsc::unbounded_channel();
    let (gateway, peer, backend) = serving(|ns| {
        ns.on_connected(move |socket| {
            found.send(socket).unwrap();
            std::future::ready(())
        });
    })
    .await;
    (gateway, peer, backend, sockets)
}

const PLAIN: EmitFlags = EmitFlags { volatile: false, compress: true, local: false, ack: false };

fn emit<'a>(n: u32, packet: Packet<'a>) -> FromBackend<'a> {
    FromBackend::Emit { socket: socket(n), flags: PLAIN, ack: 0, timeout_ms: 0, packet }
}

#[tokio::test]
async fn hello_names_version_and_window_and_serve_names_namespaces() {
    let gateway = Gateway::new();
    let builder = Backend::builder(gateway.path()).process("p").window(1000);
    let builder = builder.namespace("chat", |_| ()).dynamic(|_| false, |_| ());
    let (peer, backend) = started(&gateway, builder).await;
    let FromBackend::Hello(hello) = decoded(&peer.greeting[0]) else { panic!("HELLO comes first") };
    assert_eq!((hello.version_min, hello.version_max, hello.window, hello.process), (1, 1, 1000, "p"));
    let namespaces = ["/chat"];
    let serve = FromBackend::Serve { dynamic: true, namespaces: Texts::from(&namespaces[..]) };
    assert_eq!(decoded(&peer.greeting[1]), serve);
    assert_eq!(backend.options().ping_interval, 25_000);
}

#[tokio::test]
async fn a_client_is_let_in_kept_out_or_sent_elsewhere() {
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.on_connect(|socket| async move {
            match socket.id().ends_with('1') {
                true => Ok(()),
                false => Err(Rejection::new("no").data(&json!({"code": 42})).unwrap()),
            }
        });
        ns.on_connected(|socket| async move { socket.emit("hi", (socket.id(),)).unwrap() });
    })
    .await;
    peer.say(&connect(1, "/")).say(&connect(2, "/")).say(&connect(3, "/other")).tick().await;
    peer.expect(FromBackend::Accept(socket(1))).await;
    peer.expect(emit(1, event(r#""hi""#, &format!("\"{}\"", id_text(1))))).await;
    let (socket_2, data) = (socket(2), Some(r#"{"code":42}"#));
    peer.expect(FromBackend::Reject { socket: socket_2, message: "no", data }).await;
    peer.expect(FromBackend::Decline(socket(3))).await;
}

#[tokio::test]
async fn a_pattern_decides_about_namespaces_nobody_serves_by_name() {
    let gateway = Gateway::new();
    let builder = Backend::builder(gateway.path()).dynamic(
        |name| name.starts_with("/dyn-"),
        |ns| {
            ns.on_sync("nsp", |socket, event| event.ack((socket.namespace(),)).unwrap());
        },
    );
    let (mut peer, _backend) = started(&gateway, builder).await;
    peer.say(&connect(1, "/dyn-1")).say(&connect(2, "/x")).event(1, Some(5), r#"["nsp"]"#).tick().await;
    peer.expect(FromBackend::Accept(socket(1))).await;
    peer.expect(FromBackend::Decline(socket(2))).await;
    peer.expect(FromBackend::Ack { socket: socket(1), ack: 5, packet: arguments(r#""/dyn-1""#, &[]) }).await;
}

#[tokio::test]
async fn a_socket_knows_its_handshake_its_transport_and_its_client() {
    let (_gateway, mut peer, _backend, mut sockets) = with_sockets().await;
    peer.join(1).await;
    let socket = soon(sockets.recv()).await.unwrap();
    assert_eq!(socket.id(), id_text(1));
    assert_eq!((socket.namespace(), socket.revision(), socket.recovered()), ("/", 4, false));
    assert_eq!(socket.handshake().header("host"), Some("x"));
    assert_eq!(socket.auth::<serde_json::Value>().unwrap(), json!({"token": "t"}));
    assert_eq!((socket.transport(), socket.is_connected()), ("polling", true));
    peer.say(&ToBackend::Transport { session: session(1), transport: "websocket" }).tick().await;
    peer.join(2).await;
    assert_eq!(socket.transport(), "websocket");
}

#[tokio::test]
async fn a_synchronous_handler_answers_with_what_it_got_in_one_write_a_batch() {
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.on_sync("echo", |_, event| event.ack(event.args()).unwrap());
    })
    .await;
    peer.join(1).await;
    let attachments = [Bytes::from_static(b"\xff")];
    let args = ArgsRef::trusted(r#"{"_placeholder":true,"num":0}"#, &attachments);
    let binary = Packet::from_event(r#""echo""#, args);
    peer.say(&ToBackend::Event { socket: socket(1), ack: Some(1), redelivered: false, packet: binary });
    peer.event(1, Some(2), r#"["echo",{"a":1.0}]"#).event(1, None, r#"["echo"]"#).event(
        1,
        Some(3),
        r#"["echo"]"#,
    );
    peer.tick().await;
    assert!(peer.read().await, "everything comes at once");
    for (ack, packet) in
        [(1, Packet::from_arguments(args)), (2, arguments(r#"{"a":1.0}"#, &[])), (3, arguments("", &[]))]
    {
        peer.expect(FromBackend::Ack { socket: socket(1), ack, packet }).await;
    }
}

#[tokio::test]
async fn handlers_of_one_socket_are_called_one_after_the_other_and_others_do_not_wait() {
    let (release, released) = tokio::sync::watch::channel(false);
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.on("slow", move |_, event| {
            let mut released = released.clone();
            async move {
                released.wait_for(|released| *released).await.unwrap();
                event.ack(1).unwrap();
            }
        });
        ns.on("quick", |_, event| async move { event.ack(2).unwrap() });
        ns.on_sync("at-once", |_, event| event.ack(3).unwrap());
    })
    .await;
    peer.join(1).await;
    peer.join(2).await;
    peer.event(1, Some(1), r#"["slow"]"#).event(1, Some(2), r#"["quick"]"#).event(
        1,
        Some(3),
        r#"["at-once"]"#,
    );
    peer.event(2, Some(4), r#"["quick"]"#).tick().await;
    let ack = |n, ack, text| FromBackend::Ack { socket: socket(n), ack, packet: arguments(text, &[]) };
    peer.expect(ack(2, 4, "2")).await;
    release.send(true).unwrap();
    for (number, text) in [(1, "1"), (2, "2"), (3, "3")] {
        peer.expect(ack(1, number, text)).await;
    }
    peer.event(1, Some(5), r#"["at-once"]"#).tick().await;
    peer.expect(ack(1, 5, "3")).await;
}

#[tokio::test]
async fn every_event_is_seen_and_those_without_a_handler_fall_back() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (_gateway, mut peer, _backend) = serving(|ns| {
        let seen = Arc::clone(&seen);
        ns.on_any(move |_, event| seen.lock().unwrap().push(event.name().to_owned()));
        ns.on_sync("known", |_, event| event.ack(0).unwrap());
        ns.on_fallback(|_, event| async move {
            let name = event.name().to_owned();
            event.ack(name).unwrap();
        });
    })
    .await;
    peer.join(1).await;
    peer.event(1, Some(1), r#"["known"]"#)
        .event(1, Some(2), r#"["\u0061"]"#)
        .event(1, Some(3), "[7]")
        .tick()
        .await;
    for (ack, text) in [(1, "0"), (2, r#""a""#), (3, r#""7""#)] {
        peer.expect(FromBackend::Ack { socket: socket(1), ack, packet: arguments(text, &[]) }).await;
    }
    assert_eq!(*seen.lock().unwrap(), ["known", "a", "7"]);
}

#[tokio::test]
async fn an_event_is_answered_once_also_when_the_right_to_do_so_moves() {
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.on_sync("a", |_, event| {
            let owned = event.to_owned();
            event.ack(1).unwrap();
            owned.ack(2).unwrap();
            owned.ack(3).unwrap();
        });
        ns.on("b", |_, mut event| async move {
            let ack = event.take_ack().unwrap();
            event.ack(4).unwrap();
            tokio::spawn(async move { ack.send((5, Binary::from("x"))).unwrap() });
        });
    })
    .await;
    peer.join(1).await;
    peer.event(1, Some(1), r#"["a"]"#).event(1, Some(2), r#"["b"]"#).tick().await;
    peer.expect(FromBackend::Ack { socket: socket(1), ack: 1, packet: arguments("2", &[]) }).await;
    let attachments = [Bytes::from("x")];
    let packet = arguments(r#"5,{"_placeholder":true,"num":0}"#, &attachments);
    peer.expect(FromBackend::Ack { socket: socket(1), ack: 2, packet }).await;
}

#[tokio::test]
async fn what_is_sent_to_a_socket_arrives_in_order_with_its_flags() {
    let (_gateway, mut peer, _backend, mut sockets) = with_sockets().await;
    peer.join(1).await;
    let it = soon(sockets.recv()).await.unwrap();
    it.emit("a\"b", (1, "x")).unwrap();
    it.join(["r", "s"]).unwrap();
    it.emit_volatile("v", ()).unwrap();
    it.leave("r").unwrap();
    it.flags().volatile().compress(false).emit("f", Args::new()).unwrap();
    it.set_data(&json!({"n": 1})).unwrap();
    assert!(matches!(it.emit("connect", ()), Err(SendError::Reserved(_))));
    assert!(matches!(it.emit("long", "x".repeat(1 << 16)), Err(SendError::TooLong { field: "frame" })));
    assert!(matches!(it.set_data("x".repeat(1 << 16).as_str()), Err(SendError::TooLong { field: "data" })));
    it.disconnect(false).unwrap();
    assert!(matches!(it.emit("late", ()), Err(SendError::Gone)));

    let key = socket(1);
    let (rooms, room) = (["r", "s"], ["r"]);
    peer.expect(emit(1, event(r#""a\"b""#, r#"1,"x""#))).await;
    peer.expect(FromBackend::Join { socket: key, rooms: Texts::from(&rooms[..]) }).await;
    let flags = EmitFlags { volatile: true, ..PLAIN };
    let packet = event(r#""v""#, "");
    peer.expect(FromBackend::Emit { socket: key, flags, ack: 0, timeout_ms: 0, packet }).await;
    peer.expect(FromBackend::Leave { socket: key, rooms: Texts::from(&room[..]) }).await;
    let flags = EmitFlags { volatile: true, compress: false, ..PLAIN };
    let packet = event(r#""f""#, "");
    peer.expect(FromBackend::Emit { socket: key, flags, ack: 0, timeout_ms: 0, packet }).await;
    peer.expect(FromBackend::Data { socket: key, json: r#"{"n":1}"# }).await;
    peer.expect(FromBackend::Disconnect(key)).await;
    assert_eq!(it.known_rooms(), ["s"]);
    assert_eq!(it.data::<serde_json::Value>().unwrap(), Some(json!({"n": 1})));
}

#[tokio::test]
async fn closing_a_client_disconnects_all_its_sockets_and_then_its_session() {
    let (_gateway, mut peer, _backend, mut sockets) = with_sockets().await;
    for n in [2, 3, 4] {
        peer.join(n).await;
    }
    soon(sockets.recv()).await.unwrap().disconnect(true).unwrap();
    peer.expect(FromBackend::Disconnect(socket(2))).await;
    peer.expect(FromBackend::Disconnect(socket(3))).await;
    peer.expect(FromBackend::Close(session(2))).await;
}

#[tokio::test]
async fn a_socket_that_left_is_told_of_once_and_events_behind_a_disconnect_are_dropped() {
    let (found, mut left) = mpsc::unbounded_channel();
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.on_sync("bye", |socket, _| socket.disconnect(false).unwrap());
        ns.on_sync("echo", |_, event| event.ack(event.args()).unwrap());
        ns.on_disconnect(move |socket, reason| {
            found.send((socket.id().to_owned(), reason, socket.is_connected())).unwrap();
            std::future::ready(())
        });
    })
    .await;
    peer.join(1).await;
    peer.join(2).await;
    peer.event(1, None, r#"["bye"]"#).event(1, Some(1), r#"["echo"]"#).tick().await;
    peer.expect(FromBackend::Disconnect(socket(1))).await;
    let reason = DisconnectReason::ServerNamespace;
    peer.say(&ToBackend::Disconnected { socket: socket(1), reason });
    peer.say(&ToBackend::Disconnected { socket: socket(1), reason });
    let transport = DisconnectReason::Session(CloseReason::PingTimeout);
    peer.event(2, Some(2), r#"["echo"]"#)
        .say(&ToBackend::Disconnected { socket: socket(2), reason: transport });
    peer.tick().await;
    peer.expect(FromBackend::Ack { socket: socket(2), ack: 2, packet: arguments("", &[]) }).await;
    assert_eq!(soon(left.recv()).await.unwrap(), (id_text(1), reason, false));
    assert_eq!(soon(left.recv()).await.unwrap(), (id_text(2), transport, false));
    assert!(left.try_recv().is_err());
}

#[tokio::test]
async fn a_client_answers_or_does_not_or_leaves() {
    let (_gateway, mut peer, _backend, mut sockets) = with_sockets().await;
    peer.join(1).await;
    let it = soon(sockets.recv()).await.unwrap();
    let answered = it.emit_with_ack("a", (1,), Duration::from_secs(60));
    let late = it.emit_with_ack("b", (), Duration::from_millis(1));
    let never = it.flags().volatile().emit_with_ack("c", (), None);
    let mut numbers = Vec::new();
    for (name, timeout) in [("\"a\"", 60_000), ("\"b\"", 1), ("\"c\"", 0)] {
        let frame = peer.hear().await.unwrap();
        let FromBackend::Emit { ack, flags, timeout_ms, packet, .. } = decoded(&frame) else { panic!() };
        let args = if name == "\"a\"" { "1" } else { "" };
        assert_eq!((flags.ack, timeout_ms, packet), (true, timeout, event(name, args)));
        numbers.push(ack);
    }
    assert!(matches!(soon(late).await, Err(AckError::TimedOut)));
    with_packet(r#"["yes",2]"#, |packet| {
        peer.say(&ToBackend::Ack { socket: socket(1), ack: 999, packet });
        peer.say(&ToBackend::Ack { socket: socket(1), ack: numbers[1], packet });
        peer.say(&ToBackend::Ack { socket: socket(1), ack: numbers[0], packet });
    });
    peer.tick().await;
    assert_eq!(soon(answered).await.unwrap().json(), r#""yes",2"#);
    peer.say(&ToBackend::Disconnected { socket: socket(1), reason: DisconnectReason::ClientNamespace });
    peer.tick().await;
    assert!(matches!(soon(never).await, Err(AckError::Gone)));
    let refused = it.emit_with_ack("d", (), None);
    assert!(matches!(soon(refused).await, Err(AckError::NotSent(SendError::Gone))));
}

#[tokio::test]
async fn a_broadcast_is_one_frame_with_a_selector() {
    let (_gateway, mut peer, backend, mut sockets) = with_sockets().await;
    peer.join(1).await;
    let it = soon(sockets.recv()).await.unwrap();
    let io = backend.io("/");
    io.emit("all", ()).unwrap();
    it.to("r").except(["x"]).volatile().compress(false).local().emit("some", (7,)).unwrap();
    io.of("/other").to(&vec!["a", "b"]).sockets_join("c").unwrap();
    io.except("x").sockets_leave(["c", "d"]).unwrap();
    io.in_("r").disconnect_sockets(true).unwrap();

    let selector = |namespace, rooms, except| Selector {
        namespace,
        rooms: Texts::from(rooms),
        except: Texts::from(except),
    };
    let (request, timeout_ms) = (0, 0);
    let everybody = selector("/", &[][..], &[][..]);
    let packet = event(r#""all""#, "");
    peer.expect(FromBackend::Broadcast { flags: PLAIN, selector: everybody, request, timeout_ms, packet })
        .await;
    let flags = EmitFlags { volatile: true, compress: false, local: true, ack: false };
    let own = id_text(1);
    let except = [&*own, "x"];
    let some = selector("/", &["r"][..], &except[..]);
    let packet = event(r#""some""#, "7");
    peer.expect(FromBackend::Broadcast { flags, selector: some, request, timeout_ms, packet }).await;
    let other = selector("/other", &["a", "b"][..], &[][..]);
    peer.expect(FromBackend::SocketsJoin { selector: other, rooms: Texts::from(&["c"][..]) }).await;
    let but = selector("/", &[][..], &["x"][..]);
    peer.expect(FromBackend::SocketsLeave { selector: but, rooms: Texts::from(&["c", "d"][..]) }).await;
    let room = selector("/", &["r"][..], &[][..]);
    peer.expect(FromBackend::DisconnectSockets { selector: room, close: true }).await;
}

#[tokio::test]
async fn a_handler_that_panics_harms_nobody_else() {
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.on_connect(|socket| async move {
            assert!(!socket.id().ends_with('9'), "as a test wants it");
            tokio::task::yield_now().await;
            assert!(!socket.id().ends_with('8'), "as a test wants it");
            Ok(())
        });
        ns.on_sync("now", |_, _| panic!("as a test wants it"));
        ns.on("later", |_, _| async {
            tokio::task::yield_now().await;
            panic!("as a test wants it");
        });
        ns.on_sync("fine", |_, event| event.ack(()).unwrap());
    })
    .await;
    let message = "internal error";
    for n in [9, 8] {
        peer.say(&connect(n, "/")).tick().await;
        peer.expect(FromBackend::Reject { socket: socket(n), message, data: None }).await;
    }
    peer.join(1).await;
    peer.event(1, None, r#"["now"]"#)
        .event(1, None, r#"["later"]"#)
        .event(1, Some(1), r#"["fine"]"#)
        .tick()
        .await;
    peer.expect(FromBackend::Ack { socket: socket(1), ack: 1, packet: arguments("", &[]) }).await;
}

#[tokio::test]
async fn a_socket_that_is_sent_away_before_it_was_let_in_is_rejected() {
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.on_connect(|socket| async move {
            socket.disconnect(false).unwrap();
            Ok(())
        });
        ns.on_connected(|_| async { panic!("it never is") });
    })
    .await;
    peer.say(&connect(1, "/")).tick().await;
    peer.expect(FromBackend::Reject { socket: socket(1), message: "disconnected", data: None }).await;
}
