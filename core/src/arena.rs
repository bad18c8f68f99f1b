//! A slab whose keys of removed values stay invalid for ever.

use slab::Slab;
use std::hash::{Hash, Hasher};

/// Generations fit in 28 bits, so that a driver can put a tag beside a key in 64 bits.
const GENERATION_MASK: u32 = (1 << 28) - 1;

/// A value's place, and which of the values that ever lived there it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The place.
    pub index: u32,
    /// Below 2^28.
    pub generation: u32,
}

impl Key {
    /// As 64 bits, the top four of them clear: for a driver's completions.
    pub fn to_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// Back from [`Self::to_u64`].
    pub fn from_u64(bits: u64) -> Self {
        let [index, generation] =
            [bits, bits >> 32].map(|half| u32::try_from(half & 0xffff_ffff).unwrap_or(0));
        Self { index, generation: generation & GENERATION_MASK }
    }
}

/// Values with stable, never reused keys.
#[derive(Debug)]
pub struct Arena<T> {
    slots: Slab<(u32, T)>,
    next_generation: u32,
}

impl Hash for Key {
    /// In one piece, which costs a keyed hash less than two.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.to_u64());
    }
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { slots: Slab::new(), next_generation: 0 }
    }
}

impl<T> Arena<T> {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Adds a value.
    pub fn insert(&mut self, value: T) -> Key {
        let generation = self.next_generation;
        self.next_generation = (generation + 1) & GENERATION_MASK;
        let index = self.slots.insert((generation, value));
        Key { index: u32::try_from(index).expect("fewer than 2^32 values fit in memory"), generation }
    }

    /// The value, if the key is not stale.
    pub fn get(&self, key: Key) -> Option<&T> {
        match self.slots.get(key.index as usize) {
            Some((generation, value)) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value, if the key is not stale.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.slots.get_mut(key.index as usize) {
            Some((generation, value)) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value at a place that is known to be in use, and its key.
    pub fn at(&self, index: u32) -> Option<(Key, &T)> {
        self.slots
            .get(index as usize)
            .map(|(generation, value)| (Key { index, generation: *generation }, value))
    }

    /// The value at a place, and its key.
    pub fn at_mut(&mut self, index: u32) -> Option<(Key, &mut T)> {
        self.slots
            .get_mut(index as usize)
            .map(|(generation, value)| (Key { index, generation: *generation }, value))
    }

    /// Takes the value out; its key is stale from now on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        Some(self.slots.remove(key.index as usize).1)
    }

    /// All keys, in no particular order.
    pub fn keys(&self) -> Vec<Key> {
        self.iter().map(|(key, _)| key).collect()
    }

    /// All values with their keys, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().map(|(index, (generation, value))| {
            let index = u32::try_from(index).expect("insert checked it");
            (Key { index, generation: *generation }, value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_never_finds_the_next_tenant() {
        let mut arena = Arena::default();
        let first = arena.insert("first");
        assert_eq!(arena.remove(first), Some("first"));
        let second = arena.insert("second");
        assert_eq!(second.index, first.index);
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.get_mut(first), None);
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.get(second), Some(&"second"));
        assert_eq!(arena.at(second.index), Some((second, &"second")));
    }
}
