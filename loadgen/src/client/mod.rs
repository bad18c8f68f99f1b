//! One Socket.IO client: a transport below, the session above, and the two ends of what passes through.
//!
//! Bytes go in through `receive` and `decode`, packets come out of `decode` one by one; packets to send are
//! gathered in the worker's buffer by `emit` and leave in one write by `flush`.

mod polling;
mod session;
mod upgrade;
mod websocket;

use crate::clock::Nanos;
use crate::stream::{Received, Stream};
use crate::wire::http::{Response, ResponseError};
use crate::wire::packet::Packet;
use crate::wire::websocket::FrameError;
use polling::{Polling, is_gone};
use session::{Reaction, Session};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use thiserror::Error;
use upgrade::Upgrade;
use websocket::WebSocket;

/// How the clients of a run talk to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Socket.IO over WebSocket.
    WebSocket,
    /// Socket.IO over HTTP long-polling.
    Polling,
    /// Long-polling, and then WebSocket.
    Upgrade,
    /// WebSocket text messages and nothing above them.
    Bare,
}

/// Where the server is, and how to talk to it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// Value of `Host`.
    pub(crate) host: String,
    /// Path of the requests, without query.
    pub(crate) path: String,
    pub(crate) dialect: Dialect,
    /// Empty for `/`; else it begins with a slash and ends with a comma, as packets have it.
    pub(crate) namespace: String,
    /// JSON for the CONNECT; may be empty.
    pub(crate) auth: String,
    /// Header fields for every request, each with its line end.
    pub(crate) headers: String,
    /// The largest messages of the run are not smaller than this.
    pub(crate) payload_bytes: u64,
}

#[cfg(test)]
impl Endpoint {
    /// An address that nobody connects to.
    fn for_tests() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 9)),
            host: "localhost:9".into(),
            path: "/socket.io/".into(),
            dialect: Dialect::WebSocket,
            namespace: String::new(),
            auth: String::new(),
            headers: String::new(),
            payload_bytes: 0,
        }
    }
}

/// Why a client ended before it was told to.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Stream(#[from] io::Error),
    #[error("HTTP status {0}{1}")]
    Status(u16, String),
    #[error("bad response: {0}")]
    Response(#[from] ResponseError),
    #[error("bad frame: {0}")]
    Frame(#[from] FrameError),
    #[error("bad packet: {0}")]
    Packet(&'static str),
    #[error("the handshake stalled")]
    Stalled,
    #[error("the server takes messages of at most {0} bytes (maxPayload), and --payload is more")]
    Payload(u64),
    #[error("refused by the namespace: {0}")]
    Refused(String),
    #[error("closed by the server")]
    Closed,
}

/// Characters of an error page that are shown.
const SHOWN_CHARS: usize = 100;

impl Failure {
    /// A response of the wrong status, with the beginning of what the server said about it.
    fn of_status(response: &Response<'_>) -> Self {
        let text = String::from_utf8_lossy(response.body);
        let words: Vec<&str> = text.split_whitespace().collect();
        let shown: String = words.join(" ").chars().take(SHOWN_CHARS).collect();
        Self::Status(response.status, if shown.is_empty() { shown } else { format!(": {shown}") })
    }
}

/// What a client tells the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming<'a> {
    /// The handshake is complete, the reply to the CONNECT included.
    Joined,
    /// A heartbeat; it has been answered.
    Ping,
    /// A Socket.IO packet (a whole message if the dialect is bare).
    Packet(Packet<'a>),
    /// The server agreed that we leave.
    Closed,
}

/// Bytes of one read, consumed from the front.
pub(crate) struct Input<'a> {
    /// Which of the client's streams they came from.
    pub(crate) stream: usize,
    pub(crate) bytes: &'a [u8],
    /// What is left of a poll body that is being taken apart.
    body: Option<&'a [u8]>,
}

impl<'a> Input<'a> {
    /// What one `receive` brought.
    pub(crate) fn new(stream: usize, bytes: &'a [u8]) -> Self {
        Self { stream, bytes, body: None }
    }
}

/// What a transport found in its input.
enum Found<'a> {
    /// The WebSocket is open.
    Upgraded,
    /// The session has moved from polling to its WebSocket.
    Moved,
    /// One Engine.IO packet.
    Packet(&'a [u8]),
    /// The transport's own goodbye.
    Closed,
}

enum Transport {
    WebSocket(WebSocket),
    Polling(Box<Polling>),
    Upgrade(Box<Upgrade>),
}

/// The type digits of Engine.IO and Socket.IO.
const TYPES_BYTES: usize = 2;
/// Which stream of a client is its WebSocket.
const WEBSOCKET: usize = 0;

/// One client.
pub(crate) struct Client {
    /// Its number in the run, from 0.
    pub(crate) number: u32,
    /// When it began to connect, or should have.
    pub(crate) started: Nanos,
    /// It reads what the server sends.
    pub(crate) reads: bool,
    session: Session,
    transport: Transport,
}

impl Client {
    /// Begins to connect. `due` is when it should.
    pub(crate) fn open(
        number: u32,
        endpoint: &Rc<Endpoint>,
        source: Option<IpAddr>,
        due: Nanos,
        now: Nanos,
    ) -> io::Result<Self> {
        let transport = match endpoint.dialect {
            Dialect::Polling => Transport::Polling(Box::new(Polling::open(endpoint, source)?)),
            Dialect::Upgrade => Transport::Upgrade(Box::new(Upgrade::open(endpoint, source, number)?)),
            Dialect::WebSocket | Dialect::Bare => {
                Transport::WebSocket(WebSocket::open(endpoint, source, number, "")?)
            }
        };
        let session = Session::new(endpoint, now);
        Ok(Self { number, started: due, reads: true, session, transport })
    }

    /// The streams that are there from the start, with the numbers the other methods know them by.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (usize, &Stream)> {
        match &self.transport {
            Transport::WebSocket(websocket) => [Some((WEBSOCKET, &websocket.stream)), None],
            Transport::Polling(polling) => polling.streams(),
            Transport::Upgrade(upgrade) => upgrade.polling_streams(),
        }
        .into_iter()
        .flatten()
    }

    /// A stream that has been opened since the last call, once.
    pub(crate) fn take_new_stream(&mut self) -> Option<(usize, &Stream)> {
        match &mut self.transport {
            Transport::Upgrade(upgrade) => upgrade.take_new_stream(),
            Transport::Polling(polling) => polling.take_new_stream(),
            Transport::WebSocket(_) => None,
        }
    }

    /// True if sending may open a stream.
    pub(crate) fn may_reopen(&self) -> bool {
        !matches!(self.transport, Transport::WebSocket(_))
    }

    /// True from the reply to the CONNECT (and the end of the upgrade) until it is told to close.
    pub(crate) fn is_joined(&self) -> bool {
        let moving = matches!(&self.transport, Transport::Upgrade(upgrade) if !upgrade.has_moved());
        self.session.is_joined() && !moving
    }

    /// True when it has said goodbye.
    pub(crate) fn is_leaving(&self) -> bool {
        self.session.is_leaving()
    }

    /// True if no heartbeat came for longer than the server promised.
    pub(crate) fn is_overdue(&self, now: Nanos) -> bool {
        self.reads && self.session.is_overdue(now)
    }

    /// A stream became writable, perhaps for the first time.
    pub(crate) fn writable(&mut self, stream: usize) -> Result<(), Failure> {
        match &mut self.transport {
            Transport::WebSocket(websocket) => websocket.writable(),
            Transport::Polling(polling) => polling.writable(stream),
            Transport::Upgrade(upgrade) => upgrade.writable(stream),
        }
    }

    /// Reads once from a stream; see `Stream::receive`. Of a stream that is gone there is nothing.
    pub(crate) fn receive(
        &mut self,
        stream: usize,
        buffer: &mut Vec<u8>,
        length: &mut usize,
    ) -> Result<Received, Failure> {
        let polls = !matches!(self.transport, Transport::WebSocket(_));
        match self.stream(stream).map(|stream| stream.receive(buffer, length)) {
            // `handle_end` knows what it is the end of.
            Some(Err(error)) if polls && is_gone(&error) => Ok(Received::End),
            Some(received) => Ok(received?),
            None => Ok(Received::Nothing),
        }
    }

    /// The next thing the server said. `Ok(None)`: the input is used up, or its end has not come yet.
    ///
    /// What the protocol itself must answer is appended to `out`.
    pub(crate) fn decode<'a>(
        &mut self,
        input: &mut Input<'a>,
        out: &mut Vec<u8>,
        now: Nanos,
    ) -> Result<Option<Incoming<'a>>, Failure> {
        loop {
            let found = match &mut self.transport {
                Transport::WebSocket(websocket) => websocket.decode(input, out)?,
                Transport::Polling(polling) => polling.decode(input)?,
                Transport::Upgrade(upgrade) => upgrade.decode(input, out)?,
            };
            let reaction = match found {
                None => return Ok(None),
                Some(Found::Closed) => self.session.handle_closed()?,
                Some(Found::Upgraded) => self.session.handle_upgraded(),
                // It may have joined while it moved.
                Some(Found::Moved) if self.is_joined() => Reaction::Joined,
                Some(Found::Moved) => Reaction::Nothing,
                Some(Found::Packet(packet)) => self.session.handle_packet(packet, now)?,
            };
            match reaction {
                Reaction::Nothing => {}
                Reaction::Opened { sid, max_payload } => {
                    match &mut self.transport {
                        Transport::Polling(polling) => polling.handle_opened(&sid, max_payload),
                        Transport::Upgrade(upgrade) => upgrade.handle_opened(&sid, max_payload)?,
                        Transport::WebSocket(_) => {}
                    }
                    self.emit(self.session.connect_packet().as_bytes(), out);
                }
                Reaction::Ping => {
                    self.emit(b"3", out);
                    return Ok(Some(Incoming::Ping));
                }
                Reaction::Joined if !self.is_joined() => {}
                Reaction::Joined => return Ok(Some(Incoming::Joined)),
                Reaction::Packet(packet) => return Ok(Some(Incoming::Packet(packet))),
                Reaction::Closed => return Ok(Some(Incoming::Closed)),
            }
        }
    }

    /// Keeps the incomplete end of an input.
    pub(crate) fn keep(&mut self, stream: usize, rest: &[u8]) {
        if let Some(stream) = self.stream(stream) {
            stream.keep(rest);
        }
    }

    /// The server closed a stream. `Incoming::Closed` if the client has ended with it, as it wanted.
    pub(crate) fn handle_end(&mut self, stream: usize) -> Result<Option<Incoming<'static>>, Failure> {
        let goes_on = match &mut self.transport {
            Transport::WebSocket(_) => false,
            Transport::Polling(polling) => polling.handle_end(stream),
            Transport::Upgrade(upgrade) => upgrade.handle_end(stream),
        };
        if goes_on {
            return Ok(None);
        }
        self.session.handle_closed()?;
        Ok(Some(Incoming::Closed))
    }

    /// Adds a message to what the next `flush` sends: an Engine.IO packet with a Socket.IO packet for `/` in it, which
    /// becomes one for the client's namespace.
    pub(crate) fn emit_message(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        if self.session.namespace().is_empty() {
            return self.emit(packet, out);
        }
        let (types, rest) = packet.split_at(TYPES_BYTES);
        let packet = [types, self.session.namespace().as_bytes(), rest].concat();
        self.emit(&packet, out);
    }

    /// Adds an Engine.IO packet to what the next `flush` sends.
    pub(crate) fn emit(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        match &mut self.transport {
            Transport::WebSocket(websocket) => websocket.emit(packet, out),
            Transport::Polling(_) => Polling::emit(packet, out),
            Transport::Upgrade(upgrade) => upgrade.emit(packet, out),
        }
    }

    /// Sends what was gathered in `out`, and empties it.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let sent = match &mut self.transport {
            Transport::WebSocket(websocket) => websocket.stream.send(out),
            Transport::Polling(polling) => polling.flush(out),
            Transport::Upgrade(upgrade) => upgrade.flush(out),
        };
        out.clear();
        Ok(sent?)
    }

    /// Says goodbye. `Incoming::Closed` comes when the server has agreed.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.session.close();
        match &mut self.transport {
            Transport::WebSocket(websocket) => websocket.emit_close(out),
            Transport::Polling(polling) => polling.emit_close(out),
            Transport::Upgrade(upgrade) => upgrade.emit_close(out),
        }
        self.flush(out)?;
        match &self.transport {
            Transport::WebSocket(websocket) => websocket.stream.finish(),
            Transport::Upgrade(upgrade) => upgrade.finish(),
            Transport::Polling(_) => {}
        }
        Ok(())
    }

    fn stream(&mut self, stream: usize) -> Option<&mut Stream> {
        match &mut self.transport {
            Transport::WebSocket(websocket) => Some(&mut websocket.stream),
            Transport::Polling(polling) => polling.stream(stream),
            Transport::Upgrade(upgrade) => upgrade.stream(stream),
        }
    }
}
