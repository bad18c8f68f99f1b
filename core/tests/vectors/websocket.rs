//! protocol.md 9.3, and 1.4 and 1.9 for WebSocket.

use crate::support::Server;
use crate::support::websocket::{HANDSHAKE, WebSocket, encode, frame, request};
use tidegate_core::shard::routes::Routes;

const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

/// What a session does about raw bytes after the open packet: the frames, and how the session was counted.
fn reaction(bytes: &[u8]) -> (Vec<String>, Vec<&'static str>) {
    let server = Server::with(|options| options.max_payload = 100);
    let client = WebSocket::open(&server);
    client.conn.send(bytes);
    let seen = (client.take(), server.closed());
    server.assert_nothing_leaks();
    seen
}

#[test]
fn w1_to_w9_what_a_frame_does_to_a_session_without_a_namespace() {
    let text = |text: &str| encode(text);
    let nothing = ("", "");
    let cases: &[(&str, Vec<u8>, (&str, &str))] = &[
        ("W1", text("abc"), ("CLOSE 1005", "parse_error")),
        ("W1", text(""), ("CLOSE 1005", "parse_error")),
        ("W2", text("2"), ("CLOSE 1005", "transport_error")),
        ("W2", text("2probe"), ("CLOSE 1005", "transport_error")),
        ("W3", text("0"), nothing),
        // Column T of section 10: Node ignores it.
        ("W3", text("1"), ("CLOSE 1005", "transport_close")),
        ("W3", text("3"), nothing),
        ("W3", text("3probe"), nothing),
        ("W3", text("5"), nothing),
        ("W3", text("6"), nothing),
        ("W4", text("4"), ("CLOSE 1005", "forced_close")),
        ("W4", text("4abc"), ("CLOSE 1005", "forced_close")),
        ("W4", text("<0102>"), ("CLOSE 1005", "forced_close")),
        ("W4", text("<>"), ("CLOSE 1005", "forced_close")),
        ("W4", text("bAQID"), ("CLOSE 1005", "forced_close")),
        ("W5", text(&"6".repeat(101)), ("CLOSE 1009", "transport_error")),
        ("W5", text(&"6".repeat(100)), nothing),
        (
            "W5",
            [frame(0x01, &[b'6'; 60]), frame(0x80, &[b'6'; 41])].concat(),
            ("CLOSE 1009", "transport_error"),
        ),
        ("W6", frame(0x81, b"\xff\xfe"), ("CLOSE 1007", "transport_error")),
        ("W7", b"\x81\x0142".to_vec(), ("CLOSE 1002", "transport_error")),
        ("W7", frame(0xc1, b"6"), ("CLOSE 1002", "transport_error")),
        ("W7", frame(0x83, b"6"), ("CLOSE 1002", "transport_error")),
        ("W7", frame(0x80, b"6"), ("CLOSE 1002", "transport_error")),
        ("W8", frame(0x89, b"hi"), ("PONG hi", "")),
        ("W8", frame(0x8a, b"hi"), nothing),
        ("W9", frame(0x88, &[&4001u16.to_be_bytes()[..], b"x"].concat()), ("CLOSE 4001", "transport_close")),
        ("W9", frame(0x88, b""), ("CLOSE 1005", "transport_close")),
    ];
    for (vector, bytes, (frames, closed)) in cases {
        let expected = |text: &'static str| if text.is_empty() { vec![] } else { vec![text] };
        let (seen, counted) = reaction(bytes);
        assert_eq!(
            (seen, counted),
            (expected(frames).into_iter().map(str::to_owned).collect(), expected(closed)),
            "{vector} {}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn every_frame_is_the_same_wherever_the_network_cuts_it() {
    let server = Server::new();
    let connect = [frame(0x89, b"hi"), encode("40")].concat();
    let bytes = [&connect[..], &encode(r#"420["echo","€"]"#), &frame(0x88, b"")].concat();
    for cut in 1..bytes.len() {
        let client = WebSocket::open(&server);
        // The CONNECT has to be answered before the event is sent.
        let (first, second) = (cut.min(connect.len()), cut.max(connect.len()));
        for segment in [0..first, first..connect.len(), connect.len()..second, second..bytes.len()] {
            client.conn.send(&bytes[segment]);
        }
        assert_eq!(client.take(), ["PONG hi", r#"40{"sid":"~"}"#, r#"430["€"]"#, "CLOSE 1005"], "{cut}");
        assert!(client.conn.is_closed());
    }
    let client = WebSocket::open(&server);
    client.conn.send_bytewise(&bytes);
    assert_eq!(client.take().len(), 4);
    server.assert_nothing_leaks();
}

#[test]
fn w9_after_both_have_said_goodbye_the_connection_ends() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.conn.send(frame(0x88, &4001u16.to_be_bytes()));
    assert_eq!(client.take(), ["CLOSE 4001"]);
    assert!(client.conn.is_closed());
    assert_eq!(server.left(), ["/ transport close"]);
}

#[test]
fn after_our_goodbye_the_connection_ends_with_the_peers_or_after_a_while() {
    let server = Server::new();
    let [answers, silent, talks] = [(); 3].map(|()| WebSocket::open(&server));
    for client in [&answers, &silent, &talks] {
        assert_eq!(client.say("4abc"), ["CLOSE 1005"]);
        assert!(!client.conn.is_closed());
    }
    answers.conn.send(frame(0x88, b""));
    assert!(answers.conn.is_closed());
    assert_eq!(answers.take(), [""; 0], "a close frame is answered once");
    // What a client sends before it has seen the goodbye does no harm, and buys no time.
    server.advance(4_000);
    assert_eq!(talks.say("40"), [""; 0]);
    server.advance(999);
    assert!(!silent.conn.is_closed() && !talks.conn.is_closed());
    server.advance(1);
    assert!(silent.conn.is_closed() && talks.conn.is_closed());
}

#[test]
fn a_protocol_violation_is_answered_and_then_only_the_end_is_read() {
    let server = Server::new();
    let client = WebSocket::open(&server);
    client.conn.send(frame(0xc1, b"6"));
    assert_eq!(client.take(), ["CLOSE 1002"]);
    assert!(client.conn.has_fin() && !client.conn.is_closed());
    client.conn.send(frame(0xff, b"more"));
    client.conn.finish();
    assert!(client.conn.is_closed());
}

#[test]
fn a_lost_connection_is_a_transport_close() {
    for is_reset in [false, true] {
        let server = Server::new();
        let client = WebSocket::joined(&server);
        client.conn.leave(is_reset);
        assert_eq!(server.left(), ["/ transport close"]);
        assert!(client.conn.is_closed());
        server.assert_nothing_leaks();
    }
}

#[test]
fn w10_a_message_may_come_in_fragments_with_control_frames_between() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.conn.send(frame(0x01, br#"420["echo","#));
    client.conn.send(frame(0x89, b"hi"));
    client.conn.send(frame(0x80, br#""x"]"#));
    assert_eq!(client.take(), ["PONG hi", r#"430["x"]"#]);
}

#[test]
fn too_many_fragments_are_refused() {
    let server = Server::with(|options| options.max_fragments = 3);
    let client = WebSocket::joined(&server);
    client.conn.send(frame(0x01, b"6"));
    client.conn.send(frame(0x00, b"6"));
    client.conn.send(frame(0x00, b"6"));
    assert_eq!(client.take(), [""; 0]);
    client.conn.send(frame(0x00, b"6"));
    assert_eq!(client.take(), ["CLOSE 1008"]);
    assert_eq!(server.left(), ["/ transport error"]);
}

#[test]
fn w11_a_client_that_cannot_take_binary_gets_base64() {
    let server = Server::new();
    let client = WebSocket::open_at(&server, &format!("{HANDSHAKE}&b64=1"), 0);
    client.send("40");
    client.take();
    client.send(&format!("451-[\"echo\",{PLACEHOLDER}]"));
    client.send("bAQIDBA==");
    assert_eq!(client.take(), [format!("451-[\"echo\",{PLACEHOLDER}]").as_str(), "bAQIDBA=="]);
}

#[test]
fn w11_so_does_one_whose_bare_binary_messages_are_echoed() {
    let server = Server::build(1, Routes { bare_endpoints: true, ..Routes::default() }, |_| {});
    let client = WebSocket::open_at(&server, "/engine.io/?EIO=4&transport=websocket&b64=1", 0);
    assert_eq!(client.say("<01020304>"), ["bAQIDBA=="]);
    assert_eq!(client.say("bAQIDBA=="), ["bAQIDBA=="]);
    let client = WebSocket::open_at(&server, "/engine.io/?EIO=4&transport=websocket", 0);
    assert_eq!(client.say("bAQIDBA=="), ["<01020304>"]);
    assert_eq!(client.say("4hello"), ["4hello"]);
}

#[test]
fn frames_that_come_with_the_handshake_are_not_lost() {
    let server = Server::new();
    let conn = server.connect();
    conn.send([request(HANDSHAKE).as_bytes(), &encode("40")].concat());
    assert_eq!(conn.response().status, 101);
    let client = WebSocket { conn, sid: String::new() };
    let frames = client.take();
    assert!(frames[0].starts_with("0{") && frames[1] == r#"40{"sid":"~"}"#, "{frames:?}");
}
