//! What every benchmark needs: where things are, how often, and how a process gets its CPU.

use super::BenchError;
use clap::Args;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

/// Client addresses: each has 28 000 ports.
const SOURCES: &str = "127.0.0.1-127.0.0.8";

/// What every benchmark needs.
#[derive(Debug, Args)]
pub struct Common {
    /// Directory of the binaries.
    #[arg(long, value_name = "DIR")]
    pub(super) bin_dir: PathBuf,
    /// Directory into which `benches/peers/install` has installed the servers for Node, Bun and Python.
    #[arg(long, value_name = "DIR", default_value = "target/peers")]
    pub(super) peers_dir: PathBuf,
    /// Directory for the results.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub(super) out_dir: PathBuf,
    /// Runs of each server in each row.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    repetitions: u32,
    /// One short run of everything: to see that it works, not to compare.
    #[arg(long)]
    pub(super) quick: bool,
    /// Only rows whose names are these, or start with them. A number counts as a whole: `echo-100` is not `echo-1000`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) rows: Vec<String>,
    /// Run everything under SCHED_FIFO (Node and Bun: nice -20), so that whatever else runs on the machine waits.
    #[arg(long)]
    pub(super) fifo: bool,
}

impl Common {
    /// Whether a row was asked for.
    pub(super) fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|name| is_named(row, name))
    }

    pub(super) fn repetitions(&self) -> u32 {
        if self.quick { 1 } else { self.repetitions }
    }

    /// What puts a process on a core, and lets it end with us. All of it execs, so the process id stays.
    pub(super) fn prefix(&self, core: u32) -> Vec<String> {
        self.prefix_with(&["chrt", "-f", "1"], core)
    }

    /// The same for runtimes whose threads spin for each other (Node, Bun), which takes minutes under SCHED_FIFO with all of
    /// them on one CPU. Nice counts only within a session where the kernel groups processes by it, so the session needs it, too.
    pub(super) fn nice_prefix(&self, core: u32) -> Vec<String> {
        const PUSH: &str = "echo -20 >/proc/self/autogroup; exec nice -n -20 \"$@\"";
        self.prefix_with(&["setsid", "sh", "-c", PUSH, "sh"], core)
    }

    fn prefix_with(&self, priority: &[&str], core: u32) -> Vec<String> {
        let priority = if self.fifo { priority } else { &[] };
        let core = core.to_string();
        let words = [&["setpriv", "--pdeathsig", "KILL"], priority, &["taskset", "-c", &core]].concat();
        words.into_iter().map(str::to_owned).collect()
    }

    /// The load generator on a core. `words` begin with the scenario.
    pub(super) fn load(&self, core: u32, words: &[&str]) -> Command {
        let mut command = command(&self.prefix(core));
        command
            .arg(self.bin_dir.join("tidegate-loadgen"))
            .args(words)
            .args(["--cores", &core.to_string(), "--source-addresses", SOURCES, "--json"])
            .arg(self.result());
        command
    }

    /// What the load generator has found out. Errors it counted are told; they spoil the run, not the benchmark.
    pub(super) fn report(&self, status: ExitStatus, what: &str) -> Result<Value, BenchError> {
        // 1 means that the run went through and something was lost: the report says what.
        if !matches!(status.code(), Some(0 | 1)) {
            return Err(BenchError::Load(format!("{what}: {status}")));
        }
        let text = fs::read(self.result())?;
        fs::remove_file(self.result())?;
        let report: Value =
            serde_json::from_slice(&text).map_err(|error| BenchError::Load(error.to_string()))?;
        if report["ok"] != json!(true) {
            eprintln!("bench: {what}: {} {}", report["errors"], report["error_samples"]);
        }
        Ok(report)
    }

    fn result(&self) -> PathBuf {
        self.out_dir.join("run.json")
    }
}

/// Whether a row is meant by its name, or by what its name starts with.
fn is_named(row: &str, name: &str) -> bool {
    let cuts_a_number = |rest: &str| {
        name.ends_with(|last: char| last.is_ascii_digit())
            && rest.starts_with(|next: char| next.is_ascii_digit())
    };
    row.strip_prefix(name).is_some_and(|rest| !cuts_a_number(rest))
}

/// A command of a prefix and what is to follow.
pub(super) fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_asked_for_by_what_it_starts_with_but_not_by_a_part_of_its_number() {
        assert!(is_named("echo-100", "echo") && is_named("echo-1000", "echo"));
        assert!(is_named("echo-100", "echo-100") && !is_named("echo-1000", "echo-100"));
        assert!(is_named("broadcast-1000-x16", "broadcast-1000"));
        assert!(!is_named("echo-100", "idle"));
    }
}
