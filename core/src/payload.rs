//! A packet on its way out, encoded once and shared by every receiver.
//!
//! A packet is kept as the WebSocket frame that carries it. Its long-polling form is the tail of the same
//! bytes (text) or their base64 (binary), so one encoding serves every transport and a broadcast to ten
//! thousand clients holds one allocation.

use bytes::{Buf as _, Bytes};

/// Longest header of a server frame: two bytes and a 64-bit length (RFC 6455 §5.2; servers do not mask).
const HEADER_BYTES_MAX: usize = 10;

/// One Engine.IO packet, immutable and cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    frame: Bytes,
    header_bytes: u8,
    binary: bool,
    compress: bool,
}

impl Packet {
    /// The engine's ping. It is the same for everybody, and nothing is allocated for it.
    pub fn ping() -> Self {
        Self { frame: Bytes::from_static(b"\x81\x012"), header_bytes: 2, binary: false, compress: true }
    }

    /// A text packet; `payload` starts with the Engine.IO type digit.
    pub fn text(payload: &str) -> Self {
        Self::encode(payload.as_bytes(), false)
    }

    /// A binary message (WebSocket frames of Engine.IO v4 carry no type byte).
    pub fn binary(payload: &[u8]) -> Self {
        Self::encode(payload, true)
    }

    /// A text packet whose payload `fill` writes. `hint` is the expected length in bytes.
    ///
    /// The payload goes straight into the frame, with no second buffer.
    pub fn build_text(hint: usize, fill: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut frame = Vec::with_capacity(HEADER_BYTES_MAX + hint);
        frame.resize(HEADER_BYTES_MAX, 0);
        fill(&mut frame);
        Self::finish(frame, false)
    }

    fn encode(payload: &[u8], binary: bool) -> Self {
        let mut frame = Vec::with_capacity(HEADER_BYTES_MAX + payload.len());
        frame.resize(HEADER_BYTES_MAX, 0);
        frame.extend_from_slice(payload);
        Self::finish(frame, binary)
    }

    /// Writes the header right in front of the payload, which starts at `HEADER_BYTES_MAX`.
    fn finish(mut frame: Vec<u8>, binary: bool) -> Self {
        let (room, payload) = frame.split_first_chunk_mut().expect("the room for the header was there first");
        let header_bytes = write_header(room, payload.len(), binary);
        let mut frame = Bytes::from(frame);
        frame.advance(HEADER_BYTES_MAX - usize::from(header_bytes));
        Self { frame, header_bytes, binary, compress: true }
    }

    /// The same packet with the `compress` flag of the Socket.IO API set as given (default true).
    #[must_use]
    pub fn with_compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// The packet as one WebSocket frame.
    pub fn websocket_frame(&self) -> &Bytes {
        &self.frame
    }

    /// The packet as one WebSocket frame, without another reference to it.
    pub fn into_websocket_frame(self) -> Bytes {
        self.frame
    }

    /// The packet without its frame header: type digit and data for text, raw bytes for binary.
    pub fn payload(&self) -> &[u8] {
        &self.frame[usize::from(self.header_bytes)..]
    }

    /// Whether this is a binary message.
    pub fn is_binary(&self) -> bool {
        self.binary
    }

    /// Whether the sender allows compression of this packet.
    pub fn compress(&self) -> bool {
        self.compress
    }
}

/// FIN, opcode text or binary, shortest length form, at the end of `room`. Returns the header's length.
fn write_header(room: &mut [u8; HEADER_BYTES_MAX], payload_bytes: usize, binary: bool) -> u8 {
    let first = if binary { 0x82 } else { 0x81 };
    if let Ok(short @ 0..126) = u8::try_from(payload_bytes) {
        [room[8], room[9]] = [first, short];
        2
    } else if let Ok(medium) = u16::try_from(payload_bytes) {
        [room[6], room[7]] = [first, 126];
        room[8..].copy_from_slice(&medium.to_be_bytes());
        4
    } else {
        [room[0], room[1]] = [first, 127];
        room[2..].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
        10
    }
}

/// A Socket.IO packet as it leaves: the text packet and the binary messages that follow it without a gap.
#[derive(Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The Socket.IO packet itself.
    pub head: Packet,
    /// Its attachments, in placeholder order. Empty for most packets, and then without an allocation.
    pub attachments: Box<[Packet]>,
}

impl Parcel {
    /// All packets, in wire order.
    pub fn packets(&self) -> impl Iterator<Item = &Packet> {
        std::iter::once(&self.head).chain(&self.attachments)
    }
}

impl Clone for Parcel {
    /// As derived, but a broadcast without attachments does not pay for copying none of them to everybody.
    fn clone(&self) -> Self {
        let attachments = if self.attachments.is_empty() { Box::default() } else { self.attachments.clone() };
        Self { head: self.head.clone(), attachments }
    }
}

impl From<Packet> for Parcel {
    fn from(head: Packet) -> Self {
        Self { head, attachments: Box::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_shortest_header_that_fits_its_payload() {
        for (bytes, header) in [
            (0usize, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 0xff, 0xff]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let text = "x".repeat(bytes);
            let packet = Packet::text(&text);
            assert_eq!(&packet.websocket_frame()[..header.len()], header, "{bytes} bytes");
            assert_eq!(packet.payload(), text.as_bytes());
        }
    }

    #[test]
    fn the_ping_is_what_its_text_would_be() {
        assert_eq!(Packet::ping(), Packet::text("2"));
    }

    #[test]
    fn a_binary_packet_is_a_binary_frame() {
        let packet = Packet::binary(&[1, 2, 3]);
        assert_eq!(packet.websocket_frame().as_ref(), [0x82, 3, 1, 2, 3]);
        assert!(packet.is_binary());
    }
}
