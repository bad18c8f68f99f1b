//! The requests of one session may reach any core (protocol.md 1.11, last rule). A client cannot tell.

use crate::support::http::{bare, get, post, post_chunked, post_with};
use crate::support::polling::{HANDSHAKE, Polling, packets};
use crate::support::websocket::{self, WebSocket, encode, request};
use crate::support::{Conn, Server};
use tidegate_core::socket_io::ArgsRef;

const REQUEST: &str = r#"400 {"code":3,"message":"Bad request"}"#;
const SESSION: &str = r#"400 {"code":1,"message":"Session ID unknown"}"#;
const NOTHING: [&str; 0] = [];

/// A session of shard 1 in `/`, whose requests arrive at shard 0.
fn stray() -> (Server, Polling) {
    let server = Server::sharded(2);
    let client = Polling::joined_on(&server, 1).via(0);
    (server, client)
}

fn echo(number: u8) -> String {
    format!(r#"42["echo",{number}]"#)
}

#[test]
fn a_poll_waits_and_is_answered_wherever_it_arrived() {
    let (server, client) = stray();
    let poll = client.get();
    assert_eq!((poll.shard(), poll.is_silent()), (0, true));
    client.post(echo(1));
    assert_eq!(packets(&poll), [echo(1)]);
    // What is queued answers the next at once, on the same connection.
    client.post(echo(2));
    client.post(echo(3));
    poll.send(get(&client.target));
    assert_eq!(packets(&poll), [echo(2), echo(3)]);
    assert_eq!(server.stats().requests_forwarded, 5);
    server.assert_nothing_leaks();
}

#[test]
fn a_post_is_the_same_whole_in_pieces_and_in_chunks() {
    let (server, client) = stray();
    let whole = post(&client.target, echo(1));
    for cut in 1..whole.len() {
        let conn = client.start(&whole[..cut]);
        conn.send(&whole[cut..]);
        assert_eq!(conn.response().summary(), "200 ok", "{cut}");
        assert_eq!(client.poll(), [echo(1)], "{cut}");
    }
    let conn = client.start("");
    conn.send_bytewise(&whole);
    assert_eq!(conn.response().summary(), "200 ok");
    assert_eq!(client.poll(), [echo(1)]);
    let chunked = client.start(post_chunked(&client.target, echo(2).as_bytes(), 3));
    assert_eq!(chunked.response().summary(), "200 ok");
    assert_eq!(client.poll(), [echo(2)]);
    server.assert_nothing_leaks();
}

#[test]
fn refusals_come_from_the_shard_of_the_session() {
    let (server, client) = stray();
    let ask = |request: &[u8]| client.start(request).response().summary();
    assert_eq!(ask(bare("PUT", &client.target).as_bytes()), "500");
    assert_eq!(ask(get(&client.target.replace("EIO=4", "EIO=3")).as_bytes()), REQUEST);
    assert_eq!(ask(get(&client.target.replace("polling", "websocket")).as_bytes()), REQUEST);
    assert!(!client.is_gone());
    let octets = post_with(&client.target, "Content-Type: application/octet-stream\r\n", "3");
    assert_eq!(ask(&octets), "400");
    assert_eq!(ask(get(&client.target).as_bytes()), SESSION);
    assert_eq!(ask(&post(&client.target, "3")), SESSION);
    server.assert_nothing_leaks();
}

#[test]
fn a_body_that_is_too_large_is_refused_and_the_session_lives() {
    let server = Server::build(2, tidegate_core::shard::routes::Routes::default(), |options| {
        options.max_payload = 100;
    });
    let client = Polling::joined_on(&server, 1).via(0);
    let body = "6".repeat(101);
    assert_eq!(client.post(&body).summary(), "413");
    assert_eq!(client.start(post_chunked(&client.target, body.as_bytes(), 40)).response().summary(), "413");
    let poll = client.get();
    client.post(echo(1));
    assert_eq!(packets(&poll), [echo(1)]);
    server.assert_nothing_leaks();
}

#[test]
fn a_lost_connection_ends_the_session_on_its_shard() {
    for is_post in [false, true] {
        let (server, client) = stray();
        let whole = post(&client.target, echo(1));
        let conn = if is_post { client.start(&whole[..whole.len() - 1]) } else { client.get() };
        conn.reset();
        assert!(client.is_gone());
        assert_eq!(server.left(), ["/ transport error"]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn requests_overlap_whichever_shards_they_arrive_at() {
    for (first_shard, second_shard) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (server, client) = stray();
        let client = client.via(first_shard);
        let first = client.get();
        let client = client.via(second_shard);
        assert_eq!(client.get().response().summary(), "400");
        assert_eq!(packets(&first), ["1"]);
        assert_eq!(server.left(), ["/ transport error"]);
        server.assert_nothing_leaks();

        let (server, client) = stray();
        let whole = post(&client.target, echo(1));
        let client = client.via(first_shard);
        let poll = client.get();
        let first = client.start(&whole[..whole.len() - 1]);
        let client = client.via(second_shard);
        assert_eq!(client.post(echo(2)).summary(), "400");
        assert!(first.is_closed() && first.is_silent());
        assert_eq!(packets(&poll), ["1"]);
        assert_eq!(server.left(), ["/ transport error"]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn an_answer_to_a_connection_that_has_gone_is_dropped() {
    let (server, client) = stray();
    let poll = client.get();
    server.hold_mail();
    client.start(post(&client.target, echo(1)));
    poll.reset();
    let another = server.connect_to(0);
    server.deliver_mail();
    assert!(another.is_silent(), "the place has a new tenant");
    server.assert_nothing_leaks();
}

#[test]
fn the_answer_to_one_request_is_never_taken_for_the_answer_to_the_next() {
    let (_, client) = stray();
    let conn = client.start([get(&client.target), get(&client.target)].concat());
    client.post(echo(1));
    assert_eq!(packets(&conn), [echo(1)]);
    assert!(conn.is_silent());
    client.post(echo(2));
    assert_eq!(packets(&conn), [echo(2)]);
}

#[test]
fn requests_behind_one_that_is_away_wait_their_turn() {
    let (server, client) = stray();
    let requests =
        [get(&client.target).into_bytes(), post(&client.target, echo(1)), get(&client.target).into_bytes()];
    server.hold_mail();
    let conn = client.start(requests.concat());
    server.deliver_mail();
    assert!(conn.is_silent(), "the POST is behind the poll that it would answer");
    client.post(echo(2));
    assert_eq!(packets(&conn), [echo(2)]);
    assert_eq!(conn.response().summary(), "200 ok");
    assert_eq!(packets(&conn), [echo(1)]);
    server.assert_nothing_leaks();
}

#[test]
fn a_handshake_stays_where_it_arrived() {
    let server = Server::sharded(4);
    for shard in 0..4 {
        let client = Polling::open_at(&server, HANDSHAKE, shard);
        assert_eq!(client.post("40").summary(), "200 ok");
    }
    assert_eq!(server.stats().requests_forwarded, 0);
}

/// Upgrades with everything in one segment, cut in two at `cut`.
fn upgrade_in_one(server: &Server, client: &Polling, cut: usize) -> Conn {
    let target = format!("{}&sid={}", websocket::HANDSHAKE, client.sid);
    let frames = [encode("2probe"), encode("5"), encode(r#"420["echo"]"#)].concat();
    let bytes = [request(&target).as_bytes(), &frames].concat();
    let cut = cut.min(bytes.len());
    let conn = server.connect_to(client.shard);
    conn.send(&bytes[..cut]);
    conn.send(&bytes[cut..]);
    conn
}

#[test]
fn an_upgrade_moves_the_connection_to_its_session() {
    let (server, client) = stray();
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(websocket.conn.shard(), 1);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
    let poll = client.get();
    server.advance(100);
    assert_eq!(packets(&poll), ["6"]);
    websocket.send("5");
    assert_eq!(websocket.say(r#"420["echo"]"#), ["430[]"]);
    assert_eq!(client.start(get(&client.target)).response().summary(), REQUEST);
    assert_eq!((server.stats().connections_moved, server.stats().sessions_upgraded), (1, 1));
    server.assert_nothing_leaks();
}

#[test]
fn what_follows_an_upgrade_request_moves_with_it() {
    let length = {
        let (server, client) = stray();
        let conn = upgrade_in_one(&server, &client, usize::MAX);
        drop(conn);
        request(&format!("{}&sid={}", websocket::HANDSHAKE, client.sid)).len() + 40
    };
    for cut in 1..length {
        let (server, client) = stray();
        let conn = upgrade_in_one(&server, &client, cut);
        assert_eq!(conn.response().status, 101);
        let websocket = WebSocket { conn, sid: String::new() };
        assert_eq!(websocket.take(), ["3probe", "430[]"], "{cut}");
        server.assert_nothing_leaks();
    }
}

#[test]
fn bytes_that_arrive_while_the_connection_moves_are_read_at_its_new_place() {
    let (server, client) = stray();
    server.hold_mail();
    let conn = server.connect_to(0);
    conn.send(request(&format!("{}&sid={}", websocket::HANDSHAKE, client.sid)));
    conn.send(encode("2probe"));
    assert!(conn.is_silent());
    server.deliver_mail();
    assert_eq!(conn.response().status, 101);
    let websocket = WebSocket { conn, sid: String::new() };
    assert_eq!(websocket.take(), ["3probe"]);
}

#[test]
fn a_connection_that_is_lost_while_it_moves_leaves_the_session_alone() {
    let (server, client) = stray();
    server.hold_mail();
    let conn = server.connect_to(0);
    conn.send(request(&format!("{}&sid={}", websocket::HANDSHAKE, client.sid)));
    conn.reset();
    server.deliver_mail();
    assert!(!client.is_gone());
    assert!(conn.is_closed());
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
    server.assert_nothing_leaks();
}

#[test]
fn an_upgrade_of_a_session_that_has_gone_meanwhile_is_refused_at_its_new_place() {
    let (server, client) = stray();
    server.hold_mail();
    let conn = server.connect_to(0);
    conn.send(
        [request(&format!("{}&sid={}", websocket::HANDSHAKE, client.sid)).as_bytes(), &encode("2probe")]
            .concat(),
    );
    let client = client.via(1);
    client.post("1");
    server.deliver_mail();
    assert_eq!(conn.response().summary(), "400 Session ID unknown");
    assert!(conn.has_fin() && conn.is_silent());
    server.assert_nothing_leaks();
}

#[test]
fn answers_in_front_of_an_upgrade_arrive_in_front_of_it() {
    // The client upgrades on a connection on which it has polled before, and whose answer it has not read.
    let (server, client) = stray();
    let conn = server.connect_to(0);
    conn.block();
    conn.send(get("/nowhere"));
    conn.send(request(&format!("{}&sid={}", websocket::HANDSHAKE, client.sid)));
    conn.unblock();
    assert_eq!(conn.response().status, 404);
    assert_eq!(conn.response().status, 101);
    let websocket = WebSocket { conn, sid: String::new() };
    assert_eq!(websocket.say("2probe"), ["3probe"]);
}

#[test]
fn a_websocket_with_a_foreign_id_is_refused_without_a_move() {
    let server = Server::sharded(2);
    let conn = server.connect_to(0);
    conn.send(request(&format!("{}&sid=AAAAAAAAAAAAAAAAAAAA", websocket::HANDSHAKE)));
    assert_eq!(conn.response().summary(), "400 Session ID unknown");
    server.assert_nothing_leaks();
}

#[test]
fn a_poll_processed_after_the_upgrade_is_refused_even_if_it_was_sent_before() {
    let (server, client) = stray();
    let websocket = WebSocket::upgrade(&server, &client.sid, 1);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
    server.hold_mail();
    let poll = client.get();
    websocket.send("5");
    server.deliver_mail();
    assert_eq!(poll.response().summary(), REQUEST);
    assert_eq!(websocket.say(r#"420["echo"]"#), ["430[]"]);
}

#[test]
fn an_emit_from_another_shard_answers_a_poll_at_a_third() {
    let server = Server::sharded(4);
    let client = Polling::joined_on(&server, 2).via(3);
    let socket = server.told().connected[0].0;
    let poll = client.get();
    server.run(1, move |io| io.emit(socket, "x", ArgsRef::default()));
    assert_eq!(packets(&poll), [r#"42["x"]"#]);
    assert_eq!(client.start(post(&client.target, "41")).response().summary(), "200 ok");
    assert_eq!(server.left(), ["/ client namespace disconnect"]);
    assert_eq!(NOTHING, server.closed()[..]);
    server.assert_nothing_leaks();
}
