//! Broadcast: the first client of the run emits `broadcast`, and every client must receive `news`, once, in order.

use super::{Clients, Link, Plan, Scenario};
use crate::clock::Nanos;
use crate::schedule::Schedule;
use crate::stats::Stats;
use crate::wire::{packet, push_decimal, take_decimal};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is sent, and when.
#[derive(Clone, Debug)]
pub(crate) struct BroadcastSettings {
    /// Characters of the arguments `sequence,timestamp,"padding"`. At least the padding's quotes are sent.
    pub(crate) payload_bytes: usize,
    /// Broadcasts under way in a closed loop.
    pub(crate) in_flight: usize,
    /// Broadcasts per second; the loop is then open, and latency counts from the time one was due.
    pub(crate) rate: Option<f64>,
    /// Broadcasts sent so far, in the whole run. Only the sender's worker writes it.
    pub(crate) sent: Arc<AtomicU64>,
}

/// The scenario of `broadcast`.
pub(crate) struct Broadcast {
    settings: BroadcastSettings,
    padding: Vec<u8>,
    plan: Option<Plan>,
    schedule: Option<Schedule>,
    /// Position of the sender, on the one worker that has it.
    sender: Option<usize>,
    /// The next sequence number each client must receive. `None` for a client that is not there.
    expected: Vec<Option<u64>>,
    /// For each broadcast under way, how many clients of this worker have it. The closed loop turns on these:
    /// with several workers it follows the sender's.
    under_way: VecDeque<u64>,
    received: u64,
    subscribers: u64,
    text: Vec<u8>,
}

impl Broadcast {
    /// For a worker with `clients` clients; `sends` on the worker that has the run's first.
    pub(crate) fn new(settings: BroadcastSettings, clients: usize, sends: bool) -> Self {
        Self {
            // Sequence and timestamp grow while it runs; this many digits and commas are about right.
            padding: (b'a'..=b'z').cycle().take(settings.payload_bytes.saturating_sub(24)).collect(),
            settings,
            plan: None,
            schedule: None,
            sender: sends.then_some(0),
            expected: vec![None; clients],
            under_way: VecDeque::new(),
            received: 0,
            subscribers: 0,
            text: Vec::new(),
        }
    }

    fn sent(&self) -> u64 {
        self.settings.sent.load(Ordering::Relaxed)
    }

    /// When the next broadcast is due; `None` while the closed loop waits for answers.
    fn next_due(&self, now: Nanos) -> Option<Nanos> {
        match &self.schedule {
            Some(schedule) => Some(schedule.time_of(self.sent())),
            None => (self.under_way.len() < self.settings.in_flight).then_some(now),
        }
    }

    fn send(&mut self, sender: usize, due: Nanos, clients: &mut Clients<'_>) {
        self.text.clear();
        self.text.extend_from_slice(b"42[\"broadcast\",");
        push_decimal(self.sent(), &mut self.text);
        self.text.push(b',');
        push_decimal(due, &mut self.text);
        self.text.extend_from_slice(b",\"");
        self.text.extend_from_slice(&self.padding);
        self.text.extend_from_slice(b"\"]");
        self.under_way.push_back(0);
        self.settings.sent.fetch_add(1, Ordering::Relaxed);
        clients.emit(sender, &self.text);
    }

    /// Takes one packet of a client.
    fn receive(&mut self, position: usize, packet: &[u8], now: Nanos, stats: &mut Stats) {
        let expected = match self.expected[position] {
            Some(next) => next,
            // Another worker has started already, and its first broadcasts are here before our own start.
            None if self.plan.is_none() => 0,
            None => return,
        };
        let Some((sequence, due, intact)) = self.parse(packet) else {
            stats.errors.mismatched += 1;
            return;
        };
        if sequence < expected {
            stats.errors.duplicated += 1;
            return;
        }
        // A gap on an ordered connection: what is missing will not come.
        stats.errors.lost += sequence - expected;
        self.received += sequence - expected;
        self.expected[position] = Some(sequence + 1);
        if !intact {
            stats.errors.mismatched += 1;
        }
        if self.plan.is_some_and(|plan| plan.measures(now)) {
            stats.messages += 1;
            stats.latency.saturating_record(now.saturating_sub(due));
        }
        self.delivered(sequence);
    }

    /// Counts a delivery.
    fn delivered(&mut self, sequence: u64) {
        self.received += 1;
        if self.sender.is_none() {
            return;
        }
        let oldest = self.sent() - self.under_way.len() as u64;
        let place = sequence.checked_sub(oldest).and_then(|place| usize::try_from(place).ok());
        if let Some(count) = place.and_then(|place| self.under_way.get_mut(place)) {
            *count += 1;
        }
        self.let_go();
    }

    /// Forgets the broadcasts that everyone has.
    fn let_go(&mut self) {
        while self.under_way.front().is_some_and(|count| *count >= self.subscribers) {
            self.under_way.pop_front();
        }
    }

    /// Sequence number and timestamp of a `news` packet, and whether the padding is intact.
    fn parse(&self, packet: &[u8]) -> Option<(u64, Nanos, bool)> {
        let (sequence, rest) = take_decimal(packet::event(packet, "news")?)?;
        let (due, rest) = take_decimal(rest.strip_prefix(b",")?)?;
        let padding = rest.strip_prefix(b",\"").and_then(|rest| rest.strip_suffix(b"\"]"));
        Some((sequence, due, padding == Some(self.padding.as_slice())))
    }
}

impl Scenario for Broadcast {
    fn start(&mut self, plan: Plan, clients: &mut Clients<'_>) {
        self.plan = Some(plan);
        self.schedule = self.settings.rate.map(|rate| Schedule::new(plan.start, rate));
        for position in clients.joined() {
            self.expected[position].get_or_insert(0);
            self.subscribers += 1;
        }
    }

    fn handle_packet(&mut self, packet: &[u8], link: &mut Link<'_>, now: Nanos, stats: &mut Stats) {
        self.receive(link.position, packet, now, stats);
    }

    fn turn(&mut self, clients: &mut Clients<'_>, now: Nanos) -> Option<Nanos> {
        let (sender, plan) = (self.sender?, self.plan?);
        if now >= plan.end {
            return None;
        }
        while let Some(due) = self.next_due(now) {
            if due > now {
                return Some(due);
            }
            self.send(sender, due, clients);
        }
        None
    }

    fn handle_lost(&mut self, client: usize) {
        if let Some(next) = self.expected[client].take() {
            self.subscribers -= 1;
            self.received -= next;
            if self.sender == Some(client) {
                self.sender = None;
            }
            self.let_go();
        }
    }

    fn outstanding(&self) -> u64 {
        (self.sent() * self.subscribers).saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broadcast() -> Broadcast {
        let settings =
            BroadcastSettings { payload_bytes: 26, in_flight: 1, rate: None, sent: Arc::default() };
        Broadcast::new(settings, 2, true)
    }

    #[test]
    fn news_gives_its_number_and_time_and_shows_damage() {
        let broadcast = broadcast();
        assert_eq!(broadcast.parse(br#"2["news",7,1234,"ab"]"#), Some((7, 1234, true)));
        assert_eq!(broadcast.parse(br#"2["news",7,1234,"aX"]"#), Some((7, 1234, false)));
        assert_eq!(broadcast.parse(br#"2["olds",7,1234,"ab"]"#), None);
    }

    #[test]
    fn what_another_worker_sends_before_our_start_is_not_lost() {
        let (mut broadcast, mut stats) = (broadcast(), Stats::new());
        for sequence in 0..2 {
            broadcast.receive(1, format!(r#"2["news",{sequence},5,"ab"]"#).as_bytes(), 9, &mut stats);
        }
        assert_eq!((stats.errors.total(), broadcast.received, broadcast.expected[1]), (0, 2, Some(2)));
    }

    #[test]
    fn the_closed_loop_waits_until_everyone_has_the_oldest() {
        let mut broadcast = broadcast();
        broadcast.subscribers = 2;
        assert_eq!(broadcast.next_due(5), Some(5));
        broadcast.under_way.push_back(0);
        broadcast.settings.sent.store(1, Ordering::Relaxed);
        assert_eq!(broadcast.next_due(5), None);
        broadcast.delivered(0);
        assert_eq!((broadcast.next_due(5), broadcast.outstanding()), (None, 1));
        broadcast.delivered(0);
        assert_eq!((broadcast.next_due(5), broadcast.outstanding()), (Some(5), 0));
    }
}
