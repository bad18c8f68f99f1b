//! One shard, turned as the engine turns it, but for the streams: bytes come from slices, and go to whoever asks.

use crate::inputs;
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate_core::id::{RouteKey, ShardIndex};
use tidegate_core::options::Options;
use tidegate_core::shard::app::{App, Connect, Event, Flags, Selector, SocketKey, Verdict};
use tidegate_core::shard::routes::Routes;
use tidegate_core::shard::{ConnKey, Io, Peer, Reading, Shard, ShardSetup, StreamEnd, StreamHandle};
use tidegate_core::socket_io::EventName;
use tidegate_core::time::Instant;

/// Bytes that are read at once, as in the engine.
const BUFFER_BYTES: usize = 64 << 10;
/// 2026-11-20, in milliseconds since the Unix epoch.
const UNIX_ORIGIN: u64 = 1_795_164_458_000;

/// A gateway of one core.
pub(crate) struct Gate {
    shard: Shard,
    now: Instant,
    /// What the engine reads into.
    buffer: Box<[u8]>,
    streams: i32,
}

impl Gate {
    /// With an application; its options are the default ones.
    pub(crate) fn new(app: Box<dyn App>) -> Self {
        let now = Instant::from_millis(1000);
        let setup = ShardSetup {
            index: ShardIndex(0),
            shards: 1,
            options: Arc::new(Options::default()),
            routes: Arc::new(Routes::default()),
            route_key: RouteKey::new([1, 2, 3, 4]),
            seed: [7; 32],
            now,
            unix_origin: UNIX_ORIGIN,
        };
        Self { shard: Shard::new(setup, app), now, buffer: vec![0; BUFFER_BYTES].into(), streams: 0 }
    }

    /// A client opens a connection.
    pub(crate) fn accept(&mut self) -> ConnKey {
        let address: SocketAddr = ([127, 0, 0, 1], 5000).into();
        let stream = self.next_stream();
        self.shard.handle_accepted(self.now, stream, Peer { address })
    }

    /// A backend opens a stream.
    pub(crate) fn accept_port(&mut self) -> ConnKey {
        let stream = self.next_stream();
        self.shard.handle_port(self.now, stream)
    }

    fn next_stream(&mut self) -> StreamHandle {
        self.streams = self.streams.wrapping_add(1);
        StreamHandle(self.streams)
    }

    /// Bytes are read, by a copy as from the kernel.
    pub(crate) fn receive(&mut self, conn: ConnKey, bytes: &[u8]) {
        let buffer = &mut self.buffer[..bytes.len()];
        buffer.copy_from_slice(bytes);
        let reading = self.shard.handle_bytes(self.now, conn, buffer);
        assert_eq!(reading, Reading::Continue, "nobody here sends more than the shard takes");
    }

    /// The client is gone.
    pub(crate) fn end(&mut self, conn: ConnKey) {
        self.shard.handle_end(self.now, conn, StreamEnd::Eof);
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = Instant::from_millis(self.now.as_millis() + millis);
    }

    /// What is due is done, and everything leaves; every write of a connection is shown to `write` in pieces.
    pub(crate) fn turn(&mut self, mut write: impl FnMut(ConnKey, &[u8])) {
        if self.shard.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.shard.handle_timeout(self.now);
        }
        assert!(self.shard.poll_message().is_none(), "there is no other shard");
        while let Some((conn, _, queue)) = self.shard.poll_write() {
            let count = queue.bytes();
            queue.iter().for_each(|segment| write(conn, segment));
            self.shard.handle_written(self.now, conn, count);
        }
        while self.shard.poll_action().is_some() {}
    }

    /// As [`Self::turn`]; the bytes for everybody together.
    pub(crate) fn turn_counted(&mut self) -> usize {
        let mut bytes = 0;
        self.turn(|_, segment| bytes += segment.len());
        bytes
    }

    /// Sends something and takes what comes back to `conn`.
    pub(crate) fn talk(&mut self, conn: ConnKey, bytes: &[u8]) -> String {
        self.receive(conn, bytes);
        self.heard(conn)
    }

    /// Turns, and takes what comes to `conn`.
    pub(crate) fn heard(&mut self, conn: ConnKey) -> String {
        String::from_utf8_lossy(&self.heard_bytes(conn)).into_owned()
    }

    /// Turns, and takes what comes to `conn`.
    pub(crate) fn heard_bytes(&mut self, conn: ConnKey) -> Vec<u8> {
        let mut heard = Vec::new();
        self.turn(|to, segment| {
            if to == conn {
                heard.extend_from_slice(segment);
            }
        });
        heard
    }

    /// A WebSocket client that is in `/`.
    pub(crate) fn websocket(&mut self) -> ConnKey {
        let conn = self.accept();
        let answer = self.talk(conn, inputs::WEBSOCKET.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 101") && answer.contains("\"sid\""), "{answer}");
        let answer = self.talk(conn, &inputs::text_frame("40"));
        assert!(answer.contains("40{\"sid\""), "{answer}");
        conn
    }
}

/// The application of `--app bench`, as far as it is measured here.
pub(crate) struct Bench {
    everybody: Selector,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { everybody: Selector::namespace("/") }
    }
}

impl App for Bench {
    fn connect(&mut self, _io: &mut Io<'_>, _socket: SocketKey, _request: &Connect<'_>) -> Verdict {
        Verdict::Accept
    }

    fn event(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>) {
        match event.name.and_then(EventName::text).as_deref() {
            Some("echo") => match event.reply {
                Some(reply) => io.reply(reply, event.args),
                None => io.emit(socket, "echo", event.args),
            },
            Some("broadcast") => io.broadcast(&self.everybody, Flags::default(), "news", event.args),
            Some("join") => io.join(socket, "room"),
            Some("room") => {
                let room = Selector::namespace("/").to("room");
                io.broadcast(&room, Flags::default(), "msg", event.args);
            }
            _ => {}
        }
    }
}
