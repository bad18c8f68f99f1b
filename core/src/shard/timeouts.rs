//! What happens when time has passed.

use super::Shard;
use super::state::{Call, Core, Due};
use crate::arena::Key;
use crate::close::CloseReason;
use crate::engine_io;
use crate::front::{Role, Then};
use crate::payload::Packet;
use crate::session::state::State;
use ::http::StatusCode;

impl Shard {
    pub(super) fn due(&mut self, due: Due) {
        match due {
            Due::Conn(index) => self.core.conn_due(index),
            Due::Session(index) => self.core.session_due(index),
            Due::Ack { socket, ack } => {
                if let Some(asker) = self.core.acks.expire_one(socket, ack) {
                    self.core.tell_asker(asker, Err(super::app::AckError::TimedOut));
                }
            }
            Due::Group(group) => self.core.finish_group(group),
            Due::Wake(ticket) => self.core.calls.push_back(Call::Woken(ticket)),
        }
    }
}

impl Core {
    fn conn_due(&mut self, index: u32) {
        let now = self.now;
        let Some((key, conn)) = self.conns.at_mut(index) else { return };
        if !conn.armed.came_up(now) {
            return;
        }
        match conn.deadline {
            Some(deadline) if deadline <= now => self.conn_late(key),
            Some(_) => self.arm_conn(key),
            None => {}
        }
    }

    /// A client took too long over a request, over the next one, or over its goodbye.
    fn conn_late(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.deadline = None;
        let is_mid_request = match &conn.role {
            Role::Http(http) if conn.then == Then::GoOn => conn.head_started || http.exchange.is_some(),
            Role::Http(_) | Role::WebSocket(_) | Role::Leaving | Role::Port => false,
        };
        if !is_mid_request || self.is_draining {
            return self.stream_ended(key);
        }
        self.abandon_exchange(key);
        let answered = self.exchange(key).is_some_and(|(_, exchange)| exchange.is_answered);
        if answered {
            self.drop_conn(key);
        } else {
            self.refuse_http(key, StatusCode::REQUEST_TIMEOUT);
        }
    }

    fn session_due(&mut self, index: u32) {
        let now = self.now;
        let Some((key, session)) = self.sessions.at_mut(index) else { return };
        if !session.armed.came_up(now) {
            return;
        }
        let is_past = |at: Option<crate::time::Instant>| at.is_some_and(|at| at <= now);
        let candidate = session.candidate.as_deref().copied();
        let is_held = session.holds > 0;
        if is_past(candidate.map(|candidate| candidate.deadline)) {
            self.candidate_late(key, is_held);
        } else if is_past(candidate.and_then(|candidate| candidate.noop_at)) {
            self.noop_due(key);
        }
        let Some(session) = self.sessions.get(key) else { return };
        if session.state == State::Lingering {
            if is_past(session.linger_deadline) {
                self.remove_session(key);
            }
        } else if is_past(session.connect_deadline) {
            self.close_by_server(key, CloseReason::ForcedClose);
        } else {
            self.heartbeat_due(key);
        }
        self.arm_session(key);
    }

    /// An upgrade takes too long. Unless it waits for us: a client whose POST we hold back does not commit.
    fn candidate_late(&mut self, key: Key, is_held: bool) {
        let deadline = self.now + self.settings.options.upgrade_timeout;
        let candidate = self.sessions.get_mut(key).and_then(|session| session.candidate.as_deref_mut());
        match candidate {
            Some(candidate) if candidate.probed && is_held => candidate.deadline = deadline,
            _ => self.lose_candidate(key, true),
        }
    }

    fn heartbeat_due(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        match session.heartbeat.handle_timeout(self.now, &self.settings.intervals, session.holds > 0) {
            engine_io::Due::Nothing => {}
            engine_io::Due::Ping => self.send_packet(key, Packet::ping()),
            engine_io::Due::Close => self.close_session(key, CloseReason::PingTimeout),
        }
    }
}
