//! The clock that shards are told: milliseconds since the process started, and the wall time of that moment.

use rustix::time::{ClockId, Timespec, clock_gettime};
use tidegate_core::time::Instant;

const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Reads the monotonic clock. All workers of a process share one origin, because instants cross cores.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// `CLOCK_MONOTONIC` at the origin, in nanoseconds.
    origin: u64,
    /// Unix time at the origin, in milliseconds.
    unix_origin: u64,
}

impl Clock {
    /// A clock whose origin is now.
    pub fn start() -> Self {
        Self {
            origin: nanos(clock_gettime(ClockId::Monotonic)),
            unix_origin: nanos(clock_gettime(ClockId::Realtime)) / NANOS_PER_MILLI,
        }
    }

    /// The present, rounded down to a millisecond.
    pub fn now(&self) -> Instant {
        to_instant(self.nanos())
    }

    /// Nanoseconds since the origin.
    pub(crate) fn nanos(&self) -> u64 {
        nanos(clock_gettime(ClockId::Monotonic)) - self.origin
    }

    /// Milliseconds since 1970 at `instant`, if nobody sets the wall clock in between.
    pub fn unix_millis(&self, instant: Instant) -> u64 {
        self.unix_origin + instant.as_millis()
    }

    /// `instant` on `CLOCK_MONOTONIC`.
    pub(crate) fn to_timespec(self, instant: Instant) -> Timespec {
        let nanos = instant.as_millis().saturating_mul(NANOS_PER_MILLI).saturating_add(self.origin);
        let (seconds, rest) = (nanos / NANOS_PER_SECOND, nanos % NANOS_PER_SECOND);
        Timespec { tv_sec: seconds.cast_signed(), tv_nsec: rest.cast_signed() }
    }
}

/// Nanoseconds since the origin as an instant, rounded down.
pub(crate) fn to_instant(nanos: u64) -> Instant {
    Instant::from_millis(nanos / NANOS_PER_MILLI)
}

/// Neither clock is negative, and 2^64 ns are 584 years.
fn nanos(time: Timespec) -> u64 {
    time.tv_sec.cast_unsigned() * NANOS_PER_SECOND + time.tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_time_of_an_instant_is_the_wall_time_of_the_origin_plus_the_instant() {
        let clock = Clock::start();
        let now = clock.now();
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let difference = wall.as_millis().abs_diff(clock.unix_millis(now).into());
        assert!(difference < 1000, "{difference} ms apart");
    }

    #[test]
    fn an_instant_keeps_its_place_on_the_kernels_clock() {
        let clock = Clock { origin: 1_999_999_999, unix_origin: 0 };
        let time = clock.to_timespec(Instant::from_millis(1));
        assert_eq!((time.tv_sec, time.tv_nsec), (2, 999_999));
    }
}
