//! The client's end of a WebSocket.

use crate::random::Random;
use crate::wire::{self, Packet};
use crate::world::{StreamId, World};

#[derive(Debug)]
pub(super) struct WebSocket {
    pub(super) stream: StreamId,
    pub(super) input: Vec<u8>,
    pub(super) is_switched: bool,
    pub(super) pings: u64,
    pub(super) pongs: u64,
}

/// What comes on a WebSocket.
pub(super) enum Frame {
    Packet(Packet),
    Close(Option<u16>),
    Refused(u16),
}

impl WebSocket {
    pub(super) fn new(stream: StreamId) -> Self {
        Self { stream, input: Vec::new(), is_switched: false, pings: 0, pongs: 0 }
    }

    /// Takes what has come apart, the answer to the upgrade request first.
    pub(super) fn frames(&mut self, world: &mut World, random: &mut Random, expected: u16) -> Vec<Frame> {
        world.receive(self.stream, random, &mut self.input);
        let mut frames = Vec::new();
        if !self.is_switched {
            match wire::take_response(&mut self.input) {
                None => return frames,
                Some(response) if response.status != expected => {
                    return vec![Frame::Refused(response.status)];
                }
                Some(_) => self.is_switched = true,
            }
        }
        while let Some((first, payload)) = wire::take_frame(&mut self.input) {
            frames.push(match first {
                0x81 => Frame::Packet(Packet::Text(String::from_utf8(payload).expect("text is UTF-8"))),
                0x82 => Frame::Packet(Packet::Binary(payload)),
                0x88 => Frame::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
                0x8a => {
                    assert_eq!(payload, self.pongs.to_be_bytes(), "pongs come in order");
                    self.pongs += 1;
                    continue;
                }
                first => panic!("a server does not send {first:#x}"),
            });
        }
        frames
    }

    /// Sends a message, whole or in fragments, with a ping in between now and then.
    pub(super) fn send(&mut self, world: &mut World, random: &mut Random, packet: &Packet) {
        let (opcode, payload) = match packet {
            Packet::Text(text) => (1, text.as_bytes()),
            Packet::Binary(bytes) => (2, bytes.as_slice()),
        };
        let most = (world.options.max_fragments as usize).min(payload.len().max(1));
        let fragments = if random.chance(30) { random.between(1, most) } else { 1 };
        let size = payload.len().div_ceil(fragments).max(1);
        let mut pieces: Vec<&[u8]> = payload.chunks(size).collect();
        if pieces.is_empty() {
            pieces.push(b"");
        }
        let last = pieces.len() - 1;
        for (place, piece) in pieces.into_iter().enumerate() {
            let first = if place == 0 { opcode } else { 0 } | if place == last { 0x80 } else { 0 };
            let mask = (random.next() as u32).to_be_bytes();
            world.send(self.stream, &wire::frame(first, mask, piece));
            if random.chance(3) {
                world.send(self.stream, &wire::frame(0x89, mask, &self.pings.to_be_bytes()));
                self.pings += 1;
            }
        }
    }
}
