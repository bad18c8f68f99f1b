//! Waiting for a file in a way that always lets monoio's other tasks, I/O and timers run.
//!
//! monoio runs them when it parks. Under io_uring every wait parks. Under the legacy driver a wait for a file
//! that is ready already ends at once, and a task that always finds it ready would starve all others; then one
//! pass through the park is forced, by waiting for an eventfd that is written only after the wait has begun.

use monoio::net::UnixStream;
use rustix::event::{EventfdFlags, eventfd};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::task::Poll;

/// A file that a task waits for.
pub(crate) struct Waiter {
    file: UnixStream,
    lap: OwnedFd,
    lap_file: UnixStream,
}

impl Waiter {
    /// Must be called inside the monoio runtime. The file can be of any kind that polls.
    pub(crate) fn new(file: OwnedFd) -> io::Result<Self> {
        let lap = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { file: pollable(file)?, lap_file: pollable(lap.try_clone()?)?, lap })
    }

    /// Waits until the file is readable, and passes through monoio's park at least once.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        let mut parked = false;
        let mut readable = pin!(self.file.readable(false));
        let result = poll_fn(|cx| {
            let polled = readable.as_mut().poll(cx);
            parked |= polled.is_pending();
            polled
        });
        result.await?;
        if parked { Ok(()) } else { self.pass().await }
    }

    /// Passes once through monoio's park, without waiting for anything.
    pub(crate) async fn pass(&self) -> io::Result<()> {
        let mut written = pin!(self.lap_file.readable(false));
        // The first poll registers the wait. Nobody else writes, so it cannot be over.
        poll_fn(|cx| match written.as_mut().poll(cx) {
            Poll::Pending => Poll::Ready(Ok(())),
            ready => ready,
        })
        .await?;
        rustix::io::write(&self.lap, &1u64.to_ne_bytes())?;
        written.await?;
        rustix::io::read(self.lap.as_fd(), &mut [0u8; 8])?;
        Ok(())
    }
}

/// monoio can wait for its own types only; its Unix stream does not look at what the file is.
fn pollable(file: OwnedFd) -> io::Result<UnixStream> {
    UnixStream::from_std(file.into())
}
