//! What the shards of the conformance app have to know together: one test client asks about another, which may
//! live on another core. Behind one lock, because nothing here is on the way of ordinary traffic.
//!
//! Everything is bounded by [`REMEMBERED_MAX`] entries; beyond it the oldest, or the newcomer, is forgotten.

use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard};
use tidegate_core::shard::app::{Reply, SocketKey};

/// Facts and waiting parties kept, each.
const REMEMBERED_MAX: usize = 20_000;

/// The common memory of all shards.
#[derive(Default)]
pub(in super::super) struct Shared(Mutex<State>);

/// See the fields.
#[derive(Default)]
pub(super) struct State {
    /// Who waits to be released, and who waits to release.
    pub(super) gates: Gates,
    /// `last-disconnect`: by socket id, the answer as JSON text.
    pub(super) disconnects: Memory,
    /// `/gate`: by the raw `auth.key`, how many more refusals there are.
    pub(super) attempts: Attempts,
    /// Namespaces `/dyn-…` with sockets in them, and how many.
    pub(super) dynamic: BTreeMap<String, usize>,
}

impl Shared {
    /// Never held across a call into [`tidegate_core::shard::Io`].
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it has the lock")
    }
}

/// One who waits for a release.
pub(super) enum Held {
    /// A CONNECT without a verdict.
    Connect(SocketKey),
    /// An event without an acknowledgement, and the arguments of that.
    Event { reply: Option<Reply>, json: String, attachments: Vec<Bytes> },
}

/// A held party and its releaser have found each other.
pub(super) struct Meeting {
    pub(super) held: Held,
    /// To be acknowledged after the held party.
    pub(super) releaser: Option<Reply>,
}

/// Parties that meet by key (raw JSON text), whoever comes first, oldest first.
#[derive(Default)]
pub(super) struct Gates {
    held: Queues<String, Held>,
    releasing: Queues<String, Option<Reply>>,
}

impl Gates {
    pub(super) fn hold(&mut self, key: &str, held: Held) -> Option<Meeting> {
        match self.releasing.pop(key) {
            Some(releaser) => Some(Meeting { held, releaser }),
            None => {
                self.held.push(key.to_owned(), held);
                None
            }
        }
    }

    pub(super) fn release(&mut self, key: &str, releaser: Option<Reply>) -> Option<Meeting> {
        match self.held.pop(key) {
            Some(held) => Some(Meeting { held, releaser }),
            None => {
                self.releasing.push(key.to_owned(), releaser);
                None
            }
        }
    }
}

/// Facts that may be asked for before they are known.
#[derive(Default)]
pub(super) struct Memory {
    known: HashMap<String, String>,
    /// The keys of `known`, oldest first.
    order: VecDeque<String>,
    waiting: Queues<String, Reply>,
}

impl Memory {
    /// A fact has come to be. Returns those who wait for it.
    pub(super) fn tell(&mut self, key: &str, fact: &str) -> Vec<Reply> {
        if self.known.insert(key.to_owned(), fact.to_owned()).is_none() {
            self.order.push_back(key.to_owned());
        }
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        std::iter::from_fn(|| self.waiting.pop(key)).collect()
    }

    /// The fact and the reply to give it to, or nothing if the reply has to wait.
    pub(super) fn ask(&mut self, key: &str, reply: Reply) -> Option<(Reply, String)> {
        match self.known.get(key) {
            Some(fact) => Some((reply, fact.clone())),
            None => {
                self.waiting.push(key.to_owned(), reply);
                None
            }
        }
    }
}

/// Counts the refusals of `/gate` down.
#[derive(Default)]
pub(super) struct Attempts(HashMap<String, u8>);

impl Attempts {
    /// How many refusals are left after this one, or `None` if this attempt gets in.
    pub(super) fn refuse(&mut self, key: &str) -> Option<u8> {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.clear();
        }
        let left = self.0.entry(key.to_owned()).or_insert(3);
        match left.checked_sub(1) {
            Some(fewer) => {
                *left = fewer;
                Some(fewer)
            }
            None => {
                self.0.remove(key);
                None
            }
        }
    }
}

/// A queue per key, at most [`REMEMBERED_MAX`] items in all: what comes then is dropped.
struct Queues<K, T> {
    by_key: HashMap<K, VecDeque<T>>,
    len: usize,
}

impl<K, T> Default for Queues<K, T> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), len: 0 }
    }
}

impl<K: Eq + Hash, T> Queues<K, T> {
    fn push(&mut self, key: K, item: T) {
        if self.len < REMEMBERED_MAX {
            self.by_key.entry(key).or_default().push_back(item);
            self.len += 1;
        }
    }

    fn pop<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<T>
    where
        K: std::borrow::Borrow<Q>,
    {
        let queue = self.by_key.get_mut(key)?;
        let item = queue.pop_front();
        if queue.is_empty() {
            self.by_key.remove(key);
        }
        self.len -= usize::from(item.is_some());
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(name: &str) -> Held {
        Held::Event { reply: None, json: name.to_owned(), attachments: Vec::new() }
    }

    fn name(meeting: Option<Meeting>) -> Option<String> {
        match meeting?.held {
            Held::Event { json, .. } => Some(json),
            Held::Connect(_) => None,
        }
    }

    #[test]
    fn held_and_releasing_parties_meet_by_key_whoever_comes_first_oldest_first() {
        let mut gates = Gates::default();
        assert!(gates.hold("k", held("first")).is_none());
        assert!(gates.hold("k", held("second")).is_none());
        assert!(gates.release("other", None).is_none());
        assert_eq!(name(gates.release("k", None)).as_deref(), Some("first"));
        assert_eq!(name(gates.release("k", None)).as_deref(), Some("second"));
        assert!(gates.release("k", None).is_none());
        assert_eq!(name(gates.hold("k", held("late"))).as_deref(), Some("late"));
        assert_eq!(name(gates.hold("other", held("later"))).as_deref(), Some("later"));
        assert_eq!((gates.held.len, gates.releasing.len), (0, 0));
    }

    #[test]
    fn a_gate_refuses_a_key_three_times_and_then_starts_over() {
        let mut attempts = Attempts::default();
        for _ in 0..2 {
            let answers: Vec<_> = (0..4).map(|_| attempts.refuse("k")).collect();
            assert_eq!(answers, [Some(2), Some(1), Some(0), None]);
        }
        attempts.refuse("a");
        assert_eq!(attempts.refuse("b"), Some(2));
    }

    #[test]
    fn the_oldest_facts_are_forgotten() {
        let mut memory = Memory::default();
        for i in 0..=REMEMBERED_MAX {
            assert!(memory.tell(&i.to_string(), "{}").is_empty());
        }
        assert_eq!(memory.known.len(), REMEMBERED_MAX);
        assert!(!memory.known.contains_key("0"));
        assert!(memory.known.contains_key("1"));
    }

    #[test]
    fn no_more_parties_wait_than_the_bound_allows() {
        let mut gates = Gates::default();
        for i in 0..REMEMBERED_MAX + 10 {
            gates.hold(&(i % 7).to_string(), held("x"));
        }
        assert_eq!(gates.held.len, REMEMBERED_MAX);
    }
}
