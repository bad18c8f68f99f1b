//! How many users are in the chat, over all shards.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// One change of the count, in the low half, is one step of the revision, in the high half.
const REVISION: u64 = 1 << 32;

/// The number of users of the whole process, and how often it has changed.
///
/// Shards tell everybody about joins and leaves on their own, so a client may hear of two changes in the wrong
/// order; the revision lets it keep the later one. Both halves live in one word, so no lock is needed.
#[derive(Debug, Default)]
pub(in super::super) struct Roster(AtomicU64);

/// The count as everybody is told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Headcount {
    /// Users inside.
    pub(super) count: u32,
    /// Larger is later. Starts over after 2^32 changes.
    pub(super) revision: u32,
}

impl Roster {
    /// Somebody came in.
    pub(super) fn enter(&self) -> Headcount {
        Headcount::of(self.0.fetch_add(REVISION + 1, Ordering::Relaxed).wrapping_add(REVISION + 1))
    }

    /// Somebody who had come in left.
    pub(super) fn leave(&self) -> Headcount {
        Headcount::of(self.0.fetch_add(REVISION - 1, Ordering::Relaxed).wrapping_add(REVISION - 1))
    }

    /// The present.
    pub(super) fn now(&self) -> Headcount {
        Headcount::of(self.0.load(Ordering::Relaxed))
    }
}

impl Headcount {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of one word")]
    fn of(word: u64) -> Self {
        Self { count: word as u32, revision: (word >> 32) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_has_a_later_revision_and_the_count_of_its_moment() {
        let roster = Roster::default();
        assert_eq!(roster.enter(), Headcount { count: 1, revision: 1 });
        assert_eq!(roster.enter(), Headcount { count: 2, revision: 2 });
        assert_eq!(roster.leave(), Headcount { count: 1, revision: 3 });
        assert_eq!(roster.leave(), Headcount { count: 0, revision: 4 });
        assert_eq!(roster.now(), Headcount { count: 0, revision: 4 });
    }

    #[test]
    fn shards_that_count_at_the_same_time_lose_nobody() {
        let roster = Roster::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        roster.enter();
                        roster.enter();
                        roster.leave();
                    }
                });
            }
        });
        assert_eq!(roster.now(), Headcount { count: 4000, revision: 12_000 });
    }
}
