//! A million clients: what the largest measured numbers come to, each with its arithmetic.

use super::page::{grouped, rounded};
use super::results::Results;
use super::rows::{
    BEAT_CPU, BEATS, BROADCAST, CONNECT, CORE, CROWD_BYTES, CROWD_BYTES_IN_BROADCAST, HANDSHAKE_CPU,
    HEARTBEATS, HOLD_POLLING, HOLD_WEBSOCKET, KERNEL_BYTES, Kind, LONGEST_BROADCAST, LONGEST_CONNECT, Line,
    MESSAGE_CPU, PACED, PROCESS_BYTES, Server,
};
use std::fmt::Write as _;

const CLIENTS: f64 = 1e6;
/// Cores of the host in question.
const CORES: f64 = 16.0;
/// Seconds between two pings of a client, by default.
const PING_INTERVAL: f64 = 25.0;
/// Descriptors of a core beside its clients.
const DESCRIPTORS_PER_CORE: f64 = 10.0;
/// Locked by a core's rings, and once more as much at start.
const RING_BYTES_PER_CORE: f64 = 0.6 * MIB;
/// Seconds between two events of a client, for an application that is neither a game nor a ticker.
const EVENT_INTERVAL: f64 = 10.0;

/// Ethernet (with preamble, checksum and gap), IPv4, TCP with timestamps: what every segment has.
const SEGMENT_BYTES: f64 = 38.0 + 20.0 + 32.0;
/// A ping as a WebSocket frame, and the pong, which is masked.
const PING_BYTES: f64 = 3.0;
const PONG_BYTES: f64 = 7.0;
/// The news of the benchmark: 128 characters, the packet around them, and the frame's header.
const NEWS_BYTES: f64 = 145.0 + 4.0;
/// A ping, the pong (which acknowledges it), and what acknowledges the pong.
const SEGMENTS_PER_BEAT: f64 = 3.0;
/// The stock client waits 1 s, up or down by half, before it comes back.
const RETURN_WINDOW: f64 = 1.0;
/// Of the network.
const LINK_BITS: f64 = 10e9;

const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;

/// One step: what, how, and what it comes to.
type Step = (&'static str, String, String);

/// The tables. Steps whose numbers were not measured are left out.
pub(super) fn extrapolated(results: &Results) -> String {
    let mut text = format!(
        "**A million WebSocket clients on one host of {CORES} cores**\n\n| what | arithmetic | comes to |\n|---|---|---|\n"
    );
    let numbers = Numbers::of(results);
    for (what, arithmetic, result) in numbers.steps().into_iter().flatten() {
        writeln!(text, "| {what} | {arithmetic} | **{result}** |").expect("a string takes everything");
    }
    if let Some(hosts) = numbers.hosts() {
        text.push('\n');
        text.push_str(&hosts);
    }
    text
}

/// What it is computed from: numbers of one core at the most clients that were measured. Bytes, and nanoseconds.
struct Numbers {
    process: Option<f64>,
    kernel: Option<f64>,
    polling: Option<f64>,
    crowd: Option<f64>,
    beat: Option<f64>,
    delivery: Option<f64>,
    handshake: Option<f64>,
    echo: Option<f64>,
    /// More bytes per client while a broadcast waits.
    waiting: Option<f64>,
    /// Nanoseconds, per client, of the one step that queues a broadcast.
    queueing: Option<f64>,
    /// Nanoseconds of the longest step while a core's share of the clients came.
    growing: Option<f64>,
}

impl Numbers {
    fn of(results: &Results) -> Self {
        let one = |kind: &Kind, line: Line| Some(results.largest(kind, Server::OneCore, line)?.1);
        let polling = || Some(one(&HOLD_POLLING, PROCESS_BYTES)? + one(&HOLD_POLLING, KERNEL_BYTES)?);
        let crowd = |line: Line| results.largest(&CORE, Server::Core, line);
        // The smallest crowd that is no smaller than a core's share: what grew for it, grows here.
        let share = CORE.sizes.iter().copied().find(|size| f64::from(*size) >= CLIENTS / CORES);
        let growing = share.and_then(|size| results.median(&CORE, size, Server::Core, LONGEST_CONNECT));
        let queueing = crowd(LONGEST_BROADCAST).map(|(size, us)| us * 1e3 / f64::from(size));
        let waiting = || Some(crowd(CROWD_BYTES_IN_BROADCAST)?.1 - crowd(CROWD_BYTES)?.1);
        Self {
            process: one(&HOLD_WEBSOCKET, PROCESS_BYTES),
            kernel: one(&HOLD_WEBSOCKET, KERNEL_BYTES),
            polling: polling(),
            crowd: crowd(CROWD_BYTES).filter(|(size, _)| f64::from(*size) >= CLIENTS).map(|(_, bytes)| bytes),
            beat: beat_cpu(results, CLIENTS / PING_INTERVAL / CORES),
            delivery: one(&BROADCAST, MESSAGE_CPU),
            handshake: one(&CONNECT, HANDSHAKE_CPU),
            echo: one(&PACED, MESSAGE_CPU),
            waiting: waiting(),
            queueing,
            growing: growing.map(|us| us * 1e3),
        }
    }

    fn steps(&self) -> Vec<Option<Step>> {
        [self.memory_steps(), self.heartbeat_steps(), self.broadcast_steps(), self.other_steps()].concat()
    }

    fn memory_steps(&self) -> Vec<Option<Step>> {
        let total = |what, bytes: Option<f64>| {
            bytes.map(|bytes| (what, format!("{} B × 1 000 000", grouped(bytes)), gib(bytes * CLIENTS)))
        };
        vec![
            total("memory of the process", self.process),
            total("of that the core's, measured with a million", self.crowd),
            total("memory of the kernel", self.kernel),
            total("both, if all of them poll", self.polling),
            Some((
                "descriptors",
                format!("1 000 000 + {DESCRIPTORS_PER_CORE} × {CORES}"),
                grouped(CLIENTS + DESCRIPTORS_PER_CORE * CORES),
            )),
            Some((
                "locked memory of the rings, at start",
                format!("2 × {:.1} MiB × {CORES}", RING_BYTES_PER_CORE / MIB),
                format!("{:.0} MiB", 2.0 * RING_BYTES_PER_CORE * CORES / MIB),
            )),
        ]
    }

    fn heartbeat_steps(&self) -> Vec<Option<Step>> {
        let beats = CLIENTS / PING_INTERVAL;
        let bytes = SEGMENTS_PER_BEAT * SEGMENT_BYTES + PING_BYTES + PONG_BYTES;
        let beats_shown = grouped(beats);
        vec![
            Some((
                "heartbeats",
                format!("1 000 000 / {PING_INTERVAL} s"),
                format!("{beats_shown} pings and as many pongs per second"),
            )),
            Some((
                "packets of heartbeats",
                format!("{beats_shown}/s × {SEGMENTS_PER_BEAT} (ping, pong, acknowledgement)"),
                format!("{} per second", grouped(beats * SEGMENTS_PER_BEAT)),
            )),
            Some((
                "network, both directions together",
                format!(
                    "{beats_shown}/s × ({SEGMENTS_PER_BEAT} × {SEGMENT_BYTES} + {PING_BYTES} + {PONG_BYTES}) B × 8"
                ),
                format!("{:.0} Mbit/s", beats * bytes * 8.0 / 1e6),
            )),
            self.beat.map(|nanos| {
                (
                    "CPU of heartbeats",
                    format!("{beats_shown}/s × {} µs", micros(nanos)),
                    cores(beats * nanos / 1e9),
                )
            }),
        ]
    }

    fn broadcast_steps(&self) -> Vec<Option<Step>> {
        let share = CLIENTS / CORES;
        let bytes = NEWS_BYTES + SEGMENT_BYTES;
        vec![
            self.delivery.map(|nanos| {
                (
                    "CPU of a broadcast to all",
                    format!("1 000 000 × {} µs", micros(nanos)),
                    seconds(CLIENTS * nanos),
                )
            }),
            self.delivery.map(|nanos| {
                let all = seconds(CLIENTS * nanos);
                (
                    "until the last has left, all cores at it",
                    format!("{all} / {CORES}"),
                    seconds(share * nanos),
                )
            }),
            Some((
                "network of a broadcast of 128 B",
                format!("1 000 000 × ({NEWS_BYTES} + {SEGMENT_BYTES}) B × 8"),
                format!(
                    "{:.1} Gbit: {} at 10 Gbit/s",
                    CLIENTS * bytes * 8.0 / 1e9,
                    seconds(CLIENTS * bytes * 8.0 / LINK_BITS * 1e9)
                ),
            )),
            self.waiting.map(|bytes| {
                let bytes = bytes.max(0.0);
                (
                    "memory while it waits to be sent",
                    format!("{} B × 1 000 000", grouped(bytes)),
                    gib(bytes * CLIENTS),
                )
            }),
            self.queueing.map(|nanos| {
                (
                    "a core does nothing else while it queues one",
                    format!("{} µs × 1 000 000 / {CORES}", micros(nanos)),
                    seconds(share * nanos),
                )
            }),
        ]
    }

    fn other_steps(&self) -> Vec<Option<Step>> {
        let events = CLIENTS / EVENT_INTERVAL;
        let events_shown = grouped(events);
        vec![
            self.handshake.map(|nanos| {
                (
                    "CPU of a million handshakes",
                    format!("1 000 000 × {} µs", micros(nanos)),
                    seconds(CLIENTS * nanos),
                )
            }),
            self.handshake.map(|nanos| {
                let rate = CORES * 1e9 / nanos;
                (
                    "handshakes that can be done",
                    format!("{CORES} / {} µs", micros(nanos)),
                    format!("{} per second", grouped(rate)),
                )
            }),
            self.handshake.map(|nanos| {
                let rate = CORES * 1e9 / nanos;
                let late = (CLIENTS / rate - RETURN_WINDOW).max(0.0);
                (
                    "an avalanche: all come back within a second",
                    format!("1 000 000 / {} per second − {RETURN_WINDOW} s", grouped(rate)),
                    format!("the last is {} late", seconds(late * 1e9)),
                )
            }),
            self.growing.map(|nanos| {
                (
                    "longest step of a core while its share comes",
                    "measured, without a kernel".into(),
                    seconds(nanos),
                )
            }),
            self.echo.map(|nanos| {
                (
                    "CPU of events, one per client in ten seconds",
                    format!("{events_shown}/s × {} µs (echo with ack)", micros(nanos)),
                    cores(events * nanos / 1e9),
                )
            }),
        ]
    }

    /// The same clients on several hosts.
    fn hosts(&self) -> Option<String> {
        let (memory, beat, echo) = (self.process? + self.kernel?, self.beat?, self.echo?);
        let mut text = "**The same on several hosts**\n\n| hosts | clients each | process and kernel | packets of heartbeats | CPU of heartbeats and events |\n|---|---|---|---|---|\n".to_owned();
        for hosts in [1.0, 2.0, 4.0, 8.0, 16.0] {
            let clients = CLIENTS / hosts;
            let packets = clients / PING_INTERVAL * SEGMENTS_PER_BEAT;
            let busy = clients / PING_INTERVAL * beat + clients / EVENT_INTERVAL * echo;
            let line = [grouped(hosts), grouped(clients), gib(clients * memory)];
            let line = line.join(" | ");
            writeln!(text, "| {line} | {} per second | {} |", grouped(packets), cores(busy / 1e9))
                .expect("a string takes everything");
        }
        Some(text)
    }
}

/// Nanoseconds per ping and pong where a core has about so many of them per second: a core that is woken for each pays more.
fn beat_cpu(results: &Results, wanted_per_second: f64) -> Option<f64> {
    let measured = HEARTBEATS.sizes.iter().filter_map(|size| {
        let number = |line| results.median(&HEARTBEATS, *size, Server::OneCore, line);
        Some((number(BEATS)?, number(BEAT_CPU)?))
    });
    let apart = |rate: f64| (rate / wanted_per_second).ln().abs();
    measured.min_by(|(one, _), (other, _)| apart(*one).total_cmp(&apart(*other))).map(|(_, nanos)| nanos)
}

fn micros(nanos: f64) -> String {
    rounded(nanos / 1e3)
}

fn gib(bytes: f64) -> String {
    format!("{} GiB", rounded(bytes / GIB))
}

fn cores(share: f64) -> String {
    format!("{share:.2} cores")
}

fn seconds(nanos: f64) -> String {
    if nanos < 1e9 { format!("{} ms", rounded(nanos / 1e6)) } else { format!("{} s", rounded(nanos / 1e9)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Numbers = Numbers {
        process: None,
        kernel: None,
        polling: None,
        crowd: None,
        beat: None,
        delivery: None,
        handshake: None,
        echo: None,
        waiting: None,
        queueing: None,
        growing: None,
    };

    fn result(numbers: &Numbers, what: &str) -> Option<String> {
        let mut steps = numbers.steps().into_iter().flatten();
        Some(steps.find(|(name, ..)| *name == what)?.2)
    }

    #[test]
    fn a_million_is_a_million_times_one() {
        let numbers =
            Numbers { process: Some(2147.0), delivery: Some(4000.0), beat: Some(10_000.0), ..NOTHING };
        assert_eq!(result(&numbers, "memory of the process").unwrap(), "2.00 GiB");
        assert_eq!(result(&numbers, "CPU of a broadcast to all").unwrap(), "4.00 s");
        assert_eq!(result(&numbers, "until the last has left, all cores at it").unwrap(), "250 ms");
        assert_eq!(result(&numbers, "CPU of heartbeats").unwrap(), "0.40 cores");
        assert_eq!(result(&numbers, "heartbeats").unwrap(), "40 000 pings and as many pongs per second");
        assert_eq!(result(&numbers, "packets of heartbeats").unwrap(), "120 000 per second");
    }

    #[test]
    fn an_avalanche_waits_for_what_cannot_be_done_in_the_time_the_clients_take() {
        let late = |handshake| {
            let numbers = Numbers { handshake: Some(handshake), ..NOTHING };
            result(&numbers, "an avalanche: all come back within a second").unwrap()
        };
        assert_eq!(late(32_000.0), "the last is 1.00 s late");
        assert_eq!(late(8000.0), "the last is 0.00 ms late");
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        assert_eq!(result(&NOTHING, "memory of the process"), None);
        assert_eq!(NOTHING.hosts(), None);
    }
}
