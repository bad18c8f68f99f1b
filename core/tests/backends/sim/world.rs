//! Shards that serve backends, mailboxes with mail on its way, streams of clients and backends, and the clock.
//!
//! Everything that the network and the scheduler may do is left to chance: how much is read at once, when a shard
//! turns, from which other shard it takes a message first.

use crate::random::Random;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tidegate_core::backend::Backends;
use tidegate_core::id::{RouteKey, ShardIndex};
use tidegate_core::options::{BackendOptions, Options};
use tidegate_core::shard::routes::Routes;
use tidegate_core::shard::stats::Stats;
use tidegate_core::shard::{
    Action, ConnKey, MovedConnection, Peer, Reading, Shard, ShardMessage, ShardSetup, StreamEnd, StreamHandle,
};
use tidegate_core::time::Instant;

pub(crate) type StreamId = usize;

enum Mail {
    Message(ShardMessage),
    Moved(StreamId, Box<MovedConnection>),
}

/// One connection: what each side has sent and the other has not taken.
pub(crate) struct Stream {
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    /// Bytes that `down` takes.
    capacity: usize,
    peer_end: Option<StreamEnd>,
    pub(crate) server_done: bool,
    home: Option<usize>,
    key: Option<ConnKey>,
    is_port: bool,
    is_paused: bool,
    is_blocked: bool,
    end_told: bool,
    /// Bytes of `up` that the gateway has read.
    pub(crate) consumed: u64,
    /// What the gateway has written to a port and nobody has looked at.
    pub(crate) tapped: Vec<u8>,
    /// Where the gateway knows about the end: how many messages the home had sent to each shard by then.
    death: Option<(usize, Vec<u64>)>,
}

struct Node {
    shard: Shard,
    /// From each shard, in order.
    mailboxes: Vec<VecDeque<Mail>>,
    /// What waits for room in other mailboxes.
    backlog: VecDeque<(usize, Mail)>,
    /// Messages sent to each shard, and handled of each.
    sent: Vec<u64>,
    handled: Vec<u64>,
}

pub(crate) struct World {
    nodes: Vec<Node>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) now: Instant,
    mailbox_capacity: usize,
    /// How often a client's stream was not read any more.
    pub(crate) pauses: u64,
    /// When a shard had heard of the end of a port: the step.
    pub(crate) death_steps: HashMap<(StreamId, usize), u64>,
}

impl World {
    pub(crate) fn new(
        shards: usize,
        options: Options,
        backend: &BackendOptions,
        mailbox_capacity: usize,
    ) -> Self {
        let options = Arc::new(options);
        let nodes = (0..shards).map(|index| {
            let here = ShardIndex(index as u16);
            let setup = ShardSetup {
                index: here,
                shards: shards as u16,
                options: Arc::clone(&options),
                routes: Arc::new(Routes::default()),
                route_key: RouteKey::new([1, 2, 3, 4]),
                seed: [index as u8 + 1; 32],
                now: Instant::ORIGIN,
                unix_origin: 1_795_000_000_000,
            };
            let app = Backends::new(here, &options, backend.clone(), "0.0.0");
            Node {
                shard: Shard::new(setup, Box::new(app)),
                mailboxes: (0..shards).map(|_| VecDeque::new()).collect(),
                backlog: VecDeque::new(),
                sent: vec![0; shards],
                handled: vec![0; shards],
            }
        });
        Self {
            nodes: nodes.collect(),
            streams: Vec::new(),
            now: Instant::ORIGIN,
            mailbox_capacity,
            pauses: 0,
            death_steps: HashMap::new(),
        }
    }

    pub(crate) fn shards(&self) -> usize {
        self.nodes.len()
    }

    // For clients and backends.

    pub(crate) fn connect(&mut self, random: &mut Random) -> StreamId {
        self.open(random, false)
    }

    pub(crate) fn dial(&mut self, random: &mut Random) -> StreamId {
        self.open(random, true)
    }

    fn open(&mut self, random: &mut Random, is_port: bool) -> StreamId {
        self.streams.push(Stream {
            up: VecDeque::new(),
            down: VecDeque::new(),
            capacity: random.between(1, 8) * random.between(20, 800),
            peer_end: None,
            server_done: false,
            home: Some(random.below(self.nodes.len())),
            key: None,
            is_port,
            is_paused: false,
            is_blocked: false,
            end_told: false,
            consumed: 0,
            tapped: Vec::new(),
            death: None,
        });
        self.streams.len() - 1
    }

    pub(crate) fn send(&mut self, stream: StreamId, bytes: &[u8]) {
        self.streams[stream].up.extend(bytes);
    }

    /// Takes some of what has come.
    pub(crate) fn receive(&mut self, stream: StreamId, random: &mut Random, into: &mut Vec<u8>) -> usize {
        let down = &mut self.streams[stream].down;
        if down.is_empty() {
            return 0;
        }
        let count = if random.chance(50) { down.len() } else { random.between(1, down.len()) };
        into.extend(down.drain(..count));
        count
    }

    /// Whether the gateway will say no more.
    pub(crate) fn is_over(&self, stream: StreamId) -> bool {
        self.streams[stream].server_done && self.streams[stream].down.is_empty()
    }

    /// The peer goes. After an error nothing more of what it has sent arrives.
    pub(crate) fn leave(&mut self, stream: StreamId, end: StreamEnd) {
        let stream = &mut self.streams[stream];
        if end == StreamEnd::Error {
            stream.up.clear();
        }
        stream.down.clear();
        stream.peer_end.get_or_insert(end);
    }

    /// Notes which shards have heard of the end of which ports by now.
    fn note_deaths(&mut self, shard: usize, step: u64) {
        for (id, stream) in self.streams.iter().enumerate() {
            if let Some((home, sent)) = &stream.death
                && (shard == *home || self.nodes[shard].handled[*home] >= sent[shard])
            {
                self.death_steps.entry((id, shard)).or_insert(step);
            }
        }
    }

    // The driver.

    /// One turn of one shard. Says whether anything happened.
    pub(crate) fn turn(&mut self, index: usize, step: u64, random: &mut Random) -> bool {
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
            busy |= self.write_streams(index, random);
            busy |= self.act(index);
        }
        self.note_deaths(index, step);
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
            node.sent[to.as_usize()] += 1;
            node.backlog.push_back((to.as_usize(), Mail::Message(message)));
        }
        let sent = node.sent.clone();
        for stream in &mut self.streams {
            let is_dead = stream.end_told || stream.server_done;
            if stream.is_port && is_dead && stream.home.is_none_or(|home| home == index) {
                stream.death.get_or_insert_with(|| (index, sent.clone()));
            }
        }
    }

    fn handle_mail(&mut self, index: usize, most: usize, random: &mut Random) -> bool {
        for count in 0..most {
            let node = &mut self.nodes[index];
            let senders: Vec<usize> =
                (0..node.mailboxes.len()).filter(|&from| !node.mailboxes[from].is_empty()).collect();
            let Some(&from) = random.pick(&senders) else { return count > 0 };
            match node.mailboxes[from].pop_front().expect("it is not empty") {
                Mail::Message(message) => {
                    node.handled[from] += 1;
                    node.shard.handle_message(self.now, message);
                }
                Mail::Moved(id, moved) => {
                    let key = node.shard.handle_moved(self.now, StreamHandle(id as i32), *moved);
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
            if self.streams[id].home == Some(index) {
                busy |= self.read_stream(index, id, random);
            }
        }
        busy
    }

    fn read_stream(&mut self, index: usize, id: StreamId, random: &mut Random) -> bool {
        let mut busy = false;
        let stream = &mut self.streams[id];
        let shard = &mut self.nodes[index].shard;
        let handle = StreamHandle(id as i32);
        let key = *stream.key.get_or_insert_with(|| {
            busy = true;
            if stream.is_port {
                shard.handle_port(self.now, handle)
            } else {
                shard.handle_accepted(self.now, handle, Peer { address: ([127, 0, 0, 1], 1).into() })
            }
        });
        if stream.is_blocked && stream.down.len() < stream.capacity {
            stream.is_blocked = false;
            shard.handle_writable(key);
            busy = true;
        }
        if stream.is_paused || random.chance(20) {
            return busy;
        }
        if !stream.up.is_empty() {
            let count = if random.chance(50) { stream.up.len() } else { random.between(1, stream.up.len()) };
            let mut bytes: Vec<u8> = stream.up.drain(..count).collect();
            stream.consumed += count as u64;
            match shard.handle_bytes(self.now, key, &mut bytes) {
                Reading::Continue => {}
                Reading::Paused => {
                    self.pauses += 1;
                    stream.is_paused = true;
                }
                // A connection that is gone has an action coming.
                Reading::Closed => stream.is_paused = true,
            }
            return true;
        }
        if let Some(end) = stream.peer_end.filter(|_| !stream.end_told) {
            stream.end_told = true;
            shard.handle_end(self.now, key, end);
            return true;
        }
        busy
    }

    fn write_streams(&mut self, index: usize, random: &mut Random) -> bool {
        let mut busy = false;
        while let Some((key, handle, queue)) = self.nodes[index].shard.poll_write() {
            busy = true;
            let stream = &mut self.streams[handle.0 as usize];
            assert_eq!(stream.key, Some(key), "writes go to streams that are here");
            if stream.peer_end == Some(StreamEnd::Error) {
                // The failure is input of the next turn.
                self.nodes[index].shard.handle_written(self.now, key, 0);
                continue;
            }
            let mut room = stream.capacity.saturating_sub(stream.down.len());
            if stream.peer_end.is_some() {
                room = usize::MAX;
            } else if random.chance(20) {
                room = random.between(0, room);
            }
            let before = stream.down.len();
            for segment in queue.iter() {
                let count = segment.len().min(room - (stream.down.len() - before));
                stream.down.extend(&segment[..count]);
                if stream.is_port {
                    stream.tapped.extend_from_slice(&segment[..count]);
                }
            }
            let written = stream.down.len() - before;
            stream.is_blocked = written < queue.bytes();
            if stream.peer_end.is_some() {
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
                    if stream.is_port {
                        stream.death.get_or_insert_with(|| (index, self.nodes[index].sent.clone()));
                    }
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

    // For the end.

    /// Turns every shard once; says whether anything happened.
    pub(crate) fn round(&mut self, step: u64, random: &mut Random) -> bool {
        (0..self.nodes.len()).fold(false, |busy, index| self.turn(index, step, random) | busy)
    }

    /// The first deadline of any shard.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.nodes.iter().filter_map(|node| node.shard.next_deadline()).min()
    }

    pub(crate) fn stats(&self) -> Vec<Stats> {
        self.nodes.iter().map(|node| node.shard.stats()).collect()
    }
}
