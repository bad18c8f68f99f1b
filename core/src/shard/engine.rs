//! Requests to the engine (protocol.md 1.1 to 1.3): which shard they belong to, and what they start.

use super::app::EngineRequest;
use super::http::Progress;
use super::message::{Answer, BodyArrival, Content, ForwardedRequest, MovedConnection, SessionRequest};
use super::routes::Route;
use super::state::Core;
use super::{Action, Io, Shard};
use crate::arena::Key;
use crate::engine_io::request::{
    Action as EngineAction, EngineQuery, Lookup, Method, Request, SessionField, check,
};
use crate::engine_io::{Revision, Transport};
use crate::front::{AcceptedUpgrade, Exchange, Subject, Then, Upgrade, WebSocketUser};
use crate::http::cors::FieldList;
use crate::http::{BodyLength, Cors, Head, Query, Reply, response, split_target};
use crate::id::{Id, ShardIndex};
use crate::session::handshake::Handshake;
use crate::session::{Layer, RequestRef};
use crate::ws;
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

impl Shard {
    /// A request whose target is the engine's. `used` bytes of input were its head.
    pub(super) fn engine_request(
        &mut self,
        key: Key,
        head: &Head<'_, '_>,
        route: Route,
        rest: &[u8],
        used: usize,
    ) -> Progress {
        if let Some(cors) = &self.core.settings.cors
            && Cors::is_preflight(&head.method)
        {
            let fields = cors.preflight(head.field("origin"), head.field("access-control-request-headers"));
            return self.core.answer_preflight(key, head, &fields, used);
        }
        let query = EngineQuery::from_pairs(Query::new(split_target(head.target).1));
        let is_upgrade =
            head.is_upgrade && self.core.settings.rules.transports.contains(Transport::WebSocket);
        if is_upgrade {
            return self.upgrade_request(key, head, route, query, used);
        }
        match query.sid {
            SessionField::Absent => self.handshake_request(key, head, route, &query, used),
            _ => self.session_request(key, head, query, rest, used),
        }
    }

    /// A plain request without a session: a polling handshake, or a mistake.
    fn handshake_request(
        &mut self,
        key: Key,
        head: &Head<'_, '_>,
        route: Route,
        query: &EngineQuery,
        used: usize,
    ) -> Progress {
        let mut exchange = self.core.engine_exchange(head, Subject::Nothing);
        exchange.app_fields = self.app_fields(head, true);
        self.core.begin_exchange(key, head, exchange);
        let Some((request, _)) = self.core.exchange(key) else { return Progress::Gone };
        match self.check_handshake(key, head, query) {
            Ok(_) if self.core.is_full() => {
                self.core.stats.refusals_http += 1;
                self.core.respond(request, Answer::Empty(StatusCode::SERVICE_UNAVAILABLE));
            }
            Ok((EngineAction::OpenPolling, handshake)) => {
                let session = self.core.open_session(layer_of(route), handshake);
                self.core.add_cookie(key, session);
                let id = self.core.sessions.get(session).map(|session| session.id);
                if let (Some((_, exchange)), Some(id)) = (self.core.exchange(key), id) {
                    exchange.subject = Subject::Session(id);
                }
                self.core.greet(session);
                self.core.poll(request, session);
            }
            Ok(_) => self.core.respond(request, Answer::Empty(StatusCode::INTERNAL_SERVER_ERROR)),
            Err(refusal) => self.core.respond(request, Answer::Refused(refusal)),
        }
        Progress::Used(used)
    }

    /// Runs the checks for a request that opens a session; the application is asked at its place among them.
    fn check_handshake(
        &mut self,
        key: Key,
        head: &Head<'_, '_>,
        query: &EngineQuery,
    ) -> Result<(EngineAction, Handshake), crate::engine_io::request::Refusal> {
        let peer = self.core.conns.get(key).map(|conn| conn.peer);
        let peer = peer.unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
        let handshake = Handshake::new(peer, self.core.unix_millis(), head.target, &head.fields);
        let request = Request {
            query,
            method: method_of(head),
            is_upgrade: head.is_upgrade,
            is_origin_valid: is_origin_valid(head),
            session: Lookup::None,
        };
        let app = &mut self.app;
        let checked = check(&request, &self.core.settings.rules, || {
            app.allow_request(&handshake).map_err(|message| (!message.is_empty()).then_some(message))
        });
        match checked {
            Ok(action) => Ok((action, handshake)),
            Err(refusal) => {
                self.app.refused(&mut Io::new(&mut self.core), &handshake, &refusal.error);
                Err(refusal)
            }
        }
    }

    /// What the application adds to the response.
    fn app_fields(&mut self, head: &Head<'_, '_>, opens_session: bool) -> HeaderMap {
        let mut fields = HeaderMap::new();
        let request = EngineRequest { target: head.target, fields: head.fields, opens_session };
        self.app.headers(&request, &mut fields);
        fields
    }

    /// A plain request of a session, which may live on another shard.
    fn session_request(
        &mut self,
        key: Key,
        head: &Head<'_, '_>,
        query: EngineQuery,
        rest: &[u8],
        used: usize,
    ) -> Progress {
        let subject = match query.sid {
            SessionField::Id(id) => Subject::Session(id),
            _ => Subject::Nothing,
        };
        let owner = self.core.owner_of(&query);
        let method = method_of(head);
        let mut exchange = self.core.engine_exchange(head, subject);
        exchange.app_fields = self.app_fields(head, false);
        let (body, body_bytes) = self.core.body_at_hand(head, method, rest, &mut exchange);
        self.core.begin_exchange(key, head, exchange);
        let Some((request, _)) = self.core.exchange(key) else { return Progress::Gone };
        let arrived = SessionRequest {
            query,
            method,
            is_origin_valid: is_origin_valid(head),
            is_octet_stream: head.field("content-type") == Some(b"application/octet-stream"),
            body,
        };
        if owner == self.core.index {
            self.session_request_arrived(request, arrived);
        } else {
            self.core.stats.requests_forwarded += 1;
            let forwarded = Box::new(ForwardedRequest { request, arrived });
            self.core.tell(owner, Content::Request(forwarded));
        }
        Progress::Used(used + body_bytes)
    }

    /// A plain request has reached the shard of its session.
    pub(super) fn session_request_arrived(&mut self, request: RequestRef, arrived: SessionRequest) {
        let (session, lookup) = self.core.look_up(&arrived.query);
        let checked = check(
            &Request {
                query: &arrived.query,
                method: arrived.method,
                is_upgrade: false,
                is_origin_valid: arrived.is_origin_valid,
                session: lookup,
            },
            &self.core.settings.rules,
            || Ok(()),
        );
        match (checked, session) {
            (Ok(EngineAction::Poll), Some(session)) => self.core.poll(request, session),
            (Ok(EngineAction::Post), Some(session)) => {
                self.post(request, session, arrived.is_octet_stream, arrived.body);
            }
            (Ok(_), _) => self.core.answer(request, Answer::Empty(StatusCode::INTERNAL_SERVER_ERROR)),
            (Err(refusal), _) => self.core.answer(request, Answer::Refused(refusal)),
        }
    }

    /// The body of a POST that was announced before is complete or hopeless.
    pub(super) fn post_body(&mut self, request: RequestRef, session: Id, body: BodyArrival) {
        match self.core.shard_of(session) {
            Some(owner) if owner != self.core.index => {
                self.core.tell(owner, Content::Body { request, session, body: Box::new(body) });
            }
            _ => self.post_body_arrived(request, session, body),
        }
    }

    /// A request to become a WebSocket. With a session of another shard, the connection moves there.
    fn upgrade_request(
        &mut self,
        key: Key,
        head: &Head<'_, '_>,
        route: Route,
        query: EngineQuery,
        used: usize,
    ) -> Progress {
        // RFC 9110 §7.8: not before the whole request is here. No WebSocket client sends a body, and whether
        // these bytes are one or frames is what a proxy and we could disagree about.
        if head.body != BodyLength::None {
            self.core.refuse_http(key, StatusCode::BAD_REQUEST);
            return Progress::Gone;
        }
        let upgrade = Upgrade {
            is_origin_valid: is_origin_valid(head),
            accepted: accept(head),
            fields: self.core.cors_fields(head),
            app_fields: self.app_fields(head, query.sid == SessionField::Absent),
            query,
        };
        if upgrade.query.sid == SessionField::Absent {
            return self.websocket_handshake(key, head, route, &upgrade, used);
        }
        let owner = self.core.owner_of(&upgrade.query);
        if owner == self.core.index {
            self.core.upgrade_arrived(key, &upgrade);
            return Progress::Upgraded(used);
        }
        self.core.move_conn(key, owner, upgrade);
        Progress::Moved(used)
    }

    /// A WebSocket that opens its own session.
    fn websocket_handshake(
        &mut self,
        key: Key,
        head: &Head<'_, '_>,
        route: Route,
        upgrade: &Upgrade,
        used: usize,
    ) -> Progress {
        match self.check_handshake(key, head, &upgrade.query) {
            Ok(_) if self.core.is_full() => {
                self.core.refuse_http(key, StatusCode::SERVICE_UNAVAILABLE);
                Progress::Gone
            }
            Ok((EngineAction::OpenWebSocket, handshake)) if upgrade.accepted.is_ok() => {
                let session = self.core.open_session(layer_of(route), handshake);
                self.core.switch_protocols(key, upgrade, WebSocketUser::Session(session));
                self.core.adopt_websocket(session, key);
                self.core.greet(session);
                Progress::Upgraded(used)
            }
            Ok(_) => {
                self.core.refuse_websocket(key, upgrade);
                Progress::Gone
            }
            Err(refusal) => {
                self.core.count_refusal(&refusal);
                self.core.refuse_upgrade(key, &refusal.body(), &upgrade.fields);
                Progress::Gone
            }
        }
    }

    /// The conformance app's WebSocket that echoes.
    pub(super) fn bare_websocket(&mut self, key: Key, head: &Head<'_, '_>, used: usize) -> Progress {
        let query = EngineQuery::from_pairs(std::iter::empty::<(&str, &str)>());
        let upgrade = Upgrade {
            query,
            is_origin_valid: true,
            accepted: accept(head),
            fields: FieldList::new(),
            app_fields: HeaderMap::new(),
        };
        if upgrade.accepted.is_err() {
            self.core.refuse_websocket(key, &upgrade);
            return Progress::Gone;
        }
        self.core.switch_protocols(key, &upgrade, WebSocketUser::Echo);
        Progress::Upgraded(used)
    }
}

impl Core {
    /// The shard that has (or would have) the session of a query. Ids that are not ours are answered here.
    fn owner_of(&self, query: &EngineQuery) -> ShardIndex {
        match query.sid {
            SessionField::Id(id) => self.shard_of(id).unwrap_or(self.index),
            SessionField::Absent | SessionField::Malformed => self.index,
        }
    }

    pub(super) fn shard_of(&self, id: Id) -> Option<ShardIndex> {
        self.route_key.shard_of(id, self.shards)
    }

    fn look_up(&self, query: &EngineQuery) -> (Option<Key>, Lookup) {
        let key = match query.sid {
            SessionField::Absent => return (None, Lookup::None),
            SessionField::Malformed => None,
            SessionField::Id(id) => self.by_sid.get(&id).copied(),
        };
        let Some(session) = key.and_then(|key| self.sessions.get(key)) else {
            return (None, Lookup::Unknown);
        };
        let transport = if session.state.is_polling() { Transport::Polling } else { Transport::WebSocket };
        (key, Lookup::Known { transport, revision: Revision::V4 })
    }

    fn engine_exchange(&self, head: &Head<'_, '_>, subject: Subject) -> Exchange {
        let mut exchange = Exchange::new(head, self.cors_fields(head), subject);
        if head.field("user-agent").is_some_and(response::is_internet_explorer) {
            let name = HeaderName::from_static("x-xss-protection");
            exchange.fields.push((name, HeaderValue::from_static("0")));
        }
        exchange
    }

    /// The body of a POST, if it is all in `rest`, and its bytes there. Otherwise the exchange collects it.
    fn body_at_hand(
        &self,
        head: &Head<'_, '_>,
        method: Method,
        rest: &[u8],
        exchange: &mut Exchange,
    ) -> (BodyArrival, usize) {
        if method != Method::Post {
            return (BodyArrival::Complete(Vec::new()), 0);
        }
        let max_payload = u64::from(self.settings.options.max_payload);
        match head.body {
            BodyLength::None => (BodyArrival::Complete(Vec::new()), 0),
            BodyLength::Length(bytes) if bytes > max_payload => (BodyArrival::TooLarge, 0),
            BodyLength::Length(bytes) if bytes <= rest.len() as u64 => {
                let bytes = usize::try_from(bytes).expect("it is at most the length of a slice");
                exchange.body = crate::front::Body::Done;
                // Nothing is left to ask for, so nothing is in doubt.
                exchange.reply = Reply::to(head);
                (BodyArrival::Complete(rest[..bytes].to_vec()), bytes)
            }
            BodyLength::Length(_) | BodyLength::Chunked => {
                exchange.collect(head);
                (BodyArrival::Coming, 0)
            }
        }
    }

    fn answer_preflight(
        &mut self,
        key: Key,
        head: &Head<'_, '_>,
        fields: &FieldList,
        used: usize,
    ) -> Progress {
        let mut exchange = Exchange::new(head, FieldList::new(), Subject::Nothing);
        exchange.is_answered = true;
        let mut out = Vec::new();
        response::preflight(&mut out, exchange.reply, fields);
        self.begin_exchange(key, head, exchange);
        self.push(key, out);
        self.finish_exchange(key);
        Progress::Used(used)
    }

    /// The cookie goes with the polling handshake only (protocol.md 1.8).
    fn add_cookie(&mut self, key: Key, session: Key) {
        let Some(name) = &self.settings.options.cookie else { return };
        let Some(id) = self.sessions.get(session).map(|session| session.id) else { return };
        let cookie = format!("{name}={}; Path=/; HttpOnly; SameSite=Lax", id.encode());
        if let Ok(value) = HeaderValue::from_str(&cookie)
            && let Some((_, exchange)) = self.exchange(key)
        {
            exchange.fields.push((header::SET_COOKIE, value));
        }
    }

    /// A WebSocket that wants to upgrade a session has reached the session's shard.
    pub(super) fn upgrade_arrived(&mut self, key: Key, upgrade: &Upgrade) {
        let (session, lookup) = self.look_up(&upgrade.query);
        let checked = check(
            &Request {
                query: &upgrade.query,
                method: Method::Get,
                is_upgrade: true,
                is_origin_valid: upgrade.is_origin_valid,
                session: lookup,
            },
            &self.settings.rules,
            || Ok(()),
        );
        match (checked, session) {
            (Err(refusal), _) => {
                self.count_refusal(&refusal);
                self.refuse_upgrade(key, &refusal.body(), &upgrade.fields);
            }
            (Ok(_), _) if upgrade.accepted.is_err() => self.refuse_websocket(key, upgrade),
            (Ok(_), Some(session)) => {
                self.switch_protocols(key, upgrade, WebSocketUser::Candidate(session));
                self.candidate_arrived(session, key);
            }
            (Ok(_), None) => self.refuse_http(key, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    fn move_conn(&mut self, key: Key, to: ShardIndex, upgrade: Upgrade) {
        let Some(conn) = self.conns.remove(key) else { return };
        self.forget_conn_input(&conn);
        let moved = Box::new(MovedConnection { peer: conn.peer, out: conn.out, input: Vec::new(), upgrade });
        self.actions.push_back(Action::Move { conn: key, stream: conn.stream, to, moved });
    }

    /// What came behind the request of the connection that was moved last goes with it.
    pub(super) fn send_along(&mut self, rest: &[u8]) {
        if let Some(Action::Move { moved, .. }) = self.actions.back_mut() {
            moved.input.extend_from_slice(rest);
        }
    }

    /// Why the engine does not want this WebSocket, in the form of protocol.md 1.2.
    fn refuse_upgrade(&mut self, key: Key, message: &str, fields: &FieldList) {
        let mut out = Vec::new();
        response::upgrade_failure(&mut out, message, fields);
        self.push(key, out);
        self.finish_conn(key, Then::Linger);
    }

    /// What is wrong with the WebSocket handshake itself.
    fn refuse_websocket(&mut self, key: Key, upgrade: &Upgrade) {
        let Err(refusal) = &upgrade.accepted else {
            return self.refuse_http(key, StatusCode::INTERNAL_SERVER_ERROR);
        };
        self.stats.refusals_http += 1;
        let mut fields =
            FieldList::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("text/html"))]);
        if let Some((name, value)) = refusal.field()
            && let Ok(name) = HeaderName::from_bytes(name.as_bytes())
        {
            fields.push((name, HeaderValue::from_static(value)));
        }
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let mut out = Vec::new();
        response::whole(&mut out, Reply::REFUSAL, status, &fields, refusal.message().as_bytes());
        self.push(key, out);
        self.finish_conn(key, Then::Linger);
    }
}

fn accept(head: &Head<'_, '_>) -> Result<AcceptedUpgrade, ws::handshake::Refusal> {
    let accepted = ws::handshake::accept(head.method == ::http::Method::GET, |name| head.field(name))?;
    Ok(AcceptedUpgrade {
        accept_key: accepted.accept_key,
        subprotocol: accepted.subprotocol.map(ToOwned::to_owned),
    })
}

fn layer_of(route: Route) -> Layer {
    if route == Route::BareEngine { Layer::Echo } else { Layer::SocketIo }
}

fn method_of(head: &Head<'_, '_>) -> Method {
    match head.method {
        ::http::Method::GET => Method::Get,
        ::http::Method::POST => Method::Post,
        _ => Method::Other,
    }
}

/// Check 3 of protocol.md 1.2; the head decoder has let no other control bytes through.
fn is_origin_valid(head: &Head<'_, '_>) -> bool {
    head.field("origin").is_none_or(|origin| HeaderValue::from_bytes(origin).is_ok())
}
