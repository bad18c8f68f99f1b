//! WebSocket on a connection: bytes → messages → whoever they are for (protocol.md 1.9).

use super::Shard;
use super::state::{Core, is_overfull};
use crate::arena::Key;
use crate::close::CloseReason;
use crate::engine_io::Packet;
use crate::front::{Conn, Role, Then, WebSocketUser};
use crate::payload;
use crate::ws::{self, Event, encode};

/// Largest message of the bare echo (design.md §5).
const BARE_MESSAGE_BYTES_MAX: usize = 16 << 20;

impl Shard {
    /// Handles bytes of a WebSocket connection; they are unmasked where they lie.
    pub(super) fn websocket_bytes(&mut self, key: Key, bytes: &mut [u8]) {
        // The decoder leaves its connection while the application may do anything to that.
        let Some(conn) = self.core.conns.get_mut(key).filter(|conn| conn.then == Then::GoOn) else { return };
        let Some(websocket) = conn.websocket() else { return };
        let mut decoder = std::mem::take(&mut websocket.decoder);
        let mut limits = self.core.settings.websocket;
        if websocket.user == WebSocketUser::Echo {
            limits.message_bytes_max = BARE_MESSAGE_BYTES_MAX;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match decoder.decode(rest, &limits) {
                Ok((used, event)) => {
                    if let Some(event) = event
                        && !self.websocket_event(key, event)
                    {
                        return;
                    }
                    rest = &mut rest[used..];
                }
                Err(error) => return self.core.websocket_violation(key, error),
            }
        }
        if let Some(websocket) = self.core.conns.get_mut(key).and_then(|conn| conn.websocket()) {
            websocket.decoder = decoder;
        }
    }

    /// Returns whether the connection goes on reading.
    fn websocket_event(&mut self, key: Key, event: Event<'_>) -> bool {
        let Some(websocket) = self.core.conns.get_mut(key).and_then(|conn| conn.websocket()) else {
            return false;
        };
        let user = websocket.user;
        match (event, user) {
            (Event::Text(text), WebSocketUser::Session(session)) => self.text_packet(session, &text),
            (Event::Text(text), WebSocketUser::Candidate(session)) => {
                self.candidate_packet(session, key, &text);
            }
            (Event::Text(text), WebSocketUser::Echo) => self.core.echo(key, &payload::Packet::text(&text)),
            (Event::Binary(bytes), WebSocketUser::Session(session)) => {
                self.engine_packet(session, Packet::Binary(bytes));
            }
            (Event::Binary(_), WebSocketUser::Candidate(session)) => self.core.lose_candidate(session, true),
            (Event::Binary(bytes), WebSocketUser::Echo) => {
                self.core.echo(key, &payload::Packet::binary(&bytes));
            }
            (Event::Ping(_) | Event::Text(_) | Event::Binary(_), WebSocketUser::Closing)
            | (Event::Pong(_), _) => {}
            (Event::Ping(payload), _) => self.core.pong(key, &payload),
            (Event::Close { code, .. }, _) => {
                self.core.peer_closed(key, code);
                return false;
            }
        }
        true
    }

    /// The first packets of a WebSocket that tries to take over (protocol.md 1.11 steps 3 to 5).
    fn candidate_packet(&mut self, session: Key, conn: Key, text: &str) {
        let state = self.core.sessions.get(session).and_then(|session| session.candidate.as_deref()).copied();
        match (Packet::decode(text), state) {
            (Ok(Packet::Ping("probe")), Some(_)) => self.core.probed(session, conn),
            // Node takes a `5` without a probe, too (protocol.md 10).
            (Ok(Packet::Upgrade), Some(candidate)) if candidate.probed => {
                self.core.commit_upgrade(session, conn);
                // Before what the client says behind it.
                self.tell_app();
            }
            (_, Some(_)) => self.core.lose_candidate(session, true),
            (_, None) => self.core.close_websocket(conn, None),
        }
    }

    fn text_packet(&mut self, session: Key, text: &str) {
        match Packet::decode(text) {
            Ok(packet) => self.engine_packet(session, packet),
            Err(_) => self.core.close_session(session, CloseReason::ParseError),
        }
    }
}

impl Core {
    /// A peer that breaks RFC 6455 gets the code that says how, and is gone to the application. Nothing that
    /// follows can be understood.
    fn websocket_violation(&mut self, key: Key, error: ws::Error) {
        self.end_websocket(key, Some(error.close_code()), CloseReason::TransportError, Then::Linger);
    }

    /// The peer's close frame: answered with ours, unless it is the answer (RFC 6455 §5.5.1).
    fn peer_closed(&mut self, key: Key, code: Option<u16>) {
        self.end_websocket(key, code, CloseReason::TransportClose, Then::Close);
    }

    /// Ends a WebSocket from which nothing more is read, and what it was for: our close frame, then `then`.
    pub(super) fn end_websocket(&mut self, key: Key, code: Option<u16>, reason: CloseReason, then: Then) {
        let Some(websocket) = self.conns.get_mut(key).and_then(|conn| conn.websocket()) else { return };
        let user = websocket.user;
        websocket.decoder = ws::Decoder::default();
        self.close_websocket(key, code);
        self.websocket_lost(user, reason);
        self.finish_conn(key, then);
    }

    /// Tells whoever used a WebSocket that it is no more.
    fn websocket_lost(&mut self, user: WebSocketUser, reason: CloseReason) {
        match user {
            WebSocketUser::Session(session) => self.close_session(session, reason),
            WebSocketUser::Candidate(session) => self.lose_candidate(session, false),
            WebSocketUser::Echo | WebSocketUser::Closing => {}
        }
    }

    fn pong(&mut self, key: Key, payload: &[u8]) {
        let mut frame = Vec::with_capacity(2 + payload.len());
        encode::pong(&mut frame, payload);
        if self.may_queue(key) {
            self.push(key, frame);
        }
    }

    fn echo(&mut self, key: Key, packet: &payload::Packet) {
        if self.may_queue(key) {
            self.push(key, packet.websocket_frame().clone());
        }
    }

    /// Ends a connection that lets what it asks for pile up.
    pub(super) fn may_queue(&mut self, key: Key) -> bool {
        let Some(conn) = self.conns.get(key) else { return false };
        if !is_overfull(conn, &self.settings.options) {
            return true;
        }
        if let Role::WebSocket(websocket) = &conn.role
            && let WebSocketUser::Session(session) = websocket.user
        {
            self.doomed.push(session);
        } else {
            self.stream_ended(key);
        }
        false
    }

    /// The stream has ended, or has to: whoever used it is told.
    pub(super) fn stream_ended(&mut self, key: Key) {
        if self.conns.get(key).is_some_and(Conn::is_port) {
            return self.port_ended(key);
        }
        self.abandon_exchange(key);
        let user = self.conns.get_mut(key).and_then(|conn| conn.websocket()).map(|websocket| websocket.user);
        self.drop_conn(key);
        if let Some(user) = user {
            self.websocket_lost(user, CloseReason::TransportClose);
        }
    }
}
