//! The backend protocol, in both directions.

use crate::pieces;
use tidegate_core::backend::wire::{Frames, FromBackend, Packet, ToBackend, WireError};
use tidegate_core::socket_io::json;

const FRAME_BYTES_MAX: u32 = 4000;

/// What comes over a link. Nobody says from which end, so each frame is tried as one of either.
pub fn backend_wire(data: &[u8]) {
    let whole = read_frames(&pieces(data, 0));
    for how in [1, 7] {
        assert_eq!(read_frames(&pieces(data, how)), whole, "cut in pieces");
    }
}

/// All frames up to an error, each as text.
fn read_frames(pieces: &[&[u8]]) -> Vec<String> {
    let mut frames = Frames::new(FRAME_BYTES_MAX);
    let mut found = Vec::new();
    let mut arrived = 0;
    for mut piece in pieces.iter().copied() {
        arrived += piece.len();
        loop {
            match frames.next(&mut piece) {
                Ok(Some(frame)) => {
                    assert!(frame.byte_count() <= FRAME_BYTES_MAX as usize);
                    found.push(read_frame(frame.kind(), frame.body()));
                }
                Ok(None) => break,
                Err(error) => {
                    found.push(error.to_string());
                    return found;
                }
            }
        }
        assert!(piece.is_empty(), "without a frame everything is taken in");
        assert!(frames.heap_bytes() <= 2 * arrived + 64, "memory follows what arrived");
    }
    found
}

/// One frame, as text. What can be decoded is the same after it has been encoded and decoded again.
fn read_frame(kind: u8, body: &[u8]) -> String {
    let mut again = Vec::new();
    let from = FromBackend::decode(kind, body);
    if let Ok(frame) = &from {
        frame.encode(&mut again).expect("it was in a frame before");
        assert!(again.len() <= 5 + body.len(), "nothing is added");
        let decoded = FromBackend::decode(again[4], &again[5..]).expect("what we encode can be decoded");
        assert_eq!(&decoded, frame, "encoded and decoded again");
        use FromBackend::{Ack, Broadcast, Emit};
        if let Emit { packet, .. } | Broadcast { packet, .. } | Ack { packet, .. } = frame {
            check_packet(packet);
        }
    }
    again.clear();
    let to = ToBackend::decode(kind, body);
    if let Ok(frame) = &to {
        frame.encode(&mut again).expect("it was in a frame before");
        assert!(again.len() <= 5 + body.len(), "nothing is added");
        let decoded = ToBackend::decode(again[4], &again[5..]).expect("what we encode can be decoded");
        assert_eq!(&decoded, frame, "encoded and decoded again");
        use ToBackend::{Ack, Answer, Event};
        if let Event { packet, .. } | Answer { packet, .. } | Ack { packet, .. } = frame {
            check_packet(packet);
        }
    }
    format!("{kind:02x} {} {}", outcome(from), outcome(to))
}

fn outcome<T: std::fmt::Debug>(decoded: Result<T, WireError>) -> String {
    decoded.map_or_else(|error| error.to_string(), |frame| format!("{frame:?}"))
}

/// A packet that is in order is JSON, and means the same to who believes its sender.
fn check_packet(packet: &Packet<'_>) {
    let (mut copies, mut others) = (Vec::new(), Vec::new());
    if let Ok(args) = packet.arguments(&mut copies) {
        let trusted = packet.trusted_arguments(&mut others).expect("it is in order");
        assert_eq!(trusted.json().trim_ascii(), args.json());
        assert_eq!(trusted.attachments(), args.attachments());
        assert!(json::validate(&packet.json()).is_ok(), "arguments are JSON as a whole");
    }
    if let Ok((name, args)) = packet.event(&mut copies) {
        let (trusted, rest) = packet.trusted_event(&mut others).expect("it is in order");
        assert_eq!((trusted, rest), (Some(name), args));
        assert!(json::validate(&packet.json()).is_ok(), "an event is JSON as a whole");
    }
}
