//! A client's long-polling: one keep-alive connection for polls and one for posts, as a browser keeps them
//! (protocol.md 1.5, 1.6). At most one request is under way on each; packets wait for the post before.

use super::{Endpoint, Failure, Found, Input};
use crate::stream::Stream;
use crate::wire::{http, push_decimal};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;

const GET: usize = 0;
const POST: usize = 1;
/// Streams of a client that polls.
pub(super) const STREAMS: usize = 2;
/// Between the packets of one body.
const SEPARATOR: u8 = 0x1e;

/// How far our goodbye has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    Queued,
    Sent,
}

/// The two connections, and what is under way on them.
pub(super) struct Polling {
    /// For polls, and for posts.
    pub(super) streams: [Stream; STREAMS],
    connected: [bool; STREAMS],
    /// Request heads, as far as they are the same every time; the session's once it is open.
    get_head: Vec<u8>,
    post_head: Vec<u8>,
    poll_due: bool,
    posting: bool,
    queued: Vec<u8>,
    leaving: Leaving,
    /// The session is about to move: no request follows those under way.
    pausing: bool,
    endpoint: Rc<Endpoint>,
}

impl Polling {
    pub(super) fn open(endpoint: &Rc<Endpoint>, source: Option<IpAddr>) -> io::Result<Self> {
        let connect = || Stream::connect(endpoint.address, source);
        Ok(Self {
            streams: [connect()?, connect()?],
            connected: [false; STREAMS],
            get_head: get_head(endpoint, "").into_bytes(),
            post_head: Vec::new(),
            poll_due: true,
            posting: false,
            queued: Vec::new(),
            leaving: Leaving::No,
            pausing: false,
            endpoint: endpoint.clone(),
        })
    }

    pub(super) fn writable(&mut self, stream: usize) -> Result<(), Failure> {
        if !self.connected[stream] {
            self.streams[stream].connect_result()?;
            self.connected[stream] = true;
        }
        self.streams[stream].flush()?;
        Ok(self.flush(&mut Vec::new())?)
    }

    /// Both, with their numbers.
    pub(super) fn streams(&self) -> [Option<(usize, &Stream)>; STREAMS] {
        [Some((GET, &self.streams[GET])), Some((POST, &self.streams[POST]))]
    }

    /// Starts no more requests. What is to be sent is kept.
    pub(super) fn pause(&mut self) {
        self.pausing = true;
    }

    /// Nothing is under way, and nothing will be.
    pub(super) fn has_paused(&self) -> bool {
        self.pausing && self.poll_due && !self.posting
    }

    /// The packets that were kept.
    pub(super) fn kept_packets(&self) -> impl Iterator<Item = &[u8]> {
        packets(&self.queued)
    }

    /// The session has an id: from here on the requests carry it.
    pub(super) fn handle_opened(&mut self, sid: &str) {
        self.get_head = get_head(&self.endpoint, sid).into_bytes();
        self.post_head = post_head(&self.endpoint, sid).into_bytes();
    }

    pub(super) fn decode<'a>(&mut self, input: &mut Input<'a>) -> Result<Option<Found<'a>>, Failure> {
        loop {
            if let Some(body) = input.body.take() {
                let end = body.iter().position(|byte| *byte == SEPARATOR);
                let (packet, rest) = match end {
                    Some(end) => (&body[..end], Some(&body[end + 1..])),
                    None => (body, None),
                };
                input.body = rest;
                return Ok(Some(Found::Packet(packet)));
            }
            let Some((response, used)) = http::decode(input.bytes)? else { return Ok(None) };
            if response.status != 200 {
                return Err(Failure::Status(response.status));
            }
            if response.last {
                return Err(Failure::Packet("the server does not keep the connection"));
            }
            input.bytes = &input.bytes[used..];
            if input.stream == GET {
                self.poll_due = true;
                input.body = Some(response.body);
            } else {
                self.posting = false;
                if self.leaving == Leaving::Sent {
                    return Ok(Some(Found::Closed));
                }
            }
        }
    }

    /// Queues the goodbye. No poll follows it.
    pub(super) fn emit_close(&mut self, out: &mut Vec<u8>) {
        self.leaving = Leaving::Queued;
        Self::emit(b"1", out);
    }

    pub(super) fn emit(packet: &[u8], out: &mut Vec<u8>) {
        if !out.is_empty() {
            out.push(SEPARATOR);
        }
        out.extend_from_slice(packet);
    }

    /// Queues `packets`, then sends the requests that are due, in the order of the stock client: post, poll.
    pub(super) fn flush(&mut self, packets: &mut Vec<u8>) -> io::Result<()> {
        if !packets.is_empty() {
            Self::emit(packets, &mut self.queued);
            packets.clear();
        }
        if self.pausing {
            return Ok(());
        }
        if self.connected[POST] && !self.posting && !self.queued.is_empty() && !self.post_head.is_empty() {
            self.posting = true;
            if self.leaving == Leaving::Queued {
                self.leaving = Leaving::Sent;
            }
            let body = packets;
            body.extend_from_slice(&self.post_head);
            push_decimal(self.queued.len() as u64, body);
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(&self.queued);
            self.queued.clear();
            self.streams[POST].send(body)?;
        }
        if self.connected[GET] && self.poll_due && self.leaving == Leaving::No {
            self.poll_due = false;
            self.streams[GET].send(&self.get_head)?;
        }
        Ok(())
    }
}

/// The packets of a body.
pub(super) fn packets(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == SEPARATOR).filter(|packet| !packet.is_empty())
}

fn target(endpoint: &Endpoint, sid: &str) -> String {
    let session = if sid.is_empty() { String::new() } else { format!("&sid={sid}") };
    format!("{}?EIO=4&transport=polling{session}", endpoint.path)
}

fn get_head(endpoint: &Endpoint, sid: &str) -> String {
    format!("GET {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n", target(endpoint, sid), endpoint.host)
}

/// Ends where the length of the body goes.
fn post_head(endpoint: &Endpoint, sid: &str) -> String {
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: ",
        target(endpoint, sid),
        endpoint.host
    )
}
