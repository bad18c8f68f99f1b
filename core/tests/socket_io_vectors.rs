//! The vectors of protocol.md 9.5 (decoder), 9.6 (encoder) and the codec's part of 9.7 (server).
//!
//! A message is written as on the wire without the Engine.IO digit; `<0102>` is a binary one, `PH` stands for
//! the placeholder of attachment 0 and `PH1` for that of attachment 1.

#![expect(clippy::unwrap_used, reason = "these are helpers of tests")]

use bytes::Bytes;
use tidegate_core::payload::Parcel;
use tidegate_core::socket_io::{
    Args, ArgsRef, DecodeError, Decoder, Packet, encode, pending_bytes_max, quote,
};

use DecodeError::*;

fn wire(notation: &str) -> String {
    notation
        .replace("PH1", r#"{"_placeholder":true,"num":1}"#)
        .replace("PH", r#"{"_placeholder":true,"num":0}"#)
}

fn unhex(notation: &str) -> Option<Vec<u8>> {
    let digits = notation.strip_prefix('<')?.strip_suffix('>')?;
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("<".to_owned(), |out, byte| out + &format!("{byte:02x}")) + ">"
}

/// A packet on one line: type, namespace, id, name, arguments, attachments.
fn line(packet: &Packet<'_>) -> String {
    let id = |id: Option<u64>| id.map_or(String::new(), |id| format!(" #{id}"));
    let optional = |json: Option<&str>| json.map_or(String::new(), |json| format!(" {json}"));
    let args = |args: ArgsRef<'_>| {
        let text = if args.is_empty() { String::new() } else { format!(" {}", args.json()) };
        args.attachments().iter().fold(text, |out, bytes| out + " " + &hex(bytes))
    };
    match *packet {
        Packet::Connect { namespace, auth } => format!("CONNECT {namespace}{}", optional(auth)),
        Packet::Disconnect { namespace } => format!("DISCONNECT {namespace}"),
        Packet::Event { namespace, ack, name, args: arguments } => {
            let name = optional(name.map(|name| name.json()));
            format!("EVENT {namespace}{}{name}{}", id(ack), args(arguments))
        }
        Packet::Ack { namespace, id: answered, args: arguments } => {
            format!("ACK {namespace}{}{}", id(answered), args(arguments))
        }
        Packet::ConnectError { namespace, data } => format!("CONNECT_ERROR {namespace}{}", optional(data)),
    }
}

/// Feeds messages to one decoder: a line per packet, and `...` if one is not complete at the end.
fn decode(messages: &[&str]) -> Result<Vec<String>, DecodeError> {
    let mut decoder = Decoder::new();
    let mut lines = Vec::new();
    for message in messages {
        lines.extend(match unhex(message) {
            Some(bytes) => decoder
                .binary(&bytes, pending_bytes_max(1_000_000))?
                .map(|assembled| line(&assembled.packet())),
            None => decoder.text(&wire(message))?.map(|packet| line(&packet)),
        });
    }
    if decoder.pending_bytes() > 0 {
        lines.push("...".to_owned());
    }
    Ok(lines)
}

#[test]
fn packets_that_the_decoder_takes() {
    let vectors: &[(&str, &[&str], &str)] = &[
        ("D1", &["0"], "CONNECT /"),
        ("D2", &[r#"0{"token":"123"}"#], r#"CONNECT / {"token":"123"}"#),
        ("D3", &["0/admin"], "CONNECT /admin"),
        ("D3", &["0/admin,"], "CONNECT /admin"),
        ("D4", &[r#"0/admin?a=b,{"x":1}"#], r#"CONNECT /admin?a=b {"x":1}"#),
        ("D6", &["05"], "CONNECT /"),
        ("D7", &["1"], "DISCONNECT /"),
        ("D7", &["1/admin"], "DISCONNECT /admin"),
        ("D7", &["1/admin,"], "DISCONNECT /admin"),
        ("D9", &[r#"2["a"]"#], r#"EVENT / "a""#),
        ("D10", &[r#"2["message",1,"2",{"3":[true]}]"#], r#"EVENT / "message" 1,"2",{"3":[true]}"#),
        ("D11", &[r#"212["a"]"#], r#"EVENT / #12 "a""#),
        ("D12", &[r#"2/admin,12["a"]"#], r#"EVENT /admin #12 "a""#),
        ("D13", &[r#"20["a"]"#], r#"EVENT / #0 "a""#),
        ("D13", &[r#"200["a"]"#], r#"EVENT / #0 "a""#),
        ("D14", &["2"], "EVENT /"),
        ("D14", &["212"], "EVENT / #12"),
        ("D16", &[r#"2[1,"x"]"#], r#"EVENT / 1 "x""#),
        ("D16", &[r#"2[""]"#], r#"EVENT / """#),
        ("D18", &[r#"2["error"]"#], r#"EVENT / "error""#),
        ("D18", &[r#"2["connection"]"#], r#"EVENT / "connection""#),
        ("D21", &[r#"2["a"] "#], r#"EVENT / "a""#),
        ("D21", &["2[\"a\"]\n"], r#"EVENT / "a""#),
        ("D22", &[r#"2/admin["a"]"#], r#"EVENT /admin["a"]"#),
        ("D24", &[r#"2/,["a"]"#], r#"EVENT / "a""#),
        ("D24", &[r#"2//x,["a"]"#], r#"EVENT //x "a""#),
        ("D25", &[r#"2["a",PH]"#], r#"EVENT / "a" PH"#),
        ("D27", &["3"], "ACK /"),
        ("D27", &["3[]"], "ACK /"),
        ("D28", &["31[]"], "ACK / #1"),
        ("D28", &[r#"3/admin,1["x"]"#], r#"ACK /admin #1 "x""#),
        ("D30", &["4{}"], "CONNECT_ERROR / {}"),
        ("D30", &[r#"4"x""#], r#"CONNECT_ERROR / "x""#),
        ("D30", &["4"], "CONNECT_ERROR /"),
        ("D35", &[r#"51-["a",PH]"#, "<0102>"], r#"EVENT / "a" PH <0102>"#),
        ("D36", &[r#"51-/admin,12["a",PH]"#, "<07>"], r#"EVENT /admin #12 "a" PH <07>"#),
        ("D37", &[r#"51-["a",{"b":[PH]}]"#, "<01>"], r#"EVENT / "a" {"b":[PH]} <01>"#),
        ("D38", &[r#"52-["a",PH,PH]"#, "<01>", "<02>"], r#"EVENT / "a" PH,PH1 <01> <01>"#),
        ("D39", &[r#"51-["a"]"#, "<01>"], r#"EVENT / "a""#),
        (
            "D42",
            &[r#"51-["a",{"_placeholder":1,"num":0}]"#, "<01>"],
            r#"EVENT / "a" {"_placeholder":1,"num":0}"#,
        ),
        ("D43", &[r#"51-["a",{"_placeholder":true,"num":0,"x":1}]"#, "<01>"], r#"EVENT / "a" PH <01>"#),
        ("D46", &[r#"510-["a"]"#], "..."),
        ("D48", &["51-", "<01>"], "EVENT /"),
        ("D49", &["61-1[PH]", "<010203>"], "ACK / #1 PH <010203>"),
        ("D50", &[r#"51-2["a",PH]"#, "<>"], r#"EVENT / #2 "a" PH <>"#),
        ("D52", &[r#"2["a",1e400]"#], r#"EVENT / "a" 1e400"#),
        ("D52", &[r#"2["\ud800"]"#], r#"EVENT / "\ud800""#),
        ("ids up to 2^53-1", &["29007199254740991[1]"], "EVENT / #9007199254740991 1"),
        ("blanks around elements", &[r#"2[ "a" , 1 , 2 ]"#], r#"EVENT / "a" 1 , 2"#),
        ("two in a row", &[r#"51-["a",PH]"#, "<01>", r#"2["b"]"#], "EVENT / \"a\" PH <01>\nEVENT / \"b\""),
    ];
    for (vector, messages, expected) in vectors {
        let got = decode(messages).map(|lines| lines.join("\n"));
        assert_eq!(got, Ok(wire(expected)), "{vector}: {messages:?}");
    }
}

#[test]
fn messages_that_the_decoder_refuses() {
    let vectors: &[(&str, &[&str], DecodeError)] = &[
        ("D5", &["0[]"], InvalidPayload),
        ("D5", &["0null"], InvalidPayload),
        ("D5", &[r#"0"x""#], InvalidPayload),
        ("D5", &["0abc"], InvalidPayload),
        ("D5", &["0admin,{}"], InvalidPayload),
        ("D8", &["1{}"], InvalidPayload),
        ("D8", &[r#"1"""#], InvalidPayload),
        ("D15", &["2[]"], InvalidPayload),
        ("D15", &["2[null]"], InvalidPayload),
        ("D15", &["2[true]"], InvalidPayload),
        ("D15", &["2[{}]"], InvalidPayload),
        ("D15", &["2{}"], InvalidPayload),
        ("D15", &[r#"2"a""#], InvalidPayload),
        ("D15", &["2null"], InvalidPayload),
        ("D17", &[r#"2["connect"]"#], InvalidPayload),
        ("D17", &[r#"2["disconnect"]"#], InvalidPayload),
        ("D17", &[r#"2["connect_error"]"#], InvalidPayload),
        ("D17", &[r#"2["disconnecting"]"#], InvalidPayload),
        ("D17", &[r#"2["newListener"]"#], InvalidPayload),
        ("D17", &[r#"2["removeListener"]"#], InvalidPayload),
        ("D19", &[r#"2-1["a"]"#], InvalidPayload),
        ("D19", &[r#"21.5["a"]"#], InvalidPayload),
        ("D19", &[r#"21e1["a"]"#], InvalidPayload),
        ("D19", &[r#"2abc["a"]"#], InvalidPayload),
        ("D20", &[r#"2["a""#], InvalidPayload),
        ("D20", &[r#"2["a"]x"#], InvalidPayload),
        ("D23", &[r#"2,["a"]"#], InvalidPayload),
        ("D26", &[r#"29007199254740993["a"]"#], AckIdTooLarge),
        ("D29", &["31{}"], InvalidPayload),
        ("D29", &["31null"], InvalidPayload),
        ("D31", &["4[]"], InvalidPayload),
        ("D32", &["7"], UnknownType),
        ("D32", &["9"], UnknownType),
        ("D32", &["a"], UnknownType),
        ("D32", &["-1"], UnknownType),
        ("D33", &[""], UnknownType),
        ("D33", &[" "], UnknownType),
        ("D34", &["<01>"], UnexpectedBinary),
        ("D40", &[r#"51-["a",PH]"#, r#"2["b"]"#], TextWhilePending),
        ("D41", &[r#"51-["a",PH1]"#, "<01>"], IllegalAttachments),
        ("D41", &[r#"51-["a",{"_placeholder":true,"num":-1}]"#, "<01>"], IllegalAttachments),
        ("D41", &[r#"51-["a",{"_placeholder":true,"num":"0"}]"#, "<01>"], IllegalAttachments),
        ("D41", &[r#"51-["a",{"_placeholder":true}]"#, "<01>"], IllegalAttachments),
        ("D44", &["51-[PH]"], InvalidPayload),
        ("D45", &["5"], IllegalAttachments),
        ("D45", &[r#"5-["a"]"#], IllegalAttachments),
        ("D45", &[r#"50-["a"]"#], IllegalAttachments),
        ("D45", &[r#"5-1-["a"]"#], IllegalAttachments),
        ("D45", &[r#"51["a"]"#], IllegalAttachments),
        ("D45", &[r#"5abc-["a"]"#], IllegalAttachments),
        ("D45", &[r#"51.5-["a"]"#], IllegalAttachments),
        ("D45", &[r#"5["a-b"]"#], IllegalAttachments),
        ("D45", &["60-1[]"], IllegalAttachments),
        ("D46", &[r#"511-["a"]"#], TooManyAttachments),
        ("D46", &[r#"599999999999999999999999-["a"]"#], TooManyAttachments),
        ("D47", &["51-[]"], InvalidPayload),
        ("D47", &["51-{}"], InvalidPayload),
        ("D47", &[r#"51-["connect"]"#], InvalidPayload),
        ("D47", &[r#"61-1{"a":1}"#], InvalidPayload),
        ("D51", &[r#"51-["a",PH]"#, "<01>", "<02>"], UnexpectedBinary),
        // What JavaScript reads as a number is not always one here (protocol.md 4.2 rules 3 and 5).
        ("[T] count", &[r#"51e0-["a"]"#], IllegalAttachments),
        ("[T] count", &[r#"5+1-["a"]"#], IllegalAttachments),
        ("[T] blank id", &[r#"2 ["a"]"#], InvalidPayload),
        ("[T] blank id", &["0 {}"], InvalidPayload),
        ("[T] endless id", &[&format!("3{}[]", "9".repeat(400))], AckIdTooLarge),
        ("[T] namespace", &[&format!("0/{},", "x".repeat(1024))], NamespaceTooLong),
    ];
    for (vector, messages, expected) in vectors {
        assert_eq!(decode(messages), Err(*expected), "{vector}: {messages:?}");
    }
}

#[test]
fn nesting_is_accepted_up_to_its_limit() {
    let nested = |depth: usize| format!("2[1,{}{}]", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(decode(&[&nested(1024)]).is_ok());
    assert_eq!(decode(&[&nested(1025)]), Err(InvalidPayload));
}

#[test]
fn a_packet_may_not_keep_more_bytes_than_allowed() {
    let head = wire(r#"52-/n,["a",PH,PH1]"#);
    let kept = wire(r#"/n"a"PH,PH1"#).len();
    for (allowed, fits) in [(kept + 10, true), (kept + 9, false)] {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.text(&head), Ok(None));
        assert_eq!(decoder.pending_bytes(), kept);
        assert!(decoder.binary(&[0; 5], allowed).unwrap().is_none());
        match decoder.binary(&[0; 5], allowed) {
            Ok(packet) => assert!(fits && packet.is_some()),
            Err(error) => assert!(!fits && error == AttachmentsTooLarge),
        }
        assert_eq!(decoder.pending_bytes(), 0);
    }
}

/// The messages of a parcel in the notation of this file, Engine.IO digit included.
fn messages(parcel: &Parcel) -> Vec<String> {
    let one = |packet: &tidegate_core::payload::Packet| match packet.is_binary() {
        true => hex(packet.payload()),
        false => String::from_utf8(packet.payload().to_vec()).unwrap(),
    };
    parcel.packets().map(one).collect()
}

fn args(json: &str, attachments: &[&[u8]]) -> Args {
    let attachments: Vec<_> = attachments.iter().map(|bytes| Bytes::copy_from_slice(bytes)).collect();
    ArgsRef::checked(&wire(json), &attachments).unwrap().into_owned()
}

#[test]
fn packets_are_encoded_as_node_encodes_them() {
    let none = ArgsRef::default();
    let mut e3 = Args::new();
    e3.push(&()).unwrap().push(&None::<u8>).unwrap().push(&f64::NAN).unwrap();
    e3.push("1970-01-01T00:00:00.000Z").unwrap();
    let e7 = args("PH", &[&[1]]);
    let e8 = args(r#"{"x":PH,"y":[PH1]}"#, &[&[1], &[2]]);
    let data = Some(r#"{"code":42}"#);
    let vectors: &[(&str, Parcel, &[&str])] = &[
        ("E1", encode::connect("/", "x", None), &[r#"40{"sid":"x"}"#]),
        ("C1", encode::connect("/n", "x", Some("y")), &[r#"40/n,{"sid":"x","pid":"y"}"#]),
        ("E2", encode::disconnect("/"), &["41"]),
        ("E2", encode::disconnect("/admin"), &["41/admin,"]),
        (
            "E3",
            encode::event("/", None, &quote("a"), e3.as_ref()),
            &[r#"42["a",null,null,null,"1970-01-01T00:00:00.000Z"]"#],
        ),
        ("E4", encode::event("/a", Some(0), &quote("x"), none), &[r#"42/a,0["x"]"#]),
        ("E5", encode::ack("/", 5, none), &["435[]"]),
        ("E6", encode::connect_error("/", "x", None), &[r#"44{"message":"x"}"#]),
        ("E7", encode::event("/", None, &quote("a"), e7.as_ref()), &[r#"451-["a",PH]"#, "<01>"]),
        (
            "E8",
            encode::event("/n", Some(3), &quote("a"), e8.as_ref()),
            &[r#"452-/n,3["a",{"x":PH,"y":[PH1]}]"#, "<01>", "<02>"],
        ),
        ("E9", encode::ack("/", 7, e7.as_ref()), &["461-7[PH]", "<01>"]),
        (
            "S8",
            encode::connect_error("/mw", "nope", data),
            &[r#"44/mw,{"message":"nope","data":{"code":42}}"#],
        ),
        (
            "JSON.stringify",
            encode::connect_error("/", "a/\"\\é\n\u{1f}", None),
            &[r#"44{"message":"a/\"\\é\n\u001f"}"#],
        ),
    ];
    for (vector, parcel, expected) in vectors {
        let expected: Vec<_> = expected.iter().map(|message| wire(message)).collect();
        assert_eq!(messages(parcel), expected, "{vector}");
    }
}

/// What an echo server answers: the arguments, acknowledged if that is wanted, else emitted again.
fn answer(packet: &Packet<'_>) -> Vec<String> {
    let &Packet::Event { namespace, ack, name: Some(name), args } = packet else {
        panic!("only events with names are echoed, not {packet:?}")
    };
    messages(&match ack {
        Some(id) => encode::ack(namespace, id, args),
        None => encode::event(namespace, None, name.json(), args),
    })
}

fn echo(messages_in: &[&str]) -> Vec<String> {
    let mut decoder = Decoder::new();
    let mut out = Vec::new();
    for message in messages_in {
        match unhex(message) {
            Some(bytes) => {
                let packet = decoder.binary(&bytes, usize::MAX).unwrap();
                out.extend(packet.iter().flat_map(|assembled| answer(&assembled.packet())));
            }
            None => out.extend(decoder.text(&wire(message)).unwrap().iter().flat_map(answer)),
        }
    }
    out
}

#[test]
fn an_echo_answers_byte_for_byte_as_node_does() {
    let vectors: &[(&str, &[&str], &[&str])] = &[
        ("S13", &[r#"2["echo",1]"#], &[r#"42["echo",1]"#]),
        ("S17", &[r#"21["echo","x",{"a":1}]"#], &[r#"431["x",{"a":1}]"#]),
        ("S18", &[r#"51-7["echo",PH]"#, "<010203>"], &["461-7[PH]", "<010203>"]),
        ("S19", &[r#"52-["echo",PH1,PH]"#, "<01>", "<02>"], &[r#"452-["echo",PH,PH1]"#, "<02>", "<01>"]),
        ("S20", &[r#"51-["echo",PH]"#, "<09>"], &[r#"451-["echo",PH]"#, "<09>"]),
        // Beyond Node, which writes what it has parsed: text is passed on as it came.
        ("name as written", &[r#"2["\u00e9/\/",2]"#], &[r#"42["\u00e9/\/",2]"#]),
        ("number for a name", &["2[1.50,2]"], &["42[1.50,2]"]),
        ("lone surrogate", &[r#"2["echo","\ud800"]"#], &[r#"42["echo","\ud800"]"#]),
    ];
    for (vector, messages_in, expected) in vectors {
        let expected: Vec<_> = expected.iter().map(|message| wire(message)).collect();
        assert_eq!(echo(messages_in), expected, "{vector}: {messages_in:?}");
    }
}

#[test]
fn attachments_follow_their_placeholders_in_whatever_order_those_are_numbered() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let numbered = |numbers: [u8; 3]| {
            numbers.map(|number| format!(r#"{{"_placeholder":true,"num":{number}}}"#)).join(",")
        };
        let head = format!(r#"53-["echo",{}]"#, numbered(order));
        let [first, second, third] = order.map(|number| hex(&[number]));
        let expected = [format!(r#"453-["echo",{}]"#, numbered([0, 1, 2])), first, second, third];
        assert_eq!(echo(&[&head, "<00>", "<01>", "<02>"]), expected);
    }
}
