//! How an application names what belongs to the gateway: sockets, sessions, ports.
//!
//! A key is never valid again once its owner has gone; whatever is asked for it then is ignored. Sockets and
//! sessions have a wire form, so that another process can name them. Any bytes are safe to use as a key: those
//! that name nothing are stale.

use crate::arena::Key;
use crate::id::ShardIndex;

/// Bytes of a key's wire form.
const KEY_BYTES: usize = 10;

/// A socket (one client in one namespace), on any shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketKey {
    pub(crate) shard: ShardIndex,
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// A session (one client across its transports), on any shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    pub(crate) shard: ShardIndex,
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// A stream of the application's own, on the shard that accepted it. Means nothing on other shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortKey(pub(super) Key);

impl SocketKey {
    /// The wire form: index (u32), generation (u32), shard (u16), each little-endian.
    pub fn to_bytes(self) -> [u8; KEY_BYTES] {
        encode(self.index, self.generation, self.shard)
    }

    /// Back from [`Self::to_bytes`].
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        let (index, generation, shard) = decode(bytes);
        Self { shard, index, generation }
    }
}

impl SessionKey {
    /// The wire form: index (u32), generation (u32), shard (u16), each little-endian.
    pub fn to_bytes(self) -> [u8; KEY_BYTES] {
        encode(self.index, self.generation, self.shard)
    }

    /// Back from [`Self::to_bytes`].
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        let (index, generation, shard) = decode(bytes);
        Self { shard, index, generation }
    }
}

fn encode(index: u32, generation: u32, shard: ShardIndex) -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    bytes[..4].copy_from_slice(&index.to_le_bytes());
    bytes[4..8].copy_from_slice(&generation.to_le_bytes());
    bytes[8..].copy_from_slice(&shard.0.to_le_bytes());
    bytes
}

fn decode([i0, i1, i2, i3, g0, g1, g2, g3, s0, s1]: [u8; KEY_BYTES]) -> (u32, u32, ShardIndex) {
    let index = u32::from_le_bytes([i0, i1, i2, i3]);
    let generation = u32::from_le_bytes([g0, g1, g2, g3]);
    (index, generation, ShardIndex(u16::from_le_bytes([s0, s1])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_of_a_key_is_index_generation_shard() {
        let key = SocketKey { shard: ShardIndex(0x0102), index: 0x0304_0506, generation: 0x0708_090a };
        let bytes = [0x06, 0x05, 0x04, 0x03, 0x0a, 0x09, 0x08, 0x07, 0x02, 0x01];
        assert_eq!((key.to_bytes(), SocketKey::from_bytes(bytes)), (bytes, key));
        let key = SessionKey { shard: key.shard, index: key.index, generation: key.generation };
        assert_eq!((key.to_bytes(), SessionKey::from_bytes(bytes)), (bytes, key));
    }
}
