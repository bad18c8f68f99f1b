//! When to ping, and when to give up (Engine.IO v4, "Heartbeat"; protocol.md 1.10).
//!
//! The server pings `interval` after the session opened and after each pong; a client that does not answer
//! within `timeout` is gone. Two of Node's flaws are not repeated: a pong nobody asked for does not put off the
//! next ping, and an upgrade does not end the heartbeat.

use crate::time::Instant;
use std::time::Duration;

/// The two times of the heartbeat, the same for every session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// From a pong to the next ping (`pingInterval`).
    pub interval: Duration,
    /// From a ping to giving up (`pingTimeout`).
    pub timeout: Duration,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet; the deadline may have moved.
    Nothing,
    /// Send a ping.
    Ping,
    /// Close the session: "ping timeout".
    Close,
}

/// The heartbeat of one session.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    deadline: Instant,
    waiting: Waiting,
}

// There is one per session.
const _: () = assert!(size_of::<Heartbeat>() <= 16);

/// What the deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    ToPing,
    ForPong,
    /// As `ForPong`; something else arrived so many milliseconds after the ping, and got the client more time.
    ForPongExtended {
        after: u32,
    },
    /// As `ForPong`; the client's input was held since the ping, so it is pinged again before it is given up.
    ForPongExcused,
    /// That was the ping, and now it is given up; unless anything arrives, which says that it is not done catching up.
    ForPongAtLast,
}

impl Heartbeat {
    /// The session opened.
    pub fn new(now: Instant, intervals: &Intervals) -> Self {
        Self { deadline: now + intervals.interval, waiting: Waiting::ToPing }
    }

    /// A pong arrived. One that was not asked for changes nothing.
    pub fn handle_pong(&mut self, now: Instant, intervals: &Intervals) {
        match self.waiting {
            Waiting::ToPing => {}
            Waiting::ForPong | Waiting::ForPongExtended { .. } => *self = Self::new(now, intervals),
            Waiting::ForPongExcused | Waiting::ForPongAtLast => {
                // It may be late, through no fault of the client, which goes by the ping.
                let pinged = earlier(self.deadline, intervals.timeout);
                *self = Self { deadline: now.max(pinged + intervals.interval), waiting: Waiting::ToPing };
            }
        }
    }

    /// Any other packet arrived: the client is slow but there. Counts once per ping, as in engine.io 6.6.11.
    pub fn handle_packet(&mut self, now: Instant, intervals: &Intervals) {
        match self.waiting {
            Waiting::ForPong => {
                let deadline = now + intervals.timeout;
                let after = deadline.since(self.deadline).as_millis();
                self.waiting = Waiting::ForPongExtended { after: u32::try_from(after).unwrap_or(u32::MAX) };
                self.deadline = deadline;
            }
            Waiting::ForPongAtLast => self.waiting = Waiting::ForPongExcused,
            Waiting::ToPing | Waiting::ForPongExtended { .. } | Waiting::ForPongExcused => {}
        }
    }

    /// The client's input begins to be held, or is taken again: a pong that is owed may be among what was not read.
    ///
    /// Then the client is pinged again, as early as if nothing had got it more time, and a pong that is read late does
    /// not put off the next ping: it is the client that gives us up if it hears none for `interval` + `timeout`.
    pub fn handle_hold(&mut self) {
        match self.waiting {
            Waiting::ToPing => return,
            Waiting::ForPong | Waiting::ForPongExcused | Waiting::ForPongAtLast => {}
            Waiting::ForPongExtended { after } => {
                self.deadline = earlier(self.deadline, Duration::from_millis(after.into()));
            }
        }
        self.waiting = Waiting::ForPongExcused;
    }

    /// The session moved to another transport.
    ///
    /// An outstanding ping may have gone down with the old one, or the pong may still be on its way there:
    /// its time starts again.
    pub fn handle_upgrade(&mut self, now: Instant, intervals: &Intervals) {
        if self.waiting != Waiting::ToPing {
            self.deadline = now + intervals.timeout;
        }
    }

    /// When [`Self::handle_timeout`] has something to say. Call it no earlier.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What is due now. A client whose input is held, `is_held`, may have answered without our knowing: it is
    /// pinged again instead of given up, so that it does not miss us.
    pub fn handle_timeout(&mut self, now: Instant, intervals: &Intervals, is_held: bool) -> Due {
        if now < self.deadline {
            return Due::Nothing;
        }
        let waiting = match self.waiting {
            _ if is_held => Waiting::ForPongExcused,
            Waiting::ToPing => Waiting::ForPong,
            Waiting::ForPongExcused => Waiting::ForPongAtLast,
            Waiting::ForPong | Waiting::ForPongExtended { .. } | Waiting::ForPongAtLast => return Due::Close,
        };
        *self = Self { deadline: now + intervals.timeout, waiting };
        Due::Ping
    }
}

/// The time that was so long before.
fn earlier(time: Instant, by: Duration) -> Instant {
    Instant::ORIGIN + time.since(Instant::ORIGIN).saturating_sub(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVALS: Intervals =
        Intervals { interval: Duration::from_millis(300), timeout: Duration::from_millis(200) };

    #[derive(Clone, Copy)]
    enum Step {
        Pong,
        Packet,
        Upgrade,
    }

    /// Runs a session opened at 0 until it closes or until 2000 ms. `steps` are in order of time; returns what
    /// was due, and when.
    fn run(steps: &[(u64, Step)]) -> Vec<(u64, Due)> {
        let mut heartbeat = Heartbeat::new(Instant::ORIGIN, &INTERVALS);
        let mut steps = steps.iter().copied().peekable();
        let mut log = Vec::new();
        for millis in 0..2000 {
            let now = Instant::from_millis(millis);
            while let Some((_, step)) = steps.next_if(|(at, _)| *at == millis) {
                match step {
                    Step::Pong => heartbeat.handle_pong(now, &INTERVALS),
                    Step::Packet => heartbeat.handle_packet(now, &INTERVALS),
                    Step::Upgrade => heartbeat.handle_upgrade(now, &INTERVALS),
                }
            }
            let is_early = now < heartbeat.deadline();
            let due = heartbeat.handle_timeout(now, &INTERVALS, false);
            assert_eq!(is_early, due == Due::Nothing);
            if !is_early {
                log.push((millis, due));
            }
            if due == Due::Close {
                break;
            }
        }
        log
    }

    use Due::{Close, Nothing, Ping};

    #[test]
    fn a_silent_client_is_pinged_once_and_then_closed() {
        // protocol.md U1.
        assert_eq!(run(&[]), [(300, Ping), (500, Close)]);
    }

    #[test]
    fn the_next_ping_counts_from_the_pong() {
        // protocol.md U2.
        let log = run(&[(400, Step::Pong), (800, Step::Pong)]);
        assert_eq!(log, [(300, Ping), (700, Ping), (1100, Ping), (1300, Close)]);
    }

    #[test]
    fn another_packet_extends_the_wait_for_a_pong_once() {
        // protocol.md U3.
        let packets = [(450, Step::Packet), (500, Step::Packet), (600, Step::Packet)];
        assert_eq!(run(&packets), [(300, Ping), (650, Close)]);
    }

    #[test]
    fn each_ping_has_an_extension_of_its_own() {
        let steps = [(450, Step::Packet), (600, Step::Pong), (1000, Step::Packet)];
        assert_eq!(run(&steps), [(300, Ping), (900, Ping), (1200, Close)]);
    }

    #[test]
    fn packets_before_a_ping_extend_nothing() {
        assert_eq!(run(&[(100, Step::Packet), (299, Step::Packet)]), [(300, Ping), (500, Close)]);
    }

    #[test]
    fn pongs_nobody_asked_for_do_not_put_off_the_ping() {
        let steps = [(100, Step::Pong), (200, Step::Pong), (299, Step::Pong)];
        assert_eq!(run(&steps), [(300, Ping), (500, Close)]);
    }

    #[test]
    fn an_upgrade_restarts_the_wait_for_a_pong_but_not_for_a_ping() {
        assert_eq!(run(&[(100, Step::Upgrade)]), [(300, Ping), (500, Close)]);
        assert_eq!(run(&[(400, Step::Upgrade)]), [(300, Ping), (600, Close)]);
        let answered = [(400, Step::Upgrade), (450, Step::Pong)];
        assert_eq!(run(&answered), [(300, Ping), (750, Ping), (950, Close)]);
    }

    #[test]
    fn a_client_whose_input_is_held_is_pinged_again_and_once_more_afterwards() {
        let at = Instant::from_millis;
        let mut heartbeat = Heartbeat::new(Instant::ORIGIN, &INTERVALS);
        heartbeat.handle_hold();
        for due in [300, 500, 700] {
            assert_eq!(heartbeat.deadline(), at(due));
            assert_eq!(heartbeat.handle_timeout(at(due), &INTERVALS, true), Ping);
        }
        heartbeat.handle_hold();
        assert_eq!(
            heartbeat.deadline(),
            at(900),
            "however often it is held and let go, it is not pinged more often"
        );
        assert_eq!(heartbeat.handle_timeout(at(900), &INTERVALS, false), Ping);
        assert_eq!(heartbeat.handle_timeout(at(1100), &INTERVALS, false), Close);

        let mut heartbeat = Heartbeat::new(Instant::ORIGIN, &INTERVALS);
        heartbeat.handle_hold();
        assert_eq!(heartbeat.deadline(), at(300), "nothing was owed");
    }

    /// A client gives up when it hears no ping for interval + timeout. Whenever its input is held, for however long,
    /// whatever of it is read before, and however late its pong afterwards, it hears one in good time.
    #[test]
    fn a_client_whose_pongs_lie_behind_held_input_hears_a_ping_before_it_gives_up() {
        let cases = (300..500).step_by(20).flat_map(|packet| {
            (310..500).step_by(20).flat_map(move |held| {
                (held + 10..1500).step_by(20).flat_map(move |released| {
                    [10, 100, 190].map(|late| (packet, held, released, released + late))
                })
            })
        });
        for case in cases {
            assert!(longest_silence(case) <= 400, "{case:?}");
        }
    }

    /// The longest time between two pings, for a client that answers at once when it is read. Times in milliseconds:
    /// when another packet comes, when its input is held and taken again, and when the first pong after that is read.
    fn longest_silence((packet, held, released, pong): (u64, u64, u64, u64)) -> u64 {
        let mut heartbeat = Heartbeat::new(Instant::ORIGIN, &INTERVALS);
        let (mut pinged, mut longest) = (0, 0);
        for millis in 0..3000 {
            let now = Instant::from_millis(millis);
            if millis == packet {
                heartbeat.handle_packet(now, &INTERVALS);
            }
            if millis == held || millis == released {
                heartbeat.handle_hold();
            }
            if millis == pong || (millis > pong && millis == pinged + 1) {
                heartbeat.handle_pong(now, &INTERVALS);
            }
            match heartbeat.handle_timeout(now, &INTERVALS, (held..released).contains(&millis)) {
                Nothing => {}
                Ping => {
                    longest = longest.max(millis - pinged);
                    pinged = millis;
                }
                Close => panic!("closed at {millis}"),
            }
        }
        longest.max(3000 - pinged)
    }

    #[test]
    fn a_late_turn_delays_but_skips_nothing() {
        let mut heartbeat = Heartbeat::new(Instant::ORIGIN, &INTERVALS);
        assert_eq!(heartbeat.handle_timeout(Instant::from_millis(10_000), &INTERVALS, false), Ping);
        assert_eq!(heartbeat.deadline(), Instant::from_millis(10_200));
    }
}
