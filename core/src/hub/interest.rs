//! Which other shards have members where, so that a broadcast crosses to those and to no others.

use super::Name;
use crate::id::ShardIndex;
use std::collections::HashMap;

/// Most shards of one node; a set of them fits in a machine word or two.
pub const SHARDS_MAX: u16 = 128;

/// A set of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardSet(u128);

impl ShardSet {
    /// Adds or removes a shard. `shard` is below [`SHARDS_MAX`].
    pub fn set(&mut self, shard: ShardIndex, member: bool) {
        let bit = 1 << shard.0;
        if member {
            self.0 |= bit;
        } else {
            self.0 &= !bit;
        }
    }

    /// Whether no shard is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The shards in it, in order.
    pub fn iter(self) -> impl Iterator<Item = ShardIndex> {
        (0..SHARDS_MAX).filter(move |&shard| self.0 & (1 << shard) != 0).map(ShardIndex)
    }
}

/// What this shard knows of the others' members.
#[derive(Debug, Default)]
pub struct Interest {
    namespaces: HashMap<Name, ShardSet>,
    rooms: HashMap<Name, HashMap<Name, ShardSet>>,
}

impl Interest {
    /// Notes what `shard` said (or what we know that it is about to say).
    pub fn set(&mut self, shard: ShardIndex, namespace: &Name, room: Option<&Name>, wanted: bool) {
        let Some(room) = room else {
            note(&mut self.namespaces, namespace, shard, wanted);
            return;
        };
        let rooms = self.rooms.entry(Name::clone(namespace)).or_default();
        note(rooms, room, shard, wanted);
        if rooms.is_empty() {
            self.rooms.remove(namespace);
        }
    }

    /// Shards with members of the namespace.
    pub fn of_namespace(&self, namespace: &str) -> ShardSet {
        self.namespaces.get(namespace).copied().unwrap_or_default()
    }

    /// Shards with members of the room.
    pub fn of_room(&self, namespace: &str, room: &str) -> ShardSet {
        self.rooms.get(namespace).and_then(|rooms| rooms.get(room)).copied().unwrap_or_default()
    }
}

fn note(sets: &mut HashMap<Name, ShardSet>, name: &Name, shard: ShardIndex, wanted: bool) {
    let set = sets.entry(Name::clone(name)).or_default();
    set.set(shard, wanted);
    if set.is_empty() {
        sets.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interest_is_forgotten_with_the_last_shard_that_had_it() {
        let mut interest = Interest::default();
        let (namespace, room): (Name, Name) = ("/".into(), "blue".into());
        interest.set(ShardIndex(1), &namespace, Some(&room), true);
        interest.set(ShardIndex(3), &namespace, Some(&room), true);
        let shards: Vec<_> = interest.of_room("/", "blue").iter().collect();
        assert_eq!(shards, [ShardIndex(1), ShardIndex(3)]);
        assert!(interest.of_namespace("/").is_empty());
        interest.set(ShardIndex(1), &namespace, Some(&room), false);
        interest.set(ShardIndex(3), &namespace, Some(&room), false);
        assert!(interest.of_room("/", "blue").is_empty());
        assert!(interest.rooms.is_empty());
    }
}
