//! Backends: applications of other processes, each at the other end of a link (docs/backend-protocol.md).
//!
//! [`Backends`] is an [`App`]: what clients do it tells a backend, and what a backend says it does to clients. There
//! is one for each shard. A link's stream is a port of one shard, its *home*, which takes its frames apart and has
//! them done, here or elsewhere, in order. What is said to a backend about a socket is written by the socket's own
//! shard, which decides when the backend may have it, and goes through the home.
//!
//! ```text
//! client → shard of the socket: serving → outbound ──(batch)──► home → port → backend
//! backend → port → home ──(emit, join, …: Io; accept, …: message)──► shard of the socket
//! ```
//!
//! | file | what it decides |
//! |---|---|
//! | `wire/` | the bytes of a frame |
//! | `directory` | which links there are, and who gets a socket |
//! | `encoded` | frames that wait as bytes |
//! | `outbound` | one shard's way to one backend: batch, credit, what may have to be sent again |
//! | `sockets` | who serves a socket, and what is held for it |
//! | `serving` | sockets come, say something, and go |
//! | `sending` | what is said to backends, now or when there is credit |
//! | `changing` | links come, want to go, and go |
//! | `home` | a link's stream: hello, frames, credit |
//! | `requests` | questions of backends, and their answers |
//! | `message` | what the shards' parts tell each other |

mod changing;
mod directory;
mod encoded;
mod home;
mod message;
mod outbound;
mod requests;
mod sending;
mod serving;
mod sockets;
pub mod wire;

use crate::arena::{Arena, Key};
use crate::close::{CloseReason, DisconnectReason};
use crate::engine_io::request::EngineError;
use crate::id::ShardIndex;
use crate::options::{BackendOptions, Options};
use crate::session::handshake::Handshake;
use crate::shard::Io;
use crate::shard::app::{
    AckError, App, AppMessage, BroadcastAnswer, Connect, Departed, Event, PortKey, SessionKey, SocketInfo,
    SocketKey, Ticket, Verdict,
};
use crate::shard::stats::{BackendStats, Stats};
use crate::socket_io::ArgsRef;
use crate::time::Instant;
use crate::timers::Armed;
use directory::Directory;
use home::Homes;
use message::Message;
use requests::Ask;
use sockets::Sockets;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The time that is up is that of the first socket that waits; all other tickets are keys of [`Ask`]s.
const WAITS: Ticket = Ticket(u64::MAX);

/// The application of one shard, when applications are other processes.
pub struct Backends {
    here: ShardIndex,
    options: BackendOptions,
    /// How long a CONNECT waits.
    connect_timeout: std::time::Duration,
    /// What backends are told about the gateway, as JSON.
    description: Arc<str>,
    links: Directory,
    homes: Homes,
    sockets: Sockets,
    /// Sockets in `Stage::Waiting`, and when they are given up.
    waits: BTreeSet<(Instant, SocketKey)>,
    /// When [`WAITS`] comes next.
    wakes: Armed,
    /// Of those that wait: how many have not been let in.
    connects_waiting: usize,
    /// Some of those that wait do so for credit.
    is_starved: bool,
    /// Bytes of what is held for sockets.
    held_bytes: usize,
    /// Links with something in their batch.
    dirty: Vec<Key>,
    asks: Arena<Ask>,
    stats: BackendStats,
}

impl Backends {
    /// The application of shard `here`. `version` is the gateway's, for backends to show.
    pub fn new(here: ShardIndex, options: &Options, backend: BackendOptions, version: &str) -> Self {
        Self {
            here,
            options: backend,
            connect_timeout: options.connect_timeout,
            description: home::describe(options, version).into(),
            links: Directory::new(here),
            homes: Homes::default(),
            sockets: Sockets::default(),
            waits: BTreeSet::new(),
            wakes: Armed::default(),
            connects_waiting: 0,
            is_starved: false,
            held_bytes: 0,
            dirty: Vec::new(),
            asks: Arena::default(),
            stats: BackendStats::default(),
        }
    }
}

impl App for Backends {
    fn connect(&mut self, io: &mut Io<'_>, socket: SocketKey, request: &Connect<'_>) -> Verdict {
        self.socket_asks(io, socket, request.namespace)
    }

    fn event(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>) {
        self.socket_says(io, socket, &event);
    }

    fn refused(&mut self, io: &mut Io<'_>, handshake: &Handshake, error: &EngineError) {
        self.client_refused(io, handshake, error);
    }

    fn abandoned(&mut self, io: &mut Io<'_>, socket: SocketKey) {
        self.socket_left(io, socket, DisconnectReason::Session(CloseReason::TransportClose));
    }

    fn disconnected(&mut self, io: &mut Io<'_>, socket: Departed) {
        self.socket_left(io, socket.key, socket.reason);
    }

    fn upgraded(&mut self, io: &mut Io<'_>, session: SessionKey) {
        self.session_upgraded(io, session);
    }

    fn acknowledged(&mut self, io: &mut Io<'_>, ticket: Ticket, answer: Result<ArgsRef<'_>, AckError>) {
        self.client_answered(io, ticket, answer.ok());
    }

    fn broadcast_answered(&mut self, io: &mut Io<'_>, ticket: Ticket, answer: BroadcastAnswer<'_>) {
        self.clients_answered(io, ticket, answer);
    }

    fn fetched(&mut self, io: &mut Io<'_>, ticket: Ticket, sockets: Vec<SocketInfo>) {
        self.fetched_sockets(io, ticket, &sockets);
    }

    fn woken(&mut self, io: &mut Io<'_>, ticket: Ticket) {
        if ticket == WAITS {
            self.give_up_waiting(io);
        } else {
            self.ask_timed_out(io, ticket);
        }
    }

    fn port_opened(&mut self, io: &mut Io<'_>, port: PortKey) {
        self.link_dials(io, port);
    }

    fn port_bytes(&mut self, io: &mut Io<'_>, port: PortKey, bytes: &mut [u8]) {
        self.link_says(io, port, bytes);
    }

    fn port_closed(&mut self, io: &mut Io<'_>, port: PortKey) {
        self.link_closed(io, port);
    }

    fn told(&mut self, io: &mut Io<'_>, from: ShardIndex, message: AppMessage) {
        match message.downcast::<Message>() {
            Ok(message) => self.hear(io, from, *message),
            Err(_) => debug_assert!(false, "all shards have the same application"),
        }
    }

    fn flush(&mut self, io: &mut Io<'_>) {
        // Which of them is first means nothing.
        while let Some(key) = self.dirty.pop() {
            self.flush_link(io, key);
        }
    }

    fn drain(&mut self, io: &mut Io<'_>) {
        self.flush(io);
        self.dismiss_links(io);
    }

    fn stats(&self, stats: &mut Stats) {
        stats.backend = self.count();
    }
}
