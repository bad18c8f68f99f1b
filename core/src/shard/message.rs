//! What crosses cores: a closed set of messages, carried in order by the driver, which does not look inside.
//!
//! No message is ever dropped. When a mailbox is full, messages wait in the sender, in order, and the driver
//! stops reading from clients until they are gone; so what waits is bounded by what one turn produces.

use super::app::{AckError, AppMessage, Flags, Rejection, Selector, SocketInfo, SocketKey, Ticket};
use crate::arena::Key;
use crate::engine_io::request::{EngineQuery, Method, Refusal};
use crate::front::Upgrade;
use crate::front::write_queue::WriteQueue;
use crate::hub::InterestChange;
use crate::hub::acks::Asker;
use crate::id::{Id, ShardIndex};
use crate::name::Name;
use crate::payload::{Packet, Parcel};
use crate::session::RequestRef;
use crate::socket_io::Args;
use ::http::StatusCode;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A message from one shard to another.
#[derive(Debug)]
pub struct ShardMessage(pub(super) Content);

// Mailboxes hold thousands of these.
const _: () = assert!(size_of::<ShardMessage>() <= 48);

#[derive(Debug)]
pub(super) enum Content {
    /// A plain HTTP request for a session of the receiver.
    Request(Box<ForwardedRequest>),
    /// What became of the body of a request that was forwarded without it.
    Body { request: RequestRef, session: Id, body: Box<BodyArrival> },
    /// The connection of a forwarded request that is not answered is gone.
    Aborted { request: RequestRef, session: Id },
    /// The answer to a forwarded request.
    Answer { request: RequestRef, answer: Box<Answer> },
    /// Deliver to the receiver's members.
    Broadcast(Arc<Broadcast>),
    /// Whether the sender has members somewhere.
    Interest { from: ShardIndex, change: Box<InterestChange> },
    /// The sender has put sockets into these rooms, as it was told (none: it has let a socket in), and has said
    /// before this what interest followed.
    Joined { from: ShardIndex, rooms: Box<[Name]> },
    /// Do something to the receiver's sockets of a selector.
    Select(Box<SelectorRequest>),
    /// Do something to one of the receiver's sockets.
    Command { from: ShardIndex, socket: SocketKey, command: Box<Command> },
    /// An answer to something the receiver's application asked for.
    Outcome { ticket: Ticket, outcome: Box<Outcome> },
    /// End one of the receiver's sessions.
    CloseSession(Key),
    /// The sender's application says something to the receiver's.
    Told { from: ShardIndex, message: AppMessage },
    /// One shard's part of a broadcast with acknowledgement, or of a fetch.
    Part { collection: Key, part: Box<Part> },
}

/// A request on its way to the session's shard. The connection stays where it is.
#[derive(Debug)]
pub(super) struct ForwardedRequest {
    pub(super) request: RequestRef,
    pub(super) arrived: SessionRequest,
}

/// An HTTP request to the engine, as far as a session needs to know it.
#[derive(Debug)]
pub(super) struct SessionRequest {
    pub(super) query: EngineQuery,
    pub(super) method: Method,
    pub(super) is_origin_valid: bool,
    /// A POST of `application/octet-stream`, which revision 4 refuses.
    pub(super) is_octet_stream: bool,
    pub(super) body: BodyArrival,
}

/// How far the body of a POST has come.
#[derive(Debug)]
pub(super) enum BodyArrival {
    /// Some of it has not been read.
    Coming,
    /// All of it.
    Complete(Vec<u8>),
    /// It exceeds what a client may send, and is thrown away.
    TooLarge,
}

/// What a session says to an HTTP request. The connection's shard makes a response of it.
#[derive(Debug)]
pub(super) enum Answer {
    /// 200 with these packets.
    Packets(VecDeque<Packet>),
    /// 200 `ok`.
    Ok,
    /// An empty body.
    Empty(StatusCode),
    /// An engine error.
    Refused(Refusal),
    /// No response: the TCP connection ends.
    Destroy,
}

/// A packet for every member of a selector, and what else to know about it.
#[derive(Debug)]
pub(super) struct Broadcast {
    pub(super) selector: Selector,
    pub(super) flags: Flags,
    /// The tick of the application that asked: what one tick sends is one batch to a volatile packet.
    pub(super) tick: u64,
    pub(super) content: BroadcastContent,
}

#[derive(Debug)]
pub(super) enum BroadcastContent {
    /// Encoded once for everybody.
    Plain(Parcel),
    /// Each shard numbers its own question, and reports to the collector. `event` is JSON text.
    WithAck { event: Box<str>, args: Args, timeout: Duration, collector: (ShardIndex, Key) },
}

/// Something for all sockets of a selector.
#[derive(Debug)]
pub(super) struct SelectorRequest {
    pub(super) from: ShardIndex,
    pub(super) selector: Selector,
    pub(super) action: SelectorAction,
}

#[derive(Clone, Debug)]
pub(super) enum SelectorAction {
    Join(Vec<Name>),
    Leave(Vec<Name>),
    Disconnect {
        close: bool,
    },
    /// Report to the collection of the sender.
    Fetch {
        collection: Key,
    },
}

/// Something for one socket of another shard. Names of events are JSON text.
#[derive(Debug)]
pub(super) enum Command {
    Emit {
        flags: Flags,
        tick: u64,
        event: Box<str>,
        args: Args,
    },
    EmitWithAck {
        flags: Flags,
        tick: u64,
        event: Box<str>,
        args: Args,
        timeout: Option<Duration>,
        asker: Asker,
    },
    Reply {
        ack: u64,
        args: Args,
    },
    HoldInput,
    ReleaseInput,
    Join(Name),
    Leave(Name),
    Disconnect {
        close: bool,
    },
    Accept,
    Reject(Rejection),
    SetData(Box<str>),
}

/// What an application on another shard waits for.
#[derive(Debug)]
pub(super) enum Outcome {
    Acknowledged(Result<Args, AckError>),
}

/// What one shard adds to a collection.
#[derive(Debug)]
pub(super) enum Part {
    /// It has asked so many clients.
    Asked(u32),
    /// The first argument of one client's answer.
    Answer(Args),
    /// All of its clients have answered, or their time is up.
    Answered { timed_out: bool },
    /// Its sockets.
    Sockets(Vec<SocketInfo>),
}

/// A connection on its way to the shard of the session it wants to upgrade.
#[derive(Debug)]
pub struct MovedConnection {
    pub(super) peer: SocketAddr,
    pub(super) out: WriteQueue,
    /// What the client sent behind the request.
    pub(super) input: Vec<u8>,
    pub(super) upgrade: Upgrade,
}
