//! What the commands `measure`, `big` and `bin` compute: payloads that a client can check without a library.

use super::super::args::parse;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidegate_core::socket_io::ArgsRef;

/// Largest answer to `big`, in bytes.
const BIG_BYTES_MAX: usize = 16 << 20;

/// What `bin` emits, in placeholder order, and the last of them once more in its acknowledgement.
pub(super) const BIN_EVENT: &str = concat!(
    r#"{"a":{"_placeholder":true,"num":0},"list":[{"_placeholder":true,"num":1},"x","#,
    r#"{"b":{"_placeholder":true,"num":2}}]},{"_placeholder":true,"num":3}"#
);
/// The attachments of [`BIN_EVENT`].
pub(super) const BIN_ATTACHMENTS: [Bytes; 4] = [
    Bytes::from_static(&[1, 2]),
    Bytes::from_static(&[]),
    Bytes::from_static(&[3]),
    Bytes::from_static(&[255]),
];
/// What `bin` acknowledges with: the last attachment in a list.
pub(super) const BIN_ACK: &str = r#"[{"_placeholder":true,"num":0},"x"]"#;

/// What an application can say about a string or bytes it was sent.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Measure {
    binary: bool,
    /// UTF-16 units, or bytes.
    length: usize,
    /// Of the units or bytes, modulo 2^32.
    sum: u32,
}

/// Measures the first argument, if it is a string or binary.
pub(super) fn measure(args: ArgsRef<'_>) -> Option<Measure> {
    let text = args.get(0)?;
    if let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        return Some(Measure::of(false, utf16_units(inner).map(u32::from)));
    }
    // Attachments are numbered in the order of the text, so the first argument's is the first.
    let bytes = args.attachments().first().filter(|_| text.starts_with(r#"{"_placeholder":true"#))?;
    Some(Measure::of(true, bytes.iter().copied().map(u32::from)))
}

impl Measure {
    fn of(binary: bool, units: impl Iterator<Item = u32>) -> Self {
        let (length, sum) = units.fold((0, 0u32), |(n, sum), unit| (n + 1, sum.wrapping_add(unit)));
        Self { binary, length, sum }
    }
}

/// The UTF-16 units that the inside of a valid JSON string means. Lone surrogates are units like any other,
/// which is why this is not left to a library that makes Rust strings.
fn utf16_units(inner: &str) -> impl Iterator<Item = u16> {
    let mut chars = inner.chars();
    let mut low_half = None;
    std::iter::from_fn(move || {
        if let Some(unit) = low_half.take() {
            return Some(unit);
        }
        let c = match chars.next()? {
            '\\' => match chars.next()? {
                'u' => {
                    let digits = chars.as_str().get(..4)?;
                    chars = chars.as_str()[4..].chars();
                    return u16::from_str_radix(digits, 16).ok();
                }
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                itself => itself,
            },
            c => c,
        };
        let mut units = [0; 2];
        let units = c.encode_utf16(&mut units);
        low_half = units.get(1).copied();
        Some(units[0])
    })
}

/// The argument of `big`.
#[derive(Deserialize)]
struct Wanted {
    bytes: usize,
    #[serde(default)]
    binary: bool,
}

/// The answer to `big`: text and attachments.
pub(super) fn big(args: ArgsRef<'_>) -> Option<(String, Vec<Bytes>)> {
    let wanted: Wanted = parse(args, 0)?;
    let bytes = wanted.bytes.min(BIG_BYTES_MAX);
    if wanted.binary {
        let pattern: Vec<u8> = (0..=250).cycle().take(bytes).collect();
        return Some((r#"{"_placeholder":true,"num":0}"#.to_owned(), vec![pattern.into()]));
    }
    Some((format!("\"{}\"", "x".repeat(bytes)), Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::super::super::args::plain;
    use super::*;

    #[test]
    fn a_string_is_measured_in_utf16_units_whatever_its_spelling() {
        for (text, length, sum) in [
            (r#""""#, 0, 0),
            (r#""ab""#, 2, 97 + 98),
            (r#""é""#, 1, 0xe9),
            ("\"😀\"", 2, 0xd83d + 0xde00),
            (r#""\ud83d\ude00""#, 2, 0xd83d + 0xde00),
            (r#""\ud83d""#, 1, 0xd83d),
            (r#""\n\"\/\u0041""#, 4, 10 + 34 + 47 + 65),
        ] {
            assert_eq!(measure(plain(text)), Some(Measure { binary: false, length, sum }), "{text}");
        }
    }

    #[test]
    fn bytes_are_measured_in_bytes() {
        let attachments = [Bytes::from_static(&[255, 255, 1])];
        let args = ArgsRef::trusted(r#"{"_placeholder":true,"num":0}"#, &attachments);
        assert_eq!(measure(args), Some(Measure { binary: true, length: 3, sum: 511 }));
        assert_eq!(measure(plain("7")), None);
        assert_eq!(measure(plain("")), None);
    }

    #[test]
    fn big_answers_have_the_length_asked_for_and_no_more_than_16_mib() {
        let (text, none) = big(plain(r#"{"bytes":3}"#)).unwrap();
        assert_eq!((text.as_str(), none.len()), ("\"xxx\"", 0));
        let (_, bytes) = big(plain(r#"{"bytes":253,"binary":true}"#)).unwrap();
        assert_eq!((bytes[0].len(), bytes[0][250], bytes[0][251]), (253, 250, 0));
        let (text, _) = big(plain(r#"{"bytes":99999999999}"#)).unwrap();
        assert_eq!(text.len(), BIG_BYTES_MAX + 2);
    }
}
