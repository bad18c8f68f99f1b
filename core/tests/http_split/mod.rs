//! What the tests of the HTTP decoders share.

use std::fmt::Debug;

/// Feeds `input` whole, byte by byte, and in two at each offset; all must come out the same.
pub(crate) fn every_split<T: PartialEq + Debug>(input: &[u8], read: impl Fn(&[&[u8]]) -> T) -> T {
    let whole = read(&[input]);
    assert_eq!(read(&input.chunks(1).collect::<Vec<_>>()), whole, "byte by byte: {}", input.escape_ascii());
    for cut in 1..input.len() {
        let (first, second) = input.split_at(cut);
        assert_eq!(read(&[first, second]), whole, "cut at {cut}: {}", input.escape_ascii());
    }
    whole
}

/// Numbers that look random and are the same each time (xorshift).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    /// `seed` with a few bytes changed, left out or put in, mostly ones that mean something.
    pub(crate) fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        const BYTES: &[u8] = b"\r\n \t:;,0aG/\0\xff";
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(3) {
                0 => bytes[at] = BYTES[self.below(BYTES.len())],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, BYTES[self.below(BYTES.len())]),
            }
        }
        bytes
    }
}
