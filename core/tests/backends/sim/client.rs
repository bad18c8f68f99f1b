//! A client that behaves: over WebSocket or long-polling, in up to three namespaces, with numbered events.

use crate::random::Random;
use crate::sim::model::{ClientNo, Model, NAMESPACES, SocketNo};
use crate::sim::world::{StreamId, World};
use crate::wire::{self, Packet, SocketPacket};
use std::collections::{BTreeMap, VecDeque};
use tidegate_core::shard::StreamEnd;
use tidegate_core::time::Instant;

#[derive(Clone, Copy, Debug)]
enum Place {
    Out,
    Connecting(SocketNo),
    In(SocketNo),
}

/// An HTTP request on its way.
struct Exchange {
    stream: StreamId,
    input: Vec<u8>,
}

struct WebSocket {
    stream: StreamId,
    input: Vec<u8>,
    is_switched: bool,
}

pub(crate) struct Client {
    pub(crate) no: ClientNo,
    pub(crate) is_over: bool,
    is_polling: bool,
    /// Has said CONNECT or more than that, and when.
    opened: Instant,
    /// Whether it was ever let in, and when.
    was_in: Option<Instant>,
    sid: Option<String>,
    websocket: Option<WebSocket>,
    get: Option<Exchange>,
    post: Option<Exchange>,
    out: VecDeque<String>,
    places: BTreeMap<&'static str, Place>,
    /// It says much, and fast.
    is_chatty: bool,
}

impl Client {
    pub(crate) fn new(no: ClientNo, now: Instant, random: &mut Random) -> Self {
        Self {
            no,
            is_over: false,
            is_polling: random.chance(40),
            opened: now,
            was_in: None,
            sid: None,
            websocket: None,
            get: None,
            post: None,
            out: VecDeque::new(),
            places: NAMESPACES.map(|name| (name, Place::Out)).into(),
            is_chatty: random.chance(25),
        }
    }

    pub(crate) fn step(&mut self, world: &mut World, model: &mut Model, random: &mut Random) -> bool {
        if self.is_over {
            return false;
        }
        let mut busy = self.receive(world, model, random);
        if self.is_over {
            return true;
        }
        if !model.is_quiet && self.sid.is_some() {
            self.talk(world, model, random);
            if self.is_over {
                return true;
            }
        }
        busy |= self.transmit(world, random);
        busy
    }

    /// Whether it waits for something.
    pub(crate) fn is_settled(&self) -> bool {
        let connecting = |place: &Place| matches!(place, Place::Connecting(_));
        self.is_over || (self.out.is_empty() && self.post.is_none() && !self.places.values().any(connecting))
    }

    // What it does.

    fn talk(&mut self, world: &mut World, model: &mut Model, random: &mut Random) {
        let (&name, &place) =
            self.places.iter().nth(random.below(self.places.len())).expect("there are some");
        match place {
            Place::Out if self.out.is_empty() && random.chance(30) => {
                let no = model.connects(self.no, name);
                self.places.insert(name, Place::Connecting(no));
                self.push("0", name, None, &format!("{{\"socket\":{no}}}"));
            }
            Place::In(no) if self.out.len() < 20 => match random.below(100) {
                0 if random.chance(20) => {
                    model.sockets[no].is_out = true;
                    self.places.insert(name, Place::Out);
                    model.note(|| format!("socket {no} leaves"));
                    self.push("1", name, None, "");
                }
                1 if random.chance(15) => {
                    let end = if random.chance(50) { StreamEnd::Eof } else { StreamEnd::Error };
                    self.leave(world, model, end);
                }
                2..=30 => self.say(model, random, no, name),
                _ if self.is_chatty => self.say(model, random, no, name),
                _ => {}
            },
            Place::Out | Place::Connecting(_) | Place::In(_) => {}
        }
    }

    /// The next event of a socket.
    fn say(&mut self, model: &mut Model, random: &mut Random, no: SocketNo, name: &'static str) {
        let most = if random.chance(10) { 500 } else { 30 };
        let pad = "x".repeat(random.below(most));
        let number = model.sockets[no].sent.len();
        let json = format!("[\"e\",{no},{number},\"{pad}\"]");
        model.says(no, json.len());
        let ack = random.chance(40).then_some(number as u64);
        self.push("2", name, ack, &json);
    }

    fn push(&mut self, kind: &str, namespace: &str, ack: Option<u64>, json: &str) {
        let Packet::Text(text) = wire::socket_packet(kind, namespace, ack, json) else { return };
        self.out.push_back(text);
    }

    pub(crate) fn leave(&mut self, world: &mut World, model: &mut Model, end: StreamEnd) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        model.leaves(self.no);
        self.hang_up(world, end);
    }

    fn hang_up(&mut self, world: &mut World, end: StreamEnd) {
        let exchanges = [&self.get, &self.post].into_iter().flatten().map(|exchange| exchange.stream);
        let websocket = self.websocket.iter().map(|websocket| websocket.stream);
        exchanges.chain(websocket).for_each(|stream| world.leave(stream, end));
    }

    /// The server has ended the session.
    fn closed(&mut self, world: &mut World, model: &mut Model) {
        self.is_over = true;
        model.closed(self.no, self.opened, self.was_in);
        self.hang_up(world, StreamEnd::Eof);
    }

    // Bytes.

    fn transmit(&mut self, world: &mut World, random: &mut Random) -> bool {
        if !self.is_polling {
            return self.transmit_frames(world, random);
        }
        let mut busy = false;
        let sid = self.sid.as_ref().map_or_else(String::new, |sid| format!("&sid={sid}"));
        let target = format!("/socket.io/?EIO=4&transport=polling{sid}");
        if self.get.is_none() {
            self.get = Some(Exchange::start(world, random, &wire::request("GET", &target, None)));
            busy = true;
        }
        if self.post.is_none() && self.sid.is_some() && !self.out.is_empty() {
            let packets: Vec<Packet> = self.out.drain(..).map(Packet::Text).collect();
            let body = wire::poll_body(&packets);
            self.post = Some(Exchange::start(world, random, &wire::request("POST", &target, Some(&body))));
            busy = true;
        }
        busy
    }

    fn transmit_frames(&mut self, world: &mut World, random: &mut Random) -> bool {
        let Some(websocket) = &self.websocket else {
            let stream = world.connect(random);
            world.send(stream, &wire::upgrade_request("/socket.io/?EIO=4&transport=websocket"));
            self.websocket = Some(WebSocket { stream, input: Vec::new(), is_switched: false });
            return true;
        };
        let busy = !self.out.is_empty();
        for text in self.out.drain(..) {
            let mask = (random.next() as u32).to_be_bytes();
            world.send(websocket.stream, &wire::frame(0x81, mask, text.as_bytes()));
        }
        busy
    }

    fn receive(&mut self, world: &mut World, model: &mut Model, random: &mut Random) -> bool {
        if self.is_polling {
            return self.receive_responses(world, model, random);
        }
        let Some(mut websocket) = self.websocket.take() else { return false };
        let mut busy = world.receive(websocket.stream, random, &mut websocket.input) > 0;
        if !websocket.is_switched
            && let Some(response) = wire::take_response(&mut websocket.input)
        {
            assert_eq!(response.status, 101);
            websocket.is_switched = true;
        }
        let mut is_closed = false;
        while websocket.is_switched
            && !is_closed
            && let Some((first, payload)) = wire::take_frame(&mut websocket.input)
        {
            busy = true;
            match first {
                0x81 => is_closed = self.packet(model, &String::from_utf8(payload).unwrap()),
                0x88 => is_closed = true,
                first => panic!("a server does not send {first:#x}"),
            }
        }
        is_closed |= world.is_over(websocket.stream);
        self.websocket = Some(websocket);
        if is_closed {
            self.closed(world, model);
        }
        busy
    }

    fn receive_responses(&mut self, world: &mut World, model: &mut Model, random: &mut Random) -> bool {
        let mut is_closed = false;
        let got = Exchange::finish(&mut self.get, world, random);
        if let Some(got) = &got {
            is_closed |= got.as_ref().is_none_or(|response| response.status != 200);
            if let Some(response) = got.as_ref().filter(|response| response.status == 200) {
                for packet in wire::read_poll_body(&response.body) {
                    let Packet::Text(text) = packet else { panic!("nobody sends binary") };
                    is_closed = is_closed || self.packet(model, &text);
                }
            }
        }
        let posted = Exchange::finish(&mut self.post, world, random);
        if let Some(posted) = &posted {
            is_closed |= posted.as_ref().is_none_or(|response| response.status != 200);
        }
        if is_closed {
            self.closed(world, model);
        }
        got.is_some() || posted.is_some()
    }

    /// Handles a packet of Engine.IO. Says whether it was the last.
    fn packet(&mut self, model: &mut Model, text: &str) -> bool {
        match text.as_bytes()[0] {
            b'0' => {
                let open: serde_json::Value = serde_json::from_str(&text[1..]).expect("JSON");
                self.sid = open["sid"].as_str().map(ToOwned::to_owned);
            }
            b'1' => return true,
            b'2' => self.out.push_back("3".to_owned()),
            b'4' => self.socket_packet(model, &wire::read_socket_packet(&text[1..])),
            b'6' => {}
            other => panic!("a server does not send {other}"),
        }
        false
    }

    fn socket_packet(&mut self, model: &mut Model, packet: &SocketPacket) {
        let (&name, &place) = self.places.get_key_value(packet.namespace.as_str()).expect("it asked for it");
        match (packet.kind, place) {
            (b'0', Place::Connecting(no)) => {
                model.let_in(no, packet.json["sid"].as_str().expect("an id"));
                self.was_in = Some(model.now);
                self.places.insert(name, Place::In(no));
            }
            (b'1', Place::In(no)) => {
                model.thrown_out(no);
                self.places.insert(name, Place::Out);
            }
            (b'4', Place::Connecting(no)) => {
                model.refused(no, packet.json["message"].as_str().expect("a message"));
                self.places.insert(name, Place::Out);
            }
            (b'2', place) => self.event(model, name, place, packet),
            (b'3', _) => {
                let number = |place: usize| packet.json[place].as_u64().expect("a number") as usize;
                let (no, number, link) = (number(0), number(1), number(2));
                assert_eq!(packet.ack, Some(number as u64), "the answer to another question");
                assert_eq!(model.sockets[no].client, self.no);
                model.client_gets_answer(no, number, link);
            }
            // What was on its way when it left.
            (b'1', Place::Out | Place::Connecting(_)) => {}
            (kind, place) => panic!("client {} in {name}, {place:?}: {}", self.no, kind as char),
        }
    }

    fn event(&mut self, model: &mut Model, name: &'static str, place: Place, packet: &SocketPacket) {
        let (link, serial, meant) = (&packet.json[1], &packet.json[2], &packet.json[3]);
        let [link, serial, meant] = [link, serial, meant].map(|number| number.as_u64().expect("a number"));
        let meant = (meant != u64::MAX).then_some(meant as usize);
        let no = match (meant, place) {
            (Some(meant), Place::In(no) | Place::Connecting(no)) if no == meant => no,
            (None, Place::In(no)) => no,
            (Some(meant), _) => {
                // It was on its way when the socket left, and may not be answered in the name of the next one.
                let socket = &model.sockets[meant];
                assert!(socket.client == self.no && socket.is_out, "{meant} is not here");
                return;
            }
            (None, _) => return,
        };
        model.client_gets(no, link as usize, serial, meant);
        // A socket that has been let in only: to others nobody may talk.
        if let (Some(ack), Place::In(_)) = (packet.ack, place) {
            self.push("3", name, Some(ack), &format!("[{link},{serial},{no}]"));
        }
    }
}

impl Exchange {
    fn start(world: &mut World, random: &mut Random, request: &[u8]) -> Self {
        let stream = world.connect(random);
        world.send(stream, request);
        Self { stream, input: Vec::new() }
    }

    /// Takes the response, if it is there: `Some(None)` if there will be none.
    fn finish(
        slot: &mut Option<Self>,
        world: &mut World,
        random: &mut Random,
    ) -> Option<Option<wire::Response>> {
        let exchange = slot.as_mut()?;
        world.receive(exchange.stream, random, &mut exchange.input);
        let response = wire::take_response(&mut exchange.input);
        if response.is_none() && !world.is_over(exchange.stream) {
            return None;
        }
        world.leave(exchange.stream, StreamEnd::Eof);
        *slot = None;
        Some(response)
    }
}
