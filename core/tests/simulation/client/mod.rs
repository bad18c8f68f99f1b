//! A Socket.IO client, behaving or not: over long-polling, WebSocket, or one after the other.

mod misbehaving;
mod reading;
mod websocket;
mod writing;

use crate::oracle::{ClientId, Oracle, SocketId};
use crate::random::Random;
use crate::wire::{Packet, SocketPacket};
use crate::world::{StreamId, World};
use std::collections::{BTreeMap, VecDeque};
use tidegate_core::shard::StreamEnd;
use tidegate_core::time::Instant;
use websocket::WebSocket;

pub(crate) const NAMESPACES: [&str; 3] = ["/", "/a", "/b"];

/// How a client gets at its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Polling,
    WebSocket,
    /// Polling first.
    Upgrading,
}

/// What a client does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Does not answer pings.
    Mute,
    /// Does not read, write or close.
    Frozen,
    /// Does not join anything.
    Idle,
}

#[derive(Debug)]
enum NamespaceState {
    Out,
    Connecting,
    In(SocketId),
}

/// An HTTP request on its way.
#[derive(Debug)]
struct Exchange {
    stream: StreamId,
    input: Vec<u8>,
    /// The status that must come, if it is not the usual 200.
    expected: u16,
}

/// A WebSocket that is to take over.
#[derive(Debug)]
struct Candidate {
    websocket: WebSocket,
    is_confirmed: bool,
    give_up_at: Instant,
}

/// A client's wish to be put into a room, or taken out.
#[derive(Clone, Copy, Debug)]
struct Wished {
    socket: SocketId,
    room: &'static str,
    join: bool,
}

/// A binary packet whose attachments are coming.
#[derive(Debug)]
struct Pending {
    packet: SocketPacket,
    got: usize,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    kind: Kind,
    sid: Option<String>,
    pub(crate) is_over: bool,
    fault: Option<Fault>,
    stalled_until: Option<Instant>,
    get: Option<Exchange>,
    post: Option<Exchange>,
    stray: Option<Exchange>,
    websocket: Option<WebSocket>,
    candidate: Option<Candidate>,
    out: VecDeque<Packet>,
    namespaces: BTreeMap<&'static str, NamespaceState>,
    pending: Option<Pending>,
    next_number: u64,
    /// Events of this client that want an acknowledgement, and the wish each is about; the id is the number.
    awaited: BTreeMap<u64, Option<Wished>>,
}

impl Client {
    pub(crate) fn new(id: ClientId, kind: Kind) -> Self {
        Self {
            id,
            kind,
            sid: None,
            is_over: false,
            fault: None,
            stalled_until: None,
            get: None,
            post: None,
            stray: None,
            websocket: None,
            candidate: None,
            out: VecDeque::new(),
            namespaces: NAMESPACES.map(|name| (name, NamespaceState::Out)).into(),
            pending: None,
            next_number: 0,
            awaited: BTreeMap::new(),
        }
    }

    /// Does a few of the things a client may do now. Says whether anything happened.
    pub(crate) fn step(&mut self, world: &mut World, random: &mut Random) -> bool {
        let oracle = crate::oracle::Shared::clone(&world.oracle);
        let oracle = &mut *oracle.borrow_mut();
        if self.is_over || self.fault == Some(Fault::Frozen) {
            return false;
        }
        if self.stalled_until.is_some_and(|until| world.now < until) {
            return false;
        }
        let mut busy = self.read(world, oracle, random);
        if !oracle.is_quiet && !self.is_over {
            self.misbehave(world, oracle, random);
        }
        if self.is_over || self.fault == Some(Fault::Frozen) {
            return busy;
        }
        if self.sid.is_some() && !oracle.is_quiet {
            self.talk(oracle, random);
        }
        busy |= self.write(world, oracle, random);
        busy
    }

    fn end(&mut self, world: &mut World, oracle: &mut Oracle, random: &mut Random, how: &str) {
        oracle.client_over(self.id, how);
        self.leave(world, if random.chance(80) { StreamEnd::Eof } else { StreamEnd::Error });
    }

    /// Closes everything.
    fn leave(&mut self, world: &mut World, end: StreamEnd) {
        self.is_over = true;
        let exchanges =
            [&self.get, &self.post, &self.stray].into_iter().flatten().map(|exchange| exchange.stream);
        let candidate = self.candidate.iter().map(|candidate| candidate.websocket.stream);
        let websocket = self.websocket.iter().map(|websocket| websocket.stream);
        exchanges.chain(candidate).chain(websocket).for_each(|stream| world.leave(stream, end));
    }

    /// Whether everything that was asked has been answered, as far as it had to be.
    pub(crate) fn assert_settled(&self, oracle: &Oracle) {
        if self.is_over || oracle.clients[self.id].excuse.is_some() {
            return;
        }
        let is_pong = |packet: &Packet| *packet == Packet::Text("3".to_owned());
        assert!(self.out.iter().all(is_pong), "client {} has not said everything", self.id);
        if let Some(websocket) = &self.websocket {
            // The last may be under way.
            assert!(websocket.pings <= websocket.pongs + 1, "client {} got a pong for every ping", self.id);
        }
        for (name, state) in &self.namespaces {
            assert!(
                !matches!(state, NamespaceState::Connecting),
                "client {} got no reply to its CONNECT to {name}",
                self.id
            );
        }
    }

    /// Stops without a word, streams open.
    pub(crate) fn freeze(&mut self) {
        self.fault = Some(Fault::Frozen);
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.fault == Some(Fault::Frozen)
    }
}
