//! What a shard owns, and the small effects everything else is made of: queueing bytes, arming deadlines,
//! ending connections. Nothing here calls the application.

use super::app::{
    AckError, AppMessage, BroadcastAcks, Departed, PortKey, SessionKey, SocketInfo, SocketKey, Ticket,
};
use super::message::{Answer, Content, Outcome, ShardMessage};
use super::routes::Routes;
use super::stats::Stats;
use super::{Action, ShardSetup};
use crate::arena::{Arena, Key};
use crate::engine_io::open::Open;
use crate::engine_io::request::Rules;
use crate::engine_io::{Intervals, Transport, Transports};
use crate::front::{Conn, Then, WebSocketUser};
use crate::http::{Compressor, Cors, Origins};
use crate::hub::Hub;
use crate::hub::acks::{Acks, Asker};
use crate::hub::interest::Interest;
use crate::id::{IdMap, IdSource, RouteKey, ShardIndex};
use crate::options::{CorsOptions, Options};
use crate::payload::{Packet, Parcel};
use crate::session::state::State;
use crate::session::{RequestRef, Session};
use crate::socket_io::Args;
use crate::time::Instant;
use crate::timers::Timers;
use crate::ws;
use ::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a queued segment costs beyond its bytes; counted, so that a flood of tiny frames is bounded too.
const SEGMENT_OVERHEAD_BYTES: usize = 64;

/// What comes up in the timer wheel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    /// Something about the connection at this place.
    Conn(u32),
    /// Something about the session at this place.
    Session(u32),
    /// A socket has not answered an emit.
    Ack { socket: Key, ack: u64 },
    /// Not everybody has answered a broadcast.
    Group(Key),
    /// The application asked for it.
    Wake(Ticket),
}

/// What the application has to be told once the current step is over.
#[derive(Debug)]
pub(super) enum Call {
    Connected(Key),
    Disconnected(Departed),
    Abandoned(SocketKey),
    Acknowledged(Ticket, Result<Args, AckError>),
    BroadcastAcknowledged(Ticket, BroadcastAcks),
    ClientsAsked(Ticket, u32),
    ClientAnswered(Ticket, Args),
    ClientsAnswered(Ticket, bool),
    Upgraded(SessionKey),
    Fetched(Ticket, Vec<SocketInfo>),
    Woken(Ticket),
    PortOpened(PortKey),
    PortClosed(PortKey),
    Told(ShardIndex, AppMessage),
}

/// Answers of all shards to one question of this shard's application.
#[derive(Debug)]
pub(super) struct Collection {
    pub(super) ticket: Ticket,
    /// Shards that have not reported.
    pub(super) missing: usize,
    pub(super) so_far: SoFar,
}

/// What has been reported.
#[derive(Debug)]
pub(super) enum SoFar {
    /// All answers at the end.
    Acks(BroadcastAcks),
    /// Each answer when it comes.
    AcksOneByOne {
        /// Clients that were asked.
        asked: u32,
        /// Shards that have not said how many they have asked.
        uncounted: usize,
        /// Whether some client has not answered in time.
        timed_out: bool,
    },
    Sockets(Vec<SocketInfo>),
}

/// The options in the form in which they are used.
pub(super) struct Settings {
    pub(super) options: Arc<Options>,
    pub(super) rules: Rules,
    pub(super) intervals: Intervals,
    /// What sessions are told that open on polling.
    pub(super) open_polling: Open,
    /// What sessions are told that open on WebSocket.
    pub(super) open_websocket: Open,
    pub(super) cors: Option<Cors>,
    pub(super) websocket: ws::Limits,
    /// This shard's share of the sessions.
    pub(super) sessions_max: usize,
    /// This shard's share of the unfinished input, in bytes.
    pub(super) input_bytes_max: usize,
}

impl Settings {
    pub(super) fn new(options: Arc<Options>, shards: u16) -> Self {
        let mut transports: Vec<Transport> = Vec::new();
        transports.extend(options.transports.polling.then_some(Transport::Polling));
        transports.extend(options.transports.websocket.then_some(Transport::WebSocket));
        let transports: Transports = transports.into_iter().collect();
        let intervals = Intervals { interval: options.ping_interval, timeout: options.ping_timeout };
        let open = |transport| {
            let upgrades = transports.upgrades_from(transport, options.allow_upgrades);
            Open::new(upgrades, &intervals, options.max_payload as usize)
        };
        Self {
            rules: Rules { transports, allow_upgrades: options.allow_upgrades, allow_v3: false },
            open_polling: open(Transport::Polling),
            open_websocket: open(Transport::WebSocket),
            intervals,
            cors: options.cors.as_ref().and_then(cors),
            websocket: ws::Limits {
                message_bytes_max: options.max_payload as usize,
                fragments_max: options.max_fragments,
            },
            input_bytes_max: options.input_bytes_max.div_ceil(u32::from(shards.max(1))) as usize,
            sessions_max: options.max_sessions.div_ceil(u32::from(shards.max(1))) as usize,
            options,
        }
    }
}

fn cors(options: &CorsOptions) -> Option<Cors> {
    let mut values: Vec<HeaderValue> =
        options.origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    let origins = match options.origins.as_slice() {
        [] => return None,
        [any] if any == "*" => Origins::Any,
        [_] => Origins::One(values.pop()?),
        _ => Origins::List(values),
    };
    let mut cors = Cors::new(origins);
    cors.credentials = options.credentials;
    Some(cors)
}

pub(super) struct Core {
    pub(super) index: ShardIndex,
    pub(super) shards: u16,
    pub(super) settings: Settings,
    pub(super) routes: Arc<Routes>,
    pub(super) route_key: RouteKey,
    pub(super) ids: IdSource,
    /// Milliseconds since the Unix epoch at `Instant::ORIGIN`.
    pub(super) unix_origin: u64,
    pub(super) now: Instant,
    /// Which batch of input is being handled; what an application does about one is one tick to clients.
    pub(super) tick: u64,
    /// While something is done for another shard: the tick of its application.
    pub(super) foreign_tick: Option<u64>,
    pub(super) is_draining: bool,
    /// The application has something gathered that it wants to give away before this pass ends.
    pub(super) wants_flush: bool,
    pub(super) conns: Arena<Conn>,
    pub(super) sessions: Arena<Session>,
    pub(super) by_sid: IdMap<Key>,
    pub(super) hub: Hub,
    pub(super) interest: Interest,
    pub(super) acks: Acks,
    pub(super) collections: Arena<Collection>,
    pub(super) timers: Timers<Due>,
    pub(super) compressor: Compressor,
    pub(super) touched: VecDeque<u32>,
    pub(super) actions: VecDeque<Action>,
    pub(super) messages: VecDeque<(ShardIndex, ShardMessage)>,
    pub(super) calls: VecDeque<Call>,
    /// Sockets that the application has let in; takes effect when the tick is over.
    pub(super) accepted: VecDeque<Key>,
    /// Connections with input that waited for an answer.
    pub(super) resumable: Vec<Key>,
    /// Connections whose client does not read, as a write has shown.
    pub(super) slow: Vec<Key>,
    /// Sessions whose client does not read.
    pub(super) doomed: Vec<Key>,
    /// Sessions that have lost a socket in this tick.
    pub(super) left: Vec<Key>,
    /// Bytes of unfinished input, over all connections and sessions.
    pub(super) input_bytes: usize,
    /// Reused by broadcasts.
    pub(super) selected: Vec<u32>,
    pub(super) stats: Stats,
}

impl Core {
    pub(super) fn new(setup: ShardSetup) -> Self {
        Self {
            index: setup.index,
            shards: setup.shards,
            settings: Settings::new(setup.options, setup.shards),
            routes: setup.routes,
            route_key: setup.route_key,
            ids: IdSource::new(setup.seed, setup.route_key, setup.index),
            unix_origin: setup.unix_origin,
            now: setup.now,
            tick: 0,
            foreign_tick: None,
            is_draining: false,
            wants_flush: false,
            conns: Arena::default(),
            sessions: Arena::default(),
            by_sid: IdMap::default(),
            hub: Hub::default(),
            interest: Interest::default(),
            acks: Acks::default(),
            collections: Arena::default(),
            timers: Timers::new(setup.now),
            compressor: Compressor::new(),
            touched: VecDeque::new(),
            actions: VecDeque::new(),
            messages: VecDeque::new(),
            calls: VecDeque::new(),
            accepted: VecDeque::new(),
            resumable: Vec::new(),
            slow: Vec::new(),
            doomed: Vec::new(),
            left: Vec::new(),
            input_bytes: 0,
            selected: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// Starts the next batch of input.
    pub(super) fn begin(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.tick += 1;
    }

    /// The tick, told apart from those of other shards.
    pub(super) fn tick_name(&self) -> u64 {
        self.foreign_tick.unwrap_or(self.tick << 16 | u64::from(self.index.0))
    }

    pub(super) fn unix_millis(&self) -> u64 {
        self.unix_origin + self.now.as_millis()
    }

    pub(super) fn socket_key(&self, key: Key) -> SocketKey {
        SocketKey { shard: self.index, index: key.index, generation: key.generation }
    }

    /// A session, if it is one of this shard's.
    pub(super) fn local_session(&self, session: SessionKey) -> Option<&Session> {
        let SessionKey { shard, index, generation } = session;
        (shard == self.index).then_some(Key { index, generation }).and_then(|key| self.sessions.get(key))
    }

    pub(super) fn session_key(&self, key: Key) -> SessionKey {
        SessionKey { shard: self.index, index: key.index, generation: key.generation }
    }

    /// The place of a socket, if it is one of this shard's.
    pub(super) fn local(&self, socket: SocketKey) -> Option<Key> {
        (socket.shard == self.index).then_some(Key { index: socket.index, generation: socket.generation })
    }

    /// Sends a message to another shard; what has changed here before comes first, so that nobody hears of a
    /// member and then misses it with a broadcast.
    pub(super) fn tell(&mut self, shard: ShardIndex, content: Content) {
        self.publish_interest();
        self.messages.push_back((shard, ShardMessage(content)));
    }

    pub(super) fn other_shards(&self) -> impl Iterator<Item = ShardIndex> + use<> {
        let own = self.index;
        (0..self.shards).map(ShardIndex).filter(move |&shard| shard != own)
    }

    // Deadlines.

    pub(super) fn arm_conn(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key)
            && let Some(deadline) = conn.deadline
            && conn.armed.needs(deadline)
        {
            self.timers.insert(deadline, Due::Conn(key.index));
        }
    }

    pub(super) fn arm_session(&mut self, key: Key) {
        if let Some(session) = self.sessions.get_mut(key)
            && let Some(deadline) = session.deadline()
            && session.armed.needs(deadline)
        {
            self.timers.insert(deadline, Due::Session(key.index));
        }
    }

    // Bytes towards a client.

    /// Has the driver write what is queued.
    pub(super) fn touch(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key) {
            mark_touched(&mut self.touched, key, conn);
        }
    }

    /// Queues bytes that are not a session's packets: responses, control frames.
    pub(super) fn push(&mut self, key: Key, bytes: impl Into<Bytes>) {
        let tick = self.tick_name();
        if let Some(conn) = self.conns.get_mut(key) {
            conn.out.push(bytes.into());
            conn.queued_in = tick;
            self.touch(key);
        }
    }

    /// Queues packets to a WebSocket that has become a session's transport.
    pub(super) fn flush_to(&mut self, key: Key, packets: VecDeque<Packet>) {
        let tick = self.tick_name();
        if let Some(conn) = self.conns.get_mut(key) {
            conn.queued_in = tick;
            packets.into_iter().for_each(|packet| queue_frame(conn, packet));
            self.touch(key);
        }
    }

    /// Sends a Socket.IO packet to the client of a session, on whatever transport it has.
    ///
    /// With `volatile` it is dropped whole if the transport is not ready (protocol.md 5.3).
    pub(super) fn send(&mut self, key: Key, parcel: Parcel, volatile: bool) {
        if self.transmit(key, parcel, volatile) {
            self.stats.events_out += 1;
        }
    }

    /// Sends a packet of the engine itself.
    pub(super) fn send_packet(&mut self, session: Key, packet: Packet) {
        self.transmit(session, packet.into(), false);
    }

    /// Returns whether the parcel is on its way.
    pub(super) fn transmit(&mut self, key: Key, parcel: Parcel, volatile: bool) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        match session.state {
            State::WebSocket => {
                let conn = session.websocket.expect("this state has a WebSocket");
                self.send_frames(key, conn, parcel, volatile)
            }
            State::Polling | State::Probing => self.send_later(key, parcel, volatile),
            State::Lingering | State::Closed => false,
        }
    }

    fn send_frames(&mut self, session: Key, key: Key, parcel: Parcel, volatile: bool) -> bool {
        let tick = self.tick_name();
        let Some(conn) = self.conns.get_mut(key) else { return false };
        if volatile && !conn.is_writable(tick) {
            self.stats.volatile_dropped += 1;
            return false;
        }
        if is_overfull(conn, &self.settings.options) {
            self.doomed.push(session);
            return false;
        }
        conn.queued_in = tick;
        queue_frame(conn, parcel.head);
        if !parcel.attachments.is_empty() {
            parcel.attachments.into_iter().for_each(|attachment| queue_frame(conn, attachment));
        }
        mark_touched(&mut self.touched, key, conn);
        true
    }

    fn send_later(&mut self, key: Key, parcel: Parcel, volatile: bool) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        if volatile && session.poll.is_none() {
            self.stats.volatile_dropped += 1;
            return false;
        }
        // A packet that is too large for the limit on its own still gets through.
        if session.outbox.bytes() > self.settings.options.outbox_bytes_max as usize {
            self.doomed.push(key);
            return false;
        }
        session.outbox.push(parcel.head);
        for attachment in parcel.attachments {
            session.outbox.push(attachment);
        }
        if let Some(request) = session.poll.take() {
            let packets = session.outbox.take();
            self.answer(request, Answer::Packets(packets));
        }
        true
    }

    // Connections.

    /// Ends a connection at once. What was queued is lost.
    pub(super) fn drop_conn(&mut self, key: Key) {
        if let Some(conn) = self.conns.remove(key) {
            self.forget_conn_input(&conn);
            self.actions.push_back(Action::Close { conn: key, stream: conn.stream });
        }
    }

    /// Ends a connection once everything is written. A client that reads has as long as between two requests,
    /// unless we are in a hurry.
    pub(super) fn finish_conn(&mut self, key: Key, then: Then) {
        let timeouts = &self.settings.options.http;
        let patience = if self.is_draining { timeouts.linger } else { timeouts.keep_alive };
        let deadline = self.now + patience;
        if let Some(conn) = self.conns.get_mut(key) {
            // There is nobody left to wait for.
            conn.then = if conn.has_ended { Then::Close } else { then };
            conn.deadline = Some(conn.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
            self.touch(key);
            self.arm_conn(key);
        }
    }

    /// Sends a close frame and waits for the peer's, for a while (RFC 6455 §7.1.2).
    pub(super) fn close_websocket(&mut self, key: Key, code: Option<u16>) {
        let linger = self.now + self.settings.options.http.linger;
        // Nobody holds its input any more, and the peer's close frame is to be seen.
        self.release_conn(key);
        let Some(conn) = self.conns.get_mut(key) else { return };
        let Some(websocket) = conn.websocket() else { return };
        websocket.user = WebSocketUser::Closing;
        // Whatever the peer still sends, it gets no more time.
        if std::mem::replace(&mut websocket.close_sent, true) {
            return;
        }
        conn.deadline = Some(linger);
        let mut frame = Vec::new();
        ws::encode::close(&mut frame, code, "");
        self.push(key, frame);
        self.arm_conn(key);
    }

    // Answers and outcomes, to wherever they belong.

    /// Answers an HTTP request, wherever its connection lives.
    pub(super) fn answer(&mut self, request: RequestRef, answer: Answer) {
        if request.shard == self.index {
            self.respond(request, answer);
        } else {
            self.tell(request.shard, Content::Answer { request, answer: Box::new(answer) });
        }
    }

    pub(super) fn tell_asker(&mut self, asker: Asker, outcome: Result<Args, AckError>) {
        if asker.shard == self.index {
            self.calls.push_back(Call::Acknowledged(asker.ticket, outcome));
        } else {
            let outcome = Box::new(Outcome::Acknowledged(outcome));
            self.tell(asker.shard, Content::Outcome { ticket: asker.ticket, outcome });
        }
    }
}

/// Puts a connection on the list of those to be written, once.
fn mark_touched(touched: &mut VecDeque<u32>, key: Key, conn: &mut Conn) {
    if !conn.is_touched {
        conn.is_touched = true;
        touched.push_back(key.index);
    }
}

/// Queues a packet to a WebSocket, in the form its client can take (protocol.md 1.9).
fn queue_frame(conn: &mut Conn, packet: Packet) {
    let base64_only = conn.websocket().is_some_and(|websocket| websocket.base64_only);
    let packet = if base64_only && packet.is_binary() { as_base64(&packet) } else { packet };
    conn.out.push(packet.into_websocket_frame());
}

/// Whether a client that does not read has had enough queued for it.
///
/// A client that keeps up is not judged by what one tick queues, nor by the size of the message being written.
/// A port is never judged: the application bounds what it sends there.
pub(super) fn is_overfull(conn: &Conn, options: &Options) -> bool {
    if !conn.is_blocked || conn.is_port() {
        return false;
    }
    let waiting = conn.out.waiting_bytes() + conn.out.segments() * SEGMENT_OVERHEAD_BYTES;
    waiting > options.outbox_bytes_max as usize
}

/// A binary message for a client that takes text only (protocol.md 1.9).
fn as_base64(packet: &Packet) -> Packet {
    let mut text = String::from("b");
    STANDARD.encode_string(packet.payload(), &mut text);
    Packet::text(&text)
}
