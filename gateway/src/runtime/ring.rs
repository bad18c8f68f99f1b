//! Readiness from an io_uring ring of the core's own.
//!
//! One multishot poll per stream, with completions deferred to our own `io_uring_enter` (`DEFER_TASKRUN`), so
//! that nothing interrupts the core while it works. monoio's ring cannot see ours become ready (io-uring.md §3,
//! trap 5): a registered eventfd, the one other cores write to as well, wakes it.
//!
//! A poll holds the file open. It is ended by a cancel, not by a poll removal, because a removal fails while an
//! event of the poll is on its way, which is the normal case right after `shutdown(2)`, and would leak the file.

use super::poller::{Event, Token};
use io_uring::squeue::Flags;
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// New watches between two submissions; more than that cost one more system call. A batch of accepts has 64.
const SUBMISSIONS: u32 = 1024;
/// Completions the kernel can hand over at once. When there are more, the kernel keeps the rest. Both queues together
/// are 130 KiB, and the 8 MiB that systemd lets a service lock are enough for some fifty cores.
const COMPLETIONS: u32 = 4096;

/// Events for one pass of the engine.
const BATCH: usize = 512;
/// What the kernel runs per enter (`IO_LOCAL_TW_DEFAULT_MAX`).
const COMPLETIONS_PER_ENTER: usize = 20;
/// After so many enters that brought nothing, nothing is pending, whatever the kernel says. Each runs twenty pending polls, and
/// those of them whose stream was read in the meantime bring nothing: so many in a row are not to be expected.
const FRUITLESS_MAX: u32 = 1000;

pub(crate) struct Ring {
    ring: IoUring,
    wake: OwnedFd,
    /// Completions that had to make room for submissions, in order.
    early: Vec<Event>,
    /// How often in a row an enter brought nothing although the kernel had said that something is pending.
    fruitless: u32,
}

/// Makes a ring, and nothing else. Fails where the kernel is older than 6.1 or refuses io_uring (seccomp, sysctl,
/// memlock limit).
pub(crate) fn build() -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(COMPLETIONS)
        .build(SUBMISSIONS)
}

impl Ring {
    pub(crate) fn new(wake: BorrowedFd<'_>) -> io::Result<Self> {
        let ring = super::executor::patiently(build)?;
        let wake = wake.try_clone_to_owned()?;
        ring.submitter().register_eventfd(wake.as_raw_fd())?;
        Ok(Self { ring, wake, early: Vec::new(), fruitless: 0 })
    }

    pub(crate) fn wait_fd(&self) -> io::Result<OwnedFd> {
        self.wake.try_clone()
    }

    pub(crate) fn watch(&mut self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        let flags = PollFlags::IN | PollFlags::RDHUP;
        self.push(&poll(fd, flags, token, true))
    }

    pub(crate) fn watch_once(&mut self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        self.push(&poll(fd, PollFlags::OUT, token, false))
    }

    pub(crate) fn cancel(&mut self, token: Token) -> io::Result<()> {
        let cancel = opcode::AsyncCancel::new(token.to_bits()).build();
        self.push(&cancel.user_data(Token::NOTHING.to_bits()).flags(Flags::SKIP_SUCCESS))
    }

    /// Takes what there is, up to about [`BATCH`]: the more events one pass sees, the more of what they cause
    /// leaves in the same write.
    pub(crate) fn collect(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let before = events.len();
        // One enter runs about twenty deferred completions, and the kernel says when there are more.
        for _ in 0..BATCH / COMPLETIONS_PER_ENTER {
            if self.needs_kernel() {
                self.enter()?;
            }
            events.append(&mut self.early);
            events.extend(self.ring.completion().map(|completion| to_event(&completion)));
            if events.len() >= BATCH || !self.ring.submission().taskrun() {
                break;
            }
        }
        let is_fruitless = events.len() == before && self.ring.submission().taskrun();
        self.fruitless = if is_fruitless { self.fruitless.saturating_add(1) } else { 0 };
        Ok(())
    }

    pub(crate) fn submit(&mut self) -> io::Result<()> {
        if self.ring.submission().is_empty() { Ok(()) } else { self.enter() }
    }

    pub(crate) fn clear_wake(&self) {
        // It may not have been written at all.
        let _ = rustix::io::read(&self.wake, &mut [0u8; 8]);
    }

    /// The kernel queues a completion first, and then says that there is one (`io_req_local_work_add`). If we take it in
    /// between, from another core, it says so when nothing is there, until the next comes: on a core that believed it,
    /// nobody else would get a turn until then. So it is believed for a while. Then one more enter decides: what is queued later
    /// writes the eventfd.
    pub(crate) fn is_idle(&mut self) -> bool {
        if self.needs_kernel() && (self.fruitless < FRUITLESS_MAX || self.enter().is_err()) {
            return false;
        }
        let submissions = self.ring.submission();
        let is_clear = submissions.is_empty() && !submissions.cq_overflow();
        drop(submissions);
        is_clear && self.early.is_empty() && self.ring.completion().is_empty()
    }

    /// Whether there is something to submit, or something that only an enter makes visible.
    fn needs_kernel(&mut self) -> bool {
        let submissions = self.ring.submission();
        !submissions.is_empty() || submissions.taskrun() || submissions.cq_overflow()
    }

    /// Submits, and asks for completions if the kernel says that some are pending.
    fn enter(&mut self) -> io::Result<()> {
        match self.ring.submit() {
            Ok(_) => Ok(()),
            Err(error) => match Errno::from_io_error(&error) {
                // Transient: the caller comes again.
                Some(Errno::INTR | Errno::AGAIN) => Ok(()),
                // Too many completions are waiting for us: take them out first.
                Some(Errno::BUSY) => {
                    let events = self.ring.completion().map(|completion| to_event(&completion));
                    self.early.extend(events);
                    Ok(())
                }
                _ => Err(error),
            },
        }
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: only polls and cancels are pushed. Both consist of numbers (an fd, a mask, a token), so the
        // kernel gets no pointer into our memory and nothing has to outlive the operation. An fd that is
        // closed, or reused, before the entry is submitted is an error, or an event with a token that is
        // cancelled later in the same queue.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.enter()?;
        }
        Ok(())
    }
}

fn poll(fd: BorrowedFd<'_>, flags: PollFlags, token: Token, multi: bool) -> squeue::Entry {
    let fd = types::Fd(fd.as_fd().as_raw_fd());
    opcode::PollAdd::new(fd, flags.bits().into()).multi(multi).build().user_data(token.to_bits())
}

fn to_event(completion: &cqueue::Entry) -> Event {
    let token = Token::from_bits(completion.user_data());
    let result = completion.result();
    // A watch that failed tells so; a cancelled one carries a token that nobody knows any more.
    let flags = PollFlags::from_bits_retain(u16::try_from(result).unwrap_or(PollFlags::ERR.bits()));
    Event {
        token,
        writable: flags.intersects(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP),
        hangup: flags.intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR),
        failed: flags.contains(PollFlags::ERR),
        ended: !cqueue::more(completion.flags()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::poller::StreamId;
    use rustix::event::{EventfdFlags, eventfd};
    use std::net::{Shutdown, TcpListener, TcpStream};

    impl Ring {
        /// Polls that the kernel has armed for this ring.
        fn armed(&self) -> usize {
            let info = format!("/proc/self/fdinfo/{}", self.ring.as_raw_fd());
            let text = std::fs::read_to_string(info).unwrap();
            let (_, polls) = text.split_once("PollList:").unwrap();
            polls.lines().filter(|line| line.contains("op=")).count()
        }
    }

    #[test]
    fn no_poll_is_left_of_streams_that_were_shut_down_and_closed() {
        let wake = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let mut ring = Ring::new(wake.as_fd()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for round in 0..3 {
            let servers: Vec<_> = (0..100)
                .map(|index| {
                    clients.push(TcpStream::connect(address).unwrap());
                    (StreamId { index, generation: round }, listener.accept().unwrap().0)
                })
                .collect();
            for (id, server) in &servers {
                ring.watch(server.as_fd(), Token::stream(*id)).unwrap();
            }
            ring.submit().unwrap();
            assert_eq!(ring.armed(), 100);
            for (id, server) in servers {
                server.shutdown(Shutdown::Both).unwrap();
                ring.cancel(Token::stream(id)).unwrap();
            }
            let mut events = Vec::new();
            while !ring.is_idle() {
                ring.collect(&mut events).unwrap();
            }
            assert_eq!(ring.armed(), 0);
        }
    }

    #[test]
    fn more_watches_than_the_queue_holds_are_all_armed() {
        let wake = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let mut ring = Ring::new(wake.as_fd()).unwrap();
        let quiet = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        for index in 0..2 * SUBMISSIONS {
            ring.watch(quiet.as_fd(), Token::stream(StreamId { index, generation: 0 })).unwrap();
        }
        ring.submit().unwrap();
        assert_eq!(ring.armed(), 2 * SUBMISSIONS as usize);
    }
}
