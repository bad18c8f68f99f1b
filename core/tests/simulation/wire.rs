//! What a client writes and reads: HTTP/1.1, WebSocket frames, poll bodies, Socket.IO packets. Written for the
//! tests alone, so that the codecs under test do not check themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An Engine.IO packet as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Text(String),
    Binary(Vec<u8>),
}

impl Packet {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => 1 + bytes.len().div_ceil(3) * 4,
        }
    }
}

/// A request head and its body, if any.
pub(crate) fn request(method: &str, target: &str, body: Option<&[u8]>) -> Vec<u8> {
    let mut out = format!("{method} {target} HTTP/1.1\r\nHost: sim\r\n").into_bytes();
    if let Some(body) = body {
        out.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    out.extend(b"\r\n");
    out.extend(body.unwrap_or_default());
    out
}

/// As [`request`], with the body cut into chunks of `chunk` bytes.
pub(crate) fn chunked_request(target: &str, body: &[u8], chunk: usize) -> Vec<u8> {
    let mut out =
        format!("POST {target} HTTP/1.1\r\nHost: sim\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for piece in body.chunks(chunk) {
        out.extend(format!("{:x}\r\n", piece.len()).bytes());
        out.extend(piece);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

pub(crate) fn upgrade_request(target: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: sim\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// A response, whole.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) closes: bool,
}

/// Takes a response off the front of `input`, if it is all there.
pub(crate) fn take_response(input: &mut Vec<u8>) -> Option<Response> {
    let end = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(&input[..end]).expect("heads are ASCII").to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let field =
        |name: &str| head.lines().filter_map(|line| line.split_once(':')).find(|(other, _)| *other == name);
    let bytes = field("content-length").map_or(0, |(_, value)| value.trim().parse().expect("a length"));
    let closes = field("connection").is_some_and(|(_, value)| value.trim() == "close");
    if input.len() < end + bytes {
        return None;
    }
    let body = input[end..end + bytes].to_vec();
    input.drain(..end + bytes);
    Some(Response { status, body, closes })
}

const SEPARATOR: char = '\u{1e}';

pub(crate) fn poll_body(packets: &[Packet]) -> Vec<u8> {
    let encode = |packet: &Packet| match packet {
        Packet::Text(text) => text.clone(),
        Packet::Binary(bytes) => format!("b{}", STANDARD.encode(bytes)),
    };
    packets.iter().map(encode).collect::<Vec<_>>().join(&SEPARATOR.to_string()).into_bytes()
}

pub(crate) fn read_poll_body(body: &[u8]) -> Vec<Packet> {
    let text = str::from_utf8(body).expect("poll bodies are UTF-8");
    text.split(SEPARATOR)
        .map(|packet| match packet.strip_prefix('b') {
            Some(base64) => Packet::Binary(STANDARD.decode(base64).expect("base64")),
            None => Packet::Text(packet.to_owned()),
        })
        .collect()
}

/// A client frame, masked.
pub(crate) fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        long => {
            out.push(0x80 | 126);
            out.extend((long as u16).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// A server frame: its first byte and payload, off the front of `input`, if it is all there.
pub(crate) fn take_frame(input: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (first, second) = (*input.first()?, *input.get(1)?);
    assert_eq!(second & 0x80, 0, "servers do not mask");
    let (bytes, start) = match second {
        126 => (usize::from(u16::from_be_bytes(input.get(2..4)?.try_into().unwrap())), 4),
        127 => (u64::from_be_bytes(input.get(2..10)?.try_into().unwrap()) as usize, 10),
        short => (usize::from(short), 2),
    };
    let payload = input.get(start..start + bytes)?.to_vec();
    input.drain(..start + bytes);
    Some((first, payload))
}

/// A Socket.IO packet, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct SocketPacket {
    /// `0` to `6`.
    pub(crate) kind: u8,
    pub(crate) attachments: usize,
    pub(crate) namespace: String,
    pub(crate) ack: Option<u64>,
    pub(crate) json: serde_json::Value,
}

/// Reads the content of a text message (without the Engine.IO type).
pub(crate) fn read_socket_packet(text: &str) -> SocketPacket {
    let (kind, mut rest) = (text.as_bytes()[0], &text[1..]);
    let mut attachments = 0;
    if matches!(kind, b'5' | b'6') {
        let (count, tail) = rest.split_once('-').expect("a count of attachments");
        (attachments, rest) = (count.parse().expect("a number"), tail);
    }
    let mut namespace = "/";
    if rest.starts_with('/') {
        (namespace, rest) = rest.split_once(',').expect("servers end names with a comma");
    }
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (ack, json) = rest.split_at(digits);
    SocketPacket {
        kind,
        attachments,
        namespace: namespace.to_owned(),
        ack: (!ack.is_empty()).then(|| ack.parse().expect("an id")),
        json: if json.is_empty() {
            serde_json::Value::Null
        } else {
            serde_json::from_str(json).expect("JSON")
        },
    }
}

/// The text of a packet of the client: `kind` and attachment count in front.
pub(crate) fn socket_packet(kind: &str, namespace: &str, ack: Option<u64>, json: &str) -> Packet {
    let namespace = if namespace == "/" { String::new() } else { format!("{namespace},") };
    let ack = ack.map(|ack| ack.to_string()).unwrap_or_default();
    Packet::Text(format!("4{kind}{namespace}{ack}{json}"))
}
