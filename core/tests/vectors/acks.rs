//! protocol.md 4.5 and 5.4: acknowledgements, to one socket and to many, on one shard and on several.

use crate::support::Server;
use crate::support::polling::Polling;
use crate::support::websocket::WebSocket;
use std::time::Duration;
use tidegate_core::shard::app::{AckError, Flags, Selector, SocketKey, Ticket};
use tidegate_core::socket_io::{Args, ArgsRef};

const NOTHING: [&str; 0] = [];
const SECOND: Option<Duration> = Some(Duration::from_secs(1));

/// Clients in `/`, the first on shard 0, the next on shard 1, and so on round; and their sockets.
fn crowd(shards: u16, clients: u16) -> (Server, Vec<WebSocket>, Vec<SocketKey>) {
    let server = Server::sharded(shards);
    let clients = (0..clients).map(|number| WebSocket::joined_on(&server, number % shards)).collect();
    let sockets = server.told().connected.iter().map(|&(socket, _)| socket).collect();
    (server, clients, sockets)
}

/// Asks a socket from the application of shard 0.
fn ask(server: &Server, socket: SocketKey, timeout: Option<Duration>, ticket: u64) {
    server.run(0, move |io| {
        let mut args = Args::new();
        args.push(&1).unwrap();
        io.emit_with_ack(socket, "q", args.as_ref(), timeout, Ticket(ticket));
    });
}

/// Asks everybody of a selector from the application of shard 0.
fn ask_all(server: &Server, to: Selector, timeout: Option<Duration>, ticket: u64) {
    server.run(0, move |io| {
        io.broadcast_with_ack(&to, Flags::default(), "q", ArgsRef::default(), timeout, Ticket(ticket));
    });
}

#[test]
fn a_client_answers_once_and_the_rest_is_ignored() {
    for shards in [1, 2] {
        let (server, clients, sockets) = crowd(shards, shards);
        let (client, socket) = (clients.last().unwrap(), *sockets.last().unwrap());
        ask(&server, socket, None, 7);
        assert_eq!(client.take(), [r#"420["q",1]"#]);
        for answer in ["431[]", r#"430["x",2]"#, r#"430["again"]"#] {
            assert_eq!(client.say(answer), NOTHING);
        }
        assert_eq!(server.told().answers, [(7, Ok(r#""x",2"#.to_owned()))]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn an_answer_may_be_binary() {
    let (server, clients, sockets) = crowd(2, 2);
    ask(&server, sockets[1], SECOND, 7);
    clients[1].send(r#"461-0[{"_placeholder":true,"num":0}]"#);
    clients[1].send("<0102>");
    let expected = r#"{"_placeholder":true,"num":0} <0102>"#.to_owned();
    assert_eq!(server.told().answers, [(7, Ok(expected))]);
}

#[test]
fn an_answer_that_comes_too_late_is_none() {
    for shards in [1, 2] {
        let (server, clients, sockets) = crowd(shards, shards);
        ask(&server, *sockets.last().unwrap(), SECOND, 7);
        server.advance(999);
        assert!(server.told().answers.is_empty());
        server.advance(1);
        assert_eq!(server.told().answers, [(7, Err(AckError::TimedOut))]);
        clients.last().unwrap().send("430[]");
        assert_eq!(server.told().answers.len(), 1);
    }
}

#[test]
fn a_client_that_leaves_answers_at_once_or_when_its_time_is_up() {
    for shards in [1, 2] {
        let (server, clients, sockets) = crowd(shards, shards);
        let socket = *sockets.last().unwrap();
        ask(&server, socket, None, 1);
        ask(&server, socket, SECOND, 2);
        clients.last().unwrap().conn.reset();
        assert_eq!(server.told().answers, [(1, Err(AckError::Disconnected))]);
        server.advance(1_000);
        assert_eq!(server.told().answers[1..], [(2, Err(AckError::TimedOut))]);
        ask(&server, socket, None, 3);
        assert_eq!(server.told().answers[2..], [(3, Err(AckError::Disconnected))]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn ids_are_counted_per_namespace_and_shared_with_broadcasts() {
    let (server, clients, sockets) = crowd(1, 1);
    let client = &clients[0];
    assert_eq!(client.say("40/admin,").len(), 1);
    let admin = server.told().connected[1].0;
    ask(&server, sockets[0], SECOND, 0);
    ask_all(&server, Selector::namespace("/"), SECOND, 1);
    ask(&server, admin, SECOND, 2);
    ask(&server, sockets[0], SECOND, 3);
    assert_eq!(client.take(), [r#"420["q",1]"#, r#"421["q"]"#, r#"42/admin,0["q",1]"#, r#"422["q",1]"#]);
}

#[test]
fn the_ids_of_both_directions_are_independent() {
    let (server, clients, sockets) = crowd(1, 1);
    ask(&server, sockets[0], SECOND, 0);
    assert_eq!(clients[0].take(), [r#"420["q",1]"#]);
    assert_eq!(clients[0].say(r#"420["echo",2]"#), ["430[2]"]);
    clients[0].send("430[3]");
    assert_eq!(server.told().answers, [(0, Ok("3".to_owned()))]);
}

#[test]
fn an_answer_of_another_client_is_not_taken_for_the_one_that_was_asked() {
    let (server, clients, sockets) = crowd(1, 2);
    ask(&server, sockets[0], SECOND, 0);
    clients[1].send(r#"430["forged"]"#);
    assert!(server.told().answers.is_empty());
    clients[0].send(r#"430["true"]"#);
    assert_eq!(server.told().answers, [(0, Ok("\"true\"".to_owned()))]);
}

#[test]
fn clients_on_polling_answer_too() {
    let server = Server::sharded(2);
    let client = Polling::joined_on(&server, 1);
    let socket = server.told().connected[0].0;
    ask(&server, socket, SECOND, 7);
    assert_eq!(client.poll(), [r#"420["q",1]"#]);
    client.post(r#"430["x"]"#);
    assert_eq!(server.told().answers, [(7, Ok("\"x\"".to_owned()))]);
}

#[test]
fn a_broadcast_collects_the_first_argument_of_every_answer() {
    for shards in [1, 2, 4] {
        let (server, clients, _) = crowd(shards, 8);
        ask_all(&server, Selector::namespace("/"), SECOND, 7);
        for (number, client) in clients.iter().enumerate() {
            let question = client.take();
            assert_eq!(question.len(), 1, "{shards} shards, client {number}");
            let id = question[0].trim_start_matches("42").trim_end_matches(r#"["q"]"#).to_owned();
            assert!(server.told().broadcast_answers.is_empty());
            client.send(&format!("43{id}[{number},\"more\"]"));
        }
        let expected = (0..8).map(|number| number.to_string()).collect();
        assert_eq!(server.told().broadcast_answers, [(7, false, expected)], "{shards} shards");
        server.assert_nothing_leaks();
    }
}

#[test]
fn an_attachment_of_an_answer_comes_with_its_argument_only() {
    let (server, clients, _) = crowd(1, 1);
    ask_all(&server, Selector::namespace("/"), SECOND, 7);
    let placeholder = |number: u8| format!(r#"{{"_placeholder":true,"num":{number}}}"#);
    clients[0].send(&format!("462-0[[{}],{}]", placeholder(0), placeholder(1)));
    clients[0].send("<01>");
    clients[0].send("<02>");
    let expected = vec![format!("[{}] <01>", placeholder(0))];
    assert_eq!(server.told().broadcast_answers, [(7, false, expected)]);
}

#[test]
fn an_answer_without_an_argument_counts_but_adds_nothing() {
    let (server, clients, _) = crowd(1, 1);
    ask_all(&server, Selector::namespace("/"), SECOND, 7);
    clients[0].send("430[]");
    assert_eq!(server.told().broadcast_answers, [(7, false, vec![])]);
}

#[test]
fn a_broadcast_that_not_everybody_answers_in_time_gives_what_there_is() {
    for shards in [1, 2, 4] {
        let (server, clients, _) = crowd(shards, 4);
        ask_all(&server, Selector::namespace("/"), SECOND, 7);
        for client in &clients[..2] {
            assert!(client.take()[0].starts_with("420["), "each shard counts for itself");
            client.send(r#"430["x"]"#);
        }
        server.advance(999);
        assert!(server.told().broadcast_answers.is_empty());
        server.advance(1);
        assert_eq!(
            server.told().broadcast_answers,
            [(7, true, vec!["\"x\"".to_owned(); 2])],
            "{shards} shards"
        );
        clients[3].send(r#"430["late"]"#);
        assert_eq!(server.told().broadcast_answers.len(), 1);
        server.assert_nothing_leaks();
    }
}

#[test]
fn a_receiver_that_leaves_is_waited_for() {
    let (server, clients, _) = crowd(2, 2);
    ask_all(&server, Selector::namespace("/"), SECOND, 7);
    clients[0].send(r#"430["x"]"#);
    clients[1].conn.reset();
    assert!(server.told().broadcast_answers.is_empty());
    server.advance(1_000);
    assert_eq!(server.told().broadcast_answers, [(7, true, vec!["\"x\"".to_owned()])]);
}

#[test]
fn a_broadcast_to_nobody_is_answered_at_once() {
    for shards in [1, 2] {
        let (server, clients, _) = crowd(shards, 2);
        ask_all(&server, Selector::namespace("/").to("empty"), SECOND, 1);
        ask_all(&server, Selector::namespace("/nowhere"), SECOND, 2);
        assert_eq!(server.told().broadcast_answers, [(1, false, vec![]), (2, false, vec![])]);
        assert!(clients.iter().all(|client| client.conn.is_silent()));
    }
}

#[test]
fn without_a_timeout_a_broadcast_waits_for_a_millisecond() {
    let (server, clients, _) = crowd(1, 1);
    ask_all(&server, Selector::namespace("/"), None, 7);
    assert_eq!(clients[0].take(), [r#"420["q"]"#]);
    server.advance(1);
    assert_eq!(server.told().broadcast_answers, [(7, true, vec![])]);
}
