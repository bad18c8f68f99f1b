//! What to do with a result, and which errors are none.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What to do with the result of a run.
#[derive(Clone, Debug, Default, Args)]
pub struct OutputOptions {
    /// The server's process, to measure CPU time and memory, its threads and child processes included.
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// The process behind the server, to measure its CPU time and memory by itself.
    #[arg(long, value_name = "PID")]
    pub backend_pid: Option<u32>,
    /// Write the result here as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the latencies here: an HdrHistogram interval log if it ends in .hlog, else a percentile file (.hgrm).
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,
    /// Write a page for people here, as self-contained HTML.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Errors that are shown but do not fail the run.
    #[arg(long, value_name = "KINDS", value_enum, value_delimiter = ',')]
    pub allow: Vec<Allow>,
}

/// A kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names are those of `Errors`")]
pub enum Allow {
    FailedToJoin,
    Disconnected,
    Lost,
    Duplicated,
    Reordered,
    Mismatched,
    HeartbeatsMissed,
    /// All of them.
    All,
}

/// `compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareOptions {
    /// Results written with `--json`. With one file: its report.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write a page for people here, as self-contained HTML.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}
