//! A WebSocket client: masked frames out, frames in.

use super::http::mask;
use super::polling::sid_of;
use super::{Conn, Server};

/// The key of RFC 6455 §1.3 and the answer to it.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Where Socket.IO lives, and what its clients ask.
pub(crate) const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=websocket";

/// One WebSocket.
pub(crate) struct WebSocket {
    pub(crate) conn: Conn,
    /// The session, if it was opened here.
    pub(crate) sid: String,
}

impl WebSocket {
    /// Opens a session.
    pub(crate) fn open(server: &Server) -> Self {
        Self::open_on(server, 0)
    }

    /// Opens a session on a shard.
    pub(crate) fn open_on(server: &Server, shard: u16) -> Self {
        Self::open_at(server, HANDSHAKE, shard)
    }

    /// Opens a session at another target.
    pub(crate) fn open_at(server: &Server, target: &str, shard: u16) -> Self {
        let mut client = Self::connect(server, target, shard);
        let [Frame::Text(open)] = &client.frames()[..] else { panic!("no open packet") };
        client.sid = sid_of(open);
        client
    }

    /// Opens a session and joins `/`.
    pub(crate) fn joined(server: &Server) -> Self {
        Self::joined_on(server, 0)
    }

    /// Opens a session on a shard and joins `/`.
    pub(crate) fn joined_on(server: &Server, shard: u16) -> Self {
        let client = Self::open_on(server, shard);
        assert_eq!(client.say("40"), [r#"40{"sid":"~"}"#]);
        client
    }

    /// Tries to upgrade a session; the connection arrives at `shard`.
    pub(crate) fn upgrade(server: &Server, sid: &str, shard: u16) -> Self {
        Self::connect(server, &format!("{HANDSHAKE}&sid={sid}"), shard)
    }

    fn connect(server: &Server, target: &str, shard: u16) -> Self {
        let conn = server.connect_to(shard);
        conn.send(request(target));
        let response = conn.response();
        assert_eq!(response.status, 101, "{response:?}");
        assert_eq!(response.field("sec-websocket-accept"), Some(ACCEPT));
        Self { conn, sid: String::new() }
    }

    /// Sends a text message; `<0102>` is binary.
    pub(crate) fn send(&self, message: &str) {
        self.conn.send(encode(message));
    }

    /// Sends messages in one segment.
    pub(crate) fn send_all(&self, messages: &[&str]) {
        self.conn.send(messages.iter().flat_map(|message| encode(message)).collect::<Vec<_>>());
    }

    /// Sends a message, and takes what comes back.
    pub(crate) fn say(&self, message: &str) -> Vec<String> {
        self.send(message);
        self.take()
    }

    /// Takes all frames that have come, as text; see [`Frame::show`].
    pub(crate) fn take(&self) -> Vec<String> {
        self.frames().iter().map(Frame::show).collect()
    }

    /// Takes all frames that have come.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let bytes = self.conn.take();
        let (mut frames, mut at) = (Vec::new(), 0);
        while let Some((frame, used)) = Frame::parse(&bytes[at..]) {
            frames.push(frame);
            at += used;
        }
        self.conn.put_back(&bytes[at..]);
        frames
    }
}

/// A frame of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Close(Option<u16>),
    Pong(Vec<u8>),
}

impl Frame {
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&first, rest) = bytes.split_first()?;
        let (&second, rest) = rest.split_first()?;
        assert_eq!(second & 0x80, 0, "servers do not mask");
        let (length, rest) = match second {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (usize::try_from(u64::from_be_bytes(*length)).unwrap(), rest)
            }
            length => (usize::from(length), rest),
        };
        let payload = rest.get(..length)?.to_vec();
        let frame = match first {
            0x81 => Self::Text(String::from_utf8(payload).expect("text is UTF-8")),
            0x82 => Self::Binary(payload),
            0x88 => Self::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
            0x8a => Self::Pong(payload),
            other => panic!("unexpected first byte {other:#x}"),
        };
        Some((frame, bytes.len() - rest.len() + length))
    }

    /// Text as it is, with ids masked; `<0102>`; `CLOSE 1005`; `PONG hi`.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Text(text) => mask(text),
            Self::Binary(bytes) => hex(bytes),
            Self::Close(code) => format!("CLOSE {}", code.unwrap_or(1005)),
            Self::Pong(payload) => format!("PONG {}", String::from_utf8_lossy(payload)),
        }
    }
}

/// The request of a handshake.
pub(crate) fn request(target: &str) -> String {
    request_with(target, "")
}

/// The request of a handshake, with more fields.
pub(crate) fn request_with(target: &str, fields: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{fields}\r\n"
    )
}

/// A masked frame. `first` is FIN, RSV and opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The frame of a message as tests write it: text, or `<0102>` for binary.
pub(crate) fn encode(message: &str) -> Vec<u8> {
    match message.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
        Some(digits) => frame(0x82, &unhex(digits)),
        None => frame(0x81, message.as_bytes()),
    }
}

/// `<0102>`
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<{digits}>")
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
