//! A whole gateway in one thread: shards, FIFO mailboxes, streams that take what the test lets them take, and a
//! clock that the test moves.
//!
//! What a test does is handled at once, and everything that follows from it has happened when the call
//! returns; only time, held mail and blocked streams wait for the test.

pub(crate) mod app;
pub(crate) mod http;
pub(crate) mod polling;
pub(crate) mod websocket;

use app::{Job, Shared, TestApp, Told};
use http::Response;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::close::CloseReason;
use tidegate_core::id::{RouteKey, ShardIndex};
use tidegate_core::options::Options;
use tidegate_core::shard::app::App;
use tidegate_core::shard::routes::Routes;
use tidegate_core::shard::stats::Stats;
use tidegate_core::shard::{
    Action, ConnKey, Io, MovedConnection, Peer, Reading, Shard, ShardMessage, ShardSetup, StreamEnd,
    StreamHandle,
};
use tidegate_core::time::Instant;
use websocket::WebSocket;

/// Milliseconds after which nothing is left of a client that has gone: longer than every timeout there is.
const LONG: u64 = 600_000;

/// A gateway, and everything the test needs to hold it to its promises.
#[derive(Clone)]
pub(crate) struct Server {
    world: Rc<RefCell<World>>,
    shared: Rc<Shared>,
    /// Sessions that [`Self::run`] opened and closed; not the test's business.
    jobs: Rc<Cell<u64>>,
}

impl Server {
    /// One shard with default options.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// One shard with changed options.
    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::build(1, Routes::default(), change)
    }

    /// Several shards with default options.
    pub(crate) fn sharded(shards: u16) -> Self {
        Self::build(shards, Routes::default(), |_| {})
    }

    pub(crate) fn build(shards: u16, routes: Routes, change: impl FnOnce(&mut Options)) -> Self {
        Self::with_apps(shards, routes, change, |_, _, shared| Box::new(TestApp::new(Rc::clone(shared))))
    }

    /// With applications of the test's own, for which [`Self::run`] and what it is told of mean nothing.
    pub(crate) fn with_apps(
        shards: u16,
        routes: Routes,
        change: impl FnOnce(&mut Options),
        app: impl Fn(ShardIndex, &Options, &Rc<Shared>) -> Box<dyn App>,
    ) -> Self {
        let mut options = Options::default();
        change(&mut options);
        let (options, routes, shared) = (Arc::new(options), Arc::new(routes), Rc::new(Shared::default()));
        let now = Instant::from_millis(1_000);
        let nodes = (0..shards).map(|index| {
            let setup = ShardSetup {
                index: ShardIndex(index),
                shards,
                options: Arc::clone(&options),
                routes: Arc::clone(&routes),
                route_key: RouteKey::new([1, 2, 3, 4]),
                seed: [u8::try_from(index).unwrap() + 1; 32],
                now,
                unix_origin: 1_795_164_458_000,
            };
            let app = app(setup.index, &options, &shared);
            let shard = Shard::new(setup, app);
            Node { shard, mailbox: VecDeque::new() }
        });
        let world = World { nodes: nodes.collect(), streams: Vec::new(), now, is_mail_held: false };
        Self { world: Rc::new(RefCell::new(world)), shared, jobs: Rc::default() }
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> u16 {
        u16::try_from(self.world.borrow().nodes.len()).unwrap()
    }

    /// A client opens a TCP connection, which shard 0 accepts.
    pub(crate) fn connect(&self) -> Conn {
        self.connect_to(0)
    }

    /// A client opens a TCP connection, which this shard accepts.
    pub(crate) fn connect_to(&self, shard: u16) -> Conn {
        let stream = self.world.borrow_mut().accept(shard);
        Conn { world: Rc::clone(&self.world), stream }
    }

    /// Somebody opens a stream to the application of a shard.
    pub(crate) fn open_port(&self, shard: u16) -> Conn {
        let stream = self.world.borrow_mut().accept_port(shard);
        Conn { world: Rc::clone(&self.world), stream }
    }

    /// Sends a request on a connection of its own, and takes the response.
    pub(crate) fn request(&self, bytes: impl AsRef<[u8]>) -> Response {
        let conn = self.connect();
        conn.send(bytes);
        conn.response()
    }

    /// Moves the clock; every deadline on the way is met at its time.
    pub(crate) fn advance(&self, millis: u64) {
        self.world.borrow_mut().advance(Duration::from_millis(millis));
    }

    /// Has the application of a shard do something, as one tick of its own.
    ///
    /// It is done from the middleware of a client that asks for a namespace nobody serves, and then leaves.
    pub(crate) fn run<R: 'static>(&self, shard: u16, job: impl FnOnce(&mut Io<'_>) -> R + 'static) -> R {
        let result = Rc::new(RefCell::new(None));
        let place = Rc::clone(&result);
        let job: Job = Box::new(move |io| *place.borrow_mut() = Some(job(io)));
        let errand = WebSocket::open_on(self, shard);
        self.shared.job.replace(Some(job));
        errand.send("40/job,");
        errand.conn.reset();
        self.jobs.set(self.jobs.get() + 1);
        result.take().expect("the job has been done")
    }

    /// What the next flush of any application does.
    pub(crate) fn on_flush(&self, job: impl FnOnce(&mut Io<'_>) + 'static) {
        self.shared.flush.set(Some(Box::new(job)));
    }

    /// What the first application to drain does then.
    pub(crate) fn on_drain(&self, job: impl FnOnce(&mut Io<'_>) + 'static) {
        self.shared.last_word.set(Some(Box::new(job)));
    }

    /// What the application was told.
    pub(crate) fn told(&self) -> RefMut<'_, Told> {
        self.shared.told.borrow_mut()
    }

    /// Has the application refuse new sessions, from now on.
    pub(crate) fn deny(&self, message: &str) {
        self.shared.deny.replace(Some(message.to_owned()));
    }

    /// Why sockets have left since the last call: `/ forced close`.
    pub(crate) fn left(&self) -> Vec<String> {
        let departed = std::mem::take(&mut self.told().departed);
        departed.iter().map(|gone| format!("{} {}", gone.namespace, gone.reason.as_str())).collect()
    }

    /// How many sessions ended for which reason: `parse_error`, once for each.
    pub(crate) fn closed(&self) -> Vec<&'static str> {
        let stats = self.stats();
        let mut labels = Vec::new();
        for (reason, count) in CloseReason::ALL.into_iter().zip(stats.sessions_closed) {
            let jobs = if reason == CloseReason::TransportClose { self.jobs.get() } else { 0 };
            labels.extend((jobs..count).map(|_| reason.label()));
        }
        labels
    }

    /// The counters of all shards together.
    pub(crate) fn stats(&self) -> Stats {
        let world = self.world.borrow();
        let mut total = Stats::default();
        for stats in world.nodes.iter().map(|node| node.shard.stats()) {
            total.connections += stats.connections;
            total.ports += stats.ports;
            total.bytes_in += stats.bytes_in;
            total.bytes_out += stats.bytes_out;
            total.sessions_polling += stats.sessions_polling;
            total.sessions_websocket += stats.sessions_websocket;
            total.sockets += stats.sockets;
            total.namespaces += stats.namespaces;
            total.rooms += stats.rooms;
            total.outbox_bytes += stats.outbox_bytes;
            total.sessions_upgraded += stats.sessions_upgraded;
            total.connections_moved += stats.connections_moved;
            total.requests_forwarded += stats.requests_forwarded;
            total.volatile_dropped += stats.volatile_dropped;
            total.events_in += stats.events_in;
            total.input_bytes += stats.input_bytes;
            total.input_refused += stats.input_refused;
            total.interests += stats.interests;
            total.backend.links += stats.backend.links;
            total.backend.sockets_waiting += stats.backend.sockets_waiting;
            total.backend.sockets_orphaned += stats.backend.sockets_orphaned;
            total.backend.held_bytes += stats.backend.held_bytes;
            total.backend.questions += stats.backend.questions;
            total.backend.redelivered_total += stats.backend.redelivered_total;
            total.timers += stats.timers;
            for (sum, count) in total.sessions_closed.iter_mut().zip(stats.sessions_closed) {
                *sum += count;
            }
        }
        total
    }

    /// Messages between shards wait, until [`Self::deliver_mail`].
    pub(crate) fn hold_mail(&self) {
        self.world.borrow_mut().is_mail_held = true;
    }

    /// Messages between shards arrive, those that waited first.
    pub(crate) fn deliver_mail(&self) {
        let mut world = self.world.borrow_mut();
        world.is_mail_held = false;
        world.turn();
    }

    /// Every shard begins to close everything.
    pub(crate) fn drain(&self) {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        world.nodes.iter_mut().for_each(|node| node.shard.drain(now));
        world.turn();
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.world.borrow().nodes.iter().all(|node| node.shard.is_drained())
    }

    /// Every client vanishes; after a while nothing may be left of any of them.
    pub(crate) fn assert_nothing_leaks(&self) {
        let streams = self.world.borrow().streams.len();
        for stream in 0..streams {
            Conn { world: Rc::clone(&self.world), stream }.reset();
        }
        self.advance(LONG);
        let stats = self.stats();
        assert_eq!(
            (stats.connections, stats.sessions_polling, stats.sessions_websocket),
            (0, 0, 0),
            "connections, sessions on polling and on WebSocket"
        );
        assert_eq!((stats.input_bytes, stats.outbox_bytes), (0, 0), "bytes kept, bytes queued");
        assert_eq!((stats.sockets, stats.namespaces, stats.rooms), (0, 0, 0), "sockets, namespaces, rooms");
        assert!(self.is_drained());
    }
}

/// The client's end of a TCP connection.
#[derive(Clone)]
pub(crate) struct Conn {
    world: Rc<RefCell<World>>,
    stream: usize,
}

impl Conn {
    /// Sends bytes in one segment. Nothing happens if the server has closed the connection.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        self.world.borrow_mut().send(self.stream, bytes.as_ref());
    }

    /// Sends each byte in a segment of its own.
    pub(crate) fn send_bytewise(&self, bytes: impl AsRef<[u8]>) {
        bytes.as_ref().iter().for_each(|byte| self.send([*byte]));
    }

    /// Sends FIN, and can still receive.
    pub(crate) fn finish(&self) {
        self.world.borrow_mut().end(self.stream, StreamEnd::Eof);
    }

    /// Breaks the connection.
    pub(crate) fn reset(&self) {
        self.world.borrow_mut().end(self.stream, StreamEnd::Error);
    }

    /// Breaks the connection, or sends FIN.
    pub(crate) fn leave(&self, is_reset: bool) {
        let end = if is_reset { StreamEnd::Error } else { StreamEnd::Eof };
        self.world.borrow_mut().end(self.stream, end);
    }

    /// Takes what has come and has not been taken.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.world.borrow_mut().streams[self.stream].received)
    }

    /// Puts back the end of what [`Self::take`] gave.
    pub(crate) fn put_back(&self, rest: &[u8]) {
        self.world.borrow_mut().streams[self.stream].received.splice(0..0, rest.iter().copied());
    }

    /// Whether nothing has come that has not been taken.
    pub(crate) fn is_silent(&self) -> bool {
        self.world.borrow().streams[self.stream].received.is_empty()
    }

    /// Takes a response, which must have come.
    pub(crate) fn response(&self) -> Response {
        self.response_to("GET")
    }

    /// Takes the response to a request of this method.
    pub(crate) fn response_to(&self, method: &str) -> Response {
        let bytes = self.take();
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let (response, used) =
            Response::parse(&bytes, method).unwrap_or_else(|| panic!("no whole response in {shown:?}"));
        self.put_back(&bytes[used..]);
        response
    }

    /// Whether the server has closed the connection both ways.
    pub(crate) fn is_closed(&self) -> bool {
        self.world.borrow().streams[self.stream].is_closed
    }

    /// Whether the server has sent FIN.
    pub(crate) fn has_fin(&self) -> bool {
        let world = self.world.borrow();
        let stream = &world.streams[self.stream];
        stream.has_fin || stream.is_closed
    }

    /// Which shard has it.
    pub(crate) fn shard(&self) -> u16 {
        self.world.borrow().streams[self.stream].shard
    }

    /// The client reads no more: the stream takes nothing from now on.
    pub(crate) fn block(&self) {
        self.world.borrow_mut().streams[self.stream].room = Some(0);
    }

    /// The client reads so many bytes more.
    pub(crate) fn read(&self, bytes: usize) {
        self.world.borrow_mut().make_room(self.stream, Some(bytes));
    }

    /// The client reads everything again.
    pub(crate) fn unblock(&self) {
        self.world.borrow_mut().make_room(self.stream, None);
    }
}

struct World {
    nodes: Vec<Node>,
    streams: Vec<Stream>,
    now: Instant,
    is_mail_held: bool,
}

struct Node {
    shard: Shard,
    mailbox: VecDeque<Mail>,
}

enum Mail {
    Message(ShardMessage),
    Moved(StreamHandle, Box<MovedConnection>),
}

/// What driver, kernel and network know of a connection.
struct Stream {
    shard: u16,
    key: Option<ConnKey>,
    received: Vec<u8>,
    /// Bytes from the client that the driver has not read.
    unread: Vec<u8>,
    /// The end that the driver has not seen.
    end: Option<StreamEnd>,
    is_paused: bool,
    /// Bytes that the stream still takes; `None` is everything.
    room: Option<usize>,
    /// Whether the driver waits until the stream can be written.
    waits_for_room: bool,
    is_closed: bool,
    has_fin: bool,
}

impl World {
    fn accept(&mut self, shard: u16) -> usize {
        let address: SocketAddr = ([127, 0, 0, 1], 5000).into();
        let handle = self.new_stream(shard);
        let key = self.nodes[usize::from(shard)].shard.handle_accepted(self.now, handle, Peer { address });
        self.accepted(handle, key)
    }

    fn accept_port(&mut self, shard: u16) -> usize {
        let handle = self.new_stream(shard);
        let key = self.nodes[usize::from(shard)].shard.handle_port(self.now, handle);
        self.accepted(handle, key)
    }

    fn accepted(&mut self, handle: StreamHandle, key: ConnKey) -> usize {
        let stream = usize::try_from(handle.0).unwrap();
        self.streams[stream].key = Some(key);
        self.turn();
        stream
    }

    fn new_stream(&mut self, shard: u16) -> StreamHandle {
        let handle = StreamHandle(i32::try_from(self.streams.len()).unwrap());
        self.streams.push(Stream {
            shard,
            key: None,
            received: Vec::new(),
            unread: Vec::new(),
            end: None,
            is_paused: false,
            room: None,
            waits_for_room: false,
            is_closed: false,
            has_fin: false,
        });
        handle
    }

    fn send(&mut self, stream: usize, bytes: &[u8]) {
        self.streams[stream].unread.extend_from_slice(bytes);
        self.pump(stream);
        self.turn();
    }

    fn end(&mut self, stream: usize, end: StreamEnd) {
        self.streams[stream].end = Some(end);
        self.pump(stream);
        self.turn();
    }

    fn make_room(&mut self, index: usize, room: Option<usize>) {
        let stream = &mut self.streams[index];
        stream.room = room;
        if let Some(key) = stream.key
            && std::mem::take(&mut stream.waits_for_room)
        {
            self.nodes[usize::from(stream.shard)].shard.handle_writable(key);
        }
        self.turn();
    }

    /// Reads what the client has sent, as far as the shard wants it.
    fn pump(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        let (Some(key), false) = (stream.key, stream.is_closed) else { return };
        let shard = &mut self.nodes[usize::from(stream.shard)].shard;
        if stream.end == Some(StreamEnd::Error) {
            shard.handle_end(self.now, key, StreamEnd::Error);
            return;
        }
        if stream.is_paused {
            return;
        }
        let mut bytes = std::mem::take(&mut stream.unread);
        if !bytes.is_empty() {
            match shard.handle_bytes(self.now, key, &mut bytes) {
                Reading::Continue => {}
                Reading::Paused => {
                    stream.is_paused = true;
                    return;
                }
                Reading::Closed => return,
            }
        }
        if let Some(end) = stream.end.take() {
            shard.handle_end(self.now, key, end);
        }
    }

    /// Turns every shard until nothing follows any more.
    fn turn(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "the shards keep each other busy for ever");
            let mut is_busy = false;
            for shard in 0..self.nodes.len() {
                is_busy |= self.turn_shard(shard);
            }
            if !is_busy {
                return;
            }
        }
    }

    fn turn_shard(&mut self, index: usize) -> bool {
        let mut is_busy = false;
        while !self.is_mail_held
            && let Some(mail) = self.nodes[index].mailbox.pop_front()
        {
            is_busy = true;
            self.open(index, mail);
        }
        // What follows from the writes of the last turn is due at once.
        if self.nodes[index].shard.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            is_busy = true;
            self.nodes[index].shard.handle_timeout(self.now);
        }
        while let Some((to, message)) = self.nodes[index].shard.poll_message() {
            is_busy = true;
            self.nodes[to.as_usize()].mailbox.push_back(Mail::Message(message));
        }
        is_busy |= self.write(index);
        while let Some(action) = self.nodes[index].shard.poll_action() {
            is_busy = true;
            self.act(action);
        }
        // Mail that only waits is no reason to turn again.
        is_busy && (!self.is_mail_held || self.nodes[index].mailbox.is_empty())
    }

    fn open(&mut self, index: usize, mail: Mail) {
        let node = &mut self.nodes[index];
        match mail {
            Mail::Message(message) => node.shard.handle_message(self.now, message),
            Mail::Moved(handle, moved) => {
                let key = node.shard.handle_moved(self.now, handle, *moved);
                let place = usize::try_from(handle.0).unwrap();
                let stream = &mut self.streams[place];
                (stream.key, stream.shard) = (Some(key), u16::try_from(index).unwrap());
                self.pump(place);
            }
        }
    }

    fn write(&mut self, index: usize) -> bool {
        let mut is_busy = false;
        while let Some((key, handle, queue)) = self.nodes[index].shard.poll_write() {
            is_busy = true;
            let stream = &mut self.streams[usize::try_from(handle.0).unwrap()];
            assert_eq!((stream.key, stream.waits_for_room), (Some(key), false), "the driver knows the key");
            assert!(!stream.has_fin, "nothing is written after FIN");
            let bytes: Vec<u8> = queue.iter().flatten().copied().collect();
            let count = stream.room.unwrap_or(usize::MAX).min(bytes.len());
            stream.received.extend_from_slice(&bytes[..count]);
            stream.room = stream.room.map(|room| room - count);
            stream.waits_for_room = count < bytes.len();
            self.nodes[index].shard.handle_written(self.now, key, count);
        }
        is_busy
    }

    fn act(&mut self, action: Action) {
        let stream = |handle: StreamHandle| usize::try_from(handle.0).unwrap();
        match action {
            Action::Close { stream: handle, .. } => {
                let stream = &mut self.streams[stream(handle)];
                (stream.is_closed, stream.key) = (true, None);
            }
            Action::ShutdownWrite { stream: handle } => self.streams[stream(handle)].has_fin = true,
            Action::Resume { stream: handle, conn } => {
                let place = stream(handle);
                assert_eq!(self.streams[place].key, Some(conn));
                self.streams[place].is_paused = false;
                self.pump(place);
            }
            Action::Move { stream: handle, to, moved, .. } => {
                let stream = &mut self.streams[stream(handle)];
                (stream.key, stream.waits_for_room) = (None, false);
                self.nodes[to.as_usize()].mailbox.push_back(Mail::Moved(handle, moved));
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        loop {
            let next = self.nodes.iter().filter_map(|node| node.shard.next_deadline()).min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            let now = self.now;
            for node in &mut self.nodes {
                if node.shard.next_deadline().is_some_and(|deadline| deadline <= now) {
                    node.shard.handle_timeout(now);
                }
            }
            self.turn();
        }
        self.now = end;
    }
}
