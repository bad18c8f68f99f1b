//! Clients that do not read what they asked for: what is queued for them is bounded, and they alone pay
//! (protocol.md 10, "queue bound").

use crate::support::Server;
use crate::support::http::{get, post};
use crate::support::polling::Polling;
use crate::support::websocket::{WebSocket, frame};
use tidegate_core::shard::app::{Flags, Selector, SocketKey};
use tidegate_core::shard::routes::Routes;
use tidegate_core::socket_io::Args;

const LIMIT: u32 = 10_000;
const SLOW: [&str; 1] = ["slow_consumer"];
const NOTHING: [&str; 0] = [];

fn server(shards: u16) -> Server {
    let routes = Routes { bare_endpoints: true, ..Routes::default() };
    Server::build(shards, routes, |options| options.outbox_bytes_max = LIMIT)
}

fn emit(server: &Server, socket: SocketKey, bytes: usize) {
    server.run(0, move |io| {
        let mut args = Args::new();
        args.push(&"x".repeat(bytes)).unwrap();
        io.emit(socket, "x", args.as_ref());
    });
}

#[test]
fn a_websocket_client_that_does_not_read_is_closed_at_the_limit() {
    for shards in [1, 2] {
        let server = server(shards);
        let (slow, healthy) = (WebSocket::joined_on(&server, shards - 1), WebSocket::joined(&server));
        let socket = server.told().connected[0].0;
        slow.conn.block();
        for _ in 0..9 {
            emit(&server, socket, 1_000);
        }
        assert_eq!(server.closed(), NOTHING);
        for _ in 0..3 {
            emit(&server, socket, 1_000);
        }
        assert_eq!(server.closed(), SLOW);
        assert_eq!(server.left(), ["/ transport error"]);
        assert!(slow.conn.is_closed(), "there is no way to tell it");
        assert_eq!(healthy.say(r#"420["echo"]"#), ["430[]"]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn many_small_packets_count_for_more_than_their_bytes() {
    let server = server(1);
    let client = WebSocket::joined(&server);
    let socket = server.told().connected[0].0;
    client.conn.block();
    let sent = (0..LIMIT).take_while(|_| {
        emit(&server, socket, 0);
        server.closed().is_empty()
    });
    let sent = u32::try_from(sent.count()).unwrap();
    assert!((LIMIT / 100..LIMIT / 64).contains(&sent), "{sent} packets of 10 bytes");
    assert_eq!(server.closed(), SLOW);
}

#[test]
fn a_client_that_reads_in_time_is_not_slow() {
    let server = server(1);
    let client = WebSocket::joined(&server);
    let socket = server.told().connected[0].0;
    for _ in 0..50 {
        client.conn.block();
        for _ in 0..9 {
            emit(&server, socket, 1_000);
        }
        client.conn.read(3_000);
        client.conn.unblock();
        assert_eq!(client.take().len(), 9);
    }
    assert_eq!(server.closed(), NOTHING);
}

#[test]
fn one_message_larger_than_the_limit_reaches_a_client_that_reads() {
    for shards in [1, 2] {
        let server = server(shards);
        let websocket = WebSocket::joined_on(&server, shards - 1);
        let socket = server.told().connected[0].0;
        emit(&server, socket, 500_000);
        assert_eq!(websocket.take()[0].len(), 500_010);
        // Nor does it matter that the kernel takes it in pieces.
        websocket.conn.block();
        emit(&server, socket, 500_000);
        for _ in 0..50 {
            websocket.conn.read(10_000);
        }
        websocket.conn.unblock();
        assert_eq!(websocket.take()[0].len(), 500_010);

        let polling = Polling::joined_on(&server, shards - 1);
        let socket = server.told().connected[1].0;
        emit(&server, socket, 500_000);
        assert_eq!(polling.poll()[0].len(), 500_010);
        assert_eq!(server.closed(), NOTHING);
    }
}

#[test]
fn a_client_that_polls_too_seldom_is_closed_at_the_limit() {
    let server = server(1);
    let client = Polling::joined(&server);
    let socket = server.told().connected[0].0;
    for _ in 0..9 {
        emit(&server, socket, 1_000);
    }
    assert_eq!(client.poll().len(), 9);
    for _ in 0..9 {
        emit(&server, socket, 1_000);
    }
    assert_eq!(server.closed(), NOTHING);
    for _ in 0..2 {
        emit(&server, socket, 1_000);
    }
    assert_eq!(server.closed(), SLOW);
    assert_eq!(server.left(), ["/ transport error"]);
    assert!(client.is_gone());
    server.assert_nothing_leaks();
}

#[test]
fn a_broadcast_closes_the_slow_and_reaches_the_others() {
    for shards in [1, 2] {
        let server = server(shards);
        let clients: Vec<_> = (0..6).map(|number| WebSocket::joined_on(&server, number % shards)).collect();
        clients[2].conn.block();
        clients[5].conn.block();
        for _ in 0..20 {
            server.run(0, |io| {
                let mut args = Args::new();
                args.push(&"x".repeat(1_000)).unwrap();
                io.broadcast(&Selector::namespace("/"), Flags::default(), "x", args.as_ref());
            });
        }
        assert_eq!(server.closed(), ["slow_consumer"; 2]);
        for (number, client) in clients.iter().enumerate() {
            let is_slow = [2, 5].contains(&number);
            assert_eq!(client.conn.is_closed(), is_slow);
            assert_eq!(client.take().len(), if is_slow { 0 } else { 20 });
        }
        server.assert_nothing_leaks();
    }
}

#[test]
fn one_tick_may_send_more_than_the_limit_to_a_client_that_keeps_up() {
    let server = server(1);
    let client = WebSocket::joined(&server);
    let socket = server.told().connected[0].0;
    server.run(0, move |io| {
        let mut args = Args::new();
        args.push(&"x".repeat(1_000)).unwrap();
        (0..50).for_each(|_| io.emit(socket, "x", args.as_ref()));
    });
    assert_eq!((client.take().len(), server.closed()), (50, vec![]));
}

#[test]
fn one_tick_that_sends_more_than_the_limit_to_a_client_that_does_not_read_is_its_last() {
    let server = server(1);
    let client = WebSocket::joined(&server);
    let socket = server.told().connected[0].0;
    client.conn.block();
    server.run(0, move |io| {
        let mut args = Args::new();
        args.push(&"x".repeat(1_000)).unwrap();
        (0..50).for_each(|_| io.emit(socket, "x", args.as_ref()));
    });
    assert_eq!(server.closed(), SLOW);
    assert!(client.conn.is_closed());
}

#[test]
fn pings_and_echoes_that_nobody_reads_end_the_connection() {
    let server = server(1);
    let client = WebSocket::joined(&server);
    client.conn.block();
    for _ in 0..1_000 {
        client.conn.send(frame(0x89, &[b'x'; 100]));
    }
    assert_eq!(server.closed(), SLOW);
    assert!(client.conn.is_closed());

    let conn = server.connect();
    conn.send(crate::support::websocket::request("/ws"));
    assert_eq!(conn.response().status, 101);
    conn.block();
    for _ in 0..1_000 {
        conn.send(frame(0x82, &[b'x'; 100]));
    }
    assert!(conn.is_closed());

    let client = WebSocket::open_at(&server, "/engine.io/?EIO=4&transport=websocket", 0);
    client.conn.block();
    for _ in 0..1_000 {
        client.conn.send(frame(0x82, &[b'x'; 100]));
    }
    assert_eq!(server.closed(), ["slow_consumer"; 2]);
    server.assert_nothing_leaks();
}

#[test]
fn a_silent_client_that_does_not_read_is_given_up_by_the_heartbeat() {
    let server = server(1);
    let client = WebSocket::joined(&server);
    client.conn.block();
    server.advance(45_000);
    assert_eq!(server.left(), ["/ ping timeout"]);
    assert!(!client.conn.is_closed());
    server.advance(5_000);
    assert!(client.conn.is_closed());
    server.assert_nothing_leaks();
}

#[test]
fn the_answer_to_a_poll_that_is_not_read_holds_up_nobody() {
    let server = server(1);
    let client = Polling::joined(&server);
    let socket = server.told().connected[0].0;
    emit(&server, socket, 100_000);
    let conn = server.connect();
    conn.block();
    conn.send(get(&client.target));
    // The next poll is answered on another connection.
    client.start(post(&client.target, r#"42["echo",1]"#));
    assert_eq!(client.poll(), [r#"42["echo",1]"#]);
    server.advance(75_000);
    assert!(conn.is_closed());
    server.assert_nothing_leaks();
}

#[test]
fn what_is_queued_is_counted_and_given_back() {
    let server = server(1);
    let client = WebSocket::joined(&server);
    let socket = server.told().connected[0].0;
    client.conn.block();
    emit(&server, socket, 1_000);
    assert_eq!(server.stats().outbox_bytes, 1_014);
    client.conn.read(14);
    assert_eq!(server.stats().outbox_bytes, 1_000);
    client.conn.unblock();
    assert_eq!(server.stats().outbox_bytes, 0);
}
