//! One message to many: `broadcast` to everyone, `room` to the members of a room, and `slow`, which is a broadcast
//! to clients of which some stop reading.
//!
//! A *stream* is the messages of one sender, numbered from 0. Every receiver must have each of its stream's messages
//! once, in order, and whole.

use super::audience::{Audience, FanoutSettings};
use super::tracker::{Arrival, Tracker};
use super::{BATCH_MAX, Clients, Fault, Link, Plan, Scenario, Share};
use crate::clock::Nanos;
use crate::schedule::Schedule;
use crate::stats::Stats;
use crate::wire::packet::{self, Packet};
use crate::wire::{push_decimal, take_decimal};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// The scenario.
pub(crate) struct Fanout {
    settings: FanoutSettings,
    share: Share,
    padding: Vec<u8>,
    plan: Option<Plan>,
    /// Which streams are sent from here, in order.
    own: Vec<OwnStream>,
    /// Where a stream is in `own`.
    own_place: Vec<Option<usize>>,
    /// When messages are due: this one's number over all streams, and the place in `own` of the next to send.
    schedule: Option<Schedule>,
    cursor: (u64, usize),
    /// Places in `own` that may send, in a closed loop.
    ready: VecDeque<usize>,
    members: Vec<Member>,
    /// Each member's state of the streams it receives, one or all.
    trackers: Vec<Tracker>,
    /// Members of this worker by stream, and what they have received.
    audience: Vec<Heard>,
    joining: u64,
    stop_reading_at: Option<Nanos>,
    text: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Absent,
    /// Its `join` has not been answered.
    Joining,
    Present,
    /// It stopped reading.
    Slow,
}

/// A stream that is sent from this worker.
struct OwnStream {
    stream: u32,
    /// Position of its sender; `None` when that is gone.
    sender: Option<usize>,
    /// For each message under way, how many members of this worker have it. The closed loop turns on these: with
    /// several workers it follows the sender's.
    under_way: VecDeque<u64>,
}

#[derive(Clone, Copy, Default)]
struct Heard {
    members: u64,
    messages: u64,
}

/// What one message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct News {
    stream: u32,
    number: u64,
    due: Nanos,
    intact: bool,
}

impl Fanout {
    /// For a worker with this share of the clients.
    pub(crate) fn new(settings: FanoutSettings, share: Share) -> Self {
        let streams = settings.streams();
        let here = |number: u32| number.checked_sub(share.first).filter(|position| *position < share.clients);
        let (mut own, mut own_place) = (Vec::new(), vec![None; streams as usize]);
        for stream in 0..streams {
            if let Some(position) = here(settings.sender(stream, share.of)) {
                own_place[stream as usize] = Some(own.len());
                own.push(OwnStream { stream, sender: Some(position as usize), under_way: VecDeque::new() });
            }
        }
        let lanes = if settings.audience == Audience::Everyone { streams as usize } else { 1 };
        let clients = share.clients as usize;
        Self {
            // The numbers grow while it runs; this many digits and commas are about right.
            padding: (b'a'..=b'z').cycle().take(settings.payload_bytes.saturating_sub(24)).collect(),
            plan: None,
            own,
            own_place,
            schedule: None,
            cursor: (0, 0),
            ready: VecDeque::new(),
            members: vec![Member::Absent; clients],
            trackers: vec![Tracker::default(); clients * lanes],
            audience: vec![Heard::default(); streams as usize],
            joining: 0,
            stop_reading_at: None,
            text: Vec::new(),
            settings,
            share,
        }
    }

    /// The streams a member receives, and where its first tracker is.
    fn lanes(&self, position: usize) -> (std::ops::Range<u32>, usize) {
        match self.settings.audience {
            Audience::Everyone => (0..self.settings.streams(), position * self.settings.sent.len()),
            Audience::Rooms => {
                let room = self.room(position);
                (room..room + 1, position)
            }
        }
    }

    fn room(&self, position: usize) -> u32 {
        let position = u32::try_from(position).expect("as many clients as a u32");
        (self.share.first + position) % self.settings.streams()
    }

    fn enter(&mut self, position: usize) {
        self.members[position] = Member::Present;
        for stream in self.lanes(position).0 {
            self.audience[stream as usize].members += 1;
        }
    }

    /// Expects nothing more of a member.
    fn leave(&mut self, position: usize, now: Member) {
        if std::mem::replace(&mut self.members[position], now) != Member::Present {
            return;
        }
        let (streams, first) = self.lanes(position);
        for (lane, stream) in streams.enumerate() {
            let heard = &mut self.audience[stream as usize];
            heard.members -= 1;
            heard.messages -= self.trackers[first + lane].next();
            self.let_go(stream);
        }
    }

    fn write_message(&mut self, stream: u32, number: u64, due: Nanos) {
        self.text.clear();
        match self.settings.audience {
            Audience::Everyone => self.text.extend_from_slice(b"42[\"broadcast\","),
            Audience::Rooms => {
                self.text.extend_from_slice(b"42[\"room\",");
                push_room(stream, &mut self.text);
                self.text.push(b',');
            }
        }
        for value in [u64::from(stream), number, due] {
            push_decimal(value, &mut self.text);
            self.text.push(b',');
        }
        self.text.push(b'"');
        self.text.extend_from_slice(&self.padding);
        self.text.extend_from_slice(b"\"]");
    }

    /// Sends the next message of a stream, if its sender is there.
    fn send(&mut self, place: usize, due: Nanos, clients: &mut Clients<'_>) {
        let OwnStream { stream, sender: Some(sender), .. } = self.own[place] else { return };
        let number = self.settings.sent[stream as usize].fetch_add(1, Ordering::Relaxed);
        self.own[place].under_way.push_back(0);
        self.write_message(stream, number, due);
        clients.emit(sender, &self.text);
    }

    /// Sends what the schedule says, and says when it goes on.
    fn send_scheduled(
        &mut self,
        schedule: Schedule,
        plan: Plan,
        clients: &mut Clients<'_>,
        now: Nanos,
        stats: &mut Stats,
    ) -> Option<Nanos> {
        let streams = u64::from(self.settings.streams());
        for _ in 0..BATCH_MAX {
            let (round, place) = self.cursor;
            let due = schedule.time_of(round * streams + u64::from(self.own.get(place)?.stream));
            if due >= plan.end {
                return None;
            }
            if due > now {
                return Some(due);
            }
            self.cursor = if place + 1 < self.own.len() { (round, place + 1) } else { (round + 1, 0) };
            if plan.measures(due) {
                stats.late.saturating_record(now - due);
            }
            self.send(place, due, clients);
        }
        Some(now)
    }

    /// What a stream's members here have not received of what was sent.
    fn missing(&self, stream: u32, received: u64) -> u64 {
        self.settings.sent[stream as usize].load(Ordering::Relaxed).saturating_sub(received)
    }

    /// Takes one packet of a member.
    fn receive(&mut self, position: usize, packet: Packet<'_>, now: Nanos, stats: &mut Stats) {
        let number_in_run = self.share.first + u32::try_from(position).expect("as many clients as a u32");
        let Some(news) = self.parse(packet) else {
            // The application's own events, and those of another part of a mix, are none of our business.
            if !packet::is_other_event(packet, self.event_name()) {
                stats.mismatched(number_in_run, packet);
            }
            return;
        };
        let (streams, first) = self.lanes(position);
        if !streams.contains(&news.stream) {
            stats.errors.duplicated += 1;
            stats.describe(|| format!("client {number_in_run} received a message of another room"));
            return;
        }
        let tracker = &mut self.trackers[first + (news.stream - streams.start) as usize];
        match tracker.take(news.number) {
            Arrival::Again => {
                stats.errors.duplicated += 1;
                return;
            }
            Arrival::Late => {
                stats.errors.reordered += 1;
                stats.errors.lost -= 1;
            }
            Arrival::New { missing } => {
                stats.errors.lost += missing;
                self.audience[news.stream as usize].messages += missing + 1;
                self.count_delivery(news.stream, news.number);
            }
        }
        if !news.intact {
            stats.mismatched(number_in_run, packet);
        }
        self.record(&news, now, stats);
    }

    fn record(&self, news: &News, now: Nanos, stats: &mut Stats) {
        let latency = now.saturating_sub(news.due);
        // An open loop asks when it was due, so that a stall at the end is seen whole.
        let moment = if self.settings.rate.is_some() { news.due } else { now };
        let measured = self.plan.is_some_and(|plan| plan.measures(moment));
        match self.stop_reading_at {
            Some(at) if measured && moment < at => stats.delivered_before(latency),
            _ => stats.delivered(latency, measured),
        }
    }

    /// Counts a delivery of a stream that is sent from here.
    fn count_delivery(&mut self, stream: u32, number: u64) {
        let Some(place) = self.own_place[stream as usize] else { return };
        let sent = self.settings.sent[stream as usize].load(Ordering::Relaxed);
        let under_way = &mut self.own[place].under_way;
        let oldest = sent - under_way.len() as u64;
        let index = number.checked_sub(oldest).and_then(|index| usize::try_from(index).ok());
        if let Some(count) = index.and_then(|index| under_way.get_mut(index)) {
            *count += 1;
        }
        self.let_go(stream);
    }

    /// Forgets the messages that every member has; in a closed loop as many may follow.
    fn let_go(&mut self, stream: u32) {
        let Some(place) = self.own_place[stream as usize] else { return };
        let members = self.audience[stream as usize].members;
        let under_way = &mut self.own[place].under_way;
        while under_way.front().is_some_and(|count| *count >= members) {
            under_way.pop_front();
            if self.settings.rate.is_none() {
                self.ready.push_back(place);
            }
        }
    }

    fn event_name(&self) -> &'static str {
        if self.settings.audience == Audience::Everyone { "news" } else { "msg" }
    }

    fn parse(&self, packet: Packet<'_>) -> Option<News> {
        let name = self.event_name();
        self.parse_in_place(packet, name).or_else(|| self.parse_any_json(packet, name))
    }

    /// The way servers write it.
    fn parse_in_place(&self, packet: Packet<'_>, name: &str) -> Option<News> {
        let (stream, rest) = take_decimal(packet::event(packet, name)?)?;
        let (number, rest) = take_decimal(rest.strip_prefix(b",")?)?;
        let (due, rest) = take_decimal(rest.strip_prefix(b",")?)?;
        let padding = rest.strip_prefix(b",\"")?.strip_suffix(b"\"]")?;
        Some(News { stream: u32::try_from(stream).ok()?, number, due, intact: padding == self.padding })
    }

    /// The slow way round: with other blanks and escapes.
    fn parse_any_json(&self, packet: Packet<'_>, name: &str) -> Option<News> {
        let json = Some(packet.body).filter(|_| packet.kind == b'2')?;
        let (event, stream, number, due, padding): (String, u32, u64, u64, String) =
            serde_json::from_slice(json).ok()?;
        (event == name).then(|| News { stream, number, due, intact: padding.as_bytes() == self.padding })
    }

    /// Half-way, some stop reading: those with the highest numbers, and never a sender.
    fn make_slow(&mut self, share: f64, clients: &mut Clients<'_>, now: Nanos, stats: &mut Stats) {
        stats.disturbance.began = now;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32")]
        let readers = (f64::from(self.share.of) * (1.0 - share)).floor() as u32;
        for position in 0..self.members.len() {
            let number = self.share.first + u32::try_from(position).expect("as many clients as a u32");
            let sends = self.own.iter().any(|own| own.sender == Some(position));
            if number < readers || sends || self.members[position] != Member::Present {
                continue;
            }
            clients.stop_reading(position);
            self.leave(position, Member::Slow);
            stats.disturbance.clients += 1;
        }
    }
}

impl Scenario for Fanout {
    fn prepare(&mut self, clients: &mut Clients<'_>) {
        let joined: Vec<usize> = clients.joined().collect();
        for position in joined {
            if self.settings.audience == Audience::Everyone {
                self.enter(position);
                continue;
            }
            self.members[position] = Member::Joining;
            self.joining += 1;
            self.text.clear();
            self.text.extend_from_slice(b"420[\"join\",");
            push_room(self.room(position), &mut self.text);
            self.text.push(b']');
            clients.emit(position, &self.text);
        }
    }

    fn start(&mut self, plan: Plan, _clients: &mut Clients<'_>) {
        self.plan = Some(plan);
        self.stop_reading_at =
            self.settings.slow.map(|_| plan.measure_from + (plan.end - plan.measure_from) / 2);
        match self.settings.rate {
            Some(rate) => self.schedule = Some(Schedule::new(plan.start, rate)),
            None => {
                let places = 0..self.own.len();
                self.ready =
                    places.flat_map(|place| std::iter::repeat_n(place, self.settings.in_flight)).collect();
            }
        }
    }

    fn handle_packet(&mut self, packet: Packet<'_>, link: &mut Link<'_>, now: Nanos, stats: &mut Stats) {
        match self.members[link.position] {
            Member::Joining if packet::ack(packet).is_some() => {
                self.joining -= 1;
                self.enter(link.position);
            }
            // Whoever greets its clients may do so before anything has begun.
            Member::Present if self.plan.is_some() || self.parse(packet).is_some() => {
                self.receive(link.position, packet, now, stats);
            }
            _ => {}
        }
    }

    fn turn(&mut self, clients: &mut Clients<'_>, now: Nanos, stats: &mut Stats) -> Option<Nanos> {
        let plan = self.plan?;
        let stop_reading_at = self.stop_reading_at.filter(|_| stats.disturbance.began == 0);
        if let Some(share) = self.settings.slow.filter(|_| stop_reading_at.is_some_and(|at| now >= at)) {
            self.make_slow(share, clients, now, stats);
        }
        let due = match self.schedule {
            Some(schedule) => self.send_scheduled(schedule, plan, clients, now, stats),
            None => {
                while let Some(place) = self.ready.pop_front().filter(|_| now < plan.end) {
                    self.send(place, now, clients);
                }
                None
            }
        };
        match (due, stop_reading_at.filter(|at| *at > now)) {
            (Some(due), Some(at)) => Some(due.min(at)),
            (due, at) => due.or(at),
        }
    }

    fn handle_lost(&mut self, client: usize, joined: bool, _now: Nanos, stats: &mut Stats) -> Fault {
        let was = self.members[client];
        if was == Member::Joining {
            self.joining -= 1;
        }
        if was == Member::Present {
            // What was on its way to it is lost with it.
            let (streams, first) = self.lanes(client);
            let missing = streams.zip(&self.trackers[first..]);
            stats.errors.lost +=
                missing.map(|(stream, tracker)| self.missing(stream, tracker.next())).sum::<u64>();
        }
        self.leave(client, Member::Absent);
        for own in &mut self.own {
            own.sender = own.sender.filter(|sender| *sender != client);
        }
        if joined && was == Member::Slow {
            stats.disturbance.consequences += 1;
            return Fault::Expected;
        }
        Fault::Error
    }

    fn cut_short(&mut self, now: Nanos) {
        if let Some(plan) = &mut self.plan {
            plan.cut_short(now);
        }
    }

    fn unsent(&self) -> u64 {
        let (Some(schedule), Some(plan)) = (self.schedule, self.plan) else { return 0 };
        let (due, streams) = (schedule.count_before(plan.end), u64::from(self.settings.streams()));
        let own = self.own.iter().enumerate().filter(|(_, own)| own.sender.is_some());
        let unsent = own.map(|(place, own)| {
            let due = due.saturating_sub(u64::from(own.stream)).div_ceil(streams);
            due.saturating_sub(self.cursor.0 + u64::from(place < self.cursor.1))
        });
        unsent.sum()
    }

    fn outstanding(&self) -> u64 {
        let sent = self.settings.sent.iter().map(|sent| sent.load(Ordering::Relaxed));
        let heard = self.audience.iter();
        let missing =
            sent.zip(heard).map(|(sent, heard)| (sent * heard.members).saturating_sub(heard.messages));
        missing.sum::<u64>() + self.joining
    }
}

/// Appends the name of a room, as JSON.
fn push_room(stream: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"room");
    push_decimal(u64::from(stream), out);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fanout(audience: Audience, streams: u32, clients: u32) -> Fanout {
        let settings = FanoutSettings {
            audience,
            payload_bytes: 26,
            in_flight: 1,
            rate: None,
            slow: None,
            sent: FanoutSettings::counters(streams),
        };
        let mut fanout = Fanout::new(settings, Share { first: 0, clients, of: clients });
        (0..clients as usize).for_each(|position| fanout.enter(position));
        fanout
    }

    fn packet(text: &str) -> Packet<'_> {
        Packet::decode(text.as_bytes(), b"").unwrap()
    }

    fn receive(fanout: &mut Fanout, position: usize, text: &str) -> Stats {
        let mut stats = Stats::new();
        fanout.receive(position, packet(text), 9, &mut stats);
        stats
    }

    #[test]
    fn news_gives_its_number_and_time_and_shows_damage() {
        let fanout = fanout(Audience::Everyone, 4, 4);
        let news = |intact| Some(News { stream: 3, number: 7, due: 1234, intact });
        assert_eq!(fanout.parse(packet(r#"2["news",3,7,1234,"ab"]"#)), news(true));
        assert_eq!(fanout.parse(packet(r#"2[ "news", 3, 7, 1234, "\u0061b" ]"#)), news(true));
        assert_eq!(fanout.parse(packet(r#"2["news",3,7,1234,"aX"]"#)), news(false));
        assert_eq!(fanout.parse(packet(r#"2["olds",3,7,1234,"ab"]"#)), None);
    }

    #[test]
    fn a_gap_is_lost_and_what_fills_it_is_late() {
        let mut fanout = fanout(Audience::Everyone, 1, 2);
        fanout.settings.sent[0].store(3, Ordering::Relaxed);
        let mut stats = Stats::new();
        for (number, lost, reordered, duplicated) in
            [(0, 0, 0, 0), (2, 1, 0, 0), (1, 0, 1, 0), (1, 0, 1, 1), (0, 0, 1, 2)]
        {
            fanout.receive(1, packet(&format!(r#"2["news",0,{number},5,"ab"]"#)), 9, &mut stats);
            let errors = (stats.errors.lost, stats.errors.reordered, stats.errors.duplicated);
            assert_eq!(errors, (lost, reordered, duplicated), "after {number}");
        }
        assert_eq!(fanout.outstanding(), 3, "the other member has nothing yet");
    }

    #[test]
    fn the_closed_loop_waits_until_everyone_has_the_oldest() {
        let mut fanout = fanout(Audience::Everyone, 1, 2);
        fanout.own[0].under_way.push_back(0);
        fanout.settings.sent[0].store(1, Ordering::Relaxed);
        receive(&mut fanout, 0, r#"2["news",0,0,5,"ab"]"#);
        assert_eq!((fanout.ready.len(), fanout.outstanding()), (0, 1));
        receive(&mut fanout, 1, r#"2["news",0,0,5,"ab"]"#);
        assert_eq!((fanout.ready.len(), fanout.outstanding()), (1, 0));
    }

    #[test]
    fn a_member_that_is_lost_loses_what_was_on_its_way_and_is_waited_for_no_more() {
        let mut fanout = fanout(Audience::Everyone, 1, 2);
        fanout.own[0].under_way.push_back(0);
        fanout.settings.sent[0].store(1, Ordering::Relaxed);
        receive(&mut fanout, 0, r#"2["news",0,0,5,"ab"]"#);
        let mut stats = Stats::new();
        assert_eq!(fanout.handle_lost(1, true, 0, &mut stats), Fault::Error);
        assert_eq!(stats.errors.lost, 1);
        assert_eq!((fanout.ready.len(), fanout.outstanding()), (1, 0));
    }

    #[test]
    fn a_room_has_a_sender_among_its_members_and_no_business_with_other_rooms() {
        let mut fanout = fanout(Audience::Rooms, 3, 11);
        for (place, own) in fanout.own.iter().enumerate() {
            assert_eq!(fanout.room(own.sender.unwrap()), own.stream, "{place}");
        }
        assert_eq!(fanout.audience.iter().map(|heard| heard.members).collect::<Vec<_>>(), [4, 4, 3]);
        assert_eq!(receive(&mut fanout, 4, r#"2["msg",2,0,5,"ab"]"#).errors.duplicated, 1);
        assert_eq!(receive(&mut fanout, 4, r#"2["msg",1,0,5,"ab"]"#).errors.total(), 0);
    }

    #[test]
    fn events_of_other_names_are_nobodys_error_and_broken_ones_are() {
        let mut fanout = fanout(Audience::Rooms, 1, 1);
        assert_eq!(receive(&mut fanout, 0, r#"2["news",0,0,5,"ab"]"#).errors.total(), 0);
        assert_eq!(receive(&mut fanout, 0, r#"2["msg",0,0]"#).errors.mismatched, 1);
    }

    #[test]
    fn senders_are_spread_over_the_clients() {
        let senders = |audience, streams: u32| {
            let settings = fanout(audience, streams, streams).settings;
            (0..streams).map(|stream| settings.sender(stream, 1000)).collect::<Vec<_>>()
        };
        assert_eq!(senders(Audience::Everyone, 4), [0, 250, 500, 750]);
        assert_eq!(senders(Audience::Rooms, 4), [0, 249, 502, 751]);
    }
}
