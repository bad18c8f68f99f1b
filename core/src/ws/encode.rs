//! Server frames: control frames, and headers of data frames (RFC 6455 §5).
//!
//! Outgoing packets carry their header already, see [`crate::payload::Packet`]; what is here is for the rest.
//! Servers do not mask.

use crate::limits::CONTROL_BYTES_MAX;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Bytes that are left for the reason of a close frame.
const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// Appends a close frame. Without a code the peer reports 1005.
///
/// A reason needs a code; one longer than 123 bytes is cut at a character.
pub fn close(out: &mut Vec<u8>, code: Option<u16>, reason: &str) {
    let Some(code) = code else { return control(out, Control::Close, &[]) };
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    control(out, Control::Close, &payload);
}

/// Appends the answer to a ping: its payload, at most 125 bytes as decoding made sure of.
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    control(out, Control::Pong, payload);
}

/// Appends the header of an unfragmented data frame; `payload_bytes` bytes of payload are to follow.
pub fn data_header(out: &mut Vec<u8>, binary: bool, payload_bytes: usize) {
    let kind = if binary { Data::Binary } else { Data::Text };
    header(out, OpCode::Data(kind), payload_bytes);
}

fn control(out: &mut Vec<u8>, kind: Control, payload: &[u8]) {
    assert!(payload.len() <= CONTROL_BYTES_MAX, "RFC 6455 §5.5");
    header(out, OpCode::Control(kind), payload.len());
    out.extend_from_slice(payload);
}

fn header(out: &mut Vec<u8>, opcode: OpCode, payload_bytes: usize) {
    FrameHeader { opcode, ..FrameHeader::default() }
        .format(payload_bytes as u64, out)
        .expect("writing to a Vec does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Packet;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn a_close_without_a_code_is_two_bytes() {
        assert_eq!(written(|out| close(out, None, "not sent")), [0x88, 0]);
    }

    #[test]
    fn a_close_carries_its_code_and_reason() {
        assert_eq!(written(|out| close(out, Some(4001), "x")), [0x88, 3, 0x0f, 0xa1, b'x']);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = written(|out| close(out, Some(1000), &"€".repeat(100)));
        assert_eq!(frame.len(), 2 + 2 + 123);
        let frame = written(|out| close(out, Some(1000), &format!("x{}", "€".repeat(100))));
        assert_eq!(str::from_utf8(&frame[4..]).unwrap().chars().count(), 1 + 40);
    }

    #[test]
    fn a_pong_repeats_the_ping() {
        assert_eq!(written(|out| pong(out, b"hi")), [0x8a, 2, b'h', b'i']);
    }

    #[test]
    fn a_data_header_is_the_one_a_packet_carries() {
        for bytes in [0, 125, 126, 65_535, 65_536] {
            for binary in [false, true] {
                let payload = "x".repeat(bytes);
                let packet = if binary { Packet::binary(payload.as_bytes()) } else { Packet::text(&payload) };
                let mut frame = written(|out| data_header(out, binary, bytes));
                frame.extend_from_slice(payload.as_bytes());
                assert_eq!(packet.websocket_frame(), &frame);
            }
        }
    }
}
