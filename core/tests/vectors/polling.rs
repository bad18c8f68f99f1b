//! protocol.md 9.2, and 1.4 to 1.7 for polling.

use crate::support::Server;
use crate::support::http::{get, post, post_chunked, post_with, with_fields};
use crate::support::polling::{Polling, packets};
use flate2::read::{GzDecoder, ZlibDecoder};
use std::io::Read as _;
use tidegate_core::shard::app::Flags;
use tidegate_core::shard::routes::Routes;
use tidegate_core::socket_io::{Args, ArgsRef};

const VOLATILE: Flags = Flags { volatile: true, compress: true, local: false };
const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

/// A session of bare Engine.IO, whose messages come back.
fn echo() -> (Server, Polling) {
    let server = Server::build(1, Routes { bare_endpoints: true, ..Routes::default() }, |_| {});
    let client = Polling::open_at(&server, "/engine.io/?EIO=4&transport=polling", 0);
    (server, client)
}

#[test]
fn p1_a_connect_is_answered_by_the_next_poll() {
    let server = Server::new();
    let client = Polling::open(&server);
    let response = client.post("40");
    assert_eq!(response.summary(), "200 ok");
    assert_eq!(response.field("content-type"), Some("text/html"));
    assert_eq!(response.field("content-length"), Some("2"));
    assert_eq!(response.field("cache-control"), Some("no-store"));
    let response = client.get().response();
    assert_eq!((response.summary().as_str(), response.body.len()), (r#"200 40{"sid":"~"}"#, 32));
    assert_eq!(response.field("cache-control"), Some("no-store"));
}

#[test]
fn p2_p3_messages_come_in_order_text_and_binary() {
    let (_, client) = echo();
    client.post("4test1\u{1e}4test2\u{1e}4test3");
    assert_eq!(client.poll(), ["4test1", "4test2", "4test3"]);
    client.post("4hello\u{1e}bAQIDBA==");
    assert_eq!(client.poll(), ["4hello", "bAQIDBA=="]);
}

#[test]
fn p4_a_malformed_body_is_a_parse_error_after_what_came_before_it() {
    for body in ["", "abc", "7", "\u{1e}", "40\u{1e}", "40\u{1e}abc\u{1e}42[\"a\"]", "b*"] {
        let server = Server::new();
        let client = Polling::open(&server);
        let poll = client.get();
        assert_eq!(client.post(body).summary(), "200 ok", "{body:?}");
        assert_eq!(packets(&poll), ["1"], "{body:?}");
        assert_eq!(server.closed(), ["parse_error"], "{body:?}");
        assert!(client.is_gone(), "{body:?}");
        server.assert_nothing_leaks();
    }
}

#[test]
fn p4_packets_in_front_of_the_damage_are_delivered() {
    let server = Server::new();
    let client = Polling::joined(&server);
    client.post("42[\"a\"]\u{1e}\u{1e}42[\"b\"]");
    assert_eq!(server.told().events, ["/ \"a\" "]);
    assert_eq!(server.left(), ["/ parse error"]);
}

#[test]
fn p5_a_ping_of_the_client_goes_the_wrong_way() {
    for body in ["2", "2probe", "2\u{1e}4hello"] {
        let server = Server::new();
        let client = Polling::open(&server);
        let poll = client.get();
        assert_eq!(client.post(body).summary(), "200 ok", "{body}");
        assert_eq!(packets(&poll), ["1"], "{body}");
        assert_eq!(server.closed(), ["transport_error"], "{body}");
        assert!(client.is_gone());
    }
}

#[test]
fn p6_packets_without_a_meaning_are_ignored() {
    for body in ["3", "3probe", "5", "6", "0"] {
        let server = Server::new();
        let client = Polling::open(&server);
        let poll = client.get();
        assert_eq!(client.post(body).summary(), "200 ok", "{body}");
        assert!(poll.is_silent() && !client.is_gone(), "{body}");
    }
}

#[test]
fn p7_a_client_that_says_goodbye_gets_a_noop() {
    let server = Server::new();
    let client = Polling::open(&server);
    let poll = client.get();
    assert_eq!(client.post("1\u{1e}40").summary(), "200 ok");
    assert_eq!(packets(&poll), ["6"]);
    assert_eq!(server.closed(), ["transport_close"]);
    assert!(client.is_gone());
    assert!(server.told().connected.is_empty(), "what follows the goodbye is dropped");
}

#[test]
fn p8_a_message_that_socket_io_cannot_decode_closes_the_session() {
    for body in ["4", "4abc", "bAQID"] {
        let server = Server::new();
        let client = Polling::open(&server);
        let poll = client.get();
        assert_eq!(client.post(body).summary(), "200 ok", "{body}");
        assert_eq!(packets(&poll), ["1"], "{body}");
        assert_eq!(server.closed(), ["forced_close"], "{body}");
        assert!(client.is_gone());
    }
}

#[test]
fn p9_a_second_poll_ends_the_session() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let (first, second) = (client.get(), client.get());
    assert_eq!(second.response().summary(), "400");
    assert_eq!(packets(&first), ["1"]);
    assert_eq!(server.left(), ["/ transport error"]);
    assert!(client.is_gone());
    server.assert_nothing_leaks();
}

#[test]
fn p10_a_second_post_ends_the_session_and_the_connection_of_the_first() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let poll = client.get();
    let whole = post(&client.target, "42[\"a\"]");
    let first = client.start(&whole[..whole.len() - 1]);
    assert_eq!(client.post("42[\"b\"]").summary(), "400");
    assert!(first.is_closed() && first.is_silent());
    assert_eq!(packets(&poll), ["1"]);
    assert_eq!(server.left(), ["/ transport error"]);
    assert!(server.told().events.is_empty());
    assert!(client.is_gone());
    server.assert_nothing_leaks();
}

#[test]
fn p11_p12_a_body_of_octets_is_refused_by_its_exact_type() {
    for (content_type, is_refused) in [
        ("application/octet-stream", true),
        ("application/octet-stream; charset=utf-8", false),
        ("Application/Octet-Stream", false),
        ("text/plain", false),
    ] {
        let server = Server::new();
        let client = Polling::open(&server);
        let poll = client.get();
        let fields = format!("Content-Type: {content_type}\r\n");
        let response = client.start(post_with(&client.target, &fields, "3")).response();
        assert_eq!(response.summary(), if is_refused { "400" } else { "200 ok" }, "{content_type}");
        assert_eq!(client.is_gone(), is_refused, "{content_type}");
        if is_refused {
            assert_eq!(packets(&poll), ["1"]);
            assert_eq!(server.closed(), ["transport_error"]);
        }
    }
}

#[test]
fn p13_a_body_may_have_exactly_the_size_of_the_limit() {
    let server = Server::with(|options| options.max_payload = 100);
    let client = Polling::open(&server);
    let body = |bytes: usize| format!("6{}", "x".repeat(bytes - 1)).into_bytes();
    assert_eq!(client.post(body(101)).summary(), "413");
    assert_eq!(client.post(body(100)).summary(), "200 ok");
    let chunked = |bytes| client.start(post_chunked(&client.target, &body(bytes), 33)).response().summary();
    assert_eq!(chunked(101), "413");
    assert_eq!(chunked(100), "200 ok");
    assert!(!client.is_gone());
}

#[test]
fn p13_nothing_of_a_body_that_is_too_large_is_processed() {
    let server = Server::with(|options| options.max_payload = 100);
    let client = Polling::joined(&server);
    let body = format!("42[\"a\"]\u{1e}4{}", "x".repeat(100));
    assert_eq!(client.post(body).summary(), "413");
    assert!(server.told().events.is_empty() && server.left().is_empty());
}

#[test]
fn p14_a_poll_whose_connection_is_lost_ends_the_session() {
    for is_reset in [false, true] {
        let server = Server::new();
        let client = Polling::joined(&server);
        let poll = client.get();
        poll.leave(is_reset);
        assert!(client.is_gone());
        assert_eq!(server.left(), ["/ transport error"]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn a_post_whose_connection_is_lost_ends_the_session() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let whole = post(&client.target, "42[\"a\"]");
    client.start(&whole[..whole.len() - 1]).reset();
    assert!(client.is_gone());
    assert_eq!((server.left(), server.told().events.len()), (vec!["/ transport error".to_owned()], 0));
}

#[test]
fn p15_p18_a_session_that_the_server_closed_waits_for_its_client() {
    let server = Server::new();
    let client = Polling::joined(&server);
    assert_eq!(client.post("42[\"a\"").summary(), "200 ok");
    assert_eq!(server.left(), ["/ forced close"]);
    assert_eq!(client.post("40").summary(), "200 ok", "P18: ignored");
    assert_eq!(client.poll(), ["6", "1"]);
    assert!(client.is_gone());
    server.assert_nothing_leaks();
}

#[test]
fn p15_it_does_not_wait_for_ever() {
    let server = Server::new();
    let client = Polling::joined(&server);
    client.post("42[\"a\"");
    server.advance(29_999);
    assert!(!client.is_gone());
    server.advance(1);
    assert!(client.is_gone());
}

#[test]
fn p16_what_was_queued_comes_before_the_end() {
    let server = Server::new();
    let client = Polling::joined(&server);
    assert_eq!(client.post("42[\"bye\",true]").summary(), "200 ok");
    assert_eq!(server.left(), ["/ server namespace disconnect"]);
    assert_eq!(client.poll(), ["41"]);
    assert_eq!(client.poll(), ["6", "1"]);
    assert!(client.is_gone());
}

#[test]
fn p17_a_second_connect_is_a_forced_server_close_to_the_application() {
    let server = Server::new();
    let client = Polling::joined(&server);
    assert_eq!(client.post("40").summary(), "200 ok");
    assert_eq!(server.left(), ["/ forced server close"]);
    assert_eq!(client.poll(), ["6", "1"]);
    assert!(client.is_gone());
}

#[test]
fn p19_bytes_that_are_not_utf8_become_replacement_characters() {
    let server = Server::new();
    let client = Polling::joined(&server);
    client.post(b"420[\"echo\",\"\xff\xfe\"]");
    assert_eq!(client.poll(), ["430[\"\u{fffd}\u{fffd}\"]"]);
}

#[test]
fn p20_base64_may_be_without_padding_and_with_spaces() {
    for attachment in ["bAQIDBA==", "bAQIDBA", "bAQ IDBA=="] {
        let server = Server::new();
        let client = Polling::joined(&server);
        client.post(format!("451-0[\"echo\",{PLACEHOLDER}]\u{1e}{attachment}"));
        assert_eq!(client.poll(), [format!("461-0[{PLACEHOLDER}]").as_str(), "bAQIDBA=="], "{attachment}");
    }
}

#[test]
fn p21_a_volatile_packet_without_a_waiting_poll_is_dropped() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let (socket, _) = server.told().connected[0];
    server.run(0, move |io| {
        io.emit_with(socket, VOLATILE, "v1", ArgsRef::default());
        io.emit(socket, "n1", ArgsRef::default());
        io.emit_with(socket, VOLATILE, "v2", ArgsRef::default());
    });
    assert_eq!(client.poll(), [r#"42["n1"]"#]);
    assert_eq!(server.stats().volatile_dropped, 2);
}

#[test]
fn p22_a_waiting_poll_takes_one_packet_even_a_volatile_one() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let (socket, _) = server.told().connected[0];
    let poll = client.get();
    server.run(0, move |io| {
        io.emit_with(socket, VOLATILE, "v3", ArgsRef::default());
        io.emit_with(socket, VOLATILE, "v4", ArgsRef::default());
        io.emit(socket, "n2", ArgsRef::default());
    });
    assert_eq!(packets(&poll), [r#"42["v3"]"#]);
    assert_eq!(client.poll(), [r#"42["n2"]"#]);
}

#[test]
fn p22_a_volatile_packet_is_sent_or_dropped_with_its_attachments() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let (socket, _) = server.told().connected[0];
    let emit = move |io: &mut tidegate_core::shard::Io<'_>| {
        let mut args = Args::new();
        args.push_binary(vec![1, 2]).unwrap().push_binary(vec![3]).unwrap();
        io.emit_with(socket, VOLATILE, "v", args.as_ref());
    };
    server.run(0, emit);
    let poll = client.get();
    assert!(poll.is_silent());
    server.run(0, emit);
    let head = r#"452-["v",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    assert_eq!(packets(&poll), [head, "bAQI=", "bAw=="]);
}

/// A body of `bytes` bytes on its way to a client that accepts these codings.
fn coded(bytes: usize, compress: bool, accept: &str) -> (Option<String>, Option<String>, Vec<u8>) {
    let server = Server::new();
    let client = Polling::joined(&server);
    let (socket, _) = server.told().connected[0];
    server.run(0, move |io| {
        let mut args = Args::new();
        args.push(&"x".repeat(bytes - r#"42["a",""]"#.len())).unwrap();
        io.emit_with(socket, Flags { compress, ..Flags::default() }, "a", args.as_ref());
    });
    let fields = format!("Accept-Encoding: {accept}\r\n");
    let response = client.start(with_fields("GET", &client.target, &fields)).response();
    let field = |name| response.field(name).map(ToOwned::to_owned);
    (field("content-encoding"), field("content-length"), response.body.clone())
}

#[test]
fn p23_large_answers_are_compressed_for_clients_that_can_read_them() {
    let plain = |bytes: usize| format!("42[\"a\",\"{}\"]", "x".repeat(bytes - 10)).into_bytes();
    let inflate = |body: &[u8]| {
        let mut text = Vec::new();
        GzDecoder::new(body).read_to_end(&mut text).unwrap();
        text
    };
    let (coding, length, body) = coded(1024, true, "gzip");
    assert_eq!((coding.as_deref(), length, inflate(&body)), (Some("gzip"), None, plain(1024)));
    let (coding, length, body) = coded(1023, true, "gzip");
    assert_eq!((coding, length.as_deref(), body), (None, Some("1023"), plain(1023)));
    assert_eq!(coded(1024, false, "gzip").0, None, "the application did not want it");
    assert_eq!(coded(1024, true, "br, identity").0, None);
    assert_eq!(coded(1024, true, "gzip;q=0").0, None);
    assert_eq!(coded(1024, true, "*").0.as_deref(), Some("gzip"));
    let (coding, _, body) = coded(1024, true, "deflate");
    let mut text = Vec::new();
    ZlibDecoder::new(&body[..]).read_to_end(&mut text).unwrap();
    assert_eq!((coding.as_deref(), text), (Some("deflate"), plain(1024)));
}

#[test]
fn a_poll_takes_everything_that_is_queued() {
    let (_, client) = echo();
    let body = "x".repeat(400_000);
    for _ in 0..2 {
        client.post(format!("4{body}"));
    }
    assert_eq!(client.poll().len(), 2);
}

#[test]
fn a_packet_that_comes_answers_the_poll_that_waits() {
    let server = Server::new();
    let client = Polling::joined(&server);
    let poll = client.get();
    assert!(poll.is_silent());
    client.post(r#"42["echo",1]"#);
    assert_eq!(packets(&poll), [r#"42["echo",1]"#]);
    // The connection is good for the next one.
    poll.send(get(&client.target));
    client.post(r#"42["echo",2]"#);
    assert_eq!(packets(&poll), [r#"42["echo",2]"#]);
}

#[test]
fn an_overlapping_poll_gets_nothing_of_what_was_queued_for_the_first() {
    let (server, client) = echo();
    let (first, second) = (client.get(), client.get());
    assert_eq!((packets(&first), second.response().summary().as_str()), (vec!["1".to_owned()], "400"));
    assert_eq!(server.closed(), ["transport_error"]);
}
