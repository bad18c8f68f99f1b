//! Accepting: one task per core and listener, from the kernel's queue into the engine.
//!
//! Clients are accepted by every core; the backends of all cores by the first (see [`links`](crate::links)).

use crate::runtime::driven::Driven;
use crate::runtime::engine::Engine;
use crate::runtime::park::Waiter;
use monoio::time::sleep;
use rustix::io::Errno;
use rustix::net::{
    RecvFlags, SendFlags, Shutdown, SocketAddrAny, SocketFlags, acceptfrom_with, recv, send, shutdown,
};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Streams accepted before other tasks, and the clients that are connected, get their turn.
const BATCH: usize = 64;
/// How long to wait for fds or memory, if no stream of this core closes before.
const PAUSE: Duration = Duration::from_millis(100);
/// At the limit, pauses follow each other closely: they are logged once in this many.
const PAUSES_PER_LOG: u64 = 600;

const OVER_LIMIT: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 5\r\n\r\n";

/// What became of a batch.
enum Batch {
    /// The kernel has no more, or the batch is full.
    Taken,
    /// The system is out of something. What is in the kernel's queue stays there.
    Exhausted(Errno),
    /// This core accepts no more.
    Closed,
}

/// Accepts until the engine is closing, and lets `take` decide what becomes of each stream. `listener` is non-blocking.
///
/// monoio waits for the listener to be readable, and the accepting is done by plain `accept4` calls: an accept
/// of monoio's would need a blocking listener, gives blocking sockets without `CLOEXEC`, and loses a connection
/// when it is dropped (io-uring.md §3, trap 3).
pub(crate) async fn accept<S, T>(
    engine: Rc<RefCell<Engine<S>>>,
    listener: OwnedFd,
    mut take: T,
) -> io::Result<()>
where
    S: Driven,
    T: FnMut(&mut Engine<S>, OwnedFd, Option<SocketAddrAny>) -> io::Result<()>,
{
    let waiter = Waiter::new(listener.try_clone()?)?;
    loop {
        waiter.ready().await?;
        let batch = accept_batch(&mut engine.borrow_mut(), &listener, &mut take)?;
        match batch {
            Batch::Taken => {}
            Batch::Exhausted(errno) => {
                count_pause(&mut engine.borrow_mut(), errno);
                wait_for_room(&engine).await;
            }
            Batch::Closed => return Ok(()),
        }
    }
}

/// Lets a client in, if there is a place for it.
pub(crate) fn take_client<S: Driven>(
    engine: &mut Engine<S>,
    stream: OwnedFd,
    address: Option<SocketAddrAny>,
) -> io::Result<()> {
    let address = address.and_then(|address| SocketAddr::try_from(address).ok());
    // The kernel knows no address of a peer that has gone already.
    let Some(address) = address else { return Ok(()) };
    if engine.admission().enter() {
        engine.accept(stream, address)
    } else {
        engine.stats_mut().refused_over_limit += 1;
        refuse(&stream);
        Ok(())
    }
}

fn accept_batch<S: Driven>(
    engine: &mut Engine<S>,
    listener: &OwnedFd,
    take: &mut impl FnMut(&mut Engine<S>, OwnedFd, Option<SocketAddrAny>) -> io::Result<()>,
) -> io::Result<Batch> {
    let mut outcome = Batch::Taken;
    for _ in 0..BATCH {
        if engine.is_closing() {
            outcome = Batch::Closed;
            break;
        }
        match acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((stream, address)) => take(engine, stream, address)?,
            Err(Errno::AGAIN) => break,
            Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                outcome = Batch::Exhausted(errno);
                break;
            }
            Err(errno @ (Errno::BADF | Errno::INVAL | Errno::NOTSOCK)) => return Err(errno.into()),
            // Linux reports what happened to the connection before it was accepted: not our trouble.
            Err(_) => {}
        }
    }
    engine.accepted()?;
    Ok(outcome)
}

/// Tells a client that the process is full. It gets no state, no shard and no patience.
fn refuse(stream: &OwnedFd) {
    let _ = send(stream, OVER_LIMIT, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    let _ = shutdown(stream, Shutdown::Write);
    // Bytes that were never read would turn the close into a reset, which may overtake the answer.
    let _ = recv(stream, &mut [0; 4096], RecvFlags::DONTWAIT);
}

fn count_pause<S: Driven>(engine: &mut Engine<S>, errno: Errno) {
    let pauses = &mut engine.stats_mut().accept_pauses;
    if pauses.is_multiple_of(PAUSES_PER_LOG) {
        tracing::warn!(error = %errno, "cannot accept: paused until a connection closes");
    }
    *pauses += 1;
}

/// Waits until a stream of this core closes, or for [`PAUSE`]: room may have come from elsewhere.
async fn wait_for_room<S: Driven>(engine: &RefCell<Engine<S>>) {
    let mut pause = pin!(sleep(PAUSE));
    let mut asked = false;
    poll_fn(|cx| {
        if pause.as_mut().poll(cx).is_ready() || asked {
            return Poll::Ready(());
        }
        asked = true;
        engine.borrow_mut().wake_on_room(cx.waker());
        Poll::Pending
    })
    .await;
}
