//! What a client says, and how it gets it across.

use super::websocket::WebSocket;
use super::{Candidate, Client, Exchange, Fault, Kind, NAMESPACES, NamespaceState, Wished};
use crate::app::WISHED_ROOMS;
use crate::oracle::{Oracle, SocketId, Wish};
use crate::random::Random;
use crate::wire::{self, Packet};
use crate::world::World;

impl Client {
    pub(super) fn talk(&mut self, oracle: &mut Oracle, random: &mut Random) {
        if self.out.len() > 20 || self.fault == Some(Fault::Idle) {
            return;
        }
        let is_first = self.namespaces.values().all(|state| matches!(state, NamespaceState::Out));
        if !is_first && random.chance(70) {
            return;
        }
        let namespace = NAMESPACES[random.below(NAMESPACES.len())];
        match self.namespaces[namespace] {
            NamespaceState::Out => {
                // The first must be let in, or the session ends for having joined nothing.
                let wants = if is_first { ["accept", "later"] } else { ["no", "nobody"] };
                let wants = if random.chance(70) { ["accept", "later"] } else { wants };
                let wants = wants[random.below(2)];
                let json = format!("{{\"client\":{},\"wants\":\"{wants}\"}}", self.id);
                self.out.push_back(wire::socket_packet("0", namespace, None, &json));
                self.namespaces.insert(namespace, NamespaceState::Connecting);
            }
            NamespaceState::Connecting => {}
            NamespaceState::In(socket) => match random.below(40) {
                0 => {
                    oracle.client_leaves(socket);
                    self.out.push_back(wire::socket_packet("1", namespace, None, ""));
                    self.namespaces.insert(namespace, NamespaceState::Out);
                }
                1..=9 => self.wish(oracle, random, namespace, socket),
                _ => self.send_event(oracle, random, namespace, socket),
            },
        }
    }

    pub(super) fn wish(
        &mut self,
        oracle: &mut Oracle,
        random: &mut Random,
        namespace: &str,
        socket: SocketId,
    ) {
        let room = WISHED_ROOMS[random.below(WISHED_ROOMS.len())];
        let join = match oracle.wish(socket, room) {
            None => true,
            Some(Wish::In(_)) => false,
            Some(Wish::Joining | Wish::Leaving) => return,
        };
        oracle.client_wishes(socket, room, join);
        let number = self.number(oracle, socket);
        self.awaited.insert(number, Some(Wished { socket, room, join }));
        let json = format!("[\"{}\",{number},\"{room}\"]", if join { "join" } else { "leave" });
        self.out.push_back(wire::socket_packet("2", namespace, Some(number), &json));
    }

    pub(super) fn send_event(
        &mut self,
        oracle: &mut Oracle,
        random: &mut Random,
        namespace: &str,
        socket: SocketId,
    ) {
        let number = self.number(oracle, socket);
        let ack = random.chance(30).then_some(number);
        if ack.is_some() {
            self.awaited.insert(number, None);
        }
        let most = if random.chance(10) { 300 } else { 20 };
        let filler = "y".repeat(random.below(most));
        if random.chance(15) {
            let json = format!("[\"m\",{number},{{\"_placeholder\":true,\"num\":0}},\"{filler}\"]");
            self.out.push_back(wire::socket_packet("51-", namespace, ack, &json));
            self.out.push_back(Packet::Binary(number.to_be_bytes().to_vec()));
        } else {
            let json = format!("[\"m\",{number},\"{filler}\"]");
            self.out.push_back(wire::socket_packet("2", namespace, ack, &json));
        }
    }

    pub(super) fn number(&mut self, oracle: &mut Oracle, socket: SocketId) -> u64 {
        self.next_number += 1;
        oracle.client_sends(socket, self.next_number);
        self.next_number
    }

    // Writing.

    pub(super) fn target(&self, transport: &str) -> String {
        let session = self.sid.as_ref().map(|sid| format!("&sid={sid}")).unwrap_or_default();
        format!("/socket.io/?EIO=4&transport={transport}&c={}&x=1{session}", self.id)
    }

    pub(super) fn exchange(
        &self,
        world: &mut World,
        oracle: &mut Oracle,
        random: &mut Random,
        bytes: &[u8],
        expected: u16,
    ) -> Option<Exchange> {
        let stream = world.stream_for_request(random);
        let method = String::from_utf8_lossy(&bytes[..4]);
        oracle.note(|| format!("client {} sends {method} on stream {stream}", self.id));
        world.send(stream, bytes);
        Some(Exchange { stream, input: Vec::new(), expected })
    }

    pub(super) fn write(&mut self, world: &mut World, oracle: &mut Oracle, random: &mut Random) -> bool {
        if let Some(websocket) = &mut self.websocket {
            let is_ready = websocket.is_switched && !self.out.is_empty();
            while websocket.is_switched
                && let Some(packet) = self.out.pop_front()
            {
                websocket.send(world, random, &packet);
                // What is half said is not interrupted.
                let goes_on = matches!(self.out.front(), Some(Packet::Binary(_)));
                if !goes_on && random.chance(30) {
                    break;
                }
            }
            return is_ready;
        }
        if self.sid.is_none() {
            return self.begin(world, oracle, random);
        }
        let is_pausing = self.candidate.as_ref().is_some_and(|candidate| candidate.is_confirmed);
        let mut busy = false;
        if self.get.is_none() && !is_pausing && random.chance(70) {
            let request = wire::request("GET", &self.target("polling"), None);
            self.get = self.exchange(world, oracle, random, &request, 200);
            busy = true;
        }
        if self.post.is_none() && !is_pausing && !self.out.is_empty() {
            self.post(world, oracle, random);
            busy = true;
        }
        if self.kind == Kind::Upgrading && self.candidate.is_none() && random.chance(3) && !oracle.is_quiet {
            let stream = world.connect(random);
            world.send(stream, &wire::upgrade_request(&self.target("websocket")));
            let give_up_at = world.now + world.options.upgrade_timeout / 2;
            let websocket = WebSocket::new(stream);
            self.candidate = Some(Candidate { websocket, is_confirmed: false, give_up_at });
            busy = true;
        }
        busy
    }

    pub(super) fn begin(&mut self, world: &mut World, oracle: &mut Oracle, random: &mut Random) -> bool {
        if self.get.is_some() {
            return false;
        }
        match self.kind {
            Kind::WebSocket => {
                let stream = world.connect(random);
                world.send(stream, &wire::upgrade_request(&self.target("websocket")));
                self.websocket = Some(WebSocket::new(stream));
            }
            Kind::Polling | Kind::Upgrading => {
                let request = wire::request("GET", &self.target("polling"), None);
                self.get = self.exchange(world, oracle, random, &request, 200);
            }
        }
        true
    }

    /// As many packets as a body may hold, in one of the ways a body may come.
    pub(super) fn post(&mut self, world: &mut World, oracle: &mut Oracle, random: &mut Random) {
        let most = world.options.max_payload as usize;
        let (mut packets, mut bytes) = (Vec::new(), 0);
        while let Some(packet) = self.out.pop_front_if(|packet| bytes + packet.bytes() < most) {
            bytes += packet.bytes() + 1;
            packets.push(packet);
            if random.chance(10) {
                break;
            }
        }
        let body = wire::poll_body(&packets);
        let target = self.target("polling");
        let request = if random.chance(20) {
            wire::chunked_request(&target, &body, random.between(1, 50))
        } else {
            wire::request("POST", &target, Some(&body))
        };
        self.post = self.exchange(world, oracle, random, &request, 200);
    }
}
