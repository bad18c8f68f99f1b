//! The handshake vectors of protocol.md 9.1 (H1 to H23), at the level of the engine's checks.

use std::cell::Cell;
use tidegate_core::engine_io::request::{
    Action, EngineError, EngineQuery, Lookup, Method, Refusal, Request, Rules, SessionField, check,
};
use tidegate_core::engine_io::{Revision, Transport, Transports};

/// A session on polling with revision 4, one on WebSocket, and one with revision 3.
const POLLING: &str = "AAAAAAAAAAAAAAAAAAAA";
const WEBSOCKET: &str = "BBBBBBBBBBBBBBBBBBBB";
const POLLING_V3: &str = "CCCCCCCCCCCCCCCCCCCC";
/// Well-formed, but nobody's.
const GONE: &str = "DDDDDDDDDDDDDDDDDDDD";

fn query(text: &str) -> EngineQuery {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    EngineQuery::from_pairs(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))))
}

fn lookup(sid: SessionField) -> Lookup {
    let known = |transport, revision| Lookup::Known { transport, revision };
    match sid {
        SessionField::Absent => Lookup::None,
        SessionField::Malformed => Lookup::Unknown,
        SessionField::Id(id) => match id.encode().as_str() {
            POLLING => known(Transport::Polling, Revision::V4),
            WEBSOCKET => known(Transport::WebSocket, Revision::V4),
            POLLING_V3 => known(Transport::Polling, Revision::V3),
            _ => Lookup::Unknown,
        },
    }
}

fn rules(transports: &[Transport]) -> Rules {
    Rules { transports: transports.iter().copied().collect(), allow_upgrades: true, allow_v3: false }
}

fn defaults() -> Rules {
    rules(&[Transport::Polling, Transport::WebSocket])
}

/// `how` is a method, or `WS` for an upgrade request.
fn ask_app(
    how: &str,
    text: &str,
    rules: &Rules,
    allow: impl FnOnce() -> Result<(), Option<String>>,
) -> Result<Action, Refusal> {
    let query = query(text);
    let method = match how {
        "GET" | "WS" => Method::Get,
        "POST" => Method::Post,
        _ => Method::Other,
    };
    let session = lookup(query.sid);
    let is_upgrade = how == "WS";
    check(&Request { query: &query, method, is_upgrade, is_origin_valid: true, session }, rules, allow)
}

fn ask(how: &str, text: &str, rules: &Rules) -> Result<Action, Refusal> {
    ask_app(how, text, rules, || Ok(()))
}

/// The answer as one line: the action, or status and body.
fn shown(answer: Result<Action, Refusal>) -> String {
    match answer {
        Ok(action) => format!("{action:?}"),
        Err(refusal) => format!("{} {}", refusal.status(), refusal.body()),
    }
}

const UNKNOWN_TRANSPORT: &str = r#"400 {"code":0,"message":"Transport unknown"}"#;
const UNKNOWN_SESSION: &str = r#"400 {"code":1,"message":"Session ID unknown"}"#;
const BAD_METHOD: &str = r#"400 {"code":2,"message":"Bad handshake method"}"#;
const BAD_REQUEST: &str = r#"400 {"code":3,"message":"Bad request"}"#;
const UNSUPPORTED: &str = r#"400 {"code":5,"message":"Unsupported protocol version"}"#;

#[test]
fn the_table_of_handshakes_is_that_of_node() {
    let sid = |text: &str, sid: &str| format!("{text}&sid={sid}");
    let v4 = "EIO=4&transport=polling";
    let table: Vec<(&str, &str, String, &str)> = vec![
        ("H1", "GET", v4.into(), "OpenPolling"),
        ("H2", "GET", String::new(), UNKNOWN_TRANSPORT),
        ("H3", "GET", "EIO=4&transport=foo".into(), UNKNOWN_TRANSPORT),
        ("H3", "GET", "EIO=4&transport=webtransport".into(), UNKNOWN_TRANSPORT),
        ("H3", "POST", "EIO=3&transport=foo".into(), UNKNOWN_TRANSPORT),
        ("H4", "GET", sid(v4, "abc"), UNKNOWN_SESSION),
        ("H4", "GET", sid(v4, "__proto__"), UNKNOWN_SESSION),
        ("H4", "GET", sid(v4, GONE), UNKNOWN_SESSION),
        ("H4", "GET", sid("EIO=3&transport=polling", "zz"), UNKNOWN_SESSION),
        ("H5", "GET", sid(v4, ""), "OpenPolling"),
        ("H6", "POST", v4.into(), BAD_METHOD),
        ("H6", "OPTIONS", v4.into(), BAD_METHOD),
        ("H6", "POST", "EIO=4&transport=websocket".into(), BAD_METHOD),
        ("H6", "POST", "EIO=3&transport=polling".into(), BAD_METHOD),
        ("H7", "GET", "EIO=4&transport=websocket".into(), BAD_REQUEST),
        ("H8", "GET", "EIO=3&transport=polling".into(), UNSUPPORTED),
        ("H8", "GET", "transport=polling".into(), UNSUPPORTED),
        ("H8", "GET", "EIO=5&transport=polling".into(), UNSUPPORTED),
        ("H8", "GET", "EIO=4&EIO=3&transport=polling".into(), UNSUPPORTED),
        ("H9", "GET", "EIO=3&EIO=4&transport=polling".into(), "OpenPolling"),
        ("H10", "PUT", sid(v4, POLLING), "OtherMethod"),
        ("H10", "OPTIONS", sid(v4, POLLING), "OtherMethod"),
        ("H10", "HEAD", sid(v4, POLLING), "OtherMethod"),
        ("H11", "GET", sid("EIO=4&transport=websocket", POLLING), BAD_REQUEST),
        ("H12", "GET", sid("EIO=3&transport=polling", POLLING), BAD_REQUEST),
        ("H12", "GET", sid("transport=polling", POLLING), BAD_REQUEST),
        ("H15", "WS", "EIO=4&transport=foo".into(), "400 Transport unknown"),
        ("H16", "WS", sid("EIO=4&transport=websocket", "abc"), "400 Session ID unknown"),
        ("H18", "WS", "EIO=4&transport=websocket".into(), "OpenWebSocket"),
        ("P1", "POST", sid(v4, POLLING), "Post"),
        ("P1", "GET", sid(v4, POLLING), "Poll"),
        ("U5", "WS", sid("EIO=4&transport=websocket", POLLING), "Upgrade"),
        // Upgraded: polling is over, and another WebSocket is refused by the session, after the 101.
        ("U6", "GET", sid(v4, WEBSOCKET), BAD_REQUEST),
        ("U6", "POST", sid(v4, WEBSOCKET), BAD_REQUEST),
        ("U6", "WS", sid("EIO=4&transport=websocket", WEBSOCKET), "Upgrade"),
        ("X21", "WS", sid("EIO=4&transport=websocket", POLLING_V3), "400 Bad request"),
        // Node upgrades these, then closes or hangs.
        ("[T]", "WS", "EIO=3&transport=websocket".into(), "400 Unsupported protocol version"),
        ("[T]", "WS", v4.into(), "400 Bad request"),
        ("[T]", "WS", sid(v4, POLLING), "400 Bad request"),
        ("[T]", "GET", sid("EIO=4&transport=websocket", WEBSOCKET), BAD_REQUEST),
    ];
    for (vector, how, text, expected) in table {
        let answer = shown(ask(how, &text, &defaults()));
        println!("{vector:4} {how:7} ?{text:60} {answer}");
        assert_eq!(answer, expected, "{vector}: {how} ?{text}");
    }
}

#[test]
fn the_application_refuses_with_its_own_words_or_none() {
    let deny = |message: Option<&str>| {
        let message = message.map(str::to_owned);
        move || Err(message)
    };
    let v4 = "EIO=4&transport=polling";
    // H13, H14, H17.
    let answer = ask_app("GET", v4, &defaults(), deny(Some("msg")));
    assert_eq!(shown(answer), r#"403 {"code":4,"message":"msg"}"#);
    let answer = ask_app("GET", v4, &defaults(), deny(None));
    assert_eq!(shown(answer), r#"403 {"code":4,"message":"Forbidden"}"#);
    let answer = ask_app("GET", "EIO=3&transport=polling", &defaults(), deny(None));
    assert_eq!(shown(answer), r#"403 {"code":4,"message":"Forbidden"}"#);
    let answer = ask_app("WS", "EIO=4&transport=websocket", &defaults(), deny(Some("msg")));
    assert_eq!(shown(answer), "400 msg");
    let answer = ask_app("GET", v4, &defaults(), deny(Some("say \"no\"\n")));
    assert_eq!(shown(answer), r#"403 {"code":4,"message":"say \"no\"\n"}"#);
}

#[test]
fn the_application_is_asked_about_handshakes_that_pass_the_checks_before_it_and_nothing_else() {
    let session = format!("EIO=4&transport=polling&sid={POLLING}");
    for (how, text, asked) in [
        ("GET", "EIO=4&transport=polling", true),
        ("GET", "EIO=3&transport=polling", true),
        ("WS", "EIO=4&transport=websocket", true),
        ("POST", "EIO=4&transport=polling", false),
        ("GET", "EIO=4&transport=websocket", false),
        ("GET", "EIO=4&transport=polling&sid=abc", false),
        ("GET", &session, false),
    ] {
        let calls = Cell::new(0);
        let _ = ask_app(how, text, &defaults(), || {
            calls.set(calls.get() + 1);
            Ok(())
        });
        assert_eq!(calls.get(), u32::from(asked), "{how} ?{text}");
    }
}

#[test]
fn without_websocket_an_upgrade_request_is_an_ordinary_one() {
    // H21.
    let polling_only = rules(&[Transport::Polling]);
    assert_eq!(shown(ask("WS", "EIO=4&transport=websocket", &polling_only)), UNKNOWN_TRANSPORT);
    assert_eq!(ask("WS", "EIO=4&transport=polling", &polling_only), Ok(Action::OpenPolling));
    assert_eq!(
        polling_only.transports.upgrades_from(Transport::Polling, polling_only.allow_upgrades),
        Transports::NONE
    );
}

#[test]
fn a_transport_that_is_not_enabled_is_unknown() {
    // H22, and webtransport, which has no URL of its own even when enabled (H3).
    let websocket_only = rules(&[Transport::WebSocket]);
    assert_eq!(shown(ask("GET", "EIO=4&transport=polling", &websocket_only)), UNKNOWN_TRANSPORT);
    assert_eq!(ask("WS", "EIO=4&transport=websocket", &websocket_only), Ok(Action::OpenWebSocket));
    let all = rules(&Transport::ALL);
    assert_eq!(shown(ask("GET", "EIO=4&transport=webtransport", &all)), UNKNOWN_TRANSPORT);
}

#[test]
fn upgrades_that_are_not_allowed_are_refused_and_not_only_left_out_of_the_list() {
    let no_upgrades = Rules { allow_upgrades: false, ..defaults() };
    let upgrade = format!("EIO=4&transport=websocket&sid={POLLING}");
    assert_eq!(shown(ask("WS", &upgrade, &no_upgrades)), "400 Bad request");
    assert_eq!(ask("WS", "EIO=4&transport=websocket", &no_upgrades), Ok(Action::OpenWebSocket));
}

#[test]
fn revision_three_is_served_if_allowed() {
    let both = Rules { allow_v3: true, ..defaults() };
    assert_eq!(ask("GET", "transport=polling", &both), Ok(Action::OpenPolling));
    assert_eq!(ask("GET", &format!("EIO=3&transport=polling&sid={POLLING_V3}"), &both), Ok(Action::Poll));
    let mismatch = format!("EIO=4&transport=polling&sid={POLLING_V3}");
    assert_eq!(shown(ask("GET", &mismatch, &both)), BAD_REQUEST);
}

#[test]
fn a_bad_origin_comes_after_the_transport_and_before_the_session() {
    for (text, error) in [
        ("transport=foo", EngineError::UnknownTransport),
        ("EIO=4&transport=polling&sid=abc", EngineError::BadRequest),
        ("EIO=4&transport=polling", EngineError::BadRequest),
    ] {
        let query = query(text);
        let request = Request {
            query: &query,
            method: Method::Get,
            is_upgrade: false,
            is_origin_valid: false,
            session: lookup(query.sid),
        };
        assert_eq!(check(&request, &defaults(), || Ok(())).unwrap_err().error, error);
    }
}

#[test]
fn the_last_value_of_a_key_wins() {
    let parsed = query("transport=websocket&transport=polling&b64=1&j=1&j=12abc&sid=abc&sid=&t=x&EIO=4");
    assert_eq!(
        parsed,
        EngineQuery {
            revision: Revision::V4,
            transport: Some(Transport::Polling),
            sid: SessionField::Absent,
            base64_only: true,
            jsonp: Some("12".into()),
        }
    );
    let parsed = query("transport=polling&transport=foo&b64=1&b64=");
    assert_eq!((parsed.transport, parsed.base64_only, parsed.jsonp), (None, false, None));
}
