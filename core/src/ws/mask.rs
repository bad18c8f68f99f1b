//! Taking the client's mask off a payload, in place (RFC 6455 §5.3).

/// XORs `bytes` with the repeated `mask`, whose first byte belongs to the first of `bytes`.
///
/// Eight bytes at a time, which the compiler widens to vectors for long payloads.
#[inline]
pub fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_unmasked_as_the_standard_says() {
        let mask = [0x12, 0x34, 0x56, 0x78];
        for len in 0..100u8 {
            let mut bytes: Vec<u8> = (0..len).collect();
            unmask(&mut bytes, mask);
            let expected: Vec<u8> = (0..len).map(|i| i ^ mask[usize::from(i) % 4]).collect();
            assert_eq!(bytes, expected);
        }
    }
}
