//! Clients that are made to wait, because the application can take no more.

use super::heartbeat::fast;
use crate::support::Server;
use crate::support::http::post;
use crate::support::polling::{Polling, packets};
use crate::support::websocket::{WebSocket, encode, frame};
use std::time::Duration;
use tidegate_core::shard::app::SocketKey;

const HOLD: &str = r#"42["hold"]"#;

/// The socket that was let in as number `place`.
fn socket(server: &Server, place: usize) -> SocketKey {
    server.told().connected[place].0
}

/// Has the application of shard 0 hold or release.
fn hold(server: &Server, socket: SocketKey) {
    server.run(0, move |io| io.hold_input(socket));
}

fn release(server: &Server, socket: SocketKey) {
    server.run(0, move |io| io.release_input(socket));
}

/// The names of the events that have been told since the last call.
fn events(server: &Server) -> Vec<String> {
    let events = std::mem::take(&mut server.told().events);
    events.iter().map(|event| event.split('"').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn a_websocket_is_not_read_while_it_is_held() {
    for shards in [1, 2] {
        let server = Server::sharded(shards);
        let client = WebSocket::joined_on(&server, shards - 1);
        let socket = socket(&server, 0);
        client.send_all(&[r#"42["a"]"#, HOLD, r#"42["b"]"#]);
        assert_eq!(events(&server), ["a", "hold", "b"], "what had been read is handled");
        client.send(r#"42["c"]"#);
        client.send(r#"42["d"]"#);
        server.run(0, move |io| io.emit(socket, "news", tidegate_core::socket_io::ArgsRef::default()));
        assert_eq!(client.take(), [r#"42["news"]"#], "it can still be written to");
        assert_eq!(events(&server), [""; 0]);
        release(&server, socket);
        assert_eq!(events(&server), ["c", "d"]);
        release(&server, socket);
        client.send(r#"42["e"]"#);
        assert_eq!(events(&server), ["e"]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn a_hold_between_two_reads_lets_one_more_in() {
    for shards in [1, 2] {
        let server = Server::sharded(shards);
        let client = WebSocket::joined_on(&server, shards - 1);
        let socket = socket(&server, 0);
        for _ in 0..2 {
            hold(&server, socket);
            hold(&server, socket);
            client.send(r#"42["a"]"#);
            client.send(r#"42["b"]"#);
            assert_eq!(events(&server), ["a"]);
            release(&server, socket);
            assert_eq!(events(&server), ["b"]);
        }
    }
}

#[test]
fn a_hold_that_ends_within_its_own_read_changes_nothing() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send(r#"42["hold and release"]"#);
    client.send(r#"42["a"]"#);
    assert_eq!(events(&server), ["hold and release", "a"]);
}

#[test]
fn a_full_stream_that_gets_room_does_not_end_a_hold() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    let socket = socket(&server, 0);
    client.send(HOLD);
    client.conn.block();
    server.run(0, move |io| io.emit(socket, "news", tidegate_core::socket_io::ArgsRef::default()));
    client.send(r#"42["a"]"#);
    client.conn.unblock();
    assert_eq!((client.take().len(), events(&server)), (1, vec!["hold".to_owned()]));
}

#[test]
fn a_post_is_answered_when_the_hold_ends_and_polls_go_on() {
    for (shards, via) in [(1, 0), (2, 0), (2, 1)] {
        let server = Server::sharded(shards);
        let client = Polling::joined_on(&server, shards - 1).via(via);
        let socket = socket(&server, 0);
        let held = client.start(post(&client.target, format!("{HOLD}\x1e42[\"a\"]")));
        assert_eq!(events(&server), ["hold", "a"]);
        assert!(held.is_silent());
        for _ in 0..2 {
            let poll = client.get();
            server.run(0, move |io| io.emit(socket, "news", tidegate_core::socket_io::ArgsRef::default()));
            assert_eq!(packets(&poll), [r#"42["news"]"#]);
        }
        assert!(held.is_silent());
        release(&server, socket);
        assert_eq!(held.response().summary(), "200 ok");
        assert_eq!(client.post(r#"42["b"]"#).summary(), "200 ok");
        assert_eq!(events(&server), ["b"]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn a_post_that_meets_a_hold_is_handled_and_not_answered() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let socket = socket(&server, 0);
    let whole = post(&client.target, r#"42["a"]"#);
    let early = client.start(&whole[..whole.len() - 3]);
    hold(&server, socket);
    early.send(&whole[whole.len() - 3..]);
    assert_eq!((events(&server), early.is_silent()), (vec!["a".to_owned()], true));
    release(&server, socket);
    assert_eq!(early.response().summary(), "200 ok");
    hold(&server, socket);
    let late = client.start(post(&client.target, r#"42["b"]"#));
    assert_eq!((events(&server), late.is_silent()), (vec!["b".to_owned()], true));
    release(&server, socket);
    assert_eq!(late.response().summary(), "200 ok");
}

#[test]
fn a_second_post_while_the_first_is_held_breaks_the_rules_as_ever() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let held = client.start(post(&client.target, HOLD));
    assert_eq!(client.post("3").summary(), "400");
    assert_eq!(held.response().summary(), "200 ok", "it was handled, and its session is gone");
    assert_eq!(server.left(), ["/ transport error"]);
    server.assert_nothing_leaks();
}

#[test]
fn a_client_that_gives_up_a_held_post_is_gone() {
    for (shards, is_reset) in [(1, false), (1, true), (2, false), (2, true)] {
        let server = Server::sharded(shards);
        let client = Polling::joined_on(&server, shards - 1).via(0);
        let held = client.start(post(&client.target, HOLD));
        held.leave(is_reset);
        assert_eq!(server.left(), ["/ transport error"]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn an_upgrade_that_commits_while_held_is_held_on() {
    for shard in [0, 1] {
        let server = Server::sharded(2);
        let client = Polling::joined_on(&server, 1);
        let socket = socket(&server, 0);
        hold(&server, socket);
        let websocket = WebSocket::upgrade(&server, &client.sid, shard);
        assert_eq!(websocket.say("2probe"), ["3probe"]);
        websocket.send_all(&["5", r#"42["a"]"#]);
        websocket.send(r#"42["b"]"#);
        assert_eq!(events(&server), ["a"], "what came with the last packet of the upgrade had been read");
        release(&server, socket);
        assert_eq!(events(&server), ["b"]);
        websocket.send(r#"42["c"]"#);
        assert_eq!(events(&server), ["c"]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn an_upgrade_waits_for_the_post_that_is_held() {
    let server = Server::with(|options| options.upgrade_timeout = Duration::from_secs(10));
    let client = Polling::joined(&server);
    let socket = socket(&server, 0);
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
    let held = client.start(post(&client.target, HOLD));
    server.advance(14_000);
    assert_eq!(websocket.take(), [""; 0]);
    release(&server, socket);
    assert_eq!(held.response().summary(), "200 ok");
    server.advance(9_999);
    websocket.send("5");
    websocket.send(r#"42["a"]"#);
    assert_eq!(events(&server), ["hold", "a"]);

    let client = Polling::joined(&server);
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    client.start(post(&client.target, HOLD));
    server.advance(10_000);
    assert_eq!(websocket.take(), ["CLOSE 1005"], "one that has not even probed is not waited for");
}

#[test]
fn a_post_that_is_held_when_the_upgrade_commits_is_answered_in_the_end() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let socket = socket(&server, 0);
    let held = client.start(post(&client.target, HOLD));
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    websocket.send_all(&["2probe", "5"]);
    websocket.send(r#"42["a"]"#);
    assert!(held.is_silent());
    release(&server, socket);
    assert_eq!(held.response().summary(), "200 ok");
    assert_eq!(events(&server), ["hold", "a"]);
}

#[test]
fn a_held_client_is_pinged_and_not_missed() {
    let server = fast();
    let client = WebSocket::joined(&server);
    let socket = socket(&server, 0);
    client.send(HOLD);
    let mut pings = 0;
    for _ in 0..3_000 {
        server.advance(1);
        for ping in client.take() {
            assert_eq!(ping, "2");
            client.send("3");
            pings += 1;
        }
    }
    // At 300 ms, and then whenever the pong was not there in time: 500, 700, …
    assert_eq!(pings, 14);
    release(&server, socket);
    // Its pongs were there all the time: the next ping is 300 ms after the last.
    server.advance(199);
    assert_eq!(client.take(), [""; 0]);
    server.advance(1);
    assert_eq!(client.take(), ["2"]);
}

#[test]
fn a_held_client_that_polls_is_pinged_and_not_missed() {
    let server = fast();
    let client = Polling::joined(&server);
    let socket = socket(&server, 0);
    let held = client.start(post(&client.target, HOLD));
    for wait in [300, 200, 200, 200] {
        let poll = client.get();
        server.advance(wait - 1);
        assert!(poll.is_silent());
        server.advance(1);
        assert_eq!(packets(&poll), ["2"]);
    }
    server.advance(150);
    release(&server, socket);
    assert_eq!(held.response().summary(), "200 ok");
    server.advance(199);
    assert_eq!(client.post("3").summary(), "200 ok");
    let poll = client.get();
    server.advance(300);
    assert_eq!(packets(&poll), ["2"]);
}

#[test]
fn after_a_hold_a_client_is_pinged_once_more_and_has_the_whole_time_for_its_pong() {
    let server = fast();
    let client = WebSocket::joined(&server);
    let socket = socket(&server, 0);
    client.send(HOLD);
    server.advance(650);
    assert_eq!(client.take(), ["2", "2"]);
    release(&server, socket);
    // It heard the last one 150 ms ago, and would miss us if the next one waited for the pong to come.
    server.advance(50);
    assert_eq!(client.take(), ["2"]);
    server.advance(199);
    assert_eq!(client.take(), [""; 0]);
    server.advance(1);
    assert_eq!(client.take(), ["CLOSE 1005"]);
    assert_eq!(server.left(), ["/ ping timeout"]);
}

#[test]
fn a_socket_that_leaves_lets_go() {
    let server = Server::sharded(2);
    let client = WebSocket::joined_on(&server, 1);
    client.say("40/admin,");
    let admin = socket(&server, 1);
    hold(&server, admin);
    client.send(r#"42["a"]"#);
    client.send(r#"42["b"]"#);
    assert_eq!(events(&server), ["a"]);
    server.run(0, move |io| io.disconnect(admin, false));
    assert_eq!(events(&server), ["b"]);

    // One that waits for a verdict can hold, too.
    client.say("40/later,");
    let waiting = server.told().waiting[0];
    hold(&server, waiting);
    client.send(r#"42["c"]"#);
    client.send(r#"42["d"]"#);
    assert_eq!(events(&server), ["c"]);
    let no = || tidegate_core::shard::app::Rejection { message: "no".to_owned(), data: None };
    server.run(0, move |io| io.reject(waiting, no()));
    assert_eq!(events(&server), ["d"]);
    server.assert_nothing_leaks();
}

#[test]
fn a_session_is_held_until_all_its_sockets_have_let_go() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.say("40/admin,");
    let (root, admin) = (socket(&server, 0), socket(&server, 1));
    client.send_all(&[HOLD, r#"42/admin,["hold"]"#]);
    client.send(r#"42["a"]"#);
    release(&server, root);
    release(&server, root);
    assert_eq!(events(&server), ["hold", "hold"]);
    release(&server, admin);
    assert_eq!(events(&server), ["a"]);
}

#[test]
fn a_held_client_that_breaks_its_connection_is_gone() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send(HOLD);
    client.conn.reset();
    assert_eq!(server.left(), ["/ transport close"]);
    server.assert_nothing_leaks();
}

#[test]
fn the_end_of_a_held_session_is_heard_by_its_client() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    let root = socket(&server, 0);
    client.send(HOLD);
    client.send(r#"42["a"]"#);
    let session = server.run(0, move |io| io.session(root)).unwrap();
    server.run(0, move |io| io.close_session(session));
    assert_eq!(client.take(), ["CLOSE 1005"]);
    client.conn.send(frame(0x88, b""));
    assert!(client.conn.is_closed(), "its own close frame is read");
    assert_eq!(events(&server), ["hold"]);

    let client = Polling::joined(&server);
    let second = socket(&server, 1);
    let held = client.start(post(&client.target, HOLD));
    let session = server.run(0, move |io| io.session(second)).unwrap();
    server.run(0, move |io| io.close_session(session));
    assert_eq!(held.response().summary(), "200 ok");
    assert_eq!(client.poll(), ["6", "1"]);
    server.assert_nothing_leaks();
}

#[test]
fn a_drain_does_not_wait_for_a_hold() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send(HOLD);
    let other = Polling::joined(&server);
    let held = other.start(post(&other.target, HOLD));
    server.drain();
    assert_eq!(client.take(), ["CLOSE 1005"]);
    client.conn.send(encode("never handled"));
    client.conn.send(frame(0x88, b""));
    assert!(client.conn.is_closed());
    assert_eq!(held.response().summary(), "200 ok");
    held.finish();
    server.advance(5_000);
    assert!(server.is_drained());
}
