//! What the clients say, and what must come back. A scenario never sees a transport.

mod broadcast;
mod echo;
mod quiet;

pub(crate) use broadcast::{Broadcast, BroadcastSettings};
pub(crate) use echo::{Echo, EchoSettings};
pub(crate) use quiet::Quiet;

use crate::client::{Client, Failure};
use crate::clock::Nanos;
use crate::stats::Stats;

/// When a run starts talking, when it counts, and when it stops sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) start: Nanos,
    pub(crate) measure_from: Nanos,
    pub(crate) end: Nanos,
}

impl Plan {
    /// True within the measured window.
    pub(crate) fn measures(&self, now: Nanos) -> bool {
        (self.measure_from..self.end).contains(&now)
    }
}

/// What the clients of one worker do from the start of the plan.
pub(crate) trait Scenario {
    /// Called once, with every client that will ever join in `clients`.
    fn start(&mut self, plan: Plan, clients: &mut Clients<'_>);

    /// A client received a Socket.IO packet. Its answers go to `link`.
    fn handle_packet(&mut self, packet: &[u8], link: &mut Link<'_>, now: Nanos, stats: &mut Stats);

    /// Called after every batch of packets and at the deadline it returned: sends what is due.
    fn turn(&mut self, clients: &mut Clients<'_>, now: Nanos) -> Option<Nanos>;

    /// A client that had joined is gone. Nothing more will come for it.
    fn handle_lost(&mut self, client: usize);

    /// Messages that are still to come.
    fn outstanding(&self) -> u64;

    /// The run is over: what is outstanding is lost.
    fn finish(&mut self, stats: &mut Stats) {
        stats.errors.lost += self.outstanding();
    }
}

/// The client a packet came to, for an answer.
pub(crate) struct Link<'a> {
    /// Position among the clients of this worker.
    pub(crate) position: usize,
    pub(crate) client: &'a mut Client,
    pub(crate) out: &'a mut Vec<u8>,
}

impl Link<'_> {
    /// Sends an Engine.IO packet with whatever else this turn sends to the client.
    pub(crate) fn emit(&mut self, packet: &[u8]) {
        self.client.emit(packet, self.out);
    }
}

/// The clients of one worker. A client that failed to join or was lost is `None`.
pub(crate) struct Clients<'a> {
    pub(crate) slots: &'a mut [Option<Client>],
    pub(crate) out: &'a mut Vec<u8>,
    /// Clients whose stream failed while sending; the worker takes them out.
    pub(crate) failed: &'a mut Vec<(usize, Failure)>,
}

impl Clients<'_> {
    /// Positions of the clients that are there.
    pub(crate) fn joined(&self) -> impl Iterator<Item = usize> {
        let joined = |slot: &Option<Client>| slot.as_ref().is_some_and(Client::is_joined);
        self.slots.iter().enumerate().filter(move |(_, slot)| joined(slot)).map(|(position, _)| position)
    }

    /// The number in the run of the client at `position`.
    pub(crate) fn number(&self, position: usize) -> Option<u32> {
        self.slots[position].as_ref().map(|client| client.number)
    }

    /// Sends an Engine.IO packet now. Does nothing for a client that is gone.
    pub(crate) fn emit(&mut self, position: usize, packet: &[u8]) {
        let Some(client) = &mut self.slots[position] else { return };
        client.emit(packet, self.out);
        if let Err(failure) = client.flush(self.out) {
            self.failed.push((position, failure));
        }
    }
}
