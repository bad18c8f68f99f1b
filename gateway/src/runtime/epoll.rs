//! Readiness from epoll, for kernels and sandboxes that refuse io_uring.
//!
//! Everything is watched edge-triggered for reading and writing from the start, so that a stream costs one
//! `epoll_ctl` in its life.

use super::poller::{Event, Token};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Events taken from the kernel at once.
const BATCH: usize = 512;

pub(crate) struct Epoll {
    set: OwnedFd,
    batch: Vec<epoll::Event>,
    /// The last batch was full, so there may be more.
    full: bool,
}

impl Epoll {
    pub(crate) fn new(wake: BorrowedFd<'_>) -> io::Result<Self> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        let mut epoll = Self { set, batch: Vec::with_capacity(BATCH), full: false };
        // Its counter is never read: each write is an edge.
        epoll.watch(wake, Token::NOTHING)?;
        Ok(epoll)
    }

    pub(crate) fn wait_fd(&self) -> io::Result<OwnedFd> {
        self.set.try_clone()
    }

    pub(crate) fn watch(&mut self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.set, fd, EventData::new_u64(token.to_bits()), flags)?)
    }

    pub(crate) fn forget(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        match epoll::delete(&self.set, fd) {
            // It could not be added.
            Err(Errno::NOENT) => Ok(()),
            result => Ok(result?),
        }
    }

    pub(crate) fn collect(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        self.batch.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.set, spare_capacity(&mut self.batch), Some(&at_once)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.full = self.batch.len() == self.batch.capacity();
        events.extend(self.batch.iter().map(to_event));
        Ok(())
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.full
    }
}

fn to_event(event: &epoll::Event) -> Event {
    let flags = event.flags;
    Event {
        token: Token::from_bits(event.data.u64()),
        writable: flags.intersects(EventFlags::OUT | EventFlags::ERR | EventFlags::HUP),
        hangup: flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR),
        failed: flags.contains(EventFlags::ERR),
        ended: false,
    }
}
