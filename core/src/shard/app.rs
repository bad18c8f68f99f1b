//! The trait through which a shard talks to application code.
//!
//! One value per shard: a shard only ever calls its own, on its own thread, so an `App` needs no lock for what
//! belongs to its sockets. Calls never nest: what an app asks of [`Io`] takes effect at once, but what follows
//! from it (say, a `disconnected`) is told after the current call has returned.

pub use super::key::{PortKey, SessionKey, SocketKey};
pub use crate::hub::acks::Ticket;

use super::Io;
use super::stats::Stats;
use crate::close::DisconnectReason;
use crate::engine_io::request::EngineError;
use crate::http::Fields;
use crate::id::{Id, ShardIndex};
use crate::session::handshake::Handshake;
use crate::socket_io::{Args, ArgsRef, EventName};
use ::http::HeaderMap;
use std::any::Any;
use std::fmt;

/// What the applications of two shards say to each other: anything that may change threads.
pub type AppMessage = Box<dyn Any + Send>;

/// What an app says to a CONNECT.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Let the client in.
    Accept,
    /// Answer CONNECT_ERROR; the client may try again.
    Reject(Rejection),
    /// Nobody serves this namespace: CONNECT_ERROR "Invalid namespace".
    InvalidNamespace,
    /// [`Io::accept`] or [`Io::reject`] will follow.
    Later,
}

/// Why a client was not let into a namespace, in the words the client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// `err.message` at the client.
    pub message: String,
    /// `err.data` at the client, as JSON text.
    pub data: Option<String>,
}

/// A client asking to join a namespace.
#[derive(Clone, Copy)]
pub struct Connect<'a> {
    /// The namespace, `/` included: `/`, `/admin`.
    pub namespace: &'a str,
    /// The public id the socket will have.
    pub id: Id,
    /// `handshake.auth` as JSON text (an object; `{}` if the client sent none).
    pub auth: &'a str,
    /// The first HTTP request of the session.
    pub handshake: &'a Handshake,
}

impl fmt::Debug for Connect<'_> {
    /// Leaves `auth` out: tokens are secrets, and end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, id, auth: _, handshake } = self;
        f.debug_struct("Connect")
            .field("namespace", namespace)
            .field("id", id)
            .field("handshake", handshake)
            .finish_non_exhaustive()
    }
}

/// A request to the engine, as [`App::headers`] sees it.
#[derive(Clone, Copy, Debug)]
pub struct EngineRequest<'a> {
    /// The raw request target, query included.
    pub target: &'a str,
    /// Its header fields.
    pub fields: Fields<'a, 'a>,
    /// Whether it opens a session; else it belongs to one.
    pub opens_session: bool,
}

/// An event from a client.
#[derive(Debug)]
pub struct Event<'a> {
    /// The namespace the socket is in.
    pub namespace: &'a str,
    /// Its name; `None` for the rare event without any payload.
    pub name: Option<EventName<'a>>,
    /// The arguments after the name: raw JSON text and attachments.
    pub args: ArgsRef<'a>,
    /// Present if the client wants an acknowledgement; see [`Io::reply`].
    pub reply: Option<Reply>,
}

/// The right to acknowledge one event, once.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub(crate) socket: SocketKey,
    pub(crate) ack: u64,
}

impl Reply {
    /// The number under which the client waits; with [`Self::socket`] it is all that [`Io::reply_to`] needs.
    pub fn ack(&self) -> u64 {
        self.ack
    }

    /// The socket the event came from.
    pub fn socket(&self) -> SocketKey {
        self.socket
    }
}

/// Why an acknowledgement never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckError {
    /// `operation has timed out`.
    TimedOut,
    /// The socket left, and no timeout had been set. (Node waits for ever here.)
    Disconnected,
}

/// The outcome of a broadcast with acknowledgement.
#[derive(Debug, Default)]
pub struct BroadcastAcks {
    /// Whether some client did not answer in time.
    pub timed_out: bool,
    /// The first argument of each answer, as an argument list of one.
    pub responses: Vec<Args>,
}

/// What becomes of [`Io::ask_all`], step by step. The number of clients may be known after the first answers.
#[derive(Clone, Copy, Debug)]
pub enum BroadcastAnswer<'a> {
    /// So many clients were asked, on all shards.
    Asked(u32),
    /// The first argument of one client's answer, as an argument list of one.
    Answer(ArgsRef<'a>),
    /// Nothing more comes.
    Done {
        /// Whether some client did not answer in time.
        timed_out: bool,
    },
}

/// A socket as [`Io::fetch_sockets`] reports it.
#[derive(Clone, Debug)]
pub struct SocketInfo {
    /// For further requests.
    pub key: SocketKey,
    /// The public id.
    pub id: Id,
    /// Every room it is in, its own (its id) included.
    pub rooms: Vec<String>,
    /// `socket.data` as JSON text, if it was ever set.
    pub data: Option<String>,
    /// `handshake` as JSON text (protocol.md 5.8).
    pub handshake: String,
}

/// A socket that has just left.
#[derive(Debug)]
pub struct Departed {
    /// The key it had, now stale.
    pub key: SocketKey,
    /// Its public id.
    pub id: Id,
    /// Its namespace.
    pub namespace: String,
    /// The rooms it was in (its own not listed), as `disconnecting` sees them.
    pub rooms: Vec<String>,
    /// Why.
    pub reason: DisconnectReason,
}

/// Application code of one shard.
pub trait App {
    /// May refuse a session at its first HTTP request (`allowRequest`): the message goes to the client with
    /// code 4; an empty one becomes `Forbidden`.
    ///
    /// # Errors
    /// The message for the client.
    fn allow_request(&mut self, handshake: &Handshake) -> Result<(), String> {
        let _ = handshake;
        Ok(())
    }

    /// A session was refused at its first HTTP request (`connection_error` of the Node server).
    fn refused(&mut self, io: &mut Io<'_>, handshake: &Handshake, error: &EngineError) {
        let _ = (io, handshake, error);
    }

    /// Adds header fields to the engine's responses: to the 200 of a poll or a POST, and to the 101 of a
    /// WebSocket (`initial_headers` and `headers` of the Node server). If the request is refused after all, they
    /// are not sent. Fields that frame the message are ours, and left out.
    fn headers(&mut self, request: &EngineRequest<'_>, fields: &mut HeaderMap) {
        let _ = (request, fields);
    }

    /// Namespace middleware: a client asks to join. `socket` can be emitted to and can join rooms already.
    fn connect(&mut self, io: &mut Io<'_>, socket: SocketKey, request: &Connect<'_>) -> Verdict;

    /// The client is in: the `connection` event. Everything emitted from here comes after the CONNECT reply.
    fn connected(&mut self, io: &mut Io<'_>, socket: SocketKey) {
        let _ = (io, socket);
    }

    /// An event from a joined socket.
    fn event(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>);

    /// The answer to [`Io::emit_with_ack`].
    fn acknowledged(&mut self, io: &mut Io<'_>, ticket: Ticket, answer: Result<ArgsRef<'_>, AckError>) {
        let _ = (io, ticket, answer);
    }

    /// The answers to [`Io::broadcast_with_ack`].
    fn broadcast_acknowledged(&mut self, io: &mut Io<'_>, ticket: Ticket, acks: BroadcastAcks) {
        let _ = (io, ticket, acks);
    }

    /// News of [`Io::ask_all`].
    fn broadcast_answered(&mut self, io: &mut Io<'_>, ticket: Ticket, answer: BroadcastAnswer<'_>) {
        let _ = (io, ticket, answer);
    }

    /// A session of this shard has moved from polling to WebSocket.
    fn upgraded(&mut self, io: &mut Io<'_>, session: SessionKey) {
        let _ = (io, session);
    }

    /// The answer to [`Io::fetch_sockets`].
    fn fetched(&mut self, io: &mut Io<'_>, ticket: Ticket, sockets: Vec<SocketInfo>) {
        let _ = (io, ticket, sockets);
    }

    /// The time asked for with [`Io::wake_after`] has come.
    fn woken(&mut self, io: &mut Io<'_>, ticket: Ticket) {
        let _ = (io, ticket);
    }

    /// A socket has gone that the client was never told about: its CONNECT was being thought about
    /// (`Verdict::Later`), or its session ended in the tick in which it was accepted.
    fn abandoned(&mut self, io: &mut Io<'_>, socket: SocketKey) {
        let _ = (io, socket);
    }

    /// A socket that had been let in has left.
    fn disconnected(&mut self, io: &mut Io<'_>, socket: Departed) {
        let _ = (io, socket);
    }

    /// A stream for the application was accepted on this shard.
    fn port_opened(&mut self, io: &mut Io<'_>, port: PortKey) {
        let _ = (io, port);
    }

    /// Bytes of a port, in order, split anywhere. They may be changed in place. Nobody says when what was sent to
    /// a port has been written: who sends much looks at [`Io::port_backlog`] now and then.
    fn port_bytes(&mut self, io: &mut Io<'_>, port: PortKey, bytes: &mut [u8]) {
        let _ = (io, port, bytes);
    }

    /// The peer of a port has closed it, or it broke; what was not written is lost. Told once, and not of a port
    /// that was closed from here, by [`Io::port_close`] or a drain.
    fn port_closed(&mut self, io: &mut Io<'_>, port: PortKey) {
        let _ = (io, port);
    }

    /// The application of shard `from` has sent this with [`Io::tell`], in order with all else that it did to
    /// sockets of this shard.
    fn told(&mut self, io: &mut Io<'_>, from: ShardIndex, message: AppMessage) {
        let _ = (io, from, message);
    }

    /// [`Io::flush_soon`] was asked for: all input of this pass has been handled, and nothing of what follows
    /// from it has left yet. What is done here is a tick of its own, and leaves in the same pass.
    ///
    /// Who asks for another flush in here gets it before the pass goes on, so who always asks hangs the shard.
    fn flush(&mut self, io: &mut Io<'_>) {
        let _ = io;
    }

    /// The gateway stops: every session of this shard has been closed, and its sockets have been told of. When
    /// this returns, every port is closed as by [`Io::port_close`]. Other shards are told at their own time.
    fn drain(&mut self, io: &mut Io<'_>) {
        let _ = io;
    }

    /// Adds what the application counts itself to a copy of the shard's counters.
    fn stats(&self, stats: &mut Stats) {
        let _ = stats;
    }
}

/// Who a broadcast (or a request about many sockets) means, over all shards: the union of `rooms` (none = the whole namespace),
/// minus every member of an `except` room. A socket's id is a room of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// The namespace, `/` included.
    pub namespace: String,
    /// Rooms whose members are meant; empty means everybody in the namespace.
    pub rooms: Vec<String>,
    /// Rooms whose members are not meant.
    pub except: Vec<String>,
}

impl Selector {
    /// Everybody in a namespace.
    pub fn namespace(namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), ..Self::default() }
    }

    /// Also the members of `room`; the first call narrows the selector from "everybody".
    #[must_use]
    pub fn to(mut self, room: impl Into<String>) -> Self {
        self.rooms.push(room.into());
        self
    }

    /// But nobody in `room`.
    #[must_use]
    pub fn except(mut self, room: impl Into<String>) -> Self {
        self.except.push(room.into());
        self
    }
}

/// How a packet is sent (protocol.md 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Drop it for clients whose transport is not ready at this instant.
    pub volatile: bool,
    /// Whether a polling response that carries it may be compressed.
    pub compress: bool,
    /// Do not tell other nodes. (On one node: no difference; other cores are not other nodes.)
    pub local: bool,
}

impl Default for Flags {
    fn default() -> Self {
        Self { volatile: false, compress: true, local: false }
    }
}
