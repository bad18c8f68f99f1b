//! Several packets in one HTTP body (Engine.IO v4, "Payload"; protocol.md 1.5 and 1.6).

use super::packet::{Packet, PacketError};
use crate::payload;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// Stands between two packets.
const SEPARATOR: u8 = 0x1e;

/// The body of a POST.
///
/// Invalid UTF-8 becomes U+FFFD, as in Node (vector P19), so the text is at most three times as long.
#[derive(Clone, Debug)]
pub struct PollBody<'a>(Cow<'a, str>);

impl<'a> PollBody<'a> {
    /// Takes a whole body, which the caller has held to its limit. Copies only if it is not UTF-8.
    pub fn new(body: &'a [u8]) -> Self {
        // What replaces looks at byte after byte; what only checks takes ASCII in words.
        Self(str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed))
    }

    /// The packets in order, up to and including the first that cannot be read.
    ///
    /// A body has at least one packet: an empty one holds one empty packet, which is an error.
    pub fn packets(&self) -> Packets<'_> {
        Packets { rest: Some(&self.0) }
    }
}

/// See [`PollBody::packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let text = match rest.split_once(char::from(SEPARATOR)) {
            Some((text, rest)) => {
                self.rest = Some(rest);
                text
            }
            None => rest,
        };
        let packet = Packet::decode(text);
        if packet.is_err() {
            self.rest = None;
        }
        Some(packet)
    }
}

/// The body of a poll's response: see [`append`].
pub fn encode<'a>(packets: impl Iterator<Item = &'a payload::Packet> + Clone) -> Vec<u8> {
    let mut body = Vec::with_capacity(bytes(packets.clone()));
    append(&mut body, packets);
    body
}

/// Bytes of the body that [`append`] appends: as many, and no more, for it is announced with them.
pub fn bytes<'a>(packets: impl Iterator<Item = &'a payload::Packet>) -> usize {
    packets.map(|packet| encoded_bytes(packet) + 1).sum::<usize>().saturating_sub(1)
}

/// Appends the body of a poll's response: text as it is, binary as `b` and padded standard base64.
pub fn append<'a>(out: &mut Vec<u8>, packets: impl Iterator<Item = &'a payload::Packet>) {
    for (index, packet) in packets.enumerate() {
        if index > 0 {
            out.push(SEPARATOR);
        }
        append_packet(out, packet);
    }
}

/// Bytes of one packet in a poll body, without separators.
pub fn encoded_bytes(packet: &payload::Packet) -> usize {
    let bytes = packet.payload().len();
    if packet.is_binary() { 1 + bytes.div_ceil(3) * 4 } else { bytes }
}

fn append_packet(body: &mut Vec<u8>, packet: &payload::Packet) {
    if !packet.is_binary() {
        body.extend_from_slice(packet.payload());
        return;
    }
    body.push(b'b');
    let start = body.len();
    body.resize(start + encoded_bytes(packet) - 1, 0);
    STANDARD
        .encode_slice(packet.payload(), &mut body[start..])
        .expect("the room of padded base64 is four characters for each three bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use payload::Packet as Outgoing;

    fn decode(body: &[u8]) -> Vec<Result<String, PacketError>> {
        PollBody::new(body).packets().map(|packet| packet.map(|packet| format!("{packet:?}"))).collect()
    }

    #[test]
    fn packets_come_in_order() {
        // protocol.md P2, P3.
        assert_eq!(
            decode(b"4test1\x1e4test2\x1ebAQIDBA==\x1e1"),
            [
                Ok(r#"Message("test1")"#.into()),
                Ok(r#"Message("test2")"#.into()),
                Ok("Binary([1, 2, 3, 4])".into()),
                Ok("Close".into()),
            ]
        );
    }

    #[test]
    fn what_follows_a_bad_packet_is_not_read() {
        // protocol.md P4.
        let joined = || Ok(r#"Message("0")"#.into());
        assert_eq!(decode(b""), [Err(PacketError::Empty)]);
        assert_eq!(decode(b"abc"), [Err(PacketError::Type)]);
        assert_eq!(decode(b"7"), [Err(PacketError::Type)]);
        assert_eq!(decode(b"\x1e"), [Err(PacketError::Empty)]);
        assert_eq!(decode(b"\x1e40"), [Err(PacketError::Empty)]);
        assert_eq!(decode(b"40\x1e"), [joined(), Err(PacketError::Empty)]);
        assert_eq!(decode(b"40\x1e\x1e40"), [joined(), Err(PacketError::Empty)]);
        assert_eq!(decode(b"40\x1eabc\x1e42[\"a\"]"), [joined(), Err(PacketError::Type)]);
        assert_eq!(decode(b"40\x1ebA*\x1e40"), [joined(), Err(PacketError::Base64)]);
    }

    #[test]
    fn bytes_that_are_not_utf8_become_replacement_characters() {
        // protocol.md P19.
        assert_eq!(decode(b"4\xff\xfe"), [Ok("Message(\"\u{fffd}\u{fffd}\")".into())]);
        assert_eq!(decode(b"\xff"), [Err(PacketError::Type)]);
    }

    #[test]
    fn a_response_joins_packets_and_is_allocated_once() {
        let packets = [
            Outgoing::text("4€"),
            Outgoing::binary(&[1, 2, 3, 4]),
            Outgoing::text("2"),
            Outgoing::text("4"),
            Outgoing::binary(&[]),
        ];
        let body = encode(packets.iter());
        // protocol.md E10, and an empty binary message.
        assert_eq!(body, "4€\x1ebAQIDBA==\x1e2\x1e4\x1eb".as_bytes());
        assert_eq!(body.capacity(), body.len());
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        for len in 0..50u8 {
            let binary: Vec<u8> = (0..len).collect();
            let packets = [Outgoing::binary(&binary), Outgoing::text("4x"), Outgoing::binary(&binary)];
            let body = encode(packets.iter());
            assert_eq!(body.len(), bytes(packets.iter()));
            let body = PollBody::new(&body);
            let decoded: Vec<_> = body.packets().map(Result::unwrap).collect();
            let expected = Packet::Binary(Cow::Borrowed(&binary));
            assert_eq!(decoded, [expected.clone(), Packet::Message("x"), expected]);
        }
    }
}
