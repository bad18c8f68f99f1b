//! What the gateway takes from a backend as a packet, and what a backend takes apart unseen.

use bytes::Bytes;
use tidegate_core::backend::wire::{FromBackend, Packet, ToBackend};

const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

/// The body of an ACK with this array.
fn body(array: &str, attachments: &[&[u8]]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).expect("short").to_le_bytes();
    let mut body = vec![0; 18];
    body.extend_from_slice(&number(array.len()));
    body.extend_from_slice(array.as_bytes());
    body.extend_from_slice(&number(attachments.len())[..2]);
    for attachment in attachments {
        body.extend_from_slice(&number(attachment.len()));
        body.extend_from_slice(attachment);
    }
    body
}

fn packet(body: &[u8]) -> Packet<'_> {
    match FromBackend::decode(0x24, body).expect("the lengths are right") {
        FromBackend::Ack { packet, .. } => packet,
        other => panic!("{other:?} is no ACK"),
    }
}

fn event(array: &str, attachments: &[&[u8]]) -> Result<String, String> {
    let (body, mut copies) = (body(array, attachments), vec![Bytes::from_static(b"from before")]);
    let event = packet(&body).event(&mut copies).map(|(name, args)| {
        assert_eq!(args.attachments(), attachments);
        format!("{} | {}", name.json(), args.json())
    });
    event.map_err(|error| error.to_string())
}

fn arguments(array: &str, attachments: &[&[u8]]) -> Result<String, String> {
    let (body, mut copies) = (body(array, attachments), Vec::new());
    let arguments = packet(&body).arguments(&mut copies).map(|args| args.json().to_owned());
    arguments.map_err(|error| error.to_string())
}

#[test]
fn events_are_taken_apart_whatever_white_space_is_around() {
    assert_eq!(event(r#"["a"]"#, &[]), Ok(r#""a" | "#.to_owned()));
    assert_eq!(event("[-1.5e3,2]", &[]), Ok("-1.5e3 | 2".to_owned()));
    assert_eq!(event("\t[ \"a\" ,\r\n1 , [2]\n] ", &[]), Ok("\"a\" | 1 , [2]".to_owned()));
    assert_eq!(event(r#"["],",{"x":"]"}]"#, &[]), Ok(r#""]," | {"x":"]"}"#.to_owned()));
    let with = format!(r#"["a",{PLACEHOLDER}]"#);
    assert_eq!(event(&with, &[b"x"]), Ok(format!(r#""a" | {PLACEHOLDER}"#)));
    assert_eq!(event(&with, &[]), Ok(format!(r#""a" | {PLACEHOLDER}"#)), "without attachments it is data");
}

#[test]
fn what_is_no_array_of_a_name_and_arguments_is_no_event() {
    for array in [
        "",
        " ",
        "[",
        "]",
        "{}",
        "\"a\"",
        "[\"a\"",
        "\"a\"]",
        "[\"a\" 1]",
        "[\"a\",]",
        "[\"a\", ]",
        "\u{c}[\"a\"]",
        "[\"a]",
        "[,1]",
        "[\u{c}1]",
        "[\"a\",1,]",
        "[\"a\",1 2]",
        "[\"a\",[]",
        "[\"a\",\"b]",
        "[\"a\"],[\"b\"]",
        "[\"a\",\u{c}1]",
    ] {
        let error = event(array, &[]).expect_err(array);
        let words = match array.starts_with('[') {
            true => "the packet: unexpected byte",
            false => "the packet is not a JSON array",
        };
        assert!(error.starts_with(words), "{array}: {error}");
    }
    let no_name = Err("the packet does not begin with the name of an event".to_owned());
    for array in ["[]", "[ ]", "[null]", "[true]", "[[1]]", "[{}]", "[\"connect\"]"] {
        assert_eq!(event(array, &[]), no_name, "{array}");
    }
    let deep = format!("[\"a\",{}{}]", "[".repeat(1024), "]".repeat(1024));
    assert_eq!(event(&deep, &[]), Err("the packet: nested deeper than 1024 brackets".to_owned()));
}

#[test]
fn attachments_and_placeholders_go_together() {
    let with = |text: &str| format!(r#"["a",{text}]"#);
    assert!(event(&with("1"), &[b"x"]).is_err(), "nobody uses it");
    assert!(event(&with(&[PLACEHOLDER; 2].join(",")), &[b"x"]).is_err(), "used twice");
    assert!(event(&with(&PLACEHOLDER.replace('0', "1")), &[b"x"]).is_err(), "not numbered from 0");
    assert!(event(&with(r#"{"num":0,"_placeholder":true}"#), &[b"x"]).is_err(), "spelled otherwise");
    assert!(arguments(&format!("[{PLACEHOLDER}]"), &[b""]).is_ok());
    assert!(arguments("[]", &[b"x"]).is_err());
}

#[test]
fn arguments_are_any_array() {
    for (array, list) in
        [("[]", ""), (" [ ] ", ""), ("[1]", "1"), ("[null, \"connect\" ]", "null, \"connect\"")]
    {
        assert_eq!(arguments(array, &[]), Ok(list.to_owned()), "{array}");
    }
    for array in ["", "1", "[1", "1]", "[,]", "[1,]", "[1]]", "[1]x", "{}"] {
        assert!(arguments(array, &[]).is_err(), "{array}");
    }
}

#[test]
fn a_backend_sees_an_event_without_any_payload_as_one_without_a_name() {
    let mut body = vec![0];
    body.extend_from_slice(&self::body("[]", &[]));
    let Ok(ToBackend::Event { packet, ack: None, .. }) = ToBackend::decode(0xa1, &body) else {
        panic!("an EVENT")
    };
    let mut attachments = Vec::new();
    let (name, args) = packet.trusted_event(&mut attachments).expect("it is an event");
    assert!(name.is_none() && args.is_empty());
}

#[test]
fn a_packet_shows_its_text_whether_it_was_decoded_or_made() {
    let body = body(r#"["a",1]"#, &[]);
    let decoded = packet(&body);
    let mut attachments = Vec::new();
    let (name, args) = decoded.event(&mut attachments).expect("it is in order");
    let made = Packet::from_event(name.json(), args);
    assert_eq!((made.json(), made), (decoded.json(), decoded));
    assert_eq!(format!("{made:?}"), r#"Packet("[\"a\",1]", [])"#);
}
