//! The loads, the numbers that are shown of each, and what Tidegate's must reach (issue 2, "Speed and memory it must reach").

use crate::runner::Lineup;
use serde::Serialize;

/// What a number must reach for Tidegate.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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

/// Which of two numbers is to be preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// The smaller.
    Less,
    /// The larger.
    More,
}

/// One line of the table: a number of the load generator's report.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Line {
    /// The same in every row for the same kind of number.
    pub key: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Where it is in the report (JSON pointer).
    pub pointer: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Which is to be preferred.
    pub better: Better,
    /// What it must reach. Not for whoever shows results.
    #[serde(skip)]
    pub limit: Limit,
}

/// One load, for every server.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Short name, also for `--rows`.
    pub name: &'static str,
    /// What is done.
    pub title: &'static str,
    /// Arguments of the load generator that say what is measured.
    pub load: &'static [&'static str],
    /// A load before that, for servers that compile while they run.
    pub warm_up: Option<&'static [&'static str]>,
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
    pub fn suits(&self, lineup: Lineup) -> bool {
        self.floor || lineup != Lineup::Floor
    }
}

/// The rows that issue 2 has targets for, and its servers.
pub(super) const ISSUE2_ROWS: &[&str] = &["echo", "broadcast", "polling", "connect", "idle"];
pub(super) const ISSUE2_SERVERS: &[Lineup] = &[Lineup::Floor, Lineup::Tidegate, Lineup::Oxide];

const FULL: &[&str] = &["--warmup", "1s", "--duration", "3s"];
const QUICK: &[&str] = &["--warmup", "300ms", "--duration", "1s"];

const fn cpu(title: &'static str, limit: Limit) -> Line {
    let (pointer, unit) = ("/server/cpu_ns_per_message", Unit::NanosAsMicros);
    Line { key: "cpu", title, pointer, unit, better: Better::Less, limit }
}
const fn rate(title: &'static str) -> Line {
    let (pointer, unit) = ("/messages_per_second", Unit::Thousands);
    Line { key: "rate", title, pointer, unit, better: Better::More, limit: Limit::None }
}
const fn latency(key: &'static str, pointer: &'static str) -> Line {
    Line { key, title: key, pointer, unit: Unit::Micros, better: Better::Less, limit: Limit::None }
}
const P50: Line = latency("p50", "/latency_us/p50");
const P99: Line = latency("p99", "/latency_us/p99");
const P99_9: Line = latency("p99.9", "/latency_us/p99.9");

const ECHO: &[Line] = &[cpu("server CPU per echo", Limit::TimesFloor(1.3)), rate("echoes per second"), P99];
const PACED: &[Line] = &[P50, P99, P99_9, cpu("server CPU per echo", Limit::None)];
const POLLING: &[Line] =
    &[cpu("server CPU per echo", Limit::AtMostOrHalfOxide(15_000.0)), rate("echoes per second"), P99];
const BROADCAST: &[Line] =
    &[cpu("server CPU per delivery", Limit::TimesFloor(1.2)), rate("deliveries per second"), P99];
const ROOMS: &[Line] = &[cpu("server CPU per delivery", Limit::None), rate("deliveries per second"), P99];
const CONNECT: &[Line] =
    &[cpu("server CPU per handshake", Limit::AtMost(60_000.0)), rate("handshakes per second"), P99];
const IDLE: &[Line] = &[
    Line {
        key: "memory",
        title: "resident memory per client",
        pointer: "/server/rss_bytes_per_client",
        unit: Unit::Bytes,
        better: Better::Less,
        limit: Limit::AtMost(4096.0),
    },
    Line {
        key: "cpu_share",
        title: "share of a core",
        pointer: "/server/cpu_share",
        unit: Unit::Percent,
        better: Better::Less,
        limit: Limit::None,
    },
    Line {
        key: "quiet_cpu_share",
        title: "the same between heartbeats",
        pointer: "/server/quiet_cpu_share",
        unit: Unit::Percent,
        better: Better::Less,
        limit: Limit::AtMost(0.005),
    },
];

const fn row(
    name: &'static str,
    title: &'static str,
    load: &'static [&'static str],
    lines: &'static [Line],
) -> Row {
    let (warm_up, repetitions_max) = (None, u32::MAX);
    Row { name, title, load, warm_up, full: FULL, quick: QUICK, lines, floor: true, repetitions_max }
}

/// The rows, in the order of the table.
pub const ROWS: &[Row] = &[
    row("echo-100", "echo with ack, 64 B, 100 connections", &["echo", "--connections", "100"], ECHO),
    row("echo-1000", "echo with ack, 64 B, 1 000 connections", &["echo", "--connections", "1000"], ECHO),
    row("echo-10000", "echo with ack, 64 B, 10 000 connections", &["echo", "--connections", "10000"], ECHO),
    Row {
        // p99.9 of 20 000 messages is twenty of them.
        full: &["--warmup", "1s", "--duration", "5s"],
        ..row(
            "paced-1000",
            "echo with ack, 64 B, 1 000 connections, 4 000 per second",
            // What the slowest server can do without being busy all the time.
            &["echo", "--connections", "1000", "--rate", "4000"],
            PACED,
        )
    },
    Row {
        floor: false,
        ..row(
            "polling-500",
            "echo by long-polling, 64 B, 500 connections",
            &["echo", "--transport", "polling", "--connections", "500"],
            POLLING,
        )
    },
    row("broadcast-1000", "broadcast, 128 B, to 1 000", &["broadcast", "--connections", "1000"], BROADCAST),
    row(
        "broadcast-10000",
        "broadcast, 128 B, to 10 000",
        &["broadcast", "--connections", "10000"],
        BROADCAST,
    ),
    // Above saturation: more under way than is sent one by one.
    row(
        "broadcast-1000-x16",
        "broadcast, 128 B, to 1 000, 16 under way",
        &["broadcast", "--connections", "1000", "--in-flight", "16"],
        BROADCAST,
    ),
    row(
        "rooms-1000",
        "message to a room, 128 B, 1 000 connections in 100 rooms",
        &["rooms", "--connections", "1000", "--rooms", "100"],
        ROOMS,
    ),
    Row {
        // A storm is over in a tenth of a second, before anything is compiled that was not.
        warm_up: Some(&["connect", "--connections", "2000"]),
        full: &[],
        quick: &[],
        ..row("connect-5000", "handshakes, a storm of 5 000", &["connect", "--connections", "5000"], CONNECT)
    },
    Row {
        // One heartbeat interval of the stock settings, and some; the first seconds are for settling.
        full: &["--warmup", "5s", "--duration", "30s"],
        quick: &["--warmup", "2s", "--duration", "3s"],
        repetitions_max: 2,
        ..row("idle-10000", "idle, 10 000 connections", &["idle", "--connections", "10000"], IDLE)
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

    /// What the shown number counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::NanosAsMicros | Self::Micros => "us",
            Self::Bytes => "bytes",
            Self::Percent => "%",
            Self::Thousands => "thousand",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_is_written_in_the_words_of_the_result_file() {
        let expected = json!({ "key": "rate", "title": "echoes per second", "pointer": "/messages_per_second",
            "unit": "thousands", "better": "more" });
        assert_eq!(json!(ECHO[1]), expected);
        assert_eq!(json!(ECHO[0])["unit"], json!("nanos_as_micros"));
    }

    #[test]
    fn a_row_has_no_name_and_no_key_twice() {
        for (at, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..at].iter().all(|other| other.name != row.name), "{}", row.name);
            for (at, line) in row.lines.iter().enumerate() {
                assert!(
                    row.lines[..at].iter().all(|other| other.key != line.key),
                    "{} {}",
                    row.name,
                    line.key
                );
            }
        }
    }
}
