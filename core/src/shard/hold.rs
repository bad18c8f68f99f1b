//! Holding a client's input: the application cannot take more, so the client is made to wait by its transport.
//!
//! A WebSocket is not read, and a POST is not answered, until every socket of the session has let go. What was
//! read before is handled all the same. A held client is not blamed for being silent: its pongs may lie in the
//! kernel, and so may the end of its upgrade, which a client does not send before its POST is answered.

use super::Io;
use super::app::SocketKey;
use super::message::{Answer, Command};
use super::state::Core;
use crate::arena::Key;

impl Io<'_> {
    /// Takes no more input from the client of a socket until [`Self::release_input`]: of none of its sockets.
    ///
    /// What has been read is still handled, up to one read or POST more; the client is pinged, and not missed,
    /// meanwhile. A socket holds once, however often this is called; one that leaves lets go.
    pub fn hold_input(&mut self, socket: SocketKey) {
        match self.core.local(socket) {
            Some(key) => self.core.hold_input(key),
            None => self.core.command_remote(socket, Command::HoldInput),
        }
    }

    /// Takes input again, unless another socket of the session holds it, too.
    pub fn release_input(&mut self, socket: SocketKey) {
        match self.core.local(socket) {
            Some(key) => self.core.release_input(key),
            None => self.core.command_remote(socket, Command::ReleaseInput),
        }
    }
}

impl Core {
    /// A socket of this shard does not want its client's input now.
    pub(super) fn hold_input(&mut self, socket: Key) {
        let Some(socket) = self.hub.get_mut(socket) else { return };
        if std::mem::replace(&mut socket.holds_input, true) {
            return;
        }
        let key = socket.session;
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.holds += 1;
        if let Some(conn) = session.websocket.and_then(|conn| self.conns.get_mut(conn)) {
            conn.is_held = true;
        }
        if session.holds == 1 {
            session.heartbeat.handle_hold();
            self.arm_session(key);
        }
    }

    /// A socket of this shard wants its client's input again.
    pub(super) fn release_input(&mut self, socket: Key) {
        let Some(socket) = self.hub.get_mut(socket) else { return };
        if std::mem::take(&mut socket.holds_input) {
            let session = socket.session;
            self.hold_ended(session);
        }
    }

    /// One of the sockets that held a session's input has let go, or has left.
    pub(super) fn hold_ended(&mut self, key: Key) {
        let upgrade_deadline = self.now + self.settings.options.upgrade_timeout;
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.holds -= 1;
        if session.holds > 0 {
            return;
        }
        session.heartbeat.handle_hold();
        if let Some(candidate) = session.candidate.as_deref_mut().filter(|candidate| candidate.probed) {
            candidate.deadline = upgrade_deadline;
        }
        let post = session.post.take_if(|post| post.is_handled);
        if let Some(conn) = session.websocket {
            self.release_conn(conn);
        }
        if let Some(post) = post {
            self.answer(post.request, Answer::Ok);
        }
        self.arm_session(key);
    }

    /// Reads on from a connection, if only the application was in the way.
    pub(super) fn release_conn(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.is_held = false;
            self.resume_reading(key);
        }
    }
}
