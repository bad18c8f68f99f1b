//! Every link there is, as one shard knows it. Each shard has a copy, kept alike by messages.

use super::outbound::Outbound;
use crate::arena::{Arena, Key};
use crate::id::ShardIndex;
use crate::name::Name;
use crate::options::BackendOptions;
use crate::time::Instant;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names a link in the whole process. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LinkId {
    /// The shard that has its stream.
    pub(super) home: ShardIndex,
    /// Counted by that shard.
    pub(super) number: u64,
}

/// How many sockets a link has, on all shards. The only thing about links that shards share: a choice between
/// links that is a little out of date is still a good one, and nothing else depends on it.
pub(super) type Load = Arc<AtomicU32>;

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has said hello; nothing is asked of it yet.
    Greeted,
    /// It has said what it serves.
    Ready,
    /// It wants to go: no new sockets.
    Draining,
}

/// One link, and what this shard has for it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) standing: Standing,
    /// Whether it decides about namespaces that nobody serves by name.
    dynamic: bool,
    names: HashSet<Name>,
    load: Load,
    /// Sockets of this shard that are its own, or offered to it.
    pub(super) sockets: u32,
    /// Whether its home knows that this shard has none left, and that it gets no more.
    pub(super) is_released: bool,
    pub(super) out: Outbound,
}

impl Link {
    /// Whether it may be asked about a namespace.
    pub(super) fn serves(&self, namespace: &str) -> bool {
        self.standing == Standing::Ready && self.decides(namespace)
    }

    /// Whether a namespace is its business, now or until it leaves.
    fn decides(&self, namespace: &str) -> bool {
        self.dynamic || self.names.contains(namespace)
    }

    /// Whether it has named a namespace.
    pub(super) fn names(&self, namespace: &str) -> bool {
        self.names.contains(namespace)
    }

    /// A socket of this shard comes to it.
    pub(super) fn take_socket(&mut self) {
        self.sockets += 1;
        self.load.fetch_add(1, Ordering::Relaxed);
    }

    /// A socket of this shard leaves it.
    pub(super) fn drop_socket(&mut self) {
        self.sockets -= 1;
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who may be asked about a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This one.
    Link(Key),
    /// Somebody who is behind now.
    Busy,
    /// Perhaps somebody who is still to come.
    Wait,
    /// Nobody.
    Nobody,
}

/// All links.
#[derive(Debug)]
pub(super) struct Directory {
    here: ShardIndex,
    links: Arena<Link>,
    /// Looked at for every answer. There are few, and nobody else chooses their numbers: no need for a keyed hash.
    by_id: BTreeMap<LinkId, Key>,
    /// Namespaces whose last backend has gone, and until when another one may be expected.
    missed: HashMap<Name, Instant>,
    /// Until when one may be expected that decides about all the others.
    missed_dynamic: Option<Instant>,
}

impl Directory {
    pub(super) fn new(here: ShardIndex) -> Self {
        Self {
            here,
            links: Arena::default(),
            by_id: BTreeMap::new(),
            missed: HashMap::new(),
            missed_dynamic: None,
        }
    }

    pub(super) fn add(&mut self, id: LinkId, load: Load, out: Outbound) -> Key {
        let standing = Standing::Greeted;
        let link = Link {
            id,
            standing,
            dynamic: false,
            names: HashSet::new(),
            load,
            sockets: 0,
            is_released: false,
            out,
        };
        let key = self.links.insert(link);
        self.by_id.insert(id, key);
        key
    }

    /// Takes a link out. Its namespaces are missed until `until`, if nobody else serves them.
    pub(super) fn remove(&mut self, id: LinkId, now: Instant, until: Instant) -> Option<(Key, Link)> {
        let key = self.by_id.remove(&id)?;
        let link = self.links.remove(key)?;
        self.missed.retain(|_, expected| *expected > now);
        if link.standing != Standing::Greeted {
            self.missed.extend(link.names.iter().map(|name| (Arc::clone(name), until)));
            if link.dynamic {
                self.missed_dynamic = Some(until);
            }
        }
        Some((key, link))
    }

    pub(super) fn find(&self, id: LinkId) -> Option<Key> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, key: Key) -> Option<&Link> {
        self.links.get(key)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Link> {
        self.links.get_mut(key)
    }

    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    /// Links that have said what they serve, and are not about to go.
    pub(super) fn ready(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().map(|(_, link)| link).filter(|link| link.standing == Standing::Ready)
    }

    /// Any ready link that can be told more now, preferably one that is at home here.
    pub(super) fn any_in_credit(&self) -> Option<Key> {
        let able = |(_, link): &(Key, &Link)| link.standing == Standing::Ready && link.out.has_credit();
        let first =
            self.links.iter().filter(able).min_by_key(|(_, link)| (link.id.home != self.here, link.id));
        first.map(|(key, _)| key)
    }

    /// A link has said what (else) it serves.
    pub(super) fn serve(&mut self, key: Key, dynamic: bool, names: &[Name]) {
        let Some(link) = self.links.get_mut(key) else { return };
        link.dynamic = dynamic;
        link.names.extend(names.iter().map(Arc::clone));
        if link.standing == Standing::Greeted {
            link.standing = Standing::Ready;
        }
    }

    /// A link no longer serves some namespaces.
    pub(super) fn withdraw(&mut self, key: Key, names: &[Name]) {
        let Some(link) = self.links.get_mut(key) else { return };
        for name in names {
            link.names.remove(name);
        }
    }

    /// Who is to be asked about a socket: who has another socket of its session, else who has fewest, else who
    /// is at home here; but nobody who has `declined`, and only who can take more now.
    pub(super) fn choose(
        &self,
        now: Instant,
        namespace: &str,
        sibling: Option<Key>,
        declined: &[LinkId],
    ) -> Choice {
        let mut somebody = false;
        let mut best: Option<(bool, u32, bool, Key)> = None;
        for (key, link) in self.links.iter() {
            if !link.serves(namespace) || declined.contains(&link.id) {
                continue;
            }
            somebody = true;
            if !link.out.has_credit() {
                continue;
            }
            let rank =
                (sibling != Some(key), link.load.load(Ordering::Relaxed), link.id.home != self.here, key);
            if best.is_none_or(|best| rank < best) {
                best = Some(rank);
            }
        }
        match best {
            Some((.., key)) => Choice::Link(key),
            None if somebody => Choice::Busy,
            None if self.is_expected(now, namespace) => Choice::Wait,
            None => Choice::Nobody,
        }
    }

    /// Whether somebody may be about to come who serves a namespace that nobody does.
    fn is_expected(&self, now: Instant, namespace: &str) -> bool {
        let missed = self.missed.get(namespace).max(self.missed_dynamic.as_ref());
        let is_leaving = |link: &Link| link.standing == Standing::Draining && link.decides(namespace);
        self.ready().next().is_none()
            || missed.is_some_and(|until| *until > now)
            || self.links.iter().any(|(_, link)| is_leaving(link))
    }
}

/// This shard's share of what a link may be behind, in bytes.
pub(super) fn share(options: &BackendOptions, hello_window: u32, shards: u16) -> i64 {
    let window = hello_window.min(options.window);
    i64::from((window / u32::from(shards.max(1))).max(window.min(1)))
}
