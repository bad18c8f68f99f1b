//! The file that a benchmark leaves: every run, and all that is needed to show it. What shows it knows nothing but this file.

use super::{BenchError, Common, Lineup};
use rustix::system::uname;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io, thread};

/// Everything that was measured, and on what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Results {
    /// When the file was written.
    unix_time: u64,
    kernel: String,
    cpu: String,
    /// CPUs that there are, whether used or not.
    cores: usize,
    /// Of this repository; several if runs of another were kept.
    commit: String,
    quick: bool,
    fifo: bool,
    /// In the order of the table.
    pub(super) servers: Vec<About>,
    /// In the order of the table.
    pub(super) rows: Vec<RowAbout>,
    pub(super) runs: Vec<Run>,
}

/// What a server is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) name: String,
    title: String,
    /// Of what it is made.
    pub(super) version: String,
    /// `ours`, `peer` or `floor`.
    kind: Value,
}

/// What a row is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RowAbout {
    pub(super) name: String,
    pub(super) title: String,
    /// The numbers that are shown of it.
    pub(super) lines: Vec<Value>,
}

/// One run of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) row: String,
    pub(super) server: String,
    pub(super) repetition: u32,
    /// The load generator's, and what was added to it. Not `ok` and nothing else if the run did not go through.
    pub(super) report: Value,
    /// Why it did not go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

impl Run {
    pub(super) fn new(row: &str, lineup: Lineup, repetition: u32, report: Value) -> Self {
        Self { row: row.into(), server: lineup.name().into(), repetition, report, error: None }
    }

    /// One that did not go through.
    pub(super) fn failed(row: &str, lineup: Lineup, repetition: u32, error: &BenchError) -> Self {
        let run = Self::new(row, lineup, repetition, json!({ "ok": false }));
        Self { error: Some(error.to_string()), ..run }
    }

    /// True if it is of the same row and server.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        self.row == other.row && self.server == other.server
    }
}

impl About {
    pub(super) fn new(lineup: Lineup, version: String) -> Self {
        Self { name: lineup.name().into(), title: lineup.title().into(), version, kind: json!(lineup.kind()) }
    }
}

impl Results {
    /// Without any runs.
    pub(super) fn new(common: &Common) -> Self {
        Self {
            unix_time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            kernel: uname().release().to_string_lossy().into_owned(),
            cpu: cpu_model(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            commit: commit(),
            quick: common.quick,
            fifo: common.fifo,
            servers: Vec::new(),
            rows: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Of nowhere.
    #[cfg(test)]
    pub(super) fn of(runs: Vec<Run>) -> Self {
        let (kernel, cpu, commit) = ("6".into(), "x".into(), "a".into());
        let (servers, rows) = (Vec::new(), Vec::new());
        Self { unix_time: 0, kernel, cpu, cores: 2, commit, quick: false, fifo: true, servers, rows, runs }
    }

    /// Reads an earlier file. `None` if there is none.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, BenchError> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let results = serde_json::from_slice(&text);
        results.map(Some).map_err(|error| BenchError::Keep(path.to_owned(), error.to_string()))
    }

    /// Takes over the runs of `earlier` that are not repeated here.
    ///
    /// # Errors
    ///
    /// If they were made in another way, or on another machine: what says in which condition is that they differ.
    pub(super) fn keep(&mut self, earlier: &Self) -> Result<(), &'static str> {
        let differs = [
            ("kernel", self.kernel != earlier.kernel),
            ("CPU", self.cpu != earlier.cpu),
            ("--quick", self.quick != earlier.quick),
            ("--fifo", self.fifo != earlier.fifo),
        ];
        if let Some((what, _)) = differs.into_iter().find(|(_, differs)| *differs) {
            return Err(what);
        }
        let again = |run: &&Run| self.runs.iter().any(|new| new.repeats(run));
        let kept: Vec<Run> = earlier.runs.iter().filter(|run| !again(run)).cloned().collect();
        for commit in earlier.commit.split(", ").filter(|_| !kept.is_empty()) {
            if !self.commit.split(", ").any(|known| known == commit) {
                self.commit = format!("{}, {commit}", self.commit);
            }
        }
        self.runs.extend(kept);
        Ok(())
    }

    /// Writes it.
    pub(super) fn save(&self, path: &Path) -> Result<(), BenchError> {
        // An hour's work is not overwritten by half a file.
        let new = path.with_extension("json.new");
        fs::write(&new, format!("{:#}\n", json!(self)))?;
        fs::rename(&new, path)?;
        Ok(())
    }

    /// The reports of a row's runs of a server that went through.
    pub(super) fn reports(&self, row: &str, lineup: Lineup) -> impl Iterator<Item = &Value> {
        let runs = self.runs.iter().filter(move |run| run.row == row && run.server == lineup.name());
        runs.map(|run| &run.report)
    }
}

pub(super) fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    model.map(|model| model.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default()
}

/// Empty where there is no repository.
pub(super) fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty", "--exclude", "*"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(commit: &str, runs: &[(&str, Lineup, f64)]) -> Results {
        let run = |(row, lineup, cpu): &(&str, Lineup, f64)| Run::new(row, *lineup, 0, json!({ "cpu": cpu }));
        Results { commit: commit.into(), ..Results::of(runs.iter().map(run).collect()) }
    }

    fn cpu(results: &Results, row: &str, lineup: Lineup) -> Vec<f64> {
        results.reports(row, lineup).filter_map(|report| report["cpu"].as_f64()).collect()
    }

    #[test]
    fn runs_of_the_same_row_and_server_replace_those_that_are_kept() {
        let earlier = results("a", &[("echo", Lineup::Floor, 1.0), ("echo", Lineup::Bun, 2.0)]);
        let mut new = results("b", &[("echo", Lineup::Bun, 3.0), ("idle", Lineup::Bun, 4.0)]);
        new.keep(&earlier).unwrap();
        assert_eq!(cpu(&new, "echo", Lineup::Floor), [1.0]);
        assert_eq!(cpu(&new, "echo", Lineup::Bun), [3.0]);
        assert_eq!(cpu(&new, "idle", Lineup::Bun), [4.0]);
        assert_eq!(new.commit, "b, a");
    }

    #[test]
    fn the_commit_is_not_named_when_nothing_of_it_is_kept() {
        let mut new = results("b", &[("echo", Lineup::Bun, 3.0)]);
        new.keep(&results("a", &[("echo", Lineup::Bun, 2.0)])).unwrap();
        assert_eq!((new.runs.len(), &new.commit[..]), (1, "b"));
    }

    #[test]
    fn what_was_measured_in_another_way_is_not_kept() {
        let earlier = Results { quick: true, ..results("a", &[]) };
        assert_eq!(results("a", &[]).keep(&earlier), Err("--quick"));
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let mut written = results("a", &[("echo", Lineup::Floor, 1.0)]);
        let late = BenchError::Nothing("why");
        written.runs.push(Run::failed("echo", Lineup::Bun, 0, &late));
        written.servers.push(About::new(Lineup::Floor, "floor 1".into()));
        let read: Results = serde_json::from_value(json!(written)).unwrap();
        assert_eq!(json!(read), json!(written));
        assert_eq!(json!(read)["servers"][0]["kind"], json!("floor"));
        assert_eq!(json!(read)["runs"][1]["error"], json!("why"));
        assert_eq!(json!(read)["runs"][0].get("error"), None);
    }
}
