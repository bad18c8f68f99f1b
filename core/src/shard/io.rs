//! What an application can do. Everything takes effect at once, in order, on whichever shard it belongs to;
//! what is asked for a socket that has gone is ignored.

use super::app::{
    AckError, AppMessage, BroadcastAcks, Flags, Rejection, Reply, Selector, SessionKey, SocketKey, Ticket,
};
use super::message::{Command, Content, SelectorAction};
use super::state::{Call, Core, Due, SoFar};
use crate::arena::Key;
use crate::close::CloseReason;
use crate::engine_io::Transport;
use crate::hub::acks::Asker;
use crate::id::{Id, ShardIndex};
use crate::name::Name;
use crate::session::handshake::Handshake;
use crate::socket_io::{ArgsRef, OutName};
use crate::time::Instant;
use std::time::Duration;

/// How long a broadcast with acknowledgement waits when no timeout was given (Node: a timer of nothing).
const NO_TIMEOUT: Duration = Duration::from_millis(1);

/// The shard, as its application sees it.
pub struct Io<'a> {
    pub(super) core: &'a mut Core,
}

impl<'a> Io<'a> {
    pub(super) fn new(core: &'a mut Core) -> Self {
        Self { core }
    }

    /// The time of the current batch of input.
    pub fn now(&self) -> Instant {
        self.core.now
    }

    /// The same, in milliseconds since the Unix epoch.
    pub fn unix_millis(&self) -> u64 {
        self.core.unix_millis()
    }

    /// Which shard this is.
    pub fn shard(&self) -> ShardIndex {
        self.core.index
    }

    /// How many shards there are; they are numbered from 0.
    pub fn shards(&self) -> u16 {
        self.core.shards
    }

    // One socket.

    /// Sends an event to a socket. The packet is in order with everything else this application sends to it.
    pub fn emit<'n>(&mut self, socket: SocketKey, event: impl Into<OutName<'n>>, args: ArgsRef<'_>) {
        self.emit_with(socket, Flags::default(), event, args);
    }

    /// As [`Self::emit`], with flags.
    pub fn emit_with<'n>(
        &mut self,
        socket: SocketKey,
        flags: Flags,
        event: impl Into<OutName<'n>>,
        args: ArgsRef<'_>,
    ) {
        let event = event.into();
        if let Some(key) = self.core.local(socket) {
            self.core.emit(key, flags, event.json(), args);
        } else {
            let tick = self.core.tick_name();
            let command = Command::Emit { flags, tick, event: event.into_json(), args: args.into_owned() };
            self.core.command_remote(socket, command);
        }
    }

    /// Sends an event to a socket and waits for its answer, which comes to `App::acknowledged`.
    ///
    /// Without a timeout it waits until the socket leaves.
    pub fn emit_with_ack<'n>(
        &mut self,
        socket: SocketKey,
        event: impl Into<OutName<'n>>,
        args: ArgsRef<'_>,
        timeout: Option<Duration>,
        ticket: Ticket,
    ) {
        self.ask(socket, Flags::default(), event, args, timeout, ticket);
    }

    /// As [`Self::emit_with_ack`], with flags.
    pub fn ask<'n>(
        &mut self,
        socket: SocketKey,
        flags: Flags,
        event: impl Into<OutName<'n>>,
        args: ArgsRef<'_>,
        timeout: Option<Duration>,
        ticket: Ticket,
    ) {
        let event = event.into();
        let asker = Asker { shard: self.core.index, ticket };
        if let Some(key) = self.core.local(socket) {
            self.core.emit_with_ack(key, flags, event.json(), args, timeout, asker);
        } else if socket.shard.0 < self.core.shards {
            let args = args.into_owned();
            let (tick, event) = (self.core.tick_name(), event.into_json());
            let command = Command::EmitWithAck { flags, tick, event, args, timeout, asker };
            self.core.command_remote(socket, command);
        } else {
            self.core.tell_asker(asker, Err(AckError::Disconnected));
        }
    }

    /// Acknowledges an event.
    #[expect(clippy::needless_pass_by_value, reason = "the right to reply is used up")]
    pub fn reply(&mut self, reply: Reply, args: ArgsRef<'_>) {
        self.reply_to(reply.socket, reply.ack, args);
    }

    /// As [`Self::reply`], for who keeps only the numbers ([`Reply::socket`], [`Reply::ack`]), and sees to it that
    /// each is used once.
    pub fn reply_to(&mut self, socket: SocketKey, ack: u64, args: ArgsRef<'_>) {
        if let Some(key) = self.core.local(socket) {
            self.core.reply(key, ack, args);
        } else {
            let command = Command::Reply { ack, args: args.into_owned() };
            self.core.command_remote(socket, command);
        }
    }

    /// Puts a socket into a room.
    pub fn join(&mut self, socket: SocketKey, room: &str) {
        match self.core.local(socket) {
            Some(key) => self.core.hub.join(key, room),
            None => self.core.command_remote(socket, Command::Join(room.into())),
        }
    }

    /// Takes a socket out of a room.
    pub fn leave(&mut self, socket: SocketKey, room: &str) {
        match self.core.local(socket) {
            Some(key) => self.core.hub.leave(key, room),
            None => self.core.command_remote(socket, Command::Leave(room.into())),
        }
    }

    /// Disconnects a socket from its namespace; with `close`, its whole session.
    ///
    /// Without `close` nothing happens to a socket that has not been let in: that is what [`Self::reject`] is for.
    pub fn disconnect(&mut self, socket: SocketKey, close: bool) {
        match self.core.local(socket) {
            Some(key) => self.core.disconnect(key, close),
            None => self.core.command_remote(socket, Command::Disconnect { close }),
        }
    }

    /// Lets a socket in, after `Verdict::Later`.
    pub fn accept(&mut self, socket: SocketKey) {
        match self.core.local(socket) {
            Some(key) => self.core.accept(key),
            None => self.core.command_remote(socket, Command::Accept),
        }
    }

    /// Does not let a socket in, after `Verdict::Later`.
    pub fn reject(&mut self, socket: SocketKey, rejection: Rejection) {
        match self.core.local(socket) {
            Some(key) => self.core.reject(key, &rejection),
            None => self.core.command_remote(socket, Command::Reject(rejection)),
        }
    }

    /// Sets `socket.data`: JSON text that [`Self::fetch_sockets`] reports.
    pub fn set_data(&mut self, socket: SocketKey, json: String) {
        match self.core.local(socket) {
            Some(key) => {
                if let Some(socket) = self.core.hub.get_mut(key) {
                    socket.data = Some(json.into_boxed_str());
                }
            }
            None => self.core.command_remote(socket, Command::SetData(json.into_boxed_str())),
        }
    }

    // Many sockets.

    /// Sends an event to every socket of a selector, each at most once.
    pub fn broadcast<'n>(
        &mut self,
        to: &Selector,
        flags: Flags,
        event: impl Into<OutName<'n>>,
        args: ArgsRef<'_>,
    ) {
        self.core.broadcast(to, flags, &event.into(), args);
    }

    /// As [`Self::broadcast`], and collects the first argument of every answer for
    /// `App::broadcast_acknowledged`. Without a timeout hardly anybody can answer in time, as in Node.
    pub fn broadcast_with_ack<'n>(
        &mut self,
        to: &Selector,
        flags: Flags,
        event: impl Into<OutName<'n>>,
        args: ArgsRef<'_>,
        timeout: Option<Duration>,
        ticket: Ticket,
    ) {
        let timeout = timeout.unwrap_or(NO_TIMEOUT);
        let so_far = SoFar::Acks(BroadcastAcks::default());
        self.core.broadcast_with_ack(to, flags, &event.into(), args, timeout, ticket, so_far);
    }

    /// As [`Self::broadcast_with_ack`], but every answer is told when it comes, in `App::broadcast_answered`.
    pub fn ask_all<'n>(
        &mut self,
        to: &Selector,
        flags: Flags,
        event: impl Into<OutName<'n>>,
        args: ArgsRef<'_>,
        timeout: Duration,
        ticket: Ticket,
    ) {
        let so_far = SoFar::AcksOneByOne { asked: 0, uncounted: 0, timed_out: false };
        self.core.broadcast_with_ack(to, flags, &event.into(), args, timeout, ticket, so_far);
    }

    /// Puts every socket of a selector into rooms.
    pub fn sockets_join(&mut self, to: &Selector, rooms: &[&str]) {
        self.core.for_all(to, &SelectorAction::Join(names(rooms)));
    }

    /// Takes every socket of a selector out of rooms.
    pub fn sockets_leave(&mut self, to: &Selector, rooms: &[&str]) {
        self.core.for_all(to, &SelectorAction::Leave(names(rooms)));
    }

    /// Disconnects every socket of a selector; with `close`, their whole sessions.
    pub fn disconnect_sockets(&mut self, to: &Selector, close: bool) {
        self.core.for_all(to, &SelectorAction::Disconnect { close });
    }

    /// Asks for every socket of a selector; the answer comes to `App::fetched`.
    pub fn fetch_sockets(&mut self, of: &Selector, ticket: Ticket) {
        self.core.fetch(of, ticket);
    }

    /// Has `App::woken` called after a while: a millisecond at least, so that there is time for others.
    pub fn wake_after(&mut self, delay: Duration, ticket: Ticket) {
        let at = self.core.now + delay.max(Duration::from_millis(1));
        self.core.timers.insert(at, Due::Wake(ticket));
    }

    /// The namespace of a socket of this shard.
    pub fn namespace(&self, socket: SocketKey) -> Option<&str> {
        self.core.hub.namespace_of(self.core.local(socket)?).map(|name| &**name)
    }

    // Sessions.

    /// The sockets of a session of this shard, in the order in which they asked.
    pub fn sockets_of(&self, session: SessionKey) -> impl Iterator<Item = SocketKey> + use<'_> {
        let session = self.core.local_session(session);
        let members = session.map(|session| session.sockets.as_slice()).unwrap_or_default();
        members.iter().map(|member| self.core.socket_key(member.socket))
    }

    /// What the client of a session of this shard is connected by.
    pub fn transport(&self, session: SessionKey) -> Option<Transport> {
        let is_websocket = self.core.local_session(session)?.websocket.is_some();
        Some(if is_websocket { Transport::WebSocket } else { Transport::Polling })
    }

    /// The session of a socket of this shard.
    pub fn session(&self, socket: SocketKey) -> Option<SessionKey> {
        Some(self.core.session_key(self.core.hub.get(self.core.local(socket)?)?.session))
    }

    /// Ends a session as `conn.close()` does in Node (protocol.md 4.6): its sockets leave with a "forced close",
    /// and no DISCONNECT is sent, so that stock clients come back by themselves.
    pub fn close_session(&mut self, session: SessionKey) {
        let SessionKey { shard, index, generation } = session;
        let key = Key { index, generation };
        if shard == self.core.index {
            self.core.close_by_server(key, CloseReason::ForcedServerClose);
        } else if shard.0 < self.core.shards {
            self.core.tell(shard, Content::CloseSession(key));
        }
    }

    // The application's own business.

    /// Says something to the application of a shard, which hears it in `App::told`; in order with all else that
    /// goes from here to there. One's own shard hears it when the current call has returned.
    pub fn tell(&mut self, shard: ShardIndex, message: AppMessage) {
        let from = self.core.index;
        if shard == from {
            self.core.calls.push_back(Call::Told(from, message));
        } else if shard.0 < self.core.shards {
            self.core.tell(shard, Content::Told { from, message });
        }
    }

    /// The application of another shard is about to be told to let a socket in. Until it has ([`Self::has_let_in`])
    /// a broadcast from here goes there as if the socket were in, so that it is in order with what was told.
    pub fn expect_let_in(&mut self, shard: ShardIndex) {
        if shard != self.core.index && shard.0 < self.core.shards {
            self.core.expect_joins(shard, &[]);
        }
    }

    /// What shard `asker` has expected with [`Self::expect_let_in`] is done, or will not be.
    pub fn has_let_in(&mut self, asker: ShardIndex) {
        if asker != self.core.index && asker.0 < self.core.shards {
            self.core.report_joins(asker, [].into());
        }
    }

    /// Has `App::flush` called when all input of this pass has been handled and before anything leaves.
    pub fn flush_soon(&mut self) {
        self.core.wants_flush = true;
    }

    // Sockets of this shard.

    /// The public id of a socket of this shard.
    pub fn id(&self, socket: SocketKey) -> Option<Id> {
        Some(self.core.hub.get(self.core.local(socket)?)?.id)
    }

    /// The rooms of a socket of this shard, its own first.
    pub fn rooms(&self, socket: SocketKey) -> Vec<String> {
        self.core.local(socket).map(|key| self.core.room_names(key)).unwrap_or_default()
    }

    /// The first HTTP request of a socket of this shard.
    pub fn handshake(&self, socket: SocketKey) -> Option<&Handshake> {
        let socket = self.core.hub.get(self.core.local(socket)?)?;
        Some(&self.core.sessions.get(socket.session)?.handshake)
    }

    /// `socket.handshake` of a socket of this shard, as JSON text (protocol.md 5.8).
    pub fn handshake_json(&self, socket: SocketKey) -> Option<String> {
        self.core.handshake_json(self.core.local(socket)?)
    }

    /// `socket.data` of a socket of this shard, if it was set.
    pub fn data(&self, socket: SocketKey) -> Option<&str> {
        self.core.hub.get(self.core.local(socket)?)?.data.as_deref()
    }
}

fn names(rooms: &[&str]) -> Vec<Name> {
    rooms.iter().map(|&room| Name::from(room)).collect()
}
