//! A client that starts with long-polling and moves to WebSocket, as the stock client does (protocol.md 1.11): it
//! probes while polling goes on, pauses polling when the probe is answered, and then commits.

use super::polling::{Polling, STREAMS, packets};
use super::websocket::WebSocket;
use super::{Endpoint, Failure, Found, Input};
use crate::stream::Stream;
use crate::wire::websocket::{Opcode, encode};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;

/// The WebSocket, behind the two streams of polling.
const WEBSOCKET: usize = STREAMS;
const PROBE: &[u8] = b"2probe";
const PROBE_ANSWER: &[u8] = b"3probe";
const COMMIT: &[u8] = b"5";

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The WebSocket is being opened, or its probe waits for an answer.
    Probing,
    /// The probe was answered; polling has not come to rest.
    Pausing,
    /// All goes over the WebSocket.
    Moved,
}

/// Both transports, until it has moved.
pub(super) struct Upgrade {
    /// `None` when it has moved.
    polling: Option<Polling>,
    /// `None` until the session is open.
    websocket: Option<WebSocket>,
    stage: Stage,
    /// The WebSocket's stream is not watched yet.
    is_new: bool,
    endpoint: Rc<Endpoint>,
    source: Option<IpAddr>,
    number: u32,
}

impl Upgrade {
    pub(super) fn open(endpoint: &Rc<Endpoint>, source: Option<IpAddr>, number: u32) -> io::Result<Self> {
        Ok(Self {
            polling: Some(Polling::open(endpoint, source)?),
            websocket: None,
            stage: Stage::Probing,
            is_new: false,
            endpoint: endpoint.clone(),
            source,
            number,
        })
    }

    pub(super) fn has_moved(&self) -> bool {
        self.stage == Stage::Moved
    }

    pub(super) fn polling_streams(&self) -> [Option<(usize, &Stream)>; STREAMS] {
        self.polling.as_ref().map_or([None, None], Polling::streams)
    }

    pub(super) fn take_new_stream(&mut self) -> Option<(usize, &Stream)> {
        if std::mem::take(&mut self.is_new) {
            return self.websocket.as_ref().map(|websocket| (WEBSOCKET, &websocket.stream));
        }
        self.polling.as_mut()?.take_new_stream()
    }

    /// The server closed a stream. False if the client has ended with it.
    pub(super) fn handle_end(&mut self, stream: usize) -> bool {
        stream != WEBSOCKET && self.polling.as_mut().is_none_or(|polling| polling.handle_end(stream))
    }

    /// `None` for one that is not there (any more).
    pub(super) fn stream(&mut self, stream: usize) -> Option<&mut Stream> {
        match stream {
            WEBSOCKET => self.websocket.as_mut().map(|websocket| &mut websocket.stream),
            _ => self.polling.as_mut()?.stream(stream),
        }
    }

    pub(super) fn writable(&mut self, stream: usize) -> Result<(), Failure> {
        match (stream, &mut self.websocket, &mut self.polling) {
            (WEBSOCKET, Some(websocket), _) => websocket.writable(),
            (WEBSOCKET, None, _) | (_, _, None) => Ok(()),
            (_, _, Some(polling)) => polling.writable(stream),
        }
    }

    /// The session is open: the WebSocket starts beside it.
    pub(super) fn handle_opened(&mut self, sid: &str, max_payload: Option<u64>) -> Result<(), Failure> {
        if let Some(polling) = &mut self.polling {
            polling.handle_opened(sid, max_payload);
        }
        self.websocket = Some(WebSocket::open(&self.endpoint, self.source, self.number, sid)?);
        self.is_new = true;
        Ok(())
    }

    pub(super) fn decode<'a>(
        &mut self,
        input: &mut Input<'a>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Found<'a>>, Failure> {
        if input.stream != WEBSOCKET {
            let Some(polling) = &mut self.polling else { return Ok(None) };
            if let Some(found) = polling.decode(input)? {
                return Ok(Some(found));
            }
            return self.move_if_paused(out);
        }
        loop {
            let Some(websocket) = &mut self.websocket else { return Ok(None) };
            // Before the move `out` belongs to polling: what a WebSocket must answer goes its own way.
            let mut own = Vec::new();
            let answers = if self.stage == Stage::Moved { &mut *out } else { &mut own };
            let found = websocket.decode(input, answers)?;
            websocket.stream.send(&own)?;
            match found {
                Some(Found::Upgraded) => send(websocket, PROBE)?,
                Some(Found::Packet(PROBE_ANSWER)) if self.stage == Stage::Probing => {
                    self.stage = Stage::Pausing;
                    if let Some(polling) = &mut self.polling {
                        polling.pause();
                    }
                    if let Some(moved) = self.move_if_paused(out)? {
                        return Ok(Some(moved));
                    }
                }
                Some(Found::Packet(_)) if self.stage != Stage::Moved => {
                    return Err(Failure::Packet("not the answer to the probe"));
                }
                found => return Ok(found),
            }
        }
    }

    /// Commits when polling has come to rest, and sends what waited, that in `out` included.
    fn move_if_paused(&mut self, out: &mut Vec<u8>) -> Result<Option<Found<'static>>, Failure> {
        let (Some(websocket), Some(polling)) = (&mut self.websocket, &self.polling) else { return Ok(None) };
        if self.stage != Stage::Pausing || !polling.has_paused() {
            return Ok(None);
        }
        send(websocket, COMMIT)?;
        for packet in polling.kept_packets().chain(packets(out)) {
            send(websocket, packet)?;
        }
        out.clear();
        self.polling = None;
        self.stage = Stage::Moved;
        Ok(Some(Found::Moved))
    }

    pub(super) fn emit(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        match (&mut self.polling, &mut self.websocket) {
            (None, Some(websocket)) => websocket.emit(packet, out),
            _ => Polling::emit(packet, out),
        }
    }

    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match (&mut self.polling, &mut self.websocket) {
            (Some(polling), _) => polling.flush(out),
            (None, Some(websocket)) => websocket.stream.send(out),
            (None, None) => Ok(()),
        }
    }

    pub(super) fn emit_close(&mut self, out: &mut Vec<u8>) {
        match (&mut self.polling, &mut self.websocket) {
            (Some(polling), _) => polling.emit_close(out),
            (None, Some(websocket)) => websocket.emit_close(out),
            (None, None) => {}
        }
    }

    pub(super) fn finish(&self) {
        if let (None, Some(websocket)) = (&self.polling, &self.websocket) {
            websocket.stream.finish();
        }
    }
}

fn send(websocket: &mut WebSocket, packet: &[u8]) -> io::Result<()> {
    let mut frame = Vec::new();
    encode(Opcode::Text, packet, websocket.next_mask(), &mut frame);
    websocket.stream.send(&frame)
}
