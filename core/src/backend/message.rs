//! What the link's parts on different shards tell each other.

use super::directory::{LinkId, Load};
use crate::arena::Key;
use crate::id::ShardIndex;
use crate::name::Name;
use crate::shard::app::{Flags, Rejection, SocketKey};
use crate::socket_io::Args;
use std::time::Duration;

/// From one shard to another, in order.
#[derive(Debug)]
pub(super) enum Message {
    /// News of a link, from its home to everybody.
    News(LinkId, News),
    /// What a backend says about a socket: from the link's home to the socket's shard.
    Said(LinkId, SocketKey, Said),
    /// An event for a socket, whoever serves it, and the backend wants to hear the answer: likewise.
    Ask(SocketKey, Box<Asking>),
    /// Frames for a backend, and how many bytes of them count: from a socket's shard to the link's home.
    Batch(LinkId, bytes::Bytes, u32),
    /// So many bytes that this shard has sent were processed: from the link's home.
    Credit(LinkId, u32),
    /// This shard has nothing of a leaving link any more: to the link's home.
    Released(LinkId),
    /// An event between backends: to the home of the one that gets it.
    ServerEvent {
        /// Who gets it.
        link: LinkId,
        /// The namespace.
        namespace: Name,
        /// Its arguments, a JSON array.
        json: Box<str>,
        /// Who wants an answer.
        asker: Option<Asker>,
    },
    /// The answer to that; `None` if there will be none.
    ServerAnswer(Key, Option<Box<str>>),
}

/// Where the answer to an event between backends goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) shard: ShardIndex,
    pub(super) question: Key,
    /// How long it waits.
    pub(super) timeout: Duration,
}

/// What happens to a link.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// It has said hello. `window`: bytes it lets the gateway be ahead.
    Greeted { load: Load, window: u32 },
    /// It serves these namespaces, too.
    Serves { dynamic: bool, names: Vec<Name> },
    /// It no longer serves these.
    Withdraws(Vec<Name>),
    /// It wants to go.
    Drains,
    /// It has gone.
    Gone,
}

/// What a backend says about one socket, and only the link that serves it may.
#[derive(Debug)]
pub(super) enum Said {
    Accept,
    Reject(Rejection),
    Decline,
    Released,
    /// The answer to one of its events.
    Answer {
        ack: u64,
        args: Args,
    },
}

/// An event, and how its answer is wanted.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) link: LinkId,
    /// The backend's number for it.
    pub(super) ack: u64,
    pub(super) flags: Flags,
    /// How long it waits, if not for ever.
    pub(super) timeout: Option<Duration>,
    pub(super) name: Box<str>,
    pub(super) args: Args,
}
