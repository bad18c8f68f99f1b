//! The sockets of one shard, as the link sees them: who serves each, and what is held for it.

use super::directory::LinkId;
use super::encoded;
use crate::arena::Key;
use crate::shard::app::{SessionKey, SocketKey};
use crate::time::Instant;

/// How far a socket has come with its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody serves it; given up at this time.
    Waiting(Instant),
    /// This link has been asked to take it.
    Offered(Key),
    /// It belongs to this link.
    Owned(Key),
    /// This link has been told to let it go, and has not yet.
    Leaving(Key),
}

impl Stage {
    /// The link that knows of the socket.
    pub(super) fn link(self) -> Option<Key> {
        match self {
            Self::Waiting(_) => None,
            Self::Offered(link) | Self::Owned(link) | Self::Leaving(link) => Some(link),
        }
    }
}

/// A socket of this shard.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) session: SessionKey,
    pub(super) stage: Stage,
    /// Whether the client is in. Then it must not notice when its backend goes.
    pub(super) is_joined: bool,
    /// Whether its client is not read because of it.
    pub(super) holds_input: bool,
    /// Whether the link that owns it has it in its line of those that wait for credit.
    pub(super) is_stalled: bool,
    /// Whether its events outlive a backend that may not have seen them.
    pub(super) is_kept: bool,
    /// Links that have no such namespace.
    pub(super) declined: Vec<LinkId>,
    pub(super) held: Held,
}

impl Served {
    /// Whether its client is to be read again, because nothing is held any more.
    pub(super) fn ends_hold(&mut self) -> bool {
        self.held.is_empty() && std::mem::take(&mut self.holds_input)
    }

    pub(super) fn new(session: SessionKey, stage: Stage) -> Self {
        Self {
            session,
            stage,
            is_joined: false,
            holds_input: false,
            is_stalled: false,
            is_kept: false,
            declined: Vec::new(),
            held: Held::default(),
        }
    }
}

/// Encoded frames that wait, in order. They do not depend on the backend that gets them, but for answers to it.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    /// Where the first one starts.
    start: usize,
}

impl From<Vec<u8>> for Held {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of what waits.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// How many wait. Takes a look at each.
    pub(super) fn frames(&self) -> usize {
        super::encoded::split(&self.bytes[self.start..]).count()
    }

    /// Has `write` append one frame. Returns its bytes.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.bytes.len() - before
    }

    /// The first frame.
    pub(super) fn first(&self) -> Option<&[u8]> {
        encoded::split(&self.bytes[self.start..]).next()
    }

    /// Forgets the first frame, of so many bytes.
    pub(super) fn pop(&mut self, bytes: usize) {
        self.start += bytes;
        if self.start == self.bytes.len() {
            *self = Self::default();
        }
    }

    /// Puts frames before all others.
    pub(super) fn put_back(&mut self, mut earlier: Vec<u8>) {
        earlier.extend_from_slice(&self.bytes[self.start..]);
        *self = Self { bytes: earlier, start: 0 };
    }

    /// Takes everything.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let Self { mut bytes, start } = std::mem::take(self);
        bytes.drain(..start);
        bytes
    }

    /// Takes what the next backend has no use for: everything but events, which is answers to this one.
    pub(super) fn take_answers(&mut self) -> Vec<u8> {
        let (mut answers, mut events) = (Vec::new(), Vec::new());
        for frame in encoded::split(&self.bytes[self.start..]) {
            let kind = if encoded::is_event(frame) { &mut events } else { &mut answers };
            kind.extend_from_slice(frame);
        }
        *self = Self::from(events);
        answers
    }
}

/// All of them, by the place of the socket on the shard.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    slots: Vec<Option<(u32, Box<Served>)>>,
    len: usize,
}

impl Sockets {
    pub(super) fn insert(&mut self, key: SocketKey, served: Served) {
        let index = key.index as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        self.len += usize::from(self.slots[index].is_none());
        self.slots[index] = Some((key.generation, Box::new(served)));
    }

    pub(super) fn get_mut(&mut self, key: SocketKey) -> Option<&mut Served> {
        match self.slots.get_mut(key.index as usize) {
            Some(Some((generation, served))) if *generation == key.generation => Some(served),
            _ => None,
        }
    }

    pub(super) fn get(&self, key: SocketKey) -> Option<&Served> {
        match self.slots.get(key.index as usize) {
            Some(Some((generation, served))) if *generation == key.generation => Some(served),
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, key: SocketKey) -> Option<Served> {
        self.get(key)?;
        let (_, served) = self.slots[key.index as usize].take()?;
        self.len -= 1;
        if self.len == 0 {
            self.slots = Vec::new();
        }
        Some(*served)
    }

    /// The sockets that a link knows of.
    pub(super) fn of_link(&self, link: Key, shard: crate::id::ShardIndex) -> Vec<SocketKey> {
        let slots = self.slots.iter().enumerate();
        slots
            .filter_map(|(index, slot)| {
                let (generation, served) = slot.as_ref()?;
                let index = u32::try_from(index).ok()?;
                let key = SocketKey { shard, index, generation: *generation };
                (served.stage.link() == Some(link)).then_some(key)
            })
            .collect()
    }
}
