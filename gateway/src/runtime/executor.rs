//! Setting up monoio: which driver, with which flags.

use super::poller::IoDriver;
use super::ring;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use std::future::Future;
use std::io;
use std::time::Duration;

/// monoio's own ring carries accepts, links and timers, not clients: its minimum is plenty.
const ENTRIES: u32 = 256;

/// What the operator allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring, or epoll where io_uring is refused.
    #[default]
    Auto,
    /// io_uring, or an error.
    RequireIoUring,
    /// epoll.
    Epoll,
}

impl DriverChoice {
    /// Tries what so many workers will do. Returns the driver, and why it is not io_uring although it could be.
    pub(crate) fn decide(self, workers: u16) -> io::Result<(IoDriver, Option<io::Error>)> {
        let attempt = match self {
            Self::Epoll => return Ok((IoDriver::Epoll, None)),
            // A ring belongs to the thread that made it, so the attempt is made on one that ends.
            Self::Auto | Self::RequireIoUring => std::thread::spawn(move || probe(workers))
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the attempt to make a ring panicked"))),
        };
        match attempt {
            Ok(()) => Ok((IoDriver::IoUring, None)),
            Err(error) if self == Self::RequireIoUring => Err(error),
            Err(error) => Ok((IoDriver::Epoll, Some(error))),
        }
    }
}

/// Makes the rings of all workers, at the same time: their memory may be limited.
fn probe(workers: u16) -> io::Result<()> {
    patiently(|| {
        let rings = (0..workers).map(|_| Ok((ring::build()?, uring_builder().build()?)));
        rings.collect::<io::Result<Vec<_>>>().map(drop)
    })
}

/// Makes a ring, or waits for the memory it needs, a second at most.
///
/// The kernel counts that memory per user, and takes its time to count it off when rings are closed: those of the
/// process before us, or those of an attempt.
pub(crate) fn patiently<T>(make: impl Fn() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..100 {
        match make() {
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
    make()
}

/// Without `DEFER_TASKRUN`, with which monoio's I/O stops while its queue of tasks is busy (io-uring.md §3).
fn uring_builder() -> RuntimeBuilder<monoio::time::TimeDriver<IoUringDriver>> {
    let mut flags = io_uring_06::IoUring::builder();
    flags.setup_coop_taskrun().setup_single_issuer();
    RuntimeBuilder::<IoUringDriver>::new().uring_builder(flags).with_entries(ENTRIES).enable_timer()
}

/// Runs a future to its end on a monoio runtime of this thread's own.
pub(crate) fn run<F: Future>(driver: IoDriver, future: F) -> io::Result<F::Output> {
    Ok(match driver {
        IoDriver::IoUring => patiently(|| uring_builder().build())?.block_on(future),
        IoDriver::Epoll => {
            let builder = RuntimeBuilder::<LegacyDriver>::new().with_entries(ENTRIES).enable_timer();
            builder.build()?.block_on(future)
        }
    })
}
