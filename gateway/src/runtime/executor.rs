//! Setting up monoio: which driver, with which flags.

use super::poller::IoDriver;
use super::ring;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use std::future::Future;
use std::io;

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
    /// Tries what the workers will do. Returns the driver, and why it is not io_uring although it could be.
    pub(crate) fn decide(self) -> io::Result<(IoDriver, Option<io::Error>)> {
        let attempt = match self {
            Self::Epoll => return Ok((IoDriver::Epoll, None)),
            // A ring belongs to the thread that made it, so the attempt is made on one that ends.
            Self::Auto | Self::RequireIoUring => std::thread::spawn(probe)
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

fn probe() -> io::Result<()> {
    ring::probe()?;
    uring_builder().build().map(drop)
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
        IoDriver::IoUring => uring_builder().build()?.block_on(future),
        IoDriver::Epoll => {
            let builder = RuntimeBuilder::<LegacyDriver>::new().with_entries(ENTRIES).enable_timer();
            builder.build()?.block_on(future)
        }
    })
}
