//! What clients tell the oracle, and what it tells of them.

use super::{
    ClientId, ClientModel, Downlink, ENTRY_OVERHEAD_BYTES, Entry, Oracle, SLACK_BYTES, Serial, SocketId,
};
use super::{Tri, Uplink, Wish};
use std::collections::VecDeque;

impl Oracle {
    pub(crate) fn add_client(&mut self) -> ClientId {
        let down = (0..self.shards).map(|_| Downlink::default()).collect();
        self.clients.push(ClientModel { excuse: None, is_over: false, up: VecDeque::new(), down });
        self.clients.len() - 1
    }

    /// From now on this client's session may end.
    pub(crate) fn excuse(&mut self, client: ClientId, why: &'static str) {
        self.clients[client].excuse.get_or_insert(why);
        self.note(|| format!("client {client} may end: {why}"));
    }

    /// The client has noticed that its session is over.
    pub(crate) fn client_over(&mut self, client: ClientId, how: &str) {
        self.note(|| format!("client {client} is over: {how}"));
        let is_slow = self.may_be_slow(client);
        let model = &mut self.clients[client];
        assert!(model.excuse.is_some() || is_slow, "client {client} lost its session for no reason: {how}");
        model.excuse.get_or_insert("slow");
        model.is_over = true;
    }

    /// The client has been told that a socket is in.
    pub(crate) fn client_joined(&mut self, client: ClientId, sid: &str) -> SocketId {
        let socket = *self.by_sid.get(sid).expect("the client was told of a socket that is one");
        let model = &mut self.sockets[socket];
        assert_eq!(model.client, client, "somebody else's socket");
        assert_eq!(model.known_since, None, "told twice");
        model.known_since = Some(self.step);
        socket
    }

    /// The client sends DISCONNECT.
    pub(crate) fn client_leaves(&mut self, socket: SocketId) {
        self.sockets[socket].is_leaving = true;
        self.weaken(socket, |_| true, None);
    }

    /// The client sends an event.
    pub(crate) fn client_sends(&mut self, socket: SocketId, number: u64) {
        let client = self.sockets[socket].client;
        self.clients[client].up.push_back(Uplink { number, socket });
    }

    /// The client asks to be put into a room, or taken out.
    pub(crate) fn client_wishes(&mut self, socket: SocketId, room: &str, join: bool) {
        let wish = if join { Wish::Joining } else { Wish::Leaving };
        self.sockets[socket].wishes.insert(room.to_owned(), wish);
        self.sockets[socket].wished_at = self.step;
        self.weaken(socket, |entry| entry.rooms.iter().any(|other| other == room), None);
    }

    pub(crate) fn wish(&self, socket: SocketId, room: &str) -> Option<Wish> {
        self.sockets[socket].wishes.get(room).copied()
    }

    /// The client has been told that it was done.
    pub(crate) fn client_knows(&mut self, socket: SocketId, room: &str, join: bool) {
        let wishes = &mut self.sockets[socket].wishes;
        if join {
            wishes.insert(room.to_owned(), Wish::In(self.step));
        } else {
            wishes.remove(room);
        }
    }

    /// An event or acknowledgement has arrived.
    pub(crate) fn client_receives(
        &mut self,
        client: ClientId,
        shard: usize,
        serial: Serial,
        namespace: &str,
    ) {
        self.note(|| format!("client {client} gets {serial} of shard {shard} in {namespace}"));
        let down = &mut self.clients[client].down[shard];
        assert!(serial > down.last, "client {client}: {serial} of shard {shard} came after {}", down.last);
        down.last = serial;
        let mut is_expected = false;
        while let Some(entry) = down.entries.pop_front_if(|entry| entry.serial <= serial) {
            if entry.serial < serial {
                let (lost, socket) = (entry.serial, entry.socket);
                assert_ne!(
                    entry.need,
                    Tri::Yes,
                    "client {client}: {lost} of shard {shard} to {socket} was lost"
                );
            } else if entry.need != Tri::No {
                is_expected |= self.sockets[entry.socket].namespace == namespace;
            }
        }
        // A socket that came into being while the broadcast was under way may get it.
        let is_late = self.broadcasts.get(&serial).is_some_and(|broadcast| {
            broadcast.namespace == namespace
                && self.sockets.iter().any(|socket| {
                    socket.client == client
                        && socket.namespace == namespace
                        && socket.created > broadcast.called
                })
        });
        assert!(is_expected || is_late, "client {client} got {serial}, which was not for it");
    }

    /// Whether enough was sent to a client and has not arrived to take it for one that does not read.
    pub(crate) fn may_be_slow(&self, client: ClientId) -> bool {
        let entries = self.clients[client].down.iter().flat_map(|down| &down.entries);
        let bytes: usize = entries.map(|entry| entry.bytes + ENTRY_OVERHEAD_BYTES).sum();
        bytes + SLACK_BYTES > self.outbox_bytes_max
    }

    /// What is under way to a socket may arrive or not. What shard `except` has sent is sure all the same.
    pub(super) fn weaken(&mut self, socket: SocketId, which: impl Fn(&Entry) -> bool, except: Option<usize>) {
        let client = self.sockets[socket].client;
        for (shard, down) in self.clients[client].down.iter_mut().enumerate() {
            if Some(shard) != except {
                let concerned = |entry: &&mut Entry| entry.socket == socket && which(entry);
                down.entries.iter_mut().filter(concerned).for_each(|entry| entry.need = Tri::Unknown);
            }
        }
    }
}
