//! Payloads that say which message they belong to, so that a mix-up, a cut or a stray byte shows.

use crate::wire::push_hex;

/// Hexadecimal digits of the tag at the front of a payload.
const TAG_CHARS: usize = 16;
/// Bits of a tag that count messages; those above are the client's.
const SEQUENCE_BITS: u32 = 40;

/// Makes payloads of one length: 16 hexadecimal digits of tag (the last ones if it is shorter), then filler.
pub(crate) struct Payload {
    filler: Vec<u8>,
}

impl Payload {
    /// Payloads of `bytes` ASCII characters that need no escaping in JSON.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { filler: (b'a'..=b'z').cycle().take(bytes).collect() }
    }

    /// Appends message `sequence` of `client`.
    pub(crate) fn write(&self, client: u32, sequence: u64, out: &mut Vec<u8>) {
        let mut tag = [0; TAG_CHARS];
        push_hex((u64::from(client) << SEQUENCE_BITS) ^ sequence, &mut tag);
        let tagged = self.filler.len().min(TAG_CHARS);
        out.extend_from_slice(&tag[TAG_CHARS - tagged..]);
        out.extend_from_slice(&self.filler[tagged..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(bytes: usize, client: u32, sequence: u64) -> String {
        let mut out = Vec::new();
        Payload::new(bytes).write(client, sequence, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_payload_has_its_length_and_names_client_and_message() {
        assert_eq!(payload(20, 2, 0x1f), "000002000000001fqrst");
        for bytes in [0, 1, 15, 16, 17, 64, 1000] {
            assert_eq!(payload(bytes, 1, 1).len(), bytes);
        }
    }

    #[test]
    fn a_short_payload_keeps_the_digits_that_change() {
        assert_eq!(payload(2, 7, 0x1ff), "ff");
    }
}
