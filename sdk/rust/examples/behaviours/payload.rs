//! What `measure`, `big` and `bin` compute: payloads that a client can check without a library.

use serde::{Deserialize, Serialize};
use tidegate_backend::{ArgsRef, Bytes};

/// Largest answer to `big`, in bytes.
const BIG_BYTES_MAX: usize = 16 << 20;

/// What `bin` emits, in the order of the placeholders, and the last of them once more in its acknowledgement.
pub(crate) const BIN_EVENT: &str = concat!(
    r#"{"a":{"_placeholder":true,"num":0},"list":[{"_placeholder":true,"num":1},"x","#,
    r#"{"b":{"_placeholder":true,"num":2}}]},{"_placeholder":true,"num":3}"#
);
/// The attachments of [`BIN_EVENT`].
pub(crate) const BIN_ATTACHMENTS: [Bytes; 4] = [
    Bytes::from_static(&[1, 2]),
    Bytes::from_static(&[]),
    Bytes::from_static(&[3]),
    Bytes::from_static(&[255]),
];
/// What `bin` acknowledges with: the last attachment in a list.
pub(crate) const BIN_ACK: &str = r#"[{"_placeholder":true,"num":0},"x"]"#;

/// What can be said about a string or bytes.
#[derive(Serialize)]
pub(crate) struct Measure {
    binary: bool,
    /// UTF-16 units, or bytes.
    length: usize,
    /// Of the units or bytes, modulo 2^32.
    sum: u32,
}

/// Measures the first argument, if it is a string or binary.
pub(crate) fn measure(args: ArgsRef<'_>) -> Option<Measure> {
    let text = args.get(0)?;
    if let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        return Some(Measure::of(false, utf16_units(inner).map(u32::from)));
    }
    let bytes = args.attachments().first().filter(|_| text.starts_with(r#"{"_placeholder":true"#))?;
    Some(Measure::of(true, bytes.iter().copied().map(u32::from)))
}

impl Measure {
    fn of(binary: bool, units: impl Iterator<Item = u32>) -> Self {
        let (length, sum) = units.fold((0, 0u32), |(n, sum), unit| (n + 1, sum.wrapping_add(unit)));
        Self { binary, length, sum }
    }
}

/// The UTF-16 units that the inside of a JSON string means. Halves of pairs are units like any other, which
/// is why this is not left to a library that makes Rust strings.
fn utf16_units(inner: &str) -> impl Iterator<Item = u16> {
    let mut rest = inner.chars();
    let mut low_half = None;
    std::iter::from_fn(move || {
        if let Some(unit) = low_half.take() {
            return Some(unit);
        }
        let meant = match rest.next()? {
            '\\' => match rest.next()? {
                'u' => {
                    let (digits, behind) = rest.as_str().split_at_checked(4)?;
                    rest = behind.chars();
                    return u16::from_str_radix(digits, 16).ok();
                }
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                itself => itself,
            },
            itself => itself,
        };
        let mut units = [0; 2];
        let units = meant.encode_utf16(&mut units);
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
pub(crate) fn big(args: ArgsRef<'_>) -> Option<(String, Vec<Bytes>)> {
    let wanted: Wanted = args.parse(0)?.ok()?;
    let bytes = wanted.bytes.min(BIG_BYTES_MAX);
    if wanted.binary {
        let pattern: Vec<u8> = (0..=250).cycle().take(bytes).collect();
        return Some((r#"{"_placeholder":true,"num":0}"#.to_owned(), vec![pattern.into()]));
    }
    Some((format!("\"{}\"", "x".repeat(bytes)), Vec::new()))
}

/// As JavaScript sorts strings.
pub(crate) fn sort(names: &mut [String]) {
    names.sort_unstable_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
}
