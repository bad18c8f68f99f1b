//! The monotonic clock, in nanoseconds: one number that all threads share and that timers understand. And what the
//! calling thread has used.

use crate::stats::Load;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::fs;
use std::time::Duration;

/// Nanoseconds of `CLOCK_MONOTONIC`, or a difference of two such.
pub type Nanos = u64;

/// Nanoseconds in a second.
pub const SECOND: Nanos = 1_000_000_000;
/// Nanoseconds in a tick of `/proc/PID/stat`: Linux tells user space 100 per second, whatever its own are.
const TICK: Nanos = SECOND / 100;

/// The time now.
pub fn now() -> Nanos {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// CPU time, user and kernel, that the calling thread has used so far.
pub(crate) fn thread_cpu() -> Nanos {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
}

/// What the calling thread has used so far, and now as its wall time. Reads files: not for every message.
pub(crate) fn thread_load() -> Load {
    let read = |name: &str| fs::read_to_string(format!("/proc/thread-self/{name}")).unwrap_or_default();
    Load {
        cpu: thread_cpu(),
        user: parse_user_time(&read("stat")).unwrap_or(0),
        waited: parse_wait_time(&read("schedstat")).unwrap_or(0),
        wall: now(),
    }
}

/// A duration in nanoseconds. What does not fit (584 years) is cut.
pub fn from_duration(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn nanos(time: Timespec) -> Nanos {
    let seconds = u64::try_from(time.tv_sec).expect("these clocks start at zero");
    let rest = u64::try_from(time.tv_nsec).expect("below one second by definition");
    seconds * SECOND + rest
}

/// Field 14 of `stat`, in ticks. The name, field 2, may hold anything, and ends with the last parenthesis.
fn parse_user_time(stat: &str) -> Option<Nanos> {
    let ticks: u64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(11)?.parse().ok()?;
    Some(ticks * TICK)
}

/// Second field of `schedstat`: nanoseconds on a run queue.
fn parse_wait_time(schedstat: &str) -> Option<Nanos> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_thread_are_read() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4194304 93 0 0 0 31 9 0 0 20 0 1 0 5 1 1";
        assert_eq!(parse_user_time(stat), Some(31 * TICK));
        assert_eq!(parse_wait_time("123456 789 4\n"), Some(789));
        assert_eq!((parse_user_time(""), parse_wait_time("1")), (None, None));
    }
}
