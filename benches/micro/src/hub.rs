//! Rooms: joining, leaving, and finding who is meant.

use crate::Workload;
use std::hint::black_box;
use tidegate_core::arena::Key;
use tidegate_core::hub::Hub;
use tidegate_core::id::{IdSource, RouteKey, ShardIndex};
use tidegate_core::time::Instant;

const CROWDS: [u32; 2] = [1000, 10_000];

pub(crate) fn workloads() -> Vec<Workload> {
    let mut all = vec![Workload::new("hub/join_and_leave_an_empty_room", 0, empty_room)];
    for members in CROWDS {
        all.push(Workload::new(format!("hub/join_and_leave_of_{members}"), 0, move || {
            join_and_leave(members)
        }));
        // Everybody; a room with all of them; two rooms with half of them in both; all but half of them.
        for (name, rooms, except, found) in [
            ("namespace", &[][..], &[][..], members),
            ("room", &["all"][..], &[], members),
            ("rooms", &["all", "even"][..], &[], members),
            ("except", &["all"][..], &["even"][..], members / 2),
        ] {
            let name = format!("hub/select_{name}_of_{members}");
            all.push(Workload::new(name, 0, move || select(members, rooms, except, found)).of(members, 10));
        }
    }
    all
}

/// A namespace in which everybody is in the room `all`, and every other one in `even`.
fn crowd(members: u32) -> (Hub, Vec<Key>) {
    let mut hub = Hub::default();
    let mut ids = IdSource::new([7; 32], RouteKey::new([1, 2, 3, 4]), ShardIndex(0));
    let keys: Vec<Key> = (0..members)
        .map(|index| {
            let session = Key { index, generation: 0 };
            let key = hub.insert("/", ids.next_id(), session, Instant::ORIGIN, None);
            hub.join_namespace(key);
            hub.join(key, "all");
            if index % 2 == 0 {
                hub.join(key, "even");
            }
            key
        })
        .collect();
    hub.take_changes();
    (hub, keys)
}

/// A room of one's own, which begins and ends with it.
fn empty_room() -> impl FnMut() {
    let (mut hub, keys) = crowd(1000);
    let mut next = 0;
    move || {
        hub.join(keys[next], black_box("a room of one's own"));
        hub.leave(keys[next], black_box("a room of one's own"));
        assert_eq!(hub.take_changes().len(), 2);
        next = (next + 1) % keys.len();
    }
}

/// One after the other leaves a crowded room and comes back.
fn join_and_leave(members: u32) -> impl FnMut() {
    let (mut hub, keys) = crowd(members);
    let mut next = 0;
    move || {
        hub.leave(keys[next], black_box("all"));
        hub.join(keys[next], black_box("all"));
        next = (next + 1) % keys.len();
    }
}

/// Who is meant. Per member of the namespace.
fn select(members: u32, rooms: &[&str], except: &[&str], expected: u32) -> impl FnMut() + use<> {
    let owned = |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
    let ((mut hub, _), rooms, except) = (crowd(members), owned(rooms), owned(except));
    let mut found = Vec::new();
    move || {
        found.clear();
        hub.select("/", black_box(&rooms), black_box(&except), &mut found);
        assert_eq!(black_box(&found).len(), expected as usize);
    }
}
