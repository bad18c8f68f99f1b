//! Runs, what they come to, and the file they are kept in.

use super::rows::{KINDS, Kind, Line, Server};
use crate::runner::median;
use crate::runner::results::{commit, cpu_model};
use crate::runner::{BenchError, Common};
use rustix::system::uname;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// One run of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) row: String,
    pub(super) server: String,
    pub(super) repetition: u32,
    /// The load generator's report, and what was added to it.
    pub(super) report: Value,
}

/// Everything that was measured, and on what.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Results {
    unix_time: u64,
    kernel: String,
    cpu: String,
    cores: usize,
    commit: String,
    fifo: bool,
    pub(super) runs: Vec<Run>,
}

impl Results {
    pub(super) fn new(common: &Common, runs: Vec<Run>) -> Self {
        Self {
            unix_time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            kernel: uname().release().to_string_lossy().into_owned(),
            cpu: cpu_model(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            commit: commit(),
            fifo: common.fifo,
            runs,
        }
    }

    /// Those of an earlier run.
    pub(super) fn load(common: &Common) -> Result<Self, BenchError> {
        let text = fs::read(path(common))?;
        serde_json::from_slice(&text).map_err(|error| BenchError::Load(error.to_string()))
    }

    /// Writes `<out_dir>/scaling.json`, in the shape all benchmarks have.
    pub(super) fn save(&self, common: &Common) -> Result<PathBuf, BenchError> {
        let servers: Vec<Value> = Server::ALL
            .iter()
            .filter(|server| self.runs.iter().any(|run| run.server == server.name()))
            .map(|server| {
                let version = format!("tidegate {}", env!("CARGO_PKG_VERSION"));
                json!({ "name": server.name(), "title": server.title(), "version": version, "kind": "ours" })
            })
            .collect();
        let rows: Vec<Value> = KINDS
            .iter()
            .flat_map(|kind| kind.sizes.iter().map(|size| self.row(kind, *size)))
            .flatten()
            .collect();
        let result = json!({
            "unix_time": self.unix_time,
            "kernel": self.kernel,
            "cpu": self.cpu,
            "cores": self.cores,
            "commit": self.commit,
            "quick": common.quick,
            "fifo": self.fifo,
            "servers": servers,
            "rows": rows,
            "runs": self.runs,
        });
        let path = path(common);
        fs::write(&path, format!("{result:#}\n"))?;
        Ok(path)
    }

    /// `None` if it was not measured.
    fn row(&self, kind: &Kind, connections: u32) -> Option<Value> {
        let name = kind.row(connections);
        self.runs.iter().any(|run| run.row == name).then(|| {
            let title = format!("{}, {connections} connections", kind.title);
            json!({ "name": name, "title": title, "connections": connections, "lines": kind.lines })
        })
    }

    /// The median of a number over the repetitions. `None` if there is none, or if some run had errors: then it means nothing.
    pub(super) fn median(&self, kind: &Kind, connections: u32, server: Server, line: Line) -> Option<f64> {
        let row = kind.row(connections);
        let runs = || self.runs.iter().filter(|run| run.row == row && run.server == server.name());
        if runs().any(|run| run.report["ok"] != json!(true)) {
            return None;
        }
        median(runs().filter_map(|run| run.report.pointer(line.pointer)?.as_f64()).collect())
    }

    /// The largest size that has the number, and the number.
    pub(super) fn largest(&self, kind: &Kind, server: Server, line: Line) -> Option<(u32, f64)> {
        kind.sizes.iter().rev().find_map(|size| Some((*size, self.median(kind, *size, server, line)?)))
    }

    /// A line on what it was measured on.
    pub(super) fn setting(&self) -> String {
        let repetitions = self.runs.iter().map(|run| run.repetition + 1).max().unwrap_or(0);
        let priority = if self.fifo { ", everything under SCHED_FIFO" } else { "" };
        format!(
            "Medians of {repetitions} at most; {}, {} CPUs, Linux {}; commit {}{priority}.",
            self.cpu, self.cores, self.kernel, self.commit
        )
    }
}

fn path(common: &Common) -> PathBuf {
    common.out_dir.join("scaling.json")
}

#[cfg(test)]
mod tests {
    use super::super::rows::{ECHO, MESSAGE_CPU};
    use super::*;

    fn results(reports: &[(bool, f64)]) -> Results {
        let run = |(repetition, (ok, cpu)): (u32, &(bool, f64))| Run {
            row: "echo-2000".into(),
            server: "tidegate-1-core".into(),
            repetition,
            report: json!({ "ok": ok, "message": { "cpu_ns": cpu } }),
        };
        Results {
            unix_time: 0,
            kernel: String::new(),
            cpu: String::new(),
            cores: 2,
            commit: String::new(),
            fifo: false,
            runs: (0..).zip(reports).map(run).collect(),
        }
    }

    #[test]
    fn a_number_is_the_median_of_its_runs() {
        let results = results(&[(true, 5.0), (true, 4.0), (true, 9.0)]);
        assert_eq!(results.median(&ECHO, 2000, Server::OneCore, MESSAGE_CPU), Some(5.0));
        assert_eq!(results.median(&ECHO, 1000, Server::OneCore, MESSAGE_CPU), None);
        assert_eq!(results.largest(&ECHO, Server::OneCore, MESSAGE_CPU), Some((2000, 5.0)));
    }

    #[test]
    fn a_run_with_errors_spoils_the_number() {
        let results = results(&[(true, 5.0), (false, 4.0)]);
        assert_eq!(results.median(&ECHO, 2000, Server::OneCore, MESSAGE_CPU), None);
    }
}
