//! From a session's answer to the bytes of an HTTP response, on the connection's own shard.

use super::http::extend_fields;
use super::message::Answer;
use super::state::Core;
use crate::arena::Key;
use crate::engine_io::poll_body;
use crate::engine_io::request::Refusal;
use crate::front::{Body, Exchange, Role, Then};
use crate::http::{Coding, response};
use crate::payload::Packet;
use crate::session::RequestRef;
use ::http::StatusCode;
use std::collections::VecDeque;

impl Core {
    /// Writes the response to a request, unless its connection is gone or it has been answered.
    pub(super) fn respond(&mut self, request: RequestRef, answer: Answer) {
        let Some(conn) = self.conns.get_mut(request.conn) else { return };
        let is_last = self.is_draining || conn.has_ended;
        let Some(http) = conn.http().filter(|http| http.sequence == request.sequence) else { return };
        let Some(exchange) = http.exchange.as_deref_mut().filter(|exchange| !exchange.is_answered) else {
            return;
        };
        if matches!(answer, Answer::Destroy) {
            self.drop_conn(request.conn);
            return;
        }
        exchange.is_answered = true;
        exchange.skip_rest();
        if is_last {
            exchange.reply = exchange.reply.closing();
        }
        // The exchange is put back: its body may still be coming.
        let mut exchange = http.exchange.take().expect("it was there a moment ago");
        if matches!(answer, Answer::Packets(_) | Answer::Ok) {
            extend_fields(&mut exchange.fields, &exchange.app_fields);
        }
        let mut out = Vec::new();
        self.write_answer(&mut out, &exchange, answer);
        if let Some(http) = self.conns.get_mut(request.conn).and_then(|conn| conn.http()) {
            http.exchange = Some(exchange);
        }
        self.push(request.conn, out);
        self.finish_exchange(request.conn);
    }

    fn write_answer(&mut self, out: &mut Vec<u8>, exchange: &Exchange, answer: Answer) {
        let (reply, fields) = (exchange.reply, exchange.fields.as_slice());
        match answer {
            Answer::Packets(packets) => self.write_packets(out, exchange, &packets),
            Answer::Ok => response::post_ok(out, reply, fields),
            Answer::Empty(status) => response::empty(out, reply, status, fields),
            Answer::Refused(refusal) => {
                self.count_refusal(&refusal);
                let status = StatusCode::from_u16(refusal.status()).expect("an engine error is a 4xx");
                let (code, message) = (refusal.error.code(), refusal.error.message());
                response::error(out, reply, status, code, message, fields);
            }
            Answer::Destroy => {}
        }
    }

    fn write_packets(&mut self, out: &mut Vec<u8>, exchange: &Exchange, packets: &VecDeque<Packet>) {
        let (reply, fields) = (exchange.reply, exchange.fields.as_slice());
        let body_bytes = poll_body::bytes(packets.iter());
        let threshold = self.settings.options.http_compression_threshold;
        let compress = exchange.coding != Coding::Identity
            && threshold.is_some_and(|threshold| body_bytes >= threshold as usize)
            && packets.iter().any(Packet::compress);
        if compress {
            let body = poll_body::encode(packets.iter());
            let mut smaller = Vec::new();
            let coding = self.compressor.compress(exchange.coding, &body, &mut smaller);
            response::poll(out, reply, coding, fields, &smaller);
        } else {
            response::poll_head(out, reply, body_bytes, fields);
            poll_body::append(out, packets.iter());
        }
    }

    pub(super) fn count_refusal(&mut self, refusal: &Refusal) {
        self.stats.refusals_by_code[usize::from(refusal.error.code())] += 1;
    }

    /// Ends an exchange that has both its response and the whole of its body, and lets the next request in.
    pub(super) fn finish_exchange(&mut self, key: Key) {
        let keep_alive = self.now + self.settings.options.http.keep_alive;
        let Some(conn) = self.conns.get_mut(key) else { return };
        let Role::Http(http) = &mut conn.role else { return };
        let Some(exchange) = &mut http.exchange else { return };
        if !exchange.is_answered {
            return;
        }
        if !exchange.reply.keeps_alive() {
            self.finish_conn(key, Then::Linger);
            return;
        }
        if !matches!(exchange.body, Body::Done) {
            return;
        }
        http.exchange = None;
        conn.deadline = Some(keep_alive);
        if !conn.input.is_empty() || conn.is_paused {
            self.resumable.push(key);
        }
        self.arm_conn(key);
    }
}
