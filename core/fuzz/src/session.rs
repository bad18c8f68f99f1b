//! Two shards as a state machine: lines of text are things that happen to them.
//!
//! | line | what happens |
//! |------|--------------|
//! | `a0` | shard 0 accepts a connection |
//! | `r0 bytes` | connection 0 sends bytes; `\|` is CR LF, `$` the newest session id |
//! | `h0`, `g0`, `w0` | connection 0 sends the request for a polling handshake, a poll, a WebSocket |
//! | `u0` | connection 0 asks to become the WebSocket of the newest session |
//! | `p0 body` | connection 0 posts a body; `,` then `,` between packets is the record separator |
//! | `f0 text`, `F0 bytes` | connection 0 sends a text or binary frame |
//! | `c0 n` | connection 0 sends a control frame of opcode `n` |
//! | `b0` | connection 0 stops taking what is written to it, or takes it again |
//! | `e0`, `x0` | connection 0 ends, or breaks |
//! | `t5` | time passes: 5 × 5 × 10 ms |
//! | `d` | both shards drain |
//!
//! Whatever happens: what is queued for a client is bounded, and when every client has gone nothing is left.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::id::{RouteKey, ShardIndex};
use tidegate_core::options::{HttpTimeouts, Options};
use tidegate_core::shard::app::{
    App, Connect, Event, Flags, Rejection, Reply, Selector, SocketKey, Ticket, Verdict,
};
use tidegate_core::shard::routes::Routes;
use tidegate_core::shard::{Action, ConnKey, Io, Peer, Reading, Shard, ShardSetup, StreamEnd, StreamHandle};
use tidegate_core::socket_io::ArgsRef;
use tidegate_core::time::Instant;

const SHARDS: u16 = 2;
/// More connections than this only make it slower.
const STREAMS_MAX: usize = 12;
const LINES_MAX: usize = 200;
const OUTBOX_BYTES_MAX: u32 = 2000;
/// What one input may add beyond the limit: answers to requests that came together, what the application says.
const SLACK_BYTES: u64 = 80_000;

/// Runs the lines.
pub fn session(data: &[u8]) {
    sessions_opened(data);
}

/// As [`session`], and says how many sessions were opened.
fn sessions_opened(data: &[u8]) -> u64 {
    let mut world = World::new();
    for line in data.split(|&byte| byte == b'\n').take(LINES_MAX) {
        world.line(line);
        world.turn();
        world.check();
    }
    let opened = world.shards.iter().map(|shard| shard.stats().sessions_opened).sum();
    world.end();
    opened
}

struct Stream {
    shard: usize,
    key: Option<ConnKey>,
    is_blocked: bool,
    /// The shard waits until it can be written again.
    is_awaited: bool,
    is_paused: bool,
    /// What the client has sent and the shard has not read.
    unread: Vec<u8>,
}

struct World {
    shards: Vec<Shard>,
    streams: Vec<Stream>,
    now: Instant,
    sid: String,
}

impl World {
    fn new() -> Self {
        let millis = Duration::from_millis;
        let options = Arc::new(Options {
            ping_interval: millis(300),
            ping_timeout: millis(200),
            upgrade_timeout: millis(400),
            connect_timeout: millis(1000),
            max_payload: 400,
            max_fragments: 3,
            outbox_bytes_max: OUTBOX_BYTES_MAX,
            http: HttpTimeouts {
                head: millis(500),
                body: millis(700),
                keep_alive: millis(3000),
                linger: millis(200),
            },
            max_namespaces: 3,
            input_bytes_max: 60_000,
            max_sessions: 10,
            ..Options::default()
        });
        let later = Rc::new(RefCell::new(Later::default()));
        let shards = (0..SHARDS).map(|index| {
            let setup = ShardSetup {
                index: ShardIndex(index),
                shards: SHARDS,
                options: Arc::clone(&options),
                routes: Arc::new(Routes { bare_endpoints: true, ..Routes::default() }),
                route_key: RouteKey::new([1, 2, 3, 4]),
                seed: [u8::try_from(index).expect("two shards"); 32],
                now: Instant::ORIGIN,
                unix_origin: 0,
            };
            Shard::new(setup, Box::new(Doer { later: Rc::clone(&later) }))
        });
        Self { shards: shards.collect(), streams: Vec::new(), now: Instant::ORIGIN, sid: "x".to_owned() }
    }

    fn line(&mut self, line: &[u8]) {
        let [op, target, rest @ ..] = line else {
            if line == b"d" {
                self.shards.iter_mut().for_each(|shard| shard.drain(self.now));
            }
            return;
        };
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        match op {
            b'a' if self.streams.len() < STREAMS_MAX => self.accept(usize::from(target % 2)),
            b't' => {
                let units = u64::from(target % 10);
                self.pass(Duration::from_millis(units * units * 10));
            }
            b'd' => self.shards.iter_mut().for_each(|shard| shard.drain(self.now)),
            _ if self.streams.is_empty() => {}
            _ => {
                let stream = usize::from(target.wrapping_sub(b'0')) % self.streams.len();
                self.happen(*op, stream, rest);
            }
        }
    }

    fn accept(&mut self, shard: usize) {
        let handle = StreamHandle(i32::try_from(self.streams.len()).expect("few streams"));
        let peer = Peer { address: ([127, 0, 0, 1], 1).into() };
        let key = self.shards[shard].handle_accepted(self.now, handle, peer);
        self.streams.push(Stream {
            shard,
            key: Some(key),
            is_blocked: false,
            is_awaited: false,
            is_paused: false,
            unread: Vec::new(),
        });
    }

    fn happen(&mut self, op: u8, stream: usize, rest: &[u8]) {
        let sid = self.sid.clone();
        let polling = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
        match op {
            b'r' => {
                let text: Vec<u8> = rest
                    .iter()
                    .flat_map(|byte| match byte {
                        b'|' => b"\r\n".to_vec(),
                        b'$' => sid.as_bytes().to_vec(),
                        byte => vec![*byte],
                    })
                    .collect();
                self.send(stream, &text);
            }
            b'h' => self.send(stream, &get("/socket.io/?EIO=4&transport=polling", "")),
            b'g' => self.send(stream, &get(&polling, "")),
            b'w' => self.send(stream, &get("/socket.io/?EIO=4&transport=websocket", UPGRADE)),
            b'u' => {
                let target = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
                self.send(stream, &get(&target, UPGRADE));
            }
            b'p' => {
                let body = replace(rest, b",,", b"\x1e");
                let head =
                    format!("POST {polling} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
                self.send(stream, &[head.as_bytes(), &body].concat());
            }
            b'f' => self.send(stream, &frame(0x81, rest)),
            b'F' => self.send(stream, &frame(0x82, rest)),
            b'c' => self.send(stream, &frame(0x80 | rest.first().map_or(8, |byte| byte % 16), b"ab")),
            b'b' => {
                let is_blocked = !self.streams[stream].is_blocked;
                self.streams[stream].is_blocked = is_blocked;
                self.unblock(stream);
            }
            b'e' => self.leave(stream, StreamEnd::Eof),
            b'x' => self.leave(stream, StreamEnd::Error),
            _ => {}
        }
    }

    fn send(&mut self, stream: usize, bytes: &[u8]) {
        if self.streams[stream].key.is_some() && self.streams[stream].unread.len() < 100_000 {
            self.streams[stream].unread.extend_from_slice(bytes);
            self.read(stream);
        }
    }

    /// Gives the shard what it has not read.
    fn read(&mut self, stream: usize) {
        let Stream { shard, key: Some(key), is_paused: false, .. } = self.streams[stream] else { return };
        let mut bytes = std::mem::take(&mut self.streams[stream].unread);
        if bytes.is_empty() {
            return;
        }
        match self.shards[shard].handle_bytes(self.now, key, &mut bytes) {
            Reading::Continue => {}
            Reading::Paused => self.streams[stream].is_paused = true,
            Reading::Closed => self.streams[stream].key = None,
        }
    }

    fn unblock(&mut self, stream: usize) {
        let stream = &mut self.streams[stream];
        if let Some(key) = stream.key
            && !stream.is_blocked
            && std::mem::take(&mut stream.is_awaited)
        {
            self.shards[stream.shard].handle_writable(key);
        }
    }

    fn leave(&mut self, stream: usize, end: StreamEnd) {
        if let Some(key) = self.streams[stream].key {
            self.shards[self.streams[stream].shard].handle_end(self.now, key, end);
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.shards.iter().filter_map(Shard::next_deadline).min() {
            if next > until {
                break;
            }
            self.now = self.now.max(next);
            self.shards.iter_mut().for_each(|shard| shard.handle_timeout(self.now));
            self.turn();
        }
        self.now = until;
    }

    /// Does what the shards ask for, until they ask for nothing.
    fn turn(&mut self) {
        loop {
            let mut letters = VecDeque::new();
            let mut actions = Vec::new();
            for shard in &mut self.shards {
                while let Some(message) = shard.poll_message() {
                    letters.push_back(message);
                }
            }
            if letters.is_empty() {
                for index in 0..self.shards.len() {
                    self.write(index);
                    actions.extend(std::iter::from_fn(|| self.shards[index].poll_action()));
                }
                if actions.is_empty() {
                    return;
                }
            }
            for (to, message) in letters {
                self.shards[to.as_usize()].handle_message(self.now, message);
            }
            actions.into_iter().for_each(|action| self.act(action));
        }
    }

    fn write(&mut self, index: usize) {
        while let Some((key, handle, queue)) = self.shards[index].poll_write() {
            let stream = &mut self.streams[usize::try_from(handle.0).expect("one of ours")];
            let mut written = 0;
            if stream.is_blocked {
                stream.is_awaited = true;
            } else {
                let bytes: Vec<u8> = queue.iter().flatten().copied().collect();
                written = bytes.len();
                if let Some(sid) = find_sid(&bytes) {
                    self.sid = sid;
                }
            }
            self.shards[index].handle_written(self.now, key, written);
        }
    }

    fn act(&mut self, action: Action) {
        let place = |stream: StreamHandle| usize::try_from(stream.0).expect("one of ours");
        match action {
            Action::Close { stream, .. } => self.streams[place(stream)].key = None,
            Action::ShutdownWrite { .. } => {}
            Action::Resume { stream, .. } => {
                self.streams[place(stream)].is_paused = false;
                self.read(place(stream));
            }
            Action::Move { stream, to, moved, .. } => {
                let key = self.shards[to.as_usize()].handle_moved(self.now, stream, *moved);
                let stream = &mut self.streams[place(stream)];
                (stream.shard, stream.key, stream.is_paused) = (to.as_usize(), Some(key), false);
            }
        }
    }

    fn check(&self) {
        for shard in &self.shards {
            let largest = shard.stats().outbox_bytes_largest;
            assert!(largest <= u64::from(OUTBOX_BYTES_MAX) + SLACK_BYTES, "{largest} bytes for one client");
        }
    }

    /// Everybody leaves; after a while nothing is left.
    fn end(mut self) {
        (0..self.streams.len()).for_each(|stream| self.leave(stream, StreamEnd::Error));
        self.turn();
        self.pass(Duration::from_secs(100));
        for shard in &self.shards {
            let stats = shard.stats();
            let left = [
                stats.connections,
                stats.sessions_polling,
                stats.sessions_websocket,
                stats.sockets,
                stats.sockets_connecting,
                stats.namespaces,
                stats.rooms,
                stats.interests,
                stats.acks_pending,
                stats.collections,
                stats.timers,
                stats.outbox_bytes,
                stats.input_bytes,
            ];
            assert!(left.iter().all(|count| *count == 0), "something is left: {left:?}");
            assert!(shard.is_drained());
        }
        assert!(self.streams.iter().all(|stream| stream.key.is_none()), "every stream has been closed");
    }
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn get(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
}

/// A short frame, with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(125)];
    let len = u8::try_from(payload.len()).expect("at most 125");
    [&[first, 0x80 | len, 0, 0, 0, 0], payload].concat()
}

fn replace(bytes: &[u8], from: &[u8; 2], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(place) = rest.windows(2).position(|window| window == from) {
        out.extend_from_slice(&rest[..place]);
        out.extend_from_slice(to);
        rest = &rest[place + 2..];
    }
    out.extend_from_slice(rest);
    out
}

/// The session id of an open packet.
fn find_sid(bytes: &[u8]) -> Option<String> {
    const START: &[u8] = b"0{\"sid\":\"";
    let start = bytes.windows(START.len()).position(|window| window == START)? + START.len();
    Some(str::from_utf8(bytes.get(start..start + 20)?).ok()?.to_owned())
}

/// What applications do later, on whichever shard.
#[derive(Default)]
struct Later {
    undecided: Vec<SocketKey>,
    replies: Vec<Reply>,
    sockets: Vec<SocketKey>,
}

/// An application that does what the first letters of events and namespaces say.
struct Doer {
    later: Rc<RefCell<Later>>,
}

impl App for Doer {
    fn connect(&mut self, io: &mut Io<'_>, socket: SocketKey, request: &Connect<'_>) -> Verdict {
        let mut later = self.later.borrow_mut();
        later.sockets.push(socket);
        assert!(!io.handshake_json(socket).expect("it is here").is_empty());
        match request.namespace.as_bytes().get(1) {
            None | Some(b'a') => Verdict::Accept,
            Some(b'l') => {
                later.undecided.push(socket);
                io.emit_with_ack(socket, "early", ArgsRef::default(), None, Ticket(1));
                Verdict::Later
            }
            Some(b'r') => Verdict::Reject(Rejection { message: "no".to_owned(), data: Some("1".to_owned()) }),
            Some(_) => Verdict::InvalidNamespace,
        }
    }

    fn event(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>) {
        let name = event.name.and_then(|name| name.text()).unwrap_or_default().into_owned();
        let room: String = event.args.parse(0).and_then(Result::ok).unwrap_or_default();
        let to = Selector::namespace(event.namespace);
        let to = if room.is_empty() { to } else { to.to(room.as_str()) };
        let timeout = (room.len() < 3).then(|| Duration::from_millis(50));
        let mut later = self.later.borrow_mut();
        let other = later.sockets.get(room.len()).copied().unwrap_or(socket);
        match name.as_bytes().first() {
            Some(b'j') => io.join(socket, &room),
            Some(b'J') => io.sockets_join(&to, &["x", &room]),
            Some(b'k') => io.leave(socket, &room),
            Some(b'K') => io.sockets_leave(&to, &["x"]),
            Some(b'b') => io.broadcast(&to, Flags::default(), "b", event.args),
            Some(b'v') => {
                io.broadcast(&to.except("x"), Flags { volatile: true, ..Flags::default() }, "v", event.args);
            }
            Some(b'q') => io.emit_with_ack(other, "q", event.args, timeout, Ticket(2)),
            Some(b'Q') => io.broadcast_with_ack(&to, Flags::default(), "Q", event.args, timeout, Ticket(3)),
            Some(b'd') => io.disconnect(other, false),
            Some(b'D') => io.disconnect_sockets(&to, true),
            Some(b'f') => io.fetch_sockets(&to, Ticket(4)),
            Some(b'o') => io.emit(other, "o", event.args),
            Some(b's') => io.set_data(other, "{}".to_owned()),
            Some(b'h') => io.hold_input(other),
            Some(b'H') => io.release_input(other),
            Some(b'c') => {
                if let Some(session) = io.session(other) {
                    io.close_session(session);
                }
            }
            Some(b'y') => {
                if let Some(socket) = later.undecided.pop() {
                    io.accept(socket);
                }
            }
            Some(b'n') => {
                if let Some(socket) = later.undecided.pop() {
                    io.reject(socket, Rejection { message: room, data: None });
                }
            }
            Some(b'l') => {
                if let Some(reply) = later.replies.pop() {
                    io.reply(reply, event.args);
                }
            }
            _ => {}
        }
        match event.reply {
            Some(reply) if name.starts_with('e') => io.reply(reply, event.args),
            Some(reply) => later.replies.push(reply),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sessions_opened;

    #[test]
    fn seeds_open_sessions() {
        for seed in std::fs::read_dir("corpus/session").unwrap() {
            let path = seed.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let opened = sessions_opened(&std::fs::read(path).unwrap());
            assert_eq!(opened == 0, name.starts_with("no_session"), "{name} opens {opened} sessions");
        }
    }
}
