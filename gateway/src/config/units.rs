//! How durations and sizes are written.

use std::time::Duration;

/// Longest duration of any option. The sum of two must stay below the 2^31 milliseconds (24 days) at which the
/// timers of JavaScript clients overflow and fire at once.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Units of a duration in milliseconds, longest first: the order in which they are written.
const DURATION_UNITS: &[(&str, u64)] = &[("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Units of a size in bytes, in lower case.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// Reads `25s`, `300ms` or `1m30s`: more than zero and at most [`DURATION_MAX`].
///
/// A bare number is refused: it means milliseconds to Socket.IO and seconds to most other servers.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let form = || "a duration is written like 25s, 300ms or 1m30s".to_owned();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("a duration needs a unit: {text}s or {text}ms"));
    }
    let mut rest = text;
    let mut units = DURATION_UNITS.iter();
    let mut millis = 0u64;
    while !rest.is_empty() {
        let (count, unit, after) = leading_quantity(rest).ok_or_else(form)?;
        // Searching on from the last unit found refuses units that come twice or out of order.
        let (_, unit_millis) = units.find(|(name, _)| *name == unit).ok_or_else(form)?;
        millis =
            count.checked_mul(*unit_millis).and_then(|part| millis.checked_add(part)).ok_or_else(form)?;
        rest = after;
    }
    match Duration::from_millis(millis) {
        _ if text.is_empty() => Err(form()),
        Duration::ZERO => Err("a duration must be more than zero".to_owned()),
        duration if duration > DURATION_MAX => Err("a duration is at most 24h".to_owned()),
        duration => Ok(duration),
    }
}

/// Reads `1000000`, `64kB` or `1MiB` as bytes: more than zero and less than 4 GiB.
pub(super) fn bytes(text: &str) -> Result<u32, String> {
    let form = || "a size is written in bytes, or like 64kB or 1MiB".to_owned();
    let (count, unit, after) = leading_quantity(text).ok_or_else(form)?;
    let unit = unit.to_ascii_lowercase();
    let (_, unit_bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(form)?;
    if !after.is_empty() {
        return Err(form());
    }
    match count.checked_mul(*unit_bytes).map(u32::try_from) {
        Some(Ok(0)) => Err("a size must be more than zero".to_owned()),
        Some(Ok(bytes)) => Ok(bytes),
        _ => Err("a size is less than 4GiB".to_owned()),
    }
}

/// Splits `90s5ms` into 90, `s` and `5ms`.
fn leading_quantity(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    Some((count.parse().ok()?, unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units_longest_first() {
        for (text, millis) in
            [("25s", 25_000), ("300ms", 300), ("1m30s", 90_000), ("1h1ms", 3_600_001), ("24h", 86_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in
            ["", "s", "1.5s", "-1s", "25 s", "25sec", "30s1m", "1s1s", "25S", "99999999999999999999s", "25s "]
        {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(duration("25").unwrap_err(), "a duration needs a unit: 25s or 25ms");
        assert_eq!(duration("0ms").unwrap_err(), "a duration must be more than zero");
        assert_eq!(duration("25h").unwrap_err(), "a duration is at most 24h");
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, size) in [
            ("1", 1),
            ("1000000", 1_000_000),
            ("64kB", 64_000),
            ("1MiB", 1 << 20),
            ("1mib", 1 << 20),
            ("12B", 12),
        ] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_size() {
        for text in ["", "0", "MiB", "1M", "-1", "1.5MiB", "1MiB1", "4GiB", "99999999999999999999"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
