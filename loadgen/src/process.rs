//! What the server process costs, and the one behind it, read from `/proc`.
//!
//! CPU is the run time the scheduler accounts to each thread (`schedstat`, nanoseconds), not the ticks of
//! `/proc/PID/stat`: it includes the softirq work that a `send` over loopback does in the sender's context, and
//! on a busy thread it lags by one tick (4 ms) at most. A thread that ends between two samples takes what it
//! used since the first with it.

use crate::clock::{self, Nanos};
use std::collections::HashMap;
use std::path::PathBuf;
use std::{fs, io};

/// A process to watch.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    root: PathBuf,
}

/// What a process had used at the moments of a run that matter.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    process: Process,
    /// Before the first connection.
    pub(crate) before: Usage,
    /// After the last.
    pub(crate) connected: Usage,
    /// From the start of the measured window to its end.
    pub(crate) series: Vec<Usage>,
}

/// What a process had used at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) at: Nanos,
    /// Run time by thread id.
    threads: HashMap<u32, Nanos>,
    pub(crate) rss_bytes: u64,
}

impl Process {
    /// The process with this id.
    pub(crate) fn new(pid: u32) -> Self {
        Self { root: PathBuf::from(format!("/proc/{pid}")) }
    }

    /// Reads its usage. An error means that it is gone, or not ours to read.
    pub(crate) fn sample(&self) -> io::Result<Usage> {
        let mut usage = Usage { at: clock::now(), rss_bytes: self.rss_bytes()?, ..Usage::default() };
        for entry in fs::read_dir(self.root.join("task"))? {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            usage.threads.insert(id, parse_run_time(&text).ok_or(io::ErrorKind::InvalidData)?);
        }
        Ok(usage)
    }

    /// `smaps_rollup` counts pages; the counters of `status` are only approximate on newer kernels.
    fn rss_bytes(&self) -> io::Result<u64> {
        let exact = fs::read_to_string(self.root.join("smaps_rollup"));
        let text = exact.or_else(|_| fs::read_to_string(self.root.join("status")))?;
        Ok(parse_rss(&text).unwrap_or(0))
    }
}

impl Observed {
    /// Takes the sample before the first connection.
    pub(crate) fn begin(pid: u32) -> io::Result<Self> {
        let process = Process::new(pid);
        let before = process.sample()?;
        Ok(Self { process, connected: before.clone(), before, series: Vec::new() })
    }

    /// Every client has joined or failed.
    pub(crate) fn connected(&mut self) -> io::Result<()> {
        self.connected = self.process.sample()?;
        Ok(())
    }

    /// One more sample of the measured window.
    pub(crate) fn measure(&mut self) -> io::Result<()> {
        self.series.push(self.process.sample()?);
        Ok(())
    }
}

impl Usage {
    /// CPU time used since `earlier`, all threads.
    pub(crate) fn cpu_since(&self, earlier: &Self) -> Nanos {
        let used =
            |(id, run): (&u32, &Nanos)| run.saturating_sub(earlier.threads.get(id).copied().unwrap_or(0));
        self.threads.iter().map(used).sum()
    }

    /// Threads alive at the moment.
    pub(crate) fn threads(&self) -> usize {
        self.threads.len()
    }
}

/// First field of `schedstat`: nanoseconds on a CPU.
fn parse_run_time(text: &str) -> Option<Nanos> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// `Rss:` of `smaps_rollup`, or `VmRSS:` of `status`; both in KiB.
fn parse_rss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:").or(line.strip_prefix("VmRSS:")))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        assert_eq!(parse_run_time("123456 789 4\n"), Some(123_456));
        assert_eq!(parse_rss("5581-7ff [rollup]\nRss:    2048 kB\nPss: 1 kB\n"), Some(2 << 20));
        assert_eq!(parse_rss("Name:\tx\nVmRSS:\t    12 kB\n"), Some(12 * 1024));
        assert_eq!(parse_rss("Name:\tx\n"), None);
    }

    #[test]
    fn new_threads_count_from_zero_and_ended_ones_not_at_all() {
        let before = Usage { threads: [(1, 100), (2, 50)].into(), ..Usage::default() };
        let after = Usage { threads: [(1, 130), (3, 7)].into(), ..Usage::default() };
        assert_eq!(after.cpu_since(&before), 37);
    }

    #[test]
    fn our_own_process_can_be_sampled() {
        let usage = Process::new(std::process::id()).sample().unwrap();
        assert!(usage.rss_bytes > 0 && usage.threads() > 0);
    }
}
