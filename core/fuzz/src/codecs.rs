//! WebSocket, Engine.IO, Socket.IO, and the query of a URL.

use crate::pieces;
use std::borrow::Cow;
use tidegate_core::engine_io::poll_body::{self, PollBody};
use tidegate_core::engine_io::request::EngineQuery;
use tidegate_core::engine_io::{self, PacketError};
use tidegate_core::http::Query;
use tidegate_core::payload;
use tidegate_core::socket_io::{self, Decoder, encode, pending_bytes_max};
use tidegate_core::ws::{self, Event, Limits};

const LIMITS: Limits = Limits { message_bytes_max: 300, fragments_max: 4 };

/// What a client sends behind the 101.
pub fn ws(data: &[u8]) {
    let whole = read_frames(&pieces(data, 0));
    for how in [1, 7] {
        assert_eq!(read_frames(&pieces(data, how)), whole, "cut in pieces");
    }
}

/// All events up to a close or an error, each as text.
fn read_frames(pieces: &[&[u8]]) -> Vec<String> {
    let mut decoder = ws::Decoder::default();
    let mut events = Vec::new();
    let mut arrived = 0;
    for piece in pieces {
        arrived += piece.len();
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        while !rest.is_empty() {
            match decoder.decode(rest, &LIMITS) {
                Ok((used, event)) => {
                    assert!(used > 0, "every call makes progress");
                    let is_close = matches!(event, Some(Event::Close { .. }));
                    if let Some(event) = event {
                        check_size(&event);
                        events.push(format!("{event:?}"));
                    }
                    if is_close {
                        return events;
                    }
                    rest = &mut rest[used..];
                }
                Err(error) => {
                    assert!(matches!(error.close_code(), 1002 | 1007 | 1008 | 1009));
                    events.push("refused".to_owned());
                    return events;
                }
            }
        }
        assert!(decoder.heap_bytes() <= 2 * arrived + 400, "memory follows what arrived");
    }
    events
}

fn check_size(event: &Event<'_>) {
    match event {
        Event::Text(text) => assert!(text.len() <= LIMITS.message_bytes_max),
        Event::Binary(bytes) => assert!(bytes.len() <= LIMITS.message_bytes_max),
        Event::Ping(payload) | Event::Pong(payload) => assert!(payload.len() <= 125),
        Event::Close { reason, .. } => assert!(reason.len() <= 123),
    }
}

/// The body of a POST.
pub fn engine_io(data: &[u8]) {
    let body = PollBody::new(data);
    let mut sent: Vec<payload::Packet> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    for packet in body.packets() {
        let Ok(packet) = packet else { break };
        texts.push(format!("{packet:?}"));
        sent.push(match packet {
            engine_io::Packet::Binary(bytes) => payload::Packet::binary(&bytes),
            engine_io::Packet::Open(text) => payload::Packet::text(&format!("0{text}")),
            engine_io::Packet::Close => payload::Packet::text("1"),
            engine_io::Packet::Ping(text) => payload::Packet::text(&format!("2{text}")),
            engine_io::Packet::Pong(text) => payload::Packet::text(&format!("3{text}")),
            engine_io::Packet::Message(text) => payload::Packet::text(&format!("4{text}")),
            engine_io::Packet::Upgrade => payload::Packet::text("5"),
            engine_io::Packet::Noop => payload::Packet::text("6"),
        });
    }
    if sent.is_empty() {
        return;
    }
    let encoded = poll_body::encode(sent.iter());
    let again: Result<Vec<String>, PacketError> =
        PollBody::new(&encoded).packets().map(|packet| packet.map(|packet| format!("{packet:?}"))).collect();
    assert_eq!(again, Ok(texts), "encoded and decoded again");
}

/// Messages of one connection, cut at bytes of value 1 (binary follows) and 2 (text follows).
pub fn socket_io(data: &[u8]) {
    let mut decoder = Decoder::new();
    let limit = pending_bytes_max(300);
    let mut rest = data;
    let mut is_text = true;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, 1 | 2)).unwrap_or(rest.len());
        let (message, tail) = rest.split_at(end);
        let is_fine = if is_text {
            let text = String::from_utf8_lossy(message);
            match decoder.text(&text) {
                Ok(Some(packet)) => check_packet(&packet),
                Ok(None) => true,
                Err(_) => false,
            }
        } else {
            match decoder.binary(message, limit) {
                Ok(Some(assembled)) => check_packet(&assembled.packet()),
                Ok(None) => true,
                Err(_) => false,
            }
        };
        assert!(decoder.pending_bytes() <= limit + data.len(), "what waits is bounded");
        let Some((&separator, tail)) = tail.split_first() else { return };
        if !is_fine {
            return;
        }
        (is_text, rest) = (separator == 2, tail);
    }
}

/// An event or acknowledgement is the same after it has been encoded and decoded again.
fn check_packet(packet: &socket_io::Packet<'_>) -> bool {
    use socket_io::Packet::{Ack, Event};
    let (parcel, args) = match *packet {
        Event { namespace, ack, name: Some(name), args } => {
            (encode::event(namespace, ack, name.json(), args), args)
        }
        Ack { namespace, id: Some(id), args } => (encode::ack(namespace, id, args), args),
        _ => return true,
    };
    assert_eq!(args.elements().count(), args.elements().map(str::len).filter(|len| *len > 0).count());
    let mut decoder = Decoder::new();
    let head = str::from_utf8(&parcel.head.payload()[1..]).expect("text is UTF-8");
    let mut again =
        decoder.text(head).expect("what we encode can be decoded").map(|again| format!("{again:?}"));
    for attachment in &parcel.attachments {
        assert_eq!(again, None, "attachments are still to come");
        let assembled = decoder.binary(attachment.payload(), usize::MAX).expect("as many as announced");
        again = assembled.map(|assembled| format!("{:?}", assembled.packet()));
    }
    assert_eq!(again, Some(format!("{packet:?}")), "encoded and decoded again");
    true
}

/// The query of a request target.
pub fn query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let query = Query::new(&text);
    let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = query.collect();
    for (key, _) in &pairs {
        let last = pairs.iter().rev().find(|(other, _)| other == key).map(|(_, value)| value.clone());
        assert_eq!(Query::new(&text).last_value(key), last, "the last of equal keys wins");
    }
    let engine = EngineQuery::from_pairs(pairs);
    assert_eq!(engine, EngineQuery::from_pairs(Query::new(&text)));
}
