//! Sockets come, say something, and go; and each is found a backend.

use super::directory::{Choice, LinkId};
use super::encoded;
use super::message::Said;
use super::sockets::{Served, Stage};
use super::wire::{Adopted, Connect, Packet, ToBackend};
use super::{Backends, WAITS};
use crate::arena::Key;
use crate::close::DisconnectReason;
use crate::engine_io::request::EngineError;
use crate::session::handshake::Handshake;
use crate::shard::Io;
use crate::shard::app::{Event, Rejection, SessionKey, SocketKey, Verdict};
use crate::time::Instant;
use std::ops::Bound;

/// What a client is told that asks for a namespace nobody serves.
const INVALID_NAMESPACE: &str = "Invalid namespace";
/// What a frame can say. Longer ones cannot be served, either.
const NAMESPACE_BYTES_MAX: usize = u16::MAX as usize;

impl Backends {
    /// A client wants to join a namespace.
    pub(super) fn socket_asks(&mut self, io: &mut Io<'_>, socket: SocketKey, namespace: &str) -> Verdict {
        let Some(session) = io.session(socket) else { return Verdict::InvalidNamespace };
        if namespace.len() > NAMESPACE_BYTES_MAX {
            return Verdict::InvalidNamespace;
        }
        let choice = self.choose(io, socket, namespace, &[]);
        if choice == Choice::Nobody {
            return Verdict::InvalidNamespace;
        }
        let most = self.options.connects_waiting.div_ceil(u32::from(io.shards())) as usize;
        let is_waiting = matches!(choice, Choice::Busy | Choice::Wait);
        if is_waiting && self.connects_waiting >= most {
            // It comes back by itself, which it would not do after a CONNECT_ERROR.
            io.close_session(session);
            return Verdict::Later;
        }
        let until = io.now() + self.connect_timeout;
        let mut served = Served::new(session, Stage::Waiting(until));
        served.is_kept = self.options.redelivers(namespace);
        self.sockets.insert(socket, served);
        self.wait(io, socket, until);
        match choice {
            Choice::Link(link) => self.offer(io, socket, link),
            Choice::Busy => self.is_starved = true,
            Choice::Wait | Choice::Nobody => {}
        }
        Verdict::Later
    }

    /// A client has sent an event.
    pub(super) fn socket_says(&mut self, io: &mut Io<'_>, socket: SocketKey, event: &Event<'_>) {
        let packet = Packet::from_event(event.name.map_or("", |name| name.json()), event.args);
        let ack = event.reply.as_ref().map(|reply| reply.ack());
        self.send_or_hold(io, socket, &ToBackend::Event { socket, ack, redelivered: false, packet });
    }

    /// A socket has left, or nobody waits any more for the answer to its CONNECT.
    pub(super) fn socket_left(&mut self, io: &mut Io<'_>, socket: SocketKey, reason: DisconnectReason) {
        let Some(mut served) = self.forget(io, socket) else { return };
        let (link, mut frames) = match served.stage {
            // What it said before it left goes first.
            Stage::Owned(link) => (link, served.held.take()),
            Stage::Offered(link) | Stage::Leaving(link) => (link, Vec::new()),
            Stage::Waiting(_) => return,
        };
        encoded::append(&ToBackend::Disconnected { socket, reason }, &mut frames);
        self.send_frames(io, link, frames);
        self.report_released(io, link);
    }

    /// A session has moved to another transport.
    pub(super) fn session_upgraded(&mut self, io: &mut Io<'_>, session: SessionKey) {
        let Some(transport) = io.transport(session) else { return };
        let links = io.sockets_of(session).filter_map(|socket| self.sockets.get(socket)?.stage.link());
        let mut links: Vec<Key> = links.collect();
        links.sort_unstable();
        links.dedup();
        for link in links {
            let mut frame = Vec::new();
            encoded::append(&ToBackend::Transport { session, transport: transport.as_str() }, &mut frame);
            self.send_frames(io, link, frame);
        }
    }

    /// A client was refused at its first request: somebody may want to log that. Nobody waits for it.
    pub(super) fn client_refused(&mut self, io: &mut Io<'_>, handshake: &Handshake, error: &EngineError) {
        let Some(link) = self.links.any_in_credit() else { return };
        let handshake = handshake.to_json("{}", handshake.issued());
        let (code, message) = (error.code(), error.message());
        self.write_to(io, link, &ToBackend::ConnectionError { code, message, handshake: &handshake });
    }

    // What the backend says about a socket.

    /// Whether a link has been asked to take a socket of this shard, and has not let it go.
    pub(super) fn is_served_by(&self, socket: SocketKey, link: LinkId) -> bool {
        let served_by = self.sockets.get(socket).and_then(|served| served.stage.link());
        served_by.is_some() && served_by == self.links.find(link)
    }

    /// Does what a backend says, if the socket is its own.
    pub(super) fn said(&mut self, io: &mut Io<'_>, from: LinkId, socket: SocketKey, said: Said) {
        let Some(link) = self.links.find(from).filter(|_| self.is_served_by(socket, from)) else { return };
        let Some(stage) = self.sockets.get(socket).map(|served| served.stage) else { return };
        match (said, stage) {
            (Said::Accept, Stage::Offered(_) | Stage::Leaving(_)) => self.accepted(io, socket, link),
            (Said::Reject(rejection), Stage::Offered(_) | Stage::Leaving(_)) => {
                self.rejected(io, socket, &rejection);
            }
            // Declined while HANDOVER was on its way, it is released.
            (Said::Decline, Stage::Offered(_) | Stage::Leaving(_)) => self.declined(io, socket, from, link),
            (Said::Released, Stage::Leaving(_)) => self.released(io, socket, link),
            (Said::Answer { ack, args }, _) => io.reply_to(socket, ack, args.as_ref()),
            // An answer that has been given before.
            (Said::Accept | Said::Reject(_) | Said::Decline | Said::Released, _) => {}
        }
    }

    fn accepted(&mut self, io: &mut Io<'_>, socket: SocketKey, link: Key) {
        let Some(served) = self.sockets.get_mut(socket) else { return };
        if let Stage::Offered(_) = served.stage {
            served.stage = Stage::Owned(link);
        }
        if std::mem::replace(&mut served.is_joined, true) {
            if let Stage::Owned(_) = served.stage {
                self.stats.adopted_total += 1;
            }
        } else {
            io.accept(socket);
        }
        self.line_up(socket);
        self.resume(io, link);
    }

    fn rejected(&mut self, io: &mut Io<'_>, socket: SocketKey, rejection: &Rejection) {
        let Some(served) = self.forget(io, socket) else { return };
        if served.is_joined {
            // The application does not want to go on with this client.
            io.disconnect(socket, false);
        } else {
            io.reject(socket, rejection.clone());
        }
        if let Some(link) = served.stage.link() {
            self.report_released(io, link);
        }
    }

    fn declined(&mut self, io: &mut Io<'_>, socket: SocketKey, by: LinkId, link: Key) {
        let Self { sockets, links, .. } = self;
        if let Some(served) = sockets.get_mut(socket) {
            served.declined.retain(|link| links.find(*link).is_some());
            served.declined.push(by);
        }
        self.released(io, socket, link);
    }

    fn released(&mut self, io: &mut Io<'_>, socket: SocketKey, link: Key) {
        self.unassign(io, socket);
        self.find_backend(io, socket);
        self.report_released(io, link);
    }

    // Finding a backend.

    fn choose(&self, io: &Io<'_>, socket: SocketKey, namespace: &str, declined: &[LinkId]) -> Choice {
        let session = io.session(socket);
        let siblings = session.into_iter().flat_map(|session| io.sockets_of(session));
        let sibling = siblings
            .filter(|sibling| *sibling != socket)
            .find_map(|sibling| self.sockets.get(sibling)?.stage.link());
        self.links.choose(io.now(), namespace, sibling, declined)
    }

    /// Finds a backend for a socket that waits, if there is one.
    pub(super) fn find_backend(&mut self, io: &mut Io<'_>, socket: SocketKey) {
        let Some(served) = self.sockets.get(socket) else { return };
        let Some(namespace) = io.namespace(socket) else { return };
        match self.choose(io, socket, namespace, &served.declined) {
            Choice::Link(link) => self.offer(io, socket, link),
            Choice::Nobody if !served.is_joined => {
                self.forget(io, socket);
                io.reject(socket, Rejection { message: INVALID_NAMESPACE.to_owned(), data: None });
            }
            Choice::Busy => self.is_starved = true,
            Choice::Wait | Choice::Nobody => {}
        }
    }

    /// Finds backends for all that wait, as far as there is credit.
    pub(super) fn find_backends(&mut self, io: &mut Io<'_>) {
        self.is_starved = false;
        let waiting: Vec<SocketKey> = self.waits.iter().map(|(_, socket)| *socket).collect();
        for socket in waiting {
            self.find_backend(io, socket);
        }
    }

    /// Finds backends for those that wait, as long as a link has credit: what it uses up is all that is looked at.
    pub(super) fn feed(&mut self, io: &mut Io<'_>, link: Key) {
        self.is_starved = false;
        let mut place = Bound::Unbounded;
        while let Some(&next) = self.waits.range((place, Bound::Unbounded)).next() {
            if !self.links.get(link).is_some_and(|link| link.out.has_credit()) {
                self.is_starved = true;
                break;
            }
            place = Bound::Excluded(next);
            self.find_backend(io, next.1);
        }
    }

    /// Asks a link to take a socket that waits.
    fn offer(&mut self, io: &mut Io<'_>, socket: SocketKey, link: Key) {
        let Some(served) = self.sockets.get_mut(socket) else { return };
        let Some(taker) = self.links.get_mut(link) else { return };
        let Stage::Waiting(until) = served.stage else { return };
        let (Some(namespace), Some(handshake), Some(id)) =
            (io.namespace(socket), io.handshake_json(socket), io.id(socket))
        else {
            return;
        };
        served.stage = Stage::Offered(link);
        self.waits.remove(&(until, socket));
        self.connects_waiting -= usize::from(!served.is_joined);
        taker.take_socket();
        let rooms = if served.is_joined { io.rooms(socket) } else { Vec::new() };
        // Its own comes first.
        let rooms = rooms.get(1..).unwrap_or_default().into();
        let transport = io.transport(served.session).map_or("", |transport| transport.as_str());
        let session = served.session;
        let written = taker.out.write(&ToBackend::Connect(Connect {
            socket,
            session,
            id,
            revision: 4,
            transport,
            namespace,
            handshake: &handshake,
            adopted: served.is_joined.then(|| Adopted { rooms, data: io.data(socket) }),
        }));
        self.mark_dirty(io, link);
        if !written {
            // It is in more rooms than a frame can name. It comes back by itself, and into fewer.
            self.forget(io, socket);
            io.close_session(session);
        }
    }

    /// Has a socket wait for a backend.
    pub(super) fn wait(&mut self, io: &mut Io<'_>, socket: SocketKey, until: Instant) {
        let Some(served) = self.sockets.get_mut(socket) else { return };
        served.stage = Stage::Waiting(until);
        served.is_stalled = false;
        self.connects_waiting += usize::from(!served.is_joined);
        self.waits.insert((until, socket));
        self.wake_at(io, until);
    }

    /// Has [`Self::give_up_waiting`] called no later than that.
    fn wake_at(&mut self, io: &mut Io<'_>, until: Instant) {
        if self.wakes.needs(until) {
            io.wake_after(until.since(io.now()), WAITS);
        }
    }

    /// Takes a socket from the link that serves it; it waits.
    fn unassign(&mut self, io: &mut Io<'_>, socket: SocketKey) {
        let Some(served) = self.sockets.get(socket) else { return };
        if let Some(link) = served.stage.link().and_then(|link| self.links.get_mut(link)) {
            link.drop_socket();
        }
        let patience = if served.is_joined { self.options.hold } else { self.connect_timeout };
        self.wait(io, socket, io.now() + patience);
    }

    /// Closes what has waited long enough, so that its clients come back by themselves.
    pub(super) fn give_up_waiting(&mut self, io: &mut Io<'_>) {
        if !self.wakes.came_up(io.now()) {
            return;
        }
        while let Some(&(until, socket)) = self.waits.first() {
            if until > io.now() {
                self.wake_at(io, until);
                break;
            }
            self.waits.pop_first();
            let Some(served) = self.sockets.get(socket) else { continue };
            self.stats.holds_expired_total += 1;
            let session = served.session;
            self.forget(io, socket);
            io.close_session(session);
        }
    }

    /// Forgets a socket, and what is held for it.
    fn forget(&mut self, io: &mut Io<'_>, socket: SocketKey) -> Option<Served> {
        let served = self.sockets.remove(socket)?;
        self.held_bytes -= served.held.len();
        if !matches!(served.stage, Stage::Owned(_)) {
            self.stats.events_dropped_total += served.held.frames() as u64;
        }
        match served.stage {
            Stage::Waiting(until) => {
                self.waits.remove(&(until, socket));
                self.connects_waiting -= usize::from(!served.is_joined);
            }
            Stage::Offered(link) | Stage::Owned(link) | Stage::Leaving(link) => {
                if let Some(link) = self.links.get_mut(link) {
                    link.drop_socket();
                }
            }
        }
        if served.holds_input {
            io.release_input(socket);
        }
        Some(served)
    }
}
