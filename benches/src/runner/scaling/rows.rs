//! What is measured at each number of connections.

use serde::Serialize;

/// Connections of a row, where a client has one. A process here may have 20 000 descriptors.
const SIZES: &[u32] = &[1000, 2000, 5000, 10_000, 18_000];
/// The same where a client has two.
const PAIRS: &[u32] = &[1000, 2000, 5000, 9000];
/// Clients of a shard without a kernel: as many as one likes.
const CROWDS: &[u32] = &[10_000, 100_000, 1_000_000];

const FULL: &[&str] = &["--warmup", "1s", "--duration", "3s"];
const QUICK: &[&str] = &["--warmup", "300ms", "--duration", "1s"];

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// The gateway on a CPU of its own.
    OneCore,
    /// The gateway on both CPUs; the load generator shares the second.
    TwoCores,
    /// One shard in a process of its own: no kernel, no network.
    Core,
}

impl Server {
    /// All of them, in the order of the tables.
    pub(super) const ALL: [Self; 3] = [Self::OneCore, Self::TwoCores, Self::Core];

    /// Its name in files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OneCore => "tidegate-1-core",
            Self::TwoCores => "tidegate-2-cores",
            Self::Core => "core-alone",
        }
    }

    /// Its name for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::OneCore => "Tidegate, one core",
            Self::TwoCores => "Tidegate, two cores",
            Self::Core => "one shard, no kernel",
        }
    }
}

/// A number of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    /// Where it is (JSON pointer).
    pub(super) pointer: &'static str,
    unit: &'static str,
    better: &'static str,
}

const fn less(key: &'static str, title: &'static str, pointer: &'static str, unit: &'static str) -> Line {
    Line { key, title, pointer, unit, better: "less" }
}

pub(super) const PROCESS_BYTES: Line =
    less("process", "resident bytes per client", "/server/rss_bytes_per_client", "bytes");
pub(super) const KERNEL_BYTES: Line =
    less("kernel", "kernel bytes per client, the gateway's end", "/kernel/gateway_bytes_per_client", "bytes");
pub(super) const QUIET: Line = less("quiet", "CPU between heartbeats", "/server/quiet_cpu_share", "percent");
pub(super) const BEAT_CPU: Line =
    less("cpu", "CPU per ping and pong", "/heartbeat/cpu_ns", "nanos_as_micros");
pub(super) const BEATS: Line = Line {
    key: "rate",
    title: "heartbeats",
    pointer: "/heartbeat/per_second",
    unit: "thousands",
    better: "none",
};
pub(super) const MESSAGE_CPU: Line = less("cpu", "CPU per message", "/message/cpu_ns", "nanos_as_micros");
pub(super) const HANDSHAKE_CPU: Line =
    less("cpu", "CPU per handshake", "/server/connect_cpu_ns", "nanos_as_micros");
pub(super) const RATE: Line = Line {
    key: "rate",
    title: "messages per second",
    pointer: "/messages_per_second",
    unit: "thousands",
    better: "more",
};
pub(super) const P99: Line = less("p99", "p99", "/latency_us/p99", "micros");
pub(super) const CROWD_BYTES: Line =
    less("process", "resident bytes per client", "/crowd/bytes_per_client", "bytes");
pub(super) const CROWD_BYTES_IN_BROADCAST: Line =
    less("broadcast", "the same while a broadcast waits", "/crowd/bytes_per_client_in_broadcast", "bytes");
pub(super) const CROWD_CONNECT: Line =
    less("connect", "CPU per handshake", "/crowd/connect_ns", "nanos_as_micros");
pub(super) const CROWD_BEAT: Line =
    less("heartbeat", "CPU per ping and pong", "/crowd/heartbeat_ns", "nanos_as_micros");
pub(super) const CROWD_DELIVERY: Line =
    less("delivery", "CPU per delivery", "/crowd/delivery_ns", "nanos_as_micros");
pub(super) const LONGEST_CONNECT: Line =
    less("longest-connect", "longest step of a handshake", "/crowd/longest_connect_us", "micros");
pub(super) const LONGEST_BEAT: Line =
    less("longest-heartbeat", "longest step of heartbeats", "/crowd/longest_heartbeat_us", "micros");
pub(super) const LONGEST_BROADCAST: Line =
    less("queue-broadcast", "step that queues a broadcast", "/crowd/queue_broadcast_us", "micros");

const MESSAGES: &[Line] = &[MESSAGE_CPU, RATE, P99];
const HANDSHAKES: &[Line] = &[HANDSHAKE_CPU, RATE, P99];
const HELD: &[Line] = &[PROCESS_BYTES, KERNEL_BYTES, QUIET];
const CROWD: &[Line] = &[
    CROWD_BYTES,
    CROWD_BYTES_IN_BROADCAST,
    CROWD_CONNECT,
    CROWD_BEAT,
    CROWD_DELIVERY,
    LONGEST_CONNECT,
    LONGEST_BEAT,
    LONGEST_BROADCAST,
];

/// A load, at several numbers of connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// Clients.
    pub(super) sizes: &'static [u32],
    pub(super) servers: &'static [Server],
    /// Options of the gateway, beside the usual ones.
    pub(super) gateway: &'static [&'static str],
    /// Arguments of the load generator; none where there is no load generator.
    pub(super) load: &'static [&'static str],
    pub(super) full: &'static [&'static str],
    pub(super) quick: &'static [&'static str],
    /// The clients come spread over a second, instead of as fast as they can.
    pub(super) spread: bool,
    /// TCP connections of each client, if the kernel's memory is looked at while they are held.
    pub(super) held: Option<u32>,
    pub(super) lines: &'static [Line],
}

const GATEWAYS: &[Server] = &[Server::OneCore, Server::TwoCores];

const fn kind(
    name: &'static str,
    title: &'static str,
    load: &'static [&'static str],
    lines: &'static [Line],
) -> Kind {
    Kind {
        name,
        title,
        sizes: SIZES,
        servers: GATEWAYS,
        gateway: &[],
        load,
        full: FULL,
        quick: QUICK,
        spread: false,
        held: None,
        lines,
    }
}

/// Long enough to look at what is held; too short for a heartbeat of the default settings.
const HOLD: &[&str] = &["--warmup", "2s", "--duration", "4s"];
/// Every client is pinged a second after its last pong.
const BEATING: &[&str] = &["--ping-interval", "1s"];

pub(super) const HOLD_WEBSOCKET: Kind = Kind {
    full: HOLD,
    quick: HOLD,
    held: Some(1),
    ..kind("hold-websocket", "idle over WebSocket", &["idle"], HELD)
};
pub(super) const HOLD_POLLING: Kind = Kind {
    full: HOLD,
    quick: HOLD,
    held: Some(2),
    sizes: PAIRS,
    servers: &[Server::OneCore],
    ..kind("hold-polling", "idle over long-polling", &["idle", "--transport", "polling"], HELD)
};
pub(super) const HEARTBEATS: Kind = Kind {
    gateway: BEATING,
    full: &["--warmup", "2s", "--duration", "4s"],
    quick: &["--warmup", "2s", "--duration", "2s"],
    spread: true,
    ..kind("heartbeats", "idle, pinged every second", &["idle"], &[BEAT_CPU, BEATS])
};
pub(super) const PACED: Kind =
    kind("paced", "echo with ack, 64 B, 10 000 per second", &["echo", "--rate", "10000"], MESSAGES);
pub(super) const ECHO: Kind =
    kind("echo", "echo with ack, 64 B, one under way per client", &["echo"], MESSAGES);
pub(super) const BROADCAST: Kind =
    kind("broadcast", "broadcast of 128 B to everybody", &["broadcast"], MESSAGES);
pub(super) const CONNECT: Kind =
    Kind { full: &[], quick: &[], ..kind("connect", "full handshakes in a storm", &["connect"], HANDSHAKES) };
pub(super) const CORE: Kind = Kind {
    sizes: CROWDS,
    servers: &[Server::Core],
    ..kind("core", "one shard without a kernel", &[], CROWD)
};

/// All of them, in the order of the run.
pub(super) const KINDS: &[Kind] =
    &[HOLD_WEBSOCKET, HOLD_POLLING, HEARTBEATS, PACED, ECHO, BROADCAST, CONNECT, CORE];

impl Kind {
    /// The name of one of its rows.
    pub(super) fn row(&self, connections: u32) -> String {
        format!("{}-{connections}", self.name)
    }

    /// The sizes to measure: all, or the smallest and one that is not too large.
    pub(super) fn sizes(&self, quick: bool) -> &'static [u32] {
        if quick { &self.sizes[..2] } else { self.sizes }
    }
}
