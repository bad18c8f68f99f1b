//! protocol.md 9.4, U5 to U13, and 1.11.

use crate::support::Server;
use crate::support::http::{get, post};
use crate::support::polling::{Polling, packets};
use crate::support::websocket::{HANDSHAKE, WebSocket, encode, frame, request};
use tidegate_core::shard::app::{Flags, SocketKey};
use tidegate_core::socket_io::{Args, ArgsRef};

const REQUEST: &str = r#"400 {"code":3,"message":"Bad request"}"#;
const NOTHING: [&str; 0] = [];

/// A session on polling, and a WebSocket that has probed.
fn probed(server: &Server) -> (Polling, WebSocket) {
    let client = Polling::open(server);
    let websocket = WebSocket::upgrade(server, &client.sid, 0);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
    (client, websocket)
}

/// The same, in `/`.
fn joined(server: &Server) -> (Polling, WebSocket, SocketKey) {
    let client = Polling::joined(server);
    let websocket = WebSocket::upgrade(server, &client.sid, 0);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
    let (socket, _) = server.told().connected[0];
    (client, websocket, socket)
}

fn emit(server: &Server, socket: SocketKey, event: &'static str) {
    server.run(0, move |io| io.emit(socket, event, ArgsRef::default()));
}

#[test]
fn u5_a_waiting_poll_is_answered_with_a_noop_after_the_probe() {
    let server = Server::new();
    let client = Polling::open(&server);
    let poll = client.get();
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
    server.advance(99);
    assert!(poll.is_silent());
    server.advance(1);
    assert_eq!(packets(&poll), ["6"]);
    // And again, for a client that polls again before it upgrades.
    let poll = client.get();
    server.advance(100);
    assert_eq!(packets(&poll), ["6"]);
}

#[test]
fn u5_a_second_probe_is_answered_and_starts_the_wait_again() {
    let server = Server::new();
    let client = Polling::open(&server);
    let poll = client.get();
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    websocket.say("2probe");
    server.advance(60);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
    server.advance(99);
    assert!(poll.is_silent());
    server.advance(1);
    assert_eq!(packets(&poll), ["6"]);
}

#[test]
fn u6_after_the_upgrade_the_session_lives_on_the_websocket_alone() {
    let server = Server::new();
    let (client, websocket) = probed(&server);
    websocket.send("5");
    assert_eq!(websocket.say("40"), [r#"40{"sid":"~"}"#]);
    assert_eq!(server.request(get(&client.target)).summary(), REQUEST);
    assert_eq!(server.request(post(&client.target, "40")).summary(), REQUEST);
    assert_eq!(websocket.say(r#"420["echo"]"#), ["430[]"]);
    let another = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(another.take(), ["CLOSE 1005"]);
    assert_eq!(websocket.say(r#"421["echo"]"#), ["431[]"]);
    assert_eq!((server.stats().sessions_polling, server.stats().sessions_websocket), (0, 1));
    assert_eq!(server.stats().sessions_upgraded, 1);
    server.assert_nothing_leaks();
}

#[test]
fn u6_a_poll_that_still_waits_gets_the_end_of_polling() {
    let server = Server::new();
    let (client, websocket) = probed(&server);
    let poll = client.get();
    websocket.send("5");
    assert_eq!(packets(&poll), ["1"]);
    assert_eq!(websocket.say("40"), [r#"40{"sid":"~"}"#]);
    assert_eq!(server.closed(), NOTHING);
}

#[test]
fn u7_an_upgrade_without_a_probe_is_refused() {
    // Column T of section 10: Node accepts it. The session does not notice.
    let server = Server::new();
    let client = Polling::open(&server);
    let poll = client.get();
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(websocket.say("5"), ["CLOSE 1005"]);
    assert!(poll.is_silent());
    client.post("40");
    assert_eq!(packets(&poll), [r#"40{"sid":"~"}"#]);
}

#[test]
fn u8_anything_else_closes_the_websocket_and_leaves_the_session_on_polling() {
    for first in ["4hello", "2", "2other", "40", "3", "6", "abc", "", "<01>"] {
        for probes in [0, 1] {
            let server = Server::new();
            let client = Polling::open(&server);
            let poll = client.get();
            let websocket = WebSocket::upgrade(&server, &client.sid, 0);
            for _ in 0..probes {
                assert_eq!(websocket.say("2probe"), ["3probe"]);
            }
            assert_eq!(websocket.say(first), ["CLOSE 1005"], "{first} after {probes} probes");
            assert!(poll.is_silent() && !client.is_gone());
            assert_eq!(server.closed(), NOTHING);
            // A new attempt is allowed.
            let websocket = WebSocket::upgrade(&server, &client.sid, 0);
            assert_eq!(websocket.say("2probe"), ["3probe"]);
            websocket.send("5");
            assert_eq!(websocket.say("40"), [r#"40{"sid":"~"}"#]);
            server.assert_nothing_leaks();
        }
    }
}

#[test]
fn u8_a_protocol_violation_of_the_candidate_is_its_own_problem() {
    let server = Server::new();
    let (client, websocket) = probed(&server);
    websocket.conn.send(frame(0xc1, b"5"));
    assert_eq!(websocket.take(), ["CLOSE 1002"]);
    assert!(!client.is_gone());
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
}

#[test]
fn u9_a_second_websocket_is_closed_while_the_first_is_probing() {
    let server = Server::new();
    let (client, first) = probed(&server);
    let second = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(second.take(), ["CLOSE 1005"]);
    assert_eq!(first.take(), NOTHING);
    first.send("5");
    assert_eq!(first.say("40"), [r#"40{"sid":"~"}"#]);
}

#[test]
fn u9_a_session_that_was_opened_on_websocket_cannot_move_to_another() {
    // Column T of section 10: in Node it can.
    let server = Server::new();
    let client = WebSocket::joined(&server);
    let another = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(another.take(), ["CLOSE 1005"]);
    assert_eq!(client.say(r#"420["echo"]"#), ["430[]"]);
}

#[test]
fn u10_an_upgrade_that_takes_too_long_is_given_up() {
    for probes in [0, 1] {
        let server = Server::new();
        let client = Polling::joined(&server);
        let websocket = WebSocket::upgrade(&server, &client.sid, 0);
        for _ in 0..probes {
            websocket.say("2probe");
        }
        server.advance(9_999);
        assert_eq!(websocket.take(), NOTHING);
        server.advance(1);
        assert_eq!(websocket.take(), ["CLOSE 1005"]);
        assert!(!client.is_gone());
        assert!(server.left().is_empty());
        let websocket = WebSocket::upgrade(&server, &client.sid, 0);
        assert_eq!(websocket.say("2probe"), ["3probe"]);
    }
}

#[test]
fn u11_what_is_queued_during_the_upgrade_comes_after_it() {
    let server = Server::new();
    let (_, websocket, socket) = joined(&server);
    emit(&server, socket, "d1");
    emit(&server, socket, "d2");
    assert_eq!(websocket.take(), NOTHING);
    assert_eq!(websocket.say("5"), [r#"42["d1"]"#, r#"42["d2"]"#]);
    emit(&server, socket, "d3");
    assert_eq!(websocket.take(), [r#"42["d3"]"#]);
}

#[test]
fn u11_attachments_are_flushed_behind_their_packet_in_the_form_the_client_can_take() {
    for (query, attachment) in [("", "<0102>"), ("&b64=1", "bAQI=")] {
        let server = Server::new();
        let client = Polling::joined(&server);
        let (socket, _) = server.told().connected[0];
        let conn = server.connect();
        conn.send(request(&format!("{HANDSHAKE}&sid={}{query}", client.sid)));
        assert_eq!(conn.response().status, 101);
        let websocket = WebSocket { conn, sid: String::new() };
        assert_eq!(websocket.say("2probe"), ["3probe"]);
        server.run(0, move |io| {
            let mut args = Args::new();
            args.push_binary(vec![1, 2]).unwrap();
            io.emit(socket, "d", args.as_ref());
        });
        let event = r#"451-["d",{"_placeholder":true,"num":0}]"#;
        assert_eq!(websocket.say("5"), [event, attachment]);
    }
}

#[test]
fn u12_during_the_upgrade_polling_goes_on() {
    let server = Server::new();
    let (client, websocket, socket) = joined(&server);
    emit(&server, socket, "d1");
    assert_eq!(client.poll(), [r#"42["d1"]"#]);
    client.post(r#"42["echo",1]"#);
    assert_eq!(client.poll(), [r#"42["echo",1]"#]);
    let poll = client.get();
    emit(&server, socket, "d2");
    assert_eq!(packets(&poll), [r#"42["d2"]"#]);
    assert_eq!(websocket.take(), NOTHING);
}

#[test]
fn u12_volatile_packets_follow_the_transport_there_is() {
    let server = Server::new();
    let (client, websocket, socket) = joined(&server);
    let flags = Flags { volatile: true, ..Flags::default() };
    let emit = move |server: &Server, event| {
        server.run(0, move |io| io.emit_with(socket, flags, event, ArgsRef::default()));
    };
    emit(&server, "v1");
    let poll = client.get();
    assert!(poll.is_silent());
    emit(&server, "v2");
    assert_eq!(packets(&poll), [r#"42["v2"]"#]);
    emit(&server, "v3");
    assert_eq!(websocket.say("5"), NOTHING);
    emit(&server, "v4");
    assert_eq!(websocket.take(), [r#"42["v4"]"#]);
}

#[test]
fn u13_a_websocket_that_dies_makes_room_for_another() {
    for is_reset in [false, true] {
        let server = Server::new();
        let (client, websocket) = probed(&server);
        websocket.conn.leave(is_reset);
        assert!(!client.is_gone());
        let websocket = WebSocket::upgrade(&server, &client.sid, 0);
        assert_eq!(websocket.say("2probe"), ["3probe"]);
        websocket.send("5");
        assert_eq!(websocket.say("40"), [r#"40{"sid":"~"}"#]);
        assert_eq!(server.closed(), NOTHING);
        server.assert_nothing_leaks();
    }
}

#[test]
fn u13_a_websocket_that_says_goodbye_during_the_upgrade_makes_room_too() {
    let server = Server::new();
    let (client, websocket) = probed(&server);
    websocket.conn.send(frame(0x88, b""));
    assert_eq!(websocket.take(), ["CLOSE 1005"]);
    assert!(websocket.conn.is_closed());
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
}

#[test]
fn a_session_that_the_server_closes_during_the_upgrade_flushes_its_queue_first() {
    let server = Server::new();
    let (client, websocket, socket) = joined(&server);
    server.run(0, move |io| {
        io.emit(socket, "last", ArgsRef::default());
        io.disconnect(socket, true);
    });
    assert_eq!(server.left(), ["/ server namespace disconnect"]);
    assert_eq!(websocket.take(), NOTHING);
    assert_eq!(websocket.say("5"), [r#"42["last"]"#, "41", "CLOSE 1005"]);
    assert!(client.is_gone());
    server.assert_nothing_leaks();
}

#[test]
fn or_it_gives_its_queue_to_a_poll_and_then_closes_the_websocket() {
    let server = Server::new();
    let (client, websocket, socket) = joined(&server);
    server.run(0, move |io| io.disconnect(socket, true));
    assert_eq!(client.poll(), ["41"]);
    assert_eq!(client.poll(), ["6", "1"]);
    assert_eq!(websocket.take(), ["CLOSE 1005"]);
    assert!(client.is_gone());
    server.assert_nothing_leaks();
}

#[test]
fn a_session_that_ends_takes_its_candidate_with_it() {
    let server = Server::new();
    let (client, websocket) = probed(&server);
    client.post("1");
    assert_eq!(websocket.take(), ["CLOSE 1005"]);
    assert!(client.is_gone());
    assert_eq!(websocket.say("5"), NOTHING);
    server.assert_nothing_leaks();
}

#[test]
fn probe_upgrade_and_first_packets_may_come_in_one_segment() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let conn = server.connect();
    let frames = [encode("2probe"), encode("5"), encode(r#"420["echo"]"#)].concat();
    conn.send([request(&format!("{HANDSHAKE}&sid={}", client.sid)).as_bytes(), &frames].concat());
    assert_eq!(conn.response().status, 101);
    let websocket = WebSocket { conn, sid: String::new() };
    assert_eq!(websocket.take(), ["3probe", "430[]"]);
}

#[test]
fn a_post_that_is_still_on_its_way_survives_the_upgrade() {
    let server = Server::new();
    let (client, websocket, _) = joined(&server);
    let whole = post(&client.target, r#"42["late"]"#);
    let (first, rest) = whole.split_at(whole.len() - 3);
    let posting = client.start(first);
    websocket.send("5");
    posting.send(rest);
    assert_eq!(posting.response().summary(), "200 ok");
    assert_eq!(server.told().events, [r#"/ "late" "#]);
    assert_eq!(websocket.say(r#"420["echo"]"#), ["430[]"]);
}

#[test]
fn a_post_that_breaks_off_after_the_upgrade_does_not_end_the_session() {
    // Polling is discarded with the upgrade (1.11 step 4), and its errors with it.
    let server = Server::new();
    let (client, websocket, _) = joined(&server);
    let whole = post(&client.target, r#"42["late"]"#);
    let posting = client.start(&whole[..whole.len() - 3]);
    websocket.send("5");
    posting.reset();
    assert_eq!(websocket.say(r#"420["echo"]"#), ["430[]"]);
    server.assert_nothing_leaks();
}
