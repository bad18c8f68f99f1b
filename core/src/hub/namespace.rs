//! One namespace of a shard: who is in it, and who is in which room.

use crate::name::Name;
use slab::Slab;
use std::collections::HashMap;
use std::sync::Arc;

/// Places of sockets, in no order; each socket remembers its position here.
#[derive(Debug, Default)]
pub(super) struct Members(Vec<u32>);

impl Members {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn as_slice(&self) -> &[u32] {
        &self.0
    }

    /// Returns the new member's position.
    pub(super) fn push(&mut self, socket: u32) -> u32 {
        let position = u32::try_from(self.0.len()).expect("there are fewer than 2^32 sockets");
        self.0.push(socket);
        position
    }

    /// Returns the member that has moved to this position, if one has.
    pub(super) fn remove(&mut self, position: u32) -> Option<u32> {
        self.0.swap_remove(position as usize);
        self.0.get(position as usize).copied()
    }
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: Name,
    pub(super) members: Members,
}

#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) name: Name,
    /// Joined sockets.
    pub(super) members: Members,
    /// Joined or not.
    pub(super) sockets: u32,
    pub(super) next_ack: u64,
    rooms: Slab<Room>,
    numbers: HashMap<Name, u32>,
}

impl Namespace {
    pub(super) fn new(name: Name) -> Self {
        Self {
            name,
            members: Members::default(),
            sockets: 0,
            next_ack: 0,
            rooms: Slab::new(),
            numbers: HashMap::new(),
        }
    }

    pub(super) fn find_room(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The room's number, and whether it was made just now.
    pub(super) fn room_number(&mut self, name: &str) -> (u32, bool) {
        if let Some(number) = self.find_room(name) {
            return (number, false);
        }
        let name: Name = name.into();
        let number = self.rooms.insert(Room { name: Arc::clone(&name), members: Members::default() });
        let number = u32::try_from(number).expect("fewer than 2^32 rooms fit in memory");
        self.numbers.insert(name, number);
        (number, true)
    }

    pub(super) fn room(&self, number: u32) -> &Room {
        &self.rooms[number as usize]
    }

    pub(super) fn room_mut(&mut self, number: u32) -> &mut Room {
        &mut self.rooms[number as usize]
    }

    /// Returns its name.
    pub(super) fn remove_room(&mut self, number: u32) -> Name {
        let room = self.rooms.remove(number as usize);
        self.numbers.remove(&room.name);
        room.name
    }
}
