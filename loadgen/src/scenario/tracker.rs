//! Which messages of a sequence one receiver has: what is missing, what came twice, what came too late.

/// Missing messages that are remembered one by one, per sequence and receiver. Of more it is only known how many
/// there are: if such a one comes after all, it counts as one that nobody asked for.
const MISSING_MAX: usize = 256;

/// The state of one sequence at one receiver: numbers from 0 up, without a gap if all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tracker {
    next: u64,
    /// Numbers below `next` that have not come. Almost always there are none.
    #[expect(clippy::box_collection, reason = "half the size, in a million receivers that miss nothing")]
    missing: Option<Box<Vec<u64>>>,
}

/// What a number that came means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is new, and so many before it are missing.
    New { missing: u64 },
    /// It was missing: it came after a later one.
    Late,
    /// It had come already, or is none that was sent.
    Again,
}

impl Tracker {
    /// All numbers below this one have come, or have been told as missing.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Takes one number.
    pub(super) fn take(&mut self, number: u64) -> Arrival {
        if number == self.next {
            self.next += 1;
            return Arrival::New { missing: 0 };
        }
        if number < self.next {
            return self.take_late(number);
        }
        let gap = self.next..number;
        self.next = number + 1;
        let missing = self.missing.get_or_insert_default();
        let room = MISSING_MAX - missing.len();
        missing.extend(gap.clone().take(room));
        Arrival::New { missing: gap.end - gap.start }
    }

    fn take_late(&mut self, number: u64) -> Arrival {
        let Some(missing) = &mut self.missing else { return Arrival::Again };
        let Some(at) = missing.iter().position(|missing| *missing == number) else { return Arrival::Again };
        missing.swap_remove(at);
        if missing.is_empty() {
            self.missing = None;
        }
        Arrival::Late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_may_come_late_once() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.take(0), Arrival::New { missing: 0 });
        assert_eq!(tracker.take(3), Arrival::New { missing: 2 });
        assert_eq!(tracker.take(2), Arrival::Late);
        assert_eq!(tracker.take(2), Arrival::Again);
        assert_eq!(tracker.take(1), Arrival::Late);
        assert_eq!(tracker.take(3), Arrival::Again);
        assert_eq!(tracker, Tracker { next: 4, missing: None });
    }

    #[test]
    fn a_huge_gap_is_counted_and_not_listed() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.take(1 << 60), Arrival::New { missing: 1 << 60 });
        assert_eq!(tracker.missing.as_ref().unwrap().len(), MISSING_MAX);
        assert_eq!(tracker.take(7), Arrival::Late);
        assert_eq!(tracker.take(1 << 50), Arrival::Again);
    }
}
