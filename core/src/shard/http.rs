//! HTTP on a connection: bytes → requests, one at a time, each with its answer before the next is looked at.

use super::Shard;
use super::message::{Answer, BodyArrival};
use super::routes::Route;
use super::state::Core;
use crate::arena::Key;
use crate::front::assets::AssetRequest;
use crate::front::{Body, Conn, Exchange, Http, Role, Subject, Then};
use crate::http::cors::FieldList;
use crate::http::{
    BodyDecoder, BodyLength, Coding, Cors, FieldStorage, Head, HeadError, Reply, Step, negotiate, response,
};
use crate::limits::{SKIPPED_BODY_BYTES_MAX, UNREAD_ANSWER_BYTES_MAX};
use crate::session::RequestRef;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// What one step over the input found.
pub(super) enum Progress {
    /// So many bytes were used; there may be more to do with the rest.
    Used(usize),
    /// Nothing more can be done with what is here.
    Wait,
    /// The connection speaks something else now, from this many bytes on.
    Upgraded(usize),
    /// The connection goes to another shard, with what follows these bytes.
    Moved(usize),
    /// The connection is gone, or ignores what follows.
    Gone,
}

impl Shard {
    /// Handles bytes of a connection that speaks HTTP. What cannot be handled yet is kept by the connection.
    pub(super) fn http_bytes(&mut self, key: Key, bytes: &[u8]) {
        let Some(conn) = self.core.conns.get_mut(key) else { return };
        let mut held = std::mem::take(&mut conn.input);
        let input = if held.is_empty() {
            bytes
        } else {
            held.extend_from_slice(bytes);
            held.as_slice()
        };
        let mut at = 0;
        loop {
            match self.http_step(key, &input[at..]) {
                Progress::Used(count) => at += count,
                Progress::Wait => break,
                Progress::Upgraded(count) => {
                    let mut rest = input[at + count..].to_vec();
                    return self.websocket_bytes(key, &mut rest);
                }
                Progress::Moved(count) => return self.core.send_along(&input[at + count..]),
                Progress::Gone => return,
            }
        }
        if held.is_empty() {
            held = bytes[at..].to_vec();
        } else {
            held.drain(..at);
        }
        self.core.keep_input(key, held);
    }

    /// A request was answered: goes on with what had come behind it.
    pub(super) fn resume_conn(&mut self, key: Key) {
        let Some(conn) = self.core.conns.get_mut(key) else { return };
        if matches!(conn.role, Role::Http(_)) {
            self.http_bytes(key, &[]);
        }
        self.core.count_conn_input(key);
        self.core.resume_reading(key);
    }

    fn http_step(&mut self, key: Key, input: &[u8]) -> Progress {
        let Some(conn) = self.core.conns.get_mut(key) else { return Progress::Gone };
        if conn.then != Then::GoOn {
            return Progress::Gone;
        }
        let Role::Http(http) = &mut conn.role else { return Progress::Gone };
        match http.exchange.as_deref_mut() {
            Some(Exchange { body: Body::Done, .. }) => Progress::Wait,
            Some(_) => self.body_step(key, input),
            None if input.is_empty() || conn.out.bytes() > UNREAD_ANSWER_BYTES_MAX => Progress::Wait,
            None => self.head_step(key, input),
        }
    }

    fn head_step(&mut self, key: Key, input: &[u8]) -> Progress {
        let Some(http) = self.core.conns.get_mut(key).and_then(Conn::http) else { return Progress::Gone };
        let mut storage = FieldStorage::new();
        match http.head.decode(input, &mut storage) {
            Ok(Some((head, used))) => {
                http.sequence = http.sequence.wrapping_add(1);
                self.core.head_arrived(key);
                self.request(key, &head, &input[used..], used)
            }
            Ok(None) => {
                self.core.await_head(key);
                Progress::Wait
            }
            Err(error) => {
                self.core.refuse_head(key, error);
                Progress::Gone
            }
        }
    }

    /// A request's head is complete. Its body, if any, follows.
    fn request(&mut self, key: Key, head: &Head<'_, '_>, rest: &[u8], used: usize) -> Progress {
        let route = self.core.routes.find(head.target, &self.core.settings.options.path);
        match route {
            Route::SocketIo | Route::BareEngine => return self.engine_request(key, head, route, rest, used),
            Route::BareWebSocket if head.is_upgrade && head.body == BodyLength::None => {
                return self.bare_websocket(key, head, used);
            }
            _ => {}
        }
        let subject = if route == Route::BareHttp { Subject::Echo } else { Subject::Nothing };
        let mut exchange = Exchange::new(head, FieldList::new(), subject);
        if subject == Subject::Echo
            && matches!(head.method, Method::GET | Method::HEAD | Method::POST | Method::OPTIONS)
        {
            exchange.collect(head);
            self.core.begin_exchange(key, head, exchange);
            return Progress::Used(used);
        }
        let mut out = Vec::new();
        match route {
            Route::Asset => self.core.write_asset(&mut out, head, &exchange),
            Route::BareHttp => response::empty(&mut out, exchange.reply, StatusCode::METHOD_NOT_ALLOWED, &[]),
            _ => {
                self.core.stats.refusals_http += 1;
                response::empty(&mut out, exchange.reply, StatusCode::NOT_FOUND, &[]);
            }
        }
        exchange.is_answered = true;
        self.core.begin_exchange(key, head, exchange);
        self.core.push(key, out);
        self.core.finish_exchange(key);
        Progress::Used(used)
    }

    /// Takes the next piece of a request's body.
    fn body_step(&mut self, key: Key, input: &[u8]) -> Progress {
        let max_payload = self.core.settings.options.max_payload as usize;
        let Some(conn) = self.core.conns.get_mut(key) else { return Progress::Gone };
        let Role::Http(Http { exchange: Some(exchange), .. }) = &mut conn.role else { return Progress::Gone };
        let step = match &mut exchange.body {
            Body::Done => return Progress::Wait,
            Body::Collect { decoder, .. } | Body::Skip { decoder, .. } => decoder.decode(input),
        };
        let used = match (step, &mut exchange.body) {
            (Err(_), _) => {
                self.core.refuse_body(key);
                return Progress::Gone;
            }
            (Ok(Step::NeedMore), _) => {
                return if input.is_empty() { Progress::Wait } else { Progress::Used(input.len()) };
            }
            (Ok(Step::Done { used }), _) => {
                self.body_complete(key);
                return Progress::Used(used);
            }
            (Ok(Step::Data { bytes, used }), Body::Skip { budget, .. }) => {
                match budget.checked_sub(bytes.len()) {
                    Some(left) => *budget = left,
                    // Not worth the connection. The answer is on its way, so the last word is said.
                    None => exchange.reply = exchange.reply.closing(),
                }
                used
            }
            (Ok(Step::Data { bytes, used }), Body::Collect { bytes: collected, .. }) => {
                if collected.len() + bytes.len() > max_payload {
                    self.body_too_large(key);
                } else {
                    collected.extend_from_slice(bytes);
                }
                used
            }
            (Ok(Step::Data { used, .. }), Body::Done) => used,
        };
        self.core.finish_exchange(key);
        Progress::Used(used)
    }

    fn body_complete(&mut self, key: Key) {
        self.core.clear_deadline(key);
        let Some((request, exchange)) = self.core.exchange(key) else { return };
        let body = std::mem::replace(&mut exchange.body, Body::Done);
        match (body, exchange.subject) {
            (Body::Collect { bytes, .. }, Subject::Session(session)) => {
                self.post_body(request, session, BodyArrival::Complete(bytes));
            }
            (Body::Collect { bytes, .. }, Subject::Echo) => {
                exchange.is_answered = true;
                let mut out = Vec::new();
                response::whole(&mut out, exchange.reply, StatusCode::OK, &[], &bytes);
                self.core.push(key, out);
            }
            _ => {}
        }
        // The answer may have been there before the body.
        self.core.finish_exchange(key);
    }

    /// The body exceeds what a client may send: its session says so (413), and the rest is skipped.
    fn body_too_large(&mut self, key: Key) {
        let Some((request, exchange)) = self.core.exchange(key) else { return };
        exchange.skip_rest();
        match exchange.subject {
            Subject::Session(session) => self.post_body(request, session, BodyArrival::TooLarge),
            Subject::Nothing | Subject::Echo => {
                self.core.respond(request, Answer::Empty(StatusCode::PAYLOAD_TOO_LARGE));
            }
        }
    }
}

impl Exchange {
    /// A request without a body to keep.
    pub(super) fn new(head: &Head<'_, '_>, fields: FieldList, subject: Subject) -> Self {
        let body = match head.body {
            BodyLength::None => Body::Done,
            length => Body::Skip { decoder: BodyDecoder::new(length), budget: SKIPPED_BODY_BYTES_MAX },
        };
        // A client that asked first may send the body or not once it is refused: where the next request starts
        // is anybody's guess.
        let reply = Reply::to(head);
        let reply = if head.expect_continue { reply.closing() } else { reply };
        // Nothing but polls is compressed by what the exchange says.
        let coding = match head.method {
            Method::GET => negotiate(head.fields.all("accept-encoding"), &Coding::POLLING),
            _ => Coding::Identity,
        };
        Self { reply, fields, app_fields: HeaderMap::new(), coding, subject, body, is_answered: false }
    }

    /// The body is wanted.
    pub(super) fn collect(&mut self, head: &Head<'_, '_>) {
        self.reply = Reply::to(head);
        // Even an empty body is read to its end, so that there is one way to get there.
        self.body = Body::Collect { decoder: BodyDecoder::new(head.body), bytes: Vec::new() };
    }

    /// The rest of the body is not wanted.
    pub(super) fn skip_rest(&mut self) {
        if let Body::Collect { decoder, .. } = &self.body {
            self.body = Body::Skip { decoder: decoder.clone(), budget: SKIPPED_BODY_BYTES_MAX };
        }
    }
}

/// Adds the application's fields to ours.
pub(super) fn extend_fields(fields: &mut FieldList, app_fields: &HeaderMap) {
    fields.extend(app_fields.iter().map(|(name, value)| (name.clone(), value.clone())));
}

impl Core {
    /// The current request of a connection, and the name to answer it by.
    pub(super) fn exchange(&mut self, key: Key) -> Option<(RequestRef, &mut Exchange)> {
        let shard = self.index;
        let http = self.conns.get_mut(key)?.http()?;
        let request = RequestRef { shard, conn: key, sequence: http.sequence };
        Some((request, http.exchange.as_deref_mut()?))
    }

    /// A request starts: nothing else is read from its connection until it is answered, but its body.
    pub(super) fn begin_exchange(&mut self, key: Key, head: &Head<'_, '_>, exchange: Exchange) {
        let deadline = self.now + self.settings.options.http.body;
        let has_body = !matches!(exchange.body, Body::Done);
        let wants_body = matches!(exchange.body, Body::Collect { .. });
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.deadline = has_body.then_some(deadline);
        if let Some(http) = conn.http() {
            http.exchange = Some(Box::new(exchange));
        }
        if wants_body && head.expect_continue {
            let mut out = Vec::new();
            response::continue_100(&mut out);
            self.push(key, out);
        }
        self.arm_conn(key);
    }

    pub(super) fn clear_deadline(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.deadline = None;
        }
    }

    fn head_arrived(&mut self, key: Key) {
        self.stats.requests += 1;
        if let Some(conn) = self.conns.get_mut(key) {
            conn.head_started = false;
            conn.deadline = None;
        }
    }

    /// The first bytes of a head are here: the rest must come in time.
    fn await_head(&mut self, key: Key) {
        let deadline = self.now + self.settings.options.http.head;
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.head_started {
            return;
        }
        conn.head_started = true;
        conn.deadline = Some(deadline);
        self.arm_conn(key);
    }

    /// Keeps bytes for later. With many, nothing more is read: see [`Conn::must_wait`].
    fn keep_input(&mut self, key: Key, rest: Vec<u8>) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.input = if rest.is_empty() { Vec::new() } else { rest };
    }

    fn refuse_head(&mut self, key: Key, error: HeadError) {
        self.refuse_http(key, error.status());
    }

    /// A body whose framing is broken: nobody knows where the next request starts.
    fn refuse_body(&mut self, key: Key) {
        self.abandon_exchange(key);
        let answered = self.exchange(key).is_some_and(|(_, exchange)| exchange.is_answered);
        if answered {
            self.finish_conn(key, Then::Linger);
        } else {
            self.refuse_http(key, StatusCode::BAD_REQUEST);
        }
    }

    /// Says why, and ends the connection. An answer that another shard has sent meanwhile comes too late.
    pub(super) fn refuse_http(&mut self, key: Key, status: StatusCode) {
        self.stats.refusals_http += 1;
        if let Some((_, exchange)) = self.exchange(key) {
            exchange.is_answered = true;
        }
        let mut out = Vec::new();
        response::empty(&mut out, Reply::REFUSAL, status, &[]);
        self.push(key, out);
        self.finish_conn(key, Then::Linger);
    }

    fn write_asset(&self, out: &mut Vec<u8>, head: &Head<'_, '_>, exchange: &Exchange) {
        let Some(asset) = self.routes.assets.find(head.target) else { return };
        let answer = asset.answer(AssetRequest {
            method: &head.method,
            if_none_match: head.field("if-none-match"),
            accept_encoding: head.field("accept-encoding"),
        });
        let mut fields = self.cors_fields(head);
        for (name, value) in &answer.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                fields.push((name, value));
            }
        }
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        response::whole(out, exchange.reply, status, &fields, &answer.body);
    }

    /// CORS fields of the response to a request that is no preflight.
    pub(super) fn cors_fields(&self, head: &Head<'_, '_>) -> FieldList {
        let cors = self.settings.cors.as_ref();
        cors.map_or_else(FieldList::new, |cors: &Cors| cors.fields(head.field("origin")))
    }
}
