//! Health and metrics, on a listener and threads of their own.
//!
//! A scrape never touches the data path, except for the copy of its counters that each shard makes when it is asked.
//! A few threads accept on one listener and each serves one short connection at a time, so that the cost is bounded.
//! A client that dawdles is cut off as soon as another one waits, so it does not hide the health of the process.

mod exposition;
mod http;
mod metrics;
mod process;
mod report;

pub use metrics::render;
pub use process::ProcessReport;
pub use report::{MetricsSource, Readiness, ShardReport, TurnTimes};

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// Connections served at once. Beyond it, clients wait in the backlog of the kernel.
const THREADS: usize = 3;

/// The running endpoint. Dropping it ends its threads.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Admin {
    /// Listens on `address` and starts to answer from `source`.
    ///
    /// # Errors
    ///
    /// If the address is taken or not ours, or a thread cannot be started.
    pub fn start(address: SocketAddr, source: Arc<dyn MetricsSource>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let mut admin = Self { listener, stopping: Arc::default(), threads: Vec::new() };
        for source in vec![source; THREADS] {
            let listener = admin.listener.try_clone()?;
            let stopping = Arc::clone(&admin.stopping);
            let serve = move || serve(&listener, source.as_ref(), &stopping);
            admin.threads.push(Builder::new().name("admin".to_owned()).spawn(serve)?);
        }
        Ok(admin)
    }

    /// Where it listens; the port is the real one, even if any free one was asked for.
    ///
    /// # Errors
    ///
    /// If the kernel does not say, which it has no reason for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // On Linux this wakes every thread that waits in accept, which then fails.
        let woken = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        if woken.is_ok() {
            for thread in self.threads.drain(..) {
                // A panic in one has already been reported on stderr.
                let _panicked = thread.join();
            }
        }
    }
}

fn serve(listener: &TcpListener, source: &dyn MetricsSource, stopping: &AtomicBool) {
    while !stopping.load(Ordering::Acquire) {
        match listener.accept() {
            Ok((stream, _)) => {
                // Whatever goes wrong with one client is that client's business.
                let _gone = http::serve(&stream, source, &|| is_crowded(listener));
                let _gone = stream.shutdown(Shutdown::Both);
            }
            Err(_) if stopping.load(Ordering::Acquire) => return,
            Err(error) => {
                // Most likely there are no descriptors left. Accept would fail again at once.
                tracing::warn!(%error, "admin endpoint cannot accept");
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
        }
    }
}

/// Whether clients wait to be accepted.
fn is_crowded(listener: &TcpListener) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready > 0)
}
