//! One client across its transports: what it is, what it waits for, what waits for it.
//!
//! A session is data and small machines (state, heartbeat, outbox); `shard/` moves them, because every step
//! touches a connection or the hub as well. Spec: protocol.md 1.

pub mod handshake;
pub mod outbox;
pub mod state;

use crate::arena::Key;
use crate::engine_io::heartbeat::Heartbeat;
use crate::id::{Id, ShardIndex};
use crate::name::Name;
use crate::socket_io::Decoder;
use crate::time::Instant;
use crate::timers::Armed;
use handshake::Handshake;
use outbox::Outbox;
use smallvec::SmallVec;
use state::{State, Step};
use std::sync::Arc;

/// What a session's messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Socket.IO packets.
    SocketIo,
    /// Bare Engine.IO messages, each sent back (the conformance app's `/engine.io/`).
    Echo,
}

/// One HTTP request that has not been answered, wherever its connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRef {
    /// The connection's shard.
    pub shard: ShardIndex,
    /// The connection.
    pub conn: Key,
    /// Which of the connection's requests: an answer to an earlier one is dropped.
    pub sequence: u32,
}

/// The POST of a session that has not been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Post {
    /// The request.
    pub request: RequestRef,
    /// Whether its body has been handled: only the application's hold keeps the answer back.
    pub is_handled: bool,
}

/// A WebSocket that tries to take over from polling.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its connection, on the session's shard.
    pub conn: Key,
    /// Whether `2probe` has come.
    pub probed: bool,
    /// When the attempt fails.
    pub deadline: Instant,
    /// When a pending poll is answered with a noop, once probed.
    pub noop_at: Option<Instant>,
}

/// One namespace of a session.
///
/// Stays for the rest of the turn after the socket has left, so that what the client had sent before it could
/// know is dropped and not taken for a violation.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The namespace.
    pub namespace: Name,
    /// The socket; stale once it has left.
    pub socket: Key,
    /// Whether the application has let it in.
    pub joined: bool,
}

/// One client.
#[derive(Debug)]
pub struct Session {
    /// The secret name the client knows it by.
    pub id: Id,
    /// Where it stands.
    pub state: State,
    /// What its messages are.
    pub layer: Layer,
    /// The connection of its WebSocket, in state `WebSocket`.
    pub websocket: Option<Key>,
    /// The WebSocket that tries to take over.
    pub candidate: Option<Box<Candidate>>,
    /// Pings and pongs.
    pub heartbeat: Heartbeat,
    /// Packets for the next poll.
    pub outbox: Outbox,
    /// The GET that waits.
    pub poll: Option<RequestRef>,
    /// The POST whose body is still coming, or whose answer is held back.
    pub post: Option<Post>,
    /// Socket.IO packets in the making.
    pub decoder: Decoder,
    /// Bytes of `decoder` that the shard has counted.
    pub counted_bytes: usize,
    /// Its sockets.
    pub sockets: SmallVec<[Membership; 1]>,
    /// How many of them hold its input.
    pub holds: u16,
    /// Its first request.
    pub handshake: Arc<Handshake>,
    /// By when a namespace must have been joined; `None` once one has.
    pub connect_deadline: Option<Instant>,
    /// When a lingering session is given up.
    pub linger_deadline: Option<Instant>,
    /// What the timer wheel knows.
    pub armed: Armed,
}

impl Session {
    /// Takes a step of the state machine. A step that is not in the table is a bug of ours.
    pub fn step(&mut self, step: Step) {
        let next = self.state.next(step);
        debug_assert!(next.is_some(), "{:?} cannot take {step:?}", self.state);
        self.state = next.unwrap_or(State::Closed);
    }

    /// The earliest of everything it waits for.
    pub fn deadline(&self) -> Option<Instant> {
        if self.state == State::Lingering {
            let upgrade = self.candidate.as_ref().map(|candidate| candidate.deadline);
            return [self.linger_deadline, upgrade].into_iter().flatten().min();
        }
        let candidate = self.candidate.as_ref();
        [
            Some(self.heartbeat.deadline()),
            self.connect_deadline,
            candidate.map(|candidate| candidate.deadline),
            candidate.and_then(|candidate| candidate.noop_at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether it has an application side any more.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Lingering | State::Closed)
    }
}
