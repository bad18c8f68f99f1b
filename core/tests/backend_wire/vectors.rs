//! The vectors of docs/backend-protocol.md §9: every one decodes to what the page says, and encodes to the same bytes.

use crate::fields;
use crate::page::{Direction, Mode, PAGE, Vector, vectors};
use std::collections::BTreeSet;
use tidegate_core::backend::wire::{
    Frame, Frames, FromBackend, ToBackend, WireError, frame_counts, frame_name,
};

/// The one frame of a vector.
fn frame(vector: &Vector) -> Frame<'_> {
    let mut input = &vector.bytes[..];
    let frame =
        Frames::new(u32::MAX).next(&mut input).expect("a length that is allowed").expect("it is whole");
    assert!(input.is_empty(), "{}: bytes behind the frame", vector.what);
    assert_eq!(frame_name(frame.kind()), Some(&*vector.name), "{}", vector.what);
    frame
}

#[test]
fn every_vector_decodes_to_its_fields_and_encodes_to_its_bytes() {
    for vector in vectors() {
        let frame = frame(&vector);
        let mut encoded = vec![0xaa];
        let fields = match (vector.direction, &vector.mode) {
            (_, Mode::Error) => continue,
            (Direction::FromBackend, _) => {
                let decoded = FromBackend::decode(frame.kind(), frame.body()).expect(&vector.what);
                decoded.encode(&mut encoded).expect("it was in a frame before");
                fields::from_backend(&decoded)
            }
            (Direction::ToBackend, _) => {
                let decoded = ToBackend::decode(frame.kind(), frame.body()).expect(&vector.what);
                decoded.encode(&mut encoded).expect("it was in a frame before");
                fields::to_backend(&decoded)
            }
        };
        assert_eq!(fields, vector.fields, "{}", vector.what);
        assert_eq!(encoded[0], 0xaa, "what was there before stays");
        let is_same = encoded[1..] == vector.bytes;
        assert_eq!(is_same, vector.mode == Mode::Same, "{}: {:02x?}", vector.what, &encoded[1..]);
    }
}

#[test]
fn packets_of_the_vectors_are_in_order() {
    let mut attachments = Vec::new();
    for vector in vectors().iter().filter(|vector| vector.mode != Mode::Error) {
        let frame = frame(vector);
        match vector.direction {
            Direction::FromBackend => {
                let frame = FromBackend::decode(frame.kind(), frame.body()).expect(&vector.what);
                check_packet(&frame, &mut attachments).expect(&vector.what);
            }
            Direction::ToBackend => {
                match ToBackend::decode(frame.kind(), frame.body()).expect(&vector.what) {
                    ToBackend::Event { packet, .. } => {
                        packet.trusted_event(&mut attachments).expect(&vector.what);
                    }
                    ToBackend::Ack { packet, .. } | ToBackend::Answer { packet, .. } => {
                        packet.trusted_arguments(&mut attachments).expect(&vector.what);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// What the gateway does with a packet before it uses it.
fn check_packet(frame: &FromBackend<'_>, attachments: &mut Vec<bytes::Bytes>) -> Result<(), WireError> {
    match frame {
        FromBackend::Emit { packet, .. } | FromBackend::Broadcast { packet, .. } => {
            packet.event(attachments).map(drop)
        }
        FromBackend::Ack { packet, .. } => packet.arguments(attachments).map(drop),
        _ => Ok(()),
    }
}

#[test]
fn what_the_page_says_is_refused_is_refused_for_that_reason() {
    let mut attachments = Vec::new();
    let bad: Vec<_> = vectors().into_iter().filter(|vector| vector.mode == Mode::Error).collect();
    assert!(bad.len() >= 5);
    for vector in bad {
        let frame = frame(&vector);
        let outcome = FromBackend::decode(frame.kind(), frame.body())
            .and_then(|frame| check_packet(&frame, &mut attachments));
        let error = outcome.expect_err(&vector.what).to_string();
        let expected = vector.fields["error"].as_str().expect("a text");
        assert!(error.contains(expected), "{}: {error}", vector.what);
    }
}

#[test]
fn the_page_has_a_vector_for_every_type() {
    let shown: BTreeSet<u8> = vectors().iter().map(|vector| frame(vector).kind()).collect();
    let all: BTreeSet<u8> = (0..=u8::MAX).filter(|&kind| frame_name(kind).is_some()).collect();
    assert_eq!(shown, all);
}

/// The tables of §4 and §5 list each type and its name; the code has the same.
#[test]
fn the_tables_of_the_page_are_those_of_the_code() {
    let mut listed = Vec::new();
    for row in PAGE.lines() {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, kind, name, _body, _] = cells[..] else { continue };
        let Ok(number) = u8::from_str_radix(kind, 16) else { continue };
        if kind.len() == 2 && !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
            assert_eq!(frame_name(number), Some(name));
            listed.push(number);
        }
    }
    let all: Vec<u8> = (0..=u8::MAX).filter(|&kind| frame_name(kind).is_some()).collect();
    assert_eq!(listed, all);
}

#[test]
fn frames_that_cost_memory_or_work_count() {
    let free: Vec<_> = (0..=u8::MAX).filter(|&kind| !frame_counts(kind)).filter_map(frame_name).collect();
    assert_eq!(
        free,
        [
            "HELLO",
            "CREDIT",
            "SERVE",
            "WITHDRAW",
            "DRAIN",
            "WELCOME",
            "REFUSE",
            "CREDIT",
            "TICK",
            "FETCHED",
            "ASKED",
            "ANSWER",
            "ANSWERED",
            "PEERS",
            "SERVER_RESPONSES",
            "DRAINED"
        ]
    );
}
