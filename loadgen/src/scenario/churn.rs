//! Churn: clients come at a rate, and for each that comes the one that has been there longest leaves.

use super::{BATCH_MAX, Clients, Command, Fault, Link, Plan, Scenario, Share};
use crate::clock::Nanos;
use crate::schedule::{Schedule, share};
use crate::stats::Stats;
use crate::wire::packet::Packet;
use std::collections::VecDeque;

/// How fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChurnSettings {
    /// Clients that come per second, in the whole run.
    pub(crate) rate: f64,
}

/// The scenario of `churn`.
pub(crate) struct Churn {
    settings: ChurnSettings,
    share: Share,
    plan: Option<Plan>,
    schedule: Option<Schedule>,
    arrivals: u64,
    /// Of those, how many have neither joined nor failed.
    joining: u64,
    /// Positions of clients that are there, longest first. Some may have been lost since.
    present: VecDeque<usize>,
    /// Positions nobody has, and the first that nobody ever had.
    free: Vec<usize>,
    unused: usize,
}

impl Churn {
    /// For a worker with this share of the clients.
    pub(crate) fn new(settings: ChurnSettings, share: Share) -> Self {
        Self {
            settings,
            share,
            plan: None,
            schedule: None,
            arrivals: 0,
            joining: 0,
            present: VecDeque::new(),
            free: Vec::new(),
            unused: share.clients as usize,
        }
    }

    /// Numbers choose source address and masks, so that it does not matter if workers use the same.
    fn next_number(&self) -> u32 {
        let arrival = u32::try_from(self.arrivals % (1 << 22)).expect("22 bits");
        self.share.of.wrapping_add(self.share.first).wrapping_add(arrival)
    }

    fn next_position(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.unused += 1;
            self.unused - 1
        })
    }
}

impl Scenario for Churn {
    fn start(&mut self, plan: Plan, clients: &mut Clients<'_>) {
        self.plan = Some(plan);
        self.present = clients.joined().collect();
        let rate = share(self.settings.rate, self.share.clients, self.share.of);
        self.schedule = (rate > 0.0).then(|| Schedule::new(plan.start, rate));
    }

    fn handle_packet(&mut self, _packet: Packet<'_>, _link: &mut Link<'_>, _now: Nanos, _stats: &mut Stats) {}

    fn turn(&mut self, clients: &mut Clients<'_>, now: Nanos, stats: &mut Stats) -> Option<Nanos> {
        let (schedule, plan) = (self.schedule?, self.plan?);
        for _ in 0..BATCH_MAX {
            let due = schedule.time_of(self.arrivals);
            if due >= plan.end {
                return None;
            }
            if due > now {
                return Some(due);
            }
            if plan.measures(due) {
                stats.late.saturating_record(now - due);
            }
            if let Some(position) = self.present.pop_front() {
                clients.command(Command::Leave { position });
            }
            let (number, position) = (self.next_number(), self.next_position());
            clients.command(Command::Open { position, number, due });
            self.arrivals += 1;
            self.joining += 1;
        }
        Some(now)
    }

    fn cut_short(&mut self, now: Nanos) {
        if let Some(plan) = &mut self.plan {
            plan.cut_short(now);
        }
    }

    fn reopens(&self) -> bool {
        true
    }

    fn unsent(&self) -> u64 {
        let due = |schedule: Schedule| self.plan.map_or(0, |plan| schedule.count_before(plan.end));
        self.schedule.map_or(0, due).saturating_sub(self.arrivals)
    }

    fn handle_joined(&mut self, client: usize, due: Nanos, now: Nanos, stats: &mut Stats) {
        self.present.push_back(client);
        self.joining -= 1;
        let measured = self.plan.is_some_and(|plan| plan.measures(due));
        stats.delivered(now.saturating_sub(due), measured);
    }

    fn handle_lost(&mut self, client: usize, joined: bool, _now: Nanos, _stats: &mut Stats) -> Fault {
        self.joining -= u64::from(!joined && self.plan.is_some());
        self.present.retain(|position| *position != client);
        self.free.push(client);
        Fault::Error
    }

    fn handle_left(&mut self, client: usize) {
        self.free.push(client);
    }

    fn outstanding(&self) -> u64 {
        self.joining
    }

    fn finish(&mut self, stats: &mut Stats) {
        stats.errors.failed_to_join += self.joining;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(churn: &mut Churn, now: Nanos) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut clients = Clients {
            slots: &mut [],
            out: &mut Vec::new(),
            failed: &mut Vec::new(),
            opened: &mut Vec::new(),
            commands: &mut commands,
        };
        churn.turn(&mut clients, now, &mut Stats::new());
        commands
    }

    #[test]
    fn for_each_that_comes_the_longest_there_leaves() {
        let mut churn = Churn::new(ChurnSettings { rate: 1e9 }, Share { first: 0, clients: 2, of: 2 });
        churn.plan = Some(Plan { start: 0, measure_from: 0, end: 100 });
        churn.schedule = Some(Schedule::new(0, 1e9));
        churn.present = [0, 1].into();
        let open = |position, number, due| Command::Open { position, number, due };
        assert_eq!(turn(&mut churn, 0), [Command::Leave { position: 0 }, open(2, 2, 0)]);
        churn.handle_left(0);
        churn.handle_joined(2, 0, 1, &mut Stats::new());
        assert_eq!(turn(&mut churn, 1), [Command::Leave { position: 1 }, open(0, 3, 1)]);
        assert_eq!(turn(&mut churn, 2), [Command::Leave { position: 2 }, open(3, 4, 2)]);
    }
}
