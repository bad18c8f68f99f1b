//! A client's WebSocket: the upgrade, then one Engine.IO packet per message (protocol.md 1.9).

use super::{Dialect, Endpoint, Failure, Found, Input};
use crate::stream::Stream;
use crate::wire::http;
use crate::wire::websocket::{Opcode, decode, encode};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;

/// The example key of RFC 6455 §1.3 and its answer. A server cannot tell, and we need not hash.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Close code 1000, a normal end (RFC 6455 §7.4.1).
const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();

/// One WebSocket, from the TCP connection on.
pub(super) struct WebSocket {
    pub(super) stream: Stream,
    endpoint: Rc<Endpoint>,
    connected: bool,
    upgraded: bool,
    /// The session it will take over; empty if it starts its own.
    sid: String,
    /// State of the generator of masks; never zero.
    mask: u32,
}

impl WebSocket {
    pub(super) fn open(
        endpoint: &Rc<Endpoint>,
        source: Option<IpAddr>,
        number: u32,
        sid: &str,
    ) -> io::Result<Self> {
        let stream = Stream::connect(endpoint.address, source)?;
        let mask = number.wrapping_mul(2).wrapping_add(1);
        Ok(Self {
            stream,
            endpoint: endpoint.clone(),
            connected: false,
            upgraded: false,
            sid: sid.into(),
            mask,
        })
    }

    pub(super) fn writable(&mut self) -> Result<(), Failure> {
        if !self.connected {
            self.stream.connect_result()?;
            self.connected = true;
            self.stream.send(upgrade_request(&self.endpoint, &self.sid).as_bytes())?;
        }
        Ok(self.stream.flush()?)
    }

    pub(super) fn decode<'a>(
        &mut self,
        input: &mut Input<'a>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Found<'a>>, Failure> {
        if !self.upgraded {
            return self.decode_upgrade(input);
        }
        loop {
            let Some((frame, used)) = decode(input.bytes)? else { return Ok(None) };
            input.bytes = &input.bytes[used..];
            match frame.opcode {
                Opcode::Text => return Ok(Some(Found::Packet(frame.payload))),
                Opcode::Binary => return Err(Failure::Packet("binary, which no scenario sends")),
                Opcode::Close => return Ok(Some(Found::Closed)),
                Opcode::Ping => {
                    let mask = self.next_mask();
                    encode(Opcode::Pong, frame.payload, mask, out);
                }
                Opcode::Pong => {}
            }
        }
    }

    pub(super) fn emit(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        let mask = self.next_mask();
        encode(Opcode::Text, packet, mask, out);
    }

    pub(super) fn emit_close(&mut self, out: &mut Vec<u8>) {
        let mask = self.next_mask();
        encode(Opcode::Close, &NORMAL, mask, out);
    }

    fn decode_upgrade<'a>(&mut self, input: &mut Input<'a>) -> Result<Option<Found<'a>>, Failure> {
        let Some((response, used)) = http::decode(input.bytes)? else { return Ok(None) };
        if response.status != 101 {
            return Err(Failure::of_status(&response));
        }
        if response.accept != Some(ACCEPT) {
            return Err(Failure::Packet("wrong Sec-WebSocket-Accept"));
        }
        input.bytes = &input.bytes[used..];
        self.upgraded = true;
        Ok(Some(Found::Upgraded))
    }

    /// Xorshift: different for every frame, and free. Nobody attacks a load test through its proxies.
    pub(super) fn next_mask(&mut self) -> [u8; 4] {
        self.mask ^= self.mask << 13;
        self.mask ^= self.mask >> 17;
        self.mask ^= self.mask << 5;
        self.mask.to_ne_bytes()
    }
}

fn upgrade_request(endpoint: &Endpoint, sid: &str) -> String {
    let query = if endpoint.dialect == Dialect::Bare { "" } else { "?EIO=4&transport=websocket" };
    let session = if sid.is_empty() { String::new() } else { format!("&sid={sid}") };
    format!(
        "GET {}{query}{session} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{}\r\n",
        endpoint.path, endpoint.host, endpoint.headers
    )
}
