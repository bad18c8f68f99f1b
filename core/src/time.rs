//! Time as the shard is told it: milliseconds on a monotonic clock that only the caller can read.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the caller's monotonic clock, in milliseconds since an origin the caller chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin of the clock.
    pub const ORIGIN: Self = Self(0);

    /// The instant `millis` milliseconds after the origin.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the origin.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it has not come yet.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Rounds up to a whole millisecond, so that a deadline is never early.
    fn add(self, duration: Duration) -> Self {
        // Not from all nanoseconds at once: they have 128 bits, and deadlines are set for every packet.
        let below_second = u64::from(duration.subsec_nanos().div_ceil(1_000_000));
        let millis = duration.as_secs().saturating_mul(1000).saturating_add(below_second);
        Self(self.0.saturating_add(millis))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_rounded_up_so_that_it_is_never_early() {
        let start = Instant::from_millis(10);
        assert_eq!(start + Duration::from_micros(1500), Instant::from_millis(12));
        assert_eq!(start + Duration::MAX, Instant::from_millis(u64::MAX));
    }

    #[test]
    fn time_never_runs_backwards() {
        assert_eq!(Instant::from_millis(1) - Instant::from_millis(5), Duration::ZERO);
    }
}
