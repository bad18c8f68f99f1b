//! What a review of the shard found: each test is a promise that was not kept.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in helpers too")]

#[expect(dead_code, reason = "the support of other tests is not all needed here")]
mod support;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use support::Server;
use support::http::{get, post, post_with, with_fields};
use support::polling::{Polling, packets};
use support::websocket::{HANDSHAKE, WebSocket, encode, frame, request, request_with};
use tidegate_core::http::{FieldStorage, HeadDecoder};
use tidegate_core::id::{RouteKey, ShardIndex};
use tidegate_core::options::Options;
use tidegate_core::session::handshake::Handshake;
use tidegate_core::shard::app::{App, Connect, Departed, Event, SocketKey, Ticket, Verdict};
use tidegate_core::shard::routes::Routes;
use tidegate_core::shard::{ConnKey, Io, Peer, Shard, ShardSetup, StreamHandle};
use tidegate_core::socket_io::ArgsRef;
use tidegate_core::time::Instant;

/// An application that does what events tell it, and writes down what it is told, in order.
#[derive(Default)]
struct Diary {
    log: Rc<RefCell<Vec<String>>>,
    naps: u32,
}

impl Diary {
    fn note(&self, entry: impl Into<String>) {
        self.log.borrow_mut().push(entry.into());
    }
}

impl App for Diary {
    fn connect(&mut self, _io: &mut Io<'_>, _socket: SocketKey, _request: &Connect<'_>) -> Verdict {
        Verdict::Accept
    }

    fn connected(&mut self, _io: &mut Io<'_>, _socket: SocketKey) {
        self.note("connected");
    }

    fn event(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>) {
        let name = event.name.map_or("", |name| name.json()).trim_matches('"');
        self.note(name);
        match name {
            "ask" => io.emit_with_ack(socket, "question", ArgsRef::default(), None, Ticket(1)),
            "leave" => io.disconnect(socket, false),
            "nap" => io.wake_after(Duration::ZERO, Ticket(2)),
            "join, then look around" => {
                io.join(socket, "room");
                io.fetch_sockets(&tidegate_core::shard::app::Selector::namespace("/"), Ticket(3));
            }
            _ => {}
        }
    }

    fn acknowledged(
        &mut self,
        _io: &mut Io<'_>,
        _ticket: Ticket,
        answer: Result<ArgsRef<'_>, tidegate_core::shard::app::AckError>,
    ) {
        self.note(format!("answer {}", answer.map_or("none", ArgsRef::json)));
    }

    fn woken(&mut self, io: &mut Io<'_>, ticket: Ticket) {
        self.naps += 1;
        self.note("woken");
        // Without an end this would be a test that never ends.
        if self.naps < 100 {
            io.wake_after(Duration::ZERO, ticket);
        }
    }

    fn disconnected(&mut self, _io: &mut Io<'_>, socket: Departed) {
        self.note(format!("disconnected {}", socket.namespace));
    }
}

/// One shard of several, an application of our own, and one WebSocket whose bytes we write.
struct Bench {
    shard: Shard,
    conn: ConnKey,
    log: Rc<RefCell<Vec<String>>>,
    now: Instant,
}

impl Bench {
    fn new(shards: u16) -> Self {
        let now = Instant::from_millis(1_000);
        let setup = ShardSetup {
            index: ShardIndex(0),
            shards,
            options: Arc::new(Options::default()),
            routes: Arc::new(Routes::default()),
            route_key: RouteKey::new([1, 2, 3, 4]),
            seed: [1; 32],
            now,
            unix_origin: 0,
        };
        let app = Diary::default();
        let log = Rc::clone(&app.log);
        let mut shard = Shard::new(setup, Box::new(app));
        let peer = Peer { address: ([127, 0, 0, 1], 5000).into() };
        let conn = shard.handle_accepted(now, StreamHandle(3), peer);
        let mut bench = Self { shard, conn, log, now };
        bench.send(request(HANDSHAKE).into_bytes());
        bench
    }

    fn send(&mut self, mut bytes: Vec<u8>) {
        self.shard.handle_bytes(self.now, self.conn, &mut bytes);
        while let Some((conn, _, queue)) = self.shard.poll_write() {
            let count = queue.bytes();
            self.shard.handle_written(self.now, conn, count);
        }
    }

    /// Sends messages in one segment, and gives what the application was told.
    fn told(&mut self, messages: &[&str]) -> Vec<String> {
        self.log.borrow_mut().clear();
        self.send(messages.iter().flat_map(|message| encode(message)).collect());
        self.log.borrow().clone()
    }
}

#[test]
fn an_application_hears_an_answer_before_the_event_that_was_sent_after_it() {
    let mut bench = Bench::new(1);
    bench.told(&["40"]);
    bench.told(&[r#"42["ask"]"#]);
    let told = bench.told(&[r#"42["before"]"#, r#"430["yes"]"#, r#"42["after"]"#]);
    assert_eq!(told, ["before", r#"answer "yes""#, "after"]);
}

#[test]
fn an_application_hears_that_a_socket_left_before_what_its_client_did_next() {
    let mut bench = Bench::new(1);
    bench.told(&["40"]);
    bench.told(&["40/a,"]);
    assert_eq!(bench.told(&["41/a,", r#"42["after"]"#]), ["disconnected /a", "after"]);
    bench.told(&["40/a,"]);
    assert_eq!(bench.told(&[r#"42/a,["leave"]"#, r#"42["after"]"#]), ["leave", "disconnected /a", "after"]);
}

#[test]
fn a_client_may_come_back_in_the_tick_in_which_the_server_sent_it_away() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    // `disconnect().connect()` at the client, which has not seen yet that it was disconnected.
    client.send_all(&[r#"42["bye",false]"#, "41", "40"]);
    assert_eq!(client.take(), ["41", r#"40{"sid":"~"}"#]);
    assert_eq!(server.left(), ["/ server namespace disconnect"]);
    assert_eq!(client.say(r#"420["echo"]"#), ["430[]"]);
}

#[test]
fn a_nap_of_nothing_lets_the_shard_do_something_else() {
    let mut bench = Bench::new(1);
    bench.told(&["40"]);
    bench.told(&[r#"42["nap"]"#]);
    for naps in 0..10 {
        assert_eq!(bench.log.borrow().len(), 1 + naps, "one a millisecond");
        bench.now = bench.now + Duration::from_millis(1);
        bench.shard.handle_timeout(bench.now);
    }
}

#[test]
fn other_shards_hear_of_a_new_room_before_anything_that_was_said_after_it() {
    let mut bench = Bench::new(2);
    bench.told(&["40"]);
    while bench.shard.poll_message().is_some() {}
    bench.told(&[r#"42["join, then look around"]"#]);
    let messages: Vec<String> = std::iter::from_fn(|| bench.shard.poll_message())
        .map(|(_, message)| format!("{message:?}"))
        .collect();
    assert_eq!(messages.len(), 2);
    assert!(messages[0].contains("Interest") && messages[1].contains("Select"), "{messages:?}");
}

#[test]
#[should_panic(expected = "129 shards are more than 128")]
fn more_shards_than_a_broadcast_can_name_are_refused_at_the_start() {
    Bench::new(129);
}

#[test]
fn probes_without_end_from_a_client_that_does_not_read_end_the_attempt() {
    let server = Server::with(|options| options.outbox_bytes_max = 10_000);
    let client = Polling::open(&server);
    let candidate = WebSocket::upgrade(&server, &client.sid, 0);
    candidate.conn.block();
    for _ in 0..1_000 {
        candidate.send("2probe");
    }
    assert!(candidate.conn.is_closed());
    assert!(!client.is_gone());
    server.assert_nothing_leaks();
}

#[test]
fn nothing_that_follows_a_close_frame_keeps_a_connection_alive() {
    for junk in [frame(0x88, b""), frame(0x83, b""), frame(0x81, b"\xff")] {
        let server = Server::new();
        let client = WebSocket::joined(&server);
        client.conn.block();
        client.send(r#"42["bye",true]"#);
        for _ in 0..4 {
            server.advance(1_300);
            client.conn.send(&junk);
        }
        assert!(client.conn.is_closed(), "{junk:?}");
    }
}

#[test]
fn a_request_that_was_refused_for_being_late_gets_no_second_answer() {
    let server =
        Server::build(2, Routes::default(), |options| options.ping_interval = Duration::from_secs(600));
    let client = Polling::joined_on(&server, 1).via(0);
    server.hold_mail();
    let conn = client.start("");
    conn.block();
    // A poll whose body never comes.
    conn.send(with_fields("GET", &client.target, "Content-Length: 5\r\n"));
    server.advance(60_000);
    server.deliver_mail();
    conn.unblock();
    assert_eq!(conn.response().status, 408);
    assert_eq!(String::from_utf8(conn.take()).unwrap(), "");
    server.assert_nothing_leaks();
}

#[test]
fn the_largest_head_may_come_in_pieces_behind_empty_lines() {
    let server = Server::new();
    let start = "GET /nowhere HTTP/1.1\r\nHost: test\r\nX: ";
    let head = format!("{start}{}\r\n\r\n", "x".repeat(16_384 - start.len() - 4));
    let conn = server.connect();
    let (most, last) = head.split_at(head.len() - 1);
    conn.send(format!("\r\n\r\n{most}"));
    conn.send(last);
    assert_eq!(conn.response().status, 404);
}

#[test]
fn a_request_with_a_body_does_not_become_a_websocket() {
    // RFC 9110 §7.8: not before the whole request is here. Whether these bytes are frames or a body is what a
    // proxy and we could disagree about.
    for fields in ["Content-Length: 6\r\n", "Transfer-Encoding: chunked\r\n"] {
        let server = Server::new();
        let response = server.request(request_with(HANDSHAKE, fields));
        assert_eq!(response.summary(), "400", "{fields}");
        let client = Polling::open(&server);
        let target = format!("{HANDSHAKE}&sid={}", client.sid);
        assert_eq!(server.request(request_with(&target, fields)).summary(), "400", "{fields}");
        assert!(!client.is_gone());
        server.assert_nothing_leaks();
    }
}

#[test]
fn what_is_held_of_pipelined_requests_is_not_counted_once_they_are_answered() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let conn = client.get();
    conn.send(post(&client.target, "3"));
    assert!(server.stats().input_bytes > 0);
    client.post(r#"42["echo"]"#);
    assert_eq!(packets(&conn), [r#"42["echo"]"#]);
    assert_eq!(conn.response().summary(), "200 ok");
    assert_eq!(server.stats().input_bytes, 0);
}

#[test]
fn frames_that_come_along_with_a_moved_connection_are_counted() {
    let server = Server::sharded(2);
    let client = Polling::joined_on(&server, 1);
    let conn = server.connect();
    let unfinished = &frame(0x82, &[0; 5_000])[..4_000];
    let target = format!("{HANDSHAKE}&sid={}", client.sid);
    conn.send([request(&target).as_bytes(), unfinished].concat());
    assert_eq!(conn.shard(), 1);
    assert!(server.stats().input_bytes >= 3_900);
    server.assert_nothing_leaks();
}

#[test]
fn a_socket_that_is_not_in_yet_cannot_be_disconnected() {
    // Node: `socket.disconnect()` in a middleware does nothing, and the client gets its answer.
    let server = Server::new();
    let client = WebSocket::open(&server);
    client.send("40/later,");
    let socket = server.told().waiting[0];
    server.run(0, move |io| io.disconnect(socket, false));
    assert!(server.told().abandoned.is_empty());
    server.run(0, move |io| io.accept(socket));
    assert_eq!(client.take(), [r#"40/later,{"sid":"~"}"#]);
}

#[test]
fn what_clients_send_with_connect_is_bounded_because_it_is_kept() {
    let connect =
        |namespace: &str, bytes: usize| format!("40{namespace},{{\"a\":\"{}\"}}", "x".repeat(bytes));
    let server = Server::new();
    let client = WebSocket::open(&server);
    assert_eq!(client.say(&connect("/dyn-1", 60_000)), [r#"40/dyn-1,{"sid":"~"}"#]);
    assert_eq!(client.say(&connect("/dyn-2", 60_000)), ["CLOSE 1005"]);
    let client = WebSocket::open(&server);
    for _ in 0..3 {
        assert_eq!(client.say(&connect("/dyn-1", 60_000)), [r#"40/dyn-1,{"sid":"~"}"#]);
        client.say("41/dyn-1,");
    }
    let client = WebSocket::open(&server);
    assert_eq!(client.say(&connect("/", 100_000)), ["CLOSE 1005"]);
}

#[test]
fn a_body_that_comes_with_its_expectation_costs_no_connection() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let conn = client.start(post_with(&client.target, "Expect: 100-continue\r\n", "3"));
    let response = conn.response();
    assert_eq!((response.summary().as_str(), response.field("connection")), ("200 ok", None));
    conn.send(get("/nowhere"));
    assert_eq!(conn.response().status, 404);
}

#[test]
fn secrets_of_a_handshake_do_not_get_into_logs() {
    let request = b"GET /socket.io/?token=hunter2 HTTP/1.1\r\nHost: a\r\nCookie: session=hunter2\r\n\r\n";
    let mut storage = FieldStorage::new();
    let (head, _) = HeadDecoder::new().decode(request, &mut storage).unwrap().unwrap();
    let handshake = Handshake::new(([127, 0, 0, 1], 5000).into(), 0, head.target, &head.fields);
    let shown = format!("{handshake:?}");
    assert!(shown.contains("cookie") && !shown.contains("hunter2"), "{shown}");
}
