//! What the clients say, and what must come back. A scenario never sees a transport.

mod audience;
mod avalanche;
mod churn;
mod echo;
mod fanout;
mod quiet;
mod tracker;

pub(crate) use audience::{Audience, FanoutSettings};
pub(crate) use avalanche::{Avalanche, AvalancheSettings};
pub(crate) use churn::{Churn, ChurnSettings};
pub(crate) use echo::{Echo, EchoSettings};
pub(crate) use fanout::Fanout;
pub(crate) use quiet::Quiet;

use crate::client::{Client, Failure};
use crate::clock::Nanos;
use crate::stats::Stats;
use crate::wire::packet::Packet;

/// Messages sent in one turn. However far a schedule is ahead, answers are read in between.
const BATCH_MAX: usize = 1024;

/// When a run starts talking, when it counts, and when it stops sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) start: Nanos,
    pub(crate) measure_from: Nanos,
    pub(crate) end: Nanos,
}

impl Plan {
    /// True within the measured window.
    pub(crate) fn measures(&self, time: Nanos) -> bool {
        (self.measure_from..self.end).contains(&time)
    }

    fn cut_short(&mut self, now: Nanos) {
        self.end = self.end.min(now);
    }
}

/// The clients of a run that one worker has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// The number in the run of the first.
    pub(crate) first: u32,
    /// How many there are when the plan begins.
    pub(crate) clients: u32,
    /// How many the run has.
    pub(crate) of: u32,
}

/// Whether the end of a client is the server's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Error,
    /// The scenario did something to deserve it.
    Expected,
}

/// What the clients of one worker do.
pub(crate) trait Scenario {
    /// Called once when the clients have joined, before the plan: what must be in place before anyone starts.
    fn prepare(&mut self, _clients: &mut Clients<'_>) {}

    /// Called once, when the plan starts.
    fn start(&mut self, plan: Plan, clients: &mut Clients<'_>);

    /// A client received a Socket.IO packet. Its answers go to `link`.
    fn handle_packet(&mut self, packet: Packet<'_>, link: &mut Link<'_>, now: Nanos, stats: &mut Stats);

    /// Called after every batch of packets and at the deadline it returned: sends what is due, at most `BATCH_MAX`
    /// messages. The deadline is past if more are due; it is `None` if nothing will be.
    fn turn(&mut self, clients: &mut Clients<'_>, now: Nanos, stats: &mut Stats) -> Option<Nanos>;

    /// A client that the plan opened has joined; it was due at `due`.
    fn handle_joined(&mut self, _client: usize, _due: Nanos, _now: Nanos, _stats: &mut Stats) {}

    /// A client is gone before it was told to; `joined` if it was ever there. Nothing more will come for it.
    fn handle_lost(&mut self, client: usize, joined: bool, now: Nanos, stats: &mut Stats) -> Fault;

    /// A client that was told to leave has left. Its position is free.
    fn handle_left(&mut self, _client: usize) {}

    /// The plan is over earlier than it said: nothing follows what was sent.
    fn cut_short(&mut self, _now: Nanos) {}

    /// Opens clients again that were lost, so that it goes on when all are.
    fn reopens(&self) -> bool {
        false
    }

    /// What is due by the plan and has not been sent.
    fn unsent(&self) -> u64 {
        0
    }

    /// Answers and messages that are still to come.
    fn outstanding(&self) -> u64;

    /// The plan need not go on to its end.
    fn is_complete(&self) -> bool {
        false
    }

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
    /// Sends a message (see `Client::emit_message`) with whatever else this turn sends to the client.
    pub(crate) fn emit(&mut self, packet: &[u8]) {
        self.client.emit_message(packet, self.out);
    }
}

/// What a scenario wants done with a client; done when its call has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// A new client at a free position (or one behind the last). Its handshake counts from `due`.
    Open { position: usize, number: u32, due: Nanos },
    /// Say goodbye.
    Leave { position: usize },
    /// Close its streams without a word.
    Cut { position: usize },
}

/// The clients of one worker. A client that failed to join or was lost is `None`.
pub(crate) struct Clients<'a> {
    pub(crate) slots: &'a mut [Option<Client>],
    pub(crate) out: &'a mut Vec<u8>,
    /// Clients whose stream failed while sending; the worker takes them out.
    pub(crate) failed: &'a mut Vec<(usize, Failure)>,
    /// Clients that sent something and may have opened a stream for it; the worker watches that.
    pub(crate) opened: &'a mut Vec<usize>,
    pub(crate) commands: &'a mut Vec<Command>,
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

    /// Sends a message now (see `Client::emit_message`). Does nothing for a client that is gone.
    pub(crate) fn emit(&mut self, position: usize, packet: &[u8]) {
        let Some(client) = &mut self.slots[position] else { return };
        client.emit_message(packet, self.out);
        if let Err(failure) = client.flush(self.out) {
            self.failed.push((position, failure));
        }
        if client.may_reopen() {
            self.opened.push(position);
        }
    }

    /// Stops reading what the server sends to a client.
    pub(crate) fn stop_reading(&mut self, position: usize) {
        if let Some(client) = &mut self.slots[position] {
            client.reads = false;
        }
    }

    /// Has something done when this call of the scenario has returned.
    pub(crate) fn command(&mut self, command: Command) {
        self.commands.push(command);
    }
}
