//! HTTP connections: several requests on one, bodies of every kind, what is refused, what takes too long, and
//! how each of them ends (RFC 9112; protocol.md 1.2, 1.5, 1.6).

use crate::support::http::{bare, get, post, post_chunked, post_with, with_fields};
use crate::support::polling::{HANDSHAKE, Polling, packets};
use crate::support::websocket::{self, WebSocket, encode, request};
use crate::support::{Conn, Server};
use std::time::Duration;
use tidegate_core::limits::HEAD_BYTES_MAX;
use tidegate_core::shard::routes::Routes;

const SESSION: &str = r#"400 {"code":1,"message":"Session ID unknown"}"#;

fn echo(number: usize) -> String {
    format!(r#"42["echo",{number}]"#)
}

/// A server whose `/` echoes.
fn bare_server(shards: u16) -> Server {
    Server::build(shards, Routes { bare_endpoints: true, ..Routes::default() }, |_| {})
}

#[test]
fn one_connection_serves_a_whole_session() {
    let server = Server::new();
    let client = Polling::open(&server);
    let conn = server.connect();
    for number in 0..3 {
        conn.send(post(&client.target, if number == 0 { "40".to_owned() } else { echo(number) }));
        assert_eq!(conn.response().summary(), "200 ok");
        conn.send(get(&client.target));
        assert_eq!(packets(&conn).len(), 1);
    }
    assert!(!conn.has_fin());
    server.assert_nothing_leaks();
}

#[test]
fn pipelined_requests_are_answered_in_order_each_after_the_one_before() {
    for shards in [1, 2] {
        let server = Server::sharded(shards);
        let client = Polling::joined_on(&server, shards - 1).via(0);
        let requests = [
            get(&client.target).into_bytes(),
            get(&client.target).into_bytes(),
            post(&client.target, echo(3)),
        ];
        let conn = client.start(requests.concat());
        assert!(conn.is_silent());
        client.post(echo(1));
        assert_eq!(packets(&conn), [echo(1)]);
        // The second poll was not there yet, so it does not overlap with the first.
        client.post(echo(2));
        assert_eq!(packets(&conn), [echo(2)]);
        assert_eq!(conn.response().summary(), "200 ok");
        assert_eq!(client.poll(), [echo(3)]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn pipelined_requests_are_the_same_wherever_the_network_cuts_them() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let requests = [
        post(&client.target, echo(1)),
        get(&client.target).into_bytes(),
        post_chunked(&client.target, echo(2).as_bytes(), 4),
        get(&client.target).into_bytes(),
        bare("HEAD", "/nowhere").into_bytes(),
        post(&client.target, ""),
    ];
    let bytes = requests[..5].concat();
    let check = |conn: &Conn| {
        assert_eq!(conn.response().summary(), "200 ok");
        assert_eq!(packets(conn), [echo(1)]);
        assert_eq!(conn.response().summary(), "200 ok");
        assert_eq!(packets(conn), [echo(2)]);
        assert_eq!(conn.response_to("HEAD").status, 404);
        assert!(conn.is_silent() && !conn.has_fin());
    };
    for cut in 0..bytes.len() {
        let conn = client.start(&bytes[..cut]);
        conn.send(&bytes[cut..]);
        check(&conn);
        conn.finish();
        assert!(conn.is_closed());
    }
    let conn = client.start("");
    conn.send_bytewise(&bytes);
    check(&conn);
    server.assert_nothing_leaks();
}

#[test]
fn a_client_that_pipelines_more_than_we_keep_is_read_again_as_its_requests_are_answered() {
    for shards in [1, 2] {
        let server = Server::sharded(shards);
        let client = Polling::joined_on(&server, shards - 1).via(0);
        // Three times what a connection keeps, in polls that each wait for their answer.
        let count = 3 * HEAD_BYTES_MAX / get(&client.target).len();
        let conn = client.start("");
        for _ in 0..count {
            conn.send(get(&client.target));
        }
        for number in 0..count {
            client.post(echo(number));
            assert_eq!(packets(&conn), [echo(number)], "{number} of {count}");
        }
        // The last poll was followed by nothing, and the connection is as good as new.
        conn.send(post(&client.target, echo(1)));
        conn.send(get(&client.target));
        assert_eq!(conn.response().summary(), "200 ok");
        assert_eq!(packets(&conn), [echo(1)]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn a_client_that_was_told_to_wait_is_read_again_while_the_head_of_its_next_request_is_incomplete() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let conn = client.get();
    let padding = format!("X: {}\r\n", "x".repeat(8_000));
    let large = with_fields("GET", "/nowhere", &padding);
    let (first, rest) = large.split_at(4_000);
    conn.send([large.as_str(), &large, first].concat());
    conn.send(rest);
    client.post(echo(1));
    assert_eq!(packets(&conn), [echo(1)]);
    for _ in 0..3 {
        assert_eq!(conn.response().status, 404);
    }
    assert!(conn.is_silent());
}

#[test]
fn a_client_that_does_not_read_its_answers_is_not_served_on() {
    let page = vec![b'x'; 100_000];
    let server = bare_server(1);
    let conn = server.connect();
    conn.block();
    conn.send(post("/", &page));
    for _ in 0..100 {
        conn.send(post("/", &page));
    }
    assert!(server.stats().outbox_bytes < 300_000, "{}", server.stats().outbox_bytes);
    for _ in 0..101 {
        conn.unblock();
        assert_eq!(conn.response().body, page);
    }
    assert!(conn.is_silent());
    server.assert_nothing_leaks();
}

#[test]
fn a_head_request_gets_no_body() {
    let server = bare_server(1);
    let conn = server.connect();
    conn.send(bare("HEAD", "/"));
    assert_eq!(conn.response_to("HEAD").status, 200);
    conn.send(bare("HEAD", "/socket.io/"));
    let response = conn.response_to("HEAD");
    assert_eq!((response.status, response.field("content-length")), (400, Some("40")));
    assert!(conn.is_silent());
}

#[test]
fn a_client_that_asks_is_told_to_go_on_before_it_sends_the_body() {
    for shards in [1, 2] {
        let server = Server::sharded(shards);
        let client = Polling::joined_on(&server, shards - 1).via(0);
        let whole = post_with(&client.target, "Expect: 100-continue\r\n", echo(1));
        let (head, body) = whole.split_at(whole.len() - echo(1).len());
        let conn = client.start(head);
        assert_eq!(conn.take(), b"HTTP/1.1 100 Continue\r\n\r\n");
        conn.send(body);
        assert_eq!(conn.response().summary(), "200 ok");
        assert_eq!(client.poll(), [echo(1)]);
        // Whoever sends the body along does not need to be told.
        let conn = client.start(&whole);
        assert_eq!(conn.response().summary(), "200 ok");
        assert!(conn.is_silent());
    }
}

#[test]
fn a_client_that_asks_to_send_too_much_is_refused_at_once() {
    let server = Server::with(|options| options.max_payload = 100);
    let client = Polling::joined(&server);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n",
        client.target
    );
    let conn = client.start(head);
    assert_eq!(conn.response().summary(), "413");
    assert!(!client.is_gone());
}

#[test]
fn after_413_the_rest_of_the_body_is_skipped_and_the_connection_goes_on() {
    for shards in [1, 2] {
        let server = Server::build(shards, Routes::default(), |options| options.max_payload = 100);
        let client = Polling::joined_on(&server, shards - 1).via(0);
        let body = vec![b'6'; 10_000];
        for whole in [post(&client.target, &body), post_chunked(&client.target, &body, 60)] {
            for cut in [whole.len(), whole.len() - 1, whole.len() - 9_000] {
                let conn = client.start(&whole[..cut]);
                assert_eq!(conn.response().summary(), "413", "{shards} shards, {cut}");
                conn.send([&whole[cut..], &post(&client.target, echo(1))].concat());
                assert_eq!(conn.response().summary(), "200 ok", "{shards} shards, {cut}");
                assert_eq!(client.poll(), [echo(1)]);
            }
        }
        server.assert_nothing_leaks();
    }
}

#[test]
fn a_body_that_goes_on_and_on_costs_the_connection() {
    let server = Server::with(|options| options.max_payload = 100);
    let client = Polling::joined(&server);
    let head = format!("POST {} HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999\r\n\r\n", client.target);
    let conn = client.start(head);
    assert_eq!(conn.response().summary(), "413");
    for _ in 0..20 {
        assert!(!conn.has_fin());
        conn.send(vec![b'6'; 50_000]);
    }
    conn.send(vec![b'6'; 100_000]);
    assert!(conn.has_fin() && !client.is_gone());
    server.assert_nothing_leaks();
}

#[test]
fn an_early_refusal_does_not_confuse_the_connection_wherever_its_body_is_cut() {
    // The answer is there before the body: of an unknown session, of octets, of a handshake by POST.
    for shards in [1, 2] {
        let server = Server::sharded(shards);
        let octets =
            |target: &str| post_with(target, "Content-Type: application/octet-stream\r\n", "0123456789");
        let unknown = format!("{HANDSHAKE}&sid=AAAAAAAAAAAAAAAAAAAA");
        for kind in 0..4 {
            let length = 12;
            for missing in 0..=length {
                let client = Polling::joined_on(&server, shards - 1).via(0);
                let (whole, expected) = match kind {
                    0 => (post(&unknown, "0123456789"), SESSION),
                    1 => (octets(&client.target), "400"),
                    2 => {
                        (post(HANDSHAKE, "0123456789"), r#"400 {"code":2,"message":"Bad handshake method"}"#)
                    }
                    _ => {
                        client.post("1");
                        (post(&client.target, "0123456789"), SESSION)
                    }
                };
                let cut = whole.len() - missing;
                let conn = client.start(&whole[..cut]);
                conn.send(&whole[cut..]);
                conn.send(get(HANDSHAKE));
                assert_eq!(conn.response().summary(), expected, "kind {kind}, {missing} bytes late");
                assert_eq!(conn.response().status, 200, "kind {kind}, {missing} bytes late");
                assert!(conn.is_silent());
            }
        }
        server.assert_nothing_leaks();
    }
}

#[test]
fn a_poll_with_a_body_waits_no_shorter_than_one_without() {
    let server = Server::with(|options| {
        options.ping_interval = Duration::from_secs(300);
    });
    let client = Polling::joined(&server);
    let conn = client.start(with_fields("GET", &client.target, "Content-Length: 3\r\n"));
    conn.send("abc");
    server.advance(200_000);
    assert!(conn.is_silent() && !conn.has_fin());
    client.post(echo(1));
    assert_eq!(packets(&conn), [echo(1)]);
}

#[test]
fn a_broken_chunk_ends_the_connection_and_the_session() {
    for shards in [1, 2] {
        let server = Server::sharded(shards);
        let client = Polling::joined_on(&server, shards - 1).via(0);
        let head =
            format!("POST {} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n", client.target);
        let conn = client.start(format!("{head}3\r\n42[\r\nx\r\n"));
        assert_eq!(conn.response().summary(), "400");
        assert!(conn.has_fin());
        assert_eq!(server.left(), ["/ transport error"]);
        assert!(client.is_gone());
        server.assert_nothing_leaks();
    }
}

#[test]
fn heads_that_cannot_be_understood_are_refused_and_the_connection_ends() {
    for (request, status) in [
        ("GET\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n".to_owned(), 505),
        (with_fields("GET", "/", &"X: y\r\n".repeat(101)), 431),
        (with_fields("GET", "/", &format!("X: {}\r\n", "y".repeat(HEAD_BYTES_MAX))), 431),
        (with_fields("POST", "/", "Content-Length: 1\r\nContent-Length: 1\r\n"), 400),
        (with_fields("POST", "/", "Expect: a-miracle\r\n"), 417),
        (get(&format!("/{}", "x".repeat(9_000))), 414),
    ] {
        let server = Server::new();
        let conn = server.connect();
        conn.send(format!("{request}{}", get(HANDSHAKE)));
        let response = conn.response();
        assert_eq!((response.status, response.field("connection")), (status, Some("close")), "{request:.40}");
        assert!(conn.has_fin() && conn.is_silent(), "nothing behind it is read");
        server.assert_nothing_leaks();
    }
}

#[test]
fn a_connection_that_sends_nothing_is_closed() {
    let server = Server::new();
    let conn = server.connect();
    server.advance(14_999);
    assert!(!conn.is_closed());
    server.advance(1);
    assert!(conn.is_closed() && conn.is_silent());
}

#[test]
fn a_head_has_to_come_in_time() {
    let server = Server::new();
    let conn = server.connect();
    server.advance(10_000);
    conn.send("GET / HT");
    server.advance(14_999);
    conn.send("TP/1.1\r\n");
    assert!(conn.is_silent());
    server.advance(1);
    let response = conn.response();
    assert_eq!((response.status, response.field("connection")), (408, Some("close")));
    assert!(conn.has_fin());
    server.assert_nothing_leaks();
}

#[test]
fn a_body_has_to_come_in_time() {
    for shards in [1, 2] {
        // The session itself lasts longer than the body may take.
        let server = Server::build(shards, Routes::default(), |options| {
            options.ping_interval = Duration::from_secs(300);
        });
        let client = Polling::joined_on(&server, shards - 1).via(0);
        let whole = post(&client.target, "3".repeat(10));
        let conn = client.start(&whole[..whole.len() - 5]);
        server.advance(30_000);
        conn.send("3");
        server.advance(29_999);
        assert!(conn.is_silent());
        server.advance(1);
        assert_eq!(conn.response().status, 408);
        assert!(conn.has_fin());
        assert_eq!(server.left(), ["/ transport error"]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn an_idle_connection_is_closed_after_a_while() {
    let server = Server::new();
    let conn = server.connect();
    conn.send(get("/nowhere"));
    assert_eq!(conn.response().status, 404);
    server.advance(74_999);
    conn.send(get("/nowhere"));
    assert_eq!(conn.response().status, 404);
    server.advance(74_999);
    assert!(!conn.is_closed());
    server.advance(1);
    assert!(conn.is_closed() && conn.is_silent());
}

#[test]
fn a_client_that_asks_to_close_gets_its_answer_and_fin() {
    let server = Server::new();
    for request in
        [with_fields("GET", "/nowhere", "Connection: close\r\n"), "GET /nowhere HTTP/1.0\r\n\r\n".to_owned()]
    {
        let conn = server.connect();
        conn.send(format!("{request}{}", get("/nowhere")));
        let response = conn.response();
        assert_eq!((response.status, response.field("connection")), (404, Some("close")));
        assert!(conn.has_fin() && !conn.is_closed() && conn.is_silent());
        // Closing while bytes arrive would reset the connection under the client's hands.
        conn.send("whatever still arrives");
        assert!(!conn.is_closed());
        server.advance(4_999);
        assert!(!conn.is_closed());
        conn.finish();
        assert!(conn.is_closed());
    }
    let conn = server.connect();
    conn.send(with_fields("GET", "/nowhere", "Connection: close\r\n"));
    server.advance(5_000);
    assert!(conn.is_closed(), "it does not wait for ever");
}

#[test]
fn a_client_that_asks_to_close_and_does_not_read_is_not_waited_for_for_ever() {
    for request in [with_fields("GET", "/nowhere", "Connection: close\r\n"), "nonsense\r\n\r\n".to_owned()] {
        let server = Server::new();
        let conn = server.connect();
        conn.block();
        conn.send(request);
        server.advance(600_000);
        assert!(conn.is_closed());
        assert!(server.is_drained());
    }
}

#[test]
fn a_client_of_http_1_0_may_keep_its_connection() {
    let server = Server::new();
    let conn = server.connect();
    conn.send("GET /nowhere HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(conn.response().field("connection"), Some("keep-alive"));
    assert!(!conn.has_fin());
    conn.send(get("/nowhere"));
    assert_eq!(conn.response().status, 404);
}

#[test]
fn a_client_that_has_sent_its_last_request_still_gets_the_answer() {
    for shards in [1, 2] {
        let server = Server::sharded(shards);
        let client = Polling::joined_on(&server, shards - 1).via(0);
        // The end comes before the answer could be written, or before it has come from the other shard.
        let conn = server.connect_to(0);
        conn.block();
        server.hold_mail();
        conn.send(post(&client.target, echo(1)));
        conn.finish();
        server.deliver_mail();
        conn.unblock();
        assert_eq!(conn.response().summary(), "200 ok", "{shards} shards");
        assert!(conn.is_closed());
        assert_eq!(client.poll(), [echo(1)]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn requests_behind_each_other_are_all_answered_though_the_client_has_sent_fin() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let conn = server.connect();
    conn.block();
    conn.send(
        [post(&client.target, echo(1)), get(&client.target).into_bytes(), get("/nowhere").into_bytes()]
            .concat(),
    );
    conn.finish();
    conn.unblock();
    assert_eq!(conn.response().summary(), "200 ok");
    assert_eq!(packets(&conn), [echo(1)]);
    assert_eq!(conn.response().status, 404);
    assert!(conn.is_closed());
}

#[test]
fn a_client_that_has_sent_fin_and_does_not_read_is_not_waited_for_for_ever() {
    let server = Server::new();
    let conn = server.connect();
    conn.block();
    conn.send(get("/nowhere"));
    conn.finish();
    server.advance(600_000);
    assert!(conn.is_closed());
}

/// Every request there is, as a function of a session in `/` and of one that waits for an upgrade.
#[test]
fn a_client_that_takes_its_answer_slowly_but_steadily_is_not_cut_off() {
    let server = bare_server(1);
    let conn = server.connect();
    conn.block();
    conn.send(post("/", vec![b'x'; 50_000]));
    for _ in 0..4 {
        server.advance(60_000);
        conn.read(10_000);
        assert!(!conn.is_closed());
    }
    conn.unblock();
    assert_eq!(conn.response().body.len(), 50_000);
    server.advance(75_000);
    assert!(conn.is_closed());
}

fn every_request(client: &Polling) -> Vec<Vec<u8>> {
    let upgrade = request(&format!("{}&sid={}", websocket::HANDSHAKE, client.sid));
    vec![
        get(HANDSHAKE).into_bytes(),
        get(&client.target).into_bytes(),
        post(&client.target, echo(1)),
        post_chunked(&client.target, echo(1).as_bytes(), 3),
        post_with(&client.target, "Expect: 100-continue\r\n", echo(1)),
        post_with(&client.target, "Content-Type: application/octet-stream\r\n", echo(1)),
        post(&client.target, "42[\"bye\",true]"),
        bare("OPTIONS", &client.target).into_bytes(),
        bare("HEAD", HANDSHAKE).into_bytes(),
        get("/nowhere").into_bytes(),
        post("/", "echo"),
        [request(websocket::HANDSHAKE).as_bytes(), &encode("40"), &encode("<0102>")].concat(),
        [upgrade.as_bytes(), &encode("2probe"), &encode("5"), &encode("420[\"echo\"]")].concat(),
        [get(&client.target).as_bytes(), get(&client.target).as_bytes(), &post(&client.target, echo(1))]
            .concat(),
    ]
}

#[test]
fn whatever_a_client_has_sent_when_it_goes_nothing_is_left_of_it() {
    for shards in [1, 2] {
        let count = every_request(&Polling::joined(&bare_server(1))).len();
        for kind in 0..count {
            let server = bare_server(shards);
            let length = every_request(&Polling::joined(&server))[kind].len();
            for prefix in 0..=length {
                for is_reset in [false, true] {
                    let client = Polling::joined_on(&server, shards - 1).via(0);
                    let conn = client.start(&every_request(&client)[kind][..prefix]);
                    conn.leave(is_reset);
                    assert!(is_reset || conn.is_closed(), "kind {kind}, {prefix} of {length} bytes");
                }
            }
            server.assert_nothing_leaks();
        }
    }
}

#[test]
fn whatever_a_client_has_sent_when_it_falls_silent_nothing_is_left_of_it() {
    for shards in [1, 2] {
        let server = bare_server(shards);
        let count = every_request(&Polling::joined(&server)).len();
        let conns: Vec<Conn> = (0..count)
            .flat_map(|kind| (0..400).step_by(3).map(move |prefix| (kind, prefix)))
            .map(|(kind, prefix)| {
                let client = Polling::joined_on(&server, shards - 1).via(0);
                let request = &every_request(&client)[kind];
                client.start(&request[..prefix.min(request.len())])
            })
            .collect();
        server.advance(600_000);
        assert!(conns.iter().all(Conn::is_closed));
        assert!(server.is_drained());
    }
}

#[test]
fn an_upgrade_behind_a_request_on_the_same_connection_works() {
    let server = Server::new();
    let conn = server.connect();
    conn.send([get("/nowhere"), request(websocket::HANDSHAKE)].concat());
    assert_eq!(conn.response().status, 404);
    assert_eq!(conn.response().status, 101);
    let client = WebSocket { conn, sid: String::new() };
    client.take();
    assert_eq!(client.say("40"), [r#"40{"sid":"~"}"#]);
    server.advance(600_000);
}
