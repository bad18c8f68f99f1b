//! To many sockets at once, over all shards (protocol.md 5.2 to 5.5).

use super::app::{Flags, Selector, SocketInfo, Ticket};
use super::message::{Broadcast, BroadcastContent, Content, Part, SelectorAction, SelectorRequest};
use super::state::{Call, Collection, Core, Due, SoFar};
use crate::arena::Key;
use crate::hub::interest::ShardSet;
use crate::id::{Id, ShardIndex};
use crate::payload::{Packet, Parcel};
use crate::socket_io::{ArgsRef, OutName, encode};
use std::sync::Arc;
use std::time::Duration;

impl Core {
    /// Sends an event to every socket of a selector.
    pub(super) fn broadcast(
        &mut self,
        selector: &Selector,
        flags: Flags,
        event: &OutName<'_>,
        args: ArgsRef<'_>,
    ) {
        self.stats.broadcasts += 1;
        let parcel = with_flags(encode::event(&selector.namespace, None, event.json(), args), flags);
        let tick = self.tick_name();
        let remote = self.shards_of(selector);
        if !remote.is_empty() {
            let content = BroadcastContent::Plain(parcel.clone());
            self.tell_all(remote, Broadcast { selector: selector.clone(), flags, tick, content });
        }
        self.deliver(selector, &parcel, flags);
    }

    /// Sends a broadcast to other shards, each once.
    fn tell_all(&mut self, shards: ShardSet, broadcast: Broadcast) {
        let broadcast = Arc::new(broadcast);
        for shard in shards.iter() {
            self.tell(shard, Content::Broadcast(Arc::clone(&broadcast)));
        }
    }

    /// Shards, other than this, that may have members.
    fn shards_of(&self, selector: &Selector) -> ShardSet {
        if self.shards == 1 {
            return ShardSet::default();
        }
        if selector.rooms.is_empty() {
            return self.interest.of_namespace(&selector.namespace);
        }
        selector.rooms.iter().fold(ShardSet::default(), |mut set, room| {
            // A socket's own room is where its id says.
            if let Some(owner) = Id::decode(room).and_then(|id| self.shard_of(id))
                && owner != self.index
            {
                set.set(owner, true);
            }
            set.union(self.interest.of_room(&selector.namespace, room))
        })
    }

    /// Queues a packet to this shard's members.
    fn deliver(&mut self, selector: &Selector, parcel: &Parcel, flags: Flags) {
        let mut selected = std::mem::take(&mut self.selected);
        self.hub.select(&selector.namespace, &selector.rooms, &selector.except, &mut selected);
        self.stats.deliveries += selected.len() as u64;
        for index in selected.drain(..) {
            if let Some((_, socket)) = self.hub.at(index) {
                let session = socket.session;
                self.send(session, parcel.clone(), flags.volatile);
            }
        }
        self.selected = selected;
    }

    /// A broadcast of another shard.
    pub(super) fn broadcast_arrived(&mut self, broadcast: &Broadcast) {
        // What that shard did in one tick is one tick here.
        let own_tick = self.foreign_tick.replace(broadcast.tick);
        match &broadcast.content {
            BroadcastContent::Plain(parcel) => self.deliver(&broadcast.selector, parcel, broadcast.flags),
            BroadcastContent::WithAck { event, args, timeout, collector } => {
                self.ask_members(
                    &broadcast.selector,
                    broadcast.flags,
                    event,
                    args.as_ref(),
                    *timeout,
                    *collector,
                );
            }
        }
        self.foreign_tick = own_tick;
    }

    /// As [`Self::broadcast`], and every receiver is asked for an answer.
    #[expect(clippy::too_many_arguments, reason = "a broadcast, and how its answers are wanted")]
    pub(super) fn broadcast_with_ack(
        &mut self,
        selector: &Selector,
        flags: Flags,
        event: &OutName<'_>,
        args: ArgsRef<'_>,
        timeout: Duration,
        ticket: Ticket,
        mut so_far: SoFar,
    ) {
        self.stats.broadcasts += 1;
        let remote = self.shards_of(selector);
        let missing = 1 + remote.iter().count();
        if let SoFar::AcksOneByOne { uncounted, .. } = &mut so_far {
            *uncounted = missing;
        }
        let collection = self.collections.insert(Collection { ticket, missing, so_far });
        let collector = (self.index, collection);
        if !remote.is_empty() {
            let content = BroadcastContent::WithAck {
                event: event.json().into(),
                args: args.into_owned(),
                timeout,
                collector,
            };
            let tick = self.tick_name();
            self.tell_all(remote, Broadcast { selector: selector.clone(), flags, tick, content });
        }
        self.ask_members(selector, flags, event.json(), args, timeout, collector);
    }

    /// Sends a question to this shard's members, and reports to the collector when all have answered. `event` is
    /// JSON text.
    fn ask_members(
        &mut self,
        selector: &Selector,
        flags: Flags,
        event: &str,
        args: ArgsRef<'_>,
        timeout: Duration,
        collector: (ShardIndex, Key),
    ) {
        let mut selected = Vec::new();
        self.hub.select(&selector.namespace, &selector.rooms, &selector.except, &mut selected);
        let members: Vec<(Key, Key)> = selected
            .into_iter()
            .filter_map(|index| self.hub.at(index).map(|(key, socket)| (key, socket.session)))
            .collect();
        let ack = self.hub.next_ack(&selector.namespace).filter(|_| !members.is_empty());
        let Some(ack) = ack else {
            self.report(collector, Part::Asked(0));
            return self.report(collector, Part::Answered { timed_out: false });
        };
        self.stats.deliveries += members.len() as u64;
        let sockets: Vec<Key> = members.iter().map(|(socket, _)| *socket).collect();
        self.report(collector, Part::Asked(u32::try_from(sockets.len()).unwrap_or(u32::MAX)));
        let group = self.acks.expect_group(&sockets, ack, collector);
        self.timers.insert(self.now + timeout, Due::Group(group));
        let parcel = with_flags(encode::event(&selector.namespace, Some(ack), event, args), flags);
        for (_, session) in members {
            self.send(session, parcel.clone(), flags.volatile);
        }
    }

    /// A broadcast's last answer came, or its time is up.
    pub(super) fn finish_group(&mut self, group: Key) {
        if let Some((group, timed_out)) = self.acks.finish_group(group) {
            self.report(group.collector, Part::Answered { timed_out });
        }
    }

    /// Gives a collector this shard's part.
    pub(super) fn report(&mut self, (shard, collection): (ShardIndex, Key), part: Part) {
        if shard == self.index {
            self.part_arrived(collection, part);
        } else {
            self.tell(shard, Content::Part { collection, part: Box::new(part) });
        }
    }

    pub(super) fn part_arrived(&mut self, key: Key, part: Part) {
        let Some(collection) = self.collections.get_mut(key) else { return };
        let ticket = collection.ticket;
        let is_last_word = match (&mut collection.so_far, part) {
            (SoFar::Acks(acks), Part::Answer(answer)) => {
                acks.responses.push(answer);
                false
            }
            (SoFar::Acks(acks), Part::Answered { timed_out }) => {
                acks.timed_out |= timed_out;
                true
            }
            (SoFar::AcksOneByOne { asked, uncounted, .. }, Part::Asked(count)) => {
                *asked += count;
                *uncounted -= 1;
                if *uncounted == 0 {
                    self.calls.push_back(Call::ClientsAsked(ticket, *asked));
                }
                false
            }
            (SoFar::AcksOneByOne { .. }, Part::Answer(answer)) => {
                self.calls.push_back(Call::ClientAnswered(ticket, answer));
                false
            }
            (SoFar::AcksOneByOne { timed_out, .. }, Part::Answered { timed_out: here }) => {
                *timed_out |= here;
                true
            }
            (SoFar::Sockets(sockets), Part::Sockets(more)) => {
                sockets.extend(more);
                true
            }
            (SoFar::Acks(_) | SoFar::AcksOneByOne { .. } | SoFar::Sockets(_), _) => false,
        };
        collection.missing -= usize::from(is_last_word);
        if collection.missing > 0 {
            return;
        }
        if let Some(Collection { ticket, so_far, .. }) = self.collections.remove(key) {
            self.calls.push_back(match so_far {
                SoFar::Acks(acks) => Call::BroadcastAcknowledged(ticket, acks),
                SoFar::AcksOneByOne { timed_out, .. } => Call::ClientsAnswered(ticket, timed_out),
                SoFar::Sockets(sockets) => Call::Fetched(ticket, sockets),
            });
        }
    }

    /// Does something to every socket of a selector, on all shards.
    pub(super) fn for_all(&mut self, selector: &Selector, action: &SelectorAction) {
        for shard in self.other_shards() {
            if let SelectorAction::Join(rooms) = action
                && !rooms.is_empty()
            {
                self.expect_joins(shard, rooms);
            }
            let request =
                SelectorRequest { from: self.index, selector: selector.clone(), action: action.clone() };
            self.tell(shard, Content::Select(Box::new(request)));
        }
        self.apply(selector, action, self.index);
    }

    /// Asks every shard for its sockets of a selector.
    pub(super) fn fetch(&mut self, selector: &Selector, ticket: Ticket) {
        let so_far = SoFar::Sockets(Vec::new());
        let collection = self.collections.insert(Collection { ticket, missing: self.shards.into(), so_far });
        self.for_all(selector, &SelectorAction::Fetch { collection });
    }

    /// Does something to this shard's sockets of a selector. `from` is the shard that asked.
    pub(super) fn apply(&mut self, selector: &Selector, action: &SelectorAction, from: ShardIndex) {
        let mut selected = Vec::new();
        self.hub.select(&selector.namespace, &selector.rooms, &selector.except, &mut selected);
        let sockets: Vec<Key> =
            selected.into_iter().filter_map(|index| self.hub.at(index).map(|(key, _)| key)).collect();
        match action {
            SelectorAction::Join(rooms) => {
                for &socket in &sockets {
                    rooms.iter().for_each(|room| self.hub.join(socket, room));
                }
                if from != self.index && !rooms.is_empty() {
                    self.report_joins(from, rooms.as_slice().into());
                }
            }
            SelectorAction::Leave(rooms) => {
                for &socket in &sockets {
                    rooms.iter().for_each(|room| self.hub.leave(socket, room));
                }
            }
            SelectorAction::Disconnect { close } => {
                sockets.into_iter().for_each(|socket| self.disconnect(socket, *close));
            }
            SelectorAction::Fetch { collection } => {
                let infos = sockets.into_iter().filter_map(|socket| self.socket_info(socket)).collect();
                self.report((from, *collection), Part::Sockets(infos));
            }
        }
    }

    fn socket_info(&self, key: Key) -> Option<SocketInfo> {
        let socket = self.hub.get(key)?;
        Some(SocketInfo {
            key: self.socket_key(key),
            id: socket.id,
            rooms: self.room_names(key),
            data: socket.data.as_deref().map(ToOwned::to_owned),
            handshake: self.handshake_json(key)?,
        })
    }

    /// The rooms of a socket, its own first.
    pub(super) fn room_names(&self, key: Key) -> Vec<String> {
        let own = self.hub.get(key).map(|socket| socket.id.encode().to_string());
        own.into_iter().chain(self.hub.rooms_of(key).iter().map(ToString::to_string)).collect()
    }

    pub(super) fn handshake_json(&self, key: Key) -> Option<String> {
        let socket = self.hub.get(key)?;
        let session = self.sessions.get(socket.session)?;
        let issued = self.unix_origin + socket.issued.as_millis();
        Some(session.handshake.to_json(socket.auth.as_deref().unwrap_or("{}"), issued))
    }
}

/// A parcel whose packets carry the compress flag.
pub(super) fn with_flags(parcel: Parcel, flags: Flags) -> Parcel {
    if flags.compress {
        return parcel;
    }
    let plain = |packet: Packet| packet.with_compress(false);
    Parcel { head: plain(parcel.head), attachments: parcel.attachments.into_iter().map(plain).collect() }
}
