//! The one place a worker sleeps: an epoll set, watched by monoio's ring.
//!
//! One pending poll in the ring stands for thousands of sockets, so a message costs no submission and no task
//! (`epoll` under monoio: within 3 % of a raw ring, 200 bytes per connection). A timerfd in the same set brings
//! deadlines. Nothing else runs on the thread, so a turn that always finds events never has to yield.

use crate::clock::{Nanos, SECOND};
use monoio::net::UnixStream;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};
use std::io;

/// Events taken per `epoll_wait`.
const EVENTS_MAX: usize = 512;
/// The timer's token. Connections count up from zero and never get here.
const TIMER: u64 = u64::MAX;

/// One readiness event of a watched stream.
pub(crate) use epoll::Event;

/// An epoll set and a timer, awaited through monoio.
pub(crate) struct Readiness {
    epoll: OwnedFd,
    /// A duplicate of `epoll` in the one type of monoio that lets us await a foreign descriptor.
    gate: UnixStream,
    timer: OwnedFd,
    armed: Option<Nanos>,
}

impl Readiness {
    /// Call it inside the runtime that will wait.
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let gate = UnixStream::from_std(epoll.try_clone()?.into())?;
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
        Ok(Self { epoll, gate, timer, armed: None })
    }

    /// Watches a stream until it is closed. Edge-triggered: read until a short read, write until `EAGAIN`.
    pub(crate) fn watch(&self, stream: impl AsFd, token: u64) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, stream, EventData::new_u64(token), flags)?)
    }

    /// Makes `wait` return at `deadline` at the latest. Replaces the deadline before; free if it is the same.
    pub(crate) fn arm(&mut self, deadline: Nanos) -> io::Result<()> {
        if self.armed == Some(deadline) {
            return Ok(());
        }
        let timer = Itimerspec { it_interval: timespec(0), it_value: timespec(deadline.max(1)) };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &timer)?;
        self.armed = Some(deadline);
        Ok(())
    }

    /// Fills `events` with what is ready, sleeping if nothing is. Empty when only the deadline came.
    pub(crate) async fn wait(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        events.reserve(EVENTS_MAX);
        if self.take(events)? == 0 {
            self.gate.readable(false).await?;
            self.take(events)?;
        }
        if let Some(timer) = events.iter().position(|event| event.data.u64() == TIMER) {
            events.swap_remove(timer);
            self.armed = None;
        }
        Ok(())
    }

    fn take(&self, events: &mut Vec<Event>) -> io::Result<usize> {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        Ok(epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&at_once))?)
    }
}

fn timespec(time: Nanos) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time / SECOND).expect("u64 nanoseconds are fewer than i64 seconds"),
        tv_nsec: i64::try_from(time % SECOND).expect("below one second"),
    }
}
