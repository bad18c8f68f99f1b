//! A backend that says just what a test has it say, and hears every frame.

use super::rig::SOON;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tidegate_core::backend::wire::{
    EmitFlags, Frames, FromBackend, Hello, Packet, Selector, Texts, ToBackend,
};
use tidegate_core::shard::app::{SessionKey, SocketKey};
use tidegate_core::socket_io::ArgsRef;

/// What a backend lets the gateway be ahead, unless a test wants something else.
pub(crate) const WINDOW: u32 = 1024 * 1024;
/// The name of every event.
const NAME: &str = r#""e""#;

/// What a backend was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Welcome {
        window: u32,
        longest: u32,
        options: serde_json::Value,
    },
    Refuse(u16, String),
    Credit(u32),
    Tick,
    Peers(u32),
    Fetched {
        last: bool,
        ids: Vec<String>,
    },
    Connect(Connect),
    /// `json` is the whole array.
    Event {
        socket: SocketKey,
        ack: Option<u64>,
        redelivered: bool,
        json: String,
    },
    Ack {
        socket: SocketKey,
        ack: u64,
        json: String,
    },
    Disconnected(SocketKey, &'static str),
    Handover(SocketKey),
    Drained,
    Transport(SessionKey, String),
    Other(String),
}

/// A CONNECT.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Connect {
    pub(crate) socket: SocketKey,
    pub(crate) session: SessionKey,
    pub(crate) id: String,
    pub(crate) transport: String,
    pub(crate) namespace: String,
    pub(crate) handshake: String,
    /// Rooms and data.
    pub(crate) adopted: Option<(Vec<String>, Option<String>)>,
}

/// One link. Dropping it is the death of the backend.
pub(crate) struct Backend {
    stream: UnixStream,
    writer: Writer,
    frames: Frames,
    heard: VecDeque<Told>,
    /// Bytes of counted frames that were taken from `heard` or are in it, without credit given for them.
    due: u32,
    /// Whether credit is given at every TICK.
    is_generous: bool,
    has_ended: bool,
    /// How long it may be told nothing.
    patience: Duration,
}

/// Who may write: several threads, but no two at a time.
type Writer = Arc<Mutex<UnixStream>>;

/// Another hand on a link, for another thread.
pub(crate) struct Handle {
    stream: UnixStream,
    writer: Writer,
}

impl Handle {
    /// Says something more.
    pub(crate) fn say(&self, frame: &FromBackend<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).unwrap();
        self.writer.lock().unwrap().write_all(&bytes).expect("the link is open");
    }

    /// Ends the link, whatever its backend is about to do.
    pub(crate) fn cut(&self) {
        // It may have ended.
        let _ended = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

impl Backend {
    /// Connects, and says nothing.
    pub(crate) fn dial(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the gateway listens");
        stream.set_write_timeout(Some(SOON)).unwrap();
        Self {
            writer: Arc::new(Mutex::new(stream.try_clone().unwrap())),
            stream,
            frames: Frames::new(u32::MAX),
            heard: VecDeque::new(),
            due: 0,
            is_generous: true,
            has_ended: false,
            patience: SOON,
        }
    }

    /// Does not mind to be told nothing for long: the test waits for something else.
    pub(crate) fn patient(mut self) -> Self {
        self.patience = Duration::from_secs(600);
        self
    }

    /// Says hello, and is welcome.
    pub(crate) fn greet(path: &Path, window: u32) -> Self {
        let mut backend = Self::dial(path);
        backend.say(&[hello(window)]);
        match backend.next() {
            Some(Told::Welcome { .. }) => backend,
            other => panic!("not a welcome: {other:?}"),
        }
    }

    /// Serves these namespaces, and is known to do so.
    pub(crate) fn serve(path: &Path, namespaces: &[&str]) -> Self {
        Self::serve_with(path, namespaces, WINDOW)
    }

    /// The same, with a window.
    pub(crate) fn serve_with(path: &Path, namespaces: &[&str], window: u32) -> Self {
        let mut backend = Self::greet(path, window);
        backend.say(&[FromBackend::Serve { dynamic: false, namespaces: namespaces.into() }]);
        // It may have been asked to take somebody before it is told how many there are.
        let is_peers = |told: &Told| matches!(told, Told::Peers(_));
        let until = Instant::now() + SOON;
        while !backend.heard.iter().any(is_peers) {
            backend.wait(until);
        }
        backend
    }

    /// From now on credit is given by [`Self::give_credit`] alone.
    pub(crate) fn stingy(mut self) -> Self {
        self.is_generous = false;
        self
    }

    /// Gives credit as it should, again.
    pub(crate) fn generous(mut self) -> Self {
        self.give_credit();
        self.is_generous = true;
        self
    }

    /// Gives credit for all counted frames that have been read, those included that no test has looked at.
    pub(crate) fn give_credit(&mut self) {
        if self.due > 0 {
            let due = std::mem::take(&mut self.due);
            self.say(&[FromBackend::Credit(due)]);
        }
    }

    /// Says these in one write, in as far as the gateway still listens.
    pub(crate) fn say(&mut self, frames: &[FromBackend<'_>]) {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut bytes).expect("nothing here is that long"));
        self.write(&bytes);
    }

    /// Writes anything at all.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let written = self.writer.lock().unwrap().write_all(bytes);
        match written {
            Ok(()) => {}
            Err(error) if is_end(&error) => {}
            Err(error) => panic!("the gateway does not read: {error}"),
        }
    }

    /// Says that nothing more comes.
    pub(crate) fn shut_down(&self) {
        // It may have been closed from there.
        let _closed = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// For who drains or kills it from another thread.
    pub(crate) fn handle(&self) -> Handle {
        Handle { stream: self.stream.try_clone().unwrap(), writer: Arc::clone(&self.writer) }
    }

    /// The next frame, whatever it is; `None` if the gateway has closed the link.
    pub(crate) fn next_frame(&mut self) -> Option<Told> {
        let until = Instant::now() + self.patience;
        while self.heard.is_empty() && !self.has_ended {
            self.wait(until);
        }
        self.heard.pop_front()
    }

    /// Waits for something to read, and reads it.
    fn wait(&mut self, until: Instant) {
        assert!(is_readable(&[&self.stream], until)[0], "watchdog: the gateway says nothing");
        self.read();
    }

    /// The next that is not about the link itself.
    pub(crate) fn next(&mut self) -> Option<Told> {
        loop {
            match self.next_frame() {
                Some(Told::Tick | Told::Credit(_) | Told::Peers(_)) => {}
                told => return told,
            }
        }
    }

    /// Looks for something, and forgets what comes before.
    pub(crate) fn find<T>(&mut self, mut wanted: impl FnMut(Told) -> Option<T>) -> T {
        loop {
            let told = self.next_frame().expect("the link is open");
            if let Some(found) = wanted(told) {
                return found;
            }
        }
    }

    /// The next must be a CONNECT.
    pub(crate) fn connect(&mut self) -> Connect {
        match self.next() {
            Some(Told::Connect(connect)) => connect,
            other => panic!("not a CONNECT: {other:?}"),
        }
    }

    /// The next must be a CONNECT, which is accepted.
    pub(crate) fn accept(&mut self) -> Connect {
        let connect = self.connect();
        self.say(&[FromBackend::Accept(connect.socket)]);
        connect
    }

    /// The next must be an event of that socket: its number.
    pub(crate) fn event(&mut self, of: SocketKey) -> u64 {
        match self.next() {
            Some(Told::Event { socket, json, redelivered: false, .. }) if socket == of => number(&json),
            other => panic!("not an event of {of:?}: {other:?}"),
        }
    }

    /// The next must be the end of that socket: the reason.
    pub(crate) fn disconnected(&mut self, of: SocketKey) -> &'static str {
        match self.next() {
            Some(Told::Disconnected(socket, reason)) if socket == of => reason,
            other => panic!("not the end of {of:?}: {other:?}"),
        }
    }

    /// Why the gateway refuses it: the last frame, behind which the link is closed.
    pub(crate) fn refused(&mut self) -> (u16, String) {
        let refusal = loop {
            match self.next_frame() {
                Some(Told::Refuse(code, message)) => break (code, message),
                Some(_) => {}
                None => panic!("closed without a word"),
            }
        };
        assert_eq!(self.next_frame(), None, "behind {refusal:?}");
        refusal
    }

    /// Sends a number to a socket.
    pub(crate) fn emit(&mut self, socket: SocketKey, number: u64) {
        let args = number.to_string();
        self.say(&[emit(socket, &args)]);
    }

    /// Sends a number to all in a room of a namespace, or to all of that.
    pub(crate) fn broadcast(&mut self, namespace: &str, rooms: &[&str], number: u64) {
        let args = number.to_string();
        self.say(&[broadcast(namespace, rooms, &args)]);
    }

    /// Whether nothing can be heard just now.
    pub(crate) fn is_silent(&mut self) -> bool {
        is_readable(&[&self.stream], Instant::now())[0].then(|| self.read());
        self.heard.iter().all(|told| matches!(told, Told::Tick | Told::Credit(_) | Told::Peers(_)))
    }

    /// Reads once, what there is.
    fn read(&mut self) {
        let mut bytes = vec![0; 256 * 1024];
        let count = match self.stream.read(&mut bytes) {
            Ok(count) => count,
            Err(error) if is_end(&error) => 0,
            Err(error) => panic!("{error}"),
        };
        self.has_ended = count == 0;
        let mut input = &bytes[..count];
        let mut ticks = false;
        while let Some(frame) = self.frames.next(&mut input).expect("the gateway keeps to the protocol") {
            self.due += u32::try_from(frame.cost()).unwrap();
            let told = understand(ToBackend::decode(frame.kind(), frame.body()).expect("a frame of §5"));
            ticks |= told == Told::Tick;
            self.heard.push_back(told);
        }
        if ticks && self.is_generous {
            self.give_credit();
        }
    }
}

/// Which of them says something first, and what: not about the link itself.
pub(crate) fn next_of(backends: &mut [Backend]) -> (usize, Told) {
    let until = Instant::now() + SOON;
    loop {
        for (index, backend) in backends.iter_mut().enumerate() {
            while let Some(told) = backend.heard.pop_front() {
                if !matches!(told, Told::Tick | Told::Credit(_) | Told::Peers(_)) {
                    return (index, told);
                }
            }
        }
        let streams: Vec<&UnixStream> = backends.iter().map(|backend| &backend.stream).collect();
        let ready = is_readable(&streams, until);
        assert!(ready.contains(&true), "watchdog: none of the backends is told anything");
        for (backend, _) in backends.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            backend.read();
            assert!(!backend.has_ended, "a link was closed");
        }
    }
}

/// HELLO as it should be.
pub(crate) fn hello(window: u32) -> FromBackend<'static> {
    FromBackend::Hello(Hello { version_min: 1, version_max: 1, window, software: "fake", process: "fake-1" })
}

/// An event to one socket.
pub(crate) fn emit(socket: SocketKey, args: &str) -> FromBackend<'_> {
    let packet = Packet::from_event(NAME, ArgsRef::trusted(args, &[]));
    FromBackend::Emit { socket, flags: EmitFlags::default(), ack: 0, timeout_ms: 0, packet }
}

/// An event to one socket that wants an answer.
pub(crate) fn ask(socket: SocketKey, ack: u64) -> FromBackend<'static> {
    let packet = Packet::from_event(r#""ask""#, ArgsRef::trusted("", &[]));
    let flags = EmitFlags { ack: true, ..EmitFlags::default() };
    FromBackend::Emit { socket, flags, ack, timeout_ms: 0, packet }
}

/// An event to many.
pub(crate) fn broadcast<'a>(namespace: &'a str, rooms: &'a [&'a str], args: &'a str) -> FromBackend<'a> {
    let packet = Packet::from_event(NAME, ArgsRef::trusted(args, &[]));
    let selector = select(namespace, rooms);
    FromBackend::Broadcast { flags: EmitFlags::default(), selector, request: 0, timeout_ms: 0, packet }
}

/// All in these rooms; all if there are none.
pub(crate) fn select<'a>(namespace: &'a str, rooms: &'a [&'a str]) -> Selector<'a> {
    Selector { namespace, rooms: rooms.into(), except: Texts::EMPTY }
}

/// The answer to an event.
pub(crate) fn acknowledge(socket: SocketKey, ack: u64, args: &str) -> FromBackend<'_> {
    FromBackend::Ack { socket, ack, packet: Packet::from_arguments(ArgsRef::trusted(args, &[])) }
}

/// The first argument of `["e",NUMBER,…]`.
pub(crate) fn number(json: &str) -> u64 {
    let event: serde_json::Value = serde_json::from_str(json).expect("the gateway sends JSON");
    event[1].as_u64().unwrap_or_else(|| panic!("an event of these tests has a number: {json}"))
}

fn understand(frame: ToBackend<'_>) -> Told {
    match frame {
        ToBackend::Welcome(welcome) => Told::Welcome {
            window: welcome.window,
            longest: welcome.frame_bytes_max,
            options: serde_json::from_str(welcome.options).expect("options are JSON"),
        },
        ToBackend::Refuse { code, message } => Told::Refuse(code.code(), message.to_owned()),
        ToBackend::Credit(bytes) => Told::Credit(bytes),
        ToBackend::Tick => Told::Tick,
        ToBackend::Peers(links) => Told::Peers(links),
        ToBackend::Fetched { last, sockets, .. } => {
            Told::Fetched { last, ids: sockets.iter().map(|socket| socket.id.encode().to_string()).collect() }
        }
        ToBackend::Connect(connect) => Told::Connect(Connect {
            socket: connect.socket,
            session: connect.session,
            id: connect.id.encode().to_string(),
            transport: connect.transport.to_owned(),
            namespace: connect.namespace.to_owned(),
            handshake: connect.handshake.to_owned(),
            adopted: connect.adopted.map(|adopted| {
                (adopted.rooms.iter().map(str::to_owned).collect(), adopted.data.map(str::to_owned))
            }),
        }),
        ToBackend::Event { socket, ack, redelivered, packet } => {
            Told::Event { socket, ack, redelivered, json: packet.json().into_owned() }
        }
        ToBackend::Ack { socket, ack, packet } => Told::Ack { socket, ack, json: packet.json().into_owned() },
        ToBackend::Disconnected { socket, reason } => Told::Disconnected(socket, reason.as_str()),
        ToBackend::Handover(socket) => Told::Handover(socket),
        ToBackend::Drained => Told::Drained,
        ToBackend::Transport { session, transport } => Told::Transport(session, transport.to_owned()),
        other => Told::Other(format!("{other:?}")),
    }
}

/// Whether each has something to read, or has ended; waits for the first.
fn is_readable(streams: &[&UnixStream], until: Instant) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> =
        streams.iter().map(|stream| PollFd::new(stream, PollFlags::IN)).collect();
    let left = until.saturating_duration_since(Instant::now());
    poll(&mut polled, Some(&Timespec::try_from(left).unwrap())).unwrap();
    polled.iter().map(|polled| !polled.revents().is_empty()).collect()
}

/// A link that is closed while it has something to say.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}
