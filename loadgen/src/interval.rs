//! What happened in each second, and how the seconds of several workers become one line over time.

use crate::clock::{Nanos, SECOND};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Digits a latency is kept to within one second. Two keep a histogram at 20 KiB.
const PRECISION: u8 = 2;
/// Largest latency told apart from larger ones.
const LATENCY_MAX: Nanos = 600 * SECOND;

/// What one worker, or all of them, did in one second.
#[derive(Clone)]
pub(crate) struct Interval {
    /// Whole seconds since the run began.
    pub(crate) second: u32,
    /// Clients that are there at its end.
    pub(crate) connected: u64,
    /// Handshakes that were completed.
    pub(crate) handshakes: u64,
    /// Messages that arrived, those of the warm-up included.
    pub(crate) messages: u64,
    /// Their latency.
    pub(crate) latency: Histogram<u32>,
    pub(crate) errors: u64,
    /// Share of its core the busiest worker used.
    pub(crate) busiest_core: f64,
}

impl Interval {
    pub(crate) fn new(second: u32) -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX, PRECISION);
        Self {
            second,
            connected: 0,
            handshakes: 0,
            messages: 0,
            latency: latency.expect("two digits, and two is below the most"),
            errors: 0,
            busiest_core: 0.0,
        }
    }

    /// Takes in what another worker did in the same second.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.connected += other.connected;
        self.handshakes += other.handshakes;
        self.messages += other.messages;
        self.latency += &other.latency;
        self.errors += other.errors;
        self.busiest_core = self.busiest_core.max(other.busiest_core);
    }

    /// As the report has it.
    pub(crate) fn row(&self) -> Second {
        let at = |quantile| match self.latency.len() {
            0 => None,
            _ => Some(self.latency.value_at_quantile(quantile) as f64 / 1e3),
        };
        Second {
            second: self.second,
            connected: self.connected,
            handshakes: self.handshakes,
            messages: self.messages,
            errors: self.errors,
            p50_us: at(0.5),
            p99_us: at(0.99),
            max_us: at(1.0),
            client_core: self.busiest_core,
        }
    }
}

/// One second of a run. Latencies are those of the messages that arrived in it, and absent if none did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Whole seconds from the start of the run to the start of this one.
    pub second: u32,
    /// Clients that are there at its end.
    pub connected: u64,
    /// Handshakes that were completed.
    pub handshakes: u64,
    /// Messages that arrived.
    pub messages: u64,
    /// Errors that were seen.
    pub errors: u64,
    /// Half of the latencies are at most this.
    pub p50_us: Option<f64>,
    /// 99 of 100 are.
    pub p99_us: Option<f64>,
    /// All are.
    pub max_us: Option<f64>,
    /// Share of its core that the generator's busiest worker used.
    pub client_core: f64,
}

/// The seconds of a run, as the workers tell them.
pub(crate) struct Timeline {
    workers: usize,
    /// Seconds that some workers have told, and how many have.
    open: BTreeMap<u32, (usize, Interval)>,
    /// Seconds that are complete, in order.
    rows: Vec<Second>,
    /// The histograms of those, if they are wanted for an interval log.
    kept: Option<Vec<Interval>>,
}

impl Timeline {
    pub(crate) fn new(workers: usize, keep: bool) -> Self {
        Self { workers, open: BTreeMap::new(), rows: Vec::new(), kept: keep.then(Vec::new) }
    }

    /// A worker tells a second, in order. One that has ended tells no more.
    pub(crate) fn add(&mut self, told: &Interval) {
        let (count, interval) =
            self.open.entry(told.second).or_insert_with(|| (0, Interval::new(told.second)));
        interval.merge(told);
        *count += 1;
        while self.open.first_key_value().is_some_and(|(_, (count, _))| *count >= self.workers) {
            self.complete_oldest();
        }
    }

    /// The last second that is complete.
    pub(crate) fn latest(&self) -> Option<&Second> {
        self.rows.last()
    }

    /// All seconds, those that a worker which had ended did not tell included.
    pub(crate) fn finish(mut self) -> (Vec<Second>, Vec<Interval>) {
        while !self.open.is_empty() {
            self.complete_oldest();
        }
        self.rows.sort_by_key(|row| row.second);
        (self.rows, self.kept.unwrap_or_default())
    }

    fn complete_oldest(&mut self) {
        let Some((_, (_, interval))) = self.open.pop_first() else { return };
        self.rows.push(interval.row());
        if let Some(kept) = &mut self.kept {
            kept.push(interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(second: u32, connected: u64, latencies: &[u64]) -> Interval {
        let mut interval = Interval::new(second);
        interval.connected = connected;
        interval.messages = latencies.len() as u64;
        latencies.iter().for_each(|latency| interval.latency.record(*latency).unwrap());
        interval
    }

    #[test]
    fn a_second_is_complete_when_every_worker_has_told_it() {
        let mut timeline = Timeline::new(2, false);
        timeline.add(&told(0, 3, &[1_000; 10]));
        assert_eq!(timeline.latest(), None);
        timeline.add(&told(1, 3, &[]));
        timeline.add(&told(0, 4, &[9_000]));
        let first = timeline.latest().unwrap();
        assert_eq!((first.second, first.connected, first.messages), (0, 7, 11));
        assert!(first.p50_us.unwrap() < 1.1 && first.max_us.unwrap() >= 9.0);
        let (rows, _) = timeline.finish();
        assert_eq!(rows.iter().map(|row| row.second).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((rows[1].connected, rows[1].p50_us), (3, None));
    }
}
