//! Shards, the mailboxes between them, and TCP streams, turned by hand.
//!
//! The driver of a shard promises (see `core::shard`): what is for other shards leaves before anything is written
//! to a client, and what has come from other shards is handled before bytes that were read after it. This one
//! keeps its promises and is otherwise as unkind as it may be: mailboxes are short and wait long, streams take
//! and give a few bytes at a time.

use crate::app::Exerciser;
use crate::oracle::Shared;
use crate::random::Random;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tidegate_core::close::CloseReason;
use tidegate_core::id::{RouteKey, ShardIndex};
use tidegate_core::options::Options;
use tidegate_core::shard::routes::Routes;
use tidegate_core::shard::{
    Action, ConnKey, MovedConnection, Peer, Reading, Shard, ShardMessage, ShardSetup, StreamEnd, StreamHandle,
};
use tidegate_core::time::Instant;

pub(crate) type StreamId = usize;

/// One TCP connection, with both its ends.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Bytes on their way to the server.
    pub(crate) up: VecDeque<u8>,
    /// Bytes on their way to the client, at most `capacity`.
    pub(crate) down: VecDeque<u8>,
    capacity: usize,
    /// How the client has left, if it has.
    client_end: Option<StreamEnd>,
    /// The server has sent FIN, or closed.
    pub(crate) server_done: bool,
    /// The shard that has it; `None` while it is in a mailbox or closed.
    home: Option<usize>,
    key: Option<ConnKey>,
    is_paused: bool,
    is_blocked: bool,
    end_told: bool,
}

#[derive(Debug)]
enum Mail {
    Message(ShardMessage),
    Moved(StreamId, Box<MovedConnection>),
}

struct Node {
    shard: Shard,
    /// From each shard, in order.
    mailboxes: Vec<VecDeque<Mail>>,
    /// What waits for room in other mailboxes.
    backlog: VecDeque<(usize, Mail)>,
}

pub(crate) struct World {
    nodes: Vec<Node>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) now: Instant,
    mailbox_capacity: usize,
    pub(crate) options: Arc<Options>,
    pub(crate) oracle: Shared,
    /// Keep-alive streams that any client may use next, and since when they are idle.
    idle: Vec<(StreamId, Instant)>,
}

impl World {
    pub(crate) fn new(shards: usize, options: Options, mailbox_capacity: usize, oracle: &Shared) -> Self {
        let options = Arc::new(options);
        let nodes = (0..shards).map(|index| {
            let setup = ShardSetup {
                index: ShardIndex(index as u16),
                shards: shards as u16,
                options: Arc::clone(&options),
                routes: Arc::new(Routes::default()),
                route_key: RouteKey::new([1, 2, 3, 4]),
                seed: [index as u8 + 1; 32],
                now: Instant::ORIGIN,
                unix_origin: 1_795_000_000_000,
            };
            Node {
                shard: Shard::new(setup, Box::new(Exerciser::new(index, oracle))),
                mailboxes: (0..shards).map(|_| VecDeque::new()).collect(),
                backlog: VecDeque::new(),
            }
        });
        Self {
            nodes: nodes.collect(),
            streams: Vec::new(),
            now: Instant::ORIGIN,
            mailbox_capacity,
            options: Arc::clone(&options),
            oracle: Shared::clone(oracle),
            idle: Vec::new(),
        }
    }

    pub(crate) fn shards(&self) -> usize {
        self.nodes.len()
    }

    // For clients.

    pub(crate) fn connect(&mut self, random: &mut Random) -> StreamId {
        self.streams.push(Stream {
            up: VecDeque::new(),
            down: VecDeque::new(),
            capacity: random.between(1, 8) * random.between(20, 500),
            client_end: None,
            server_done: false,
            home: Some(random.below(self.nodes.len())),
            key: None,
            is_paused: false,
            is_blocked: false,
            end_told: false,
        });
        self.streams.len() - 1
    }

    /// A stream for one request: a new one, or one that somebody has left open.
    pub(crate) fn stream_for_request(&mut self, random: &mut Random) -> StreamId {
        let streams = &self.streams;
        let limit = self.options.http.keep_alive / 2;
        let now = self.now;
        self.idle.retain(|(id, since)| !streams[*id].server_done && now - *since < limit);
        if self.idle.is_empty() || random.chance(40) {
            return self.connect(random);
        }
        self.idle.swap_remove(random.below(self.idle.len())).0
    }

    pub(crate) fn leave_open(&mut self, stream: StreamId) {
        self.idle.push((stream, self.now));
    }

    pub(crate) fn send(&mut self, stream: StreamId, bytes: &[u8]) {
        self.streams[stream].up.extend(bytes);
    }

    /// Takes some of what has come.
    pub(crate) fn receive(&mut self, stream: StreamId, random: &mut Random, into: &mut Vec<u8>) {
        let down = &mut self.streams[stream].down;
        if !down.is_empty() {
            let count = if random.chance(50) { down.len() } else { random.between(1, down.len()) };
            into.extend(down.drain(..count));
        }
    }

    /// Whether the server will say no more.
    pub(crate) fn is_over(&self, stream: StreamId) -> bool {
        self.streams[stream].server_done && self.streams[stream].down.is_empty()
    }

    pub(crate) fn leave(&mut self, stream: StreamId, end: StreamEnd) {
        let stream = &mut self.streams[stream];
        if end == StreamEnd::Error {
            stream.up.clear();
        }
        stream.client_end.get_or_insert(end);
    }

    pub(crate) fn leave_all(&mut self, end: StreamEnd) {
        (0..self.streams.len()).for_each(|stream| self.leave(stream, end));
    }

    // The driver.

    /// One turn of one shard. Says whether anything happened.
    pub(crate) fn turn(&mut self, index: usize, random: &mut Random) -> bool {
        let is_full = random.chance(75);
        let mut busy = self.flush(index);
        busy |= self.handle_mail(index, if is_full { usize::MAX } else { random.below(4) }, random);
        if self.nodes[index].shard.next_deadline().is_some_and(|at| at <= self.now) && random.chance(90) {
            self.nodes[index].shard.handle_timeout(self.now);
            busy = true;
        }
        if is_full && self.nodes[index].backlog.is_empty() {
            busy |= self.read_streams(index, random);
        }
        self.collect(index);
        busy |= self.flush(index);
        if self.nodes[index].backlog.is_empty() {
            self.oracle.borrow_mut().sent_all(index);
            busy |= self.write_streams(index, random);
            busy |= self.act(index);
        }
        self.check(index);
        busy
    }

    /// Moves what waits into mailboxes, in order, until one is full.
    fn flush(&mut self, from: usize) -> bool {
        let mut moved = false;
        while let Some((to, _)) = self.nodes[from].backlog.front() {
            let to = *to;
            if self.nodes[to].mailboxes[from].len() >= self.mailbox_capacity {
                break;
            }
            let (_, mail) = self.nodes[from].backlog.pop_front().expect("there is one");
            self.nodes[to].mailboxes[from].push_back(mail);
            moved = true;
        }
        moved
    }

    fn collect(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        while let Some((to, message)) = node.shard.poll_message() {
            assert_ne!(to.as_usize(), index, "a shard writes no letters to itself");
            node.backlog.push_back((to.as_usize(), Mail::Message(message)));
        }
    }

    fn handle_mail(&mut self, index: usize, most: usize, random: &mut Random) -> bool {
        for count in 0..most {
            let node = &mut self.nodes[index];
            let senders: Vec<usize> =
                (0..node.mailboxes.len()).filter(|&from| !node.mailboxes[from].is_empty()).collect();
            let Some(&from) = random.pick(&senders) else {
                self.oracle.borrow_mut().caught_up(index);
                return count > 0;
            };
            match node.mailboxes[from].pop_front().expect("it is not empty") {
                Mail::Message(message) => {
                    self.oracle.borrow_mut().note(|| format!("shard {index} gets of {from}: {message:?}"));
                    node.shard.handle_message(self.now, message);
                }
                Mail::Moved(id, moved) => {
                    let handle = StreamHandle(id as i32);
                    let key = node.shard.handle_moved(self.now, handle, *moved);
                    let stream = &mut self.streams[id];
                    (stream.home, stream.key) = (Some(index), Some(key));
                    (stream.is_paused, stream.is_blocked) = (false, false);
                }
            }
        }
        most > 0
    }

    fn read_streams(&mut self, index: usize, random: &mut Random) -> bool {
        let mut busy = false;
        for id in 0..self.streams.len() {
            let stream = &mut self.streams[id];
            if stream.home != Some(index) {
                continue;
            }
            let shard = &mut self.nodes[index].shard;
            let key = *stream.key.get_or_insert_with(|| {
                let peer = Peer { address: ([127, 0, 0, 1], 1).into() };
                busy = true;
                shard.handle_accepted(self.now, StreamHandle(id as i32), peer)
            });
            if stream.is_blocked && stream.down.len() < stream.capacity {
                stream.is_blocked = false;
                shard.handle_writable(key);
                busy = true;
            }
            if stream.is_paused || random.chance(20) {
                continue;
            }
            if !stream.up.is_empty() {
                let count =
                    if random.chance(50) { stream.up.len() } else { random.between(1, stream.up.len()) };
                let mut bytes: Vec<u8> = stream.up.drain(..count).collect();
                self.oracle.borrow_mut().note(|| format!("shard {index} reads {count} bytes of stream {id}"));
                match shard.handle_bytes(self.now, key, &mut bytes) {
                    Reading::Continue => {}
                    // A connection that is gone has an action coming.
                    Reading::Paused | Reading::Closed => stream.is_paused = true,
                }
                busy = true;
            } else if let Some(end) = stream.client_end.filter(|_| !stream.end_told) {
                stream.end_told = true;
                shard.handle_end(self.now, key, end);
                busy = true;
            }
        }
        busy
    }

    fn write_streams(&mut self, index: usize, random: &mut Random) -> bool {
        let mut busy = false;
        while let Some((key, handle, queue)) = self.nodes[index].shard.poll_write() {
            busy = true;
            let stream = &mut self.streams[handle.0 as usize];
            assert_eq!(stream.key, Some(key), "writes go to streams that are here");
            if stream.client_end == Some(StreamEnd::Error) {
                // The failure is input of the next turn.
                self.nodes[index].shard.handle_written(self.now, key, 0);
                continue;
            }
            let mut room = stream.capacity.saturating_sub(stream.down.len());
            if stream.client_end.is_some() {
                room = usize::MAX;
            } else if random.chance(20) {
                room = random.between(0, room);
            }
            let before = stream.down.len();
            for segment in queue.iter() {
                let count = segment.len().min(room - (stream.down.len() - before));
                stream.down.extend(&segment[..count]);
            }
            let written = stream.down.len() - before;
            stream.is_blocked = written < queue.bytes();
            if stream.client_end.is_some() {
                stream.down.clear();
            }
            self.nodes[index].shard.handle_written(self.now, key, written);
        }
        busy
    }

    fn act(&mut self, index: usize) -> bool {
        let mut busy = false;
        while let Some(action) = self.nodes[index].shard.poll_action() {
            busy = true;
            match action {
                Action::Close { stream, .. } => {
                    let stream = &mut self.streams[stream.0 as usize];
                    (stream.home, stream.server_done) = (None, true);
                }
                Action::ShutdownWrite { stream } => self.streams[stream.0 as usize].server_done = true,
                Action::Resume { stream, .. } => self.streams[stream.0 as usize].is_paused = false,
                Action::Move { stream, to, moved, .. } => {
                    let id = stream.0 as usize;
                    self.streams[id].home = None;
                    self.nodes[index].backlog.push_back((to.as_usize(), Mail::Moved(id, moved)));
                }
            }
        }
        busy
    }

    /// What holds after every turn.
    fn check(&self, index: usize) {
        let stats = self.nodes[index].shard.stats();
        let limit = u64::from(self.options.outbox_bytes_max);
        // One tick may queue more than the limit to a client that has been keeping up.
        assert!(
            stats.outbox_bytes_largest <= limit + QUEUED_IN_ONE_TURN_BYTES,
            "{} bytes are queued for one client of shard {index}",
            stats.outbox_bytes_largest
        );
        assert_eq!(stats.mailbox_backlog, 0, "messages are collected in every turn");
    }

    // For the end.

    /// Turns every shard once; says whether anything happened.
    pub(crate) fn round(&mut self, random: &mut Random) -> bool {
        (0..self.nodes.len()).fold(false, |busy, index| self.turn(index, random) | busy)
    }

    /// The first deadline of any shard.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.nodes.iter().filter_map(|node| node.shard.next_deadline()).min()
    }

    pub(crate) fn drain(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.shard.drain(self.now));
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.nodes.iter().all(|node| node.shard.is_drained())
    }

    /// Connections that some shard still has.
    pub(crate) fn connections(&self) -> u64 {
        self.nodes.iter().map(|node| node.shard.stats().connections).sum()
    }

    /// How often what is worth testing has happened.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for stats in self.nodes.iter().map(|node| node.shard.stats()) {
            let closed = CloseReason::ALL.iter().map(|reason| reason.label()).zip(stats.sessions_closed);
            let others = [
                ("connections moved", stats.connections_moved),
                ("requests forwarded", stats.requests_forwarded),
                ("sessions upgraded", stats.sessions_upgraded),
                ("requests refused", stats.refusals_http),
                ("unknown sessions", stats.refusals_by_code[1]),
                ("decode errors", stats.decode_errors),
                ("volatile packets dropped", stats.volatile_dropped),
            ];
            closed.chain(others).for_each(|(what, count)| *counts.entry(what).or_default() += count);
        }
        counts
    }

    /// Nobody is left, so nothing may be.
    pub(crate) fn assert_empty(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            let stats = node.shard.stats();
            let left = [
                ("connections", stats.connections),
                ("polling sessions", stats.sessions_polling),
                ("websocket sessions", stats.sessions_websocket),
                ("sockets", stats.sockets),
                ("sockets that are connecting", stats.sockets_connecting),
                ("namespaces", stats.namespaces),
                ("rooms", stats.rooms),
                ("interests", stats.interests),
                ("acknowledgements", stats.acks_pending),
                ("collections", stats.collections),
                ("timers", stats.timers),
                ("bytes", stats.outbox_bytes),
            ];
            for (what, count) in left {
                assert_eq!(count, 0, "{what} are left on shard {index}");
            }
        }
        assert!(self.streams.iter().all(|stream| stream.home.is_none()), "every stream has been closed");
    }
}

/// More than the exerciser can queue towards one client between two writes of its shard.
const QUEUED_IN_ONE_TURN_BYTES: u64 = 64 * 1024;
