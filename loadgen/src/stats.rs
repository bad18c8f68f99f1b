//! What one worker counted, and how the counts of several become one.

use crate::client::Failure;
use crate::clock::{Nanos, SECOND};
use crate::interval::Interval;
use crate::options::Allow;
use crate::wire::packet::Packet;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Digits a latency is kept to.
const PRECISION: u8 = 3;
/// Largest latency told apart from larger ones.
const LATENCY_MAX: Nanos = 600 * SECOND;
/// Descriptions of errors a worker keeps; the others are only counted.
const SAMPLES_MAX: usize = 5;

/// Everything that must not happen, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// Clients that did not complete their handshake.
    pub failed_to_join: u64,
    /// Clients that had joined and ended before they were told to.
    pub disconnected: u64,
    /// Messages that never came.
    pub lost: u64,
    /// Messages that came more than once, or that nobody asked for.
    pub duplicated: u64,
    /// Messages that came after a later one.
    pub reordered: u64,
    /// Messages whose content was not what had been sent.
    pub mismatched: u64,
    /// Clients that waited for a heartbeat longer than the server promised.
    pub heartbeats_missed: u64,
    /// Messages (or clients) that were due and never sent: the rate is beyond the generator.
    #[serde(default)]
    pub unsent: u64,
}

impl Errors {
    /// Each kind with its name and what it means.
    pub fn kinds(&self) -> [(Allow, &'static str, u64); 8] {
        [
            (Allow::FailedToJoin, "clients that could not join", self.failed_to_join),
            (Allow::Disconnected, "clients that were disconnected", self.disconnected),
            (Allow::Lost, "messages lost", self.lost),
            (Allow::Duplicated, "messages that came twice, or unasked", self.duplicated),
            (Allow::Reordered, "messages after a later one", self.reordered),
            (Allow::Mismatched, "messages with wrong content", self.mismatched),
            (Allow::HeartbeatsMissed, "clients that missed a heartbeat", self.heartbeats_missed),
            (Allow::Unsent, "messages that were due and that the generator never came to send", self.unsent),
        ]
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.kinds().iter().map(|(_, _, count)| count).sum()
    }

    /// Those of kinds that are not allowed.
    pub fn failing(&self, allowed: &[Allow]) -> u64 {
        let counts = |kind: &Allow| !allowed.contains(kind) && !allowed.contains(&Allow::All);
        self.kinds().iter().filter(|(kind, ..)| counts(kind)).map(|(_, _, count)| count).sum()
    }

    fn add(&mut self, other: &Self) {
        self.failed_to_join += other.failed_to_join;
        self.disconnected += other.disconnected;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.mismatched += other.mismatched;
        self.heartbeats_missed += other.heartbeats_missed;
        self.unsent += other.unsent;
    }
}

/// What a worker's thread used over a span of wall time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// CPU time, user and kernel.
    pub(crate) cpu: Nanos,
    /// The part of it outside the kernel.
    pub(crate) user: Nanos,
    /// Time it could have run and had to wait for its core.
    pub(crate) waited: Nanos,
    pub(crate) wall: Nanos,
}

impl Load {
    /// Share of the span the thread ran, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        if self.wall == 0 { 0.0 } else { self.cpu as f64 / self.wall as f64 }
    }

    /// Share of the span it waited for its core, 0 to 1.
    pub(crate) fn waited_share(&self) -> f64 {
        if self.wall == 0 { 0.0 } else { self.waited as f64 / self.wall as f64 }
    }

    /// What was used since `earlier`, if `wall` is a moment in both.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let cpu = self.cpu - earlier.cpu;
        Self {
            cpu,
            // It is told in ticks of 10 ms: over a short time it may seem more than there was.
            user: self.user.saturating_sub(earlier.user).min(cpu),
            waited: self.waited.saturating_sub(earlier.waited),
            wall: self.wall - earlier.wall,
        }
    }
}

/// One worker's counts.
pub(crate) struct Stats {
    /// Messages that count: in a closed loop those that came in the measured window, else those due in it.
    pub(crate) messages: u64,
    /// Their latency in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// Latency before the disturbance, in scenarios that have one.
    pub(crate) baseline: Histogram<u64>,
    /// How late messages of an open loop were sent.
    pub(crate) late: Histogram<u64>,
    /// Clients that joined before the plan began.
    pub(crate) joined: u64,
    /// From the first SYN (or when it was due) to the reply to the CONNECT, in nanoseconds.
    pub(crate) handshake: Histogram<u64>,
    /// Heartbeats by second of the measured window.
    pub(crate) heartbeats: Vec<u64>,
    pub(crate) errors: Errors,
    pub(crate) samples: Vec<String>,
    /// While clients connected, per worker.
    pub(crate) connecting: Vec<Load>,
    /// In the measured window, per worker.
    pub(crate) measured: Vec<Load>,
    pub(crate) disturbance: Disturbance,
    /// When the plan ended; before its own end if it was cut short.
    pub(crate) ended_at: Nanos,
    /// The second under way.
    pub(crate) interval: Interval,
}

/// What a scenario does to its clients on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disturbance {
    /// Clients that stopped reading, or were cut off.
    pub(crate) clients: u64,
    /// Those that the server disconnected for it, or handshakes that failed and were tried again.
    pub(crate) consequences: u64,
    /// When it began; zero if it did not.
    pub(crate) began: Nanos,
    /// When the last client had recovered; zero if none had to.
    pub(crate) recovered: Nanos,
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            messages: 0,
            latency: histogram(),
            baseline: histogram(),
            late: histogram(),
            joined: 0,
            handshake: histogram(),
            heartbeats: Vec::new(),
            errors: Errors::default(),
            samples: Vec::new(),
            connecting: Vec::new(),
            measured: Vec::new(),
            disturbance: Disturbance::default(),
            ended_at: 0,
            interval: Interval::new(0),
        }
    }

    /// A message arrived `latency` after it was sent, or should have been.
    pub(crate) fn delivered(&mut self, latency: Nanos, measured: bool) {
        self.interval.messages += 1;
        self.interval.latency.saturating_record(latency);
        if measured {
            self.messages += 1;
            self.latency.saturating_record(latency);
        }
    }

    /// The same, before the disturbance.
    pub(crate) fn delivered_before(&mut self, latency: Nanos) {
        self.interval.messages += 1;
        self.interval.latency.saturating_record(latency);
        self.baseline.saturating_record(latency);
    }

    /// A client completed its handshake; `again` if the plan opened it.
    pub(crate) fn joined(&mut self, handshake: Nanos, again: bool) {
        self.joined += u64::from(!again);
        self.handshake.saturating_record(handshake);
        self.interval.handshakes += 1;
        self.interval.connected += 1;
    }

    /// A client ended before its time.
    pub(crate) fn client_failed(&mut self, joined: bool, failure: &Failure) {
        if joined {
            self.errors.disconnected += 1;
        } else {
            self.errors.failed_to_join += 1;
        }
        self.describe(|| failure.to_string());
    }

    /// A message came with the wrong content.
    pub(crate) fn mismatched(&mut self, client: u32, packet: Packet<'_>) {
        self.errors.mismatched += 1;
        self.describe(|| {
            let text = String::from_utf8_lossy(packet.body);
            let shown: String = text.chars().take(80).collect();
            format!("client {client} received wrong content: {shown}")
        });
    }

    /// Keeps the description of an error, if it is new and there is room.
    pub(crate) fn describe(&mut self, description: impl FnOnce() -> String) {
        if self.samples.len() < SAMPLES_MAX {
            let description = description();
            if !self.samples.contains(&description) {
                self.samples.push(description);
            }
        }
    }

    /// A heartbeat came in second `second` of the measured window.
    pub(crate) fn heartbeat(&mut self, second: usize) {
        if self.heartbeats.len() <= second {
            self.heartbeats.resize(second + 1, 0);
        }
        self.heartbeats[second] += 1;
    }

    /// Takes in what another worker counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.messages += other.messages;
        self.joined += other.joined;
        self.latency += other.latency;
        self.baseline += other.baseline;
        self.late += other.late;
        self.handshake += other.handshake;
        for (second, count) in other.heartbeats.into_iter().enumerate() {
            if count > 0 {
                self.heartbeat(second);
                self.heartbeats[second] += count - 1;
            }
        }
        self.errors.add(&other.errors);
        for sample in other.samples {
            self.describe(|| sample);
        }
        self.ended_at = self.ended_at.max(other.ended_at);
        self.connecting.extend(other.connecting);
        self.measured.extend(other.measured);
        self.disturbance.merge(other.disturbance);
    }
}

impl Disturbance {
    fn merge(&mut self, other: Self) {
        self.clients += other.clients;
        self.consequences += other.consequences;
        self.began = match (self.began, other.began) {
            (0, began) | (began, 0) => began,
            (a, b) => a.min(b),
        };
        self.recovered = self.recovered.max(other.recovered);
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX, PRECISION).expect("three digits, and two is below the most")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_workers_merge_into_one_count() {
        let (mut a, mut b) = (Stats::new(), Stats::new());
        a.delivered(1_000, true);
        b.delivered(3_000, true);
        b.delivered(9_000, false);
        b.errors.lost = 2;
        a.heartbeat(0);
        b.heartbeat(0);
        b.heartbeat(2);
        b.disturbance = Disturbance { clients: 1, consequences: 0, began: 7, recovered: 9 };
        a.merge(b);
        assert_eq!((a.messages, a.latency.len(), a.latency.min()), (2, 2, 1_000));
        assert_eq!((a.errors.lost, a.errors.total()), (2, 2));
        assert_eq!(a.heartbeats, [2, 0, 1]);
        assert_eq!(a.disturbance, Disturbance { clients: 1, consequences: 0, began: 7, recovered: 9 });
    }

    #[test]
    fn merged_histograms_have_the_percentiles_of_all_values_together() {
        let (mut parts, mut whole) = ([Stats::new(), Stats::new(), Stats::new()], histogram());
        for value in 1..=30_000_u64 {
            parts[usize::try_from(value % 3).unwrap()].delivered(value * 100, true);
            whole.record(value * 100).unwrap();
        }
        let mut merged = Stats::new();
        parts.into_iter().for_each(|part| merged.merge(part));
        for quantile in [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0] {
            assert_eq!(merged.latency.value_at_quantile(quantile), whole.value_at_quantile(quantile));
        }
        assert_eq!(merged.latency.len(), 30_000);
    }

    #[test]
    fn errors_that_are_allowed_do_not_fail_the_run() {
        let errors = Errors { lost: 3, reordered: 1, ..Errors::default() };
        assert_eq!((errors.total(), errors.failing(&[])), (4, 4));
        assert_eq!(errors.failing(&[Allow::Lost]), 1);
        assert_eq!(errors.failing(&[Allow::All]), 0);
    }
}
