//! Codecs: WebSocket frames, HTTP responses, Socket.IO packets. Bytes and values only, no I/O.
//!
//! The generator has its own, apart from the gateway's, so that a mistake in one is not agreed upon by both.

pub(crate) mod http;
pub(crate) mod packet;
pub(crate) mod websocket;

/// Appends `value` in decimal.
pub(crate) fn push_decimal(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(value % 10).expect("one digit");
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Fills `out` with the last hexadecimal digits of `value`.
pub(crate) fn push_hex(mut value: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[usize::from(value.to_le_bytes()[0] & 0xf)];
        value >>= 4;
    }
}

/// Takes a decimal number off the front. `None` without a digit, or beyond `u64`.
pub(crate) fn take_decimal(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = bytes.split_at(digits);
    let value = number
        .iter()
        .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    (digits > 0).then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_survive_a_round_trip() {
        for value in [0, 9, 10, 12_345, u64::MAX] {
            let mut text = Vec::new();
            push_decimal(value, &mut text);
            assert_eq!(text, value.to_string().as_bytes());
            text.extend_from_slice(b"[1]");
            assert_eq!(take_decimal(&text), Some((value, &b"[1]"[..])));
        }
    }

    #[test]
    fn what_is_not_a_decimal_is_refused() {
        assert_eq!(take_decimal(b""), None);
        assert_eq!(take_decimal(b"-1"), None);
        assert_eq!(take_decimal(b"18446744073709551616"), None);
    }
}
