//! When the n-th of a steady stream of events is due: arithmetic only, so that no error adds up.

use crate::clock::{Nanos, SECOND};

/// Events at a rate, the first at `start`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start: Nanos,
    per_second: f64,
}

impl Schedule {
    /// A schedule of `per_second` events, above zero.
    pub(crate) fn new(start: Nanos, per_second: f64) -> Self {
        debug_assert!(per_second > 0.0, "the command line refuses it");
        Self { start, per_second }
    }

    /// When event `n` (from 0) is due.
    pub(crate) fn time_of(&self, n: u64) -> Nanos {
        self.start.saturating_add(rounded(n as f64 * SECOND as f64 / self.per_second))
    }

    /// How many events are due before `time`.
    pub(crate) fn count_before(&self, time: Nanos) -> u64 {
        let span = time.saturating_sub(self.start) as f64 / SECOND as f64;
        let mut count = rounded(span * self.per_second).saturating_add(1);
        // Rounding may be off by one or two either way.
        while count > 0 && self.time_of(count - 1) >= time {
            count -= 1;
        }
        count
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and saturates after 584 years"
)]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}

/// The rate of one worker's share of the clients.
pub(crate) fn share(rate: f64, clients: u32, of: u32) -> f64 {
    rate * f64::from(clients) / f64::from(of.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_at_their_own_time_and_no_error_adds_up() {
        let thirds = Schedule::new(1_000, 3.0);
        assert_eq!(thirds.time_of(0), 1_000);
        assert_eq!(thirds.time_of(1), 1_000 + 333_333_333);
        assert_eq!(thirds.time_of(3_000_000), 1_000 + 1_000_000 * SECOND);
    }

    #[test]
    fn a_rate_below_one_per_second_waits_longer_than_a_second() {
        assert_eq!(Schedule::new(0, 0.5).time_of(2), 4 * SECOND);
    }

    #[test]
    fn the_next_event_is_never_before_the_last() {
        for rate in [0.001, 7.0, 99_999.0, 3e6] {
            let schedule = Schedule::new(5 * SECOND, rate);
            assert!((0..5_000).all(|n| schedule.time_of(n) <= schedule.time_of(n + 1)), "{rate}");
        }
        assert_eq!(Schedule::new(u64::MAX, 1.0).time_of(9), u64::MAX);
    }

    #[test]
    fn the_events_before_a_moment_are_those_that_are_due_before_it() {
        for rate in [0.001, 7.0, 99_999.0, 3e6] {
            let schedule = Schedule::new(5 * SECOND, rate);
            for time in [0, 5 * SECOND, 5 * SECOND + 1, 6 * SECOND, 7_123_456_789] {
                let count = schedule.count_before(time);
                assert!(count == 0 || schedule.time_of(count - 1) < time, "{rate} before {time}");
                assert!(schedule.time_of(count) >= time, "{rate} before {time}");
            }
        }
    }

    #[test]
    fn the_shares_of_the_workers_are_the_whole_rate() {
        let rate: f64 = [4, 4, 3].iter().map(|clients| share(110.0, *clients, 11)).sum();
        assert!((rate - 110.0).abs() < 1e-9);
    }
}
