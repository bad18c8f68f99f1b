//! What clients have begun and not finished: heads, bodies, messages, attachments.
//!
//! Each is bounded on its own, but twenty thousand of them are not little. So they are counted together, and
//! whoever makes the sum exceed the shard's share is sent away; a client that finishes what it begins is in
//! nobody's way.

use super::state::Core;
use crate::arena::Key;
use crate::close::CloseReason;
use crate::front::{Body, Conn, Role, Then};
use crate::session::Session;
use ::http::StatusCode;

/// "Try again later" (IANA registry of WebSocket close codes).
const TRY_AGAIN_LATER: u16 = 1013;

impl Conn {
    /// Bytes of unfinished input that it holds.
    fn unfinished_bytes(&self) -> usize {
        let inside = match &self.role {
            Role::Http(http) => match http.exchange.as_deref().map(|exchange| &exchange.body) {
                Some(Body::Collect { bytes, .. }) => bytes.capacity(),
                _ => 0,
            },
            Role::WebSocket(websocket) => websocket.decoder.heap_bytes(),
            Role::Leaving | Role::Port => 0,
        };
        inside + self.input.capacity()
    }
}

impl Core {
    /// Counts what a connection holds after its bytes were handled, and ends it if that is too much.
    pub(super) fn count_conn_input(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let (before, now) = (conn.counted_bytes, conn.unfinished_bytes());
        if before == now {
            return;
        }
        conn.counted_bytes = now;
        self.input_bytes = self.input_bytes - before + now;
        if now < before || self.input_bytes <= self.settings.input_bytes_max {
            return;
        }
        self.stats.input_refused += 1;
        match &conn.role {
            Role::Http(_) => {
                self.abandon_exchange(key);
                self.refuse_http(key, StatusCode::SERVICE_UNAVAILABLE);
            }
            Role::WebSocket(_) => {
                self.end_websocket(key, Some(TRY_AGAIN_LATER), CloseReason::TransportError, Then::Linger);
            }
            Role::Leaving | Role::Port => {}
        }
    }

    /// Counts what a session holds of a packet whose attachments are still to come.
    pub(super) fn count_session_input(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let (before, now) = (session.counted_bytes, session.decoder.pending_bytes());
        session.counted_bytes = now;
        self.input_bytes = self.input_bytes - before + now;
        if now > before && self.input_bytes > self.settings.input_bytes_max {
            self.stats.input_refused += 1;
            self.close_session(key, CloseReason::TransportError);
        }
    }

    /// A connection is no longer here, and so is not what it held.
    pub(super) fn forget_conn_input(&mut self, conn: &Conn) {
        self.input_bytes -= conn.counted_bytes;
    }

    /// As [`Self::forget_conn_input`].
    pub(super) fn forget_session_input(&mut self, session: &Session) {
        self.input_bytes -= session.counted_bytes;
    }
}
