//! What the admin endpoint asks of the rest of the process.

use hdrhistogram::Histogram;
use std::time::Duration;
use tidegate_core::shard::stats::Stats;

/// Shortest time that is told apart, in nanoseconds.
const TURN_NANOS_MIN: u64 = 1_000;
/// Longest time that is told apart, in nanoseconds; longer ones count as this.
const TURN_NANOS_MAX: u64 = 60_000_000_000;
/// Significant decimal digits that are kept: 2 make a histogram of about 50 KiB per core.
const TURN_DIGITS: u8 = 2;

/// Where health and metrics come from. Called from the threads of the admin endpoint.
pub trait MetricsSource: Send + Sync {
    /// Whether clients should be sent here.
    fn readiness(&self) -> Readiness;

    /// A copy of the counters of every shard, in the order of their numbers.
    ///
    /// Waits for the shards at most a second or so, and leaves out those that do not answer.
    fn reports(&self) -> Vec<ShardReport>;
}

/// Whether clients should be sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// Not yet: something is still to be opened, or nobody serves the clients.
    Starting,
    /// No more: the process is stopping.
    Draining,
}

impl Readiness {
    /// What `/health/ready` says.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Draining => "draining",
        }
    }
}

/// One core, as its worker sees it.
#[derive(Clone, Debug)]
pub struct ShardReport {
    /// The number of the shard.
    pub shard: u16,
    /// What the shard counts.
    pub stats: Stats,
    /// How long its turns took.
    pub turn_times: TurnTimes,
    /// Messages waiting in its mailboxes now.
    pub mailbox_depth: u64,
    /// How often it stopped accepting for want of file descriptors.
    pub accept_pauses: u64,
    /// Connections it closed at once because there were too many.
    pub refused_over_limit: u64,
    /// Backends it closed at once because of who they are.
    pub links_refused: u64,
    /// Backends it closed at once because there were too many.
    pub links_over_limit: u64,
}

/// How long the turns of one worker took: a histogram from 1 µs to 1 min.
#[derive(Clone, Debug)]
pub struct TurnTimes {
    nanos: Histogram<u64>,
    total: Duration,
}

impl TurnTimes {
    /// No turns yet.
    pub fn new() -> Self {
        let nanos = Histogram::new_with_bounds(TURN_NANOS_MIN, TURN_NANOS_MAX, TURN_DIGITS);
        Self { nanos: nanos.expect("the bounds are in order"), total: Duration::ZERO }
    }

    /// Counts one turn. Takes no time to speak of, and never allocates.
    pub fn record(&mut self, turn: Duration) {
        self.total = self.total.saturating_add(turn);
        self.nanos.saturating_record(u64::try_from(turn.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many turns there were.
    pub fn count(&self) -> u64 {
        self.nanos.len()
    }

    /// How long they took together.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// How many turns took at most as long as each of `bounds`, which ascend.
    ///
    /// A time close to a bound, within the precision of the histogram, may be counted on the other side of it, but
    /// always on the same: the counts never fall.
    pub fn cumulative<const N: usize>(&self, bounds: [Duration; N]) -> [u64; N] {
        let mut counts = [0; N];
        for step in self.nanos.iter_recorded() {
            let took = Duration::from_nanos(step.value_iterated_to());
            for (count, _) in counts.iter_mut().zip(bounds).filter(|(_, bound)| took <= *bound) {
                *count += step.count_at_value();
            }
        }
        counts
    }
}

impl Default for TurnTimes {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_up_to_each_bound() {
        let mut times = TurnTimes::new();
        for micros in [0, 5, 50, 50, 5_000, 120_000_000] {
            times.record(Duration::from_micros(micros));
        }
        let bounds = [10, 100, 10_000].map(Duration::from_micros);
        assert_eq!(times.cumulative(bounds), [2, 4, 5]);
        assert_eq!((times.count(), times.total()), (6, Duration::from_micros(120_005_105)));
    }
}
