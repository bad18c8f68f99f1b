//! Streams of the application's own.

use crate::support::websocket::WebSocket;
use crate::support::{Conn, Server};
use tidegate_core::shard::app::PortKey;

/// A gateway with one port.
fn with_port() -> (Server, Conn, PortKey) {
    let server = Server::new();
    let conn = server.open_port(0);
    let port = server.told().ports[0];
    (server, conn, port)
}

#[test]
fn bytes_of_a_port_come_and_go_in_order_wherever_they_are_cut() {
    let sent: Vec<u8> = (0..=255).collect();
    for cut in 0..=sent.len() {
        let (server, conn, _) = with_port();
        conn.send(&sent[..cut]);
        conn.send(&sent[cut..]);
        assert_eq!((conn.take(), &server.told().port_bytes), (sent.clone(), &sent), "cut at {cut}");
    }
    let (server, conn, _) = with_port();
    conn.send_bytewise(&sent);
    assert_eq!((conn.take(), &server.told().port_bytes), (sent.clone(), &sent));
}

#[test]
fn a_port_is_not_a_client() {
    let (server, conn, port) = with_port();
    conn.send("hello");
    conn.block();
    server.run(0, move |io| {
        io.port_send(port, vec![b'x'; 50_000_000].into());
        (0..10).for_each(|_| io.port_send(port, vec![b'x'; 5_000_000].into()));
        assert_eq!(io.port_backlog(port), 100_000_000);
    });
    let (before, errands) = (server.stats(), 1);
    server.advance(600_000);
    let stats = server.stats();
    assert_eq!((stats.ports, stats.connections, stats.outbox_bytes), (1, 0, 0));
    assert_eq!((stats.bytes_in, stats.bytes_out), (before.bytes_in, before.bytes_out));
    assert_eq!(stats.sessions_closed.iter().sum::<u64>(), errands);
    conn.unblock();
    assert_eq!(conn.take().len(), 5 + 100_000_000);
}

#[test]
fn a_paused_port_is_not_read_whatever_is_written_to_it() {
    let (server, conn, port) = with_port();
    server.run(0, move |io| io.port_pause(port));
    conn.send("one more read,");
    conn.send(" then none");
    server.run(0, move |io| io.port_send(port, "news".into()));
    conn.block();
    server.run(0, move |io| io.port_send(port, "more".into()));
    conn.unblock();
    assert_eq!(server.told().port_bytes, b"one more read,");
    server.run(0, move |io| io.port_resume(port));
    assert_eq!(server.told().port_bytes, b"one more read, then none");
    assert_eq!(conn.take(), b"one more read,newsmore then none");
}

#[test]
fn the_application_is_told_once_when_a_port_is_closed_from_outside() {
    for is_reset in [false, true] {
        let (server, conn, port) = with_port();
        conn.block();
        conn.send("lost");
        conn.leave(is_reset);
        assert!(conn.is_closed());
        server.run(0, move |io| {
            io.port_send(port, "to nobody".into());
            io.port_resume(port);
            io.port_close(port);
            assert_eq!(io.port_backlog(port), 0);
        });
        assert_eq!((&server.told().closed_ports[..], server.stats().ports), (&[port][..], 0));
    }
}

#[test]
fn a_port_that_the_application_closes_gets_what_was_queued() {
    for is_blocked in [false, true] {
        let (server, conn, port) = with_port();
        if is_blocked {
            conn.block();
        }
        server.run(0, move |io| {
            io.port_send(port, "good".into());
            io.port_send(port, "bye".into());
            io.port_close(port);
            io.port_send(port, "too late".into());
        });
        conn.send("who hears this?");
        conn.unblock();
        assert_eq!(conn.take(), b"goodbye");
        assert!(conn.is_closed());
        let told = server.told();
        assert_eq!((told.port_bytes.len(), told.closed_ports.len()), (0, 0), "blocked: {is_blocked}");
    }
}

#[test]
fn a_port_that_is_closed_and_never_read_is_given_up() {
    let (server, conn, port) = with_port();
    conn.block();
    server.run(0, move |io| {
        io.port_send(port, "bye".into());
        io.port_close(port);
    });
    assert!(!conn.is_closed());
    server.advance(600_000);
    assert!(conn.is_closed() && server.told().closed_ports.is_empty());
}

#[test]
fn a_drain_closes_ports_after_the_last_word() {
    let (server, conn, port) = with_port();
    let client = WebSocket::joined(&server);
    server.on_drain(move |io| {
        io.port_send(port, "last ".into());
        io.flush_soon();
    });
    server.on_flush(move |io| io.port_send(port, "word".into()));
    server.drain();
    assert_eq!(server.told().drains, [1], "the socket had left by then");
    assert_eq!(conn.take(), b"last word");
    assert!(conn.is_closed() && server.told().closed_ports.is_empty());
    client.conn.finish();
    assert!(server.is_drained());
    assert!(server.open_port(0).is_closed(), "who comes late is sent away");
    assert_eq!(server.told().ports.len(), 1);
}

#[test]
fn a_drain_does_not_wait_for_a_port_that_is_not_read() {
    let (server, conn, port) = with_port();
    let closing = server.open_port(0);
    conn.block();
    closing.block();
    let second = server.told().ports[1];
    server.run(0, move |io| {
        io.port_send(port, "x".into());
        io.port_send(second, "x".into());
        io.port_close(second);
    });
    server.drain();
    server.advance(4_999);
    assert!(!server.is_drained());
    server.advance(1);
    assert!(server.is_drained() && conn.is_closed() && closing.is_closed());
}
