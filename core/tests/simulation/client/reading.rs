//! What a client makes of what it gets.

use super::websocket::Frame;
use super::{Client, Fault, NAMESPACES, NamespaceState, Pending, Wished};
use crate::oracle::{Oracle, SocketId};
use crate::random::Random;
use crate::wire::{self, Packet, SocketPacket};
use crate::world::{StreamId, World};
use tidegate_core::shard::StreamEnd;

impl Client {
    pub(super) fn read(&mut self, world: &mut World, oracle: &mut Oracle, random: &mut Random) -> bool {
        let mut busy = false;
        for slot in 0..3 {
            let slot = match slot {
                0 => &mut self.get,
                1 => &mut self.post,
                _ => &mut self.stray,
            };
            let Some(exchange) = slot else { continue };
            let (stream, expected) = (exchange.stream, exchange.expected);
            world.receive(stream, random, &mut exchange.input);
            let Some(response) = wire::take_response(&mut exchange.input) else {
                if world.is_over(stream) {
                    return self.end_over(world, oracle, random, "a request got no answer");
                }
                continue;
            };
            assert!(exchange.input.is_empty(), "nothing but the answer");
            *slot = None;
            busy = true;
            oracle.note(|| format!("client {} has {} on stream {stream}", self.id, response.status));
            if response.closes || random.chance(20) {
                world.leave(stream, StreamEnd::Eof);
            } else {
                world.leave_open(stream);
            }
            if response.status != expected {
                let how = format!("{} instead of {expected}", response.status);
                return self.end_over(world, oracle, random, &how);
            }
            if response.status == 200 && response.body != b"ok" {
                for packet in wire::read_poll_body(&response.body) {
                    self.packet(world, oracle, random, packet);
                }
            }
            if self.is_over {
                return true;
            }
        }
        busy |= self.read_candidate(world, oracle, random);
        busy | self.read_websocket(world, oracle, random)
    }

    pub(super) fn end_over(
        &mut self,
        world: &mut World,
        oracle: &mut Oracle,
        random: &mut Random,
        how: &str,
    ) -> bool {
        self.end(world, oracle, random, how);
        true
    }

    pub(super) fn read_websocket(
        &mut self,
        world: &mut World,
        oracle: &mut Oracle,
        random: &mut Random,
    ) -> bool {
        let Some(mut websocket) = self.websocket.take() else { return false };
        let is_over = world.is_over(websocket.stream);
        let frames = websocket.frames(world, random, 101);
        let busy = !frames.is_empty();
        self.websocket = Some(websocket);
        for frame in frames {
            match frame {
                Frame::Packet(packet) => self.packet(world, oracle, random, packet),
                Frame::Refused(status) => {
                    self.end(world, oracle, random, &format!("{status} for a WebSocket"));
                }
                Frame::Close(code) => self.end(world, oracle, random, &format!("WebSocket close {code:?}")),
            }
            if self.is_over {
                return true;
            }
        }
        if is_over {
            self.end(world, oracle, random, "the WebSocket's stream ended");
        }
        busy
    }

    pub(super) fn read_candidate(
        &mut self,
        world: &mut World,
        oracle: &mut Oracle,
        random: &mut Random,
    ) -> bool {
        let Some(mut candidate) = self.candidate.take() else { return false };
        let stream = candidate.websocket.stream;
        let was_switched = candidate.websocket.is_switched;
        let is_over = world.is_over(stream);
        let frames = candidate.websocket.frames(world, random, 101);
        if candidate.websocket.is_switched && !was_switched {
            candidate.websocket.send(world, random, &Packet::Text("2probe".to_owned()));
        }
        for frame in &frames {
            match frame {
                Frame::Packet(Packet::Text(text)) if text == "3probe" => candidate.is_confirmed = true,
                Frame::Packet(packet) => panic!("a candidate gets nothing but 3probe: {packet:?}"),
                // Another attempt may follow.
                Frame::Close(_) => return self.lose(world, stream),
                Frame::Refused(status) => {
                    let how = format!("{status} for an upgrade");
                    return self.end_over(world, oracle, random, &how);
                }
            }
        }
        if is_over {
            return self.lose(world, stream);
        }
        let busy = !frames.is_empty();
        if candidate.is_confirmed && self.get.is_none() && self.post.is_none() {
            candidate.websocket.send(world, random, &Packet::Text("5".to_owned()));
            oracle.note(|| format!("client {} upgrades", self.id));
            self.websocket = Some(candidate.websocket);
            return true;
        }
        if world.now >= candidate.give_up_at || random.below(4000) == 0 {
            oracle.note(|| format!("client {} gives its upgrade up", self.id));
            return self.lose(world, stream);
        }
        self.candidate = Some(candidate);
        busy
    }

    /// The candidate is gone; polling goes on.
    pub(super) fn lose(&mut self, world: &mut World, stream: StreamId) -> bool {
        world.leave(stream, StreamEnd::Eof);
        self.candidate = None;
        true
    }

    pub(super) fn packet(
        &mut self,
        world: &mut World,
        oracle: &mut Oracle,
        random: &mut Random,
        packet: Packet,
    ) {
        if self.is_over {
            return;
        }
        let text = match packet {
            Packet::Binary(bytes) => return self.attachment(oracle, random, &bytes),
            Packet::Text(text) => text,
        };
        let (kind, rest) = text.split_at(1);
        if kind != "4" {
            oracle.note(|| format!("client {} gets packet {kind}", self.id));
        }
        match kind {
            "0" => {
                let open: serde_json::Value = serde_json::from_str(rest).expect("JSON");
                self.sid = open["sid"].as_str().map(ToOwned::to_owned);
            }
            "1" => self.end(world, oracle, random, "close packet"),
            "2" => {
                if self.fault != Some(Fault::Mute) {
                    self.out.push_back(Packet::Text("3".to_owned()));
                }
            }
            "6" => {}
            "4" => {
                assert!(self.pending.is_none(), "attachments follow their packet at once");
                let packet = wire::read_socket_packet(rest);
                if packet.attachments > 0 {
                    self.pending = Some(Pending { packet, got: 0 });
                } else {
                    self.socket_packet(oracle, random, &packet);
                }
            }
            _ => panic!("{text}"),
        }
    }

    pub(super) fn attachment(&mut self, oracle: &mut Oracle, random: &mut Random, bytes: &[u8]) {
        let mut pending = self.pending.take().expect("an attachment belongs to a packet");
        let serial = pending.packet.json[2].as_u64().expect("a serial");
        assert_eq!(bytes, serial.to_be_bytes(), "attachments come with their packet");
        pending.got += 1;
        if pending.got == pending.packet.attachments {
            self.socket_packet(oracle, random, &pending.packet);
        } else {
            self.pending = Some(pending);
        }
    }

    pub(super) fn socket_packet(&mut self, oracle: &mut Oracle, random: &mut Random, packet: &SocketPacket) {
        let namespace =
            *NAMESPACES.iter().find(|name| **name == packet.namespace).expect("a name we asked for");
        let state = self.namespaces.get_mut(namespace).expect("every namespace has a state");
        match packet.kind {
            b'0' => {
                assert!(matches!(state, NamespaceState::Connecting), "one reply to one CONNECT");
                let sid = packet.json["sid"].as_str().expect("an id");
                *state = NamespaceState::In(oracle.client_joined(self.id, sid));
            }
            b'4' => {
                assert!(matches!(state, NamespaceState::Connecting), "one reply to one CONNECT");
                *state = NamespaceState::Out;
            }
            b'1' => *state = NamespaceState::Out,
            b'2' | b'5' => {
                let (shard, serial) = (packet.json[1].as_u64().unwrap(), packet.json[2].as_u64().unwrap());
                oracle.client_receives(self.id, shard as usize, serial, namespace);
                if let (Some(ack), NamespaceState::In(socket)) = (packet.ack, state) {
                    let socket = *socket;
                    self.answer(oracle, random, namespace, socket, ack, serial);
                }
            }
            b'3' | b'6' => {
                let [shard, serial, number] = [0, 1, 2].map(|place| packet.json[place].as_u64().unwrap());
                oracle.client_receives(self.id, shard as usize, serial, namespace);
                let id = packet.ack.expect("an acknowledgement has an id");
                let wish = self.awaited.remove(&id).expect("acknowledged once, and only if asked");
                assert_eq!(number, id, "the answer to another question");
                if let Some(Wished { socket, room, join }) = wish {
                    oracle.client_knows(socket, room, join);
                }
            }
            kind => panic!("a server does not send {kind}"),
        }
    }

    /// Answers a question, or not, or twice.
    pub(super) fn answer(
        &mut self,
        oracle: &mut Oracle,
        random: &mut Random,
        namespace: &str,
        socket: SocketId,
        ack: u64,
        serial: u64,
    ) {
        if random.chance(15) {
            return;
        }
        let binary = random.chance(20);
        oracle.answers.entry(serial).or_default().insert(socket);
        for _ in 0..if random.chance(5) { 2 } else { 1 } {
            let (kind, placeholder) =
                if binary { ("61-", ",{\"_placeholder\":true,\"num\":0}") } else { ("3", "") };
            let json = format!("[\"{serial} {socket}\"{placeholder}]");
            self.out.push_back(wire::socket_packet(kind, namespace, Some(ack), &json));
            if binary {
                self.out.push_back(Packet::Binary(serial.to_be_bytes().to_vec()));
            }
        }
    }
}
