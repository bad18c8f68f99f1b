//! Messages of other shards, and requests for sockets wherever they live.

use super::Shard;
use super::app::{Flags, SocketKey};
use super::fanout::with_flags;
use super::message::{Answer, Command, Content, Outcome};
use super::state::{Call, Core, Due};
use crate::arena::Key;
use crate::close::CloseReason;
use crate::hub::acks::Asker;
use crate::id::ShardIndex;
use crate::name::Name;
use crate::socket_io::{ArgsRef, encode};
use std::time::Duration;

impl Shard {
    pub(super) fn message(&mut self, content: Content) {
        match content {
            Content::Request(forwarded) => {
                let forwarded = *forwarded;
                self.session_request_arrived(forwarded.request, forwarded.arrived);
            }
            Content::Body { request, session, body } => self.post_body_arrived(request, session, *body),
            Content::Aborted { request, session } => {
                self.core.request_aborted(request, session);
                // Unless it has been answered, it never will be.
                self.core.answer(request, Answer::Destroy);
            }
            Content::Answer { request, answer } => self.core.respond(request, *answer),
            Content::Broadcast(broadcast) => self.core.broadcast_arrived(&broadcast),
            Content::Interest { from, change } => {
                self.core.interest.set(from, &change.namespace, change.room.as_ref(), change.wanted);
            }
            Content::Joined { from, rooms } => self.core.joins_done(from, &rooms),
            Content::Select(request) => {
                self.core.apply(&request.selector, &request.action, request.from);
            }
            Content::Command { from, socket, command } => {
                if let Some(socket) = self.core.local(socket) {
                    self.core.command(from, socket, *command);
                }
            }
            Content::Outcome { ticket, outcome } => match *outcome {
                Outcome::Acknowledged(answer) => {
                    self.core.calls.push_back(Call::Acknowledged(ticket, answer));
                }
            },
            Content::CloseSession(session) => {
                self.core.close_by_server(session, CloseReason::ForcedServerClose);
            }
            Content::Told { from, message } => self.core.calls.push_back(Call::Told(from, message)),
            Content::Part { collection, part } => self.core.part_arrived(collection, *part),
        }
    }
}

impl Core {
    /// Has another shard do something to one of its sockets.
    pub(super) fn command_remote(&mut self, socket: SocketKey, command: Command) {
        if socket.shard.0 < self.shards {
            match &command {
                Command::Join(room) => self.expect_joins(socket.shard, std::slice::from_ref(room)),
                Command::Accept => self.expect_joins(socket.shard, &[]),
                _ => {}
            }
            let content = Content::Command { from: self.index, socket, command: Box::new(command) };
            self.tell(socket.shard, content);
        }
    }

    /// Does something to a socket of this shard, for the application of shard `from`.
    fn command(&mut self, from: ShardIndex, socket: Key, command: Command) {
        match command {
            Command::Emit { flags, tick, event, args } => {
                let own_tick = self.foreign_tick.replace(tick);
                self.emit(socket, flags, &event, args.as_ref());
                self.foreign_tick = own_tick;
            }
            Command::EmitWithAck { flags, tick, event, args, timeout, asker } => {
                let own_tick = self.foreign_tick.replace(tick);
                self.emit_with_ack(socket, flags, &event, args.as_ref(), timeout, asker);
                self.foreign_tick = own_tick;
            }
            Command::Reply { ack, args } => self.reply(socket, ack, args.as_ref()),
            Command::HoldInput => self.hold_input(socket),
            Command::ReleaseInput => self.release_input(socket),
            Command::Join(room) => {
                self.hub.join(socket, &room);
                self.report_joins(from, [room].into());
            }
            Command::Leave(room) => self.hub.leave(socket, &room),
            Command::Disconnect { close } => self.disconnect(socket, close),
            Command::Accept => {
                self.accept(socket);
                self.report_joins(from, [].into());
            }
            Command::Reject(rejection) => self.reject(socket, &rejection),
            Command::SetData(data) => {
                if let Some(socket) = self.hub.get_mut(socket) {
                    socket.data = Some(data);
                }
            }
        }
    }

    /// Emits to a socket of this shard. `event` is JSON text.
    pub(super) fn emit(&mut self, socket: Key, flags: Flags, event: &str, args: ArgsRef<'_>) {
        let Some(session) = self.hub.get(socket).map(|socket| socket.session) else { return };
        let Some(namespace) = self.hub.namespace_of(socket) else { return };
        let parcel = with_flags(encode::event(namespace, None, event, args), flags);
        self.send(session, parcel, flags.volatile);
    }

    /// Emits to a socket of this shard, and waits for its answer. `event` is JSON text.
    pub(super) fn emit_with_ack(
        &mut self,
        socket: Key,
        flags: Flags,
        event: &str,
        args: ArgsRef<'_>,
        timeout: Option<Duration>,
        asker: Asker,
    ) {
        let Some(session) = self.hub.get(socket).map(|socket| socket.session) else {
            return self.tell_asker(asker, Err(super::app::AckError::Disconnected));
        };
        let Some(namespace) = self.hub.namespace_of(socket).map(Name::clone) else { return };
        let Some(ack) = self.hub.next_ack(&namespace) else { return };
        self.acks.expect_one(socket, ack, asker, timeout.is_some());
        if let Some(timeout) = timeout {
            self.timers.insert(self.now + timeout, Due::Ack { socket, ack });
        }
        let parcel = with_flags(encode::event(&namespace, Some(ack), event, args), flags);
        self.send(session, parcel, flags.volatile);
    }

    /// Acknowledges an event of a socket of this shard.
    pub(super) fn reply(&mut self, socket: Key, ack: u64, args: ArgsRef<'_>) {
        let Some(session) = self.hub.get(socket).map(|socket| socket.session) else { return };
        let Some(namespace) = self.hub.namespace_of(socket) else { return };
        let parcel = encode::ack(namespace, ack, args);
        self.send(session, parcel, false);
    }

    /// `shard` is about to be told to put sockets into rooms (none: to let a socket in).
    pub(super) fn expect_joins(&mut self, shard: ShardIndex, rooms: &[Name]) {
        if rooms.is_empty() {
            self.interest.expect(shard, None);
        }
        rooms.iter().for_each(|room| self.interest.expect(shard, Some(room)));
    }

    fn joins_done(&mut self, shard: ShardIndex, rooms: &[Name]) {
        if rooms.is_empty() {
            self.interest.done(shard, None);
        }
        rooms.iter().for_each(|room| self.interest.done(shard, Some(room)));
    }

    /// This shard has done what `to` had told it to.
    pub(super) fn report_joins(&mut self, to: ShardIndex, rooms: Box<[Name]>) {
        self.publish_interest();
        self.tell(to, Content::Joined { from: self.index, rooms });
    }

    /// Changes of this shard's members, for everybody else.
    pub(super) fn publish_interest(&mut self) {
        if !self.hub.has_changes() {
            return;
        }
        for change in self.hub.take_changes() {
            for shard in self.other_shards() {
                let change = Box::new(change.clone());
                self.tell(shard, Content::Interest { from: self.index, change });
            }
        }
    }
}
