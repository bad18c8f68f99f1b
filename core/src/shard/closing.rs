//! How connections end: after the last word, by the peer, for not reading, or all at once.

use super::state::Core;
use super::{Action, StreamEnd};
use crate::arena::Key;
use crate::close::CloseReason;
use crate::front::{Body, Role, Subject, Then, WebSocketUser};

impl Core {
    /// Everything queued for a connection has left.
    pub(super) fn written(&mut self, key: Key) {
        let deadline = self.now + self.settings.options.http.linger;
        let Some(conn) = self.conns.get_mut(key) else { return };
        match conn.then {
            Then::GoOn => {}
            Then::Close => self.drop_conn(key),
            Then::Linger => {
                conn.then = Then::GoOn;
                conn.role = Role::Leaving;
                conn.input = Vec::new();
                conn.deadline = Some(deadline);
                let stream = conn.stream;
                self.actions.push_back(Action::ShutdownWrite { stream });
                self.count_conn_input(key);
                self.resume_reading(key);
                self.arm_conn(key);
            }
        }
    }

    /// Has the driver read again where it had been told to stop, once nothing is in the way.
    pub(super) fn resume_reading(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key)
            && conn.is_paused
            && !conn.must_wait()
        {
            conn.is_paused = false;
            self.actions.push_back(Action::Resume { conn: key, stream: conn.stream });
        }
    }

    /// The peer has closed its side, or the stream broke.
    pub(super) fn end_arrived(&mut self, key: Key, end: StreamEnd) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.has_ended = true;
        let Some(conn) = self.conns.get(key) else { return };
        let is_unread = !conn.out.is_empty();
        // A client that has sent its last request may still read the answer.
        let answer = match (&conn.role, end) {
            (Role::Http(http), StreamEnd::Eof) => http.exchange.as_deref(),
            _ => return self.stream_ended(key),
        };
        match answer {
            Some(exchange) if exchange.is_answered => self.finish_conn(key, Then::Close),
            None if is_unread => self.finish_conn(key, Then::Close),
            Some(exchange) if matches!(exchange.body, Body::Done) && self.is_away(exchange.subject) => {
                // The answer may be on its way; if it is not, nobody waits for it any more.
                self.abandon_exchange(key);
            }
            _ => self.stream_ended(key),
        }
    }

    /// Whether another shard answers a request.
    fn is_away(&self, subject: Subject) -> bool {
        match subject {
            Subject::Session(id) => self.shard_of(id).is_some_and(|owner| owner != self.index),
            Subject::Nothing | Subject::Echo => false,
        }
    }

    /// The client of a connection does not read.
    pub(super) fn slow_consumer(&mut self, key: Key) {
        let user = self.conns.get_mut(key).and_then(|conn| conn.websocket()).map(|websocket| websocket.user);
        match user {
            Some(WebSocketUser::Session(session)) => self.doomed.push(session),
            _ => self.stream_ended(key),
        }
    }

    /// Ends the session of a client that does not read. There is no way to tell it.
    pub(super) fn drop_slow_session(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.outbox.take();
        let websocket = session.websocket.take();
        self.end_session(key, CloseReason::SlowConsumer);
        if let Some(conn) = websocket {
            self.drop_conn(conn);
        }
    }

    /// Closes every session the Socket.IO way, and every connection that has nothing left to do.
    pub(super) fn drain(&mut self) {
        self.is_draining = true;
        for key in self.sessions.keys() {
            self.close_session(key, CloseReason::ServerShuttingDown);
        }
        for key in self.conns.keys() {
            // The application has its last word first: see `drain_ports`.
            if self.conns.get(key).is_some_and(|conn| !conn.is_port()) {
                self.drain_conn(key);
            }
        }
        debug_assert!(self.accepted.is_empty(), "a tick has ended");
    }

    /// What is on its way to a client, or from it, has a while; the rest ends at once.
    fn drain_conn(&mut self, key: Key) {
        let deadline = self.now + self.settings.options.http.linger;
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.deadline = Some(conn.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        match &conn.role {
            Role::Http(http) if http.exchange.is_some() => {}
            Role::Http(_) if conn.out.is_empty() => return self.drop_conn(key),
            Role::Http(_) => self.finish_conn(key, Then::Linger),
            Role::WebSocket(websocket) if websocket.user == WebSocketUser::Echo => {
                self.close_websocket(key, None);
            }
            Role::WebSocket(_) | Role::Leaving | Role::Port => {}
        }
        self.arm_conn(key);
    }
}
