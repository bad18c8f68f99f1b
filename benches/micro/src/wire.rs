//! The codec of the backend protocol.

use crate::Workload;
use crate::inputs;
use std::hint::black_box;
use tidegate_core::backend::wire::{EmitFlags, Frames, FromBackend, List, Packet, Selector, ToBackend};
use tidegate_core::shard::app::SocketKey;
use tidegate_core::socket_io::ArgsRef;

/// Frames in one read.
const BATCH: u32 = 16;

pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        Workload::new("wire/encode_event_64", 64, encode_event),
        Workload::new("wire/decode_ack_64", 64, || decode(ack)).of(BATCH, 100),
        Workload::new("wire/decode_emit_64", 64, || decode(emit)).of(BATCH, 100),
        Workload::new("wire/decode_broadcast_64", 64, || decode(broadcast)).of(BATCH, 100),
    ]
}

fn socket() -> SocketKey {
    SocketKey::from_bytes([7, 0, 0, 0, 1, 0, 0, 0, 0, 0])
}

/// What the gateway does with every event of a client.
fn encode_event() -> impl FnMut() {
    let (json, mut batch) = (inputs::json(64), Vec::with_capacity(1024));
    move || {
        let packet = Packet::from_event("\"message\"", ArgsRef::trusted(black_box(&json), &[]));
        let event = ToBackend::Event { socket: socket(), ack: Some(117), redelivered: false, packet };
        batch.clear();
        event.encode(black_box(&mut batch)).expect("it is short");
    }
}

/// What the gateway does with frames of a backend before it obeys: finds their ends, and checks all there is.
fn decode(frame: fn(&str) -> Vec<u8>) -> impl FnMut() {
    let batch = frame(&inputs::json(64)).repeat(BATCH as usize);
    let mut frames = Frames::new(u32::MAX);
    move || {
        let mut input = black_box(batch.as_slice());
        let mut count = 0;
        while let Some(frame) = frames.next(&mut input).expect("good frames") {
            let decoded = FromBackend::decode(frame.kind(), frame.body()).expect("a good frame");
            let (mut attachments, mut room) = (Vec::new(), Vec::new());
            match black_box(decoded) {
                FromBackend::Ack { packet, .. } => {
                    black_box(packet.arguments(&mut attachments).expect("good arguments"));
                }
                FromBackend::Emit { packet, .. } | FromBackend::Broadcast { packet, .. } => {
                    black_box(packet.event(&mut room).expect("a good event"));
                }
                other => panic!("{other:?}"),
            }
            count += 1;
        }
        assert_eq!(count, BATCH);
    }
}

fn ack(json: &str) -> Vec<u8> {
    bytes_of(&FromBackend::Ack { socket: socket(), ack: 117, packet: Packet::from_arguments(args(json)) })
}

fn emit(json: &str) -> Vec<u8> {
    let (flags, packet) = (EmitFlags::default(), Packet::from_event("\"news\"", args(json)));
    bytes_of(&FromBackend::Emit { socket: socket(), flags, ack: 0, timeout_ms: 0, packet })
}

fn broadcast(json: &str) -> Vec<u8> {
    bytes_of(&FromBackend::Broadcast {
        flags: EmitFlags::default(),
        selector: Selector {
            namespace: "/",
            rooms: List::from(&["lobby"][..]),
            except: List::from(&["mute"][..]),
        },
        request: 0,
        timeout_ms: 0,
        packet: Packet::from_event("\"news\"", args(json)),
    })
}

fn args(json: &str) -> ArgsRef<'_> {
    ArgsRef::trusted(json, &[])
}

fn bytes_of(frame: &FromBackend<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes).expect("it is short");
    bytes
}
