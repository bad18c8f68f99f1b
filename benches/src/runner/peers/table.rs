//! One row for a terminal: a line for each server, with medians, ratios to the floor, and verdicts.

use super::rows::{Limit, Line, Row, Unit};
use crate::runner::results::Results;
use crate::runner::{Lineup, median};
use serde_json::Value;
use std::fmt::{self, Write as _};

/// One row, for some servers.
pub(super) struct Table<'a> {
    pub(super) row: &'a Row,
    pub(super) lineups: &'a [Lineup],
    /// Runs of this row and of others.
    pub(super) results: &'a Results,
}

impl Table<'_> {
    fn reports(&self, lineup: Lineup) -> impl Iterator<Item = &Value> {
        self.results.reports(self.row.name, lineup)
    }

    fn median(&self, lineup: Lineup, line: &Line) -> Option<f64> {
        median(self.reports(lineup).filter_map(|report| report.pointer(line.pointer)?.as_f64()).collect())
    }

    /// `*`: the generator's core was busy in some run, so rate and latency are the pair's. `!`: errors in some run.
    fn marks(&self, lineup: Lineup, line: &Line) -> String {
        let any = |pointer, value: bool| {
            self.reports(lineup).any(|report| report.pointer(pointer).and_then(Value::as_bool) == Some(value))
        };
        let shared = matches!(line.unit, Unit::Micros | Unit::Thousands) && any("/client/saturated", true);
        format!("{}{}", if shared { "*" } else { "" }, if any("/ok", false) { "!" } else { "" })
    }

    fn cell(&self, lineup: Lineup, line: &Line) -> String {
        let marks = self.marks(lineup, line);
        let Some(value) = self.median(lineup, line) else { return format!("-{marks}") };
        let shown = format!("{}{marks}", line.unit.show(value));
        match self.median(Lineup::Floor, line).filter(|floor| *floor > 0.0) {
            Some(floor) if lineup != Lineup::Floor && line.unit == Unit::NanosAsMicros => {
                format!("{shown} ({:.2}x)", value / floor)
            }
            _ => shown,
        }
    }

    /// What Tidegate's number must reach, and whether it does. `None` if there is nothing to reach.
    fn verdict(&self, line: &Line) -> Option<String> {
        let limit = match line.limit {
            Limit::None => return None,
            Limit::TimesFloor(times) => self.median(Lineup::Floor, line).map(|floor| floor * times),
            Limit::AtMost(most) => Some(most),
            Limit::AtMostOrHalfOxide(most) => {
                Some(self.median(Lineup::Oxide, line).map_or(most, |oxide| most.max(oxide / 2.0)))
            }
        };
        Some(match (limit, self.median(Lineup::Tidegate, line)) {
            (Some(limit), Some(value)) => {
                let word = if value <= limit { "met" } else { "MISSED" };
                format!("<= {}: {word}", line.unit.show(limit))
            }
            (Some(limit), None) => format!("<= {}", line.unit.show(limit)),
            (None, _) => "no floor".into(),
        })
    }

    /// Heads, cells, and verdicts under them; all of it text. The first column names the servers.
    fn columns(&self) -> Vec<Vec<String>> {
        let judged = self.row.lines.iter().any(|line| line.limit != Limit::None);
        let names = self.lineups.iter().map(|lineup| lineup.name().to_owned());
        let first = [String::new()].into_iter().chain(names).chain(judged.then(|| "target".into()));
        let column = |line: &Line| {
            let head = format!("{}, {}", line.title, line.unit.name());
            let cells = self.lineups.iter().map(|lineup| self.cell(*lineup, line));
            let verdict = judged.then(|| self.verdict(line).unwrap_or_default());
            [head].into_iter().chain(cells).chain(verdict).collect()
        };
        [first.collect()].into_iter().chain(self.row.lines.iter().map(column)).collect()
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}: {}", self.row.name, self.row.title)?;
        let columns = self.columns();
        let width = |column: &Vec<String>| column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = columns.iter().map(width).collect();
        for at in 0..columns[0].len() {
            let mut line = format!("  {:<1$}", columns[0][at], widths[0]);
            for (column, width) in columns.iter().zip(&widths).skip(1) {
                write!(line, "  {:>width$}", column[at])?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;
    use crate::runner::BenchError;
    use crate::runner::results::Run;
    use serde_json::json;

    fn run(lineup: Lineup, cpu: f64) -> Run {
        let report =
            json!({ "ok": true, "client": { "saturated": false }, "server": { "cpu_ns_per_message": cpu } });
        Run::new("echo-100", lineup, 0, report)
    }

    fn text(runs: Vec<Run>) -> String {
        let results = Results::of(runs);
        let lineups = &[Lineup::Floor, Lineup::Tidegate];
        Table { row: &ROWS[0], lineups, results: &results }.to_string()
    }

    #[test]
    fn a_server_is_judged_by_its_ratio_to_the_floor() {
        let met = text(vec![run(Lineup::Floor, 4000.0), run(Lineup::Tidegate, 5000.0)]);
        assert!(
            met.contains("4.00") && met.contains("5.00 (1.25x)") && met.contains("<= 5.20: met"),
            "{met}"
        );
        let missed = text(vec![run(Lineup::Floor, 4000.0), run(Lineup::Tidegate, 5300.0)]);
        assert!(missed.contains("MISSED"), "{missed}");
        assert!(text(vec![run(Lineup::Tidegate, 1.0)]).contains("no floor"));
    }

    #[test]
    fn the_columns_of_a_table_are_as_wide_as_what_is_in_them() {
        let text = text(vec![run(Lineup::Floor, 4000.0), run(Lineup::Tidegate, 5000.0)]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines.len(), 4, "{text}");
        let end = |line: &str, text: &str| line.find(text).unwrap() + text.len();
        assert_eq!(end(lines[0], "server CPU per echo, us"), end(lines[2], "5.00 (1.25x)"), "{text}");
        assert!(lines[..3].iter().all(|line| line.len() == lines[0].len()), "{text}");
    }

    #[test]
    fn a_run_with_errors_is_marked_and_so_is_one_that_was_none() {
        let mut lost = run(Lineup::Tidegate, 5000.0);
        lost.report["ok"] = json!(false);
        assert!(text(vec![lost]).contains("5.00! "));
        let failed = Run::failed("echo-100", Lineup::Tidegate, 0, &BenchError::Nothing("late"));
        assert!(text(vec![failed]).contains("-! "));
    }
}
