//! What one worker counted, and how the counts of several become one.

use crate::client::Failure;
use crate::clock::{Nanos, SECOND};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Digits a latency is kept to.
const PRECISION: u8 = 3;
/// Largest latency told apart from larger ones.
const LATENCY_MAX: Nanos = 600 * SECOND;
/// Descriptions of errors a worker keeps; the others are only counted.
const SAMPLES_MAX: usize = 5;

/// Everything that must not happen, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
}

impl Errors {
    /// All of them together.
    pub fn total(&self) -> u64 {
        let Self { failed_to_join, disconnected, lost, duplicated, reordered, mismatched, heartbeats_missed } =
            self;
        failed_to_join + disconnected + lost + duplicated + reordered + mismatched + heartbeats_missed
    }

    fn add(&mut self, other: &Self) {
        self.failed_to_join += other.failed_to_join;
        self.disconnected += other.disconnected;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.mismatched += other.mismatched;
        self.heartbeats_missed += other.heartbeats_missed;
    }
}

/// CPU time of a worker over a span of wall time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) cpu: Nanos,
    pub(crate) wall: Nanos,
}

impl Load {
    /// Share of the span the thread ran, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        if self.wall == 0 { 0.0 } else { self.cpu as f64 / self.wall as f64 }
    }
}

/// One worker's counts.
pub(crate) struct Stats {
    /// Messages that came back within the measured window.
    pub(crate) messages: u64,
    /// Their latency in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    pub(crate) joined: u64,
    /// From the first SYN to the reply to the CONNECT, in nanoseconds.
    pub(crate) handshake: Histogram<u64>,
    /// Heartbeats by second of the measured window.
    pub(crate) heartbeats: Vec<u64>,
    pub(crate) errors: Errors,
    pub(crate) samples: Vec<String>,
    /// While clients connected, per worker.
    pub(crate) connecting: Vec<Load>,
    /// In the measured window, per worker.
    pub(crate) measured: Vec<Load>,
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            messages: 0,
            latency: histogram(),
            joined: 0,
            handshake: histogram(),
            heartbeats: Vec::new(),
            errors: Errors::default(),
            samples: Vec::new(),
            connecting: Vec::new(),
            measured: Vec::new(),
        }
    }

    /// A client ended before its time.
    pub(crate) fn client_failed(&mut self, joined: bool, failure: &Failure) {
        if joined {
            self.errors.disconnected += 1;
        } else {
            self.errors.failed_to_join += 1;
        }
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(failure.to_string());
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
        self.handshake += other.handshake;
        for (second, count) in other.heartbeats.into_iter().enumerate() {
            if count > 0 {
                self.heartbeat(second);
                self.heartbeats[second] += count - 1;
            }
        }
        self.errors.add(&other.errors);
        self.samples.extend(other.samples);
        self.samples.truncate(SAMPLES_MAX);
        self.connecting.extend(other.connecting);
        self.measured.extend(other.measured);
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
        a.latency.record(1_000).unwrap();
        b.latency.record(3_000).unwrap();
        b.errors.lost = 2;
        a.heartbeat(0);
        b.heartbeat(0);
        b.heartbeat(2);
        a.merge(b);
        assert_eq!((a.latency.len(), a.latency.min()), (2, 1_000));
        assert_eq!((a.errors.lost, a.errors.total()), (2, 2));
        assert_eq!(a.heartbeats, [2, 0, 1]);
    }
}
