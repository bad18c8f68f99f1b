//! What to do with a result, and which errors are none.

use clap::{Args, ValueEnum};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

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

impl OutputOptions {
    /// Finds out before the run whether the files can be written after it.
    pub fn check(&self) -> io::Result<()> {
        [&self.json, &self.hdr, &self.report].into_iter().flatten().try_for_each(|path| check_file(path))
    }
}

impl CompareOptions {
    /// The same.
    pub fn check(&self) -> io::Result<()> {
        self.report.iter().try_for_each(|path| check_file(path))
    }
}

/// What is there stays as it is, and what is not there is not there afterwards.
fn check_file(path: &Path) -> io::Result<()> {
    let was_there = path.exists();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|error| io::Error::other(format!("cannot write {}: {error}", path.display())))?;
    if was_there { Ok(()) } else { fs::remove_file(path) }
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
    Unsent,
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
