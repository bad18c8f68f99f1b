//! The floor: the least a WebSocket server can do on this kernel. One thread, one epoll set, one read buffer,
//! one `send` per answer. It does no more of Socket.IO than the load generator needs: no JSON, no sessions,
//! no heartbeats, no limits worth the name. It is a yardstick, not a server.
//!
//! Sockets are read without waiting and written with waiting: a full socket stops the floor rather than losing a
//! message, and the load generator always reads.

mod frame;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use frame::{Opcode, decode, encode};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, AsRawFd as _, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};
use sha1::{Digest as _, Sha1};
use std::io;
use std::net::TcpListener;

/// Events taken per `epoll_wait`.
const EVENTS_MAX: usize = 1024;
/// The shared read buffer, and with it the largest frame.
const READ_BYTES: usize = 256 << 10;
/// RFC 6455 §1.3.
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// No heartbeats: the first would be due after 24 days.
const OPEN: &[u8] =
    br#"0{"sid":"floorfloorfloorfloor","upgrades":[],"pingInterval":2147483647,"pingTimeout":1,"maxPayload":1000000}"#;
const JOINED: &[u8] = br#"40{"sid":"FLOORFLOORFLOORFLOOR"}"#;

/// What the floor does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Sends every message back as it is.
    Raw,
    /// Answers a Socket.IO handshake, acknowledges `echo`, and sends `broadcast` to everyone as `news`.
    SocketIo,
}

/// One accepted connection.
struct Connection {
    fd: OwnedFd,
    upgraded: bool,
    /// The beginning of a frame or request whose end has not come.
    partial: Vec<u8>,
}

/// The floor, ready to serve.
pub struct Floor {
    mode: Mode,
    epoll: OwnedFd,
    listener: TcpListener,
    /// By descriptor.
    connections: Vec<Option<Connection>>,
    input: Vec<u8>,
    /// Answers to the connection at hand.
    out: Vec<u8>,
    /// The frame of the broadcast at hand.
    news: Vec<u8>,
}

/// What becomes of a connection after its input was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Stay,
    Close,
    /// It stays, and `news` goes to everyone.
    FanOut,
}

impl Floor {
    /// Serves the connections of `listener`.
    pub fn new(listener: TcpListener, mode: Mode) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, event_data(&listener), EventFlags::IN)?;
        Ok(Self {
            mode,
            epoll,
            listener,
            connections: Vec::new(),
            input: vec![0; READ_BYTES],
            out: Vec::new(),
            news: Vec::new(),
        })
    }

    /// Serves for ever. An error is one of the process: out of descriptors or memory.
    pub fn serve(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let listener = event_data(&self.listener).u64();
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    data if data == listener => self.accept()?,
                    data => {
                        let slot = usize::try_from(data).expect("a descriptor");
                        let flags = event.flags;
                        self.handle_readable(slot, flags.intersects(EventFlags::RDHUP | EventFlags::HUP));
                    }
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let fd = match accept_with(&self.listener, SocketFlags::CLOEXEC) {
                Ok(fd) => fd,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            sockopt::set_tcp_nodelay(&fd, true)?;
            epoll::add(
                &self.epoll,
                &fd,
                event_data(&fd),
                EventFlags::IN | EventFlags::RDHUP | EventFlags::ET,
            )?;
            let slot = usize::try_from(fd.as_raw_fd()).expect("a descriptor");
            if self.connections.len() <= slot {
                self.connections.resize_with(slot + 1, || None);
            }
            self.connections[slot] = Some(Connection { fd, upgraded: false, partial: Vec::new() });
        }
    }

    /// Reads until there is nothing more: a short read says so (epoll(7), "edge-triggered"), unless the end
    /// was announced with it.
    fn handle_readable(&mut self, slot: usize, ending: bool) {
        while let Some(connection) = &mut self.connections[slot] {
            let kept = connection.partial.len();
            self.input[..kept].copy_from_slice(&connection.partial);
            connection.partial.clear();
            let next = match recv(&connection.fd, &mut self.input[kept..], RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => return self.keep(slot, 0, kept),
                Err(_) | Ok((0, _)) => Next::Close,
                Ok((count, _)) => {
                    let next = self.handle_input(slot, kept + count);
                    if next != Next::Close && kept + count < self.input.len() && !ending {
                        return;
                    }
                    next
                }
            };
            if next == Next::Close {
                self.connections[slot] = None;
            }
        }
    }

    fn keep(&mut self, slot: usize, from: usize, to: usize) {
        if let Some(connection) = &mut self.connections[slot] {
            connection.partial.extend_from_slice(&self.input[from..to]);
        }
    }

    /// Handles `self.input[..length]`, sends the answers in one write, keeps the incomplete end.
    fn handle_input(&mut self, slot: usize, length: usize) -> Next {
        self.out.clear();
        let mut at = 0;
        let upgraded = self.connections[slot].as_ref().is_some_and(|connection| connection.upgraded);
        if !upgraded {
            let Some(head) = self.input[..length].windows(4).position(|end| end == b"\r\n\r\n") else {
                self.keep(slot, 0, length);
                return if length < self.input.len() { Next::Stay } else { Next::Close };
            };
            at = head + 4;
            if self.upgrade(slot, at) == Next::Close {
                return Next::Close;
            }
        }
        let mut next = Next::Stay;
        loop {
            match decode(&mut self.input[at..length]) {
                Ok(Some((opcode, payload, used))) => {
                    next = respond(self.mode, opcode, payload, &mut self.out, &mut self.news);
                    at += used;
                }
                Ok(None) => break,
                Err(_) => return Next::Close,
            }
            match next {
                Next::Stay => {}
                Next::Close => break,
                Next::FanOut => self.fan_out(),
            }
        }
        self.keep(slot, at, length);
        match &self.connections[slot] {
            Some(connection) if !self.out.is_empty() && !send_all(&connection.fd, &self.out) => Next::Close,
            _ => next,
        }
    }

    fn upgrade(&mut self, slot: usize, head: usize) -> Next {
        let Some(key) = websocket_key(&self.input[..head]) else { return Next::Close };
        let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(WEBSOCKET_GUID).finalize());
        self.out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        self.out.extend_from_slice(accept.as_bytes());
        self.out.extend_from_slice(b"\r\n\r\n");
        if self.mode == Mode::SocketIo {
            encode(Opcode::Text, &[OPEN], &mut self.out);
        }
        if let Some(connection) = &mut self.connections[slot] {
            connection.upgraded = true;
        }
        Next::Stay
    }

    /// The bare send loop that a broadcast is measured against.
    fn fan_out(&mut self) {
        for slot in &mut self.connections {
            if slot.as_ref().is_some_and(|to| to.upgraded && !send_all(&to.fd, &self.news)) {
                *slot = None;
            }
        }
    }
}

/// Appends the answer to one message to `out`, or leaves the frame for everyone in `news`.
fn respond(mode: Mode, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>, news: &mut Vec<u8>) -> Next {
    match (opcode, mode) {
        (Opcode::Close, _) => {
            encode(Opcode::Close, &[payload], out);
            Next::Close
        }
        (Opcode::Ping, _) => {
            encode(Opcode::Pong, &[payload], out);
            Next::Stay
        }
        (Opcode::Pong, _) => Next::Stay,
        (Opcode::Text | Opcode::Binary, Mode::Raw) => {
            encode(opcode, &[payload], out);
            Next::Stay
        }
        (Opcode::Text, Mode::SocketIo) => respond_to_packet(payload, out, news),
        (Opcode::Binary, Mode::SocketIo) => Next::Close,
    }
}

/// `40` is answered as joined, `42<id>["echo",…]` with `43<id>[…]`, `42["broadcast",…]` with `42["news",…]`.
fn respond_to_packet(packet: &[u8], out: &mut Vec<u8>, news: &mut Vec<u8>) -> Next {
    if let Some(event) = packet.strip_prefix(b"42") {
        let digits = event.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (id, event) = event.split_at(digits);
        if let Some(arguments) = event.strip_prefix(b"[\"echo\",") {
            encode(Opcode::Text, &[b"43", id, b"[", arguments], out);
            return Next::Stay;
        }
        if let Some(arguments) = event.strip_prefix(b"[\"broadcast\",") {
            news.clear();
            encode(Opcode::Text, &[b"42[\"news\",", arguments], news);
            return Next::FanOut;
        }
        return Next::Close;
    }
    if packet.starts_with(b"40") {
        encode(Opcode::Text, &[JOINED], out);
    }
    Next::Stay
}

/// Sends all of it, waiting if need be. False if the connection is gone.
fn send_all(fd: impl AsFd, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match send(fd.as_fd(), bytes, SendFlags::NOSIGNAL) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

fn websocket_key(head: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"sec-websocket-key:";
    let lines = head.split(|byte| *byte == b'\n');
    let has_name = |line: &&[u8]| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
    lines.into_iter().find(has_name).map(|line| line[NAME.len()..].trim_ascii())
}

fn event_data(fd: impl AsFd) -> EventData {
    EventData::new_u64(u64::try_from(fd.as_fd().as_raw_fd()).expect("descriptors are not negative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(packet: &str) -> (Next, Vec<u8>, Vec<u8>) {
        let (mut out, mut news) = (Vec::new(), Vec::new());
        let next = respond_to_packet(packet.as_bytes(), &mut out, &mut news);
        (next, out, news)
    }

    #[test]
    fn an_echo_is_acknowledged_with_its_arguments() {
        assert_eq!(answer(r#"4212["echo","x"]"#), (Next::Stay, b"\x81\x094312[\"x\"]".to_vec(), vec![]));
    }

    #[test]
    fn a_broadcast_becomes_news_for_everyone() {
        assert_eq!(
            answer(r#"42["broadcast",1]"#),
            (Next::FanOut, vec![], b"\x81\x0c42[\"news\",1]".to_vec())
        );
    }

    #[test]
    fn the_key_is_found_whatever_its_case() {
        assert_eq!(websocket_key(b"GET / HTTP/1.1\r\nsec-WebSocket-key:  abc \r\n\r\n"), Some(&b"abc"[..]));
        assert_eq!(websocket_key(b"GET / HTTP/1.1\r\n\r\n"), None);
    }
}
