//! protocol.md 1.12: for each cause, what the application is told, and what a client on polling (with a poll
//! waiting, and without) and one on WebSocket get.

use crate::support::Server;
use crate::support::polling::{Polling, packets};
use crate::support::websocket::{WebSocket, frame};
use std::time::Duration;

/// What ends the session, on polling and on WebSocket.
struct Cause {
    name: &'static str,
    /// Body of a POST.
    post: Option<&'static str>,
    /// Bytes on the WebSocket.
    frames: Option<Vec<u8>>,
    /// Reason, when a poll waits or the transport is WebSocket.
    reason: &'static str,
    /// What a waiting poll gets.
    poll: &'static str,
    /// Reason when no poll waits, if the session lingers; and what the next polls get.
    lingers: Option<(&'static str, &'static [&'static [&'static str]])>,
    close: &'static str,
}

fn text(message: &str) -> Option<Vec<u8>> {
    Some(frame(0x81, message.as_bytes()))
}

fn causes() -> Vec<Cause> {
    let goodbye: &[&[&str]] = &[&["6", "1"]];
    vec![
        Cause {
            name: "malformed packet",
            post: Some("x"),
            frames: text("x"),
            reason: "parse error",
            poll: "1",
            lingers: None,
            close: "CLOSE 1005",
        },
        Cause {
            name: "ping of the client",
            post: Some("2"),
            frames: text("2"),
            reason: "transport error",
            poll: "1",
            lingers: None,
            close: "CLOSE 1005",
        },
        Cause {
            name: "protocol error",
            post: None,
            frames: Some(frame(0x81, b"\xff")),
            reason: "transport error",
            poll: "1",
            lingers: None,
            close: "CLOSE 1007",
        },
        Cause {
            name: "goodbye",
            post: Some("1"),
            frames: text("1"),
            reason: "transport close",
            poll: "6",
            lingers: None,
            close: "CLOSE 1005",
        },
        Cause {
            name: "undecodable packet",
            post: Some("4x"),
            frames: text("4x"),
            reason: "forced close",
            poll: "1",
            lingers: Some(("forced close", goodbye)),
            close: "CLOSE 1005",
        },
        Cause {
            name: "packet at the wrong time",
            post: Some("40"),
            frames: text("40"),
            reason: "forced close",
            poll: "1",
            lingers: Some(("forced server close", goodbye)),
            close: "CLOSE 1005",
        },
        Cause {
            name: "error with packets queued",
            post: Some("42[\"echo\"]\u{1e}4x"),
            frames: None,
            reason: "forced close",
            poll: "42[\"echo\"]",
            lingers: Some(("forced close", &[&["42[\"echo\"]"], &["6", "1"]])),
            close: "",
        },
    ]
}

#[test]
fn a_waiting_poll_is_told_at_once() {
    for cause in causes() {
        let Some(post) = cause.post else { continue };
        let server = Server::new();
        let client = Polling::joined(&server);
        let poll = client.get();
        assert_eq!(client.post(post).summary(), "200 ok", "{}", cause.name);
        assert_eq!(packets(&poll), [cause.poll], "{}", cause.name);
        assert_eq!(server.left(), [format!("/ {}", cause.reason)], "{}", cause.name);
        server.assert_nothing_leaks();
    }
}

#[test]
fn without_a_poll_only_what_the_server_ended_waits_for_the_next() {
    for cause in causes() {
        let Some(post) = cause.post else { continue };
        let server = Server::new();
        let client = Polling::joined(&server);
        assert_eq!(client.post(post).summary(), "200 ok", "{}", cause.name);
        let (reason, polls) = cause.lingers.unwrap_or((cause.reason, &[]));
        assert_eq!(server.left(), [format!("/ {reason}")], "{}", cause.name);
        for &expected in polls {
            assert_eq!(client.poll(), expected, "{}", cause.name);
        }
        assert!(client.is_gone(), "{}", cause.name);
        server.assert_nothing_leaks();
    }
}

#[test]
fn a_websocket_is_closed() {
    for cause in causes() {
        let Some(frames) = cause.frames else { continue };
        let server = Server::new();
        let client = WebSocket::joined(&server);
        client.conn.send(frames);
        assert_eq!(client.take(), [cause.close], "{}", cause.name);
        assert_eq!(server.left(), [format!("/ {}", cause.reason)], "{}", cause.name);
        server.assert_nothing_leaks();
    }
}

#[test]
fn a_session_that_lingers_refuses_what_is_sent_to_it() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let (socket, _) = server.told().connected[0];
    client.post("4x");
    server.run(0, move |io| io.emit(socket, "late", tidegate_core::socket_io::ArgsRef::default()));
    assert_eq!(client.post("42[\"late\"]\u{1e}x").summary(), "200 ok");
    assert!(server.told().events.is_empty());
    // Nor is it pinged, nor given up for not answering.
    server.advance(29_000);
    assert_eq!(client.poll(), ["6", "1"]);
}

#[test]
fn connect_timeout_ends_a_session_that_joins_nothing() {
    let server = Server::with(|options| options.connect_timeout = Duration::from_secs(1));
    let websocket = WebSocket::open(&server);
    let polling = Polling::open(&server);
    let poll = polling.get();
    server.advance(999);
    assert!(websocket.take().is_empty() && poll.is_silent());
    server.advance(1);
    assert_eq!(websocket.take(), ["CLOSE 1005"]);
    assert_eq!(packets(&poll), ["1"]);
    assert_eq!(server.closed(), ["forced_close"; 2]);
    server.assert_nothing_leaks();
}
