//! Which other shards have members where, so that a broadcast crosses to those and to no others.

use crate::id::ShardIndex;
use crate::name::Name;
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
    /// Shards that are about to get members because we asked for it, once for each request on its way.
    expected: HashMap<Option<Name>, Vec<ShardIndex>>,
}

impl Interest {
    /// Notes what `shard` said.
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

    /// Notes that `shard` has been asked to put sockets into a room (`None`: to let a socket in).
    ///
    /// A broadcast that follows has to reach them, so until [`Self::done`] the shard counts as one with members,
    /// in whatever namespace: we may not know in which the sockets are.
    pub fn expect(&mut self, shard: ShardIndex, room: Option<&Name>) {
        self.expected.entry(room.cloned()).or_default().push(shard);
    }

    /// Notes that `shard` has done that, and has said before whether it got members.
    pub fn done(&mut self, shard: ShardIndex, room: Option<&Name>) {
        let room = room.cloned();
        let Some(shards) = self.expected.get_mut(&room) else { return };
        if let Some(place) = shards.iter().position(|&other| other == shard) {
            shards.swap_remove(place);
        }
        if shards.is_empty() {
            self.expected.remove(&room);
        }
    }

    /// Number of namespaces and rooms in which some other shard has members, or may be getting them.
    pub fn len(&self) -> usize {
        let rooms: usize = self.rooms.values().map(HashMap::len).sum();
        self.namespaces.len() + rooms + self.expected.len()
    }

    /// Whether no other shard has members anywhere, nor may be getting any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shards with members of the namespace.
    pub fn of_namespace(&self, namespace: &str) -> ShardSet {
        self.namespaces.get(namespace).copied().unwrap_or_default().union(self.expected(None))
    }

    /// Shards with members of the room.
    pub fn of_room(&self, namespace: &str, room: &str) -> ShardSet {
        let known = self.rooms.get(namespace).and_then(|rooms| rooms.get(room));
        known.copied().unwrap_or_default().union(self.expected(Some(room)))
    }

    fn expected(&self, room: Option<&str>) -> ShardSet {
        let mut set = ShardSet::default();
        if !self.expected.is_empty()
            && let Some(shards) = self.expected.get(&room.map(Name::from))
        {
            shards.iter().for_each(|&shard| set.set(shard, true));
        }
        set
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

    #[test]
    fn what_has_been_asked_for_counts_until_it_is_done() {
        let mut interest = Interest::default();
        let room: Name = "blue".into();
        let shards = |set: ShardSet| set.iter().map(|shard| shard.0).collect::<Vec<_>>();
        interest.expect(ShardIndex(1), Some(&room));
        interest.expect(ShardIndex(1), Some(&room));
        interest.expect(ShardIndex(2), None);
        assert_eq!(shards(interest.of_room("/any", "blue")), [1]);
        assert_eq!(shards(interest.of_namespace("/any")), [2]);
        interest.done(ShardIndex(1), Some(&room));
        // What the shard said before it got the request changes nothing.
        interest.set(ShardIndex(1), &"/any".into(), Some(&room), false);
        assert_eq!(shards(interest.of_room("/any", "blue")), [1]);
        interest.done(ShardIndex(1), Some(&room));
        interest.done(ShardIndex(2), None);
        assert!(interest.of_room("/any", "blue").is_empty());
        assert!(interest.expected.is_empty());
    }
}
