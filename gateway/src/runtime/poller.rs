//! Who tells a core that its streams are ready: an io_uring ring, or epoll where io_uring is refused.
//!
//! Both are edge-like: an event says that something happened since the last one, so its receiver reads or
//! writes until the kernel has no more. Both report what is true already when a watch begins. Events may be
//! spurious and may come after [`Poller::forget`]; the generation in the [`Token`] tells.

use super::epoll::Epoll;
use super::ring::Ring;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The two ways of waiting for readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoDriver {
    /// Multishot polls in a ring of the core's own, under monoio's io_uring driver.
    IoUring,
    /// An epoll set, under monoio's legacy driver.
    Epoll,
}

/// What is watched: 4 bits of kind, 28 of generation, 32 of index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A stream: something to read, its end, or (epoll) room to write.
    Stream(StreamId),
    /// A stream that was full has room again.
    Writable(StreamId),
    /// The core's timer fired.
    Timer,
    /// Something without consequence.
    Nothing,
}

/// A stream of one core; ids of streams that are gone are not valid again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamId {
    pub(crate) index: u32,
    /// Below 2^28.
    pub(crate) generation: u32,
}

/// Generations wrap to 0 here.
pub(crate) const GENERATIONS: u32 = 1 << 28;

impl Token {
    const KIND_SHIFT: u32 = 60;
    const GENERATION_SHIFT: u32 = 32;

    pub(crate) const NOTHING: Self = Self(3 << Self::KIND_SHIFT);
    pub(crate) const TIMER: Self = Self(2 << Self::KIND_SHIFT);

    pub(crate) fn stream(id: StreamId) -> Self {
        debug_assert!(id.generation < GENERATIONS, "a generation has 28 bits");
        Self(u64::from(id.generation) << Self::GENERATION_SHIFT | u64::from(id.index))
    }

    pub(crate) fn writable(id: StreamId) -> Self {
        Self(1 << Self::KIND_SHIFT | Self::stream(id).0)
    }

    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn subject(self) -> Subject {
        let [index, high] = [self.0, self.0 >> Self::GENERATION_SHIFT]
            .map(|word| u32::try_from(word & u64::from(u32::MAX)).expect("masked to 32 bits"));
        let id = StreamId { index, generation: high % GENERATIONS };
        match self.0 >> Self::KIND_SHIFT {
            0 => Subject::Stream(id),
            1 => Subject::Writable(id),
            2 => Subject::Timer,
            _ => Subject::Nothing,
        }
    }
}

/// Something happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) token: Token,
    /// There may be room to write.
    pub(crate) writable: bool,
    /// The peer will send no more: read up to the end, a short read is not enough.
    pub(crate) hangup: bool,
    /// The stream, or the watch itself, has failed.
    pub(crate) failed: bool,
    /// The watch is over, although nobody asked for that: watch again.
    pub(crate) ended: bool,
}

/// Readiness of many streams, one timer and one wake-up eventfd.
#[expect(clippy::large_enum_variant, reason = "there is one per core, and every event goes through it")]
pub(crate) enum Poller {
    Ring(Ring),
    Epoll(Epoll),
}

impl Poller {
    /// Must be called on the thread that will use it. `wake` is the eventfd others write to.
    pub(crate) fn new(driver: IoDriver, wake: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(match driver {
            IoDriver::IoUring => Self::Ring(Ring::new(wake)?),
            IoDriver::Epoll => Self::Epoll(Epoll::new(wake)?),
        })
    }

    /// The file that is readable when [`Self::collect`] has something, or when the core was woken.
    pub(crate) fn wait_fd(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Ring(ring) => ring.wait_fd(),
            Self::Epoll(epoll) => epoll.wait_fd(),
        }
    }

    /// Begins to report what can be read from a stream, until [`Self::forget`].
    pub(crate) fn watch(&mut self, fd: BorrowedFd<'_>, id: StreamId) -> io::Result<()> {
        match self {
            Self::Ring(ring) => ring.watch(fd, Token::stream(id)),
            Self::Epoll(epoll) => epoll.watch(fd, Token::stream(id)),
        }
    }

    /// Asks for one report when a watched stream that was full can be written.
    pub(crate) fn watch_writable(&mut self, fd: BorrowedFd<'_>, id: StreamId) -> io::Result<()> {
        match self {
            Self::Ring(ring) => ring.watch_once(fd, Token::writable(id)),
            // Reported with every event of the stream.
            Self::Epoll(_) => Ok(()),
        }
    }

    /// Watches the core's timer.
    pub(crate) fn watch_timer(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        match self {
            Self::Ring(ring) => ring.watch(fd, Token::TIMER),
            Self::Epoll(epoll) => epoll.watch(fd, Token::TIMER),
        }
    }

    /// Ends the watches of a stream. Its fd may be closed, or moved to another core, right after.
    pub(crate) fn forget(&mut self, fd: impl AsFd, id: StreamId, waits_for_room: bool) -> io::Result<()> {
        match self {
            Self::Ring(ring) => {
                if waits_for_room {
                    ring.cancel(Token::writable(id))?;
                }
                ring.cancel(Token::stream(id))
            }
            Self::Epoll(epoll) => epoll.forget(fd.as_fd()),
        }
    }

    /// Appends what has happened; never blocks. Starts the watches that were asked for.
    pub(crate) fn collect(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        match self {
            Self::Ring(ring) => ring.collect(events),
            Self::Epoll(epoll) => epoll.collect(events),
        }
    }

    /// Starts the watches that were asked for, outside of a turn.
    pub(crate) fn submit(&mut self) -> io::Result<()> {
        match self {
            Self::Ring(ring) => ring.submit(),
            Self::Epoll(_) => Ok(()),
        }
    }

    /// Clears the wake-up. What happened before is found by [`Self::is_idle`] and by a look at the mailbox;
    /// what happens after makes [`Self::wait_fd`] readable. In this order no wake-up is lost.
    pub(crate) fn clear_wake(&self) {
        match self {
            Self::Ring(ring) => ring.clear_wake(),
            // The fd that is waited for is the epoll set, which is level-triggered itself.
            Self::Epoll(_) => {}
        }
    }

    /// Whether [`Self::collect`] would find nothing and start nothing.
    pub(crate) fn is_idle(&mut self) -> bool {
        match self {
            Self::Ring(ring) => ring.is_idle(),
            Self::Epoll(epoll) => epoll.is_idle(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::io::{read, write};
    use std::net::{Shutdown, TcpListener, TcpStream};

    const BOTH: [IoDriver; 2] = [IoDriver::IoUring, IoDriver::Epoll];

    struct Rig {
        poller: Poller,
        wait: OwnedFd,
        wake: OwnedFd,
    }

    impl Rig {
        fn new(driver: IoDriver) -> Self {
            let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap();
            let poller = Poller::new(driver, wake.as_fd()).unwrap();
            Self { wait: poller.wait_fd().unwrap(), poller, wake }
        }

        /// Waits for the poller's file as a worker does, and returns the events.
        fn wait(&mut self) -> Vec<Event> {
            let mut events = Vec::new();
            while events.is_empty() {
                self.poller.submit().unwrap();
                let mut polled = [rustix::event::PollFd::new(&self.wait, rustix::event::PollFlags::IN)];
                rustix::event::poll(&mut polled, None).unwrap();
                self.poller.clear_wake();
                while !self.poller.is_idle() || events.is_empty() {
                    self.poller.collect(&mut events).unwrap();
                    if matches!(self.poller, Poller::Epoll(_)) {
                        break;
                    }
                }
                events.retain(|event| event.token.subject() != Subject::Nothing);
            }
            events
        }
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    fn id(index: u32) -> StreamId {
        StreamId { index, generation: GENERATIONS - 1 }
    }

    #[test]
    fn a_token_keeps_its_parts() {
        let id = StreamId { index: u32::MAX, generation: GENERATIONS - 1 };
        for subject in [Token::stream(id), Token::writable(id), Token::TIMER, Token::NOTHING] {
            assert_eq!(Token::from_bits(subject.to_bits()), subject);
        }
        assert_eq!(Token::stream(id).subject(), Subject::Stream(id));
        assert_eq!(Token::writable(id).subject(), Subject::Writable(id));
        assert_eq!(Token::TIMER.subject(), Subject::Timer);
        assert_eq!(Token::NOTHING.subject(), Subject::Nothing);
    }

    #[test]
    fn bytes_and_the_end_of_a_stream_are_reported_each_time() {
        for driver in BOTH {
            let mut rig = Rig::new(driver);
            let (client, server) = pair();
            rig.poller.watch(server.as_fd(), id(7)).unwrap();
            for _ in 0..3 {
                write(&client, b"x").unwrap();
                let events = rig.wait();
                assert!(
                    events
                        .iter()
                        .all(|event| event.token.subject() == Subject::Stream(id(7)) && !event.hangup)
                );
                read(&server, &mut [0; 8]).unwrap();
            }
            client.shutdown(Shutdown::Write).unwrap();
            assert!(rig.wait().iter().any(|event| event.hangup), "{driver:?}");
        }
    }

    #[test]
    fn a_full_stream_reports_room_once_its_peer_has_read() {
        for driver in BOTH {
            let mut rig = Rig::new(driver);
            let (client, server) = pair();
            server.set_nonblocking(true).unwrap();
            rig.poller.watch(server.as_fd(), id(1)).unwrap();
            let mut sent = 0;
            while let Ok(count) = write(&server, &[0; 65536]) {
                sent += count;
            }
            rig.poller.watch_writable(server.as_fd(), id(1)).unwrap();
            let reader = std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 20];
                while sent > 0 {
                    sent -= read(&client, &mut buffer[..]).unwrap();
                }
                client
            });
            while !rig.wait().iter().any(|event| event.writable) {}
            reader.join().unwrap();
        }
    }

    #[test]
    fn writing_the_eventfd_wakes_the_waiter() {
        for driver in BOTH {
            let mut rig = Rig::new(driver);
            let wake = rig.wake.try_clone().unwrap();
            let waker = std::thread::spawn(move || write(&wake, &1u64.to_ne_bytes()).unwrap());
            let mut polled = [rustix::event::PollFd::new(&rig.wait, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut polled, None).unwrap();
            waker.join().unwrap();
            rig.poller.clear_wake();
            rig.poller.collect(&mut Vec::new()).unwrap();
            assert!(rig.poller.is_idle());
        }
    }

    #[test]
    fn a_timer_is_reported() {
        for driver in BOTH {
            let mut rig = Rig::new(driver);
            let clock = crate::runtime::clock::Clock::start();
            let mut timer = crate::runtime::timer::Timer::new(clock).unwrap();
            rig.poller.watch_timer(timer.as_fd()).unwrap();
            for _ in 0..3 {
                let deadline = clock.now() + std::time::Duration::from_millis(3);
                timer.arm(Some(deadline)).unwrap();
                assert!(rig.wait().iter().any(|event| event.token.subject() == Subject::Timer));
                assert!(clock.now() >= deadline);
                timer.fired();
            }
        }
    }
}
