//! One packet of Engine.IO revision 4 off the wire (protocol.md 1.4).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, NO_PAD};
use std::borrow::Cow;

/// A packet as the peer sent it, type and data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0` and what follows: over WebTransport a client opens with it, elsewhere it means nothing.
    Open(&'a str),
    /// `1`. Data is ignored.
    Close,
    /// `2`, and what follows: `probe` during an upgrade.
    Ping(&'a str),
    /// `3`, and what follows.
    Pong(&'a str),
    /// `4`: a text message, possibly empty.
    Message(&'a str),
    /// A binary message: the whole of a binary frame, or `b` and base64 (in text frames too).
    Binary(Cow<'a, [u8]>),
    /// `5`. Data is ignored.
    Upgrade,
    /// `6`. Data is ignored.
    Noop,
}

/// Why a text is no packet. All are the client's fault, and end the session with "parse error".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PacketError {
    /// A packet has at least a type.
    #[error("empty packet")]
    Empty,
    /// Neither `0` to `6` nor `b`.
    #[error("unknown packet type")]
    Type,
    /// `b`, followed by something that is not base64.
    #[error("binary packet that is not base64")]
    Base64,
}

impl<'a> Packet<'a> {
    /// Reads a text packet: a text frame, or one packet of a poll body.
    ///
    /// A binary frame is a [`Packet::Binary`] as it is; nothing about it can be wrong.
    #[inline]
    pub fn decode(text: &'a str) -> Result<Self, PacketError> {
        let kind = text.bytes().next().ok_or(PacketError::Empty)?;
        // Behind the first byte only if that is a character, as all types are.
        let data = text.get(1..).unwrap_or_default();
        Ok(match kind {
            b'0' => Self::Open(data),
            b'1' => Self::Close,
            b'2' => Self::Ping(data),
            b'3' => Self::Pong(data),
            b'4' => Self::Message(data),
            b'5' => Self::Upgrade,
            b'6' => Self::Noop,
            b'b' => Self::Binary(Cow::Owned(decode_base64(data)?)),
            _ => return Err(PacketError::Type),
        })
    }
}

/// Padding may be missing, and the last character's spare bits may say anything.
const LENIENT: GeneralPurposeConfig =
    NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// Node skips whatever is not base64. Here padding is optional, both alphabets are read and whitespace is
/// skipped, but garbage is refused (protocol.md 10, "base64").
fn decode_base64(text: &str) -> Result<Vec<u8>, PacketError> {
    // Clients send the standard alphabet without gaps; only the others pay for a second look.
    BASE64.decode(text).or_else(|_| {
        let plain: Vec<u8> = text
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                byte => byte,
            })
            .collect();
        BASE64.decode(plain).map_err(|_| PacketError::Base64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_character_is_the_type() {
        for (text, packet) in [
            ("0", Packet::Open("")),
            (r#"0{"sid":"x"}"#, Packet::Open(r#"{"sid":"x"}"#)),
            ("1", Packet::Close),
            ("1x", Packet::Close),
            ("2", Packet::Ping("")),
            ("2probe", Packet::Ping("probe")),
            ("3", Packet::Pong("")),
            ("3probe", Packet::Pong("probe")),
            ("4", Packet::Message("")),
            ("4€", Packet::Message("€")),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
            ("b", Packet::Binary(Cow::Borrowed(b""))),
        ] {
            assert_eq!(Packet::decode(text), Ok(packet), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(Packet::decode(""), Err(PacketError::Empty));
        for text in ["abc", "7", "€", " 4", "\u{1e}", "B"] {
            assert_eq!(Packet::decode(text), Err(PacketError::Type), "{text}");
        }
    }

    #[test]
    fn base64_may_be_unpadded_url_safe_and_spaced_but_not_garbage() {
        for text in ["bAQIDBA==", "bAQIDBA", "bAQIDBA=", "bAQ IDBA==", "bAQID\r\nBA=="] {
            assert_eq!(Packet::decode(text), Ok(Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4]))), "{text}");
        }
        for text in ["b+/+/", "b-_-_", "b-/+_"] {
            assert_eq!(
                Packet::decode(text),
                Ok(Packet::Binary(Cow::Borrowed(&[0xfb, 0xff, 0xbf]))),
                "{text}"
            );
        }
        for text in ["bA", "bAQIDBA===", "b=", "bAQ==ID", "bAQ*D", "b€", "bAQI\u{0}D"] {
            assert_eq!(Packet::decode(text), Err(PacketError::Base64), "{text}");
        }
    }
}
