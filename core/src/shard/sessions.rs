//! The life of sessions: opening, polling, upgrading, closing (protocol.md 1.3, 1.5, 1.6, 1.11, 1.12).

use super::Shard;
use super::http::extend_fields;
use super::message::{Answer, BodyArrival, Content};
use super::state::{Call, Core};
use crate::arena::Key;
use crate::close::{CloseReason, DisconnectReason};
use crate::engine_io::Heartbeat;
use crate::engine_io::poll_body::PollBody;
use crate::front::{Role, Subject, Upgrade, WebSocket, WebSocketUser};
use crate::http::response;
use crate::id::Id;
use crate::payload::{Packet, Parcel};
use crate::session::handshake::Handshake;
use crate::session::outbox::Outbox;
use crate::session::state::{State, Step};
use crate::session::{Candidate, Layer, Post, RequestRef, Session};
use crate::socket_io::Decoder;
use crate::timers::Armed;
use crate::ws;
use ::http::{HeaderValue, StatusCode, header};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long a session that the server closed waits for its client to poll (fixed in Node, protocol.md 0).
const LINGER: Duration = Duration::from_secs(30);
/// How often a pending poll is answered during an upgrade (protocol.md 1.11).
const NOOP_INTERVAL: Duration = Duration::from_millis(100);

impl Shard {
    /// A POST of a session of this shard.
    pub(super) fn post(&mut self, request: RequestRef, key: Key, is_octet_stream: bool, body: BodyArrival) {
        let Some(session) = self.core.sessions.get_mut(key) else { return };
        if session.post.is_some() || is_octet_stream {
            self.core.answer(request, Answer::Empty(StatusCode::BAD_REQUEST));
            self.core.close_session(key, CloseReason::TransportError);
            return;
        }
        let id = session.id;
        session.post = Some(Post { request, is_handled: false });
        if !matches!(body, BodyArrival::Coming) {
            self.post_body_arrived(request, id, body);
        }
    }

    /// The body of a session's POST is complete or hopeless.
    pub(super) fn post_body_arrived(&mut self, request: RequestRef, id: Id, body: BodyArrival) {
        let Some(&key) = self.core.by_sid.get(&id) else { return };
        let Some(session) = self.core.sessions.get_mut(key) else { return };
        if session.post != Some(Post { request, is_handled: false }) {
            return;
        }
        match body {
            BodyArrival::Coming => {}
            BodyArrival::TooLarge => {
                session.post = None;
                self.core.answer(request, Answer::Empty(StatusCode::PAYLOAD_TOO_LARGE));
            }
            BodyArrival::Complete(body) => {
                session.post = None;
                if session.is_open() {
                    self.poll_body(key, &body);
                }
                self.core.post_handled(key, request);
            }
        }
    }

    /// Handles the packets of a body up to the first that is wrong, or that ends the session.
    fn poll_body(&mut self, key: Key, body: &[u8]) {
        for packet in PollBody::new(body).packets() {
            if !self.core.sessions.get(key).is_some_and(|session| session.is_open()) {
                return;
            }
            match packet {
                Ok(packet) => self.engine_packet(key, packet),
                Err(_) => self.core.close_session(key, CloseReason::ParseError),
            }
        }
    }
}

impl Core {
    /// Whether this shard has its share of the sessions that the process may have.
    pub(super) fn is_full(&self) -> bool {
        self.sessions.len() >= self.settings.sessions_max
    }

    /// Opens a session that starts on polling. A WebSocket handshake adopts it at once.
    pub(super) fn open_session(&mut self, layer: Layer, handshake: Handshake) -> Key {
        let id = self.ids.next_id();
        let connect_timeout = self.settings.options.connect_timeout;
        let key = self.sessions.insert(Session {
            id,
            state: State::Polling,
            layer,
            websocket: None,
            candidate: None,
            heartbeat: Heartbeat::new(self.now, &self.settings.intervals),
            outbox: Outbox::default(),
            poll: None,
            post: None,
            decoder: Decoder::new(),
            counted_bytes: 0,
            sockets: SmallVec::new(),
            handshake: Arc::new(handshake),
            holds: 0,
            connect_deadline: (layer == Layer::SocketIo).then(|| self.now + connect_timeout),
            linger_deadline: None,
            armed: Armed::default(),
        });
        self.by_sid.insert(id, key);
        self.stats.sessions_opened += 1;
        self.stats.sessions_polling += 1;
        self.arm_session(key);
        key
    }

    /// Sends the open packet.
    pub(super) fn greet(&mut self, key: Key) {
        let Some(session) = self.sessions.get(key) else { return };
        let settings = &self.settings;
        let open =
            if session.websocket.is_some() { &settings.open_websocket } else { &settings.open_polling };
        let packet = open.encode(session.id);
        // One parcel, so that both are in the first poll's answer.
        let initial =
            settings.options.initial_packet.as_deref().map(|text| Packet::text(&format!("4{text}")));
        self.transmit(key, Parcel { head: packet, attachments: initial.into_iter().collect() }, false);
    }

    /// A GET of a session: answered now if there is something to say.
    pub(super) fn poll(&mut self, request: RequestRef, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.poll.is_some() {
            self.answer(request, Answer::Empty(StatusCode::BAD_REQUEST));
            self.close_session(key, CloseReason::TransportError);
        } else if !session.outbox.is_empty() {
            let packets = session.outbox.take();
            self.answer(request, Answer::Packets(packets));
        } else if session.state == State::Lingering {
            self.answer(request, Answer::Packets(VecDeque::from([noop(), close()])));
            self.remove_session(key);
        } else {
            session.poll = Some(request);
        }
    }

    /// The body of a POST has been handled. The answer asks the client for more, so it waits if that is not wanted.
    fn post_handled(&mut self, key: Key, request: RequestRef) {
        match self.sessions.get_mut(key) {
            Some(session) if session.holds > 0 => {
                session.post = Some(Post { request, is_handled: true });
            }
            _ => self.answer(request, Answer::Ok),
        }
    }

    /// The connection of a request that was not answered is gone (protocol.md 1.5, 1.6 d).
    pub(super) fn request_aborted(&mut self, request: RequestRef, id: Id) {
        let Some(&key) = self.by_sid.get(&id) else { return };
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.poll == Some(request) {
            session.poll = None;
        } else if session.post.is_some_and(|post| post.request == request) {
            session.post = None;
            // Polling ended with the upgrade, and its errors with it (protocol.md 1.11 step 4).
            if session.state == State::WebSocket {
                return;
            }
        } else {
            return;
        }
        self.close_session(key, CloseReason::TransportError);
    }

    /// Tells the session of a connection's unanswered request that nobody waits for it any more.
    pub(super) fn abandon_exchange(&mut self, key: Key) {
        let Some((request, exchange)) = self.exchange(key) else { return };
        let Subject::Session(id) = exchange.subject else { return };
        if exchange.is_answered {
            return;
        }
        exchange.subject = Subject::Nothing;
        match self.shard_of(id) {
            Some(owner) if owner != self.index => self.tell(owner, Content::Aborted { request, session: id }),
            _ => self.request_aborted(request, id),
        }
    }

    // WebSocket.

    /// Answers 101, and makes the connection a WebSocket.
    pub(super) fn switch_protocols(&mut self, key: Key, upgrade: &Upgrade, user: WebSocketUser) {
        let Ok(accepted) = &upgrade.accepted else { return };
        let mut fields = upgrade.fields.clone();
        extend_fields(&mut fields, &upgrade.app_fields);
        if let Some(protocol) = &accepted.subprotocol
            && let Ok(protocol) = HeaderValue::from_str(protocol)
        {
            fields.push((header::SEC_WEBSOCKET_PROTOCOL, protocol));
        }
        let mut out = Vec::new();
        response::switching_protocols(&mut out, &accepted.accept_key, &fields);
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.deadline = None;
        conn.role = Role::WebSocket(WebSocket {
            decoder: ws::Decoder::default(),
            user,
            base64_only: upgrade.query.base64_only,
            close_sent: false,
        });
        self.push(key, out);
    }

    /// Makes a WebSocket the transport of a session.
    pub(super) fn adopt_websocket(&mut self, key: Key, conn: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.state == State::Polling {
            session.step(Step::CandidateArrived);
        }
        session.step(Step::Upgraded);
        session.websocket = Some(conn);
        session.candidate = None;
        self.stats.sessions_polling -= 1;
        self.stats.sessions_websocket += 1;
        let is_held = session.holds > 0;
        let Some(conn) = self.conns.get_mut(conn) else { return };
        conn.is_held = is_held;
        if let Some(websocket) = conn.websocket() {
            websocket.user = WebSocketUser::Session(key);
        }
    }

    /// A WebSocket asks to take over from polling.
    pub(super) fn candidate_arrived(&mut self, key: Key, conn: Key) {
        let deadline = self.now + self.settings.options.upgrade_timeout;
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.state != State::Polling {
            // Upgraded already, or another one is trying (protocol.md 1.11 step 1).
            self.close_websocket(conn, None);
            return;
        }
        session.step(Step::CandidateArrived);
        session.candidate = Some(Box::new(Candidate { conn, probed: false, deadline, noop_at: None }));
        self.arm_session(key);
    }

    /// `2probe` on the candidate.
    pub(super) fn probed(&mut self, key: Key, conn: Key) {
        if !self.may_queue(conn) {
            return;
        }
        let noop_at = self.now + NOOP_INTERVAL;
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(candidate) = &mut session.candidate else { return };
        candidate.probed = true;
        candidate.noop_at = Some(noop_at);
        self.push(conn, Packet::text("3probe").into_websocket_frame());
        self.arm_session(key);
    }

    /// `5` on the candidate: the session moves (protocol.md 1.11 step 4).
    pub(super) fn commit_upgrade(&mut self, key: Key, conn: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let packets = session.outbox.take();
        self.flush_to(conn, packets);
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.state == State::Lingering {
            session.candidate = None;
            self.close_websocket(conn, None);
            self.remove_session(key);
            return;
        }
        session.heartbeat.handle_upgrade(self.now, &self.settings.intervals);
        let poll = session.poll.take();
        self.adopt_websocket(key, conn);
        self.stats.sessions_upgraded += 1;
        self.calls.push_back(Call::Upgraded(self.session_key(key)));
        if let Some(request) = poll {
            self.answer(request, Answer::Packets(VecDeque::from([close()])));
        }
        self.arm_session(key);
    }

    /// The candidate failed; the session stays on polling. `is_open`: tell the WebSocket, too.
    pub(super) fn lose_candidate(&mut self, key: Key, is_open: bool) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(candidate) = session.candidate.take() else { return };
        session.step(Step::CandidateLost);
        if is_open {
            self.close_websocket(candidate.conn, None);
        }
    }

    /// During an upgrade a waiting poll is answered now and then, so that the client can finish.
    pub(super) fn noop_due(&mut self, key: Key) {
        let noop_at = self.now + NOOP_INTERVAL;
        let Some(session) = self.sessions.get_mut(key) else { return };
        if let Some(candidate) = &mut session.candidate {
            candidate.noop_at = Some(noop_at);
        }
        if let Some(request) = session.poll.take() {
            self.answer(request, Answer::Packets(VecDeque::from([noop()])));
        }
    }

    // The end.

    /// Ends a session at once, for a reason that lies with the client or its transport.
    pub(super) fn close_session(&mut self, key: Key, reason: CloseReason) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if let Some(request) = session.poll.take() {
            // A client that said goodbye is not told to go (protocol.md 1.12).
            let last = if reason == CloseReason::TransportClose { noop() } else { close() };
            self.answer(request, Answer::Packets(VecDeque::from([last])));
        }
        self.end_session(key, reason);
    }

    /// Ends a session by the server's wish: at once if the client can hear it, else it lingers.
    ///
    /// `deferred` is the reason the application is given in the second case.
    pub(super) fn close_by_server(&mut self, key: Key, deferred: CloseReason) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !session.is_open() {
            return;
        }
        let hears = session.state == State::WebSocket || session.poll.is_some();
        if hears {
            return self.close_session(key, CloseReason::ForcedClose);
        }
        session.step(Step::Deferred);
        session.linger_deadline = Some(self.now + LINGER);
        self.stats.session_closed(deferred);
        self.sockets_leave(key, DisconnectReason::Session(deferred));
        self.arm_session(key);
    }

    /// Takes a session's sockets, connections and names away.
    pub(super) fn end_session(&mut self, key: Key, reason: CloseReason) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let was_open = session.is_open();
        if let Some(conn) = session.websocket {
            self.close_websocket(conn, None);
        }
        if was_open {
            self.stats.session_closed(reason);
            self.sockets_leave(key, DisconnectReason::Session(reason));
        }
        self.remove_session(key);
    }

    /// Forgets a session whose application side is gone already.
    pub(super) fn remove_session(&mut self, key: Key) {
        let Some(mut session) = self.sessions.remove(key) else { return };
        self.forget_session_input(&session);
        self.by_sid.remove(&session.id);
        if session.state == State::WebSocket {
            self.stats.sessions_websocket -= 1;
        } else {
            self.stats.sessions_polling -= 1;
        }
        session.step(Step::Ended);
        if let Some(request) = session.poll.take() {
            self.answer(request, Answer::Packets(VecDeque::from([close()])));
        }
        if let Some(post) = session.post.take() {
            self.answer(post.request, Answer::Destroy);
        }
        if let Some(candidate) = session.candidate.take() {
            self.close_websocket(candidate.conn, None);
        }
    }
}

fn close() -> Packet {
    Packet::text("1")
}

fn noop() -> Packet {
    Packet::text("6")
}
