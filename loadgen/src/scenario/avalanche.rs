//! Avalanche: every client loses its connection at once, and comes back with the backoff of the stock client.

use super::{Clients, Command, Fault, Link, Plan, Scenario, Share};
use crate::clock::{Nanos, SECOND};
use crate::stats::Stats;
use crate::wire::packet::Packet;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The stock client's `reconnectionDelay` and `reconnectionDelayMax` (protocol.md 4.6), in milliseconds.
const DELAY_MS: u64 = 1000;
const DELAY_MS_MAX: u64 = 5000;

/// What ends the connections.
#[derive(Clone, Debug)]
pub(crate) struct AvalancheSettings {
    /// Ours are cut when the measured window begins; else whoever runs the server does it.
    pub(crate) cut: bool,
    /// Clients of the whole run that have not come back yet; all of them before the cut.
    pub(crate) missing: Arc<AtomicU64>,
}

/// The scenario of `avalanche`.
pub(crate) struct Avalanche {
    settings: AvalancheSettings,
    share: Share,
    plan: Option<Plan>,
    cut: bool,
    clients: Vec<Returning>,
    /// When which position tries again, soonest first.
    attempts: BinaryHeap<Reverse<(Nanos, usize)>>,
    /// State of the generator of jitter.
    random: u64,
}

#[derive(Clone, Copy, Default)]
struct Returning {
    lost_at: Option<Nanos>,
    /// Attempts since then.
    attempts: u32,
    /// It has come back once, and is not among the missing.
    back: bool,
}

impl Avalanche {
    /// For a worker with this share of the clients.
    pub(crate) fn new(settings: AvalancheSettings, share: Share) -> Self {
        settings.missing.fetch_add(u64::from(share.clients), Ordering::Relaxed);
        Self {
            settings,
            share,
            plan: None,
            cut: false,
            clients: vec![Returning::default(); share.clients as usize],
            attempts: BinaryHeap::new(),
            random: 0x9e37_79b9_7f4a_7c15 ^ u64::from(share.first),
        }
    }

    /// A connection is gone: the next attempt is due after a delay.
    fn retry(&mut self, position: usize, now: Nanos) {
        let random = self.next_random();
        let client = &mut self.clients[position];
        client.lost_at.get_or_insert(now);
        let delay = backoff(client.attempts, random);
        client.attempts += 1;
        self.attempts.push(Reverse((now + delay, position)));
    }

    /// A number from 0 up to, not including, 1 (xorshift).
    fn next_random(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn cut_all(&mut self, clients: &mut Clients<'_>, now: Nanos, stats: &mut Stats) {
        self.cut = true;
        stats.disturbance.began = now;
        let joined: Vec<usize> = clients.joined().collect();
        for position in joined {
            clients.command(Command::Cut { position });
            stats.disturbance.clients += 1;
            self.retry(position, now);
        }
    }
}

/// The stock client's delay before attempt `attempt` (from 0), with a random number from 0 to 1: 1 s, doubled each
/// time, up or down by as much as half, and 5 s at most.
fn backoff(attempt: u32, random: f64) -> Nanos {
    // What is beyond the maximum with any jitter stays there.
    let delay = (DELAY_MS << attempt.min(4)) * (SECOND / 1000);
    let jittered = delay as f64 * (0.5 + random);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
    let jittered = jittered as Nanos;
    jittered.min(DELAY_MS_MAX * (SECOND / 1000))
}

impl Scenario for Avalanche {
    fn start(&mut self, plan: Plan, clients: &mut Clients<'_>) {
        self.plan = Some(plan);
        // Those that never joined are an error already, and nobody waits for them.
        let joined = clients.joined().count() as u64;
        self.settings.missing.fetch_sub(u64::from(self.share.clients) - joined, Ordering::Relaxed);
    }

    fn handle_packet(&mut self, _packet: Packet<'_>, _link: &mut Link<'_>, _now: Nanos, _stats: &mut Stats) {}

    fn turn(&mut self, clients: &mut Clients<'_>, now: Nanos, stats: &mut Stats) -> Option<Nanos> {
        let plan = self.plan?;
        if self.settings.cut && !self.cut {
            if now < plan.measure_from {
                return Some(plan.measure_from);
            }
            self.cut_all(clients, now, stats);
        }
        if now >= plan.end {
            return None;
        }
        while let Some(Reverse((due, position))) = self.attempts.peek().copied() {
            if due > now {
                return Some(due);
            }
            self.attempts.pop();
            let number = self.share.first + u32::try_from(position).expect("as many clients as a u32");
            clients.command(Command::Open { position, number, due });
        }
        // Another worker's last client may complete the recovery: nothing of ours wakes us then.
        Some(now + SECOND / 20)
    }

    fn cut_short(&mut self, now: Nanos) {
        if let Some(plan) = &mut self.plan {
            plan.cut_short(now);
        }
    }

    fn reopens(&self) -> bool {
        true
    }

    fn handle_joined(&mut self, client: usize, _due: Nanos, now: Nanos, stats: &mut Stats) {
        let Some(lost_at) = self.clients[client].lost_at.take() else { return };
        self.clients[client] = Returning { back: true, ..Returning::default() };
        stats.delivered(now.saturating_sub(lost_at), true);
        stats.disturbance.recovered = now;
        self.settings.missing.fetch_sub(1, Ordering::Relaxed);
    }

    fn handle_lost(&mut self, client: usize, joined: bool, now: Nanos, stats: &mut Stats) -> Fault {
        // Before the plan nobody has pulled anything.
        if self.plan.is_none() || joined && self.settings.cut {
            return Fault::Error;
        }
        if joined {
            if self.clients[client].lost_at.is_none() && stats.disturbance.began == 0 {
                stats.disturbance.began = now;
            }
            stats.disturbance.clients += 1;
            if std::mem::take(&mut self.clients[client].back) {
                self.settings.missing.fetch_add(1, Ordering::Relaxed);
            }
        } else {
            stats.disturbance.consequences += 1;
        }
        self.retry(client, now);
        Fault::Expected
    }

    fn outstanding(&self) -> u64 {
        0
    }

    fn is_complete(&self) -> bool {
        self.settings.missing.load(Ordering::Relaxed) == 0
    }

    /// A client that has not come back never joined again.
    fn finish(&mut self, stats: &mut Stats) {
        let missing = self.clients.iter().filter(|client| client.lost_at.is_some()).count();
        stats.errors.failed_to_join += missing as u64;
        if missing > 0 {
            stats.describe(|| format!("{missing} clients of a worker did not come back in time"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_is_that_of_the_stock_client() {
        let ms = |attempt, random| backoff(attempt, random) / 1_000_000;
        assert_eq!([ms(0, 0.0), ms(0, 0.5), ms(0, 0.999_999)], [500, 1000, 1499]);
        assert_eq!([ms(1, 0.0), ms(1, 0.5)], [1000, 2000]);
        assert_eq!([ms(2, 0.0), ms(2, 0.5), ms(2, 1.0)], [2000, 4000, 5000]);
        assert_eq!([ms(3, 0.0), ms(9, 0.5)], [4000, 5000]);
    }

    #[test]
    fn recovery_counts_from_the_loss_and_is_complete_with_the_last() {
        let missing = Arc::default();
        let settings = AvalancheSettings { cut: true, missing };
        let mut avalanche = Avalanche::new(settings, Share { first: 0, clients: 2, of: 2 });
        avalanche.plan = Some(Plan { start: 0, measure_from: 0, end: 100 * SECOND });
        let mut stats = Stats::new();
        avalanche.retry(0, 10);
        avalanche.retry(1, 10);
        assert_eq!(avalanche.handle_lost(0, false, SECOND, &mut stats), Fault::Expected);
        avalanche.handle_joined(1, 0, 2 * SECOND, &mut stats);
        assert!(!avalanche.is_complete());
        avalanche.handle_joined(0, 0, 3 * SECOND, &mut stats);
        assert!(avalanche.is_complete());
        assert_eq!((stats.messages, stats.disturbance.consequences), (2, 1));
        assert!(stats.latency.max() >= 3 * SECOND - 10);
    }
}
