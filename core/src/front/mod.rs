//! One connection: a client's, HTTP until it is upgraded, or the application's own.
//!
//! Like a session, a connection is data; `shard/` moves it. What belongs here is what can be said of one
//! connection alone. Spec: protocol.md 1.5 to 1.9.

pub mod assets;
pub mod write_queue;

use crate::arena::Key;
use crate::engine_io::request::EngineQuery;
use crate::http::cors::FieldList;
use crate::http::{BodyDecoder, Coding, HeadDecoder, Reply};
use crate::id::Id;
use crate::limits::HELD_INPUT_BYTES_MAX;
use crate::time::Instant;
use crate::timers::Armed;
use crate::ws;
use ::http::HeaderMap;
use std::net::SocketAddr;
use write_queue::WriteQueue;

/// What the driver calls a stream: opaque here (in the gateway, the fd).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamHandle(pub i32);

/// An accepted stream.
#[derive(Debug)]
pub struct Conn {
    /// The driver's name for it.
    pub stream: StreamHandle,
    /// Who is at the other end.
    pub peer: SocketAddr,
    /// Bytes for the client.
    pub out: WriteQueue,
    /// Bytes from the client that wait for the rest of a head, or for the answer to an earlier request.
    pub input: Vec<u8>,
    /// Bytes of unfinished input that the shard has counted for it.
    pub counted_bytes: usize,
    /// What its bytes mean.
    pub role: Role,
    /// When something about it must have happened.
    pub deadline: Option<Instant>,
    /// What the timer wheel knows.
    pub armed: Armed,
    /// The tick in which something was queued last.
    pub queued_in: u64,
    /// Whether the driver has been told that there is something to write.
    pub is_touched: bool,
    /// Whether the last write could not take everything.
    pub is_blocked: bool,
    /// Whether the first bytes of a head are here.
    pub head_started: bool,
    /// Whether the driver has been told to stop reading.
    pub is_paused: bool,
    /// Whether the application takes no more input from it now.
    pub is_held: bool,
    /// Whether the peer has sent FIN. What it asked for before may still be answered.
    pub has_ended: bool,
    /// What happens once `out` is empty.
    pub then: Then,
}

/// What happens to a connection once everything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on.
    GoOn,
    /// It ends: the peer has said that it is done, or is a port.
    Close,
    /// FIN is sent, and the connection ends when the peer closes or after a while. Closing at once could reset
    /// the connection before the client has read the last word.
    Linger,
}

/// What a connection's bytes mean.
#[derive(Debug)]
pub enum Role {
    /// HTTP requests.
    Http(Http),
    /// WebSocket frames.
    WebSocket(WebSocket),
    /// Nothing any more: they are thrown away until the peer closes.
    Leaving,
    /// The application knows.
    Port,
}

/// The HTTP side of a connection.
#[derive(Debug, Default)]
pub struct Http {
    /// Looks for the next head.
    pub head: HeadDecoder,
    /// The request that is not yet answered, or whose body is not yet read.
    pub exchange: Option<Box<Exchange>>,
    /// Number of the current request.
    pub sequence: u32,
}

/// One request and what its response needs.
#[derive(Debug)]
pub struct Exchange {
    /// Version, method and keep-alive.
    pub reply: Reply,
    /// CORS fields of the response, whatever it is.
    pub fields: FieldList,
    /// Fields of the application, for a response that is no refusal.
    pub app_fields: HeaderMap,
    /// What a large enough poll response is compressed with.
    pub coding: Coding,
    /// What it is about.
    pub subject: Subject,
    /// Where its body goes.
    pub body: Body,
    /// Whether the response has been written (the body may still be coming).
    pub is_answered: bool,
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Answered on the spot.
    Nothing,
    /// A poll or post of a session.
    Session(Id),
    /// A request whose body is sent back (the conformance app).
    Echo,
}

/// Where a request's body goes.
#[derive(Debug)]
pub enum Body {
    /// It has been read.
    Done,
    /// Into memory, up to the limit.
    Collect {
        /// Takes the framing off.
        decoder: BodyDecoder,
        /// What has come.
        bytes: Vec<u8>,
    },
    /// Nowhere.
    Skip {
        /// Takes the framing off.
        decoder: BodyDecoder,
        /// How many more bytes are worth reading to keep the connection.
        budget: usize,
    },
}

/// The WebSocket side of a connection.
#[derive(Debug)]
pub struct WebSocket {
    /// Frames in the making.
    pub decoder: ws::Decoder,
    /// Who gets the messages.
    pub user: WebSocketUser,
    /// Whether binary goes to the client as text in base64.
    pub base64_only: bool,
    /// Whether our close frame has been queued.
    pub close_sent: bool,
}

/// Who gets the messages of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSocketUser {
    /// The session whose transport it is.
    Session(Key),
    /// The session it tries to take over.
    Candidate(Key),
    /// Nobody: each message is sent back (the conformance app's `/ws`).
    Echo,
    /// Nobody any more: we have sent a close frame and wait for the peer's.
    Closing,
}

/// A WebSocket upgrade request, on its way to its session.
#[derive(Debug)]
pub struct Upgrade {
    /// Its query.
    pub query: EngineQuery,
    /// See `engine_io::request::Request`.
    pub is_origin_valid: bool,
    /// What the WebSocket handshake says: the accept key and the subprotocol, or what is wrong with it.
    pub accepted: Result<AcceptedUpgrade, ws::handshake::Refusal>,
    /// CORS fields of the response, whatever it is.
    pub fields: FieldList,
    /// Fields of the application, for the 101.
    pub app_fields: HeaderMap,
}

/// The values of a 101 response.
#[derive(Debug)]
pub struct AcceptedUpgrade {
    /// `Sec-WebSocket-Accept`.
    pub accept_key: String,
    /// `Sec-WebSocket-Protocol`.
    pub subprotocol: Option<String>,
}

impl Conn {
    /// A connection that waits for its first request until `deadline`.
    pub fn new(stream: StreamHandle, peer: SocketAddr, deadline: Instant) -> Self {
        Self {
            stream,
            peer,
            out: WriteQueue::default(),
            input: Vec::new(),
            counted_bytes: 0,
            role: Role::Http(Http::default()),
            deadline: Some(deadline),
            armed: Armed::default(),
            queued_in: 0,
            is_touched: false,
            is_blocked: false,
            head_started: false,
            is_paused: false,
            is_held: false,
            has_ended: false,
            then: Then::GoOn,
        }
    }

    /// A stream of the application's own. It has no deadline, and nobody's address.
    pub fn port(stream: StreamHandle) -> Self {
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { role: Role::Port, deadline: None, ..Self::new(stream, nobody, Instant::ORIGIN) }
    }

    /// Whether it is the application's own.
    pub fn is_port(&self) -> bool {
        matches!(self.role, Role::Port)
    }

    /// Whether nothing more is to be read from it for now.
    pub fn must_wait(&self) -> bool {
        self.is_held || self.input.len() > HELD_INPUT_BYTES_MAX
    }

    /// Its HTTP side, if it still has one.
    pub fn http(&mut self) -> Option<&mut Http> {
        match &mut self.role {
            Role::Http(http) => Some(http),
            _ => None,
        }
    }

    /// Its WebSocket side, if it has one.
    pub fn websocket(&mut self) -> Option<&mut WebSocket> {
        match &mut self.role {
            Role::WebSocket(websocket) => Some(websocket),
            _ => None,
        }
    }

    /// Whether it has answered a request and waits for the next, for as long as keep-alive lets it.
    pub fn is_between_requests(&self) -> bool {
        let is_idle = matches!(&self.role, Role::Http(http) if http.exchange.is_none());
        is_idle && !self.head_started && self.then == Then::GoOn
    }

    /// Whether a volatile packet may be sent: everything from before this tick has left.
    pub fn is_writable(&self, tick: u64) -> bool {
        self.out.is_empty() || (!self.is_blocked && self.queued_in != tick)
    }
}
