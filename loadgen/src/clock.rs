//! The monotonic clock, in nanoseconds: one number that all threads share and that timers understand.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// Nanoseconds of `CLOCK_MONOTONIC`, or a difference of two such.
pub type Nanos = u64;

/// Nanoseconds in a second.
pub const SECOND: Nanos = 1_000_000_000;

/// The time now.
pub fn now() -> Nanos {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// CPU time, user and kernel, that the calling thread has used so far.
pub fn thread_cpu() -> Nanos {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
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
