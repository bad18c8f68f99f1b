//! What sessions do with what clients send: Engine.IO packets (protocol.md 1.4), then Socket.IO packets
//! (protocol.md 4.3 to 4.5).

use super::Shard;
use super::app::{Event, Reply};
use super::message::Part;
use super::state::Core;
use super::{Io, namespaces};
use crate::arena::Key;
use crate::close::{CloseReason, DisconnectReason};
use crate::engine_io;
use crate::hub::acks::Answered;
use crate::payload;
use crate::session::Layer;
use crate::socket_io::{Args, ArgsRef, DecodeError, Packet, pending_bytes_max};

/// Where a packet for a namespace goes.
enum Addressee {
    /// To this socket.
    Socket(Key),
    /// To a socket that left within this tick: its client could not know.
    JustLeft,
    /// To nobody: the client breaks the protocol.
    Nobody,
}

impl Shard {
    /// Handles one Engine.IO packet of an open session.
    pub(super) fn engine_packet(&mut self, key: Key, packet: engine_io::Packet<'_>) {
        use engine_io::Packet as Engine;
        let Some(session) = self.core.sessions.get_mut(key).filter(|session| session.is_open()) else {
            return;
        };
        let intervals = &self.core.settings.intervals;
        if let Engine::Pong(_) = packet {
            session.heartbeat.handle_pong(self.core.now, intervals);
            return self.core.arm_session(key);
        }
        session.heartbeat.handle_packet(self.core.now, intervals);
        match packet {
            Engine::Message(text) => self.text_message(key, text),
            Engine::Binary(bytes) => self.binary_message(key, &bytes),
            // The server pings in revision 4.
            Engine::Ping(_) => self.core.close_session(key, CloseReason::TransportError),
            Engine::Close => self.core.close_session(key, CloseReason::TransportClose),
            Engine::Open(_) | Engine::Upgrade | Engine::Noop | Engine::Pong(_) => {}
        }
    }

    fn text_message(&mut self, key: Key, text: &str) {
        let Some(session) = self.core.sessions.get_mut(key) else { return };
        if session.layer == Layer::Echo {
            let packet = payload::Packet::build_text(1 + text.len(), |out| {
                out.push(b'4');
                out.extend_from_slice(text.as_bytes());
            });
            return self.core.send_packet(key, packet);
        }
        match session.decoder.text(text) {
            Ok(Some(packet)) => self.packet(key, &packet),
            Ok(None) => self.core.count_session_input(key),
            Err(error) => self.core.undecodable(key, error),
        }
    }

    fn binary_message(&mut self, key: Key, bytes: &[u8]) {
        let limit = pending_bytes_max(self.core.settings.options.max_payload as usize);
        let Some(session) = self.core.sessions.get_mut(key) else { return };
        if session.layer == Layer::Echo {
            return self.core.send_packet(key, payload::Packet::binary(bytes));
        }
        match session.decoder.binary(bytes, limit) {
            Ok(Some(assembled)) => {
                self.core.count_session_input(key);
                self.packet(key, &assembled.packet());
            }
            Ok(None) => self.core.count_session_input(key),
            Err(error) => self.core.undecodable(key, error),
        }
    }

    /// Handles one Socket.IO packet, and tells the application what came of it before the next one.
    fn packet(&mut self, session: Key, packet: &Packet<'_>) {
        self.dispatch(session, packet);
        self.tell_app();
    }

    fn dispatch(&mut self, session: Key, packet: &Packet<'_>) {
        if let Packet::Connect { namespace, auth } = *packet {
            return self.connect(session, namespace, auth);
        }
        let socket = match self.core.addressee(session, packet.namespace()) {
            Addressee::Socket(socket) => socket,
            Addressee::JustLeft => return,
            Addressee::Nobody => return self.core.invalid_state(session),
        };
        match *packet {
            Packet::Event { namespace, ack, name, args } => {
                self.core.stats.events_in += 1;
                let socket = self.core.socket_key(socket);
                let reply = ack.map(|ack| Reply { socket, ack });
                let event = Event { namespace, name, args, reply };
                self.app.event(&mut Io::new(&mut self.core), socket, event);
            }
            Packet::Ack { id: Some(id), args, .. } => self.core.acknowledged(socket, id, args),
            Packet::Ack { id: None, .. } => {}
            Packet::Disconnect { .. } => self.core.client_leaves(session, socket),
            Packet::ConnectError { .. } | Packet::Connect { .. } => self.core.invalid_state(session),
        }
    }

    fn connect(&mut self, session: Key, namespace: &str, auth: Option<&str>) {
        match self.core.begin_connect(session, namespace, auth) {
            Some(socket) => namespaces::ask(self, session, socket, namespace, auth.unwrap_or("{}")),
            None => self.core.invalid_state(session),
        }
    }
}

impl Core {
    fn addressee(&self, session: Key, namespace: &str) -> Addressee {
        let Some(session) = self.sessions.get(session) else { return Addressee::JustLeft };
        let Some(member) = session.sockets.iter().find(|member| &*member.namespace == namespace) else {
            return Addressee::Nobody;
        };
        match (member.joined, self.hub.get(member.socket)) {
            (true, Some(_)) => Addressee::Socket(member.socket),
            (true, None) => Addressee::JustLeft,
            (false, _) => Addressee::Nobody,
        }
    }

    /// A packet that cannot be decoded ends the session: "forced close" to the application, nothing but the
    /// close to the client (protocol.md 4.3).
    fn undecodable(&mut self, session: Key, _error: DecodeError) {
        self.stats.decode_errors += 1;
        self.close_by_server(session, CloseReason::ForcedClose);
    }

    /// A packet at the wrong time ends the session, too.
    pub(super) fn invalid_state(&mut self, session: Key) {
        self.stats.decode_errors += 1;
        self.close_by_server(session, CloseReason::ForcedServerClose);
    }

    /// DISCONNECT. The client knows what it has said, so at once it may ask for the namespace again, and must not
    /// talk to it otherwise.
    fn client_leaves(&mut self, session: Key, socket: Key) {
        self.socket_leaves(socket, DisconnectReason::ClientNamespace);
        if let Some(session) = self.sessions.get_mut(session) {
            session.sockets.retain(|member| member.socket != socket);
        }
    }

    fn acknowledged(&mut self, socket: Key, id: u64, args: ArgsRef<'_>) {
        match self.acks.answer(socket, id, || first_argument(args)) {
            Some(Answered::One(asker)) => self.tell_asker(asker, Ok(args.into_owned())),
            Some(Answered::Group { group, collector, answer, done }) => {
                if let Some(answer) = answer {
                    self.report(collector, Part::Answer(answer));
                }
                if done {
                    self.finish_group(group);
                }
            }
            None => {}
        }
    }
}

/// The first argument alone, with the attachments that are in it.
fn first_argument(args: ArgsRef<'_>) -> Option<Args> {
    let first = args.get(0)?;
    let used = if args.attachments().is_empty() { 0 } else { first.matches(PLACEHOLDER_START).count() };
    let attachments = args.attachments().get(..used)?;
    Some(ArgsRef::trusted(first, attachments).into_owned())
}

/// How every placeholder of decoded arguments starts; they are in canonical spelling.
const PLACEHOLDER_START: &str = "{\"_placeholder\":true,\"num\":";
