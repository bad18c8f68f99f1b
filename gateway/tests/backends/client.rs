//! A Socket.IO client made of bytes, on either transport. Nothing of it blocks but the waits, and those end.

use super::rig::SOON;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

/// Packets of one POST at most.
const POST_PACKETS: usize = 50;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// How a client talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    WebSocket,
    Polling,
}

/// How a client's transport has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By a close frame of WebSocket.
    CloseFrame,
    /// By a close packet of Engine.IO.
    ClosePacket,
    /// Without a word.
    Cut,
    /// The session is not known.
    Unknown,
}

/// A client with a session.
pub(crate) struct Client {
    wire: Wire,
    /// That came, and were not asked for; pings are not among them.
    packets: VecDeque<String>,
    pub(crate) end: Option<End>,
    /// Pings that came, and were answered in as far as the gateway reads.
    pub(crate) pings: u32,
    /// In its namespace.
    pub(crate) id: String,
}

enum Wire {
    WebSocket(Pipe),
    Polling { target: String, get: Pipe, post: Pipe, polls: bool, posts: bool, queue: VecDeque<String> },
}

impl Client {
    /// Opens a session.
    pub(crate) fn open(url: &str, kind: Kind) -> Self {
        let wire = match kind {
            Kind::WebSocket => Wire::WebSocket(upgrade(url)),
            Kind::Polling => Wire::Polling {
                target: "/socket.io/?EIO=4&transport=polling".to_owned(),
                get: Pipe::connect(url),
                post: Pipe::connect(url),
                polls: false,
                posts: false,
                queue: VecDeque::new(),
            },
        };
        let mut client = Self { wire, packets: VecDeque::new(), end: None, pings: 0, id: String::new() };
        let open = client.next();
        let handshake: serde_json::Value =
            serde_json::from_str(open.strip_prefix('0').expect("the first is OPEN")).unwrap();
        if let Wire::Polling { target, .. } = &mut client.wire {
            *target += &format!("&sid={}", handshake["sid"].as_str().unwrap());
        }
        client
    }

    /// Opens a session and asks for a namespace, but does not wait for the answer.
    pub(crate) fn ask(url: &str, kind: Kind, namespace: &str) -> Self {
        let mut client = Self::open(url, kind);
        client.say(if namespace == "/" { "40".to_owned() } else { format!("40{namespace},") });
        client
    }

    /// Waits until it is in the namespace it has asked for.
    pub(crate) fn joined(mut self) -> Self {
        let packet = self.next();
        let json = &packet[packet.find('{').unwrap_or_else(|| panic!("no answer to CONNECT: {packet}"))..];
        let answer: serde_json::Value = serde_json::from_str(json).unwrap();
        assert!(packet.starts_with("40"), "{packet}");
        self.id = answer["sid"].as_str().unwrap_or_else(|| panic!("no id: {packet}")).to_owned();
        self
    }

    /// Queues a packet, and writes what the kernel takes.
    pub(crate) fn send(&mut self, packet: impl Into<String>) {
        let packet = packet.into();
        match &mut self.wire {
            Wire::WebSocket(pipe) => pipe.output.extend(text_frame(&packet)),
            Wire::Polling { queue, .. } => queue.push_back(packet),
        }
        self.work();
    }

    /// Sends a packet, and waits until it has been taken.
    pub(crate) fn say(&mut self, packet: impl Into<String>) {
        self.send(packet);
        self.wait_for("room", Self::is_flushed);
    }

    /// Sends a number, and waits until it has been taken.
    pub(crate) fn emit(&mut self, number: u64) {
        self.say(format!(r#"42["e",{number}]"#));
    }

    /// Sends a number, and wants it back as acknowledgement of that number.
    pub(crate) fn ask_back(&mut self, number: u64) {
        self.send(format!(r#"42{number}["e",{number}]"#));
    }

    /// The next packet.
    pub(crate) fn next(&mut self) -> String {
        self.wait_for("packet", |client| !client.packets.is_empty() || client.end.is_some());
        let end = self.end;
        self.packets.pop_front().unwrap_or_else(|| panic!("the client was closed: {end:?}"))
    }

    /// The number of the next event.
    pub(crate) fn event(&mut self) -> u64 {
        let packet = self.next();
        let json = packet.strip_prefix("42").unwrap_or_else(|| panic!("not an event: {packet}"));
        super::fake::number(&json[json.find('[').unwrap()..])
    }

    /// The number of the next acknowledgement, which carries the same number.
    pub(crate) fn answer(&mut self) -> u64 {
        let packet = self.next();
        let answer = packet.strip_prefix("43").and_then(|rest| rest.strip_suffix(']')?.split_once('['));
        let (id, argument) = answer.unwrap_or_else(|| panic!("not an answer: {packet}"));
        assert_eq!(id, argument);
        id.parse().unwrap()
    }

    /// Waits for the end of the transport: what came before it, and how it ended.
    pub(crate) fn ended(&mut self) -> (Vec<String>, End) {
        self.wait_for("end", |client| client.end.is_some());
        (self.packets.drain(..).collect(), self.end.expect("it was waited for"))
    }

    /// Works until something holds.
    pub(crate) fn wait_for(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + SOON;
        loop {
            self.work();
            if holds(self) {
                return;
            }
            assert!(Instant::now() < until, "watchdog: no {what} for a client");
            wait(&[self], until);
        }
    }

    /// Forgets what has come: how many packets.
    pub(crate) fn forget(&mut self) -> usize {
        self.packets.drain(..).count()
    }

    /// Whether everything that was sent has been taken: by the kernel, and of a POST by the gateway.
    pub(crate) fn is_flushed(&self) -> bool {
        match &self.wire {
            Wire::WebSocket(pipe) => pipe.output.is_empty(),
            Wire::Polling { posts, queue, .. } => !posts && queue.is_empty(),
        }
    }

    /// Whether it is on polling.
    pub(crate) fn is_polling(&self) -> bool {
        matches!(self.wire, Wire::Polling { .. })
    }

    /// Reads and writes what is possible now, and answers pings.
    pub(crate) fn work(&mut self) {
        match &mut self.wire {
            Wire::WebSocket(pipe) => {
                pipe.work();
                while let Some((opcode, text)) = server_frame(&mut pipe.input) {
                    match opcode {
                        1 => self.packets.push_back(text),
                        8 => self.end = Some(End::CloseFrame),
                        other => panic!("a frame of opcode {other}"),
                    }
                }
                if pipe.has_ended {
                    self.end.get_or_insert(End::Cut);
                }
            }
            Wire::Polling { .. } => self.poll(),
        }
        self.answer_pings();
    }

    fn poll(&mut self) {
        let Wire::Polling { target, get, post, polls, posts, queue } = &mut self.wire else { return };
        if *posts && let Some((status, body)) = post.answer() {
            assert!(status == 200 || self.end.is_some(), "{status}: {body}");
            *posts = false;
        }
        if !*posts && !queue.is_empty() && self.end.is_none() {
            let packets: Vec<String> = queue.drain(..queue.len().min(POST_PACKETS)).collect();
            post.request("POST", target, &packets.join("\x1e"));
            *posts = true;
        }
        if *polls && let Some((status, body)) = get.answer() {
            *polls = false;
            match status {
                200 => self.packets.extend(body.split('\x1e').map(str::to_owned)),
                _ => self.end = self.end.or(Some(End::Unknown)),
            }
            if self.packets.back().is_some_and(|packet| packet == "1") {
                self.packets.pop_back();
                self.end = Some(End::ClosePacket);
            }
        }
        // Before the session is open there is nothing to wait for behind its first packet.
        if !*polls && self.end.is_none() && (target.contains("sid=") || self.packets.is_empty()) {
            get.request("GET", target, "");
            *polls = true;
        }
        // Reading is left to those that look for answers: what is read here nobody would be woken for.
        get.write();
        post.write();
        if get.has_ended {
            self.end.get_or_insert(End::Cut);
        }
    }

    fn answer_pings(&mut self) {
        // NOOP ends a poll, and says nothing.
        self.packets.retain(|packet| packet != "6");
        let before = self.packets.len();
        self.packets.retain(|packet| packet != "2");
        for _ in self.packets.len()..before {
            self.pings += 1;
            self.send("3");
        }
    }

    fn pipes(&self) -> Vec<&Pipe> {
        match &self.wire {
            Wire::WebSocket(pipe) => vec![pipe],
            Wire::Polling { get, post, .. } => vec![get, post],
        }
    }
}

/// Waits until one of them has something to do.
pub(crate) fn wait(clients: &[&Client], until: Instant) {
    let pipes: Vec<&Pipe> =
        clients.iter().flat_map(|client| client.pipes()).filter(|pipe| !pipe.has_ended).collect();
    let interest =
        |pipe: &Pipe| if pipe.output.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
    let mut polled: Vec<PollFd<'_>> =
        pipes.iter().map(|pipe| PollFd::new(&pipe.stream, interest(pipe))).collect();
    let left = until.saturating_duration_since(Instant::now());
    poll(&mut polled, Some(&Timespec::try_from(left).unwrap())).unwrap();
}

/// A TCP connection that never blocks.
struct Pipe {
    stream: TcpStream,
    input: Vec<u8>,
    output: VecDeque<u8>,
    has_ended: bool,
}

impl Pipe {
    fn connect(url: &str) -> Self {
        let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).expect("the gateway listens");
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, input: Vec::new(), output: VecDeque::new(), has_ended: false }
    }

    /// Writes what is possible now.
    fn write(&mut self) {
        // An error is a full buffer, or an end, before which there may still be something to read.
        while !self.output.is_empty()
            && let Ok(count) = self.stream.write(self.output.as_slices().0)
        {
            self.output.drain(..count);
        }
    }

    /// Writes and reads what is possible now.
    fn work(&mut self) {
        self.write();
        let mut bytes = [0; 64 * 1024];
        while !self.has_ended {
            match self.stream.read(&mut bytes) {
                Ok(0) => self.has_ended = true,
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.has_ended = true,
            }
        }
    }

    fn request(&mut self, method: &str, target: &str, body: &str) {
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
        self.output.extend(head.bytes());
        self.output.extend(body.bytes());
        self.write();
    }

    /// The answer to a request, once all of it is there.
    fn answer(&mut self) -> Option<(u16, String)> {
        self.work();
        let end = self.input.windows(4).position(|bytes| bytes == HEAD_END)? + HEAD_END.len();
        let head = String::from_utf8_lossy(&self.input[..end]).to_lowercase();
        let length = head.split_once("content-length: ").expect("it has a length").1;
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        let body = self.input.get(end..end + length)?;
        let answer = (head[9..12].parse().unwrap(), String::from_utf8_lossy(body).into_owned());
        self.input.drain(..end + length);
        Some(answer)
    }
}

fn upgrade(url: &str) -> Pipe {
    let mut pipe = Pipe::connect(url);
    pipe.output.extend(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n\
          Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let until = Instant::now() + SOON;
    loop {
        pipe.work();
        if let Some(at) = pipe.input.windows(4).position(|bytes| bytes == HEAD_END) {
            assert!(pipe.input.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&pipe.input));
            pipe.input.drain(..at + HEAD_END.len());
            return pipe;
        }
        assert!(!pipe.has_ended && Instant::now() < until, "no upgrade");
        let flags = if pipe.output.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let left = until.saturating_duration_since(Instant::now());
        poll(&mut [PollFd::new(&pipe.stream, flags)], Some(&Timespec::try_from(left).unwrap())).unwrap();
    }
}

/// A masked text frame. A mask of zeros is one, too: RFC 6455 §5.3 asks clients for better ones.
fn text_frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).expect("no packet here is longer").to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// Takes a whole frame of the server off the front: its opcode, and its text unless it is a close.
fn server_frame(input: &mut Vec<u8>) -> Option<(u8, String)> {
    let (&[first, length], rest) = input.split_first_chunk()?;
    let (length, head) = match length {
        126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).unwrap(), 10),
        length => (usize::from(length), 2),
    };
    let text = String::from_utf8_lossy(input.get(head..head + length)?).into_owned();
    input.drain(..head + length);
    Some((first & 0x0f, text))
}
