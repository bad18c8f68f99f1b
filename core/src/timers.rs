//! Everything of a shard that has a deadline, in one hierarchical wheel.
//!
//! Inserting costs the same whatever is pending, nothing is ever searched, and there is no cancelling: owners
//! check, when an entry comes up, whether it still means anything (see [`Armed`]). Resolution is the millisecond
//! of the clock, so the error is what the driver adds.

use crate::time::Instant;

/// Slots of one level; each level's slot spans a whole turn of the level below.
const SLOTS: usize = 256;
const SLOT_BITS: u32 = 8;
/// 2^32 ms is 49 days; what is further off waits in the last level and is looked at again then.
const LEVELS: usize = 4;

/// Deadlines and what is due at each.
#[derive(Debug)]
pub struct Timers<T> {
    levels: [Level<T>; LEVELS],
    /// Everything before this millisecond has been handed out.
    cursor: u64,
    /// Entries that are due and not yet handed out.
    due: Vec<T>,
    pending: usize,
}

#[derive(Debug)]
struct Level<T> {
    slots: [Vec<(u64, T)>; SLOTS],
    occupied: [u64; SLOTS / 64],
}

impl<T> Level<T> {
    fn new() -> Self {
        Self { slots: std::array::from_fn(|_| Vec::new()), occupied: [0; SLOTS / 64] }
    }

    fn push(&mut self, slot: usize, at: u64, value: T) {
        self.slots[slot].push((at, value));
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    /// Empties a slot, and gives its memory back with it.
    fn take(&mut self, slot: usize) -> Vec<(u64, T)> {
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        std::mem::take(&mut self.slots[slot])
    }

    /// The first occupied slot at or after `from`, without wrapping.
    fn next_occupied(&self, from: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut bits = *self.occupied.get(word)? & (!0 << (from % 64));
        loop {
            if bits != 0 {
                return Some(word * 64 + bits.trailing_zeros() as usize);
            }
            word += 1;
            bits = *self.occupied.get(word)?;
        }
    }
}

impl<T> Timers<T> {
    /// An empty wheel that starts at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            levels: std::array::from_fn(|_| Level::new()),
            cursor: now.as_millis(),
            due: Vec::new(),
            pending: 0,
        }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.pending
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// Hands `value` out at `at`, or at once if that has passed.
    pub fn insert(&mut self, at: Instant, value: T) {
        self.pending += 1;
        self.place(at.as_millis(), value);
    }

    fn place(&mut self, at: u64, value: T) {
        if at < self.cursor {
            self.due.push(value);
            return;
        }
        let differing = 64 - (at ^ self.cursor).leading_zeros();
        let level = (differing.saturating_sub(1) / SLOT_BITS) as usize;
        if level < LEVELS {
            self.levels[level].push(slot_of(at, level), at, value);
            return;
        }
        // The last level goes round. What is further off than one round waits in its last slot, where it is
        // placed again.
        let last = LEVELS - 1;
        let round = 1u64 << shift_of(LEVELS);
        let reach = round - (1 << shift_of(last));
        let slot = if at - self.cursor < reach { at } else { self.cursor + reach };
        self.levels[last].push(slot_of(slot, last), at, value);
    }

    /// The next value whose deadline is at or before `now`. Order within a millisecond is not defined.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        while self.due.is_empty() && self.cursor <= now.as_millis() {
            self.advance(now.as_millis());
        }
        let value = self.due.pop()?;
        self.pending -= 1;
        Some(value)
    }

    /// When [`Self::pop`] may have something: never late, and at most one wheel slot early.
    pub fn next(&self) -> Option<Instant> {
        if !self.due.is_empty() {
            return Some(Instant::from_millis(self.cursor));
        }
        if self.pending == 0 {
            return None;
        }
        self.next_event().map(Instant::from_millis)
    }

    /// The first millisecond at which a slot must be emptied.
    fn next_event(&self) -> Option<u64> {
        for (number, level) in self.levels.iter().enumerate() {
            let shift = shift_of(number);
            let here = slot_of(self.cursor, number);
            // A higher level's current slot has been taken apart already when the cursor entered it.
            let from = if number == 0 { here } else { here + 1 };
            let turn = (self.cursor >> shift) & !(SLOTS as u64 - 1);
            if let Some(slot) = level.next_occupied(from) {
                return Some((turn | slot as u64) << shift);
            }
            if number == LEVELS - 1 {
                let slot = level.next_occupied(0)?;
                return Some((turn + SLOTS as u64 + slot as u64) << shift);
            }
        }
        None
    }

    /// Moves the cursor to the next slot that matters, at most just past `limit`, and empties that slot.
    fn advance(&mut self, limit: u64) {
        let Some(event) = self.next_event().filter(|&event| event <= limit) else {
            self.enter(limit + 1);
            return;
        };
        self.enter(event);
        for (at, value) in self.levels[0].take(slot_of(event, 0)) {
            debug_assert_eq!(at, event, "level 0 holds one millisecond a slot");
            self.due.push(value);
        }
        self.enter(event + 1);
    }

    /// Sets the cursor. Where it enters a higher level's slot, that slot's entries move down, so that the
    /// current slot of every level but the lowest is always empty.
    fn enter(&mut self, cursor: u64) {
        self.cursor = cursor;
        for level in (1..LEVELS).rev() {
            let below = cursor & ((1 << shift_of(level)) - 1);
            if below == 0 {
                for (at, value) in self.levels[level].take(slot_of(cursor, level)) {
                    self.place(at, value);
                }
            }
        }
    }
}

/// An owner's memory of when the wheel will ask about it next.
///
/// Deadlines mostly move later (a pong, the next request). Then the entry stays where it is, and the owner
/// inserts a new one when the old one comes up; so moving a deadline costs one assignment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Armed(Option<Instant>);

impl Armed {
    /// Makes sure that an entry comes up no later than `deadline`. Returns whether one must be inserted.
    pub fn needs(&mut self, deadline: Instant) -> bool {
        let needed = self.0.is_none_or(|armed| armed > deadline);
        if needed {
            self.0 = Some(deadline);
        }
        needed
    }

    /// An entry came up at `now`. Returns whether it was the one that counts; an older one is left over.
    pub fn came_up(&mut self, now: Instant) -> bool {
        let counts = self.0.is_some_and(|armed| armed <= now);
        if counts {
            self.0 = None;
        }
        counts
    }
}

fn shift_of(level: usize) -> u32 {
    SLOT_BITS * u32::try_from(level).expect("there are four levels")
}

fn slot_of(at: u64, level: usize) -> usize {
    usize::try_from((at >> shift_of(level)) & (SLOTS as u64 - 1)).expect("below 256")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{IdSource, RouteKey, ShardIndex};

    #[test]
    fn every_deadline_comes_up_in_its_millisecond_whatever_the_steps_of_the_clock() {
        let mut random = IdSource::new([3; 32], RouteKey::new([0; 4]), ShardIndex(0));
        for origin in [0, 255, 65_535, (1 << 32) - 2, 1_234_567] {
            let mut timers = Timers::new(Instant::from_millis(origin));
            let mut expected: Vec<u64> = Vec::new();
            let mut now = origin;
            for _ in 0..3000 {
                let distance = match random.next_u64() % 4 {
                    0 => random.next_u64() % 4,
                    1 => random.next_u64() % 1000,
                    2 => random.next_u64() % 200_000,
                    _ => random.next_u64() % 40_000_000,
                };
                timers.insert(Instant::from_millis(now + distance), now + distance);
                expected.push(now + distance);
                if random.next_u64().is_multiple_of(3) {
                    now += random.next_u64() % 2000;
                }
                let next = timers.next().map(Instant::as_millis);
                let earliest = expected.iter().min().copied();
                assert!(
                    next <= earliest || earliest.is_none_or(|at| at <= now),
                    "{next:?} after {earliest:?}"
                );
                drain(&mut timers, &mut expected, now);
            }
            while let Some(next) = timers.next() {
                drain(&mut timers, &mut expected, next.as_millis());
            }
            assert!(expected.is_empty() && timers.is_empty());
        }
    }

    fn drain(timers: &mut Timers<u64>, expected: &mut Vec<u64>, now: u64) {
        while let Some(at) = timers.pop(Instant::from_millis(now)) {
            assert!(at <= now, "{at} came up at {now}");
            let place = expected.iter().position(|&other| other == at).expect("handed out once");
            expected.swap_remove(place);
        }
        assert!(expected.iter().all(|&at| at > now), "late at {now}");
    }

    #[test]
    fn a_deadline_beyond_the_wheel_is_not_lost() {
        let mut timers = Timers::new(Instant::from_millis(5));
        let far = (1 << 33) + 7;
        timers.insert(Instant::from_millis(far), ());
        let mut rounds = 0;
        while let Some(next) = timers.next() {
            rounds += 1;
            assert!(next.as_millis() <= far && rounds < 100);
            if timers.pop(next).is_some() {
                assert_eq!(next.as_millis(), far);
            }
        }
        assert!(timers.is_empty());
    }

    #[test]
    fn moving_a_deadline_later_needs_no_entry_until_the_old_one_comes_up() {
        let at = Instant::from_millis;
        let mut armed = Armed::default();
        assert!(armed.needs(at(10)));
        assert!(!armed.needs(at(20)));
        assert!(armed.needs(at(5)));
        assert!(armed.came_up(at(5)));
        assert!(!armed.came_up(at(10)), "left over from the first");
        assert!(armed.needs(at(20)));
    }
}
