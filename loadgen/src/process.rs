//! What the server process costs, read from `/proc`.
//!
//! CPU is the run time the scheduler accounts to each thread (`schedstat`, nanoseconds), not the ticks of
//! `/proc/PID/stat`: it includes the softirq work that a `send` over loopback does in the sender's context, and
//! on a busy thread it lags by one tick (4 ms) at most. A thread that ends between two samples takes what it
//! used since the first with it. Child processes and theirs are part of the server: a cluster counts whole.

use crate::clock::{self, Nanos};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Processes of one server. A fork bomb is not one.
const PROCESSES_MAX: usize = 4096;

/// A process to watch.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    root: PathBuf,
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

    /// Reads its usage, and that of its children. An error means that it is gone, or not ours to read.
    pub(crate) fn sample(&self) -> io::Result<Usage> {
        let mut usage = Usage { at: clock::now(), ..Usage::default() };
        let mut children = Vec::new();
        add(&self.root, &mut usage, &mut children)?;
        let mut next = 0;
        while next < children.len() && children.len() < PROCESSES_MAX {
            let root = PathBuf::from(format!("/proc/{}", children[next]));
            // A child may end at any moment.
            let _gone = add(&root, &mut usage, &mut children);
            next += 1;
        }
        Ok(usage)
    }

    /// How it was started, for the report.
    pub(crate) fn command_line(&self) -> String {
        let bytes = fs::read(self.root.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " ")
    }
}

/// Adds one process to `usage`, and the ids of its children to `children`.
fn add(root: &Path, usage: &mut Usage, children: &mut Vec<u32>) -> io::Result<()> {
    usage.rss_bytes += rss_bytes(root)?;
    for entry in fs::read_dir(root.join("task"))? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
        usage.threads.insert(id, parse_run_time(&text).ok_or(io::ErrorKind::InvalidData)?);
        let listed = fs::read_to_string(entry.path().join("children")).unwrap_or_default();
        children.extend(listed.split_ascii_whitespace().filter_map(|id| id.parse::<u32>().ok()));
    }
    Ok(())
}

/// `smaps_rollup` counts pages; the counters of `status` are only approximate on newer kernels.
fn rss_bytes(root: &Path) -> io::Result<u64> {
    let exact = fs::read_to_string(root.join("smaps_rollup"));
    let text = exact.or_else(|_| fs::read_to_string(root.join("status")))?;
    Ok(parse_rss(&text).unwrap_or(0))
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
    fn our_own_process_can_be_sampled_and_its_children_count() {
        let ours = Process::new(std::process::id());
        assert!(ours.sample().unwrap().rss_bytes > 0);
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(ours.sample().unwrap().threads.contains_key(&child.id()));
        assert!(!ours.command_line().is_empty());
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
