//! The codecs of clients: bytes to values and back.

use crate::inputs::{self, MASK};
use crate::{Call, Workload};
use std::hint::black_box;
use tidegate_core::engine_io::poll_body::{self, PollBody};
use tidegate_core::payload;
use tidegate_core::socket_io::{ArgsRef, Decoder, Packet, encode, json};
use tidegate_core::ws;

const LIMITS: ws::Limits = ws::Limits { message_bytes_max: 1_000_000, fragments_max: 0 };
/// Packets of a full poll body.
const POLL_PACKETS: usize = 16;
const SIZES: [usize; 3] = [64, 1024, 65_536];
const JSON_SIZES: [usize; 2] = [64, 4096];

pub(crate) fn workloads() -> Vec<Workload> {
    let sized = |sizes: &'static [usize], build: fn(usize) -> Workload| sizes.iter().copied().map(build);
    let mut all: Vec<Workload> = Vec::new();
    all.extend(sized(&SIZES, mask));
    all.extend(sized(&SIZES, frame));
    all.extend(
        SIZES
            .iter()
            .flat_map(|&bytes| [utf8("ascii", inputs::prose(bytes)), utf8("mixed", inputs::mixed(bytes))]),
    );
    all.extend([1, POLL_PACKETS].map(decode_poll_body));
    all.push(encode_poll_body());
    all.extend(sized(&JSON_SIZES, scan));
    all.extend(sized(&JSON_SIZES, decode_event));
    all.push(decode_binary());
    all.extend(sized(&JSON_SIZES, encode_event));
    all.push(encode_ack());
    all.push(encode_binary());
    all
}

/// The mask comes off and goes back on: the cost is the same.
fn mask(bytes: usize) -> Workload {
    Workload::new(format!("ws/unmask_{bytes}"), bytes, move || {
        let mut payload = inputs::binary(bytes).to_vec();
        move || ws::unmask(black_box(&mut payload), black_box(MASK))
    })
}

/// A text frame: header, mask, UTF-8. Every other time the text is masked, and just as valid.
fn frame(bytes: usize) -> Workload {
    Workload::new(format!("ws/decode_text_{bytes}"), bytes, move || {
        let mut frame = inputs::text_frame(&inputs::prose(bytes));
        let mut decoder = ws::Decoder::default();
        move || {
            let (used, event) = decoder.decode(black_box(&mut frame), &LIMITS).expect("a good frame");
            assert!(matches!(event, Some(ws::Event::Text(_))));
            black_box(used);
        }
    })
}

/// The check that the text of every frame goes through.
fn utf8(kind: &str, text: String) -> Workload {
    Workload::new(format!("utf8/{kind}_{}", round(text.len())), text.len(), move || {
        let text = text.clone().into_bytes();
        move || {
            black_box(simdutf8::basic::from_utf8(black_box(&text)).expect("it was text"));
        }
    })
}

/// Texts that are not ASCII end a little before their size.
fn round(bytes: usize) -> usize {
    bytes.next_power_of_two()
}

fn decode_poll_body(packets: usize) -> Workload {
    let body = vec![inputs::echo(); packets].join("\u{1e}");
    Workload::new(format!("engine_io/decode_poll_body_{packets}"), body.len(), move || {
        let body = body.clone();
        move || {
            let body = PollBody::new(black_box(body.as_bytes()));
            let count = body.packets().filter(|packet| black_box(packet).is_ok()).count();
            assert_eq!(count, packets);
        }
    })
}

fn encode_poll_body() -> Workload {
    let bytes = inputs::echo().len() * POLL_PACKETS;
    Workload::new(format!("engine_io/encode_poll_body_{POLL_PACKETS}"), bytes, || {
        let packets = vec![payload::Packet::text(&inputs::echo()); POLL_PACKETS];
        move || {
            black_box(poll_body::encode(black_box(&packets).iter()));
        }
    })
}

fn scan(bytes: usize) -> Workload {
    Workload::new(format!("socket_io/scan_json_{bytes}"), bytes, move || {
        let text = inputs::json(bytes);
        move || json::validate(black_box(&text)).expect("it is JSON")
    })
}

fn decode_event(bytes: usize) -> Workload {
    Workload::new(format!("socket_io/decode_event_{bytes}"), bytes, move || {
        let text = format!(r#"2117["message",{}]"#, inputs::json(bytes));
        let mut decoder = Decoder::new();
        move || {
            let packet = decoder.text(black_box(&text)).expect("a good packet");
            assert!(matches!(black_box(packet), Some(Packet::Event { ack: Some(117), .. })));
        }
    })
}

/// An event with two attachments.
fn decode_binary() -> Workload {
    const PART: usize = 1024;
    Workload::new("socket_io/decode_binary_2048", 2 * PART, || {
        let head = r#"52-117["file",{"name":"a","parts":[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]}]"#;
        let (part, mut decoder) = (inputs::binary(PART), Decoder::new());
        move || {
            assert!(decoder.text(black_box(head)).expect("a good packet").is_none());
            assert!(decoder.binary(black_box(&part), 1 << 20).expect("it is due").is_none());
            let whole = decoder.binary(black_box(&part), 1 << 20).expect("it is due").expect("the last one");
            assert!(matches!(black_box(whole.packet()), Packet::Event { ack: Some(117), .. }));
        }
    })
}

fn encode_event(bytes: usize) -> Workload {
    Workload::new(format!("socket_io/encode_event_{bytes}"), bytes, move || {
        let json = inputs::json(bytes);
        move || {
            let args = ArgsRef::trusted(black_box(&json), &[]);
            black_box(encode::event("/", None, "\"message\"", args));
        }
    })
}

fn encode_ack() -> Workload {
    Workload::new("socket_io/encode_ack_64", 64, || {
        let json = inputs::json(64);
        move || {
            black_box(encode::ack("/", 117, ArgsRef::trusted(black_box(&json), &[])));
        }
    })
}

fn encode_binary() -> Workload {
    Workload::new("socket_io/encode_binary_1024", 1024, || -> Call {
        let attachments = [inputs::binary(1024)];
        Box::new(move || {
            let args = ArgsRef::trusted(r#"{"_placeholder":true,"num":0}"#, black_box(&attachments));
            black_box(encode::event("/", None, "\"file\"", args));
        })
    })
}
