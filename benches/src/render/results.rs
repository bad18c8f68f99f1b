//! The result file of a benchmark, and what its runs say about one number: median, spread, and what went wrong.
//!
//! Everything may be missing, because a benchmark ends early, or without a server, and is still worth showing.

use crate::runner::median;
use serde::Deserialize;
use serde_json::Value;
use tidegate_loadgen::Errors;
use tidegate_loadgen::report::grouped;

/// The server all others are compared with.
const REFERENCE: &str = "tidegate";

/// A result file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Results {
    /// When it was measured.
    pub(super) unix_time: u64,
    pub(super) kernel: String,
    pub(super) cpu: String,
    pub(super) cores: u32,
    pub(super) commit: String,
    /// One short run of everything: numbers that are worth nothing.
    pub(super) quick: bool,
    pub(super) fifo: bool,
    /// In the order of the tables.
    pub(super) servers: Vec<Server>,
    pub(super) rows: Vec<Row>,
    pub(super) runs: Vec<Run>,
}

/// Whose a server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Ours,
    #[default]
    Peer,
    /// No server: the least that one could cost.
    Floor,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) version: String,
    pub(super) kind: Kind,
}

/// One load, and what is shown of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) title: String,
    /// The row is one point of a curve over the number of connections.
    pub(super) connections: Option<f64>,
    pub(super) lines: Vec<Line>,
}

/// One number of the reports.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    pub(super) key: String,
    pub(super) title: String,
    /// Where it is in the load generator's report (JSON pointer).
    pub(super) pointer: String,
    pub(super) unit: Unit,
    pub(super) better: Better,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    /// Nanoseconds, shown as microseconds.
    NanosAsMicros,
    /// Microseconds, shown as milliseconds where they are many.
    Micros,
    Bytes,
    /// A share of one core, shown as percent.
    Percent,
    /// A rate, shown in thousands.
    Thousands,
    /// A plain number.
    #[default]
    Count,
}

/// Which of two numbers is to be preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Better {
    Less,
    More,
    #[default]
    None,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Run {
    pub(super) row: String,
    pub(super) server: String,
    /// The load generator's; anything else than an object means that there was none.
    pub(super) report: Value,
    /// Why there is no report.
    pub(super) error: String,
}

/// One number of one server, over all runs that have it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    pub(super) runs: usize,
}

impl Results {
    /// Reads a result file. Servers that only its runs know are shown, too.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let mut results: Self = serde_json::from_str(text)?;
        for run in &results.runs {
            if results.servers.iter().all(|server| server.name != run.server) {
                results.servers.push(Server { name: run.server.clone(), ..Server::default() });
            }
        }
        for server in results.servers.iter_mut().filter(|server| server.title.is_empty()) {
            server.title.clone_from(&server.name);
        }
        for row in results.rows.iter_mut().filter(|row| row.title.is_empty()) {
            row.title.clone_from(&row.name);
        }
        Ok(results)
    }

    /// The server that ratios are to.
    pub(super) fn reference(&self) -> Option<&Server> {
        self.servers.iter().find(|server| server.name == REFERENCE)
    }

    fn runs<'a>(&'a self, row: &'a Row, server: &'a Server) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().filter(|run| run.row == row.name && run.server == server.name)
    }

    /// What a line says about a server, or `None` if no run has a number there.
    pub(super) fn measured(&self, row: &Row, line: &Line, server: &Server) -> Option<Measured> {
        let value = |run: &Run| run.report.pointer(&line.pointer)?.as_f64().filter(|value| value.is_finite());
        let values: Vec<f64> = self.runs(row, server).filter_map(value).collect();
        let runs = values.len();
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        Some(Measured { median: median(values)?, least, most, runs })
    }

    /// How a server's number compares with Tidegate's; `None` for Tidegate itself, and where either is missing or not
    /// above zero.
    pub(super) fn ratio(&self, row: &Row, line: &Line, server: &Server) -> Option<f64> {
        let reference = self.reference().filter(|reference| reference.name != server.name)?;
        let of = |server| Some(self.measured(row, line, server)?.median).filter(|median| *median > 0.0);
        Some(of(server)? / of(reference)?)
    }

    /// True if a row has a run of anyone.
    pub(super) fn has(&self, row: &Row) -> bool {
        self.runs.iter().any(|run| run.row == row.name)
    }

    /// The largest number of runs that any server has in any row.
    pub(super) fn repetitions(&self) -> usize {
        let pairs = self.rows.iter().flat_map(|row| self.servers.iter().map(move |server| (row, server)));
        pairs.map(|(row, server)| self.runs(row, server).count()).max().unwrap_or(0)
    }

    /// True if in some run the load generator was as busy as the server, so that rate and latency are the pair's.
    pub(super) fn client_was_saturated(&self, row: &Row, server: &Server) -> bool {
        let saturated = |run: &Run| run.report.pointer("/client/saturated") == Some(&Value::Bool(true));
        self.runs(row, server).any(saturated)
    }

    /// What went wrong in runs of a server, in a sentence; `None` if all is well.
    pub(super) fn trouble(&self, row: &Row, server: &Server) -> Option<String> {
        let runs: Vec<&Run> = self.runs(row, server).collect();
        let failed: Vec<&Run> = runs.iter().copied().filter(|run| run.failed()).collect();
        let first = failed.first()?;
        let count = match (failed.len(), runs.len()) {
            (1, 1) => "its only run failed".to_owned(),
            (failed, all) if failed == all => format!("all {all} runs failed"),
            (failed, all) => format!("{failed} of {all} runs failed"),
        };
        Some(format!("{count}: {}", first.why()))
    }
}

impl Run {
    fn failed(&self) -> bool {
        self.report.get("ok") != Some(&Value::Bool(true))
    }

    /// What the report (or, without one, the runner) says about a failure.
    fn why(&self) -> String {
        let errors = self.report.get("errors").cloned().unwrap_or_default();
        let kinds = serde_json::from_value::<Errors>(errors).unwrap_or_default();
        let kinds = kinds.kinds().into_iter().filter(|(.., count)| *count > 0);
        let mut parts: Vec<String> =
            kinds.map(|(_, name, count)| format!("{} {name}", grouped(count))).collect();
        let sample = self.report.pointer("/error_samples/0").and_then(Value::as_str);
        parts.extend(sample.map(|sample| format!("“{sample}”")));
        if !self.error.is_empty() {
            parts.push(self.error.clone());
        }
        if parts.is_empty() { "it does not say why".into() } else { parts.join(", ") }
    }
}

impl Row {
    /// The line a row is summed up by: CPU per message, or else its first.
    pub(super) fn main_line(&self) -> Option<&Line> {
        let cpu = |line: &&Line| line.key == "cpu" || line.pointer.ends_with("/cpu_ns_per_message");
        self.lines.iter().find(cpu).or(self.lines.first())
    }

    /// What a row belongs to: its name up to the first number.
    pub(super) fn what(&self) -> &str {
        let starts_a_number = |at: &usize| self.name[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        let end = self.name.match_indices('-').map(|(at, _)| at).find(starts_a_number);
        end.map_or(self.name.as_str(), |end| &self.name[..end])
    }
}

impl Line {
    /// True if the number is as much the load generator's as the server's when both are busy.
    pub(super) fn is_the_pairs(&self) -> bool {
        matches!(self.unit, Unit::Micros | Unit::Thousands)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{results, run};
    use super::*;
    use serde_json::json;

    fn measured(reports: &[Value]) -> Option<Measured> {
        let results =
            results(&reports.iter().map(|report| run("echo-100", "tidegate", report)).collect::<Vec<_>>());
        let row = &results.rows[0];
        results.measured(row, &row.lines[0], results.reference().unwrap())
    }

    fn cpu(value: impl Into<Value>) -> Value {
        json!({ "ok": true, "server": { "cpu_ns_per_message": value.into() } })
    }

    #[test]
    fn a_number_is_the_median_of_its_runs_with_the_least_and_the_most() {
        let of = |values: &[f64]| measured(&values.iter().map(|value| cpu(*value)).collect::<Vec<_>>());
        assert_eq!(of(&[5.0, 1.0, 2.0]), Some(Measured { median: 2.0, least: 1.0, most: 5.0, runs: 3 }));
        assert_eq!(of(&[4.0, 2.0]), Some(Measured { median: 3.0, least: 2.0, most: 4.0, runs: 2 }));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn runs_without_the_number_do_not_count() {
        let reports = [cpu(7.0), cpu(Value::Null), json!({ "ok": true, "server": null }), Value::Null];
        assert_eq!(measured(&reports), Some(Measured { median: 7.0, least: 7.0, most: 7.0, runs: 1 }));
    }

    #[test]
    fn a_ratio_needs_two_numbers_above_zero() {
        let ratio = |ours: f64, theirs: f64| {
            let runs = [run("echo-100", "tidegate", &cpu(ours)), run("echo-100", "bun", &cpu(theirs))];
            let results = results(&runs);
            let row = &results.rows[0];
            let of = |name| results.servers.iter().find(|server| server.name == name).unwrap();
            assert_eq!(results.ratio(row, &row.lines[0], of("tidegate")), None);
            results.ratio(row, &row.lines[0], of("bun"))
        };
        assert_eq!(ratio(2.0, 3.0), Some(1.5));
        assert_eq!([ratio(0.0, 3.0), ratio(2.0, 0.0), ratio(2.0, -1.0)], [None; 3]);
    }

    #[test]
    fn a_failure_says_how_often_and_why() {
        let lost = json!({ "ok": false, "errors": { "failed_to_join": 0, "disconnected": 2, "lost": 1200,
            "duplicated": 0, "reordered": 0, "mismatched": 0, "heartbeats_missed": 0 },
            "error_samples": ["client 7: reset"] });
        let trouble = |reports: &[Value]| {
            let results =
                results(&reports.iter().map(|report| run("echo-100", "bun", report)).collect::<Vec<_>>());
            let bun = results.servers.iter().find(|server| server.name == "bun").unwrap();
            results.trouble(&results.rows[0], bun)
        };
        assert_eq!(trouble(&[cpu(1.0)]), None);
        assert_eq!(
            trouble(&[cpu(1.0), lost.clone()]).unwrap(),
            "1 of 2 runs failed: 2 clients that were disconnected, 1\u{202f}200 messages lost, “client 7: reset”"
        );
        assert!(trouble(&[lost]).unwrap().starts_with("its only run failed: "));
        assert_eq!(trouble(&[Value::Null, Value::Null]).unwrap(), "all 2 runs failed: it does not say why");
    }

    #[test]
    fn an_empty_file_is_a_result_without_anything() {
        let results = Results::parse("{}").unwrap();
        assert!(results.reference().is_none() && results.repetitions() == 0);
    }

    #[test]
    fn a_row_belongs_to_what_its_name_says_before_the_first_number() {
        let what = |name: &str| Row { name: name.into(), ..Row::default() }.what().to_owned();
        assert_eq!(
            ["echo-10000", "broadcast-1000-x16", "idle", "slow-readers-50"].map(what),
            ["echo", "broadcast", "idle", "slow-readers"]
        );
    }
}
