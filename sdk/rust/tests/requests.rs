//! Questions that the gateway answers, and what other backends say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use bytes::Bytes;
use serde_json::json;
use std::time::Duration;
use support::*;
use tidegate_backend::{AckError, ArgsRef, Backend, Binary, Namespace, SendError, ServerResponses};
use tidegate_core::backend::wire::{
    EmitFlags, FetchedSocket, FromBackend, Jsons, Packet, Selector, Sockets, Texts, ToBackend,
};

async fn serving(describe: impl FnOnce(&mut Namespace)) -> (Gateway, Peer, Backend) {
    let gateway = Gateway::new();
    let builder = Backend::builder(gateway.path()).namespace("/", describe);
    let (peer, backend) = tokio::join!(gateway.welcome(), soon(builder.connect()));
    (gateway, peer, backend.unwrap())
}

fn all(rooms: &'static [&'static str]) -> Selector<'static> {
    Selector { namespace: "/", rooms: Texts::from(rooms), except: Texts::EMPTY }
}

fn fetched<'a>(n: u32, rooms: &'a [String], data: Option<&'a str>) -> FetchedSocket<'a> {
    FetchedSocket { socket: socket(n), id: id(n), rooms: Texts::from(rooms), data, handshake: HANDSHAKE }
}

#[tokio::test]
async fn sockets_are_fetched_in_several_parts_and_can_be_acted_upon() {
    let (_gateway, mut peer, backend) = serving(|_| ()).await;
    let found = backend.io("/").to("r").fetch_sockets();
    let frame = peer.hear().await.unwrap();
    let FromBackend::Fetch { request, selector } = decoded(&frame) else { panic!() };
    assert_eq!(selector, all(&["r"]));
    let rooms = [id_text(1), "r".to_owned()];
    for (n, last) in [(1, false), (2, true)] {
        let part = [fetched(n, &rooms, (n == 1).then_some(r#"{"n":1}"#))];
        // Answers to what nobody asked are ignored.
        let sockets = Sockets::from(&part[..]);
        peer.say(&ToBackend::Fetched { request: request + 7, last, sockets });
        peer.say(&ToBackend::Fetched { request, last, sockets });
    }
    peer.say(&ToBackend::Answered { request, timed_out: false }).tick().await;
    let found = soon(found).await.unwrap();
    assert_eq!(found.iter().map(|socket| socket.id()).collect::<Vec<_>>(), [id_text(1), id_text(2)]);
    assert_eq!(found[0].rooms(), rooms);
    assert_eq!(found[0].data::<serde_json::Value>().unwrap(), Some(json!({"n": 1})));
    assert_eq!(found[1].data::<serde_json::Value>().unwrap(), None);
    assert_eq!((found[0].auth_json(), found[0].handshake().header("host")), (r#"{"token":"t"}"#, Some("x")));
    found[0].emit("hi", (1,)).unwrap();
    found[0].join("a").unwrap();
    found[0].leave("b").unwrap();
    found[1].disconnect().unwrap();
    let packet = event(r#""hi""#, "1");
    let flags = EmitFlags::default();
    peer.expect(FromBackend::Emit { socket: socket(1), flags, ack: 0, timeout_ms: 0, packet }).await;
    peer.expect(FromBackend::Join { socket: socket(1), rooms: Texts::from(&["a"][..]) }).await;
    peer.expect(FromBackend::Leave { socket: socket(1), rooms: Texts::from(&["b"][..]) }).await;
    peer.expect(FromBackend::Disconnect(socket(2))).await;
}

#[tokio::test]
async fn a_socket_asks_the_gateway_for_its_rooms() {
    let (_gateway, mut peer, _backend) = serving(|ns| {
        ns.on("rooms", |socket, event| async move { event.ack((socket.rooms().await.unwrap(),)).unwrap() });
    })
    .await;
    peer.join(1).await;
    peer.event(1, Some(1), r#"["rooms"]"#).tick().await;
    let frame = peer.hear().await.unwrap();
    let FromBackend::Fetch { request, selector } = decoded(&frame) else { panic!() };
    assert_eq!(selector.rooms.iter().collect::<Vec<_>>(), [id_text(1)]);
    let rooms = ["a".to_owned(), "b".to_owned()];
    let found = [fetched(1, &rooms, None)];
    peer.say(&ToBackend::Fetched { request, last: true, sockets: Sockets::from(&found[..]) }).tick().await;
    peer.expect(FromBackend::Ack { socket: socket(1), ack: 1, packet: arguments(r#"["a","b"]"#, &[]) }).await;
}

#[tokio::test]
async fn a_broadcast_collects_the_answers_until_the_gateway_says_it_is_over() {
    let (_gateway, mut peer, backend) = serving(|_| ()).await;
    let answers = backend.io("/").emit_with_ack("?", (), Duration::from_millis(1500));
    let frame = peer.hear().await.unwrap();
    let FromBackend::Broadcast { flags, request, timeout_ms, packet, .. } = decoded(&frame) else { panic!() };
    assert_eq!((flags.ack, timeout_ms, packet), (true, 1500, event(r#""?""#, "")));
    let attachments = [Bytes::from_static(b"x")];
    let binary = ArgsRef::trusted(r#"{"_placeholder":true,"num":0}"#, &attachments);
    with_packet("[1]", |packet| {
        peer.say(&ToBackend::Answer { request, packet });
    });
    peer.say(&ToBackend::Asked { request, clients: 3 });
    peer.say(&ToBackend::Answer { request, packet: Packet::from_arguments(binary) });
    peer.say(&ToBackend::Answered { request, timed_out: true }).tick().await;
    let acks = soon(answers).await.unwrap();
    assert_eq!((acks.asked, acks.timed_out), (3, true));
    assert_eq!(acks.answers[0].json(), "1");
    assert_eq!(acks.answers[1].as_ref(), binary);
}

#[tokio::test]
async fn backends_speak_to_each_other_and_answer() {
    let (_gateway, mut peer, backend) = serving(|ns| {
        ns.on_server_side("sum", |io, event| async move {
            let (a, b): (i32, i32) = event.parse().unwrap();
            assert!(event.wants_ack());
            tokio::task::yield_now().await;
            event.ack(&(a + b)).unwrap();
            io.emit("done", ()).unwrap();
        });
        ns.on_server_side("tell", |io, event| async move {
            event.ack("nobody asked").unwrap();
            io.emit("told", ()).unwrap();
        });
    })
    .await;
    let io = backend.io("/");
    io.server_side_emit("x", ("a", 1)).unwrap();
    let binary = io.server_side_emit("x", Binary::from("x"));
    assert!(matches!(binary, Err(SendError::TooLong { field: "attachments" })));
    let responses = io.server_side_emit_with_ack("y", (), None);
    let (namespace, timeout_ms) = ("/", 0);
    peer.expect(FromBackend::ServerEmit { namespace, request: 0, timeout_ms, json: r#"["x","a",1]"# }).await;
    let frame = peer.hear().await.unwrap();
    let FromBackend::ServerEmit { request, json: r#"["y"]"#, .. } = decoded(&frame) else { panic!() };
    let said = ["1".to_owned(), r#""b""#.to_owned()];
    let server_responses = Jsons::from(&said[..]);
    peer.say(&ToBackend::ServerResponses { request, asked: 3, responses: server_responses });
    peer.say(&ToBackend::Peers(4));
    let server_event = |token, json| ToBackend::ServerEvent { token, namespace, json };
    peer.say(&server_event(9, r#"["sum", 20 ,22]"#)).say(&server_event(0, r#"["unknown"]"#));
    peer.say(&ToBackend::ServerEvent { token: 1, namespace: "/not-ours", json: r#"["sum",1,2]"# });
    peer.say(&server_event(0, r#"["tell"]"#)).tick().await;
    let expected = ServerResponses { asked: 3, responses: said.to_vec() };
    assert_eq!(soon(responses).await.unwrap(), expected);
    assert_eq!(io.backends(), 4);
    let told = |packet| FromBackend::Broadcast {
        flags: EmitFlags::default(),
        selector: all(&[]),
        request: 0,
        timeout_ms: 0,
        packet,
    };
    peer.expect(told(event(r#""told""#, ""))).await;
    peer.expect(FromBackend::ServerAck { token: 9, json: "42" }).await;
    peer.expect(told(event(r#""done""#, ""))).await;
}

#[tokio::test]
async fn questions_that_are_open_when_the_link_is_lost_get_no_answer() {
    let (_gateway, peer, backend) = serving(|_| ()).await;
    let io = backend.io("/");
    let fetched = io.everybody().fetch_sockets();
    let answers = io.emit_with_ack("?", (), None);
    let responses = io.server_side_emit_with_ack("?", (), None);
    drop(peer);
    assert!(matches!(soon(fetched).await, Err(AckError::Gone)));
    assert!(matches!(soon(answers).await, Err(AckError::Gone)));
    assert!(matches!(soon(responses).await, Err(AckError::Gone)));
    assert!(matches!(io.emit("x", ()), Err(SendError::NoLink)));
    let unsent = soon(io.fetch_sockets()).await;
    assert!(matches!(unsent, Err(AckError::NotSent(SendError::NoLink))));
}

#[tokio::test]
async fn a_client_that_was_refused_is_seen_and_the_link_goes_on() {
    let (tell, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let gateway = Gateway::new();
    let builder = Backend::builder(gateway.path()).namespace("/", |_| ()).on_connection_error(move |error| {
        let host = error.request().header("host").map(str::to_owned);
        tell.send((error.code, error.message.to_owned(), host)).unwrap();
    });
    let (mut peer, backend) = tokio::join!(gateway.welcome(), soon(builder.connect()));
    let _backend = backend.unwrap();
    let message = "Bad handshake method";
    peer.say(&ToBackend::ConnectionError { code: 2, message, handshake: HANDSHAKE }).tick().await;
    let expected = (2, message.to_owned(), Some("x".to_owned()));
    assert_eq!(soon(seen.recv()).await.unwrap(), expected);
    peer.join(1).await;
}
