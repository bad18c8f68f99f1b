//! Clients that join and say nothing: what holding them costs, and what their handshakes cost.

use super::{Clients, Fault, Link, Plan, Scenario};
use crate::clock::Nanos;
use crate::stats::Stats;
use crate::wire::packet::Packet;

/// The scenario of `idle` and `connect`.
pub(crate) struct Quiet;

impl Scenario for Quiet {
    fn start(&mut self, _plan: Plan, _clients: &mut Clients<'_>) {}

    /// Nobody asked for anything. A server may greet its clients all the same.
    fn handle_packet(&mut self, _packet: Packet<'_>, _link: &mut Link<'_>, _now: Nanos, _stats: &mut Stats) {}

    fn turn(&mut self, _clients: &mut Clients<'_>, _now: Nanos, _stats: &mut Stats) -> Option<Nanos> {
        None
    }

    fn handle_lost(&mut self, _client: usize, _joined: bool, _now: Nanos, _stats: &mut Stats) -> Fault {
        Fault::Error
    }

    fn outstanding(&self) -> u64 {
        0
    }
}
