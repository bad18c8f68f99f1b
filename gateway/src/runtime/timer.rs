//! One timerfd per core wakes it for its shard's earliest deadline.

use super::clock::Clock;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tidegate_core::time::Instant;

/// A timer that fires once per arming. It is never read: both pollers report each expiry as an edge.
pub(crate) struct Timer {
    fd: OwnedFd,
    clock: Clock,
    /// When it will fire; `None` once it has.
    armed: Option<Instant>,
}

impl Timer {
    pub(crate) fn new(clock: Clock) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self { fd: timerfd_create(TimerfdClockId::Monotonic, flags)?, clock, armed: None })
    }

    /// Makes sure that the timer fires at `deadline` at the latest.
    ///
    /// Deadlines mostly move away (a heartbeat that is answered), and setting the timer is a system call.
    /// So an earlier setting stays: it fires once for nothing, and is then set to what is due by then.
    pub(crate) fn arm(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let Some(deadline) = deadline else { return Ok(()) };
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return Ok(());
        }
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = Itimerspec { it_interval: never, it_value: self.clock.to_timespec(deadline) };
        timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &setting)?;
        self.armed = Some(deadline);
        Ok(())
    }

    /// The poller reported an expiry.
    pub(crate) fn fired(&mut self) {
        self.armed = None;
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
