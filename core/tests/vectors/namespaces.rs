//! protocol.md 9.7, and 4.3, 4.4 and 4.6: joining and leaving namespaces.

use crate::support::Server;
use crate::support::polling::Polling;
use crate::support::websocket::{WebSocket, frame};
use tidegate_core::shard::app::Rejection;
use tidegate_core::socket_io::ArgsRef;

const CLOSE: &str = "CLOSE 1005";
const ROOT: &str = r#"40{"sid":"~"}"#;
const ADMIN: &str = r#"40/admin,{"sid":"~"}"#;
const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;
const NOTHING: [&str; 0] = [];

/// One vector: messages of the client, each with what it gets back, and why sockets left.
struct Talk {
    vector: &'static str,
    lines: &'static [(&'static str, &'static [&'static str])],
    left: &'static [&'static str],
}

const fn talk(
    vector: &'static str,
    lines: &'static [(&'static str, &'static [&'static str])],
    left: &'static [&'static str],
) -> Talk {
    Talk { vector, lines, left }
}

const TALKS: &[Talk] = &[
    talk("S1", &[("40", &[ROOT])], &[]),
    talk("S2", &[("40/admin,", &[ADMIN])], &[]),
    talk("S2", &[("40/admin", &[ADMIN])], &[]),
    talk("S3", &[("40", &[ROOT]), ("40", &[CLOSE])], &["/ forced close"]),
    talk("S4", &[(r#"42["a"]"#, &[CLOSE])], &[]),
    talk("S5", &[("40/admin", &[ADMIN]), (r#"42["a"]"#, &[CLOSE])], &["/admin forced close"]),
    talk("S6", &[("40/random,", &[r#"44/random,{"message":"Invalid namespace"}"#]), ("40", &[ROOT])], &[]),
    talk("S7", &[("40/admin?x=1,", &[r#"44/admin?x=1,{"message":"Invalid namespace"}"#])], &[]),
    talk(
        "S8",
        &[
            ("40/mw,", &[r#"44/mw,{"message":"nope"}"#]),
            (r#"40/mw,{"data":1}"#, &[r#"44/mw,{"message":"nope","data":{"code":42}}"#]),
        ],
        &[],
    ),
    talk(
        "S9",
        &[
            ("40/dyn-12,", &[r#"40/dyn-12,{"sid":"~"}"#]),
            ("40/dyn-x,", &[r#"44/dyn-x,{"message":"Invalid namespace"}"#]),
        ],
        &[],
    ),
    talk("S10", &[("40", &[ROOT]), ("41", &[]), ("40", &[ROOT])], &["/ client namespace disconnect"]),
    talk(
        "S11",
        &[("40", &[ROOT]), ("41", &[]), (r#"42["a"]"#, &[CLOSE])],
        &["/ client namespace disconnect"],
    ),
    talk("S12", &[("41", &[CLOSE])], &[]),
    talk(
        "S13",
        &[
            ("40", &[ROOT]),
            ("40/admin,", &[ADMIN]),
            ("41/admin,", &[]),
            (r#"42["echo",1]"#, &[r#"42["echo",1]"#]),
        ],
        &["/admin client namespace disconnect"],
    ),
    talk("S14", &[("40", &[ROOT]), (r#"44{"message":"x"}"#, &[CLOSE])], &["/ forced close"]),
    talk(
        "S15",
        &[("40", &[ROOT]), (r#"42["bye",false]"#, &["41"]), ("40", &[ROOT])],
        &["/ server namespace disconnect"],
    ),
    talk(
        "S16",
        &[("40", &[ROOT]), ("40/admin,", &[ADMIN]), (r#"42["bye",true]"#, &["41", "41/admin,", CLOSE])],
        &["/ server namespace disconnect", "/admin server namespace disconnect"],
    ),
    talk("S17", &[("40", &[ROOT]), (r#"421["echo","x",{"a":1}]"#, &[r#"431["x",{"a":1}]"#])], &[]),
    talk(
        "S18",
        &[
            ("40", &[ROOT]),
            (r#"451-7["echo",{"_placeholder":true,"num":0}]"#, &[]),
            ("<010203>", &[r#"461-7[{"_placeholder":true,"num":0}]"#, "<010203>"]),
        ],
        &[],
    ),
    talk(
        "S19",
        &[
            ("40", &[ROOT]),
            (r#"452-["echo",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#, &[]),
            ("<01>", &[]),
            (
                "<02>",
                &[
                    r#"452-["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#,
                    "<02>",
                    "<01>",
                ],
            ),
        ],
        &[],
    ),
    talk(
        "S20",
        &[
            ("40", &[ROOT]),
            (r#"451-["echo",{"_placeholder":true,"num":0}]"#, &[]),
            ("3", &[]),
            ("<09>", &[r#"451-["echo",{"_placeholder":true,"num":0}]"#, "<09>"]),
        ],
        &[],
    ),
    talk("S21", &[("40", &[ROOT]), (r#"4399["x"]"#, &[]), (r#"43["x"]"#, &[]), ("42", &[])], &[]),
    talk("S22", &[("40", &[ROOT]), (r#"42["disconnect"]"#, &[CLOSE])], &["/ forced close"]),
    talk("S22", &[("40", &[ROOT]), (r#"42["a""#, &[CLOSE])], &["/ forced close"]),
    talk("S22", &[("40", &[ROOT]), ("<01>", &[CLOSE])], &["/ forced close"]),
    talk("S23", &[("405", &[ROOT])], &[]),
    talk("S23", &[("40/,", &[ROOT])], &[]),
    // 4.3: what is not decoded takes every namespace of the connection with it.
    talk(
        "4.3",
        &[("40", &[ROOT]), ("40/admin,", &[ADMIN]), ("4x", &[CLOSE])],
        &["/ forced close", "/admin forced close"],
    ),
    talk("4.3", &[("40", &[ROOT]), ("41/admin,", &[CLOSE])], &["/ forced close"]),
    talk("4.3", &[("40", &[ROOT]), ("43/admin,1[]", &[CLOSE])], &["/ forced close"]),
    talk(
        "4.3",
        &[("40", &[ROOT]), (r#"451-["echo",{"_placeholder":true,"num":0}]"#, &[]), (r#"42["a"]"#, &[CLOSE])],
        &["/ forced close"],
    ),
    // 4.2 rule 4: without a comma, the rest of the packet is the namespace.
    talk("4.2", &[("40/admin,", &[ADMIN]), (r#"42/admin["a"]"#, &[CLOSE])], &["/admin forced close"]),
    talk("4.2", &[("40", &[ROOT]), (r#"40["x"]"#, &[CLOSE])], &["/ forced close"]),
    // 4.4: a rejected client may ask again, and a CONNECT that failed is no join.
    talk("4.4", &[("40/mw,", &[r#"44/mw,{"message":"nope"}"#]), (r#"42/mw,["a"]"#, &[CLOSE])], &[]),
    talk("4.4", &[("40/admin,", &[ADMIN]), (r#"42/admin,5["echo","x"]"#, &[r#"43/admin,5["x"]"#])], &[]),
];

#[test]
fn s1_to_s23_what_a_client_says_and_what_it_gets_back() {
    for Talk { vector, lines, left } in TALKS {
        let server = Server::new();
        let client = WebSocket::open(&server);
        for (message, expected) in *lines {
            assert_eq!(client.say(message), *expected, "{vector}: {message}");
        }
        assert_eq!(server.left(), *left, "{vector}");
        server.assert_nothing_leaks();
    }
}

#[test]
fn s4_an_event_that_comes_with_its_connect_was_sent_too_early() {
    let server = Server::new();
    let client = WebSocket::open(&server);
    client.send_all(&["40", r#"42["a"]"#]);
    assert_eq!(client.take(), [CLOSE]);
    assert!(server.told().events.is_empty() && server.told().connected.is_empty());
    server.assert_nothing_leaks();
}

#[test]
fn s4_the_same_holds_for_one_body_of_a_post() {
    let server = Server::new();
    let client = Polling::open(&server);
    client.post("40\u{1e}42[\"a\"]");
    assert_eq!(client.poll(), ["6", "1"]);
}

#[test]
fn s16_a_namespace_that_has_not_been_joined_is_not_said_goodbye_to() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send("40/later,");
    assert_eq!(client.say(r#"42["bye",true]"#), ["41", CLOSE]);
    let told = server.told();
    assert_eq!(told.abandoned, told.waiting);
}

#[test]
fn s24_a_session_that_joins_nothing_is_closed_after_a_while() {
    for messages in [&[][..], &["40/mw,", "40/random,"], &["40/later,"]] {
        let server = Server::new();
        let client = WebSocket::open(&server);
        messages.iter().for_each(|message| client.send(message));
        client.take();
        server.advance(25_000);
        assert_eq!(client.say("3"), ["2"]);
        server.advance(19_999);
        assert_eq!(client.take(), NOTHING);
        server.advance(1);
        assert_eq!(client.take(), [CLOSE], "{messages:?}");
        assert_eq!(server.closed(), ["forced_close"]);
        server.assert_nothing_leaks();
    }
}

#[test]
fn s25_one_join_is_enough_for_ever() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send("41");
    for _ in 0..4 {
        server.advance(25_000);
        assert_eq!(client.say("3"), ["2"]);
    }
    assert_eq!(client.say("40"), [ROOT]);
}

#[test]
fn s26_a_drain_closes_without_a_word_of_socket_io() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    server.drain();
    assert_eq!(client.take(), [CLOSE]);
    assert_eq!(server.left(), ["/ server shutting down"]);
}

#[test]
fn a_socket_id_is_not_the_session_id_and_differs_between_namespaces() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send("40/admin,");
    let keys: Vec<_> = server.told().connected.iter().map(|&(key, _)| key).collect();
    let ids: Vec<String> = keys
        .into_iter()
        .map(|key| server.run(0, move |io| io.id(key).unwrap().encode().to_string()))
        .collect();
    assert!(ids.iter().all(|id| id.len() == 20 && *id != client.sid));
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn the_payload_of_a_connect_is_the_auth_of_the_socket() {
    let server = Server::new();
    let client = WebSocket::open(&server);
    client.send(r#"40{"token":"t"}"#);
    client.send("40/admin,");
    assert_eq!(server.told().auths, [r#"{"token":"t"}"#, "{}"]);
}

#[test]
fn a_verdict_may_take_its_time() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    assert_eq!(client.say("40/later,"), NOTHING);
    assert_eq!(client.say(r#"42["echo",1]"#), [r#"42["echo",1]"#], "other namespaces go on");
    let socket = server.told().waiting[0];
    server.run(0, move |io| io.accept(socket));
    assert_eq!(client.take(), [r#"40/later,{"sid":"~"}"#]);
    server.run(0, move |io| io.emit(socket, "x", ArgsRef::default()));
    assert_eq!(client.take(), [r#"42/later,["x"]"#]);
    // A second verdict is one too many.
    server.run(0, move |io| {
        io.accept(socket);
        io.reject(socket, Rejection { message: "no".to_owned(), data: None });
    });
    assert_eq!(client.take(), NOTHING);
}

#[test]
fn a_late_rejection_lets_the_client_ask_again() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send("40/later,");
    let socket = server.told().waiting[0];
    let rejection = Rejection { message: "say \"please\"".to_owned(), data: Some("[1]".to_owned()) };
    server.run(0, move |io| io.reject(socket, rejection));
    assert_eq!(client.take(), [r#"44/later,{"message":"say \"please\"","data":[1]}"#]);
    assert_eq!(client.say("40/later,"), NOTHING);
    assert_eq!(server.told().waiting.len(), 2);
    assert!(server.left().is_empty(), "a socket that was never in does not leave");
}

#[test]
fn whatever_a_client_says_to_a_namespace_before_the_verdict_is_too_early() {
    for message in [r#"42/later,["a"]"#, "41/later,", "43/later,1[]", "40/later,"] {
        let server = Server::new();
        let client = WebSocket::joined(&server);
        client.send("40/later,");
        assert_eq!(client.say(message), [CLOSE], "{message}");
        let told = server.told();
        assert_eq!(told.abandoned, told.waiting, "{message}");
        drop(told);
        assert_eq!(server.left(), ["/ forced close"], "{message}");
        server.assert_nothing_leaks();
    }
}

#[test]
fn a_verdict_about_a_client_that_has_gone_changes_nothing() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send("40/later,");
    client.conn.reset();
    let socket = server.told().waiting[0];
    assert_eq!(server.told().abandoned, [socket]);
    server.run(0, move |io| io.accept(socket));
    assert_eq!(server.told().connected.len(), 1);
    server.assert_nothing_leaks();
}

#[test]
fn what_middleware_emits_comes_before_the_connect_reply() {
    let server = Server::new();
    let client = WebSocket::open(&server);
    assert_eq!(client.say("40/greet,"), [r#"42/greet,["early"]"#, r#"40/greet,{"sid":"~"}"#]);
    let (socket, _) = server.told().connected[0];
    let rooms = server.run(0, move |io| io.rooms(socket));
    assert_eq!((rooms.len(), rooms[1].as_str()), (2, "greeted"));
}

#[test]
fn a_socket_that_leaves_is_described_as_it_was() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send(r#"42["join","a","b"]"#);
    client.send("41");
    let told = server.told();
    let gone = &told.departed[0];
    assert_eq!((gone.namespace.as_str(), &gone.rooms[..]), ("/", &["a".to_owned(), "b".to_owned()][..]));
    assert_eq!(gone.key, told.connected[0].0);
}

#[test]
fn what_a_client_sent_before_it_could_know_that_it_was_disconnected_is_dropped() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send_all(&[r#"42["bye",false]"#, r#"42["a"]"#, "41"]);
    assert_eq!(client.take(), ["41"]);
    assert_eq!(server.told().events.len(), 1);
    assert_eq!(client.say("40"), [ROOT]);
}

#[test]
fn a_session_has_no_more_namespaces_than_the_limit() {
    let server = Server::with(|options| options.max_namespaces = 3);
    let client = WebSocket::open(&server);
    for number in 0..3 {
        assert_eq!(client.say(&format!("40/dyn-{number},")).len(), 1);
    }
    assert_eq!(client.say("40/dyn-3,"), [CLOSE]);
    server.assert_nothing_leaks();
}

#[test]
fn attachments_that_never_come_are_forgotten_with_the_session() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send(&format!("451-[\"echo\",{PLACEHOLDER}]"));
    client.conn.send(frame(0x88, b""));
    assert_eq!(server.left(), ["/ transport close"]);
    server.assert_nothing_leaks();
}
