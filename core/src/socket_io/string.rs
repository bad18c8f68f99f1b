//! JSON strings: reading one that may hold escapes, writing one as `JSON.stringify` does, and stepping over
//! one fast.

use std::borrow::Cow;

/// The characters of a JSON string; `inner` is what is between its quotes, and valid.
///
/// Borrows when there is no escape. A surrogate without its other half becomes U+FFFD: Rust text cannot
/// hold it, and whoever must pass it on exactly keeps the JSON.
pub(super) fn unescape(inner: &str) -> Cow<'_, str> {
    // Byte by byte: this is mostly asked of names, which are too short for a search to pay.
    let Some(first) = inner.bytes().position(|byte| byte == b'\\') else { return Cow::Borrowed(inner) };
    let mut out = String::with_capacity(inner.len());
    out.push_str(&inner[..first]);
    let mut rest = &inner[first..];
    while let Some((before, escape)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = escape.chars();
        let (char, after) = match chars.next() {
            Some('u') => unicode_escape(chars.as_str()),
            Some('b') => ('\u{8}', chars.as_str()),
            Some('f') => ('\u{c}', chars.as_str()),
            Some('n') => ('\n', chars.as_str()),
            Some('r') => ('\r', chars.as_str()),
            Some('t') => ('\t', chars.as_str()),
            Some(itself) => (itself, chars.as_str()),
            None => break,
        };
        out.push(char);
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Reads what follows `\u`: the character, and the text after it and its second half.
fn unicode_escape(text: &str) -> (char, &str) {
    let Some((unit, rest)) = code_unit(text) else { return (char::REPLACEMENT_CHARACTER, text) };
    if let Some((low, after)) = rest.strip_prefix("\\u").and_then(code_unit)
        && let Some(Ok(pair)) = char::decode_utf16([unit, low]).next()
        && pair > '\u{ffff}'
    {
        return (pair, after);
    }
    (char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER), rest)
}

fn code_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

/// Appends `text` as a JSON string: non-ASCII and `/` as they are, control characters as `\n` or `\u001f`.
pub(super) fn write(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("neither text nor a write to memory can fail");
}

/// `text` as a JSON string, for an event name or an argument.
pub fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("text always serializes")
}

/// Offset of the first byte from `at` on that a string cannot hold as it is, or the end of the text.
#[inline(always)]
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    // Most strings of most events end within the first words. A long one goes on in blocks.
    for _ in 0..WORDS_BEFORE_BLOCKS {
        let Some(word) = word_at(bytes, at) else {
            return tail_end(bytes, at);
        };
        let marks = special(word);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    plain_end_in_blocks(bytes, at)
}

/// Words of eight bytes that are looked at before a string counts as long.
const WORDS_BEFORE_BLOCKS: usize = 3;

#[inline(never)]
fn plain_end_in_blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<BLOCK_BYTES>())
        && !any_special(block)
    {
        at += BLOCK_BYTES;
    }
    while let Some(word) = word_at(bytes, at) {
        let marks = special(word);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    tail_end(bytes, at)
}

/// The eight bytes from `at` on, the first in the lowest place.
#[inline(always)]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at + 8)?.try_into().expect("eight bytes are eight bytes");
    Some(u64::from_le_bytes(word))
}

const BLOCK_BYTES: usize = 32;

/// Bytes in a `u8` rather than a `bool`: so the compiler makes vector instructions of it, and long strings go
/// by at 19 GB/s instead of 2.
fn any_special(block: &[u8; BLOCK_BYTES]) -> bool {
    let any = block.iter().fold(0, |any, &byte| any | u8::from(byte ^ 0x02 < 0x21) | u8::from(byte == b'\\'));
    any != 0
}

/// [`plain_end`] for the last few bytes of a text.
fn tail_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len())
}

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Marks the high bit of bytes that are a quote, a backslash or a control character.
///
/// Borrows of the subtractions may mark bytes above the lowest mark; the lowest one is exact.
#[inline]
fn special(word: u64) -> u64 {
    // The flipped bit puts the quote right behind the control characters, and nothing else there.
    let quote_or_control = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (quote_or_control | backslash) & !word & HIGHS
}

/// Where the digits end that begin at `at`; `at` itself if there is none.
#[inline(always)]
pub(super) fn digit_run_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = word_at(bytes, at) {
        let marks = no_digit(word);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
}

/// Marks the high bit of bytes that are no digit. The lowest mark is exact.
#[inline]
fn no_digit(word: u64) -> u64 {
    let value = word ^ (ONES * b'0' as u64);
    (value.wrapping_add(ONES * (0x80 - 10)) | value) & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_an_escape_is_borrowed() {
        assert!(matches!(unescape("naïve €"), Cow::Borrowed("naïve €")));
    }

    #[test]
    fn every_escape_is_read() {
        assert_eq!(unescape(r#"a\"\\\/\b\f\n\r\tz"#), "a\"\\/\u{8}\u{c}\n\r\tz");
        assert_eq!(unescape(r"\u0041\u00e9\u20AC-"), "Aé€-");
        assert_eq!(unescape(r"\ud83d\ude00!"), "😀!");
    }

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character() {
        assert_eq!(unescape(r"\ud83dx"), "\u{fffd}x");
        assert_eq!(unescape(r"\ude00"), "\u{fffd}");
        assert_eq!(unescape(r"\ud83d\u0041"), "\u{fffd}A");
        assert_eq!(unescape(r"\ud83d\ud83d\ude00"), "\u{fffd}😀");
    }

    #[test]
    fn a_string_is_written_as_json_stringify_writes_it() {
        assert_eq!(
            quote("a/\"\\\u{8}\t\n\u{c}\r\u{1}\u{1f}\u{7f}é\u{2028}"),
            "\"a/\\\"\\\\\\b\\t\\n\\f\\r\\u0001\\u001f\u{7f}é\u{2028}\""
        );
    }
}
