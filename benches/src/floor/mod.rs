//! The floor: the least a WebSocket server can do on this kernel. One thread, one epoll set, one read buffer,
//! one `send` per answer. It does no more of Socket.IO than the load generator needs: no JSON, no sessions,
//! no heartbeats, no limits worth the name. It is a yardstick, not a server.
//!
//! Sockets are read without waiting and written with waiting: a full socket stops the floor rather than losing a
//! message, and the load generator always reads.

mod answer;
mod frame;

use answer::{Answer, Next};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use frame::{Opcode, decode, encode};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, AsRawFd as _, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};
use sha1::{Digest as _, Sha1};
use std::collections::HashMap;
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

/// What the floor does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Sends every message back as it is.
    Raw,
    /// Answers a Socket.IO handshake, acknowledges `echo`, sends `broadcast` to everyone as `news`, and `room` to those
    /// who have sent its `join`, as `msg`.
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
    /// What is to be said to the message at hand.
    answer: Answer,
    /// Who has joined a room, by its name.
    rooms: HashMap<Vec<u8>, Vec<usize>>,
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
            answer: Answer::default(),
            rooms: HashMap::new(),
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
                self.close(slot);
            }
        }
    }

    fn close(&mut self, slot: usize) {
        self.connections[slot] = None;
        // The next connection may have this descriptor.
        self.rooms.values_mut().for_each(|members| members.retain(|member| *member != slot));
    }

    fn keep(&mut self, slot: usize, from: usize, to: usize) {
        if let Some(connection) = &mut self.connections[slot] {
            connection.partial.extend_from_slice(&self.input[from..to]);
        }
    }

    /// Handles `self.input[..length]`, sends the answers in one write, keeps the incomplete end.
    fn handle_input(&mut self, slot: usize, length: usize) -> Next {
        self.answer.out.clear();
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
                    next = self.answer.respond(self.mode, opcode, payload);
                    at += used;
                }
                Ok(None) => break,
                Err(_) => return Next::Close,
            }
            match next {
                Next::Stay => {}
                Next::Close => break,
                Next::Join => self.rooms.entry(self.answer.room.clone()).or_default().push(slot),
                Next::FanOut => self.fan_out(),
                Next::FanOutToRoom => self.fan_out_to_room(),
            }
        }
        self.keep(slot, at, length);
        match &self.connections[slot] {
            Some(connection)
                if !self.answer.out.is_empty() && !send_all(&connection.fd, &self.answer.out) =>
            {
                Next::Close
            }
            _ => next,
        }
    }

    fn upgrade(&mut self, slot: usize, head: usize) -> Next {
        let Some(key) = websocket_key(&self.input[..head]) else { return Next::Close };
        let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(WEBSOCKET_GUID).finalize());
        self.answer.out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        self.answer.out.extend_from_slice(accept.as_bytes());
        self.answer.out.extend_from_slice(b"\r\n\r\n");
        if self.mode == Mode::SocketIo {
            encode(Opcode::Text, &[OPEN], &mut self.answer.out);
        }
        if let Some(connection) = &mut self.connections[slot] {
            connection.upgraded = true;
        }
        Next::Stay
    }

    /// The bare send loop that a broadcast is measured against. Who cannot be sent to is gone, and soon read as such.
    fn fan_out(&self) {
        for to in self.connections.iter().flatten().filter(|to| to.upgraded) {
            let _gone = send_all(&to.fd, &self.answer.news);
        }
    }

    /// The same for a room.
    fn fan_out_to_room(&self) {
        let members = self.rooms.get(&self.answer.room).map_or(&[][..], Vec::as_slice);
        for to in members.iter().filter_map(|member| self.connections[*member].as_ref()) {
            let _gone = send_all(&to.fd, &self.answer.news);
        }
    }
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

    #[test]
    fn the_key_is_found_whatever_its_case() {
        assert_eq!(websocket_key(b"GET / HTTP/1.1\r\nsec-WebSocket-key:  abc \r\n\r\n"), Some(&b"abc"[..]));
        assert_eq!(websocket_key(b"GET / HTTP/1.1\r\n\r\n"), None);
    }
}
