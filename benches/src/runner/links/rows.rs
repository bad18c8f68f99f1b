//! What issue 3 asks for: the loads, and the numbers that are taken from each.

use crate::runner::Lineup;
use crate::runner::stage::Cores;

/// Who has one of the two CPUs for itself, if there is a gateway; the others share the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// The backend, or the stock server.
    Application,
    /// The gateway.
    Gateway,
    /// The load generator.
    Client,
}

impl Alone {
    /// The gateway is on the first, whoever else is there. So is the stock server, with the load generator, where it is cheapest:
    /// it sends answers one by one, and on another CPU would wake a sleeping client with each.
    pub(super) fn cores(self, lineup: Lineup, first: u32, second: u32) -> Cores {
        let (backend, client) = match (lineup, self) {
            (Lineup::Node, _) => (first, first),
            (_, Self::Application) => (second, first),
            (_, Self::Gateway) => (second, second),
            (_, Self::Client) => (first, second),
        };
        Cores { front: first, backend, client }
    }
}

/// What one piece of work is, by which CPU time is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A message that arrives at a client.
    Message,
    /// A message that arrives at every client.
    Broadcast,
    /// The adoption of all sockets by a new backend.
    Adoption,
}

/// One load, for several lineups.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Short name, also for `--rows`.
    pub name: &'static str,
    /// Arguments of the load generator that say what is measured.
    pub load: &'static [&'static str],
    /// A load before that, for servers that are as warm as those that have been running for a while.
    pub warm_up: Option<&'static [&'static str]>,
    /// Clients.
    pub clients: u32,
    /// What is counted.
    pub work: Work,
    /// Who plays.
    pub lineups: &'static [Lineup],
    /// Who has a CPU for itself.
    pub alone: Alone,
}

/// A number of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// CPU time of the application per work, nanoseconds. Of the gateway with its own application there is none.
    Application,
    /// CPU time of the gateway per work, nanoseconds.
    Gateway,
    /// CPU time of both per work, nanoseconds.
    Both,
    /// Median latency, nanoseconds.
    Latency,
    /// Messages per second.
    Rate,
    /// From the new backend's WELCOME until all sockets are its own, nanoseconds.
    Adopted,
    /// The same from its exec.
    AdoptedFromExec,
}

/// How a number is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds as microseconds.
    Micros,
    /// Nanoseconds as milliseconds.
    Millis,
    /// Messages per second as thousands.
    Thousands,
}

/// What a number must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Shown, not judged.
    None,
    /// One lineup's over another's in the same row: at most this.
    Ratio(Lineup, Lineup, f64),
    /// One lineup's less another's in the same row: at most so many nanoseconds.
    Added(Lineup, Lineup, f64),
    /// One lineup's here over the same in another row: at most this.
    Growth(Lineup, &'static str, f64),
    /// Everybody's: at most so many nanoseconds.
    AtMost(f64),
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// What it is.
    pub label: &'static str,
    /// The row it is taken from.
    pub row: &'static str,
    /// The number.
    pub number: Number,
    /// How it is shown.
    pub unit: Unit,
    /// What it must reach.
    pub target: Target,
}

/// A load that is gone in a second, and in which the server learns all it can.
const BROADCASTS: &[&str] =
    &["broadcast", "--connections", "10", "--in-flight", "16", "--warmup", "0ms", "--duration", "1s"];

const BOTH_NODES: &[Lineup] = &[Lineup::Node, Lineup::TidegateNode];
const BEHIND_GATEWAY: &[Lineup] = &[Lineup::Tidegate, Lineup::TidegateRust, Lineup::TidegateNode];

/// The loads.
pub const ROWS: &[Row] = &[
    Row {
        name: "echo-1000",
        load: &["echo"],
        warm_up: None,
        clients: 1000,
        work: Work::Message,
        lineups: BOTH_NODES,
        alone: Alone::Application,
    },
    Row {
        name: "paced-1000",
        // Half of what the stock server can do.
        load: &["echo", "--rate", "20000"],
        warm_up: None,
        clients: 1000,
        work: Work::Message,
        lineups: BOTH_NODES,
        alone: Alone::Application,
    },
    Row {
        name: "broadcast-100",
        // So rarely that the stock server can do it with 10 000, and as rarely here, so that both are woken for each.
        load: &["broadcast", "--rate", "5"],
        warm_up: Some(BROADCASTS),
        clients: 100,
        work: Work::Broadcast,
        lineups: BOTH_NODES,
        alone: Alone::Application,
    },
    Row {
        name: "broadcast-10000",
        load: &["broadcast", "--rate", "5"],
        warm_up: Some(BROADCASTS),
        clients: 10_000,
        work: Work::Broadcast,
        lineups: BOTH_NODES,
        alone: Alone::Application,
    },
    Row {
        name: "gateway-1000",
        load: &["echo"],
        warm_up: None,
        clients: 1000,
        work: Work::Message,
        lineups: BEHIND_GATEWAY,
        alone: Alone::Gateway,
    },
    Row {
        name: "latency-apart",
        load: &["echo"],
        warm_up: None,
        clients: 1,
        work: Work::Message,
        lineups: BEHIND_GATEWAY,
        alone: Alone::Gateway,
    },
    Row {
        name: "latency-together",
        load: &["echo"],
        warm_up: None,
        clients: 1,
        work: Work::Message,
        lineups: BEHIND_GATEWAY,
        alone: Alone::Client,
    },
    Row {
        name: "adoption-10000",
        load: &["idle"],
        warm_up: None,
        clients: 10_000,
        work: Work::Adoption,
        lineups: &[Lineup::TidegateNode, Lineup::TidegateRust],
        alone: Alone::Application,
    },
];

const fn shown(label: &'static str, row: &'static str, number: Number, unit: Unit) -> Line {
    Line { label, row, number, unit, target: Target::None }
}

/// The table.
pub const LINES: &[Line] = &[
    Line {
        label: "echo with ack, 1 000 clients: CPU of the application per event",
        row: "echo-1000",
        number: Number::Application,
        unit: Unit::Micros,
        target: Target::Ratio(Lineup::TidegateNode, Lineup::Node, 1.0 / 3.0),
    },
    shown("… of the gateway", "echo-1000", Number::Gateway, Unit::Micros),
    shown("… of both", "echo-1000", Number::Both, Unit::Micros),
    shown("… thousand events per second", "echo-1000", Number::Rate, Unit::Thousands),
    shown(
        "the same, 20 000 events per second: CPU of the application",
        "paced-1000",
        Number::Application,
        Unit::Micros,
    ),
    shown("… of the gateway", "paced-1000", Number::Gateway, Unit::Micros),
    shown(
        "`io.emit` to 100 clients: CPU of the application per broadcast",
        "broadcast-100",
        Number::Application,
        Unit::Micros,
    ),
    Line {
        label: "`io.emit` to 10 000: CPU of the application per broadcast",
        row: "broadcast-10000",
        number: Number::Application,
        unit: Unit::Micros,
        target: Target::Ratio(Lineup::TidegateNode, Lineup::Node, 1.0 / 200.0),
    },
    Line {
        label: "… does it depend on the number of clients",
        row: "broadcast-10000",
        number: Number::Application,
        unit: Unit::Micros,
        target: Target::Growth(Lineup::TidegateNode, "broadcast-100", 1.5),
    },
    shown("… of the gateway", "broadcast-10000", Number::Gateway, Unit::Millis),
    Line {
        label: "echo with ack, 1 000 clients: CPU of the gateway per event",
        row: "gateway-1000",
        number: Number::Gateway,
        unit: Unit::Micros,
        target: Target::Added(Lineup::TidegateRust, Lineup::Tidegate, 2_000.0),
    },
    shown("… of the application", "gateway-1000", Number::Application, Unit::Micros),
    shown("… thousand events per second", "gateway-1000", Number::Rate, Unit::Thousands),
    Line {
        label: "echo with ack, 1 client: median latency; gateway and backend on two CPUs",
        row: "latency-apart",
        number: Number::Latency,
        unit: Unit::Micros,
        target: Target::Added(Lineup::TidegateRust, Lineup::Tidegate, 60_000.0),
    },
    Line {
        label: "… on one CPU",
        row: "latency-together",
        number: Number::Latency,
        unit: Unit::Micros,
        target: Target::Added(Lineup::TidegateRust, Lineup::Tidegate, 60_000.0),
    },
    Line {
        label: "adoption of 10 000 sockets after kill -9, from WELCOME",
        row: "adoption-10000",
        number: Number::Adopted,
        unit: Unit::Millis,
        target: Target::AtMost(2e9),
    },
    shown("… from exec", "adoption-10000", Number::AdoptedFromExec, Unit::Millis),
];

impl Unit {
    /// The number as the table shows it.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Micros if value >= 1e6 => format!("{:.0}", value / 1e3),
            Self::Micros => format!("{:.2}", value / 1e3),
            Self::Millis => format!("{:.1}", value / 1e6),
            Self::Thousands => format!("{:.1}", value / 1e3),
        }
    }

    /// With its name.
    pub(super) fn show_whole(self, value: f64) -> String {
        let name = match self {
            Self::Micros => "µs",
            Self::Millis => "ms",
            Self::Thousands => "k/s",
        };
        format!("{} {name}", self.show(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_of_a_row_whose_lineups_it_judges() {
        for line in LINES {
            let row = ROWS.iter().find(|row| row.name == line.row).expect(line.row);
            let judged: &[Lineup] = match &line.target {
                Target::Ratio(one, other, _) | Target::Added(one, other, _) => &[*one, *other],
                Target::Growth(one, since, _) => {
                    assert!(ROWS.iter().any(|row| row.name == *since), "{since}");
                    &[*one]
                }
                Target::None | Target::AtMost(_) => &[],
            };
            assert!(judged.iter().all(|lineup| row.lineups.contains(lineup)), "{}", line.label);
        }
    }
}
