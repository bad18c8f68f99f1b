//! The buffer of a message that does not arrive in one piece: cut by the network, or fragmented.
//!
//! Text is checked as it arrives (RFC 6455 §8.1), so a bad byte ends the connection at once and each byte is
//! looked at once. A character cut in two waits in `carry`. Capacity is at most twice what was received.

use super::{Error, Event};
use std::borrow::Cow;

/// An unfinished message, without its frame headers and masks.
#[derive(Debug)]
pub(super) struct Message {
    body: Body,
    /// Frames begun so far.
    pub(super) fragments: u32,
}

#[derive(Debug)]
enum Body {
    Text { text: String, carry: Carry },
    Binary(Vec<u8>),
}

/// The first bytes of a character whose rest is still to come.
#[derive(Debug, Default)]
struct Carry {
    bytes: [u8; 4],
    len: u8,
}

impl Message {
    /// A message of which the first frame has just begun. Nothing is allocated yet.
    pub(super) fn new(is_text: bool) -> Self {
        let body = if is_text {
            Body::Text { text: String::new(), carry: Carry::default() }
        } else {
            Body::Binary(Vec::new())
        };
        Self { body, fragments: 1 }
    }

    /// Bytes received so far.
    pub(super) fn len(&self) -> usize {
        match &self.body {
            Body::Text { text, carry } => text.len() + usize::from(carry.len),
            Body::Binary(bytes) => bytes.len(),
        }
    }

    /// Bytes allocated.
    pub(super) fn capacity(&self) -> usize {
        match &self.body {
            Body::Text { text, .. } => text.capacity(),
            Body::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Appends unmasked payload. `room` is the most that may still follow it.
    ///
    /// Errors only with [`Error::Utf8`].
    pub(super) fn push(&mut self, bytes: &[u8], room: usize) -> Result<(), Error> {
        match &mut self.body {
            Body::Text { text, carry } => {
                let wanted = text.len() + usize::from(carry.len) + bytes.len();
                text.reserve_exact(grown(text.capacity(), wanted, room) - text.len());
                push_text(text, carry, bytes)
            }
            Body::Binary(buffer) => {
                let wanted = buffer.len() + bytes.len();
                buffer.reserve_exact(grown(buffer.capacity(), wanted, room) - buffer.len());
                buffer.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// The whole message, handed over without a copy.
    ///
    /// Errors with [`Error::Utf8`] if text ends within a character.
    pub(super) fn finish(self) -> Result<Event<'static>, Error> {
        match self.body {
            Body::Text { carry: Carry { len: 1.., .. }, .. } => Err(Error::Utf8),
            Body::Text { text, .. } => Ok(Event::Text(Cow::Owned(text))),
            Body::Binary(bytes) => Ok(Event::Binary(Cow::Owned(bytes))),
        }
    }
}

/// The capacity for `wanted` bytes: doubled when it must grow, but never beyond what can still come.
///
/// What the peer announced only ever lowers it, so memory follows the bytes that really arrive.
fn grown(capacity: usize, wanted: usize, room: usize) -> usize {
    if wanted <= capacity {
        return capacity;
    }
    let doubled = capacity.saturating_mul(2);
    doubled.min(wanted.saturating_add(room)).max(wanted)
}

fn push_text(text: &mut String, carry: &mut Carry, mut bytes: &[u8]) -> Result<(), Error> {
    while carry.len > 0 {
        let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
        bytes = rest;
        carry.bytes[usize::from(carry.len)] = byte;
        carry.len += 1;
        match str::from_utf8(&carry.bytes[..usize::from(carry.len)]) {
            Ok(character) => {
                text.push_str(character);
                carry.len = 0;
            }
            // Still a prefix of a character, hence at most three bytes long.
            Err(error) if error.error_len().is_none() => {}
            Err(_) => return Err(Error::Utf8),
        }
    }
    match simdutf8::compat::from_utf8(bytes) {
        Ok(piece) => text.push_str(piece),
        Err(error) if error.error_len().is_none() => {
            let (whole, cut) = bytes.split_at(error.valid_up_to());
            text.push_str(str::from_utf8(whole).expect("valid up to here, says the check above"));
            carry.bytes[..cut.len()].copy_from_slice(cut);
            carry.len = u8::try_from(cut.len()).expect("a cut character is at most three bytes");
        }
        Err(_) => return Err(Error::Utf8),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_same_wherever_it_is_cut() {
        let whole = "κόσμε€😀x";
        for cut in 0..=whole.len() {
            let mut message = Message::new(true);
            message.push(&whole.as_bytes()[..cut], 100).unwrap();
            assert_eq!(message.len(), cut);
            message.push(&whole.as_bytes()[cut..], 0).unwrap();
            assert_eq!(message.finish(), Ok(Event::Text(whole.into())));
        }
    }

    #[test]
    fn a_bad_byte_is_refused_when_it_arrives_and_not_at_the_end() {
        for (first, second) in
            [(&b"\xf4"[..], &b"\x90"[..]), (b"abc", b"\xff"), (b"\xed", b"\xa0"), (b"\xce", b"x")]
        {
            let mut message = Message::new(true);
            assert_eq!(message.push(first, 10), Ok(()));
            assert_eq!(message.push(second, 10), Err(Error::Utf8));
        }
    }

    #[test]
    fn text_that_ends_within_a_character_is_refused() {
        let mut message = Message::new(true);
        message.push(b"a\xe2\x82", 0).unwrap();
        assert_eq!(message.finish(), Err(Error::Utf8));
    }

    #[test]
    fn capacity_follows_what_arrived_and_not_what_was_announced() {
        let mut message = Message::new(false);
        message.push(&[0; 100], 1_000_000_000).unwrap();
        assert!(message.capacity() <= 200);
        for _ in 0..1000 {
            message.push(&[0; 100], 1_000_000_000).unwrap();
            assert!(message.capacity() <= 2 * message.len());
        }
        let mut exact = Message::new(false);
        exact.push(&[0; 60], 40).unwrap();
        exact.push(&[0; 40], 0).unwrap();
        assert_eq!(exact.capacity(), 100);
    }
}
