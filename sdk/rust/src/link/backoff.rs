//! How long to wait before connecting again.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The first pause, and what all pauses are drawn from.
const FIRST: Duration = Duration::from_millis(100);
/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(5);

/// Exponential backoff with jitter: each pause is a random part, between a half and the whole, of twice the
/// one before.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        // The standard library's hash keys are the only randomness there is without another dependency.
        let random = RandomState::new().hash_one(self.failures);
        let pause = longest_after(self.failures);
        self.failures = self.failures.saturating_add(1);
        let half = pause / 2;
        let part = u32::try_from(random >> 32).expect("a half of a u64");
        half + Duration::from_secs_f64(half.as_secs_f64() * f64::from(part) / f64::from(u32::MAX))
    }

    /// It worked: the next pause is a short one.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

fn longest_after(failures: u32) -> Duration {
    FIRST.saturating_mul(2u32.saturating_pow(failures)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_100_ms_up_to_5_s_and_start_over() {
        let mut backoff = Backoff::default();
        for longest in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let longest = Duration::from_millis(longest);
            let pause = backoff.pause();
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?} of {longest:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }

    #[test]
    fn pauses_differ() {
        let pauses: std::collections::HashSet<_> = (0..16).map(|_| Backoff::default().pause()).collect();
        assert!(pauses.len() > 1);
    }
}
