//! Medians, ratios and verdicts, as the lines of a table.

use super::rows::{Limit, Line, Row, Unit};
use super::server::Peer;
use serde_json::{Value, json};
use std::fmt;

/// One run of one server.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) row: &'static str,
    pub(super) peer: Peer,
    pub(super) repetition: u32,
    /// The load generator's report.
    pub(super) report: Value,
}

impl Run {
    pub(super) fn to_json(&self) -> Value {
        json!({ "row": self.row, "server": self.peer.name(), "repetition": self.repetition, "report": self.report })
    }
}

/// The lines of one row, for all servers.
pub(super) struct Table<'a> {
    pub(super) row: &'a Row,
    pub(super) servers: &'a [Peer],
    /// Runs of this row and of others.
    pub(super) runs: &'a [Run],
}

impl Table<'_> {
    fn of(&self, peer: Peer) -> impl Iterator<Item = &Value> {
        let same = move |run: &&Run| run.row == self.row.name && run.peer == peer;
        self.runs.iter().filter(same).map(|run| &run.report)
    }

    fn median(&self, peer: Peer, line: &Line) -> Option<f64> {
        median(self.of(peer).filter_map(|report| report.pointer(line.pointer)?.as_f64()).collect())
    }

    /// `*`: the generator's core was busy in some run, so rate and latency are the pair's. `!`: errors in some run.
    fn marks(&self, peer: Peer, line: &Line) -> String {
        let any = |pointer, value: bool| {
            self.of(peer).any(|report| report.pointer(pointer).and_then(Value::as_bool) == Some(value))
        };
        let shared = matches!(line.unit, Unit::Micros | Unit::Thousands) && any("/client/saturated", true);
        format!("{}{}", if shared { "*" } else { "" }, if any("/ok", false) { "!" } else { "" })
    }

    fn cell(&self, peer: Peer, line: &Line) -> String {
        let Some(value) = self.median(peer, line) else { return "-".into() };
        let shown = format!("{}{}", line.unit.show(value), self.marks(peer, line));
        match self.median(Peer::Floor, line) {
            Some(floor) if peer != Peer::Floor && line.limit != Limit::None && floor > 0.0 => {
                format!("{shown} ({:.2}x)", value / floor)
            }
            _ => shown,
        }
    }

    fn verdict(&self, line: &Line) -> String {
        let limit = match line.limit {
            Limit::None => return String::new(),
            Limit::TimesFloor(times) => self.median(Peer::Floor, line).map(|floor| floor * times),
            Limit::AtMost(most) => Some(most),
            Limit::AtMostOrHalfOxide(most) => {
                Some(self.median(Peer::Oxide, line).map_or(most, |oxide| most.max(oxide / 2.0)))
            }
        };
        match (limit, self.median(Peer::Tidegate, line)) {
            (Some(limit), Some(value)) => {
                let word = if value <= limit { "met" } else { "MISSED" };
                format!("<= {}: {word}", line.unit.show(limit))
            }
            (Some(limit), None) => format!("<= {}", line.unit.show(limit)),
            (None, _) => "no floor".into(),
        }
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{:<20}", self.row.name)?;
        for peer in self.servers {
            write!(f, " {:>17}", peer.name())?;
        }
        writeln!(f, "  target")?;
        for line in self.row.lines {
            write!(f, "{:>20}", line.label)?;
            for peer in self.servers {
                write!(f, " {:>17}", self.cell(*peer, line))?;
            }
            writeln!(f, "  {}", self.verdict(line))?;
        }
        Ok(())
    }
}

/// The middle one, or what is between the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;

    fn run(peer: Peer, cpu: f64) -> Run {
        let report =
            json!({ "ok": true, "client": { "saturated": false }, "server": { "cpu_ns_per_message": cpu } });
        Run { row: "echo-100", peer, repetition: 0, report }
    }

    fn text(runs: &[Run]) -> String {
        Table { row: &ROWS[0], servers: &[Peer::Floor, Peer::Tidegate], runs }.to_string()
    }

    #[test]
    fn a_median_is_the_middle_or_between_two() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_server_is_judged_by_its_ratio_to_the_floor() {
        let met = text(&[run(Peer::Floor, 4000.0), run(Peer::Tidegate, 5000.0)]);
        assert!(
            met.contains("4.00") && met.contains("5.00 (1.25x)") && met.contains("<= 5.20: met"),
            "{met}"
        );
        let missed = text(&[run(Peer::Floor, 4000.0), run(Peer::Tidegate, 5300.0)]);
        assert!(missed.contains("MISSED"), "{missed}");
        assert!(text(&[run(Peer::Tidegate, 1.0)]).contains("no floor"));
    }
}
