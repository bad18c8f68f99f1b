//! What happens when the gateway is told to go (S26; protocol.md 1.12, "engine/server shutdown").

use crate::support::Server;
use crate::support::http::{get, post};
use crate::support::polling::{HANDSHAKE, Polling};
use crate::support::websocket::{self, WebSocket, frame, request};
use tidegate_core::shard::routes::Routes;

const SESSION: &str = r#"400 {"code":1,"message":"Session ID unknown"}"#;

#[test]
fn every_session_ends_without_a_word_of_socket_io() {
    for shards in [1, 2, 4] {
        let server = Server::sharded(shards);
        let websockets: Vec<_> =
            (0..4).map(|number| WebSocket::joined_on(&server, number % shards)).collect();
        // A poll that waits here, one that waits elsewhere, and a client between two polls.
        let here = Polling::joined_on(&server, shards - 1);
        let waiting = here.get();
        let elsewhere = Polling::joined_on(&server, shards - 1).via(0);
        let astray = elsewhere.get();
        let between = Polling::joined(&server);
        server.drain();
        for client in &websockets {
            assert_eq!(client.take(), ["CLOSE 1005"]);
        }
        for poll in [&waiting, &astray] {
            let response = poll.response();
            assert_eq!(response.summary(), "200 1");
            assert_eq!(response.field("connection"), Some("close"));
            assert!(poll.has_fin());
        }
        assert_eq!(server.left(), ["/ server shutting down"; 7]);
        assert_eq!(server.closed(), ["server_shutting_down"; 7]);
        drop(between);
        assert!(!server.is_drained(), "the clients have not closed yet");
        for client in &websockets {
            client.conn.send(frame(0x88, b""));
            assert!(client.conn.is_closed());
        }
        waiting.finish();
        astray.finish();
        server.advance(5_000);
        assert!(server.is_drained());
    }
}

#[test]
fn clients_that_do_not_answer_are_not_waited_for() {
    for is_blocked in [false, true] {
        let server = Server::build(1, Routes { bare_endpoints: true, ..Routes::default() }, |_| {});
        let websocket = WebSocket::joined(&server);
        let client = Polling::joined(&server);
        let poll = client.get();
        let conn = server.connect();
        conn.send(request("/ws"));
        assert_eq!(conn.response().status, 101);
        if is_blocked {
            [&websocket.conn, &poll, &conn].into_iter().for_each(crate::support::Conn::block);
        }
        server.drain();
        server.advance(4_999);
        assert!(!server.is_drained());
        server.advance(1);
        assert!(server.is_drained(), "blocked: {is_blocked}");
        assert!(websocket.conn.is_closed() && poll.is_closed() && conn.is_closed());
    }
}

#[test]
fn connections_without_a_request_are_closed_at_once() {
    let server = Server::new();
    let [fresh, idle, partial] = [(); 3].map(|()| server.connect());
    idle.send(get("/nowhere"));
    assert_eq!(idle.response().status, 404);
    partial.send("GET / HT");
    server.drain();
    assert!(fresh.is_closed() && idle.is_closed() && partial.is_closed());
    assert!(server.is_drained());
    assert!(server.connect().is_closed(), "and so is whoever comes late");
    assert!(server.is_drained());
}

#[test]
fn an_answer_that_has_not_been_read_is_still_delivered() {
    let server = Server::new();
    let conn = server.connect();
    conn.block();
    conn.send(get("/nowhere"));
    server.drain();
    server.advance(1_000);
    conn.unblock();
    assert_eq!(conn.response().status, 404);
    conn.finish();
    assert!(conn.is_closed() && server.is_drained());

    let server = Server::new();
    let conn = server.connect();
    conn.block();
    conn.send(get("/nowhere"));
    server.drain();
    server.advance(5_000);
    assert!(server.is_drained(), "but not waited for for ever");
}

#[test]
fn a_post_whose_body_is_on_its_way_does_not_hold_up_the_end() {
    for shards in [1, 2] {
        let server = Server::sharded(shards);
        let client = Polling::joined_on(&server, shards - 1).via(0);
        let whole = post(&client.target, "3".repeat(10));
        let conn = client.start(&whole[..whole.len() - 5]);
        let unknown = post(&format!("{HANDSHAKE}&sid=AAAAAAAAAAAAAAAAAAAA"), "3".repeat(10));
        let early = server.connect();
        early.send(&unknown[..unknown.len() - 5]);
        assert_eq!(early.response().summary(), SESSION);
        let echo = server.connect();
        echo.send(&post("/nowhere", "3".repeat(10))[..60]);
        server.drain();
        assert!(conn.is_closed());
        server.advance(5_000);
        assert!(server.is_drained());
    }
}

#[test]
fn an_upgrade_in_the_making_ends_too() {
    let server = Server::sharded(2);
    let client = Polling::joined_on(&server, 1);
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
    let late = Polling::joined_on(&server, 1);
    server.hold_mail();
    let conn = server.connect_to(0);
    conn.send(request(&format!("{}&sid={}", websocket::HANDSHAKE, late.sid)));
    server.drain();
    server.deliver_mail();
    assert_eq!(websocket.take(), ["CLOSE 1005"]);
    assert_eq!(conn.response().summary(), "400 Session ID unknown");
    server.advance(5_000);
    assert!(server.is_drained());
}

#[test]
fn a_session_that_lingers_is_dropped() {
    let server = Server::new();
    let client = Polling::joined(&server);
    client.post("4x");
    assert_eq!(server.left(), ["/ forced close"]);
    server.drain();
    assert_eq!(server.closed(), ["forced_close"]);
    server.advance(5_000);
    assert!(server.is_drained());
}

#[test]
fn those_who_wait_for_an_answer_of_a_client_are_told() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send("40/later,");
    let socket = server.told().connected[0].0;
    server.run(0, move |io| {
        use tidegate_core::shard::app::Ticket;
        io.emit_with_ack(socket, "q", tidegate_core::socket_io::ArgsRef::default(), None, Ticket(7));
    });
    server.drain();
    let told = server.told();
    assert_eq!(told.answers, [(7, Err(tidegate_core::shard::app::AckError::Disconnected))]);
    assert_eq!(told.abandoned, told.waiting);
}
