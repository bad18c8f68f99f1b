//! Counts instructions under callgrind.
//!
//! Every workload runs in a process of its own, so that none depends on what went before. Callgrind collects in one
//! function only (`collected_here`), so setting up and warming up cost time and count nothing.

use crate::Workload;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::{fs, io};

/// What makes a process run one workload and end.
pub const RUN: &str = "--run";

/// Environment of the counted process.
const ENVIRONMENT: [(&str, &str); 2] = [
    // mimalloc gives memory back when some milliseconds have passed, and under callgrind time is another.
    ("MIMALLOC_PURGE_DELAY", "-1"),
    // `rep movsb` is one instruction to a processor, and one for each byte to callgrind: glibc is to copy and to fill
    // with vectors, however much there is.
    (
        "GLIBC_TUNABLES",
        "glibc.cpu.x86_rep_movsb_threshold=0x40000000:glibc.cpu.x86_rep_stosb_threshold=0x40000000",
    ),
];

/// Why instructions could not be counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// Valgrind could not be started, or what it wrote could not be read.
    #[error("valgrind: {0}")]
    Io(#[from] io::Error),
    /// The workload has failed.
    #[error("{0}\n{1}")]
    Failed(ExitStatus, String),
    /// Nothing was collected: the function has another name in the binary than callgrind was told.
    #[error("callgrind has collected nothing")]
    Nothing,
}

/// Does everything but what is counted, then that. To be called in the process that callgrind watches.
pub fn run(workload: &Workload) {
    let mut call = (workload.prepare)();
    (0..2 * workload.calls).for_each(|_| call());
    collected_here(&mut *call, workload.calls);
}

/// Callgrind knows this function by its name.
#[inline(never)]
fn collected_here(call: &mut dyn FnMut(), calls: u32) {
    (0..calls).for_each(|_| call());
}

/// Instructions per operation. `program` runs [`run`] when it is given [`RUN`] and a name; `out` is a file to be
/// overwritten.
///
/// # Errors
/// Without valgrind, or if the workload panics.
pub fn count(program: &Path, workload: &Workload, out: &Path) -> Result<f64, CountError> {
    let mut out_file = std::ffi::OsString::from("--callgrind-out-file=");
    out_file.push(out);
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--toggle-collect=*collected_here*"])
        .arg(out_file)
        .arg(program)
        .args([RUN, &workload.name])
        .envs(ENVIRONMENT)
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(CountError::Failed(output.status, said));
    }
    let profile = fs::read_to_string(out)?;
    let total = total(&profile).filter(|&total| total > 0).ok_or(CountError::Nothing)?;
    Ok(total as f64 / (f64::from(workload.calls) * f64::from(workload.operations)))
}

/// All that was collected, from the last lines of a profile.
fn total(profile: &str) -> Option<u64> {
    profile.lines().rev().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_a_profile() {
        assert_eq!(total("events: Ir\nfn=a\n1 2\n\ntotals: 1234\n"), Some(1234));
        assert_eq!(total("events: Ir\n"), None);
    }
}
