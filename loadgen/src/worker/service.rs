//! What handling an event changes, apart from the client itself: counts, buffers, and what the scenario is told.

use crate::client::{Client, Failure, Incoming, Input};
use crate::clock::{self, Nanos, SECOND};
use crate::scenario::{Link, Plan, Scenario};
use crate::stats::Stats;
use crate::stream::Received;
use rustix::event::epoll::EventFlags;

/// Streams of a client, as a power of two: the low bits of a token.
const STREAM_BITS: u32 = 2;

/// What a worker's clients share.
pub(super) struct State {
    pub(super) stats: Stats,
    pub(super) plan: Option<Plan>,
    /// Handshakes under way.
    pub(super) connecting: u32,
    /// Clients that are there.
    pub(super) alive: usize,
    pub(super) last_progress: Nanos,
    /// What was read.
    input: Vec<u8>,
    /// What will be sent.
    pub(super) out: Vec<u8>,
}

/// Whether a client is still there after an event.
pub(super) enum Serviced {
    Open,
    Closed,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            stats: Stats::new(),
            plan: None,
            connecting: 0,
            alive: 0,
            last_progress: clock::now(),
            input: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Reads what a stream has, hands it to the scenario packet by packet, sends the answers in one write.
    pub(super) fn service<S: Scenario>(
        &mut self,
        position: usize,
        client: &mut Client,
        stream: usize,
        flags: EventFlags,
        scenario: &mut S,
    ) -> Result<Serviced, Failure> {
        if flags.contains(EventFlags::OUT) {
            client.writable(stream)?;
        }
        let ending = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if !client.reads {
            return if ending { Err(Failure::Closed) } else { Ok(Serviced::Open) };
        }
        if !ending && !flags.contains(EventFlags::IN) {
            return Ok(Serviced::Open);
        }
        loop {
            let mut length = 0;
            let received = client.receive(stream, &mut self.input, &mut length)?;
            match received {
                Received::Nothing => return Ok(Serviced::Open),
                Received::End => {
                    if client.handle_end(stream)?.is_some() {
                        return Ok(Serviced::Closed);
                    }
                    // What was under way there may be due again.
                    client.flush(&mut self.out)?;
                    return Ok(Serviced::Open);
                }
                Received::All | Received::Some => {}
            }
            if matches!(self.digest(position, client, stream, length, scenario)?, Serviced::Closed) {
                return Ok(Serviced::Closed);
            }
            if received == Received::All && !ending {
                return Ok(Serviced::Open);
            }
        }
    }

    fn digest<S: Scenario>(
        &mut self,
        position: usize,
        client: &mut Client,
        stream: usize,
        length: usize,
        scenario: &mut S,
    ) -> Result<Serviced, Failure> {
        let now = clock::now();
        let mut input = Input::new(stream, &self.input[..length]);
        while let Some(incoming) = client.decode(&mut input, &mut self.out, now)? {
            match incoming {
                Incoming::Packet(packet) => {
                    let mut link = Link { position, client, out: &mut self.out };
                    scenario.handle_packet(packet, &mut link, now, &mut self.stats);
                }
                Incoming::Joined => {
                    let due = client.started;
                    self.connecting -= 1;
                    self.last_progress = now;
                    self.stats.joined(now.saturating_sub(due), self.plan.is_some());
                    if self.plan.is_some() {
                        scenario.handle_joined(position, due, now, &mut self.stats);
                    }
                }
                Incoming::Ping => {
                    if let Some(plan) = self.plan.filter(|plan| plan.measures(now)) {
                        let second = (now - plan.measure_from) / SECOND;
                        self.stats.heartbeat(usize::try_from(second).expect("seconds of a run"));
                    }
                }
                Incoming::Closed => return Ok(Serviced::Closed),
            }
        }
        client.keep(stream, input.bytes);
        client.flush(&mut self.out)?;
        Ok(Serviced::Open)
    }
}

pub(super) fn token(position: usize, stream: usize) -> u64 {
    ((position as u64) << STREAM_BITS) | stream as u64
}

pub(super) fn split_token(token: u64) -> (usize, usize) {
    let position = usize::try_from(token >> STREAM_BITS).expect("made from a usize");
    (position, usize::from((token & ((1 << STREAM_BITS) - 1)) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_client_and_stream() {
        for (position, stream) in [(0, 0), (0, 2), (u32::MAX as usize, 1)] {
            assert_eq!(split_token(token(position, stream)), (position, stream));
        }
    }
}
