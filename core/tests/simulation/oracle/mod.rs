//! What clients and applications have done, and what must follow from it.
//!
//! Every event towards a client carries the shard whose application sent it and a serial number. From one shard
//! to one client, over all namespaces, serials only grow, and what must arrive is not skipped. What must arrive
//! is decided when it is sent: a member for certain (the client had been told before the sender's shard last
//! emptied its mailboxes, or the sender itself had put it there) must get it, a stranger for certain must not,
//! and where the two race either is right.

mod apps;
mod clients;

use crate::random::Random;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use tidegate_core::shard::app::{Reply, SocketKey};

pub(crate) type Shared = Rc<RefCell<Oracle>>;
pub(crate) type ClientId = usize;
pub(crate) type SocketId = usize;
pub(crate) type Serial = u64;

/// What can be said for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tri {
    Yes,
    No,
    Unknown,
}

impl Tri {
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    pub(crate) fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// Something a client may get.
#[derive(Debug)]
struct Entry {
    serial: Serial,
    socket: SocketId,
    /// Must it arrive, may it, must it not?
    need: Tri,
    /// Rooms that decide whether it does.
    rooms: Vec<String>,
    bytes: usize,
}

/// What one shard's application sends to one client.
#[derive(Debug, Default)]
struct Downlink {
    entries: VecDeque<Entry>,
    last: Serial,
}

/// An event of a client.
#[derive(Debug)]
struct Uplink {
    number: u64,
    socket: SocketId,
}

#[derive(Debug)]
pub(crate) struct ClientModel {
    /// Why its session may end, if something has happened that entitles it to.
    pub(crate) excuse: Option<&'static str>,
    /// It is gone, or believes that its session is.
    pub(crate) is_over: bool,
    up: VecDeque<Uplink>,
    down: Vec<Downlink>,
}

/// A room that the application of a socket's own shard puts it in, on the client's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Joining,
    /// The client knows since this step.
    In(u64),
    Leaving,
}

#[derive(Debug)]
pub(crate) struct SocketModel {
    pub(crate) client: ClientId,
    pub(crate) key: SocketKey,
    pub(crate) shard: usize,
    pub(crate) namespace: String,
    pub(crate) sid: String,
    /// When its CONNECT reached the application.
    created: u64,
    /// The application that let it in (or will), in order with what else that does.
    pub(crate) accepted_by: Option<usize>,
    /// It is in, as its own shard knows: let in by `Io::accept` there, or `App::connected` was called.
    pub(crate) is_admitted: bool,
    /// `App::connected` was called.
    pub(crate) is_connected: bool,
    /// The client has its CONNECT reply since this step.
    known_since: Option<u64>,
    /// Somebody has asked for its end.
    pub(crate) is_leaving: bool,
    /// It was not let in; the application hears no more of it.
    is_rejected: bool,
    /// The application has been told of its end.
    pub(crate) is_gone: bool,
    wishes: BTreeMap<String, Wish>,
    /// When the client wished something last.
    pub(crate) wished_at: u64,
    /// Rooms that it is in right now by a wish, as its own shard knows.
    wished: BTreeSet<String>,
    /// Rooms that only the named shard's application touches.
    owned: BTreeMap<String, Tri>,
}

/// A question whose outcome must come exactly once.
#[derive(Debug)]
pub(crate) enum Question {
    One { socket: SocketId, serial: Serial, has_timeout: bool },
    Many { asked: u64, serial: Serial, must: Vec<SocketId> },
    Sockets { asked: u64, must: Vec<SocketId>, not: Vec<SocketId>, namespace: String },
    Wake,
}

#[derive(Debug)]
struct Broadcast {
    called: u64,
    namespace: String,
}

#[derive(Debug)]
struct JoinOfMany {
    by: usize,
    called: u64,
    namespace: String,
    room: String,
}

pub(crate) struct Oracle {
    pub(crate) random: Random,
    pub(crate) step: u64,
    pub(crate) clients: Vec<ClientModel>,
    pub(crate) sockets: Vec<SocketModel>,
    by_key: BTreeMap<SocketKey, SocketId>,
    by_sid: BTreeMap<String, SocketId>,
    shards: usize,
    /// For each shard, when it last had no mail left.
    caught_up: Vec<u64>,
    /// For each shard, when last nothing of it waited for room in a mailbox; and what of that each other shard has
    /// caught up with.
    sent_all: Vec<u64>,
    handled: Vec<Vec<u64>>,
    /// Joins of whole selectors: they may meet sockets that come later.
    joins_of_many: Vec<JoinOfMany>,
    last_serial: Serial,
    broadcasts: BTreeMap<Serial, Broadcast>,
    /// Sockets whose clients answered a question of this serial.
    pub(crate) answers: BTreeMap<Serial, BTreeSet<SocketId>>,
    pub(crate) questions: BTreeMap<u64, Question>,
    last_ticket: u64,
    /// Sockets that wait for a verdict.
    pub(crate) undecided: Vec<SocketId>,
    /// Rights to reply that some application will use later.
    pub(crate) replies: Vec<(SocketId, u64, Reply)>,
    pub(crate) outbox_bytes_max: usize,
    /// No new work: what is under way comes to its end.
    pub(crate) is_quiet: bool,
    log: VecDeque<String>,
    /// How much of the log is kept; writing it takes longer than everything else.
    pub(crate) log_lines: usize,
}

const BY_APPLICATION: &str = "disconnected by the application";
/// What an event costs in a queue beyond the bytes counted here: frames, heads, pings, CONNECT replies.
const SLACK_BYTES: usize = 1500;
const ENTRY_OVERHEAD_BYTES: usize = 180;

impl Oracle {
    pub(crate) fn new(seed: u64, shards: usize, outbox_bytes_max: usize) -> Self {
        Self {
            random: Random::new(seed),
            step: 0,
            clients: Vec::new(),
            sockets: Vec::new(),
            by_key: BTreeMap::new(),
            by_sid: BTreeMap::new(),
            shards,
            caught_up: vec![0; shards],
            sent_all: vec![0; shards],
            handled: vec![vec![0; shards]; shards],
            joins_of_many: Vec::new(),
            last_serial: 0,
            broadcasts: BTreeMap::new(),
            answers: BTreeMap::new(),
            questions: BTreeMap::new(),
            last_ticket: 0,
            undecided: Vec::new(),
            replies: Vec::new(),
            outbox_bytes_max,
            is_quiet: false,
            log: VecDeque::new(),
            log_lines: 0,
        }
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.log_lines == 0 {
            return;
        }
        if self.log.len() == self.log_lines {
            self.log.pop_front();
        }
        self.log.push_back(format!("{:>6} {}", self.step, line()));
    }

    pub(crate) fn log(&self) -> impl Iterator<Item = &String> {
        self.log.iter()
    }

    /// A shard has no mail left.
    pub(crate) fn caught_up(&mut self, shard: usize) {
        self.caught_up[shard] = self.step;
        self.handled[shard].clone_from(&self.sent_all);
    }

    /// Nothing of a shard waits for room in a mailbox.
    pub(crate) fn sent_all(&mut self, shard: usize) {
        self.sent_all[shard] = self.step;
    }

    /// Nothing is under way any more: whoever still lives has everything.
    pub(crate) fn assert_settled(&self) {
        for (client, model) in self.clients.iter().enumerate() {
            if model.is_over || model.excuse.is_some() {
                continue;
            }
            for (shard, down) in model.down.iter().enumerate() {
                for entry in &down.entries {
                    let serial = entry.serial;
                    assert_ne!(entry.need, Tri::Yes, "client {client} never got {serial} of shard {shard}");
                }
            }
            for event in &model.up {
                let is_excused = self.sockets[event.socket].is_leaving;
                assert!(is_excused, "event {} of client {client} never arrived", event.number);
            }
        }
    }

    pub(crate) fn assert_all_gone(&self) {
        for (socket, model) in self.sockets.iter().enumerate() {
            assert!(model.is_gone || model.is_rejected, "nobody was told that socket {socket} left");
        }
        assert!(self.questions.is_empty(), "questions without an answer: {:?}", self.questions);
    }
}

/// Rooms that the application of one shard alone uses are named after it.
pub(crate) fn owned_room(shard: usize, number: usize) -> String {
    format!("own-{shard}-{number}")
}

fn is_owned(room: &str) -> bool {
    room.starts_with("own-")
}
