//! Session and socket ids: 20 characters that cannot be guessed and that say where their owner lives.
//!
//! An id is 15 bytes in URL-safe base64: 11 from a CSPRNG and 4 of routing, scrambled with a key of the process
//! so that a client learns nothing about cores and nodes. The random part alone is the secret (88 bits).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use std::fmt;

/// Characters of an id on the wire. Clients and cluster peers rely on it (protocol.md 1.3, 6.2).
pub const ID_CHARS: usize = 20;
const ID_BYTES: usize = 15;
const RANDOM_BYTES: usize = 11;

/// The number of a shard within its node; also its index in the mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardIndex(pub u16);

impl ShardIndex {
    /// As an index into per-shard tables.
    pub fn as_usize(self) -> usize {
        usize::from(self.0)
    }
}

/// An Engine.IO session id or a Socket.IO socket id.
///
/// Equality takes the same time wherever two ids differ, because a session id is a bearer secret.
#[derive(Clone, Copy, Eq)]
pub struct Id([u8; ID_BYTES]);

impl Id {
    /// Reads an id off the wire. `None` if it cannot be one of ours.
    pub fn decode(text: &str) -> Option<Self> {
        if text.len() != ID_CHARS {
            return None;
        }
        let mut bytes = [0; ID_BYTES];
        let written = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (written == ID_BYTES).then_some(Self(bytes))
    }

    /// The id as its 20 characters.
    pub fn encode(self) -> IdText {
        let mut text = [0; ID_CHARS];
        URL_SAFE_NO_PAD
            .encode_slice(self.0, &mut text)
            .expect("15 bytes are exactly 20 characters of base64 without padding");
        IdText(text)
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

impl std::hash::Hash for Id {
    /// Eight random bytes are a hash already; only we choose what is inserted.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let (random, _) = self.0.split_first_chunk().expect("an id is longer than eight bytes");
        state.write_u64(u64::from_le_bytes(*random));
    }
}

impl fmt::Debug for Id {
    /// Shows two characters only: ids are secrets and end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({}…)", &self.encode().as_str()[..2])
    }
}

/// An id in its wire form, without an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdText([u8; ID_CHARS]);

impl IdText {
    /// The 20 characters.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The key that hides the routing part of ids. The same on every shard of a node.
#[derive(Clone, Copy)]
pub struct RouteKey([u8; 4]);

impl RouteKey {
    /// A key from secret random bytes.
    pub fn new(secret: [u8; 4]) -> Self {
        Self(secret)
    }

    /// The shard whose session (or socket) this is, if the id was made with this key.
    ///
    /// A forged id may name any shard below `shards`: the owner then does not find it.
    pub fn shard_of(self, id: Id, shards: u16) -> Option<ShardIndex> {
        let mut route = [0; 4];
        route.copy_from_slice(&id.0[RANDOM_BYTES..]);
        let mask = self.mask(&id.0);
        let plain = u32::from_be_bytes(route) ^ mask;
        let shard = u16::try_from(plain).ok()?;
        (shard < shards).then_some(ShardIndex(shard))
    }

    /// Differs from id to id, so that two ids of one shard have nothing in common.
    fn mask(self, id: &[u8; ID_BYTES]) -> u32 {
        let mut folded = u32::from_be_bytes(self.0);
        for chunk in id[..RANDOM_BYTES].chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            folded = (folded ^ u32::from_be_bytes(word)).wrapping_mul(0x9e37_79b1).rotate_left(15);
        }
        folded
    }
}

/// Makes the ids of one shard.
pub struct IdSource {
    random: ChaCha12Rng,
    key: RouteKey,
    shard: ShardIndex,
}

impl IdSource {
    /// `seed` is secret randomness from the operating system (or anything, in a test).
    pub fn new(seed: [u8; 32], key: RouteKey, shard: ShardIndex) -> Self {
        Self { random: ChaCha12Rng::from_seed(seed), key, shard }
    }

    /// A fresh id that routes to this shard.
    pub fn next_id(&mut self) -> Id {
        let mut bytes = [0; ID_BYTES];
        self.random.fill_bytes(&mut bytes[..RANDOM_BYTES]);
        let route = u32::from(self.shard.0) ^ self.key.mask(&bytes);
        bytes[RANDOM_BYTES..].copy_from_slice(&route.to_be_bytes());
        Id(bytes)
    }

    /// Randomness for anything else of this shard that must not be predictable.
    pub fn next_u64(&mut self) -> u64 {
        self.random.next_u64()
    }
}

/// Hashes ids, which are random already, by taking eight of their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl std::hash::Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

/// A map from ids.
pub type IdMap<T> = std::collections::HashMap<Id, T, std::hash::BuildHasherDefault<IdHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn source(shard: u16) -> IdSource {
        IdSource::new([7; 32], RouteKey::new([1, 2, 3, 4]), ShardIndex(shard))
    }

    #[test]
    fn an_id_survives_the_wire_and_names_its_shard() {
        let mut ids = source(5);
        for _ in 0..1000 {
            let id = ids.next_id();
            let text = id.encode();
            assert_eq!(text.as_str().len(), ID_CHARS);
            assert_eq!(Id::decode(text.as_str()), Some(id));
            assert_eq!(ids.key.shard_of(id, 8), Some(ShardIndex(5)));
        }
    }

    #[test]
    fn an_id_of_another_process_or_of_a_shard_that_is_not_there_routes_nowhere() {
        let id = source(5).next_id();
        assert_eq!(RouteKey::new([1, 2, 3, 4]).shard_of(id, 5), None);
        assert_eq!(RouteKey::new([9, 9, 9, 9]).shard_of(id, 8), None);
    }

    #[test]
    fn what_is_not_twenty_characters_of_url_safe_base64_is_no_id() {
        for text in
            ["", "abc", "__proto__", "AAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAA+", "AAAAAAAAAAAAAAAAAAAAA"]
        {
            assert_eq!(Id::decode(text), None, "{text}");
        }
        assert!(Id::decode("AAAAAAAAAAAAAAAAAA-_").is_some());
    }

    #[test]
    fn the_routing_part_of_two_ids_of_one_shard_differs() {
        let mut ids = source(3);
        let (a, b) = (ids.next_id(), ids.next_id());
        assert_ne!(a.0[RANDOM_BYTES..], b.0[RANDOM_BYTES..]);
    }
}
