//! What membership, acks and interest come to on one shard.

use super::*;
use crate::id::{IdSource, RouteKey, ShardIndex};
use std::collections::BTreeSet;

struct Room {
    hub: Hub,
    ids: IdSource,
}

impl Room {
    fn new() -> Self {
        let ids = IdSource::new([1; 32], RouteKey::new([0; 4]), ShardIndex(0));
        Self { hub: Hub::default(), ids }
    }

    fn socket(&mut self, namespace: &str) -> Key {
        let session = Key { index: 0, generation: 0 };
        let key = self.hub.insert(namespace, self.ids.next_id(), session, Instant::ORIGIN, None);
        self.hub.join_namespace(key);
        key
    }

    fn select(&mut self, rooms: &[&str], except: &[&str]) -> BTreeSet<u32> {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut found = Vec::new();
        self.hub.select("/", &own(rooms), &own(except), &mut found);
        let set: BTreeSet<u32> = found.iter().copied().collect();
        assert_eq!(set.len(), found.len(), "each socket at most once");
        set
    }
}

#[test]
fn a_selector_means_the_union_of_its_rooms_without_the_excepted_ones() {
    let mut world = Room::new();
    let [a, b, c, d] = std::array::from_fn(|_| world.socket("/"));
    world.hub.join(a, "x");
    world.hub.join(b, "x");
    world.hub.join(b, "y");
    world.hub.join(c, "y");
    let set = |keys: &[Key]| keys.iter().map(|key| key.index).collect::<BTreeSet<_>>();
    assert_eq!(world.select(&[], &[]), set(&[a, b, c, d]));
    assert_eq!(world.select(&["x", "y"], &[]), set(&[a, b, c]));
    assert_eq!(world.select(&["x", "y"], &["y"]), set(&[a]));
    assert_eq!(world.select(&[], &["x"]), set(&[c, d]));
    assert_eq!(world.select(&["nobody"], &[]), set(&[]));
    let own_room = world.hub.get(d).unwrap().id.encode();
    assert_eq!(world.select(&[own_room.as_str(), "x"], &[]), set(&[a, b, d]));
    assert_eq!(world.select(&[], &[own_room.as_str()]), set(&[a, b, c]));
}

#[test]
fn a_socket_that_is_not_joined_yet_is_not_reached() {
    let mut world = Room::new();
    let joined = world.socket("/");
    let session = Key { index: 0, generation: 0 };
    let connecting = world.hub.insert("/", world.ids.next_id(), session, Instant::ORIGIN, None);
    world.hub.join(connecting, "x");
    world.hub.join(joined, "x");
    assert_eq!(world.select(&["x"], &[]), BTreeSet::from([joined.index]));
    world.hub.join_namespace(connecting);
    assert_eq!(world.select(&["x"], &[]).len(), 2);
}

#[test]
fn what_has_no_members_is_gone_and_said_to_be_gone() {
    let mut world = Room::new();
    let a = world.socket("/");
    world.hub.join(a, "x");
    world.hub.join(a, "x");
    world.hub.leave(a, "y");
    assert_eq!(world.hub.rooms(), 1);
    let (_, name, rooms) = world.hub.remove(a).unwrap();
    assert_eq!((&*name, rooms), ("/", vec![Name::from("x")]));
    assert_eq!((world.hub.rooms(), world.hub.namespaces(), world.hub.len()), (0, 0, 0));
    let changes: Vec<_> =
        world.hub.take_changes().into_iter().map(|change| (change.room, change.wanted)).collect();
    let x = || Some(Name::from("x"));
    assert_eq!(changes, [(None, true), (x(), true), (x(), false), (None, false)]);
    assert!(world.hub.remove(a).is_none());
}

#[test]
fn rooms_and_members_stay_consistent_through_any_sequence() {
    let mut world = Room::new();
    let mut alive: Vec<(Key, BTreeSet<String>)> = Vec::new();
    for _ in 0..20_000 {
        let dice = world.ids.next_u64();
        let room = format!("room{}", dice >> 8 & 7);
        let pick = usize::try_from(dice >> 16 & 0xffff).unwrap() % alive.len().max(1);
        match dice % 8 {
            0 | 1 if alive.len() < 60 => {
                let key = world.socket("/");
                alive.push((key, BTreeSet::new()));
            }
            2 if !alive.is_empty() => {
                let (key, rooms) = alive.swap_remove(pick);
                let (_, _, left) = world.hub.remove(key).unwrap();
                assert_eq!(left.iter().map(|name| name.to_string()).collect::<BTreeSet<_>>(), rooms);
            }
            3..=5 if !alive.is_empty() => {
                world.hub.join(alive[pick].0, &room);
                alive[pick].1.insert(room);
            }
            6 if !alive.is_empty() => {
                world.hub.leave(alive[pick].0, &room);
                alive[pick].1.remove(&room);
            }
            _ => {
                let expected: BTreeSet<u32> = alive
                    .iter()
                    .filter(|(_, rooms)| rooms.contains(&room) && !rooms.contains("room0"))
                    .map(|(key, _)| key.index)
                    .collect();
                assert_eq!(world.select(&[&room], &["room0"]), expected);
            }
        }
    }
}
