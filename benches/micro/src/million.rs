//! A shard with as many clients as one likes: no descriptors, no kernel, so that a million of them can be measured.

use crate::gate::{Bench, Gate};
use crate::inputs;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::fs;
use std::time::Duration;
use tidegate_core::shard::ConnKey;

/// Milliseconds from a pong to the next ping, as the default options have it. The clients come spread over it.
const PING_INTERVAL: u64 = 25_000;
/// Broadcasts; the first makes room, so the others are what is shown.
const BROADCASTS: u32 = 4;

/// What so many clients are to a shard. CPU time is that of the core alone: no system call is in it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Crowd {
    /// Clients, on WebSocket, each in `/` and nowhere else.
    pub clients: u32,
    /// What resident memory grew by, per client. What the engine and the kernel hold for a client is not in it.
    pub bytes_per_client: f64,
    /// The same while a broadcast waits to be written to everybody.
    pub bytes_per_client_in_broadcast: f64,
    /// Nanoseconds per handshake.
    pub connect_ns: f64,
    /// Nanoseconds per ping and pong.
    pub heartbeat_ns: f64,
    /// Nanoseconds per delivery of a broadcast.
    pub delivery_ns: f64,
    /// Microseconds of the longest step while clients came: something grew.
    pub longest_connect_us: f64,
    /// Microseconds of the longest step of a round of heartbeats.
    pub longest_heartbeat_us: f64,
    /// Microseconds to queue a broadcast for everybody, which is done in one step.
    pub queue_broadcast_us: f64,
}

impl Crowd {
    /// Has them come, be pinged once, and hear some broadcasts.
    pub fn measure(clients: u32) -> Self {
        let before = resident_bytes();
        let grown = || resident_bytes().saturating_sub(before) as f64 / f64::from(clients);
        let mut gate = Gate::new(Box::new(Bench::new()));
        let arrival = arrive(&mut gate, clients);
        let bytes_per_client = grown();
        let heartbeat = beat(&mut gate, clients);
        let news = broadcast(&mut gate, arrival.first, clients, grown);
        let each = |time: Duration| time.as_nanos() as f64 / f64::from(clients);
        let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
        Self {
            clients,
            bytes_per_client,
            bytes_per_client_in_broadcast: news.bytes_per_client,
            connect_ns: each(arrival.all),
            heartbeat_ns: each(heartbeat.all),
            delivery_ns: each(news.queue + news.write),
            longest_connect_us: micros(arrival.longest),
            longest_heartbeat_us: micros(heartbeat.longest),
            queue_broadcast_us: micros(news.queue),
        }
    }
}

struct Arrival {
    first: ConnKey,
    all: Duration,
    longest: Duration,
}

/// CPU time of this thread: whatever else runs on the machine is not in it, page faults are.
struct Stopwatch(Duration);

impl Stopwatch {
    fn start() -> Self {
        Self(cpu_time())
    }

    /// Since the last lap, or the start.
    fn lap(&mut self) -> Duration {
        let before = std::mem::replace(&mut self.0, cpu_time());
        self.0 - before
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().expect("it only grows from zero")
}

/// All of them come, evenly over one interval between pings.
fn arrive(gate: &mut Gate, clients: u32) -> Arrival {
    let connect = inputs::text_frame("40");
    let (mut first, mut all, mut longest) = (None, Duration::ZERO, Duration::ZERO);
    let mut passed = 0;
    let mut watch = Stopwatch::start();
    for client in 0..clients {
        let due = u64::from(client) * (PING_INTERVAL - 1) / u64::from(clients);
        gate.pass(due - passed);
        passed = due;
        let conn = gate.accept();
        gate.receive(conn, inputs::WEBSOCKET.as_bytes());
        gate.turn_counted();
        gate.receive(conn, &connect);
        assert!(gate.turn_counted() > 0, "the client is let in");
        first.get_or_insert(conn);
        let step = watch.lap();
        all += step;
        longest = longest.max(step);
    }
    Arrival { first: first.expect("there are clients"), all, longest }
}

struct Round {
    all: Duration,
    longest: Duration,
}

/// Everybody is pinged once and answers, each at a time of its own, millisecond by millisecond.
fn beat(gate: &mut Gate, clients: u32) -> Round {
    let pong = inputs::text_frame("3");
    let (mut pinged, mut missing) = (Vec::new(), clients);
    let mut round = Round { all: Duration::ZERO, longest: Duration::ZERO };
    let mut watch = Stopwatch::start();
    while missing > 0 {
        gate.pass(1);
        gate.turn(|conn, _| pinged.push(conn));
        for conn in &pinged {
            gate.receive(*conn, &pong);
        }
        gate.turn_counted();
        let time = watch.lap();
        missing -= u32::try_from(pinged.len()).expect("fewer than there are clients");
        pinged.clear();
        round.all += time;
        round.longest = round.longest.max(time);
    }
    round
}

struct News {
    queue: Duration,
    write: Duration,
    bytes_per_client: f64,
}

/// One client says something, and everybody gets it; the best of some times.
fn broadcast(gate: &mut Gate, sender: ConnKey, clients: u32, grown: impl Fn() -> f64) -> News {
    let frame = inputs::text_frame(&format!(r#"42["broadcast","{}"]"#, inputs::prose(128)));
    let mut best = News { queue: Duration::MAX, write: Duration::ZERO, bytes_per_client: 0.0 };
    for _ in 0..BROADCASTS {
        let mut watch = Stopwatch::start();
        gate.receive(sender, &frame);
        let queue = watch.lap();
        let bytes_per_client = grown();
        watch.lap();
        let mut deliveries = 0;
        gate.turn(|_, _| deliveries += 1);
        let write = watch.lap();
        assert_eq!(deliveries, clients, "everybody hears it");
        if queue < best.queue {
            best = News { queue, write, bytes_per_client };
        }
    }
    best
}

/// Resident memory of this process, counted page by page. 0 where `/proc` does not say.
fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_let_in_pinged_and_told() {
        let crowd = Crowd::measure(300);
        assert_eq!(crowd.clients, 300);
        assert!(crowd.heartbeat_ns > 0.0 && crowd.delivery_ns > 0.0 && crowd.connect_ns > 0.0);
    }
}
