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

/// One of the two connections. A server may close it when no request is under way (Node does after five seconds); the
/// next request then opens another. A request that crosses with such a close is sent again, as browsers do.
struct Connection {
    stream: Stream,
    state: ConnectionState,
    /// It has been of use: if it ends now, that need not be about the request under way.
    has_answered: bool,
    /// Its stream has replaced one, and is not watched yet.
    is_new: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionState {
    Connecting,
    Open,
    Ended,
}

/// The two connections, and what is under way on them.
pub(super) struct Polling {
    /// For polls, and for posts.
    connections: [Connection; STREAMS],
    /// Request heads, as far as they are the same every time; the session's once it is open.
    get_head: Vec<u8>,
    post_head: Vec<u8>,
    poll_due: bool,
    posting: bool,
    queued: Vec<u8>,
    /// Largest body of a post, as the server wants it; a single packet is sent whatever its size.
    body_bytes_max: usize,
    /// The body of the post under way.
    posted: Vec<u8>,
    leaving: Leaving,
    /// The session is about to move: no request follows those under way.
    pausing: bool,
    endpoint: Rc<Endpoint>,
    source: Option<IpAddr>,
}

impl Connection {
    fn open(endpoint: &Endpoint, source: Option<IpAddr>, is_new: bool) -> io::Result<Self> {
        let stream = Stream::connect(endpoint.address, source)?;
        Ok(Self { stream, state: ConnectionState::Connecting, has_answered: false, is_new })
    }

    fn end(&mut self) {
        self.state = ConnectionState::Ended;
        self.stream.finish();
    }
}

impl Polling {
    pub(super) fn open(endpoint: &Rc<Endpoint>, source: Option<IpAddr>) -> io::Result<Self> {
        let connect = || Connection::open(endpoint, source, false);
        Ok(Self {
            connections: [connect()?, connect()?],
            get_head: get_head(endpoint, "").into_bytes(),
            post_head: Vec::new(),
            poll_due: true,
            posting: false,
            queued: Vec::new(),
            body_bytes_max: usize::MAX,
            posted: Vec::new(),
            leaving: Leaving::No,
            pausing: false,
            endpoint: endpoint.clone(),
            source,
        })
    }

    pub(super) fn writable(&mut self, stream: usize) -> Result<(), Failure> {
        let connection = &mut self.connections[stream];
        if connection.state == ConnectionState::Connecting {
            connection.stream.connect_result()?;
            connection.state = ConnectionState::Open;
        }
        if connection.state == ConnectionState::Open {
            connection.stream.flush()?;
        }
        Ok(self.flush(&mut Vec::new())?)
    }

    /// Both, with their numbers.
    pub(super) fn streams(&self) -> [Option<(usize, &Stream)>; STREAMS] {
        [GET, POST].map(|number| Some((number, &self.connections[number].stream)))
    }

    pub(super) fn stream(&mut self, stream: usize) -> Option<&mut Stream> {
        self.connections.get_mut(stream).map(|connection| &mut connection.stream)
    }

    /// A stream that has replaced another since the last call, once.
    pub(super) fn take_new_stream(&mut self) -> Option<(usize, &Stream)> {
        let number = [GET, POST].into_iter().find(|number| self.connections[*number].is_new)?;
        self.connections[number].is_new = false;
        Some((number, &self.connections[number].stream))
    }

    /// The server closed a stream. False if that is the end of the session: it owed an answer there.
    pub(super) fn handle_end(&mut self, stream: usize) -> bool {
        if self.is_under_way(stream) {
            let connection = &self.connections[stream];
            if !connection.has_answered || connection.stream.has_partial() {
                return false;
            }
            self.take_back(stream);
        }
        self.connections[stream].end();
        true
    }

    /// Moves the packets of the next post from `queued` to `posted`: all of them, unless the server wants less at once.
    fn take_body(&mut self) {
        self.posted.clear();
        let bytes = first_body(&self.queued, self.body_bytes_max);
        if bytes == self.queued.len() {
            std::mem::swap(&mut self.posted, &mut self.queued);
            return;
        }
        self.posted.extend_from_slice(&self.queued[..bytes]);
        self.queued.drain(..=bytes);
    }

    /// What was under way is to be sent again.
    fn take_back(&mut self, stream: usize) {
        if stream == GET {
            self.poll_due = true;
            return;
        }
        self.posting = false;
        if !self.queued.is_empty() {
            self.posted.push(SEPARATOR);
        }
        self.posted.append(&mut self.queued);
        std::mem::swap(&mut self.posted, &mut self.queued);
        if self.leaving == Leaving::Sent {
            self.leaving = Leaving::Queued;
        }
    }

    /// Sends a request that is under way from here on.
    fn request(&mut self, stream: usize, bytes: &[u8]) -> io::Result<()> {
        match self.connections[stream].stream.send(bytes) {
            Err(error) if is_gone(&error) && self.handle_end(stream) => self.is_ready(stream).map(drop),
            sent => sent,
        }
    }

    fn is_under_way(&self, stream: usize) -> bool {
        if stream == GET { !self.poll_due } else { self.posting }
    }

    /// Whether a request can be sent now. Opens a connection again that the server has closed.
    fn is_ready(&mut self, stream: usize) -> io::Result<bool> {
        let connection = &mut self.connections[stream];
        if connection.state == ConnectionState::Ended {
            *connection = Connection::open(&self.endpoint, self.source, true)?;
        }
        Ok(connection.state == ConnectionState::Open)
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
    pub(super) fn handle_opened(&mut self, sid: &str, max_payload: Option<u64>) {
        self.body_bytes_max = max_payload.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
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
            if !self.is_under_way(input.stream) {
                // RFC 9110 §15.5.9: nobody asked, and what it says is that it closes the connection.
                input.bytes = &[];
                self.connections[input.stream].end();
                return Ok(None);
            }
            if response.status != 200 {
                return Err(Failure::of_status(&response));
            }
            self.connections[input.stream].has_answered = true;
            if response.last {
                self.connections[input.stream].end();
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
        let posts = !self.posting && !self.queued.is_empty() && !self.post_head.is_empty();
        if posts && self.is_ready(POST)? {
            self.posting = true;
            self.take_body();
            if self.leaving == Leaving::Queued && self.queued.is_empty() {
                self.leaving = Leaving::Sent;
            }
            let request = packets;
            request.extend_from_slice(&self.post_head);
            push_decimal(self.posted.len() as u64, request);
            request.extend_from_slice(b"\r\n\r\n");
            request.extend_from_slice(&self.posted);
            self.request(POST, request)?;
        }
        if self.poll_due && self.leaving == Leaving::No && self.is_ready(GET)? {
            self.poll_due = false;
            let head = std::mem::take(&mut self.get_head);
            let sent = self.request(GET, &head);
            self.get_head = head;
            sent?;
        }
        Ok(())
    }
}

/// True of an error that means that the other side has closed the connection.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// How many bytes of `queued` are the packets of a body of at most `most` bytes; one packet at least.
fn first_body(queued: &[u8], most: usize) -> usize {
    if queued.len() <= most {
        return queued.len();
    }
    let is_separator = |byte: &u8| *byte == SEPARATOR;
    let last_that_fits = queued[..=most].iter().rposition(is_separator);
    last_that_fits.or_else(|| queued.iter().position(is_separator)).unwrap_or(queued.len())
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
    let (target, host, headers) = (target(endpoint, sid), &endpoint.host, &endpoint.headers);
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n{headers}\r\n")
}

/// Ends where the length of the body goes.
fn post_head(endpoint: &Endpoint, sid: &str) -> String {
    let (target, host, headers) = (target(endpoint, sid), &endpoint.host, &endpoint.headers);
    format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n{headers}Content-Type: text/plain;charset=UTF-8\r\nContent-Length: "
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_as_many_packets_as_the_server_takes_at_once() {
        let queued = b"one\x1etwo\x1ethree";
        let first = |most| &queued[..first_body(queued, most)];
        assert_eq!((first(13), first(12), first(7)), (&queued[..], &b"one\x1etwo"[..], &b"one\x1etwo"[..]));
        assert_eq!((first(6), first(3), first(1)), (&b"one"[..], &b"one"[..], &b"one"[..]));
        assert_eq!(first_body(b"alone", 2), 5);
    }
}
