//! What issue 2 asks for, row by row: the load, the lines of the table it gives, and what each must reach.

use super::Peer;

/// What a row's number must reach for Tidegate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// At most so many times the floor's.
    TimesFloor(f64),
    /// At most this.
    AtMost(f64),
    /// At most this, or half of socketioxide's.
    AtMostOrHalfOxide(f64),
    /// Shown, not judged.
    None,
}

/// How a number is shown, and what it is divided by for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds, shown as microseconds.
    NanosAsMicros,
    /// Microseconds.
    Micros,
    /// Bytes.
    Bytes,
    /// A share of one core, shown as percent.
    Percent,
    /// Messages per second, shown as thousands.
    Thousands,
}

/// One line of the table: a number of the load generator's report.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// What it is.
    pub label: &'static str,
    /// Where it is in the report (JSON pointer).
    pub pointer: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// What it must reach.
    pub limit: Limit,
}

/// One load, for every server.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Short name, also for `--rows`.
    pub name: &'static str,
    /// Arguments of the load generator that say what is measured.
    pub load: &'static [&'static str],
    /// How long, for numbers that count.
    pub full: &'static [&'static str],
    /// How long, for `--quick`.
    pub quick: &'static [&'static str],
    /// Lines of the table.
    pub lines: &'static [Line],
    /// The floor can do it.
    pub floor: bool,
    /// More runs than these tell nothing new.
    pub repetitions_max: u32,
}

impl Row {
    /// True if the server can do it.
    pub fn suits(&self, peer: Peer) -> bool {
        self.floor || peer != Peer::Floor
    }
}

const FULL: &[&str] = &["--warmup", "1s", "--duration", "3s"];
const QUICK: &[&str] = &["--warmup", "300ms", "--duration", "1s"];

const fn cpu(limit: Limit) -> Line {
    Line { label: "CPU us/message", pointer: "/server/cpu_ns_per_message", unit: Unit::NanosAsMicros, limit }
}
const RATE: Line =
    Line { label: "thousand/s", pointer: "/messages_per_second", unit: Unit::Thousands, limit: Limit::None };
const P99: Line =
    Line { label: "p99 us", pointer: "/latency_us/p99", unit: Unit::Micros, limit: Limit::None };

const ECHO: &[Line] = &[cpu(Limit::TimesFloor(1.3)), RATE, P99];
const BROADCAST: &[Line] = &[cpu(Limit::TimesFloor(1.2)), RATE, P99];

const fn row(name: &'static str, load: &'static [&'static str], lines: &'static [Line]) -> Row {
    Row { name, load, full: FULL, quick: QUICK, lines, floor: true, repetitions_max: u32::MAX }
}

/// The rows of issue 2, section "Speed and memory it must reach".
pub const ROWS: &[Row] = &[
    row("echo-100", &["echo", "--connections", "100"], ECHO),
    row("echo-1000", &["echo", "--connections", "1000"], ECHO),
    row("echo-10000", &["echo", "--connections", "10000"], ECHO),
    row("broadcast-1000", &["broadcast", "--connections", "1000"], BROADCAST),
    row("broadcast-10000", &["broadcast", "--connections", "10000"], BROADCAST),
    // Above saturation: more under way than is sent one by one.
    row("broadcast-1000-x16", &["broadcast", "--connections", "1000", "--in-flight", "16"], BROADCAST),
    Row {
        floor: false,
        ..row(
            "polling-500",
            &["echo", "--transport", "polling", "--connections", "500"],
            &[cpu(Limit::AtMostOrHalfOxide(15_000.0)), RATE, P99],
        )
    },
    Row {
        full: &[],
        quick: &[],
        ..row(
            "connect-5000",
            &["connect", "--connections", "5000"],
            &[cpu(Limit::AtMost(60_000.0)), RATE, P99],
        )
    },
    Row {
        // One heartbeat interval of the stock settings, and some; the first seconds are for settling.
        full: &["--warmup", "5s", "--duration", "30s"],
        quick: &["--warmup", "2s", "--duration", "3s"],
        repetitions_max: 3,
        ..row(
            "idle-10000",
            &["idle", "--connections", "10000"],
            &[
                Line {
                    label: "bytes/client",
                    pointer: "/server/rss_bytes_per_client",
                    unit: Unit::Bytes,
                    limit: Limit::AtMost(4096.0),
                },
                Line {
                    label: "CPU % all the time",
                    pointer: "/server/cpu_share",
                    unit: Unit::Percent,
                    limit: Limit::None,
                },
                Line {
                    label: "CPU % between beats",
                    pointer: "/server/quiet_cpu_share",
                    unit: Unit::Percent,
                    limit: Limit::AtMost(0.005),
                },
            ],
        )
    },
];

impl Unit {
    /// The number as the table shows it.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::NanosAsMicros => format!("{:.2}", value / 1e3),
            Self::Micros | Self::Bytes => format!("{value:.0}"),
            Self::Percent => format!("{:.2}", value * 100.0),
            Self::Thousands => format!("{:.1}", value / 1e3),
        }
    }
}
