//! Runs servers and the load generator on different cores, one pair at a time, and compares what it cost.
//!
//! Repetitions are interleaved (A B C, A B C, …), because the machine's speed drifts over minutes: what is
//! compared was measured close together. Every run has a server process of its own, so that nothing a run leaves
//! behind (memory above all) is in the next.

mod rows;
mod server;
mod table;

pub use rows::{Limit, Line, ROWS, Row, Unit};
pub use server::Peer;

use clap::Parser;
use rustix::system::uname;
use serde_json::{Value, json};
use server::{Server, ServerError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};
use table::{Run, Table};
use thiserror::Error;

/// What to measure, and where.
#[derive(Debug, Parser)]
pub struct Options {
    /// Directory of the binaries.
    #[arg(long, value_name = "DIR")]
    bin_dir: PathBuf,
    /// Directory with `node.mjs` and its `node_modules`.
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
    /// The servers, in this order. Those that are not built are left out.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Peer::Floor, Peer::Tidegate, Peer::Oxide])]
    servers: Vec<Peer>,
    /// Only rows whose name starts with one of these.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    rows: Vec<String>,
    /// CPU of the server.
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    server_core: u32,
    /// CPU of the load generator.
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    client_core: u32,
    /// Run both under SCHED_FIFO, so that whatever else runs on the machine waits.
    #[arg(long)]
    fifo: bool,
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
    fs::create_dir_all(&options.out_dir)?;
    let servers: Vec<Peer> =
        options.servers.iter().copied().filter(|peer| is_built(*peer, options)).collect();
    if servers.is_empty() {
        return Err(BenchError::Nothing("none of the servers is built"));
    }
    let wanted =
        |row: &&Row| options.rows.is_empty() || options.rows.iter().any(|name| row.name.starts_with(name));
    let mut runs = Vec::new();
    for row in ROWS.iter().filter(wanted) {
        let repetitions = if options.quick { 1 } else { options.repetitions.min(row.repetitions_max) };
        for repetition in 0..repetitions {
            for peer in servers.iter().copied().filter(|peer| row.suits(*peer)) {
                let report = measure(row, peer, options)?;
                runs.push(Run { row: row.name, peer, repetition, report });
            }
        }
        // As they come: a whole benchmark takes half an hour.
        print!("{}", Table { row, servers: &servers, runs: &runs });
    }
    if runs.is_empty() {
        return Err(BenchError::Nothing("no row has such a name"));
    }
    save(&runs, options)
}

fn is_built(peer: Peer, options: &Options) -> bool {
    let built = peer.program(&options.bin_dir, options.node_dir.as_deref()).is_some();
    if !built {
        eprintln!("bench: {} is not built, and left out", peer.name());
    }
    built
}

/// One run: a fresh server on its core, the load generator on the other.
fn measure(row: &Row, peer: Peer, options: &Options) -> Result<Value, BenchError> {
    let prefix = prefix(options.server_core, options.fifo);
    let program = peer
        .program(&options.bin_dir, options.node_dir.as_deref())
        .ok_or(BenchError::Nothing("a server has disappeared"))?;
    let server = Server::start(&prefix, &program)?;
    let result = options.out_dir.join("run.json");
    let core = options.client_core.to_string();
    let mut load = command(&self::prefix(options.client_core, options.fifo));
    load.arg(options.bin_dir.join("tidegate-loadgen"))
        .args(row.load)
        .args(if options.quick { row.quick } else { row.full })
        .args(["--url", server.url(), "--server-pid", &server.pid().to_string(), "--cores", &core])
        .args(["--source-addresses", "127.0.0.1-127.0.0.8", "--json"])
        .arg(&result)
        .stdout(Stdio::null());
    let status = load.status()?;
    let report = match status.code() {
        // 1 means that the run went through and something was lost: the report says what.
        Some(0 | 1) => read_report(&result)?,
        _ => return Err(BenchError::Load(format!("{} with {}: {status}", row.name, peer.name()))),
    };
    if report["ok"] != json!(true) {
        eprintln!(
            "bench: {} with {}: {} {}",
            row.name,
            peer.name(),
            report["errors"],
            report["error_samples"]
        );
    }
    Ok(report)
}

fn read_report(path: &Path) -> Result<Value, BenchError> {
    let text = fs::read(path)?;
    fs::remove_file(path)?;
    serde_json::from_slice(&text).map_err(|error| BenchError::Load(error.to_string()))
}

/// What puts a process on a core. All of it execs, so the process id stays.
fn prefix(core: u32, fifo: bool) -> Vec<String> {
    let priority = if fifo { "chrt -f 1 " } else { "" };
    format!("{priority}taskset -c {core}").split(' ').map(str::to_owned).collect()
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

fn save(runs: &[Run], options: &Options) -> Result<(), BenchError> {
    let system = uname();
    let result = json!({
        "unix_time": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        "kernel": system.release().to_string_lossy(),
        "cpu": cpu_model(),
        "quick": options.quick,
        "fifo": options.fifo,
        "runs": runs.iter().map(Run::to_json).collect::<Vec<_>>(),
    });
    let path = options.out_dir.join("issue2.json");
    fs::write(&path, format!("{result:#}\n"))?;
    println!("\nEvery run is in {}", path.display());
    Ok(())
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    model.map(|model| model.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default()
}
