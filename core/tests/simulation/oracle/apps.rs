//! What applications tell the oracle, and who is meant by what they do.

use super::{BY_APPLICATION, Broadcast, ClientId, Entry, JoinOfMany, Oracle, Question, Serial, SocketId};
use super::{SocketModel, Tri, Wish, is_owned};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::close::{CloseReason, DisconnectReason};
use tidegate_core::shard::app::{Selector, SocketKey};

impl Oracle {
    pub(crate) fn connecting(
        &mut self,
        client: ClientId,
        key: SocketKey,
        shard: usize,
        namespace: &str,
        sid: String,
    ) {
        let socket = self.sockets.len();
        self.note(|| format!("client {client} asks for {namespace} with socket {socket} on shard {shard}"));
        assert!(self.by_key.insert(key, socket).is_none(), "keys are never used again");
        self.by_sid.insert(sid.clone(), socket);
        let handled = &self.handled[shard];
        let is_under_way = |join: &&JoinOfMany| join.namespace == namespace && handled[join.by] < join.called;
        let may_join = self.joins_of_many.iter().filter(is_under_way);
        let owned = may_join.map(|join| (join.room.clone(), Tri::Unknown)).collect();
        self.sockets.push(SocketModel {
            client,
            key,
            shard,
            namespace: namespace.to_owned(),
            sid,
            created: self.step,
            accepted_by: None,
            is_admitted: false,
            is_connected: false,
            known_since: None,
            is_leaving: false,
            is_rejected: false,
            is_gone: false,
            wishes: BTreeMap::new(),
            wished_at: 0,
            wished: BTreeSet::new(),
            owned,
        });
    }

    pub(crate) fn socket(&self, key: SocketKey) -> SocketId {
        *self.by_key.get(&key).expect("the application is told of sockets it has been asked about")
    }

    /// A socket has left, whose client (or application) is to blame for `reason`.
    pub(crate) fn gone(&mut self, socket: SocketId, reason: DisconnectReason) {
        self.forget(socket, reason.as_str());
        let model = &self.sockets[socket];
        let client = model.client;
        match reason {
            DisconnectReason::Session(reason) => {
                if reason == CloseReason::SlowConsumer {
                    assert!(self.may_be_slow(client), "client {client} was taken for slow");
                    self.excuse(client, "slow");
                }
                let excuse = self.clients[client].excuse;
                assert!(excuse.is_some(), "client {client} lost its session for no reason: {reason:?}");
            }
            DisconnectReason::ClientNamespace | DisconnectReason::ServerNamespace => {
                // Whoever ends a session ends sockets it does not know of, too.
                let is_closed = self.clients[client].excuse == Some(BY_APPLICATION);
                assert!(model.is_leaving || is_closed, "nobody wanted socket {socket} to leave");
            }
        }
    }

    /// A socket is no more.
    pub(crate) fn forget(&mut self, socket: SocketId, how: &str) {
        self.undecided.retain(|&other| other != socket);
        let model = &mut self.sockets[socket];
        let client = model.client;
        assert!(!model.is_gone, "socket {socket} left twice");
        model.is_gone = true;
        self.note(|| format!("socket {socket} of client {client} is gone: {how}"));
    }

    /// An event has reached the application. Those before it must have, too.
    pub(crate) fn event(&mut self, socket: SocketId, number: u64) {
        let client = self.sockets[socket].client;
        self.note(|| format!("event {number} of client {client} arrives"));
        loop {
            let next = self.clients[client].up.pop_front().expect("an event was sent before it arrived");
            if next.number == number {
                assert_eq!(next.socket, socket, "event {number} of client {client} changed its socket");
                return;
            }
            let is_excused = self.sockets[next.socket].is_leaving;
            assert!(is_excused, "event {} of client {client} was lost before {number}", next.number);
        }
    }

    pub(crate) fn wished(&mut self, socket: SocketId, room: &str, join: bool) {
        let wished = &mut self.sockets[socket].wished;
        if join {
            wished.insert(room.to_owned());
        } else {
            wished.remove(room);
        }
    }

    /// Shard `by` disconnects a socket.
    pub(crate) fn disconnects(&mut self, by: usize, socket: SocketId) {
        self.sockets[socket].is_leaving = true;
        let client = self.sockets[socket].client;
        // What the client sends before it knows breaks the rules.
        self.excuse(client, BY_APPLICATION);
        self.weaken(socket, |_| true, Some(by));
    }

    /// Shard `by` does not let a socket in.
    pub(crate) fn rejects(&mut self, by: usize, socket: SocketId) {
        let model = &mut self.sockets[socket];
        (model.is_leaving, model.is_rejected) = (true, true);
        self.weaken(socket, |_| true, Some(by));
    }

    pub(crate) fn next_serial(&mut self) -> Serial {
        self.last_serial += 1;
        self.last_serial
    }

    pub(crate) fn ask(&mut self, question: Question) -> u64 {
        self.last_ticket += 1;
        self.questions.insert(self.last_ticket, question);
        self.last_ticket
    }

    /// Shard `by` sends something to one socket. `is_here` is whether its own shard, if it is that, knows it.
    pub(crate) fn unicast(
        &mut self,
        by: usize,
        socket: SocketId,
        serial: Serial,
        is_here: bool,
        volatile: bool,
        bytes: usize,
    ) {
        let model = &self.sockets[socket];
        let need = if by == model.shard && !is_here || model.is_gone {
            Tri::No
        } else if by != model.shard && model.is_leaving || volatile {
            Tri::Unknown
        } else {
            Tri::Yes
        };
        self.note(|| format!("shard {by} sends {serial} to socket {socket}: {need:?}"));
        self.push_entry(by, Entry { serial, socket, need, rooms: Vec::new(), bytes });
    }

    fn push_entry(&mut self, by: usize, entry: Entry) {
        let client = self.sockets[entry.socket].client;
        self.clients[client].down[by].entries.push_back(entry);
    }

    /// Shard `by` sends something to many.
    pub(crate) fn broadcast(
        &mut self,
        by: usize,
        to: &Selector,
        serial: Serial,
        volatile: bool,
        bytes: usize,
        is_here: &dyn Fn(SocketKey) -> bool,
    ) {
        self.broadcasts.insert(serial, Broadcast { called: self.step, namespace: to.namespace.clone() });
        let rooms: Vec<String> = to.rooms.iter().chain(&to.except).cloned().collect();
        let members = self.members(by, to, is_here);
        self.note(|| {
            let some: Vec<_> = members.iter().filter(|(_, member)| *member != Tri::No).collect();
            let (namespace, rooms, except) = (&to.namespace, &to.rooms, &to.except);
            format!("shard {by} broadcasts {serial} to {namespace} {rooms:?} except {except:?}: {some:?}")
        });
        for (socket, member) in members {
            let need = if volatile { member.and(Tri::Unknown) } else { member };
            self.push_entry(by, Entry { serial, socket, need, rooms: rooms.clone(), bytes });
        }
    }

    /// Who is meant by a selector, as far as shard `by` can be expected to know.
    pub(crate) fn members(
        &self,
        by: usize,
        to: &Selector,
        is_here: &dyn Fn(SocketKey) -> bool,
    ) -> Vec<(SocketId, Tri)> {
        let candidates = self.sockets.iter().enumerate();
        candidates
            .filter(|(_, model)| !model.is_gone && model.namespace == to.namespace)
            .map(|(socket, model)| {
                let any = |rooms: &[String]| {
                    rooms.iter().fold(Tri::No, |any, room| any.or(self.is_in_room(by, model, room)))
                };
                let wanted = if to.rooms.is_empty() { Tri::Yes } else { any(&to.rooms) };
                (socket, self.is_in(by, model, is_here).and(wanted).and(any(&to.except).not()))
            })
            .collect()
    }

    /// Whether nothing about a socket has changed since a question was asked.
    pub(crate) fn is_calm(&self, socket: SocketId, asked: u64) -> bool {
        let model = &self.sockets[socket];
        !model.is_leaving && self.clients[model.client].excuse.is_none() && model.wished_at < asked
    }

    fn is_in(&self, by: usize, model: &SocketModel, is_here: &dyn Fn(SocketKey) -> bool) -> Tri {
        if by == model.shard {
            return match (is_here(model.key), model.is_admitted, model.accepted_by) {
                (false, _, _) => Tri::No,
                (true, true, _) => Tri::Yes,
                // It takes effect at the end of the tick, or when the message of another shard comes.
                (true, false, Some(_)) => Tri::Unknown,
                (true, false, None) => Tri::No,
            };
        }
        let is_known = model.known_since.is_some_and(|since| since <= self.caught_up[by]);
        if !model.is_leaving && (is_known || model.accepted_by == Some(by)) { Tri::Yes } else { Tri::Unknown }
    }

    fn is_in_room(&self, by: usize, model: &SocketModel, room: &str) -> Tri {
        if room == model.sid {
            return Tri::Yes;
        }
        if is_owned(room) {
            return model.owned.get(room).copied().unwrap_or(Tri::No);
        }
        if by == model.shard {
            return if model.wished.contains(room) { Tri::Yes } else { Tri::No };
        }
        match model.wishes.get(room) {
            Some(Wish::In(since)) if *since <= self.caught_up[by] => Tri::Yes,
            Some(_) => Tri::Unknown,
            None => Tri::No,
        }
    }

    /// The only shard that touches a room puts sockets into it, or takes them out.
    pub(crate) fn own(&mut self, room: &str, members: &[(SocketId, Tri)], join: bool) {
        for &(socket, meant) in members {
            let owned = &mut self.sockets[socket].owned;
            let before = owned.get(room).copied().unwrap_or(Tri::No);
            let after = if join { before.or(meant) } else { before.and(meant.not()) };
            owned.insert(room.to_owned(), after);
        }
    }

    /// As [`Self::own`], for everybody whom shard `by` means by a selector, be they there yet or not.
    pub(crate) fn own_many(
        &mut self,
        by: usize,
        room: &str,
        namespace: &str,
        members: &[(SocketId, Tri)],
        join: bool,
    ) {
        self.own(room, members, join);
        if join {
            let (namespace, room) = (namespace.to_owned(), room.to_owned());
            self.joins_of_many.push(JoinOfMany { by, called: self.step, namespace, room });
        }
    }
}
