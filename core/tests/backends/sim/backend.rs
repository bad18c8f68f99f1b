//! A backend: reads frames, answers them sooner or later, says something now and then, and comes to some end.

use crate::random::Random;
use crate::sim::model::{Change, LinkNo, Model, NAMESPACES, Serial, SocketNo};
use crate::sim::world::{StreamId, World};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::backend::wire::{
    Connect, EmitFlags, Frames, FromBackend, Hello, List, Packet, Selector, ToBackend, frame_counts,
};
use tidegate_core::close::DisconnectReason;
use tidegate_core::shard::StreamEnd;
use tidegate_core::shard::app::{SessionKey, SocketKey};
use tidegate_core::socket_io::ArgsRef;

const EVERYBODY: u64 = u64::MAX;

/// What a backend thinks of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// CONNECT came.
    Offered,
    /// It was accepted.
    Owned,
    /// HANDOVER came. `accepted`: before, or since.
    Leaving { accepted: bool },
    /// It was rejected, declined or released: if it has gone at the same time, DISCONNECTED is on its way.
    Away,
    /// DISCONNECTED came.
    Gone,
}

struct Served {
    no: SocketNo,
    session: SessionKey,
    namespace: &'static str,
    stage: Stage,
    rooms: BTreeSet<String>,
    /// The number of the event that comes next, once one has come.
    next: Option<usize>,
}

enum Question {
    Fetch,
    /// A broadcast: how many were asked, and have answered.
    Clients {
        asked: Option<u32>,
        answers: u32,
    },
    Backends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It works.
    Up,
    /// It has sent garbage, and will be refused.
    Mad,
    Gone,
}

pub(crate) struct Backend {
    pub(crate) no: LinkNo,
    stream: StreamId,
    pub(crate) life: Life,
    input: Vec<u8>,
    sent_bytes: u64,
    window: u32,
    is_welcome: bool,
    is_serving: bool,
    pub(crate) is_draining: bool,
    pub(crate) is_drained: bool,
    /// Bytes that it may send.
    balance: i64,
    handled: u32,
    /// Bytes that the gateway has sent, as the wire shows it.
    tap: Frames,
    tapped: i64,
    credited: i64,
    largest: i64,
    slow_until: u64,
    stingy_until: u64,
    sockets: BTreeMap<SocketKey, Served>,
    next_serial: Serial,
    /// Its emits that were not answered, and whether the gateway waits for ever.
    asked: BTreeMap<u64, (SocketKey, bool)>,
    /// Events that want an answer.
    unanswered: Vec<(SocketKey, u64, usize)>,
    server_events: Vec<u64>,
    questions: BTreeMap<u64, Question>,
    pub(crate) peers: u32,
}

impl Backend {
    pub(crate) fn dial(world: &mut World, model: &mut Model, random: &mut Random) -> Self {
        let stream = world.dial(random);
        let window = [256, 1000, 5000, 100_000][random.below(4)] * world.shards() as u32;
        let no = model.dials(stream, window);
        model.note(|| format!("link {no} dials in, window {window}"));
        let mut backend = Self {
            no,
            stream,
            life: Life::Up,
            input: Vec::new(),
            sent_bytes: 0,
            window,
            is_welcome: false,
            is_serving: false,
            is_draining: false,
            is_drained: false,
            balance: 0,
            handled: 0,
            tap: Frames::new(u32::MAX),
            tapped: 0,
            credited: 0,
            largest: 0,
            slow_until: 0,
            stingy_until: 0,
            sockets: BTreeMap::new(),
            next_serial: 1,
            asked: BTreeMap::new(),
            unanswered: Vec::new(),
            server_events: Vec::new(),
            questions: BTreeMap::new(),
            peers: 0,
        };
        let hello =
            Hello { version_min: 1, version_max: 1, window, software: "simulation", process: "backend" };
        backend.say(world, &FromBackend::Hello(hello));
        if random.chance(50) {
            backend.serve(world, model, &NAMESPACES);
        }
        backend
    }

    /// Sends a frame. Returns where it ends.
    fn say(&mut self, world: &mut World, frame: &FromBackend<'_>) -> u64 {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).expect("it is short");
        if frame_counts(frame.kind()) {
            self.balance -= bytes.len() as i64;
        }
        self.sent_bytes += bytes.len() as u64;
        world.send(self.stream, &bytes);
        self.sent_bytes
    }

    fn serve(&mut self, world: &mut World, model: &mut Model, names: &[&str]) {
        self.is_serving = true;
        let dynamic = !model.is_tidy && model.random.chance(20);
        self.say(world, &FromBackend::Serve { dynamic, namespaces: List::from(names) });
    }

    /// Takes part in the end: everything is served, and nobody is slow.
    pub(crate) fn calm_down(&mut self, world: &mut World, model: &mut Model) {
        (self.slow_until, self.stingy_until) = (0, 0);
        if self.life == Life::Up && !self.is_draining {
            self.serve(world, model, &NAMESPACES);
        }
    }

    pub(crate) fn step(&mut self, world: &mut World, model: &mut Model, random: &mut Random) -> bool {
        self.check_credit(world);
        if self.life == Life::Gone || (model.step < self.slow_until && !model.is_quiet) {
            return false;
        }
        let mut busy = world.receive(self.stream, random, &mut self.input) > 0;
        busy |= self.read(world, model);
        if world.is_over(self.stream) {
            assert!(self.life == Life::Mad, "link {} is ended for no reason", self.no);
            self.life = Life::Gone;
            return true;
        }
        if self.life == Life::Up && self.balance > 0 {
            busy |= self.work(world, model, random);
        }
        if model.step >= self.stingy_until || model.is_quiet {
            busy |= self.give_credit(world, model);
        }
        busy
    }

    /// The gateway is never more ahead than it was allowed to be.
    fn check_credit(&mut self, world: &mut World) {
        let tapped = std::mem::take(&mut world.streams[self.stream].tapped);
        let mut rest = tapped.as_slice();
        while let Some(frame) = self.tap.next(&mut rest).expect("the gateway writes frames") {
            let cost = frame.cost() as i64;
            self.tapped += cost;
            self.largest = self.largest.max(cost);
        }
        let most = i64::from(self.window) + world.shards() as i64 * self.largest;
        let ahead = self.tapped - self.credited;
        assert!(ahead <= most, "link {}: {ahead} bytes without credit for more than {most}", self.no);
    }

    /// Between frames, or in portions.
    fn give_credit(&mut self, world: &mut World, model: &Model) -> bool {
        let part = self.window / world.shards() as u32 / 4;
        if self.handled == 0 || (self.handled < part && !model.is_quiet) || self.life != Life::Up {
            return false;
        }
        let bytes = std::mem::take(&mut self.handled);
        self.credited += i64::from(bytes);
        self.say(world, &FromBackend::Credit(bytes));
        true
    }

    // What comes.

    fn read(&mut self, world: &mut World, model: &mut Model) -> bool {
        let input = std::mem::take(&mut self.input);
        let mut rest = input.as_slice();
        let mut busy = false;
        while let Some(length) = rest.first_chunk() {
            let bytes = 4 + u32::from_le_bytes(*length) as usize;
            let Some(frame) = rest.get(..bytes) else { break };
            rest = &rest[bytes..];
            let (kind, body) = (frame[4], &frame[5..]);
            let decoded = ToBackend::decode(kind, body).expect("the gateway writes good frames");
            if frame_counts(kind) {
                self.handled += bytes as u32;
            }
            self.hear(world, model, decoded);
            busy = true;
        }
        self.input = rest.to_vec();
        busy
    }

    fn hear(&mut self, world: &mut World, model: &mut Model, frame: ToBackend<'_>) {
        if self.life == Life::Mad {
            model.meet("links that were refused", u64::from(matches!(frame, ToBackend::Refuse { .. })));
            return;
        }
        match frame {
            ToBackend::Welcome(welcome) => {
                assert!(!std::mem::replace(&mut self.is_welcome, true), "there is one WELCOME");
                self.balance += i64::from(welcome.window);
            }
            ToBackend::Refuse { code, message } => {
                panic!("link {} is refused: {code:?} {message}", self.no);
            }
            ToBackend::Credit(bytes) => self.balance += i64::from(bytes),
            ToBackend::Tick | ToBackend::Transport { .. } => {}
            ToBackend::Peers(peers) => self.peers = peers,
            ToBackend::Connect(connect) => self.hear_connect(model, &connect),
            ToBackend::Event { socket, ack, redelivered, packet } => {
                self.hear_event(world, model, socket, ack, redelivered, &packet);
            }
            ToBackend::Ack { socket, ack, packet } => self.hear_ack(socket, ack, &packet),
            ToBackend::Disconnected { socket, reason } => {
                self.hear_disconnected(world, model, socket, reason);
            }
            ToBackend::Handover(socket) => {
                assert!(self.is_draining, "nobody has asked for HANDOVER");
                let served = self.sockets.get_mut(&socket).expect("it is known here");
                served.stage = match served.stage {
                    Stage::Offered => Stage::Leaving { accepted: false },
                    Stage::Owned => Stage::Leaving { accepted: true },
                    // The answer to CONNECT was on its way.
                    Stage::Away => Stage::Away,
                    stage => panic!("HANDOVER in {stage:?}"),
                };
                model.meet("sockets that were handed over", 1);
            }
            ToBackend::Drained => {
                let left = self.sockets.values().filter(|served| {
                    matches!(served.stage, Stage::Offered | Stage::Owned | Stage::Leaving { .. })
                });
                assert_eq!(left.count(), 0, "sockets are left on link {}", self.no);
                assert!(self.is_draining && !self.is_drained, "DRAINED comes once");
                self.is_drained = true;
                model.meet("links that were drained", 1);
            }
            ToBackend::ServerEvent { token, namespace, .. } => {
                assert!(NAMESPACES.contains(&namespace));
                if token != 0 {
                    self.server_events.push(token);
                }
            }
            _ => self.hear_answer(model, frame),
        }
    }

    fn hear_connect(&mut self, model: &mut Model, connect: &Connect<'_>) {
        assert!(self.is_serving, "link {} is not ready", self.no);
        let (no, rooms) = model.offered(self.no, connect);
        let served = Served {
            no,
            session: connect.session,
            namespace: model.sockets[no].namespace,
            stage: Stage::Offered,
            rooms,
            next: None,
        };
        let before = self.sockets.insert(connect.socket, served);
        // It may come back to one that has declined it only through another; here nobody is asked twice.
        assert!(before.is_none(), "link {} is offered socket {no} again", self.no);
    }

    fn hear_event(
        &mut self,
        world: &World,
        model: &mut Model,
        socket: SocketKey,
        ack: Option<u64>,
        redelivered: bool,
        packet: &Packet<'_>,
    ) {
        let served = self.sockets.get_mut(&socket).expect("it is known here");
        assert_eq!(served.stage, Stage::Owned, "events of socket {} come once it was accepted", served.no);
        let json: serde_json::Value = serde_json::from_str(&packet.json()).expect("JSON");
        let (meant, number) = (json[1].as_u64().unwrap() as usize, json[2].as_u64().unwrap() as usize);
        assert_eq!(meant, served.no, "the event is of this socket");
        if let Some(next) = served.next {
            assert_eq!(number, next, "events of socket {meant} come in order to link {}", self.no);
        }
        let is_first = served.next.is_none();
        served.next = Some(model.backend_gets(world, self.no, meant, number, redelivered, is_first));
        if let Some(ack) = ack {
            self.unanswered.push((socket, ack, number));
        }
    }

    fn hear_ack(&mut self, socket: SocketKey, ack: u64, packet: &Packet<'_>) {
        let asked = self.asked.remove(&ack).map(|(asked, _)| asked);
        assert_eq!(asked, Some(socket), "link {} has not asked this", self.no);
        let json: serde_json::Value = serde_json::from_str(&packet.json()).expect("JSON");
        assert_eq!(json[0], self.no, "the answer is for another link");
        assert_eq!(json[1], ack, "the answer is to another question");
    }

    fn hear_disconnected(
        &mut self,
        world: &World,
        model: &mut Model,
        socket: SocketKey,
        reason: DisconnectReason,
    ) {
        let served = self.sockets.get_mut(&socket).expect("it is known here");
        model.note(|| format!("link {} hears that socket {} is gone: {reason:?}", self.no, served.no));
        let before = std::mem::replace(&mut served.stage, Stage::Gone);
        assert_ne!(before, Stage::Gone, "socket {} is gone once", served.no);
        model.lets_go(self.no, served.no, 0);
        // What it said before its new backend was heard to accept is lost with it.
        let was_heard = before == Stage::Owned && served.next.is_some();
        if was_heard && reason == DisconnectReason::ClientNamespace {
            model.assert_read(world, served.no);
        }
    }

    fn hear_answer(&mut self, model: &mut Model, frame: ToBackend<'_>) {
        match frame {
            ToBackend::Fetched { request, last, sockets } => {
                assert!(matches!(self.questions.get(&request), Some(Question::Fetch)));
                for socket in sockets {
                    let handshake: serde_json::Value = serde_json::from_str(socket.handshake).unwrap();
                    let no = handshake["auth"]["socket"].as_u64().unwrap() as usize;
                    assert_eq!(model.sockets[no].key, Some(socket.socket));
                }
                if last {
                    self.questions.remove(&request);
                    model.meet("fetches", 1);
                }
            }
            ToBackend::Asked { request, clients } => {
                let Some(Question::Clients { asked, .. }) = self.questions.get_mut(&request) else {
                    panic!("nobody has asked {request}");
                };
                assert_eq!(asked.replace(clients), None, "ASKED comes once");
            }
            ToBackend::Answer { request, .. } => {
                let Some(Question::Clients { answers, .. }) = self.questions.get_mut(&request) else {
                    panic!("nobody has asked {request}");
                };
                *answers += 1;
            }
            ToBackend::Answered { request, timed_out } => {
                let Some(Question::Clients { asked: Some(asked), answers }) = self.questions.remove(&request)
                else {
                    panic!("nobody has asked {request}, or nobody was asked");
                };
                assert!(answers <= asked && (timed_out || answers == asked), "{answers} of {asked}");
                model.meet("broadcasts that were answered", 1);
            }
            ToBackend::ServerResponses { request, asked, responses } => {
                assert!(matches!(self.questions.remove(&request), Some(Question::Backends)));
                let others: BTreeSet<&str> = responses.iter().collect();
                assert_eq!(others.len(), responses.len(), "everybody answers once");
                assert!(!others.contains(self.no.to_string().as_str()), "nobody answers itself");
                assert!(responses.len() <= asked as usize);
                model.meet("server emits that were answered", u64::from(asked > 0));
            }
            other => panic!("{other:?} is no answer"),
        }
    }

    // What it does.

    fn work(&mut self, world: &mut World, model: &mut Model, random: &mut Random) -> bool {
        let mut busy = false;
        if self.is_welcome && !self.is_serving && (model.is_quiet || random.chance(20)) {
            self.serve(world, model, &NAMESPACES);
            busy = true;
        }
        busy |= self.decide(world, model, random);
        busy |= self.answer(world, model, random);
        busy |= self.release(world, model, random);
        if model.is_quiet {
            return busy;
        }
        for _ in 0..random.below(3) {
            self.act(world, model, random);
        }
        busy
    }

    /// Answers CONNECTs.
    fn decide(&mut self, world: &mut World, model: &mut Model, random: &mut Random) -> bool {
        let waits = |stage| matches!(stage, Stage::Offered | Stage::Leaving { accepted: false });
        let offered: Vec<SocketKey> =
            self.sockets.iter().filter(|(_, served)| waits(served.stage)).map(|(key, _)| *key).collect();
        let mut busy = false;
        for key in offered {
            let served = self.sockets.get_mut(&key).expect("it was found");
            // Who is asked to leave need not answer.
            let is_late = served.stage != Stage::Offered;
            if !model.is_quiet && random.chance(if is_late { 90 } else { 60 }) || (is_late && model.is_quiet)
            {
                continue;
            }
            busy = true;
            let no = served.no;
            let may_refuse = !model.is_quiet && !is_late;
            if may_refuse && random.chance(4) {
                served.stage = Stage::Away;
                let socket = &mut model.sockets[no];
                (socket.may_be_refused, socket.may_be_ended) = (true, true);
                let end = self.say(world, &FromBackend::Reject { socket: key, message: "no", data: None });
                model.lets_go(self.no, no, end);
            } else if may_refuse && !model.is_tidy && random.chance(15) {
                served.stage = Stage::Away;
                model.note(|| format!("link {} declines socket {no}", self.no));
                let end = self.say(world, &FromBackend::Decline(key));
                model.lets_go(self.no, no, end);
            } else {
                served.stage = if is_late { Stage::Leaving { accepted: true } } else { Stage::Owned };
                model.note(|| format!("link {} accepts socket {no}", self.no));
                self.say(world, &FromBackend::Accept(key));
            }
        }
        busy
    }

    /// Answers events of clients and of other backends.
    fn answer(&mut self, world: &mut World, model: &mut Model, random: &mut Random) -> bool {
        let mut busy = false;
        for (key, ack, number) in std::mem::take(&mut self.unanswered) {
            let served = &self.sockets[&key];
            if !matches!(served.stage, Stage::Owned | Stage::Leaving { .. }) {
                continue;
            }
            if !model.is_quiet && random.chance(50) {
                self.unanswered.push((key, ack, number));
                continue;
            }
            let no = served.no;
            let json = format!("[{no},{number},{}]", self.no);
            let end = self.say(world, &FromBackend::Ack { socket: key, ack, packet: arguments(&json) });
            model.answers(self.no, end, no, number);
            busy = true;
        }
        for token in std::mem::take(&mut self.server_events) {
            // Some answer late, and some never.
            if model.is_quiet || random.chance(50) {
                let json = self.no.to_string();
                self.say(world, &FromBackend::ServerAck { token, json: &json });
                busy = true;
            } else if random.chance(90) {
                self.server_events.push(token);
            }
        }
        busy
    }

    /// Lets go of sockets that are to be handed over.
    fn release(&mut self, world: &mut World, model: &mut Model, random: &mut Random) -> bool {
        let keys: Vec<SocketKey> = self
            .sockets
            .iter()
            .filter(|(_, served)| matches!(served.stage, Stage::Leaving { .. }))
            .map(|(key, _)| *key)
            .collect();
        let mut busy = false;
        for key in keys {
            if !model.is_quiet && random.chance(60) {
                continue;
            }
            busy = true;
            if random.chance(50) {
                self.set_data(world, model, key);
            }
            let served = self.sockets.get_mut(&key).expect("it was found");
            served.stage = Stage::Away;
            let no = served.no;
            model.note(|| format!("link {} releases socket {no}", self.no));
            let end = self.say(world, &FromBackend::Released(key));
            model.lets_go(self.no, no, end);
        }
        busy
    }

    fn act(&mut self, world: &mut World, model: &mut Model, random: &mut Random) {
        let own: Vec<SocketKey> = self
            .sockets
            .iter()
            .filter(|(_, served)| matches!(served.stage, Stage::Offered | Stage::Owned))
            .map(|(key, _)| *key)
            .collect();
        let Some(&key) = random.pick(&own) else { return };
        match random.below(40) {
            0..=9 => self.emit(world, model, random, key),
            10..=15 => self.broadcast(world, model, random, key),
            16..=20 => self.join_or_leave(world, model, random, key),
            21..=23 => self.set_data(world, model, key),
            24 => self.ask(
                world,
                |request| (Question::Fetch, request),
                |selector, request| FromBackend::Fetch { request, selector },
            ),
            25 if random.chance(30) => self.broadcast_and_ask(world),
            26 => self.server_emit(world, random),
            27 if random.chance(20) => {
                let served = &self.sockets[&key];
                if served.stage == Stage::Owned {
                    model.sockets[served.no].may_be_ended = true;
                    self.say(world, &FromBackend::Disconnect(key));
                }
            }
            28 if random.chance(10) => {
                let (session, client) =
                    (self.sockets[&key].session, model.sockets[self.sockets[&key].no].client);
                let sockets = model.sockets.iter_mut().filter(|socket| socket.client == client);
                sockets.for_each(|socket| socket.may_be_ended = true);
                self.say(world, &FromBackend::Close(session));
            }
            29 if !model.is_tidy && random.chance(10) => {
                let name = NAMESPACES[random.below(3)];
                self.say(world, &FromBackend::Withdraw(List::from([name].as_slice())));
            }
            30 if !model.is_tidy => self.serve(world, model, &NAMESPACES),
            _ => {}
        }
    }

    /// The event `m`, with where it comes from and whom it is meant for.
    fn message(&mut self, meant: Option<SocketNo>) -> (Serial, String) {
        let serial = self.next_serial;
        self.next_serial += 1;
        let meant = meant.map_or(EVERYBODY, |no| no as u64);
        (serial, format!("{},{serial},{meant}", self.no))
    }

    fn emit(&mut self, world: &mut World, model: &mut Model, random: &mut Random, key: SocketKey) {
        let no = self.sockets[&key].no;
        let (serial, json) = self.message(Some(no));
        // Whoever is not in yet may not answer.
        let ack = self.sockets[&key].stage == Stage::Owned && random.chance(40);
        let timeout_ms = if random.chance(50) { 0 } else { 400 };
        if ack {
            self.asked.insert(serial, (key, timeout_ms == 0));
        }
        let flags = EmitFlags { ack, ..EmitFlags::default() };
        let packet = Packet::from_event("\"m\"", ArgsRef::trusted(&json, &[]));
        let end = self.say(world, &FromBackend::Emit { socket: key, flags, ack: serial, timeout_ms, packet });
        model.sends(self.no, serial, end, &[no]);
    }

    fn broadcast(&mut self, world: &mut World, model: &mut Model, random: &mut Random, key: SocketKey) {
        let served = &self.sockets[&key];
        let room = served.rooms.iter().next().cloned().filter(|_| random.chance(60));
        self.broadcast_to(world, model, served.namespace, room);
    }

    pub(crate) fn broadcast_to(
        &mut self,
        world: &mut World,
        model: &mut Model,
        namespace: &str,
        room: Option<String>,
    ) -> Serial {
        let has_to = |served: &&Served| {
            served.stage == Stage::Owned
                && served.namespace == namespace
                && room.as_ref().is_none_or(|room| served.rooms.contains(room))
        };
        let meant: Vec<SocketNo> = self.sockets.values().filter(has_to).map(|served| served.no).collect();
        let (serial, json) = self.message(None);
        let rooms: Vec<&str> = room.as_deref().into_iter().collect();
        let selector = Selector { namespace, rooms: List::from(rooms.as_slice()), except: List::EMPTY };
        let packet = Packet::from_event("\"m\"", ArgsRef::trusted(&json, &[]));
        let flags = EmitFlags::default();
        let end =
            self.say(world, &FromBackend::Broadcast { flags, selector, request: 0, timeout_ms: 0, packet });
        model.sends(self.no, serial, end, &meant);
        model.links[self.no].broadcasts.insert(serial, room.unwrap_or_default());
        serial
    }

    fn broadcast_and_ask(&mut self, world: &mut World) {
        let (serial, json) = self.message(None);
        let packet = Packet::from_event("\"m\"", ArgsRef::trusted(&json, &[]));
        let flags = EmitFlags { ack: true, ..EmitFlags::default() };
        let selector = everybody("/");
        self.questions.insert(serial, Question::Clients { asked: None, answers: 0 });
        let request = serial;
        self.say(world, &FromBackend::Broadcast { flags, selector, request, timeout_ms: 300, packet });
    }

    fn ask(
        &mut self,
        world: &mut World,
        question: impl FnOnce(u64) -> (Question, u64),
        frame: impl FnOnce(Selector<'static>, u64) -> FromBackend<'static>,
    ) {
        let (question, request) = question(self.next_serial);
        self.next_serial += 1;
        self.questions.insert(request, question);
        self.say(world, &frame(everybody("/"), request));
    }

    fn server_emit(&mut self, world: &mut World, random: &mut Random) {
        let request = if random.chance(70) { self.next_serial } else { 0 };
        self.next_serial += 1;
        if request != 0 {
            self.questions.insert(request, Question::Backends);
        }
        let json = "[\"hello\"]";
        self.say(world, &FromBackend::ServerEmit { namespace: "/", request, timeout_ms: 300, json });
    }

    fn join_or_leave(&mut self, world: &mut World, model: &mut Model, random: &mut Random, key: SocketKey) {
        let served = self.sockets.get_mut(&key).expect("it is its own");
        let no = served.no;
        let left = served.rooms.iter().next().cloned().filter(|_| random.chance(40));
        let (end, change) = if let Some(room) = left {
            served.rooms.remove(&room);
            let rooms = [room.as_str()];
            let rooms = List::from(rooms.as_slice());
            (self.say(world, &FromBackend::Leave { socket: key, rooms }), Change::Leave(room))
        } else {
            let room = format!("r{}-{}", self.no, random.below(3));
            served.rooms.insert(room.clone());
            let rooms = [room.as_str()];
            let rooms = List::from(rooms.as_slice());
            (self.say(world, &FromBackend::Join { socket: key, rooms }), Change::Join(room))
        };
        model.changes(self.no, end, no, change);
    }

    fn set_data(&mut self, world: &mut World, model: &mut Model, key: SocketKey) {
        let no = self.sockets[&key].no;
        let json = format!("{{\"by\":{},\"n\":{}}}", self.no, self.next_serial);
        self.next_serial += 1;
        let end = self.say(world, &FromBackend::Data { socket: key, json: &json });
        model.changes(self.no, end, no, Change::Data(json));
    }

    // How it ends.

    /// It does not read, or gives no credit, for a while.
    pub(crate) fn slow_down(&mut self, model: &Model, random: &mut Random) {
        let until = model.step + random.between(20, 400) as u64;
        if random.chance(50) {
            self.slow_until = until;
        } else {
            self.stingy_until = until;
        }
    }

    pub(crate) fn drain(&mut self, world: &mut World, model: &mut Model) {
        if self.life == Life::Up && self.is_serving && !self.is_draining {
            model.note(|| format!("link {} drains", self.no));
            self.is_draining = true;
            self.say(world, &FromBackend::Drain);
        }
    }

    pub(crate) fn crash(&mut self, world: &mut World, model: &mut Model, random: &mut Random) {
        if self.life == Life::Gone {
            return;
        }
        let end = if random.chance(50) { StreamEnd::Eof } else { StreamEnd::Error };
        self.life = Life::Gone;
        let consumed = world.streams[self.stream].consumed;
        let heard = if end == StreamEnd::Eof { self.sent_bytes } else { consumed };
        model.dies(self.no, heard);
        model.meet("links that died", 1);
        world.leave(self.stream, end);
    }

    /// Sends something that no backend may send.
    pub(crate) fn go_mad(&mut self, world: &mut World, model: &mut Model, random: &mut Random) {
        if self.life != Life::Up {
            return;
        }
        let garbage: [&[u8]; 5] = [
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 0x7f],
            &[3, 0, 0, 0, 0x20, 1, 2],
            &[0xff, 0xff, 0xff, 0xff],
            &[5, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff],
        ];
        model.dies(self.no, self.sent_bytes);
        self.life = Life::Mad;
        world.send(self.stream, garbage[random.below(garbage.len())]);
    }

    /// Says goodbye after DRAINED.
    pub(crate) fn leave_politely(&mut self, world: &mut World, model: &mut Model) {
        if self.is_drained && self.life == Life::Up {
            self.life = Life::Gone;
            model.dies(self.no, self.sent_bytes);
            world.leave(self.stream, StreamEnd::Eof);
        }
    }

    pub(crate) fn assert_settled(&self, model: &Model) {
        if self.life != Life::Up {
            return;
        }
        assert!(self.questions.is_empty(), "link {} got all answers", self.no);
        for served in self.sockets.values() {
            let is_own = matches!(served.stage, Stage::Offered | Stage::Owned | Stage::Leaving { .. });
            let is_out = model.sockets[served.no].is_out;
            assert!(!is_own || !is_out, "link {} was told that socket {} is gone", self.no, served.no);
        }
        for (ack, (key, for_ever)) in &self.asked {
            let served = &self.sockets[key];
            let is_own = served.stage == Stage::Owned && !model.sockets[served.no].is_out;
            assert!(!is_own || !for_ever, "link {} has heard no answer to {ack}", self.no);
        }
        assert!(!self.is_draining || self.is_drained, "link {} is drained", self.no);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.life == Life::Up && self.is_serving && !self.is_draining
    }
}

fn arguments(json: &str) -> Packet<'_> {
    let inner = json.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).expect("brackets");
    Packet::from_arguments(ArgsRef::trusted(inner, &[]))
}

fn everybody(namespace: &str) -> Selector<'_> {
    Selector { namespace, rooms: List::EMPTY, except: List::EMPTY }
}
