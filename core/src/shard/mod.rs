//! Where layers meet: one core's connections, sessions, rooms and application, as a plain value.
//!
//! A driver (a worker thread, or a test with eight of these and a fake clock) puts things in with `handle_*` and
//! takes things out with `poll_*`, once per turn:
//!
//! ```text
//! now = clock.now()
//! messages → handle_message    bytes → handle_bytes    deadlines → handle_timeout(now)
//! poll_message → other shards      then poll_write → streams      then poll_action → driver
//! ```
//!
//! Two rules keep cause before effect across shards: what is for other shards leaves before anything is written
//! to a client, and what has come from other shards is handled before bytes that were read after it.

mod answer;
pub mod app;
mod closing;
mod engine;
mod fanout;
mod hold;
mod http;
mod input;
mod io;
mod key;
mod message;
mod namespaces;
mod packets;
mod ports;
mod remote;
pub mod routes;
mod sessions;
mod settle;
mod state;
pub mod stats;
mod timeouts;
mod websocket;

pub use crate::arena::Key as ConnKey;
pub use crate::front::StreamHandle;
pub use io::Io;
pub use message::{MovedConnection, ShardMessage};

use crate::front::write_queue::WriteQueue;
use crate::front::{Conn, Role, Then};
use crate::id::{RouteKey, ShardIndex};
use crate::options::Options;
use crate::time::Instant;
use app::App;
use routes::Routes;
use state::{Core, is_overfull};
use std::net::SocketAddr;
use std::sync::Arc;

/// Who is at the other end of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Address of the client.
    pub address: SocketAddr,
}

/// Whether the driver goes on reading from a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Read on, until there is nothing more.
    Continue,
    /// Leave the bytes in the kernel until [`Action::Resume`] for this connection.
    Paused,
    /// The connection is gone: an action says what happens to the stream.
    Closed,
}

/// How a stream ended from the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The peer sent FIN.
    Eof,
    /// Reading or writing failed.
    Error,
}

/// What only the driver can do.
#[derive(Debug)]
pub enum Action {
    /// The connection no longer exists here: shut the stream down both ways and close it.
    Close {
        /// Its key, now stale.
        conn: ConnKey,
        /// The stream.
        stream: StreamHandle,
    },
    /// Send FIN; go on reading.
    ShutdownWrite {
        /// The stream.
        stream: StreamHandle,
    },
    /// Read again. The kernel may hold bytes already, so do not wait for readiness.
    Resume {
        /// The connection.
        conn: ConnKey,
        /// The stream.
        stream: StreamHandle,
    },
    /// Stop watching the stream, and hand it with `moved` to another shard, in order with the messages to it.
    Move {
        /// Its key on this shard, now stale.
        conn: ConnKey,
        /// The stream.
        stream: StreamHandle,
        /// Where it goes.
        to: ShardIndex,
        /// Its state, for [`Shard::handle_moved`] there.
        moved: Box<MovedConnection>,
    },
}

/// What a shard is made from.
#[derive(Clone)]
pub struct ShardSetup {
    /// Which shard this is.
    pub index: ShardIndex,
    /// How many there are, at most [`crate::hub::interest::SHARDS_MAX`].
    pub shards: u16,
    /// What the operator decided.
    pub options: Arc<Options>,
    /// What is served beside the engine.
    pub routes: Arc<Routes>,
    /// Hides the routing part of ids; the same on every shard.
    pub route_key: RouteKey,
    /// Secret randomness of this shard alone.
    pub seed: [u8; 32],
    /// The time at which it starts.
    pub now: Instant,
    /// Milliseconds since the Unix epoch at `Instant::ORIGIN`.
    pub unix_origin: u64,
}

/// One core's everything.
pub struct Shard {
    core: Core,
    app: Box<dyn App>,
}

impl Shard {
    /// A shard without connections.
    ///
    /// # Panics
    /// If there are more than [`crate::hub::interest::SHARDS_MAX`]: broadcasts would miss some of them.
    pub fn new(setup: ShardSetup, app: Box<dyn App>) -> Self {
        let (shards, most) = (setup.shards, crate::hub::interest::SHARDS_MAX);
        assert!(shards <= most, "{shards} shards are more than {most}");
        Self { core: Core::new(setup), app }
    }

    /// A connection was accepted.
    pub fn handle_accepted(&mut self, now: Instant, stream: StreamHandle, peer: Peer) -> ConnKey {
        self.core.begin(now);
        self.core.stats.connections_accepted += 1;
        let deadline = now + self.core.settings.options.http.head;
        let key = self.core.conns.insert(Conn::new(stream, peer.address, deadline));
        self.core.arm_conn(key);
        if self.core.is_draining {
            self.core.drop_conn(key);
        }
        key
    }

    /// A connection arrived from another shard. The driver should read from it right away.
    pub fn handle_moved(&mut self, now: Instant, stream: StreamHandle, moved: MovedConnection) -> ConnKey {
        self.core.begin(now);
        self.core.stats.connections_moved += 1;
        let mut conn = Conn::new(stream, moved.peer, now);
        conn.deadline = None;
        conn.out = moved.out;
        let key = self.core.conns.insert(conn);
        self.core.upgrade_arrived(key, &moved.upgrade);
        let mut input = moved.input;
        self.websocket_bytes(key, &mut input);
        self.core.count_conn_input(key);
        self.settle();
        key
    }

    /// Bytes were read. They may be changed in place.
    pub fn handle_bytes(&mut self, now: Instant, key: ConnKey, bytes: &mut [u8]) -> Reading {
        self.core.begin(now);
        let role = self.core.conns.get(key).map(|conn| &conn.role);
        if !matches!(role, Some(Role::Port)) {
            self.core.stats.bytes_in += bytes.len() as u64;
        }
        match role {
            Some(Role::Http(_)) => self.http_bytes(key, bytes),
            Some(Role::WebSocket(_)) => self.websocket_bytes(key, bytes),
            Some(Role::Port) => self.port_bytes(key, bytes),
            Some(Role::Leaving) | None => {}
        }
        self.core.count_conn_input(key);
        self.settle();
        match self.core.conns.get_mut(key) {
            None => Reading::Closed,
            Some(conn) => {
                conn.is_paused |= conn.must_wait();
                if conn.is_paused { Reading::Paused } else { Reading::Continue }
            }
        }
    }

    /// The stream ended. A write that fails ends it, too: [`Self::handle_written`] with 0, and then this as input
    /// of the next turn.
    pub fn handle_end(&mut self, now: Instant, key: ConnKey, end: StreamEnd) {
        self.core.begin(now);
        self.core.end_arrived(key, end);
        self.settle();
    }

    /// A message came from another shard.
    pub fn handle_message(&mut self, now: Instant, message: ShardMessage) {
        self.core.begin(now);
        self.message(message.0);
        self.settle();
    }

    /// Deadlines up to `now` have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.core.begin(now);
        self.settle();
        while let Some(due) = self.core.timers.pop(now) {
            self.due(due);
            self.settle();
        }
    }

    /// When [`Self::handle_timeout`] must be called at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.core.slow.is_empty() || !self.core.resumable.is_empty() || self.core.wants_flush {
            return Some(self.core.now);
        }
        self.core.timers.next()
    }

    /// The next connection with something to write, each once a turn. [`Self::handle_written`] must follow.
    pub fn poll_write(&mut self) -> Option<(ConnKey, StreamHandle, &WriteQueue)> {
        let key = loop {
            let index = self.core.touched.pop_front()?;
            let Some((key, conn)) = self.core.conns.at_mut(index) else { continue };
            // The place may have a new tenant, which is on the list itself if it has to be.
            if !std::mem::take(&mut conn.is_touched) || conn.is_blocked {
                continue;
            }
            if conn.out.is_empty() {
                self.core.written(key);
                continue;
            }
            break key;
        };
        let conn = self.core.conns.get(key)?;
        Some((key, conn.stream, &conn.out))
    }

    /// The stream took `count` bytes. If that was not all, the driver waits until it can take more, and then
    /// calls [`Self::handle_writable`].
    ///
    /// What follows from it (a client turns out to be slow, a request has waited for room) does so at the next
    /// [`Self::handle_timeout`], which is due at once, or other input: it may concern other shards, to whom nothing
    /// can be said before the writes of this turn any more.
    pub fn handle_written(&mut self, now: Instant, key: ConnKey, count: usize) {
        self.core.begin(now);
        let keep_alive = self.core.settings.options.http.keep_alive;
        let Some(conn) = self.core.conns.get_mut(key) else { return };
        conn.out.advance(count);
        if !conn.is_port() {
            self.core.stats.bytes_out += count as u64;
        }
        if count > 0 && conn.is_between_requests() {
            // Who still takes an answer is not idle.
            conn.deadline = Some(now + keep_alive);
        }
        if conn.out.is_empty() {
            let waits = !conn.input.is_empty() || (conn.is_paused && !conn.is_held);
            if conn.then != Then::GoOn {
                self.core.written(key);
            } else if waits {
                self.core.resumable.push(key);
            }
            return;
        }
        conn.is_blocked = true;
        if is_overfull(conn, &self.core.settings.options) {
            self.core.slow.push(key);
        }
    }

    /// A stream that was full can be written again.
    pub fn handle_writable(&mut self, key: ConnKey) {
        if let Some(conn) = self.core.conns.get_mut(key) {
            conn.is_blocked = false;
            self.core.touch(key);
        }
    }

    /// The next message for another shard. To be called until there is none before anything is written: first
    /// of all the application gives away what it has gathered (`App::flush`).
    pub fn poll_message(&mut self) -> Option<(ShardIndex, ShardMessage)> {
        self.flush();
        self.core.messages.pop_front()
    }

    /// The next thing only the driver can do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.core.actions.pop_front()
    }

    /// Begins to close everything: sessions the Socket.IO way, then their connections, then, when the
    /// application has had its last word, its ports.
    pub fn drain(&mut self, now: Instant) {
        self.core.begin(now);
        self.core.drain();
        self.settle();
        self.app.drain(&mut Io::new(&mut self.core));
        self.settle();
        self.flush();
        self.core.drain_ports();
    }

    /// Whether nothing is left after [`Self::drain`].
    pub fn is_drained(&self) -> bool {
        self.core.conns.is_empty() && self.core.sessions.is_empty()
    }
}
