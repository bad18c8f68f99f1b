//! Sockets joining and leaving namespaces (protocol.md 4.4, 4.6).

use super::app::{AckError, Connect, Departed, Rejection, Verdict};
use super::state::{Call, Core};
use super::{Io, Shard};
use crate::arena::Key;
use crate::close::{CloseReason, DisconnectReason};
use crate::hub::{Socket, Stage};
use crate::limits::AUTH_BYTES_MAX;
use crate::name::Name;
use crate::session::Membership;
use crate::socket_io::encode;
use std::sync::Arc;

/// What a client is told that asks for a namespace nobody serves.
const INVALID_NAMESPACE: &str = "Invalid namespace";

/// Asks the application whether a socket may join, and does what it says.
pub(super) fn ask(shard: &mut Shard, session: Key, socket: Key, namespace: &str, auth: &str) {
    let Some(asking) = shard.core.sessions.get(session) else { return };
    let Some(id) = shard.core.hub.get(socket).map(|socket| socket.id) else { return };
    // Held on to, because the application may do anything to the session meanwhile.
    let handshake = Arc::clone(&asking.handshake);
    let request = Connect { namespace, id, auth, handshake: &handshake };
    let key = shard.core.socket_key(socket);
    match shard.app.connect(&mut Io::new(&mut shard.core), key, &request) {
        // Takes effect at the end of the tick: an event that came with the CONNECT was sent too early.
        Verdict::Accept => shard.core.accepted.push_back(socket),
        Verdict::Reject(rejection) => shard.core.reject(socket, &rejection),
        Verdict::InvalidNamespace => {
            shard.core.reject(socket, &Rejection { message: INVALID_NAMESPACE.to_owned(), data: None });
        }
        Verdict::Later => {}
    }
}

impl Core {
    /// A CONNECT: makes a socket that is not joined yet. `None` if the client may not ask (again).
    pub(super) fn begin_connect(
        &mut self,
        session_key: Key,
        namespace: &str,
        auth: Option<&str>,
    ) -> Option<Key> {
        let most = usize::from(self.settings.options.max_namespaces);
        let session = self.sessions.get_mut(session_key)?;
        let mut auth_bytes = auth.map_or(0, str::len);
        for member in &session.sockets {
            // One that has left within this tick is in nobody's way.
            let Some(socket) = self.hub.get(member.socket) else { continue };
            if &*member.namespace == namespace {
                return None;
            }
            auth_bytes += socket.auth.as_deref().map_or(0, str::len);
        }
        if session.sockets.len() >= most || auth_bytes > AUTH_BYTES_MAX {
            return None;
        }
        let id = self.ids.next_id();
        let socket = self.hub.insert(namespace, id, session_key, self.now, auth.map(Into::into));
        let namespace = Name::clone(self.hub.namespace_of(socket)?);
        session.sockets.push(Membership { namespace, socket, joined: false });
        Some(socket)
    }

    /// Lets a socket in, unless it has gone meanwhile.
    pub(super) fn accept(&mut self, socket: Key) {
        let Some(found) = self.hub.get(socket).filter(|found| found.stage == Stage::Connecting) else {
            return;
        };
        let (session, id) = (found.session, found.id);
        let Some(namespace) = self.hub.namespace_of(socket) else { return };
        let reply = encode::connect(namespace, id.encode().as_str(), None);
        self.send(session, reply, false);
        self.hub.join_namespace(socket);
        if let Some(session) = self.sessions.get_mut(session) {
            session.connect_deadline = None;
            if let Some(member) = session.sockets.iter_mut().find(|member| member.socket == socket) {
                member.joined = true;
            }
        }
        self.calls.push_back(Call::Connected(socket));
    }

    /// Does not let a socket in. The client may ask again.
    pub(super) fn reject(&mut self, socket: Key, rejection: &Rejection) {
        let Some(found) = self.hub.get(socket).filter(|found| found.stage == Stage::Connecting) else {
            return;
        };
        let session = found.session;
        let Some((_, namespace, _)) = self.remove_socket(socket) else { return };
        let reply = encode::connect_error(&namespace, &rejection.message, rejection.data.as_deref());
        self.send(session, reply, false);
        self.left.push(session);
    }

    /// The application disconnects a socket, or with `close` everything of its session.
    pub(super) fn disconnect(&mut self, socket: Key, close: bool) {
        let Some((session, stage)) = self.hub.get(socket).map(|found| (found.session, found.stage)) else {
            return;
        };
        if !close {
            // Node: a socket that is not in yet waits for a verdict, and for nothing else.
            if stage == Stage::Joined {
                self.disconnect_one(session, socket);
            }
            return;
        }
        let sockets: Vec<Key> = self
            .sessions
            .get(session)
            .map(|session| session.sockets.iter().map(|member| member.socket).collect())
            .unwrap_or_default();
        for socket in sockets {
            self.disconnect_one(session, socket);
        }
        self.close_by_server(session, CloseReason::ForcedServerClose);
    }

    fn disconnect_one(&mut self, session: Key, socket: Key) {
        let Some(stage) = self.hub.get(socket).map(|socket| socket.stage) else { return };
        if stage == Stage::Joined
            && let Some(namespace) = self.hub.namespace_of(socket)
        {
            let packet = encode::disconnect(namespace);
            self.send(session, packet, false);
        }
        self.socket_leaves(socket, DisconnectReason::ServerNamespace);
    }

    /// Every socket of a session leaves.
    pub(super) fn sockets_leave(&mut self, session: Key, reason: DisconnectReason) {
        let Some(session) = self.sessions.get_mut(session) else { return };
        for member in std::mem::take(&mut session.sockets) {
            self.socket_leaves(member.socket, reason);
        }
    }

    /// One socket leaves; the application is told.
    pub(super) fn socket_leaves(&mut self, key: Key, reason: DisconnectReason) {
        let Some((socket, namespace, rooms)) = self.remove_socket(key) else { return };
        self.left.push(socket.session);
        let public_key = self.socket_key(key);
        self.calls.push_back(match socket.stage {
            Stage::Connecting => Call::Abandoned(public_key),
            Stage::Joined => Call::Disconnected(Departed {
                key: public_key,
                id: socket.id,
                namespace: namespace.to_string(),
                rooms: rooms.iter().map(ToString::to_string).collect(),
                reason,
            }),
        });
    }

    /// Takes a socket out of the hub; whoever waits for its answer is told.
    fn remove_socket(&mut self, key: Key) -> Option<(Socket, Name, Vec<Name>)> {
        let removed = self.hub.remove(key)?;
        if removed.0.holds_input {
            self.hold_ended(removed.0.session);
        }
        for asker in self.acks.socket_left(key) {
            self.tell_asker(asker, Err(AckError::Disconnected));
        }
        Some(removed)
    }

    /// The tick is over: who has left is forgotten.
    pub(super) fn forget_left(&mut self) {
        for session in std::mem::take(&mut self.left) {
            if let Some(session) = self.sessions.get_mut(session) {
                session.sockets.retain(|member| self.hub.get(member.socket).is_some());
            }
        }
    }
}
