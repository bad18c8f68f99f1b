//! protocol.md 9.1: HTTP and handshakes.

use crate::support::Server;
use crate::support::http::{bare, get, post, with_fields};
use crate::support::polling::{HANDSHAKE, Polling, sid_of};
use crate::support::websocket::{self, ACCEPT, WebSocket, request, request_with};
use bytes::Bytes;
use tidegate_core::front::assets::{Asset, Codings, Rules};
use tidegate_core::options::{CorsOptions, Options};
use tidegate_core::shard::routes::Routes;

const TRANSPORT: &str = r#"400 {"code":0,"message":"Transport unknown"}"#;
const SESSION: &str = r#"400 {"code":1,"message":"Session ID unknown"}"#;
const METHOD: &str = r#"400 {"code":2,"message":"Bad handshake method"}"#;
const REQUEST: &str = r#"400 {"code":3,"message":"Bad request"}"#;
const REVISION: &str = r#"400 {"code":5,"message":"Unsupported protocol version"}"#;
const OPEN: &str = r#"200 0{"sid":"~","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

/// What a fresh server answers to a request for `/socket.io/` with this query.
fn answer(method: &str, query: &str) -> String {
    let response = Server::new().request(bare(method, &format!("/socket.io/{query}")));
    if response.status != 200 {
        assert_eq!(response.field("content-type"), Some("application/json"), "{query}");
        assert_eq!(response.field("cache-control"), None, "{query}");
    }
    response.summary()
}

fn cors(origins: &[&str], credentials: bool) -> impl FnOnce(&mut Options) {
    let origins = origins.iter().map(ToString::to_string).collect();
    move |options| options.cors = Some(CorsOptions { origins, credentials })
}

#[test]
fn h1_a_polling_handshake_answers_with_the_open_packet() {
    let server = Server::new();
    let response = server.request(get(HANDSHAKE));
    assert_eq!(response.summary(), OPEN);
    assert_eq!(response.body.len(), 118);
    assert_eq!(response.field("content-type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(response.field("cache-control"), Some("no-store"));
    assert_eq!(response.field("content-length"), Some("118"));
    assert_eq!(response.field("access-control-allow-origin"), None);
    server.assert_nothing_leaks();
}

#[test]
fn h2_to_h9_the_first_failed_check_of_a_plain_request_names_the_error() {
    for (vector, method, query, expected) in [
        ("H2", "GET", "", TRANSPORT),
        ("H3", "GET", "?EIO=4&transport=foo", TRANSPORT),
        ("H3", "GET", "?EIO=4&transport=webtransport", TRANSPORT),
        ("H3", "POST", "?EIO=3&transport=foo", TRANSPORT),
        ("H4", "GET", "?EIO=4&transport=polling&sid=abc", SESSION),
        ("H4", "GET", "?EIO=4&transport=polling&sid=__proto__", SESSION),
        ("H4", "GET", "?EIO=3&transport=polling&sid=zz", SESSION),
        ("H4", "GET", "?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA", SESSION),
        ("H5", "GET", "?EIO=4&transport=polling&sid=", OPEN),
        ("H6", "POST", "?EIO=4&transport=polling", METHOD),
        ("H6", "OPTIONS", "?EIO=4&transport=polling", METHOD),
        ("H6", "POST", "?EIO=4&transport=websocket", METHOD),
        ("H6", "POST", "?EIO=3&transport=polling", METHOD),
        ("H7", "GET", "?EIO=4&transport=websocket", REQUEST),
        ("H8", "GET", "?EIO=3&transport=polling", REVISION),
        ("H8", "GET", "?transport=polling", REVISION),
        ("H8", "GET", "?EIO=5&transport=polling", REVISION),
        ("H8", "GET", "?EIO=4&EIO=3&transport=polling", REVISION),
        ("H9", "GET", "?EIO=3&EIO=4&transport=polling", OPEN),
        ("1.1", "GET", "?EIO=4&transport=%70olling", OPEN),
        ("1.1", "GET", "?EIO=4&transport=polling&b64=1&custom=a+b", OPEN),
    ] {
        assert_eq!(answer(method, query), expected, "{vector}: {method} {query}");
    }
}

#[test]
fn h10_any_other_method_of_a_session_is_500_and_the_session_lives() {
    let server = Server::new();
    let client = Polling::open(&server);
    for method in ["PUT", "OPTIONS", "HEAD", "DELETE"] {
        let response = client.start(bare(method, &client.target)).response_to(method);
        assert_eq!(response.summary(), "500", "{method}");
    }
    assert!(!client.is_gone());
}

#[test]
fn h11_a_plain_get_for_websocket_of_a_polling_session_is_a_bad_request() {
    let server = Server::new();
    let client = Polling::open(&server);
    let target = client.target.replace("polling", "websocket");
    assert_eq!(server.request(get(&target)).summary(), REQUEST);
    assert!(!client.is_gone());
}

#[test]
fn h12_a_session_is_not_served_in_another_revision() {
    let server = Server::new();
    let client = Polling::open(&server);
    for target in [client.target.replace("EIO=4", "EIO=3"), client.target.replace("EIO=4&", "")] {
        assert_eq!(server.request(get(&target)).summary(), REQUEST, "{target}");
        assert_eq!(server.request(post(&target, "40")).summary(), REQUEST, "{target}");
    }
    assert!(!client.is_gone());
}

#[test]
fn h13_h14_the_application_refuses_handshakes_before_the_revision_is_looked_at() {
    let server = Server::new();
    server.deny("msg");
    assert_eq!(server.request(get(HANDSHAKE)).summary(), r#"403 {"code":4,"message":"msg"}"#);
    let old = "/socket.io/?EIO=3&transport=polling";
    assert_eq!(server.request(get(old)).summary(), r#"403 {"code":4,"message":"msg"}"#);
    // Checks 2 to 8 come first.
    assert_eq!(server.request(get("/socket.io/")).summary(), TRANSPORT);
    assert_eq!(server.request(bare("PUT", HANDSHAKE)).summary(), METHOD);
    server.deny("");
    assert_eq!(server.request(get(HANDSHAKE)).summary(), r#"403 {"code":4,"message":"Forbidden"}"#);
    server.assert_nothing_leaks();
}

#[test]
fn h13_the_application_is_not_asked_about_requests_of_a_session() {
    let server = Server::new();
    let client = Polling::open(&server);
    server.deny("msg");
    assert_eq!(client.post("40").summary(), "200 ok");
}

#[test]
fn h15_to_h17_a_refused_upgrade_is_answered_in_plain_text_and_closed() {
    let server = Server::new();
    let refuse = |target: &str, message: &str| {
        let conn = server.connect();
        conn.send(request(target));
        let expected = format!(
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\nContent-Length: {}\r\n\r\n{message}",
            message.len()
        );
        assert_eq!(String::from_utf8(conn.take()).unwrap(), expected, "{target}");
        assert!(conn.has_fin(), "{target}");
    };
    refuse("/socket.io/?EIO=4&transport=foo", "Transport unknown");
    refuse(&format!("{}&sid=abc", websocket::HANDSHAKE), "Session ID unknown");
    refuse(&format!("{}&sid=AAAAAAAAAAAAAAAAAAAA", websocket::HANDSHAKE), "Session ID unknown");
    // Column T of 1.2: these are refused before a 101, not after.
    refuse("/socket.io/?EIO=3&transport=websocket", "Unsupported protocol version");
    refuse(HANDSHAKE, "Bad request");
    server.deny("msg");
    refuse(websocket::HANDSHAKE, "msg");
    server.deny("");
    refuse(websocket::HANDSHAKE, "Forbidden");
    server.assert_nothing_leaks();
}

#[test]
fn an_upgrade_request_that_is_no_websocket_handshake_is_told_what_is_wrong() {
    let server = Server::new();
    let good = request(websocket::HANDSHAKE);
    for (old, new, message) in [
        ("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: x", "Missing or invalid Sec-WebSocket-Key header"),
        ("Version: 13", "Version: 12", "Missing or invalid Sec-WebSocket-Version header"),
        ("Upgrade: websocket", "Upgrade: h2c", "Invalid Upgrade header"),
    ] {
        let conn = server.connect();
        conn.send(good.replace(old, new));
        let response = conn.response();
        assert_eq!(response.summary(), format!("400 {message}"));
        let versions = response.field("sec-websocket-version");
        assert_eq!(versions, message.contains("Version").then_some("13, 8"));
        assert!(conn.has_fin());
    }
    assert_eq!(server.stats().sessions_websocket, 0);
    server.assert_nothing_leaks();
}

#[test]
fn h18_a_websocket_handshake_is_answered_with_101_and_the_open_packet() {
    let server = Server::new();
    let conn = server.connect();
    conn.send(request(websocket::HANDSHAKE));
    let response = conn.response();
    assert_eq!(response.status, 101);
    assert_eq!(response.field("upgrade"), Some("websocket"));
    assert_eq!(response.field("connection"), Some("Upgrade"));
    assert_eq!(response.field("sec-websocket-accept"), Some(ACCEPT));
    let open = r#"0{"sid":"12345678901234567890","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    let frame = conn.take();
    assert_eq!((frame[0], usize::from(frame[1])), (0x81, open.len()));
    assert!(frame[2..].starts_with(b"0{\"sid\":\"") && frame.ends_with(&open.as_bytes()[29..]));
}

#[test]
fn h19_no_extension_is_negotiated_and_the_first_subprotocol_is_taken() {
    let server = Server::new();
    let conn = server.connect();
    let fields = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
                  Sec-WebSocket-Protocol: foo, bar\r\n";
    conn.send(request_with(websocket::HANDSHAKE, fields));
    let response = conn.response();
    assert_eq!(response.status, 101);
    assert_eq!(response.field("sec-websocket-extensions"), None);
    assert_eq!(response.field("sec-websocket-protocol"), Some("foo"));
}

#[test]
fn h20_the_engine_owns_everything_below_its_path_and_nothing_beside_it() {
    let server = Server::new();
    for target in ["/socket.io?EIO=4&transport=polling", "/", "/socket.iox/?EIO=4&transport=polling"] {
        assert_eq!(server.request(get(target)).status, 404, "{target}");
    }
    assert_eq!(server.request(get("/socket.io/x?EIO=4&transport=polling")).summary(), OPEN);
}

#[test]
fn h21_without_websocket_there_is_no_upgrade_and_an_attempt_is_a_plain_request() {
    let server = Server::with(|options| options.transports.websocket = false);
    assert!(server.request(get(HANDSHAKE)).text().contains(r#""upgrades":[]"#));
    let response = server.request(request(websocket::HANDSHAKE));
    assert_eq!(response.summary(), TRANSPORT);
    assert_eq!(response.field("content-type"), Some("application/json"));
}

#[test]
fn h22_without_polling_a_poll_has_no_transport() {
    let server = Server::with(|options| options.transports.polling = false);
    assert_eq!(server.request(get(HANDSHAKE)).summary(), TRANSPORT);
    WebSocket::open(&server);
}

#[test]
fn without_upgrades_none_is_offered_and_none_is_taken() {
    // Column T of 1.3: Node only empties the list.
    let server = Server::with(|options| options.allow_upgrades = false);
    let response = server.request(get(HANDSHAKE));
    assert!(response.text().contains(r#""upgrades":[]"#));
    let sid = sid_of(response.text());
    let refused = server.request(request(&format!("{}&sid={sid}", websocket::HANDSHAKE)));
    assert_eq!(refused.summary(), "400 Bad request");
}

#[test]
fn h24_the_cookie_comes_with_the_polling_handshake_only() {
    let server = Server::with(|options| options.cookie = Some("io".to_owned()));
    let response = server.request(get(HANDSHAKE));
    let sid = sid_of(response.text());
    let expected = format!("io={sid}; Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(response.field("set-cookie"), Some(expected.as_str()));
    let target = format!("{HANDSHAKE}&sid={sid}");
    let posted = server.request(post(&target, "40"));
    assert_eq!((posted.status, posted.field("set-cookie")), (200, None));
    let polled = server.request(get(&target));
    assert_eq!((polled.status, polled.field("set-cookie")), (200, None));
    let conn = server.connect();
    conn.send(request(websocket::HANDSHAKE));
    assert_eq!(conn.response().field("set-cookie"), None);
}

#[test]
fn h25_a_preflight_is_answered_before_the_engine_sees_it() {
    let server = Server::with(cors(&["*"], false));
    let fields = "Origin: https://a.com\r\nAccess-Control-Request-Headers: content-type,x-z\r\n";
    let conn = server.connect();
    conn.send(with_fields("OPTIONS", HANDSHAKE, fields));
    let response = conn.response();
    assert_eq!(response.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET,HEAD,PUT,PATCH,POST,DELETE"),
        ("vary", "Access-Control-Request-Headers"),
        ("access-control-allow-headers", "content-type,x-z"),
        ("content-length", "0"),
    ] {
        assert_eq!(response.field(name), Some(value), "{name}");
    }
    // The connection serves the request that the preflight was for.
    conn.send(get(HANDSHAKE));
    let response = conn.response();
    assert_eq!((response.status, response.field("access-control-allow-origin")), (200, Some("*")));
}

#[test]
fn h26_a_single_origin_is_always_sent() {
    let server = Server::with(cors(&["https://a.com"], false));
    let response = server.request(with_fields("GET", HANDSHAKE, "Origin: https://b.com\r\n"));
    assert_eq!(response.status, 200);
    assert_eq!(response.field("access-control-allow-origin"), Some("https://a.com"));
    assert_eq!(response.field("vary"), Some("Origin"));
}

#[test]
fn h27_a_list_of_origins_reflects_the_one_that_asks() {
    // A list of one is a single origin here; Node tells `"a"` and `["a"]` apart.
    let server = Server::with(cors(&["https://a.com", "https://c.com"], true));
    for (fields, allowed) in [
        ("", None),
        ("Origin: https://b.com\r\n", None),
        ("Origin: https://c.com\r\n", Some("https://c.com")),
    ] {
        let response = server.request(with_fields("GET", HANDSHAKE, fields));
        assert_eq!(response.status, 200);
        assert_eq!(response.field("vary"), Some("Origin"));
        assert_eq!(response.field("access-control-allow-credentials"), Some("true"));
        assert_eq!(response.field("access-control-allow-origin"), allowed, "{fields}");
    }
}

#[test]
fn cors_fields_are_on_every_answer_of_the_engine() {
    let server = Server::with(cors(&["*"], false));
    let client = Polling::open(&server);
    let origin = "Origin: https://a.com\r\n";
    let answers = [
        client.post("40"),
        client.get().response(),
        server.request(get("/socket.io/")),
        client.start(bare("PUT", &client.target)).response(),
        server.request(request_with(websocket::HANDSHAKE, origin)),
        server.request(request_with("/socket.io/?EIO=4&transport=foo", origin)),
    ];
    for response in answers {
        assert_eq!(response.field("access-control-allow-origin"), Some("*"), "{}", response.head);
    }
}

#[test]
fn h28_h29_bundles_are_served_and_other_names_fall_through_to_the_engine() {
    let bundle = Asset {
        path: "/socket.io/socket.io.js".to_owned(),
        content_type: "application/javascript; charset=utf-8",
        cache_control: "public, max-age=0",
        etag: "\"4.8.4\"".to_owned(),
        rules: Rules::Bundle,
        identity: Bytes::from_static(b"io = 1"),
        codings: Codings::default(),
    };
    let routes = Routes { assets: [bundle].into_iter().collect(), bare_endpoints: false };
    let server = Server::build(1, routes, |_| {});
    let target = "/socket.io/socket.io.js";
    let response = server.request(get(&format!("{target}?t=1")));
    assert_eq!(response.summary(), "200 io = 1");
    assert_eq!(response.field("etag"), Some("\"4.8.4\""));
    for tag in ["W/\"4.8.4\"", "\"4.8.4\""] {
        let response = server.request(with_fields("GET", target, &format!("If-None-Match: {tag}\r\n")));
        assert_eq!((response.status, response.field("etag")), (304, None));
    }
    assert_eq!(server.request(get("/socket.io/socket.io.esm.js")).summary(), TRANSPORT);
}

#[test]
fn an_old_internet_explorer_is_told_not_to_look_for_scripts_in_packets() {
    let server = Server::new();
    let fields = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko\r\n";
    let response = server.request(with_fields("GET", HANDSHAKE, fields));
    assert_eq!(response.field("x-xss-protection"), Some("0"));
    assert_eq!(server.request(get(HANDSHAKE)).field("x-xss-protection"), None);
}

#[test]
fn the_handshake_an_application_sees_is_the_first_request_and_stays_so_after_an_upgrade() {
    let server = Server::new();
    let target = "/socket.io/?EIO=4&transport=polling&t=abc&user=J%C3%BCrgen";
    let conn = server.connect();
    conn.send(with_fields(
        "GET",
        target,
        "Origin: https://a.com\r\nCookie: a=1\r\nCookie: b=2\r\nX-Id: 7\r\n",
    ));
    let sid = sid_of(conn.response().text());
    let upgrade = WebSocket::upgrade(&server, &sid, 0);
    assert_eq!(upgrade.say("2probe"), ["3probe"]);
    upgrade.send("5");
    server.advance(1_500);
    assert_eq!(upgrade.say(r#"40{"token":"t"}"#), [r#"40{"sid":"~"}"#]);
    let (socket, _) = server.told().connected[0];
    let json = server.run(0, move |io| io.handshake_json(socket)).unwrap();
    let handshake: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(handshake["url"], target);
    assert_eq!(handshake["query"]["user"], "Jürgen");
    assert_eq!(handshake["query"]["transport"], "polling");
    assert_eq!(handshake["headers"]["x-id"], "7");
    assert_eq!(handshake["headers"]["cookie"], "a=1; b=2");
    assert_eq!(handshake["address"], "127.0.0.1");
    assert_eq!(handshake["xdomain"], true);
    assert_eq!(handshake["secure"], false);
    assert_eq!(handshake["auth"]["token"], "t");
    assert!(handshake["time"].as_str().unwrap().ends_with("GMT+0000 (Coordinated Universal Time)"));
    // `issued` is when the socket was made, 1.5 s after the request.
    assert_eq!(handshake["issued"], 1_795_164_458_000u64 + 1_000 + 1_500);
}

#[test]
fn every_session_id_is_different_and_looks_like_those_of_node() {
    let server = Server::new();
    let ids: std::collections::BTreeSet<String> =
        (0..100).map(|_| sid_of(server.request(get(HANDSHAKE)).text())).collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|id| {
        id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    }));
}

#[test]
fn h30_an_initial_packet_comes_with_the_open_packet() {
    let server = Server::with(|options| options.initial_packet = Some("hi".to_owned()));
    let response = server.request(get("/socket.io/?EIO=4&transport=polling"));
    let packets: Vec<&str> = response.text().split('\u{1e}').collect();
    assert!(packets[0].starts_with("0{"), "{packets:?}");
    assert_eq!(packets[1..], ["4hi"]);
    let conn = server.connect();
    conn.send(request(websocket::HANDSHAKE));
    assert!(conn.take().ends_with(b"\x81\x034hi"));
}

#[test]
fn an_application_adds_fields_to_what_is_no_refusal() {
    let server = Server::new();
    let ask = |method: &str, target: &str| {
        let conn = server.connect();
        conn.send(with_fields(method, target, "X-Ask: 1\r\n"));
        conn.response()
    };
    let first = ask("GET", HANDSHAKE);
    assert_eq!((first.field("x-first"), first.field("x-every")), (Some("yes"), Some("yes")));
    let target = format!("{HANDSHAKE}&sid={}", sid_of(first.text()));
    server.request(post(&target, "40"));
    let later = ask("GET", &target);
    assert_eq!((later.status, later.field("x-first"), later.field("x-every")), (200, None, Some("yes")));
    for refused in [ask("GET", "/socket.io/"), ask("PUT", &target)] {
        assert_eq!((refused.field("x-first"), refused.field("x-every")), (None, None));
    }
    let upgrade = server.connect();
    upgrade.send(request_with(websocket::HANDSHAKE, "X-Ask: 1\r\n"));
    let head = String::from_utf8_lossy(&upgrade.take()).to_lowercase();
    assert!(head.contains("x-first: yes\r\n") && head.contains("x-every: yes\r\n"), "{head}");
}
