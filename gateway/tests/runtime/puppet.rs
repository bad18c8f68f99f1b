//! A machine of a few lines for the engine to drive, and clients that talk to it.
//!
//! Each byte a client sends is a command; see [`Puppet::obey`].

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tidegate::net::listener::Listeners;
use tidegate::runtime::{Clock, Driven, DriverChoice, StreamAction};
use tidegate::worker::{Setup, Workers, spawn_workers};
use tidegate_core::front::write_queue::WriteQueue;
use tidegate_core::id::ShardIndex;
use tidegate_core::shard::stats::Stats;
use tidegate_core::shard::{ConnKey, Peer, Reading, StreamEnd, StreamHandle};
use tidegate_core::time::Instant;

pub(crate) const DRIVERS: [DriverChoice; 2] = [DriverChoice::RequireIoUring, DriverChoice::Epoll];

/// Messages of one [`b'b'`] burst: several mailboxes full.
pub(crate) const BURST: u32 = 20_000;
/// Hops of one [`b'r'`] round.
pub(crate) const HOPS: u32 = 100_000;
/// Bytes of one [`b'f'`] flood.
pub(crate) const FLOOD: usize = 24 << 20;
/// Kilobytes of one [`b't'`] burst: half a mailbox of them.
pub(crate) const KILOBYTES: usize = 2000;
/// How long [`b's'`] keeps a core from its work.
pub(crate) const STALL: Duration = Duration::from_millis(100);

/// What a flood consists of.
pub(crate) fn flood_byte(index: usize) -> u8 {
    u8::try_from(index % 251).unwrap()
}

#[derive(Debug)]
pub(crate) enum Note {
    /// Bounces until no hops are left, and is then answered to the client.
    Ball {
        hops: u32,
        home: ShardIndex,
        conn: ConnKey,
    },
    /// To be answered with [`Note::Answer`].
    Question {
        home: ShardIndex,
        conn: ConnKey,
    },
    Answer {
        conn: ConnKey,
    },
    /// The receiver counts it.
    Count,
    /// The receiver sends a kilobyte to everyone who wants it.
    Kilobyte,
}

struct Conn {
    generation: u32,
    stream: StreamHandle,
    queue: WriteQueue,
    answers_missing: u32,
    resume_at: Option<Instant>,
    raw_echo: bool,
    /// Its bytes are counted, and no commands.
    sink: bool,
    /// It gets every [`Note::Kilobyte`].
    wants_kilobytes: bool,
    /// Kilobytes since it was last given to the engine to write.
    untold: u32,
    /// The peer will send no more; close when it has got everything.
    closing: bool,
}

/// What tests want to know about the ends of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended(pub(crate) StreamEnd);

pub(crate) struct Puppet {
    me: ShardIndex,
    cores: u16,
    conns: Vec<Option<Conn>>,
    generation: u32,
    touched: VecDeque<ConnKey>,
    actions: VecDeque<StreamAction<()>>,
    notes: VecDeque<(ShardIndex, Note)>,
    counted: u32,
    /// Bytes that sinks have swallowed.
    swallowed: u64,
    /// The most kilobytes that one connection was told without a chance to be written in between.
    peak_untold: u32,
    draining: bool,
    ended: Sender<Ended>,
}

impl Puppet {
    fn conn(&mut self, key: ConnKey) -> Option<&mut Conn> {
        let (index, generation) = parts(key);
        self.conns.get_mut(index)?.as_mut().filter(|conn| conn.generation == generation)
    }

    fn keys(&self) -> impl Iterator<Item = ConnKey> {
        let conns = self.conns.iter().enumerate();
        conns.filter_map(|(index, conn)| conn.as_ref().map(|conn| key(index, conn.generation)))
    }

    fn write(&mut self, key: ConnKey, bytes: impl Into<Bytes>) {
        if let Some(conn) = self.conn(key) {
            conn.queue.push(bytes.into());
            self.touched.push_back(key);
        }
    }

    fn remove(&mut self, key: ConnKey) -> Option<Conn> {
        self.conn(key)?;
        self.conns[parts(key).0].take()
    }

    fn close(&mut self, key: ConnKey) {
        if let Some(conn) = self.remove(key) {
            self.actions.push_back(StreamAction::Close { conn: key, stream: conn.stream });
        }
    }

    fn other(&self) -> ShardIndex {
        ShardIndex((self.me.0 + 1) % self.cores)
    }

    /// Obeys one command. `false` if nothing more is to be read for now.
    fn obey(&mut self, now: Instant, key: ConnKey, command: u8) -> Reading {
        let (home, peer) = (self.me, self.other());
        match command {
            // Which core is this?
            b'w' => self.write(key, vec![b'0' + u8::try_from(home.0).unwrap()]),
            // From now on, echo.
            b'e' => self.conn(key).unwrap().raw_echo = true,
            // Say goodbye and close.
            b'c' => {
                self.write(key, "bye");
                // The bytes leave in this turn, before the action.
                let stream = self.conn(key).unwrap().stream;
                self.actions.push_back(StreamAction::ShutdownWrite { stream });
            }
            // Tell everybody on this core.
            b'a' => {
                let keys: Vec<_> = self.keys().collect();
                for key in keys {
                    self.write(key, "a");
                }
            }
            // Close at once.
            b'C' => {
                self.close(key);
                return Reading::Closed;
            }
            // Send much.
            b'f' => {
                let flood: Vec<u8> = (0..FLOOD).map(flood_byte).collect();
                let flood = Bytes::from(flood);
                for start in (0..FLOOD).step_by(FLOOD / 64) {
                    self.write(key, flood.slice(start..start + FLOOD / 64));
                }
            }
            // Say so, and read on in five milliseconds.
            b'p' => {
                self.write(key, "p");
                self.conn(key).unwrap().resume_at = Some(now + Duration::from_millis(5));
                return Reading::Paused;
            }
            // Move to the next core.
            b'm' => {
                let conn = self.remove(key).unwrap();
                self.actions.push_back(StreamAction::Move {
                    conn: key,
                    stream: conn.stream,
                    to: peer,
                    moved: Box::new(()),
                });
                return Reading::Closed;
            }
            // Play ball with the next core.
            b'r' => self.notes.push_back((peer, Note::Ball { hops: HOPS, home, conn: key })),
            // Ask the next core more at once than its mailbox holds.
            b'b' => {
                self.conn(key).unwrap().answers_missing = BURST;
                let questions = (0..BURST).map(|_| (peer, Note::Question { home, conn: key }));
                self.notes.extend(questions);
            }
            // Tell the next core to count, and answer at once.
            b'k' => {
                self.notes.push_back((peer, Note::Count));
                self.write(key, "k");
            }
            // What has been counted?
            b'q' => {
                let counted = self.counted;
                self.write(key, counted.to_be_bytes().to_vec());
            }
            // Keep the core busy.
            b's' => std::thread::sleep(STALL),
            // From now on, swallow.
            b'd' => self.conn(key).unwrap().sink = true,
            // What has been swallowed?
            b'D' => {
                let swallowed = self.swallowed;
                self.write(key, swallowed.to_be_bytes().to_vec());
            }
            // From now on, get what others tell.
            b'l' => {
                self.conn(key).unwrap().wants_kilobytes = true;
                self.write(key, "l");
            }
            // Tell those on the next core a good deal.
            b't' => self.notes.extend((0..KILOBYTES).map(|_| (peer, Note::Kilobyte))),
            // How many kilobytes piled up?
            b'T' => {
                let peak = u64::from(self.peak_untold);
                self.write(key, peak.to_be_bytes().to_vec());
            }
            b'x' => panic!("asked to"),
            other => panic!("unknown command {other}"),
        }
        Reading::Continue
    }
}

fn key(index: usize, generation: u32) -> ConnKey {
    ConnKey::from_u64(u64::from(generation) << 32 | index as u64)
}

fn parts(key: ConnKey) -> (usize, u32) {
    let bits = key.to_u64();
    (usize::try_from(bits & u64::from(u32::MAX)).unwrap(), u32::try_from(bits >> 32).unwrap())
}

impl Driven for Puppet {
    type Message = Note;
    type Moved = ();

    fn handle_accepted(&mut self, _now: Instant, stream: StreamHandle, _peer: Peer) -> ConnKey {
        let index = self.conns.iter().position(Option::is_none).unwrap_or_else(|| {
            self.conns.push(None);
            self.conns.len() - 1
        });
        self.generation += 1;
        self.conns[index] = Some(Conn {
            generation: self.generation,
            stream,
            queue: WriteQueue::default(),
            answers_missing: 0,
            resume_at: None,
            raw_echo: false,
            sink: false,
            wants_kilobytes: false,
            untold: 0,
            closing: false,
        });
        key(index, self.generation)
    }
    fn handle_port(&mut self, now: Instant, stream: StreamHandle) -> ConnKey {
        let nobody = Peer { address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        let key = self.handle_accepted(now, stream, nobody);
        self.write(key, "port");
        key
    }
    fn handle_moved(&mut self, now: Instant, stream: StreamHandle, (): ()) -> ConnKey {
        let nobody = Peer { address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        let key = self.handle_accepted(now, stream, nobody);
        self.write(key, "moved");
        key
    }
    fn handle_bytes(&mut self, now: Instant, key: ConnKey, bytes: &mut [u8]) -> Reading {
        let mut rest = &*bytes;
        while let Some((&command, after)) = rest.split_first() {
            let Some(conn) = self.conn(key) else { return Reading::Closed };
            if conn.sink {
                self.swallowed += rest.len() as u64;
                break;
            }
            if conn.raw_echo {
                self.write(key, Bytes::copy_from_slice(rest));
                break;
            }
            rest = after;
            let reading = self.obey(now, key, command);
            if reading != Reading::Continue {
                assert!(rest.is_empty(), "tests send nothing in the same segment");
                return reading;
            }
        }
        Reading::Continue
    }
    fn handle_end(&mut self, _now: Instant, key: ConnKey, end: StreamEnd) {
        let Some(conn) = self.conn(key) else { return };
        if end == StreamEnd::Eof && !conn.queue.is_empty() {
            conn.closing = true;
        } else {
            self.close(key);
        }
        let _ = self.ended.send(Ended(end));
    }
    fn handle_message(&mut self, _now: Instant, note: Note) {
        match note {
            Note::Ball { hops: 0, home, conn } if home == self.me => self.write(conn, "R"),
            Note::Ball { hops, home, conn } => {
                let hops = hops.saturating_sub(1);
                self.notes.push_back((self.other(), Note::Ball { hops, home, conn }));
            }
            Note::Question { home, conn } => self.notes.push_back((home, Note::Answer { conn })),
            Note::Answer { conn: key } => {
                let Some(conn) = self.conn(key) else { return };
                conn.answers_missing -= 1;
                if conn.answers_missing == 0 {
                    self.write(key, "B");
                }
            }
            Note::Count => self.counted += 1,
            Note::Kilobyte => {
                let keys: Vec<_> = self.keys().collect();
                for key in keys {
                    let conn = self.conn(key).unwrap();
                    if conn.wants_kilobytes {
                        conn.untold += 1;
                        let untold = conn.untold;
                        self.peak_untold = self.peak_untold.max(untold);
                        self.write(key, vec![b'k'; 1000]);
                    }
                }
            }
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        for conn in self.conns.iter_mut().flatten() {
            if conn.resume_at.is_some_and(|at| at <= now) {
                conn.resume_at = None;
                self.actions.push_back(StreamAction::Resume { stream: conn.stream });
            }
        }
    }
    fn next_deadline(&self) -> Option<Instant> {
        self.conns.iter().flatten().filter_map(|conn| conn.resume_at).min()
    }
    fn poll_write(&mut self) -> Option<(ConnKey, StreamHandle, &WriteQueue)> {
        while let Some(key) = self.touched.pop_front() {
            if self.conn(key).is_some_and(|conn| !conn.queue.is_empty()) {
                let conn = self.conn(key)?;
                conn.untold = 0;
                return Some((key, conn.stream, &conn.queue));
            }
        }
        None
    }
    fn handle_written(&mut self, _now: Instant, key: ConnKey, count: usize) {
        if let Some(conn) = self.conn(key) {
            conn.queue.advance(count);
            if conn.closing && conn.queue.is_empty() {
                self.close(key);
            }
        }
    }
    fn handle_writable(&mut self, key: ConnKey) {
        self.touched.push_back(key);
    }
    fn poll_message(&mut self) -> Option<(ShardIndex, Note)> {
        self.notes.pop_front()
    }
    fn poll_action(&mut self) -> Option<StreamAction<()>> {
        self.actions.pop_front()
    }
    fn drain(&mut self, _now: Instant) {
        self.draining = true;
        let keys: Vec<_> = self.keys().collect();
        for key in keys {
            self.close(key);
        }
    }
    fn is_drained(&self) -> bool {
        self.draining && self.conns.iter().all(Option::is_none)
    }
    fn stats(&self) -> Stats {
        Stats { connections: self.conns.iter().flatten().count() as u64, ..Stats::default() }
    }
}

/// Workers with puppets.
pub(crate) struct Server {
    pub(crate) workers: Workers<Puppet>,
    pub(crate) address: SocketAddr,
    pub(crate) ended: Receiver<Ended>,
}

impl Server {
    pub(crate) fn start(driver: DriverChoice, cores: u16) -> Self {
        Self::start_with(driver, cores, 10_000)
    }

    pub(crate) fn start_with(driver: DriverChoice, cores: u16, connections_max: usize) -> Self {
        let listeners = Listeners::bind(&["127.0.0.1:0".parse().unwrap()], cores).unwrap();
        let address = listeners.addresses()[0];
        let (sender, ended) = unbounded();
        let workers = spawn_workers(Setup {
            listeners,
            links: None,
            driver,
            connections_max,
            cpus: Vec::new(),
            clock: Clock::start(),
            make_shard: move |me| Puppet {
                me,
                cores,
                conns: Vec::new(),
                generation: 0,
                touched: VecDeque::new(),
                actions: VecDeque::new(),
                notes: VecDeque::new(),
                counted: 0,
                swallowed: 0,
                peak_untold: 0,
                draining: false,
                ended: sender.clone(),
            },
        });
        Self { workers: workers.unwrap(), address, ended }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// One connection on each core.
    pub(crate) fn connect_to_each(&self, cores: u8) -> Vec<TcpStream> {
        (0..cores)
            .map(|core| {
                // The kernel deals connections out at random.
                loop {
                    let mut client = self.connect();
                    if ask(&mut client, b"w", 1) == [b'0' + core] {
                        return client;
                    }
                }
            })
            .collect()
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_nodelay(true).unwrap();
    // Only a failing test waits this long.
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    client
}

/// Sends a command and reads an answer of `count` bytes.
pub(crate) fn ask(client: &mut TcpStream, command: &[u8], count: usize) -> Vec<u8> {
    client.write_all(command).unwrap();
    let mut answer = vec![0; count];
    client.read_exact(&mut answer).unwrap();
    answer
}
