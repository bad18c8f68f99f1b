//! Acknowledgements this shard waits for from its clients.
//!
//! Bounded by what the application asks for: each entry stands for one emit of its own. Spec: protocol.md 4.5, 5.4.

use crate::arena::{Arena, Key};
use crate::id::ShardIndex;
use crate::limits::BROADCAST_ANSWER_BYTES_MAX;
use crate::socket_io::Args;
use std::collections::{BTreeMap, HashSet};

/// Names one request of an app, chosen by the app, given back with the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// Who wants to know about one emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The shard of the application that asked.
    pub shard: ShardIndex,
    /// Its name for the question.
    pub ticket: Ticket,
}

/// What an ack id of a socket stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    One {
        asker: Asker,
        has_timeout: bool,
    },
    /// One of the receivers of a broadcast.
    Group(Key),
}

/// The receivers of one broadcast on this shard.
#[derive(Debug)]
pub struct Group {
    /// The shard that collects the answers of all shards, and its key for them.
    pub collector: (ShardIndex, Key),
    waiting: HashSet<Key>,
    ack: u64,
    /// Bytes of the answers so far, at most [`BROADCAST_ANSWER_BYTES_MAX`].
    bytes: usize,
    /// Whether an answer had to be left out for that.
    is_overfull: bool,
}

impl Group {
    /// Gives an answer back if there is room for it.
    fn admit(&mut self, answer: Args) -> Option<Args> {
        let attachments = answer.attachments().iter().map(bytes::Bytes::len).sum::<usize>();
        let bytes = answer.json().len() + attachments + size_of::<Args>();
        if self.bytes + bytes > BROADCAST_ANSWER_BYTES_MAX {
            self.is_overfull = true;
            return None;
        }
        self.bytes += bytes;
        Some(answer)
    }
}

/// An answer that came.
#[derive(Debug, PartialEq, Eq)]
pub enum Answered {
    /// The answer to an emit: tell the asker.
    One(Asker),
    /// One answer of a broadcast; `done` if it was the last.
    Group {
        /// Which.
        group: Key,
        /// Who collects the answers.
        collector: (ShardIndex, Key),
        /// Its first argument, if it has one.
        answer: Option<Args>,
        /// Nobody is waited for any more.
        done: bool,
    },
}

/// All of a shard.
#[derive(Debug, Default)]
pub struct Acks {
    awaited: BTreeMap<(Key, u64), Awaited>,
    groups: Arena<Group>,
}

impl Acks {
    /// Waits for `socket` to answer `ack`.
    pub fn expect_one(&mut self, socket: Key, ack: u64, asker: Asker, has_timeout: bool) {
        self.awaited.insert((socket, ack), Awaited::One { asker, has_timeout });
    }

    /// Waits for all of `sockets` to answer `ack`.
    pub fn expect_group(&mut self, sockets: &[Key], ack: u64, collector: (ShardIndex, Key)) -> Key {
        let waiting = sockets.iter().copied().collect();
        let group = self.groups.insert(Group { collector, waiting, ack, bytes: 0, is_overfull: false });
        for &socket in sockets {
            self.awaited.insert((socket, ack), Awaited::Group(group));
        }
        group
    }

    /// An answer came; `None` if nobody waits for it. `first` gives its first argument.
    pub fn answer(
        &mut self,
        socket: Key,
        ack: u64,
        first: impl FnOnce() -> Option<Args>,
    ) -> Option<Answered> {
        match self.awaited.remove(&(socket, ack))? {
            Awaited::One { asker, .. } => Some(Answered::One(asker)),
            Awaited::Group(key) => {
                let group = self.groups.get_mut(key)?;
                group.waiting.remove(&socket);
                let answer = first().and_then(|first| group.admit(first));
                let done = group.waiting.is_empty() || group.is_overfull;
                Some(Answered::Group { group: key, collector: group.collector, answer, done })
            }
        }
    }

    /// The timeout of an emit passed; `None` if it has been answered.
    pub fn expire_one(&mut self, socket: Key, ack: u64) -> Option<Asker> {
        match self.awaited.remove(&(socket, ack))? {
            Awaited::One { asker, .. } => Some(asker),
            Awaited::Group(_) => None,
        }
    }

    /// Ends a broadcast: its last answer came or its timeout passed. `true` if somebody had not answered.
    pub fn finish_group(&mut self, key: Key) -> Option<(Group, bool)> {
        let group = self.groups.remove(key)?;
        for &socket in &group.waiting {
            self.awaited.remove(&(socket, group.ack));
        }
        let timed_out = !group.waiting.is_empty() || group.is_overfull;
        Some((group, timed_out))
    }

    /// A socket has left: whoever waits for it without a timeout is told, the others wait for their timeout.
    pub fn socket_left(&mut self, socket: Key) -> Vec<Asker> {
        let range = (socket, 0)..=(socket, u64::MAX);
        let hopeless: Vec<_> = self
            .awaited
            .range(range)
            .filter_map(|(&(_, ack), awaited)| match awaited {
                Awaited::One { asker, has_timeout: false } => Some((ack, *asker)),
                _ => None,
            })
            .collect();
        for (ack, _) in &hopeless {
            self.awaited.remove(&(socket, *ack));
        }
        hopeless.into_iter().map(|(_, asker)| asker).collect()
    }

    /// Number of answers waited for.
    pub fn len(&self) -> usize {
        self.awaited.len()
    }

    /// Whether no answer is waited for.
    pub fn is_empty(&self) -> bool {
        self.awaited.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKER: Asker = Asker { shard: ShardIndex(0), ticket: Ticket(7) };

    fn socket(index: u32) -> Key {
        Key { index, generation: 0 }
    }

    /// Whether the answer was taken, and whether it was the last.
    fn progress(answered: Option<Answered>) -> (bool, bool) {
        match answered {
            Some(Answered::Group { answer, done, .. }) => (answer.is_some(), done),
            other => panic!("not the answer to a broadcast: {other:?}"),
        }
    }

    #[test]
    fn an_answer_counts_once() {
        let mut acks = Acks::default();
        acks.expect_one(socket(1), 0, ASKER, true);
        assert_eq!(acks.answer(socket(2), 0, || None), None);
        assert_eq!(acks.answer(socket(1), 1, || None), None);
        assert_eq!(acks.answer(socket(1), 0, || None), Some(Answered::One(ASKER)));
        assert_eq!(acks.answer(socket(1), 0, || None), None);
        assert_eq!(acks.expire_one(socket(1), 0), None);
    }

    #[test]
    fn a_broadcast_is_done_when_every_receiver_has_answered() {
        let mut acks = Acks::default();
        let group = acks.expect_group(&[socket(1), socket(2)], 5, (ShardIndex(0), socket(9)));
        assert_eq!(progress(acks.answer(socket(1), 5, || Some(Args::default()))), (true, false));
        assert_eq!(progress(acks.answer(socket(2), 5, || Some(Args::default()))), (true, true));
        let (_, timed_out) = acks.finish_group(group).unwrap();
        assert!(!timed_out);
        assert!(acks.is_empty());
    }

    #[test]
    fn a_broadcast_that_times_out_forgets_the_rest() {
        let mut acks = Acks::default();
        let group = acks.expect_group(&[socket(1), socket(2)], 5, (ShardIndex(0), socket(9)));
        acks.answer(socket(1), 5, || Some(Args::default()));
        let (_, timed_out) = acks.finish_group(group).unwrap();
        assert!(timed_out);
        assert!(acks.is_empty());
        assert_eq!(acks.answer(socket(2), 5, || None), None);
    }

    #[test]
    fn a_broadcast_whose_answers_are_too_much_ends_as_timed_out() {
        let mut acks = Acks::default();
        let group = acks.expect_group(&[socket(1), socket(2), socket(3)], 5, (ShardIndex(0), socket(9)));
        let large = || {
            let mut args = Args::new();
            args.push(&"x".repeat(BROADCAST_ANSWER_BYTES_MAX / 2)).unwrap();
            Some(args)
        };
        assert_eq!(progress(acks.answer(socket(1), 5, large)), (true, false));
        assert_eq!(progress(acks.answer(socket(2), 5, large)), (false, true));
        let (_, timed_out) = acks.finish_group(group).unwrap();
        assert!(timed_out);
        assert!(acks.is_empty());
    }

    #[test]
    fn when_a_socket_leaves_only_waits_without_a_timeout_end() {
        let mut acks = Acks::default();
        acks.expect_one(socket(1), 0, ASKER, false);
        acks.expect_one(socket(1), 1, ASKER, true);
        acks.expect_one(socket(2), 2, ASKER, false);
        assert_eq!(acks.socket_left(socket(1)), [ASKER]);
        assert_eq!(acks.len(), 2);
        assert_eq!(acks.expire_one(socket(1), 1), Some(ASKER));
    }
}
