//! Runs servers and the load generator on different cores, one pair at a time, and compares what it cost.
//!
//! Repetitions are interleaved (A B C, A B C, …), because the machine's speed drifts over minutes: what is
//! compared was measured close together. Every run has a server process of its own, so that nothing a run leaves
//! behind (memory above all) is in the next.

pub mod links;
mod process;
mod rows;
mod server;
mod table;

pub use links::{LinkOptions, issue3};
pub use rows::{Limit, Line, ROWS, Row, Unit};
pub use server::Peer;
pub(crate) use table::median;

use clap::{Args, Parser};
use rustix::system::uname;
use serde_json::{Value, json};
use server::{Server, ServerError};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};
use table::{Run, Table};
use thiserror::Error;

/// Client addresses: each has 28 000 ports.
const SOURCES: &str = "127.0.0.1-127.0.0.8";

/// What every benchmark needs.
#[derive(Debug, Args)]
pub struct Common {
    /// Directory of the binaries.
    #[arg(long, value_name = "DIR")]
    bin_dir: PathBuf,
    /// Directory with the servers for Node and their `node_modules`.
    #[arg(long, value_name = "DIR")]
    node_dir: Option<PathBuf>,
    /// Directory for the results.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out_dir: PathBuf,
    /// Runs of each server in each row.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    repetitions: u32,
    /// One short run of everything: to see that it works, not to compare.
    #[arg(long)]
    quick: bool,
    /// Only rows whose name starts with one of these.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    rows: Vec<String>,
    /// Run everything under SCHED_FIFO (what is made of Node: nice -20), so that whatever else runs on the machine waits.
    #[arg(long)]
    fifo: bool,
}

/// What to measure for issue 2, and where.
#[derive(Debug, Parser)]
pub struct Options {
    /// What every benchmark needs.
    #[command(flatten)]
    common: Common,
    /// The servers, in this order. Those that are not built are left out.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Peer::Floor, Peer::Tidegate, Peer::Oxide])]
    servers: Vec<Peer>,
    /// CPU of the server.
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    server_core: u32,
    /// CPU of the load generator.
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    client_core: u32,
}

/// Why the benchmark could not go on.
#[derive(Debug, Error)]
pub enum BenchError {
    /// A file or a process of ours.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A server did not start.
    #[error("{0}")]
    Server(#[from] ServerError),
    /// The load generator said something else than a result.
    #[error("no result from the load generator: {0}")]
    Load(String),
    /// Nothing is left to compare.
    #[error("{0}")]
    Nothing(&'static str),
}

/// Measures the rows, prints the table, and writes everything to `<out_dir>/issue2.json`.
pub fn issue2(options: &Options) -> Result<(), BenchError> {
    let common = &options.common;
    fs::create_dir_all(&common.out_dir)?;
    let servers: Vec<Peer> = options.servers.iter().copied().filter(|peer| is_built(*peer, common)).collect();
    if servers.is_empty() {
        return Err(BenchError::Nothing("none of the servers is built"));
    }
    let mut runs = Vec::new();
    for row in ROWS.iter().filter(|row| common.wants(row.name)) {
        for repetition in 0..common.repetitions().min(row.repetitions_max) {
            for peer in servers.iter().copied().filter(|peer| row.suits(*peer)) {
                let report = measure(row, peer, options)?;
                runs.push(Run { row: row.name, peer, repetition, report });
            }
        }
        // As they come: a whole benchmark takes half an hour.
        print!("{}", Table { row, servers: &servers, runs: &runs });
    }
    common.save("issue2", &runs.iter().map(Run::to_json).collect::<Vec<_>>())
}

fn is_built(peer: Peer, common: &Common) -> bool {
    let built = peer.program(&common.bin_dir, common.node_dir.as_deref()).is_some();
    if !built {
        eprintln!("bench: {} is not built, and left out", peer.name());
    }
    built
}

/// One run: a fresh server on its core, the load generator on the other.
fn measure(row: &Row, peer: Peer, options: &Options) -> Result<Value, BenchError> {
    let common = &options.common;
    let program = peer
        .program(&common.bin_dir, common.node_dir.as_deref())
        .ok_or(BenchError::Nothing("a server has disappeared"))?;
    let server = Server::start(&peer.prefix(common, options.server_core), &program)?;
    let pid = server.pid().to_string();
    let timing = if common.quick { row.quick } else { row.full };
    let words = [row.load, timing, &["--url", server.url(), "--server-pid", &pid]].concat();
    let status = common.load(options.client_core, &words).stdout(Stdio::null()).status()?;
    common.report(status, &format!("{} with {}", row.name, peer.name()))
}

impl Common {
    /// Whether a row was asked for.
    fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|name| row.starts_with(name))
    }

    fn repetitions(&self) -> u32 {
        if self.quick { 1 } else { self.repetitions }
    }

    /// What puts a process on a core, and lets it end with us. All of it execs, so the process id stays.
    fn prefix(&self, core: u32) -> Vec<String> {
        self.prefix_with(&["chrt", "-f", "1"], core)
    }

    /// The same for Node: its threads spin for each other, which takes minutes under SCHED_FIFO with all of them on one CPU.
    /// Nice counts only within a session where the kernel groups processes by it, so the session needs it, too.
    fn node_prefix(&self, core: u32) -> Vec<String> {
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
    fn load(&self, core: u32, words: &[&str]) -> Command {
        let mut command = command(&self.prefix(core));
        command
            .arg(self.bin_dir.join("tidegate-loadgen"))
            .args(words)
            .args(["--cores", &core.to_string(), "--source-addresses", SOURCES, "--json"])
            .arg(self.result());
        command
    }

    /// What the load generator has found out. Errors it counted are told; they spoil the run, not the benchmark.
    fn report(&self, status: ExitStatus, what: &str) -> Result<Value, BenchError> {
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

    /// Writes every run, and what it ran on, to `<out_dir>/<name>.json`.
    fn save(&self, name: &str, runs: &[Value]) -> Result<(), BenchError> {
        if runs.is_empty() {
            return Err(BenchError::Nothing("no row has such a name"));
        }
        let system = uname();
        let result = json!({
            "unix_time": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            "kernel": system.release().to_string_lossy(),
            "cpu": cpu_model(),
            "quick": self.quick,
            "fifo": self.fifo,
            "runs": runs,
        });
        let path = self.out_dir.join(name).with_extension("json");
        fs::write(&path, format!("{result:#}\n"))?;
        println!("\nEvery run is in {}", path.display());
        Ok(())
    }
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    model.map(|model| model.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default()
}
