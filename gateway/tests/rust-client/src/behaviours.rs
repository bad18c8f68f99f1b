//! What is checked, one function each.

use crate::lab::{BEHAVIOURS, Lab, args};
use rust_socketio::Payload;
use serde_json::json;

type Behaviour = fn(&Lab);

/// Name → check, over every transport.
pub const ALL: &[(&str, Behaviour)] = &[
    ("a client joins / and is told its auth", |lab| {
        let member = lab.join("/", json!({ "token": "123" }));
        assert_eq!(args(member.hear("auth")), [json!({ "token": "123" })]);
    }),
    ("a client joins another namespace", |lab| {
        assert_eq!(lab.join("/admin", json!({})).ask("nsp", Payload::Text(Vec::new())), json!(["/admin"]));
        assert_eq!(lab.join("/dyn-7", json!({})).ask("nsp", Payload::Text(Vec::new())), json!(["/dyn-7"]));
    }),
    ("a namespace that does not exist is refused", |lab| {
        let refused = lab.attempt("/nowhere", json!({})).hear("error");
        assert!(format!("{refused:?}").contains("Invalid namespace"), "{refused:?}");
    }),
    ("an application refuses with a message and data", |lab| {
        let refused =
            lab.attempt(BEHAVIOURS, json!({ "reject": "no way", "data": { "left": 3 } })).hear("error");
        let text = format!("{refused:?}");
        assert!(text.contains("no way") && text.contains("left"), "{text}");
    }),
    ("the first event after joining arrives", |lab| {
        let member = lab.join(BEHAVIOURS, json!({ "welcome": true }));
        let welcome = args(member.hear("welcome"));
        assert_eq!(welcome[0].as_str().map(str::len), Some(20), "{welcome:?}");
    }),
    ("events come back with all their arguments", |lab| {
        let member = lab.behaving();
        for sent in [
            vec![json!(1), json!("two"), json!(null), json!([{ "three": [4.5, true] }])],
            vec![json!("Grüße 😀 \u{2028} \"quoted\" \\ \n")],
            vec![json!({ "nested": { "deeply": [[[[[]]]]] } })],
        ] {
            member.emit("echo", sent.clone());
            assert_eq!(args(member.hear("echo")), sent);
        }
    }),
    ("an ack brings the arguments back", |lab| {
        let member = lab.behaving();
        assert_eq!(member.ask("echo", vec![json!(1), json!({ "b": [2] })]), json!([1, { "b": [2] }]));
    }),
    ("many acks are told apart", |lab| {
        let member = lab.behaving();
        for i in 0..100 {
            assert_eq!(member.ask("echo", json!(i)), json!([i]));
        }
    }),
    ("events keep their order", |lab| {
        let member = lab.behaving();
        member.emit("ticks", json!(500));
        for i in 0..500 {
            assert_eq!(args(member.hear("tick")), [json!(i)]);
        }
    }),
    ("big texts go both ways", |lab| {
        let member = lab.behaving();
        let text = "x".repeat(500_000);
        let expected = json!([{ "binary": false, "length": 500_000, "sum": 500_000 * 120 }]);
        assert_eq!(member.ask("measure", json!(text)), expected);
        assert_eq!(member.ask("big", json!({ "bytes": 500_000 })), json!([text]));
    }),
    ("a room hears what another member says, and nobody else does", |lab| {
        let (speaker, listener, stranger) = (lab.behaving(), lab.behaving(), lab.behaving());
        let room = format!("room-{}", std::process::id());
        speaker.ask("join", json!([room]));
        listener.ask("join", json!([room]));
        let said = json!({ "rooms": [room], "ev": "news", "args": ["hello", 1] });
        assert_eq!(speaker.ask("to", said), json!([true]));
        assert_eq!(args(listener.hear("news")), [json!("hello"), json!(1)]);
        // Those who are left out hear what is said after it, and nothing before.
        for other in [&speaker, &stranger] {
            other.emit("echo", json!("after"));
            assert_eq!(args(other.hear_first(&["news", "echo"])), [json!("after")]);
        }
    }),
    ("a client that left a room hears nothing of it", |lab| {
        let (speaker, listener) = (lab.behaving(), lab.behaving());
        let room = format!("left-{}", std::process::id());
        listener.ask("join", json!([room]));
        listener.ask("leave", json!(room));
        speaker.ask("to", json!({ "rooms": [room], "ev": "news", "args": [1] }));
        listener.emit("echo", json!("after"));
        assert_eq!(args(listener.hear_first(&["news", "echo"])), [json!("after")]);
    }),
    ("the server ends the namespace, or the connection", |lab| {
        for close in [false, true] {
            let member = lab.behaving();
            member.emit("bye", json!(close));
            member.hear("close");
        }
    }),
    ("the server sees a client leave", |lab| {
        let (member, witness) = (lab.join(BEHAVIOURS, json!({ "welcome": true })), lab.behaving());
        let id = args(member.hear("welcome")).remove(0);
        drop(member);
        let seen = witness.ask("last-disconnect", id);
        assert_eq!(seen[0]["reason"], "client namespace disconnect");
    }),
];

/// What this client can do over polling only.
pub const OVER_POLLING: &[(&str, Behaviour)] = &[("binary goes both ways", |lab| {
    let member = lab.behaving();
    let bytes: Vec<u8> = (0..=255).collect();
    member.emit("echo", bytes.clone());
    assert_eq!(member.hear("echo"), Payload::Binary(bytes.into()));
})];
