//! What a core drives: a shard, or something that behaves like one.
//!
//! The engine is written against this trait and not against [`Shard`], so that it can be tested with a machine
//! of a few lines that echoes, pauses, moves and floods on request.

use tidegate_core::front::write_queue::WriteQueue;
use tidegate_core::id::ShardIndex;
use tidegate_core::shard::stats::Stats;
use tidegate_core::shard::{
    Action, ConnKey, MovedConnection, Peer, Reading, Shard, ShardMessage, StreamEnd, StreamHandle,
};
use tidegate_core::time::Instant;

/// Decides; never blocks, never does I/O. The methods mean what they mean on [`Shard`].
///
/// Every `handle_*` and `poll_*` that names a connection which is gone does nothing.
pub trait Driven: Sized + 'static {
    /// What it sends to other cores.
    type Message: Send + 'static;
    /// What it knows about a connection that moves to another core.
    type Moved: Send + 'static;

    /// A stream was accepted.
    fn handle_accepted(&mut self, now: Instant, stream: StreamHandle, peer: Peer) -> ConnKey;
    /// A stream for the application was accepted.
    fn handle_port(&mut self, now: Instant, stream: StreamHandle) -> ConnKey;
    /// A stream arrived from another core.
    fn handle_moved(&mut self, now: Instant, stream: StreamHandle, moved: Self::Moved) -> ConnKey;
    /// Bytes were read.
    fn handle_bytes(&mut self, now: Instant, conn: ConnKey, bytes: &mut [u8]) -> Reading;
    /// The stream ended: once with `Eof`, once with `Error`, or with both in this order.
    fn handle_end(&mut self, now: Instant, conn: ConnKey, end: StreamEnd);
    /// Another core sent something.
    fn handle_message(&mut self, now: Instant, message: Self::Message);
    /// A deadline has come.
    fn handle_timeout(&mut self, now: Instant);
    /// The earliest deadline.
    fn next_deadline(&self) -> Option<Instant>;
    /// The next connection with something to write, each once until it is handled.
    fn poll_write(&mut self) -> Option<(ConnKey, StreamHandle, &WriteQueue)>;
    /// `count` bytes left. If that is less than was queued, `handle_writable` follows some time.
    fn handle_written(&mut self, now: Instant, conn: ConnKey, count: usize);
    /// There is room again.
    fn handle_writable(&mut self, conn: ConnKey);
    /// The next message for another core.
    fn poll_message(&mut self) -> Option<(ShardIndex, Self::Message)>;
    /// The next thing to do to a stream.
    fn poll_action(&mut self) -> Option<StreamAction<Self::Moved>>;
    /// Begins to end everything.
    fn drain(&mut self, now: Instant);
    /// Whether nothing is left after `drain`.
    fn is_drained(&self) -> bool;
    /// A copy of the counters.
    fn stats(&self) -> Stats;
}

/// [`Action`] with the type of what moves left open.
#[derive(Debug)]
pub enum StreamAction<C> {
    /// Shut down both ways and close.
    Close {
        /// Its connection, which no longer exists.
        conn: ConnKey,
        /// The stream.
        stream: StreamHandle,
    },
    /// Send FIN, keep reading.
    ShutdownWrite {
        /// The stream.
        stream: StreamHandle,
    },
    /// Read on after a pause.
    Resume {
        /// The stream.
        stream: StreamHandle,
    },
    /// Hand the stream to another core.
    Move {
        /// Its connection, which no longer exists here.
        conn: ConnKey,
        /// The stream.
        stream: StreamHandle,
        /// Where it goes.
        to: ShardIndex,
        /// What the shard there needs.
        moved: Box<C>,
    },
}

impl From<Action> for StreamAction<MovedConnection> {
    fn from(action: Action) -> Self {
        match action {
            Action::Close { conn, stream } => Self::Close { conn, stream },
            Action::ShutdownWrite { stream } => Self::ShutdownWrite { stream },
            Action::Resume { stream, .. } => Self::Resume { stream },
            Action::Move { conn, stream, to, moved } => Self::Move { conn, stream, to, moved },
        }
    }
}

impl Driven for Shard {
    type Message = ShardMessage;
    type Moved = MovedConnection;

    fn handle_accepted(&mut self, now: Instant, stream: StreamHandle, peer: Peer) -> ConnKey {
        self.handle_accepted(now, stream, peer)
    }
    fn handle_port(&mut self, now: Instant, stream: StreamHandle) -> ConnKey {
        self.handle_port(now, stream)
    }
    fn handle_moved(&mut self, now: Instant, stream: StreamHandle, moved: MovedConnection) -> ConnKey {
        self.handle_moved(now, stream, moved)
    }
    fn handle_bytes(&mut self, now: Instant, conn: ConnKey, bytes: &mut [u8]) -> Reading {
        self.handle_bytes(now, conn, bytes)
    }
    fn handle_end(&mut self, now: Instant, conn: ConnKey, end: StreamEnd) {
        self.handle_end(now, conn, end);
    }
    fn handle_message(&mut self, now: Instant, message: ShardMessage) {
        self.handle_message(now, message);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
    fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline()
    }
    fn poll_write(&mut self) -> Option<(ConnKey, StreamHandle, &WriteQueue)> {
        self.poll_write()
    }
    fn handle_written(&mut self, now: Instant, conn: ConnKey, count: usize) {
        self.handle_written(now, conn, count);
    }
    fn handle_writable(&mut self, conn: ConnKey) {
        self.handle_writable(conn);
    }
    fn poll_message(&mut self) -> Option<(ShardIndex, ShardMessage)> {
        self.poll_message()
    }
    fn poll_action(&mut self) -> Option<StreamAction<MovedConnection>> {
        self.poll_action().map(StreamAction::from)
    }
    fn drain(&mut self, now: Instant) {
        self.drain(now);
    }
    fn is_drained(&self) -> bool {
        self.is_drained()
    }
    fn stats(&self) -> Stats {
        self.stats()
    }
}
