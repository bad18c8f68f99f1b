//! Echo: what each client sends must come back as it was. In a closed loop each client keeps a number of messages
//! under way; in an open loop messages are due at times that no answer can move.

use super::{BATCH_MAX, Clients, Fault, Link, Plan, Scenario, Share};
use crate::clock::{self, Nanos};
use crate::payload::Payload;
use crate::schedule::{Schedule, share};
use crate::stats::Stats;
use crate::wire::packet::{self, Packet};
use crate::wire::push_decimal;
use std::collections::VecDeque;

/// What the clients send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EchoSettings {
    /// Characters of the one string argument.
    pub(crate) payload_bytes: usize,
    /// Messages under way per client, in a closed loop.
    pub(crate) in_flight: usize,
    /// Messages per second of the whole run; the loop is then open.
    pub(crate) rate: Option<f64>,
    /// No Socket.IO: the payload alone is the message, and comes back in order.
    pub(crate) bare: bool,
}

/// The scenario of `echo`.
pub(crate) struct Echo {
    settings: EchoSettings,
    share: Share,
    payload: Payload,
    plan: Option<Plan>,
    schedule: Option<Schedule>,
    /// Messages sent by the schedule.
    scheduled: u64,
    /// Positions that take turns in an open loop.
    turns: Vec<usize>,
    clients: Vec<Sender>,
    outstanding: u64,
    /// Scratch: the packet to send, and the arguments an answer should have.
    text: Vec<u8>,
    expected: Vec<u8>,
}

/// One client's messages under way, oldest first. Ids and sequence numbers are the same thing.
#[derive(Default)]
struct Sender {
    next: u64,
    /// All ids that have been answered are below this one.
    answered: u64,
    sent: VecDeque<Sent>,
}

#[derive(Clone, Copy)]
struct Sent {
    id: u64,
    /// When it was sent, or should have been.
    due: Nanos,
}

/// An answer to a message of ours.
struct Answer {
    sent: Sent,
    /// It has the content that was sent.
    intact: bool,
    /// No later message was answered before.
    in_order: bool,
}

impl Echo {
    /// For a worker with this share of the clients.
    pub(crate) fn new(settings: EchoSettings, share: Share) -> Self {
        Self {
            settings,
            share,
            payload: Payload::new(settings.payload_bytes),
            plan: None,
            schedule: None,
            scheduled: 0,
            turns: Vec::new(),
            clients: std::iter::repeat_with(Sender::default).take(share.clients as usize).collect(),
            outstanding: 0,
            text: Vec::new(),
            expected: Vec::new(),
        }
    }

    /// Leaves the next message of a client in `self.text`.
    fn next_message(&mut self, position: usize, number: u32, due: Nanos) {
        let sender = &mut self.clients[position];
        let id = sender.next;
        sender.next += 1;
        sender.sent.push_back(Sent { id, due });
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

    /// The message a packet answers. `None` if there is no such message.
    fn take_answer(&mut self, position: usize, number: u32, packet: Packet<'_>) -> Option<Answer> {
        let waiting = &mut self.clients[position].sent;
        let (at, content) = if self.settings.bare {
            (0, packet.body)
        } else {
            let (id, arguments) = packet::ack(packet)?;
            // Almost always the oldest; the others are in the order of their ids.
            let oldest = waiting.front().is_some_and(|sent| sent.id == id).then_some(0);
            (oldest.or_else(|| waiting.binary_search_by_key(&id, |sent| sent.id).ok())?, arguments)
        };
        let sent = waiting.remove(at)?;
        let in_order = sent.id >= self.clients[position].answered;
        self.clients[position].answered = self.clients[position].answered.max(sent.id + 1);
        self.outstanding -= 1;
        self.expected.clear();
        let quoted = !self.settings.bare;
        self.expected.extend_from_slice(if quoted { b"[\"" } else { b"" });
        self.payload.write(number, sent.id, &mut self.expected);
        self.expected.extend_from_slice(if quoted { b"\"]" } else { b"" });
        let intact = content == self.expected || quoted && is_same_json(content, &self.expected);
        Some(Answer { sent, intact, in_order })
    }

    /// Whether a message counts: an open loop asks when it was due, so that a stall at the end is seen whole.
    fn measures(&self, plan: Plan, due: Nanos, now: Nanos) -> bool {
        plan.measures(if self.schedule.is_some() { due } else { now })
    }
}

impl Scenario for Echo {
    fn start(&mut self, plan: Plan, clients: &mut Clients<'_>) {
        self.plan = Some(plan);
        self.turns = clients.joined().collect();
        if let Some(rate) = self.settings.rate {
            let rate = share(rate, self.share.clients, self.share.of);
            self.schedule = (rate > 0.0).then(|| Schedule::new(plan.start, rate));
            return;
        }
        for turn in 0..self.turns.len() {
            let position = self.turns[turn];
            for _ in 0..self.settings.in_flight {
                let Some(number) = clients.number(position) else { break };
                self.next_message(position, number, clock::now());
                clients.emit(position, &self.text);
            }
        }
    }

    fn handle_packet(&mut self, packet: Packet<'_>, link: &mut Link<'_>, now: Nanos, stats: &mut Stats) {
        let Some(plan) = self.plan else { return };
        // An event is no answer: the application's own, or the news of another part of a mix.
        if packet.kind == b'2' {
            return;
        }
        let number = link.client.number;
        let Some(answer) = self.take_answer(link.position, number, packet) else {
            stats.errors.duplicated += 1;
            return;
        };
        stats.errors.reordered += u64::from(!answer.in_order);
        if !answer.intact {
            stats.mismatched(number, packet);
        }
        let due = answer.sent.due;
        stats.delivered(now.saturating_sub(due), self.measures(plan, due, now));
        if self.settings.rate.is_none() && now < plan.end {
            self.next_message(link.position, number, now);
            link.emit(&self.text);
        }
    }

    fn turn(&mut self, clients: &mut Clients<'_>, now: Nanos, stats: &mut Stats) -> Option<Nanos> {
        let (schedule, plan) = (self.schedule?, self.plan?);
        for _ in 0..BATCH_MAX {
            let due = schedule.time_of(self.scheduled);
            if due >= plan.end || self.turns.is_empty() {
                return None;
            }
            if due > now {
                return Some(due);
            }
            let turn = usize::try_from(self.scheduled % self.turns.len() as u64).expect("below a usize");
            self.scheduled += 1;
            let position = self.turns[turn];
            // What a client that is gone would have sent is not sent: the disconnect has been counted.
            let Some(number) = clients.number(position) else { continue };
            if plan.measures(due) {
                stats.late.saturating_record(now - due);
            }
            self.next_message(position, number, due);
            clients.emit(position, &self.text);
        }
        Some(now)
    }

    /// What was under way to a lost client is lost with it.
    fn handle_lost(&mut self, client: usize, _joined: bool, _now: Nanos, stats: &mut Stats) -> Fault {
        let lost = std::mem::take(&mut self.clients[client].sent).len() as u64;
        self.outstanding -= lost;
        stats.errors.lost += lost;
        Fault::Error
    }

    fn cut_short(&mut self, now: Nanos) {
        if let Some(plan) = &mut self.plan {
            plan.cut_short(now);
        }
    }

    fn unsent(&self) -> u64 {
        match (self.schedule, self.plan) {
            (Some(schedule), Some(plan)) if !self.turns.is_empty() => {
                schedule.count_before(plan.end).saturating_sub(self.scheduled)
            }
            _ => 0,
        }
    }

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
        let settings = EchoSettings { payload_bytes: 18, in_flight: 2, rate: None, bare };
        let mut echo = Echo::new(settings, Share { first: 3, clients: 1, of: 4 });
        echo.next_message(0, 3, 10);
        echo
    }

    fn take(echo: &mut Echo, packet: &[u8]) -> Option<Answer> {
        let packet =
            if echo.settings.bare { Packet::bare(packet) } else { Packet::decode(packet, b"").unwrap() };
        echo.take_answer(0, 3, packet)
    }

    fn answer(echo: &mut Echo, packet: &[u8]) -> Option<(u64, bool)> {
        take(echo, packet).map(|answer| (answer.sent.id, answer.intact))
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
    fn an_answer_after_that_of_a_later_message_is_out_of_order() {
        let mut echo = echo(false);
        echo.next_message(0, 3, 20);
        assert!(take(&mut echo, br#"31["0000030000000001qr"]"#).unwrap().in_order);
        assert!(!take(&mut echo, br#"30["0000030000000000qr"]"#).unwrap().in_order);
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
    fn what_is_due_and_not_sent_is_counted() {
        let mut echo = echo(false);
        echo.plan = Some(Plan { start: 0, measure_from: 0, end: 1_000 });
        (echo.schedule, echo.turns, echo.scheduled) = (Some(Schedule::new(0, 1e9)), vec![0], 990);
        assert_eq!(echo.unsent(), 10);
        echo.cut_short(993);
        assert_eq!(echo.unsent(), 3);
    }

    #[test]
    fn what_was_under_way_to_a_lost_client_is_lost_at_once() {
        let (echo, mut stats) = (&mut echo(false), Stats::new());
        echo.handle_lost(0, true, 0, &mut stats);
        assert_eq!((stats.errors.lost, echo.outstanding()), (1, 0));
    }

    #[test]
    fn what_never_comes_is_lost() {
        let (echo, mut stats) = (&mut echo(false), Stats::new());
        echo.finish(&mut stats);
        assert_eq!(stats.errors.lost, 1);
    }
}
