//! What a client should not do.

use super::{Client, Fault};
use crate::oracle::Oracle;
use crate::random::Random;
use crate::wire::{self, Packet};
use crate::world::World;
use tidegate_core::shard::StreamEnd;

impl Client {
    pub(super) fn misbehave(&mut self, world: &mut World, oracle: &mut Oracle, random: &mut Random) {
        if self.stray.is_none() && random.below(400) == 0 {
            self.ask_nonsense(world, oracle, random);
        }
        if random.below(1500) != 0 {
            return;
        }
        match random.below(9) {
            0 => {
                oracle.excuse(self.id, "vanished");
                oracle.client_over(self.id, "vanishes");
                self.leave(world, StreamEnd::Eof);
            }
            1 => {
                oracle.excuse(self.id, "broke");
                oracle.client_over(self.id, "breaks");
                self.leave(world, StreamEnd::Error);
            }
            2 => {
                oracle.excuse(self.id, "mute");
                self.fault = Some(Fault::Mute);
            }
            3 => {
                oracle.excuse(self.id, "frozen");
                self.fault = Some(Fault::Frozen);
            }
            4 => {
                oracle.excuse(self.id, "stalled");
                self.stalled_until = Some(world.now + std::time::Duration::from_millis(100));
            }
            5 if self.websocket.is_some() || self.post.is_none() => {
                oracle.excuse(self.id, "talks nonsense");
                let nonsense = ["4", "2", "4{", "x", "42[\"m\"]", "1", "451-[\"m\"]", "40[]", "43", ""];
                self.out.push_back(Packet::Text(nonsense[random.below(nonsense.len())].to_owned()));
            }
            6 if self.sid.is_none() => {
                oracle.excuse(self.id, "idle");
                self.fault = Some(Fault::Idle);
            }
            7 if self.websocket.is_some() => {
                oracle.excuse(self.id, "sends broken frames");
                let websocket = self.websocket.as_ref().expect("it was there");
                let bytes: Vec<u8> = (0..random.between(1, 20)).map(|_| random.below(256) as u8).collect();
                world.send(websocket.stream, &bytes);
            }
            8 if self.get.is_some() && self.sid.is_some() && self.websocket.is_none() => {
                oracle.excuse(self.id, "polls twice");
                let request = wire::request("GET", &self.target("polling"), None);
                let stream = world.connect(random);
                world.send(stream, &request);
                // Whichever poll gets what comes: nobody reads it any more.
                oracle.client_over(self.id, "does not know which answer to believe");
                self.fault = Some(Fault::Frozen);
            }
            _ => {}
        }
    }

    /// A request that is refused without harm.
    pub(super) fn ask_nonsense(&mut self, world: &mut World, oracle: &mut Oracle, random: &mut Random) {
        let target = self.target("polling");
        let (request, expected) = match random.below(7) {
            0 => (wire::request("GET", "/nowhere", None), 404),
            1 => (wire::request("GET", "/socket.io/?EIO=4&transport=polling&sid=abc", None), 400),
            2 => (wire::request("POST", "/socket.io/?EIO=4&transport=polling&sid=abc", Some(b"4hello")), 400),
            3 => (wire::request("GET", "/socket.io/?EIO=4&transport=foo", Some(b"body")), 400),
            4 => (wire::chunked_request("/socket.io/?EIO=4&transport=polling&sid=abc", &[b'x'; 300], 7), 400),
            5 if self.sid.is_some() && self.websocket.is_none() && self.candidate.is_none() => {
                (wire::request("PUT", &target, None), 500)
            }
            // The session survives a body that is too large.
            6 if self.sid.is_some() && self.websocket.is_none() && self.post.is_none() => {
                let body = vec![b'4'; world.options.max_payload as usize + 1];
                let request = if random.chance(50) {
                    wire::request("POST", &target, Some(&body))
                } else {
                    wire::chunked_request(&target, &body, 400)
                };
                self.post = self.exchange(world, oracle, random, &request, 413);
                return;
            }
            _ => return,
        };
        self.stray = self.exchange(world, oracle, random, &request, expected);
    }
}
