//! Echo: what is sent must come back as it was. Each client keeps a number of messages under way (closed loop), or the
//! clients take turns at a steady rate (open loop).

use super::{Clients, Link, Plan, Scenario};
use crate::clock::Nanos;
use crate::payload::Payload;
use crate::schedule::Schedule;
use crate::stats::Stats;
use crate::wire::{packet, push_decimal};
use smallvec::SmallVec;

/// What the clients send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EchoSettings {
    /// Characters of the one string argument.
    pub(crate) payload_bytes: usize,
    /// Messages under way per client.
    pub(crate) in_flight: usize,
    /// Messages of this worker per second; the loop is then open, and latency counts from the time one was due.
    pub(crate) rate: Option<f64>,
    /// No Socket.IO: the payload alone is the message, and comes back in order.
    pub(crate) bare: bool,
}

/// The scenario of `echo`.
pub(crate) struct Echo {
    settings: EchoSettings,
    payload: Payload,
    plan: Option<Plan>,
    schedule: Option<Schedule>,
    /// Messages that were due so far, in an open loop.
    due: u64,
    clients: Vec<Sender>,
    outstanding: u64,
    /// Scratch: the packet to send, and the arguments an answer should have.
    text: Vec<u8>,
    expected: Vec<u8>,
}

/// One client's messages under way. Ids and sequence numbers are the same thing.
#[derive(Default)]
struct Sender {
    next: u64,
    sent: SmallVec<[Sent; 1]>,
}

#[derive(Clone, Copy)]
struct Sent {
    id: u64,
    at: Nanos,
}

impl Echo {
    /// For a worker with `clients` clients.
    pub(crate) fn new(settings: EchoSettings, clients: usize) -> Self {
        Self {
            settings,
            payload: Payload::new(settings.payload_bytes),
            plan: None,
            schedule: None,
            due: 0,
            clients: std::iter::repeat_with(Sender::default).take(clients).collect(),
            outstanding: 0,
            text: Vec::new(),
            expected: Vec::new(),
        }
    }

    /// Leaves the next message of a client in `self.text`.
    fn next_message(&mut self, position: usize, number: u32, now: Nanos) {
        let sender = &mut self.clients[position];
        let id = sender.next;
        sender.next += 1;
        sender.sent.push(Sent { id, at: now });
        self.outstanding += 1;
        self.text.clear();
        if self.settings.bare {
            self.payload.write(number, id, &mut self.text);
            return;
        }
        self.text.extend_from_slice(b"42");
        push_decimal(id, &mut self.text);
        self.text.extend_from_slice(b"[\"echo\",\"");
        self.payload.write(number, id, &mut self.text);
        self.text.extend_from_slice(b"\"]");
    }

    /// The message a packet answers, and whether the content is what was sent. `None` if there is no such message.
    fn take_answer(&mut self, position: usize, number: u32, packet: &[u8]) -> Option<(Sent, bool)> {
        let sent = &mut self.clients[position].sent;
        let (at, content) = if self.settings.bare {
            ((!sent.is_empty()).then_some(0)?, packet)
        } else {
            let (id, arguments) = packet::ack(packet)?;
            (sent.iter().position(|sent| sent.id == id)?, arguments)
        };
        let answered = sent.remove(at);
        self.outstanding -= 1;
        self.expected.clear();
        if self.settings.bare {
            self.payload.write(number, answered.id, &mut self.expected);
            return Some((answered, content == self.expected));
        }
        self.expected.extend_from_slice(b"[\"");
        self.payload.write(number, answered.id, &mut self.expected);
        self.expected.extend_from_slice(b"\"]");
        Some((answered, content == self.expected || is_same_json(content, &self.expected)))
    }
}

impl Scenario for Echo {
    fn start(&mut self, plan: Plan, clients: &mut Clients<'_>) {
        self.plan = Some(plan);
        self.schedule = self.settings.rate.map(|rate| Schedule::new(plan.start, rate));
        if self.schedule.is_some() {
            return;
        }
        let joined: Vec<usize> = clients.joined().collect();
        for position in joined {
            for _ in 0..self.settings.in_flight {
                let Some(number) = clients.number(position) else { break };
                self.next_message(position, number, crate::clock::now());
                clients.emit(position, &self.text);
            }
        }
    }

    fn handle_packet(&mut self, packet: &[u8], link: &mut Link<'_>, now: Nanos, stats: &mut Stats) {
        let Some(plan) = self.plan else { return };
        let Some((answered, same)) = self.take_answer(link.position, link.client.number, packet) else {
            stats.errors.duplicated += 1;
            return;
        };
        if !same {
            stats.errors.mismatched += 1;
        }
        if plan.measures(now) {
            stats.messages += 1;
            stats.latency.saturating_record(now.saturating_sub(answered.at));
        }
        if now < plan.end && self.schedule.is_none() {
            self.next_message(link.position, link.client.number, now);
            link.emit(&self.text);
        }
    }

    fn turn(&mut self, clients: &mut Clients<'_>, now: Nanos) -> Option<Nanos> {
        let (plan, schedule) = (self.plan?, self.schedule?);
        let count = u64::try_from(self.clients.len()).expect("fewer than 2^64");
        if count == 0 || now >= plan.end {
            return None;
        }
        loop {
            let due = schedule.time_of(self.due);
            if due > now {
                return Some(due);
            }
            let position = usize::try_from(self.due % count).expect("a position in a Vec");
            self.due += 1;
            // One that is gone misses its turn.
            if let Some(number) = clients.number(position) {
                self.next_message(position, number, due);
                clients.emit(position, &self.text);
            }
        }
    }

    /// What was under way to a lost client stays outstanding: it is lost.
    fn handle_lost(&mut self, _client: usize) {}

    fn outstanding(&self) -> u64 {
        self.outstanding
    }
}

/// The slow way round: a server may write the same value with other blanks and escapes.
fn is_same_json(a: &[u8], b: &[u8]) -> bool {
    let value = |text| serde_json::from_slice::<serde_json::Value>(text).ok();
    value(a).is_some_and(|a| value(b) == Some(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(bare: bool) -> Echo {
        let mut echo = Echo::new(EchoSettings { payload_bytes: 18, in_flight: 2, rate: None, bare }, 1);
        echo.next_message(0, 3, 10);
        echo
    }

    fn answer(echo: &mut Echo, packet: &[u8]) -> Option<(u64, bool)> {
        echo.take_answer(0, 3, packet).map(|(sent, same)| (sent.id, same))
    }

    #[test]
    fn an_answer_is_taken_once_and_in_any_spelling() {
        let mut echo = echo(false);
        echo.next_message(0, 3, 20);
        assert_eq!(echo.text, br#"421["echo","0000030000000001qr"]"#);
        assert_eq!(answer(&mut echo, br#"31["0000030000000001qr"]"#), Some((1, true)));
        assert_eq!(answer(&mut echo, br#"31["0000030000000001qr"]"#), None);
        assert_eq!(answer(&mut echo, br#"30[ "\u0030000030000000000qr" ]"#), Some((0, true)));
        assert_eq!(echo.outstanding(), 0);
    }

    #[test]
    fn another_messages_content_is_a_mismatch() {
        assert_eq!(answer(&mut echo(false), br#"30["0000030000000001qr"]"#), Some((0, false)));
        assert_eq!(answer(&mut echo(false), br#"30[]"#), Some((0, false)));
    }

    #[test]
    fn a_bare_echo_is_matched_in_order() {
        let mut echo = echo(true);
        assert_eq!(echo.text, b"0000030000000000qr");
        assert_eq!(answer(&mut echo, b"0000030000000000qr"), Some((0, true)));
        assert_eq!(answer(&mut echo, b"0000030000000000qr"), None);
    }

    #[test]
    fn what_never_comes_is_lost() {
        let (echo, mut stats) = (&mut echo(false), Stats::new());
        echo.finish(&mut stats);
        assert_eq!(stats.errors.lost, 1);
    }
}
