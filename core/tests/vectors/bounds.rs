//! What keeps one client from taking more than its share, and connections from getting stuck.

use crate::support::Server;
use crate::support::http::{get, with_fields};
use crate::support::polling::Polling;
use crate::support::websocket::{WebSocket, frame};

const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=polling";

#[test]
fn a_flood_of_pipelined_requests_stops_being_read_and_is_all_answered_in_the_end() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let conn = client.get();
    // Far more than a connection keeps while its first request waits.
    let request = with_fields("GET", "/nowhere", &format!("X-Padding: {}\r\n", "x".repeat(4000)));
    for _ in 0..20 {
        conn.send(&request);
    }
    assert!(conn.is_silent());
    let probe = client.post("42[\"echo\",1]");
    assert_eq!(probe.summary(), "200 ok");
    assert_eq!(conn.response().summary(), r#"200 42["echo",1]"#);
    for _ in 0..20 {
        assert_eq!(conn.response().summary(), "404");
    }
    conn.send(&request);
    assert_eq!(conn.response().summary(), "404");
}

#[test]
fn a_client_that_asked_before_sending_a_body_too_large_is_refused_and_its_connection_ends() {
    let server = Server::with(|options| options.max_payload = 100);
    let client = Polling::joined(&server);
    let fields = "Content-Length: 101\r\nExpect: 100-continue\r\n";
    let conn = client.start(with_fields("POST", &client.target, fields));
    let response = conn.response();
    assert_eq!((response.summary().as_str(), response.field("connection")), ("413", Some("close")));
    assert!(conn.has_fin());
    assert!(!client.is_gone());
}

#[test]
fn handshakes_beyond_the_limit_of_sessions_are_put_off_and_served_again_later() {
    let server = Server::with(|options| options.max_sessions = 2);
    let first = Polling::open(&server);
    let _second = Polling::open(&server);
    assert_eq!(server.request(get(HANDSHAKE)).summary(), "503");
    first.post("1");
    assert!(server.request(get(HANDSHAKE)).summary().starts_with("200 0{"));
}

#[test]
fn what_clients_begin_and_do_not_finish_is_bounded_over_all_of_them() {
    let server = Server::with(|options| options.input_bytes_max = 50_000);
    let victim = WebSocket::joined(&server);
    let hoarders: Vec<_> = (0..10)
        .map(|_| {
            let hoarder = WebSocket::joined(&server);
            // A message of 20 000 bytes, half of which comes.
            let frame = frame(0x81, &[b'x'; 20_000]);
            hoarder.conn.send(&frame[..10_000]);
            hoarder
        })
        .collect();
    let alive = hoarders.iter().filter(|hoarder| !hoarder.conn.has_fin()).count();
    assert!((1..=5).contains(&alive), "{alive} of 10 are left");
    assert!(server.stats().input_bytes <= 50_000);
    assert_eq!(server.stats().input_refused, 10 - alive as u64);
    // IANA registry: "try again later".
    let refused = hoarders.iter().find(|hoarder| hoarder.conn.has_fin()).expect("5 at least");
    assert_eq!(refused.take(), ["CLOSE 1013"]);
    assert_eq!(victim.say(r#"420["echo",1]"#), ["430[1]"]);
    for hoarder in &hoarders {
        hoarder.conn.reset();
    }
    assert_eq!(server.stats().input_bytes, 0);
}

#[test]
fn attachments_that_wait_for_the_last_one_are_counted_too() {
    let server = Server::with(|options| options.input_bytes_max = 50_000);
    let client = WebSocket::joined(&server);
    client.send(r#"453-["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]"#);
    client.conn.send(frame(0x82, &[0; 30_000]));
    assert!(!client.conn.is_closed());
    client.conn.send(frame(0x82, &[0; 30_000]));
    assert_eq!(server.closed(), ["transport_error"]);
    client.conn.reset();
    assert_eq!(server.stats().input_bytes, 0);
}
