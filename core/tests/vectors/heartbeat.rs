//! protocol.md 9.4, U1 to U4, and 1.10.

use crate::support::Server;
use crate::support::polling::{Polling, packets};
use crate::support::websocket::WebSocket;
use std::time::Duration;

/// The intervals of the official suites: 300 and 200 ms.
pub(crate) fn fast() -> Server {
    Server::with(|options| {
        options.ping_interval = Duration::from_millis(300);
        options.ping_timeout = Duration::from_millis(200);
    })
}

/// What a client that sends these packets at these times (ms) gets when, up to `end`.
fn timeline(sends: &[(u64, &str)], end: u64) -> Vec<(u64, String)> {
    let server = fast();
    let client = WebSocket::open(&server);
    let (mut seen, mut sends) = (Vec::new(), sends.iter().peekable());
    for now in 0..=end {
        seen.extend(client.take().into_iter().map(|frame| (now, frame)));
        while let Some((_, packet)) = sends.next_if(|(at, _)| *at == now) {
            client.send(packet);
        }
        server.advance(1);
    }
    seen
}

fn seen(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|&(at, frame)| (at, frame.to_owned())).collect()
}

#[test]
fn u1_a_silent_client_is_pinged_and_then_given_up() {
    assert_eq!(timeline(&[], 2_000), seen(&[(300, "2"), (500, "CLOSE 1005")]));
}

#[test]
fn u1_the_application_is_told_that_the_ping_timed_out() {
    let server = fast();
    let client = WebSocket::joined(&server);
    server.advance(500);
    assert_eq!(client.take(), ["2", "CLOSE 1005"]);
    assert_eq!(server.left(), ["/ ping timeout"]);
    server.assert_nothing_leaks();
}

#[test]
fn u2_the_next_ping_comes_an_interval_after_the_pong() {
    let pongs = [(400, "3"), (800, "3"), (1_200, "3")];
    assert_eq!(timeline(&pongs, 1_200), seen(&[(300, "2"), (700, "2"), (1_100, "2")]));
}

#[test]
fn u3_another_packet_gets_a_client_more_time_once_a_ping() {
    assert_eq!(timeline(&[(450, "6")], 1_000), seen(&[(300, "2"), (650, "CLOSE 1005")]));
    let many = [(450, "6"), (550, "6"), (640, "6")];
    assert_eq!(timeline(&many, 1_000), seen(&[(300, "2"), (650, "CLOSE 1005")]));
}

#[test]
fn pongs_nobody_asked_for_do_not_put_off_the_ping() {
    // Column T of section 10: in Node each one does.
    assert_eq!(timeline(&[(100, "3"), (250, "3")], 1_000), seen(&[(300, "2"), (500, "CLOSE 1005")]));
}

#[test]
fn u4_a_client_that_polls_is_pinged_by_a_poll_and_given_up_in_the_next() {
    let server = fast();
    let client = Polling::open(&server);
    let poll = client.get();
    server.advance(299);
    assert!(poll.is_silent());
    server.advance(1);
    assert_eq!(packets(&poll), ["2"]);
    let poll = client.get();
    server.advance(199);
    assert!(poll.is_silent());
    server.advance(1);
    assert_eq!(packets(&poll), ["1"]);
    assert_eq!(server.closed(), ["ping_timeout"]);
    assert!(client.is_gone());
    server.assert_nothing_leaks();
}

#[test]
fn u4_a_client_that_never_polls_again_is_given_up_too() {
    let server = fast();
    let client = Polling::joined(&server);
    server.advance(499);
    assert!(!client.is_gone());
    server.advance(1);
    assert!(client.is_gone());
    assert_eq!(server.left(), ["/ ping timeout"]);
}

#[test]
fn a_client_that_answers_lives() {
    let server = fast();
    let client = Polling::open(&server);
    let poll = client.get();
    server.advance(300);
    assert_eq!(packets(&poll), ["2"]);
    client.post("3");
    server.advance(299);
    assert!(!client.is_gone());
    assert!(client.get().is_silent());
}

#[test]
fn an_upgrade_does_not_end_the_heartbeat() {
    // Column T of 1.10: in Node a ping that is outstanding when the upgrade completes is never missed.
    let server = fast();
    let client = Polling::open(&server);
    let poll = client.get();
    server.advance(300);
    assert_eq!(packets(&poll), ["2"]);
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    assert_eq!(websocket.say("2probe"), ["3probe"]);
    server.advance(100);
    websocket.send("5");
    server.advance(199);
    assert_eq!(websocket.take(), [""; 0]);
    server.advance(1);
    assert_eq!(websocket.take(), ["CLOSE 1005"]);
    assert_eq!(server.closed(), ["ping_timeout"]);
}

#[test]
fn after_an_upgrade_the_ping_comes_when_it_would_have_come() {
    let server = fast();
    let client = Polling::open(&server);
    let websocket = WebSocket::upgrade(&server, &client.sid, 0);
    websocket.say("2probe");
    server.advance(100);
    websocket.send("5");
    server.advance(199);
    assert_eq!(websocket.take(), [""; 0]);
    server.advance(1);
    assert_eq!(websocket.take(), ["2"]);
    websocket.send("3");
    server.advance(300);
    assert_eq!(websocket.take(), ["2"]);
}
