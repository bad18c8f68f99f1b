//! When the n-th of a steady stream of events is due: arithmetic only, so that no error adds up.

use crate::clock::{Nanos, SECOND};

/// Events at `per_second`, the first at `start`.
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
        self.start + rounded(n as f64 * SECOND as f64 / self.per_second)
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
}
