//! Client frames in, server frames out (RFC 6455 §5.2), as far as the load generator uses them: whole messages.

/// What a frame is (RFC 6455 §11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Opcode {
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// Not a frame we take: unmasked, in fragments, or longer than 16 bits can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// One frame: what it is, its payload, and the bytes it used.
pub(super) type Decoded<'a> = (Opcode, &'a [u8], usize);

/// Takes one frame off the front, unmasking its payload in place. `Ok(None)`: not all here yet.
pub(super) fn decode(bytes: &mut [u8]) -> Result<Option<Decoded<'_>>, Refused> {
    let (opcode, short) = match bytes {
        [] | [_] => return Ok(None),
        [first, second, ..] => (opcode(*first)?, second.checked_sub(0x80).ok_or(Refused)?),
    };
    let (start, length) = match (short, bytes.get(2..4)) {
        (127, _) => return Err(Refused),
        (126, None) => return Ok(None),
        (126, Some(long)) => (4, usize::from(u16::from_be_bytes([long[0], long[1]]))),
        (short, _) => (2, usize::from(short)),
    };
    let end = start + 4 + length;
    let Some((mask, payload)) = bytes.get_mut(start..end).and_then(|rest| rest.split_first_chunk_mut())
    else {
        return Ok(None);
    };
    unmask(payload, *mask);
    Ok(Some((opcode, payload, end)))
}

/// Appends an unmasked frame whose payload is the parts in order. At most 65 535 bytes: `decode` takes no more.
pub(super) fn encode(opcode: Opcode, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(0x80 | opcode as u8);
    match u8::try_from(length) {
        Ok(length @ 0..126) => out.push(length),
        _ => {
            let length = u16::try_from(length).expect("answers are hardly longer than what was received");
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn opcode(first: u8) -> Result<Opcode, Refused> {
    Ok(match first {
        0x81 => Opcode::Text,
        0x82 => Opcode::Binary,
        0x88 => Opcode::Close,
        0x89 => Opcode::Ping,
        0x8a => Opcode::Pong,
        _ => return Err(Refused),
    })
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
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

    /// RFC 6455 §5.7: "a single-frame masked text message".
    const HELLO: [u8; 11] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

    #[test]
    fn a_client_frame_decodes_only_when_it_is_whole() {
        for cut in 0..HELLO.len() {
            assert_eq!(decode(&mut { HELLO }[..cut]), Ok(None), "cut at {cut}");
        }
        assert_eq!(decode(&mut { HELLO }), Ok(Some((Opcode::Text, &b"Hello"[..], HELLO.len()))));
    }

    #[test]
    fn sixteen_bit_lengths_go_both_ways() {
        let mut server = Vec::new();
        encode(Opcode::Text, &[&[b'x'; 100], &[b'y'; 200]], &mut server);
        assert_eq!(&server[..4], [0x81, 126, 1, 44]);
        let mut client = vec![0x81, 0x80 | 126, 1, 44, 0, 0, 0, 0];
        client.extend_from_slice(&server[4..]);
        assert_eq!(decode(&mut client).unwrap().unwrap().1, &server[4..]);
    }

    #[test]
    fn frames_that_are_not_masked_are_refused() {
        assert_eq!(decode(&mut [0x81, 1, b'x']), Err(Refused));
        assert_eq!(decode(&mut [0x01, 0x80]), Err(Refused));
    }
}
