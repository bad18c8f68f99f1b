//! WebSocket frames from a server, and to it (RFC 6455 §5.2). Messages in fragments are refused: no server
//! we measure sends them, and quietly joining them would hide what they cost.

use thiserror::Error;

/// Largest frame we take from a server, in bytes.
const FRAME_BYTES_MAX: u64 = 64 << 20;

/// What a frame is (RFC 6455 §11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Opcode {
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// One whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) opcode: Opcode,
    pub(crate) payload: &'a [u8],
}

/// The server broke the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum FrameError {
    #[error("a frame with reserved bits or an unknown opcode")]
    Header,
    #[error("a message in fragments")]
    Fragment,
    #[error("a masked frame from the server")]
    Masked,
    #[error("a frame of {bytes} bytes")]
    TooLarge { bytes: u64 },
}

/// Takes one frame off the front of `bytes`, and says how many bytes it used. `Ok(None)`: not all here yet.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some((&[first, second], rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let opcode = match first {
        0x81 => Opcode::Text,
        0x82 => Opcode::Binary,
        0x88 => Opcode::Close,
        0x89 => Opcode::Ping,
        0x8a => Opcode::Pong,
        0x00..=0x02 | 0x80 => return Err(FrameError::Fragment),
        _ => return Err(FrameError::Header),
    };
    let (announced, rest) = match second {
        0x80.. => return Err(FrameError::Masked),
        126 => match rest.split_first_chunk() {
            Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((length, rest)) => (u64::from_be_bytes(*length), rest),
            None => return Ok(None),
        },
        length => (u64::from(length), rest),
    };
    let length = match usize::try_from(announced) {
        Ok(length) if announced <= FRAME_BYTES_MAX => length,
        _ => return Err(FrameError::TooLarge { bytes: announced }),
    };
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    Ok(Some((Frame { opcode, payload }, bytes.len() - rest.len() + length)))
}

/// Appends a masked frame, as a client must send it (RFC 6455 §5.3).
pub(crate) fn encode(opcode: Opcode, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    out.push(0x80 | opcode as u8);
    match payload.len() {
        length @ 0..126 => out.push(0x80 | u8::try_from(length).expect("below 126")),
        length => match u16::try_from(length) {
            Ok(length) => {
                out.push(0x80 | 126);
                out.extend_from_slice(&length.to_be_bytes());
            }
            Err(_) => {
                out.push(0x80 | 127);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        },
    }
    out.extend_from_slice(&mask);
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], mask);
}

fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let twice = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ twice).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_frame_decodes_only_when_it_is_whole() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let mut bytes = vec![0x81];
            match length {
                0..126 => bytes.push(u8::try_from(length).unwrap()),
                126..65_536 => {
                    bytes.push(126);
                    bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
                }
                _ => {
                    bytes.push(127);
                    bytes.extend((length as u64).to_be_bytes());
                }
            }
            bytes.extend_from_slice(&payload);
            let whole = bytes.len();
            bytes.extend_from_slice(b"next");
            for cut in (0..whole).step_by(1 + whole / 50).chain([whole - 1]) {
                assert_eq!(decode(&bytes[..cut]), Ok(None), "{length} bytes cut at {cut}");
            }
            assert_eq!(decode(&bytes), Ok(Some((Frame { opcode: Opcode::Text, payload: &payload }, whole))));
        }
    }

    #[test]
    fn frames_that_break_the_rules_are_refused() {
        assert_eq!(decode(&[0x01, 0]), Err(FrameError::Fragment));
        assert_eq!(decode(&[0x80, 0]), Err(FrameError::Fragment));
        assert_eq!(decode(&[0xc1, 0]), Err(FrameError::Header));
        assert_eq!(decode(&[0x81, 0x81]), Err(FrameError::Masked));
        assert_eq!(
            decode(&[0x81, 127, 255, 0, 0, 0, 0, 0, 0, 0]),
            Err(FrameError::TooLarge { bytes: 0xff << 56 })
        );
    }

    #[test]
    fn a_client_frame_is_masked_and_says_so() {
        // RFC 6455 §5.7: "a single-frame masked text message".
        let mut out = Vec::new();
        encode(Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d], &mut out);
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn the_mask_covers_every_length() {
        for length in 0..40 {
            let mut bytes = vec![0; length];
            apply_mask(&mut bytes, [1, 2, 3, 4]);
            assert!(bytes.iter().zip([1, 2, 3, 4].iter().cycle()).all(|(a, b)| a == b));
        }
    }
}
