//! The sockets of one shard: their namespaces and rooms, and who is meant by a selector.
//!
//! A namespace exists while it has sockets, and a room while it has members, so a client that asks for a
//! million names leaves nothing behind. A socket's own room (its id) is not stored: the id finds the socket.
//! Spec: protocol.md 5.1, 5.2.

pub mod acks;
pub mod interest;
mod namespace;

use crate::arena::{Arena, Key};
use crate::id::{Id, IdMap};
use crate::name::Name;
use crate::time::Instant;
use namespace::Namespace;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// How far a socket has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The application has not said yes; broadcasts do not reach it.
    Connecting,
    /// The client has been told that it is in.
    Joined,
}

/// A session in one namespace.
#[derive(Debug)]
pub struct Socket {
    /// Public, and a room of its own.
    pub id: Id,
    /// The session it belongs to.
    pub session: Key,
    /// Whether the application has let it in.
    pub stage: Stage,
    /// Whether the application takes no more input from its client for its sake.
    pub holds_input: bool,
    /// When it was created.
    pub issued: Instant,
    /// The CONNECT payload as JSON text; `None` is `{}`.
    pub auth: Option<Box<str>>,
    /// `socket.data` as JSON text.
    pub data: Option<Box<str>>,
    namespace: u32,
    /// Place in the namespace's members, once joined.
    position: u32,
    rooms: SmallVec<[Membership; 1]>,
    /// The last selection that has seen this socket.
    stamp: u32,
}

/// One room of a socket, and its place in the room's members.
#[derive(Clone, Copy, Debug)]
struct Membership {
    room: u32,
    position: u32,
}

/// That this shard has got its first member somewhere, or lost its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterestChange {
    /// The namespace.
    pub namespace: Name,
    /// The room; `None` is the whole namespace.
    pub room: Option<Name>,
    /// First member, or none any more.
    pub wanted: bool,
}

/// All sockets of a shard.
#[derive(Debug, Default)]
pub struct Hub {
    sockets: Arena<Socket>,
    by_id: IdMap<u32>,
    namespaces: slab::Slab<Namespace>,
    names: HashMap<Name, u32>,
    rooms: usize,
    joined: usize,
    /// The number of the last selection; see `Socket::stamp`.
    selection: u32,
    changes: Vec<InterestChange>,
}

impl Hub {
    /// Adds a socket that is not yet joined.
    pub fn insert(
        &mut self,
        namespace: &str,
        id: Id,
        session: Key,
        issued: Instant,
        auth: Option<Box<str>>,
    ) -> Key {
        let number = self.namespace_number(namespace);
        self.namespaces[number as usize].sockets += 1;
        let key = self.sockets.insert(Socket {
            id,
            session,
            stage: Stage::Connecting,
            holds_input: false,
            issued,
            auth,
            data: None,
            namespace: number,
            position: u32::MAX,
            rooms: SmallVec::new(),
            stamp: 0,
        });
        self.by_id.insert(id, key.index);
        key
    }

    fn namespace_number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.names.get(name) {
            return number;
        }
        let name: Name = name.into();
        let number = self.namespaces.insert(Namespace::new(Arc::clone(&name)));
        let number = u32::try_from(number).expect("fewer than 2^32 namespaces fit in memory");
        self.names.insert(name, number);
        number
    }

    /// Lets a socket in: from now on broadcasts reach it. Returns whether it was not joined before.
    pub fn join_namespace(&mut self, key: Key) -> bool {
        let Some(socket) = self.sockets.get_mut(key) else { return false };
        if socket.stage == Stage::Joined {
            return false;
        }
        socket.stage = Stage::Joined;
        let namespace = &mut self.namespaces[socket.namespace as usize];
        socket.position = namespace.members.push(key.index);
        self.joined += 1;
        if namespace.members.len() == 1 {
            self.changes.push(InterestChange {
                namespace: Arc::clone(&namespace.name),
                room: None,
                wanted: true,
            });
        }
        true
    }

    /// Takes a socket out of everything. Gives back what it was, and the rooms it was in.
    pub fn remove(&mut self, key: Key) -> Option<(Socket, Name, Vec<Name>)> {
        let rooms = self.rooms_of(key);
        self.leave_all(key);
        let socket = self.sockets.remove(key)?;
        self.by_id.remove(&socket.id);
        let number = socket.namespace;
        let namespace = &mut self.namespaces[number as usize];
        let name = Arc::clone(&namespace.name);
        if socket.stage == Stage::Joined {
            self.joined -= 1;
            if let Some(moved) = namespace.members.remove(socket.position) {
                let (_, moved) = self.sockets.at_mut(moved).expect("members are sockets");
                moved.position = socket.position;
            }
            if namespace.members.len() == 0 {
                self.changes.push(InterestChange { namespace: Arc::clone(&name), room: None, wanted: false });
            }
        }
        namespace.sockets -= 1;
        if namespace.sockets == 0 {
            self.namespaces.remove(number as usize);
            self.names.remove(&name);
        }
        Some((socket, name, rooms))
    }

    /// A socket.
    pub fn get(&self, key: Key) -> Option<&Socket> {
        self.sockets.get(key)
    }

    /// A socket.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Socket> {
        self.sockets.get_mut(key)
    }

    /// The key and the session of the socket at a place that [`Self::select`] found.
    pub fn at(&self, index: u32) -> Option<(Key, &Socket)> {
        self.sockets.at(index)
    }

    /// The name of a socket's namespace.
    pub fn namespace_of(&self, key: Key) -> Option<&Name> {
        Some(&self.namespaces[self.sockets.get(key)?.namespace as usize].name)
    }

    /// The next ack id of a namespace (protocol.md 4.5: one counter, shared by its sockets and broadcasts).
    pub fn next_ack(&mut self, namespace: &str) -> Option<u64> {
        let number = *self.names.get(namespace)?;
        let next = &mut self.namespaces[number as usize].next_ack;
        *next += 1;
        Some(*next - 1)
    }

    /// Puts a socket into a room; nothing if it is in there already.
    pub fn join(&mut self, key: Key, room: &str) {
        let Some(socket) = self.sockets.get_mut(key) else { return };
        if Id::decode(room).is_some_and(|id| id == socket.id) {
            return;
        }
        let namespace = &mut self.namespaces[socket.namespace as usize];
        let (number, is_new) = namespace.room_number(room);
        if socket.rooms.iter().any(|membership| membership.room == number) {
            return;
        }
        let room = namespace.room_mut(number);
        socket.rooms.push(Membership { room: number, position: room.members.push(key.index) });
        if is_new {
            self.rooms += 1;
            self.changes.push(InterestChange {
                room: Some(Arc::clone(&room.name)),
                namespace: Arc::clone(&namespace.name),
                wanted: true,
            });
        }
    }

    /// Takes a socket out of a room; nothing if it is not in there.
    pub fn leave(&mut self, key: Key, room: &str) {
        let Some(socket) = self.sockets.get(key) else { return };
        let Some(number) = self.namespaces[socket.namespace as usize].find_room(room) else { return };
        if let Some(place) = socket.rooms.iter().position(|membership| membership.room == number) {
            self.leave_at(key, place);
        }
    }

    fn leave_all(&mut self, key: Key) {
        while self.sockets.get(key).is_some_and(|socket| !socket.rooms.is_empty()) {
            self.leave_at(key, 0);
        }
    }

    /// `place` is an index into the socket's rooms.
    fn leave_at(&mut self, key: Key, place: usize) {
        let Some(socket) = self.sockets.get_mut(key) else { return };
        let Membership { room: number, position } = socket.rooms.swap_remove(place);
        let namespace = &mut self.namespaces[socket.namespace as usize];
        let room = namespace.room_mut(number);
        if let Some(moved) = room.members.remove(position) {
            let (_, moved) = self.sockets.at_mut(moved).expect("members are sockets");
            let membership = moved.rooms.iter_mut().find(|membership| membership.room == number);
            membership.expect("a member knows its rooms").position = position;
        }
        if room.members.len() == 0 {
            let room = namespace.remove_room(number);
            self.rooms -= 1;
            let namespace = Arc::clone(&namespace.name);
            self.changes.push(InterestChange { namespace, room: Some(room), wanted: false });
        }
    }

    /// The rooms of a socket, without its own.
    pub fn rooms_of(&self, key: Key) -> Vec<Name> {
        let Some(socket) = self.sockets.get(key) else { return Vec::new() };
        let namespace = &self.namespaces[socket.namespace as usize];
        socket.rooms.iter().map(|membership| Arc::clone(&namespace.room(membership.room).name)).collect()
    }

    /// Collects the places of all joined sockets in the union of `rooms` (none: the whole namespace) that are
    /// in no room of `except`; each once.
    pub fn select(&mut self, namespace: &str, rooms: &[String], except: &[String], found: &mut Vec<u32>) {
        let Some(&number) = self.names.get(namespace) else { return };
        if rooms.is_empty() && except.is_empty() {
            found.extend_from_slice(self.namespaces[number as usize].members.as_slice());
            return;
        }
        self.next_selection();
        for room in except {
            self.visit(number, room, None);
        }
        for room in rooms {
            self.visit(number, room, Some(found));
        }
        if rooms.is_empty() {
            let Self { namespaces, sockets, selection, .. } = self;
            let members = namespaces[number as usize].members.as_slice().iter();
            found.extend(members.filter(|&&member| {
                let (_, socket) = sockets.at(member).expect("members are sockets");
                socket.stamp != *selection
            }));
        }
    }

    /// Stamps the members of a room; those not stamped before are put into `found` if it is there.
    fn visit(&mut self, namespace: u32, room: &str, mut found: Option<&mut Vec<u32>>) {
        let Self { namespaces, sockets, by_id, selection, .. } = self;
        let mut see = |member: u32| {
            let (_, socket) = sockets.at_mut(member).expect("members are sockets");
            if socket.namespace != namespace || socket.stamp == *selection {
                return;
            }
            socket.stamp = *selection;
            if let Some(found) = &mut found
                && socket.stage == Stage::Joined
            {
                found.push(member);
            }
        };
        if let Some(own) = Id::decode(room).and_then(|id| by_id.get(&id)) {
            see(*own);
        }
        let namespace = &namespaces[namespace as usize];
        if let Some(number) = namespace.find_room(room) {
            namespace.room(number).members.as_slice().iter().copied().for_each(see);
        }
    }

    fn next_selection(&mut self) {
        self.selection = self.selection.wrapping_add(1);
        if self.selection == 0 {
            for key in self.sockets.keys() {
                self.sockets.get_mut(key).expect("it is there").stamp = 0;
            }
            self.selection = 1;
        }
    }

    /// Changes of interest since the last call, oldest first.
    pub fn take_changes(&mut self) -> Vec<InterestChange> {
        std::mem::take(&mut self.changes)
    }

    /// Whether [`Self::take_changes`] has something.
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Sockets that are joined.
    pub fn joined(&self) -> usize {
        self.joined
    }

    /// Sockets, joined or not.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there is no socket.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Namespaces with sockets.
    pub fn namespaces(&self) -> usize {
        self.namespaces.len()
    }

    /// Rooms with members.
    pub fn rooms(&self) -> usize {
        self.rooms
    }
}

#[cfg(test)]
mod tests;
