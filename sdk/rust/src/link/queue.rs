//! What waits to be sent on a link, and the credit in both directions (docs/backend-protocol.md §3).
//!
//! Everybody who has something to say encodes it straight into one buffer, behind a lock that is held for no
//! longer than that. The task that drives the link takes the whole buffer at the end of a batch, and writes
//! it at once.
//!
//! Bounds: what applications emit is refused beyond `queue_bytes`. Answers to what the gateway sent (ACCEPT,
//! ACK, …) are not, because there cannot be more of them than there was credit for; and while more than half
//! of `queue_bytes` waits, the gateway is given no credit.

use super::requests::Requests;
use crate::error::SendError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate_core::backend::wire::{FromBackend, TooLong};
use tidegate_core::shard::app::SocketKey;
use tokio::sync::Notify;

/// A buffer that has grown beyond this is not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// What is written at once up to here is one tick to the gateway (§4, "Order"). More need not wait for the rest.
const TICK_BYTES: usize = 64 * 1024;

/// What is sent on one connection to the gateway. Shared by the task that drives it and all who send.
#[derive(Debug)]
pub(crate) struct Link {
    out: Mutex<Out>,
    /// Wakes the task that drives the link.
    wake: Notify,
    /// Wakes those who wait for room in the queue.
    room: Notify,
    /// Bytes that have been handled and for which no credit has been given.
    owed: AtomicU64,
    limits: Limits,
    pub(crate) requests: Requests,
    /// Sockets that were rejected or released: nothing more comes for them. The driving task looks after each
    /// batch.
    dropped: Mutex<Vec<SocketKey>>,
}

/// Bounds of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes that may wait to be sent.
    pub(crate) queue_bytes: usize,
    /// Bytes that are dealt with before credit is given for them. The gateway says so: it divides its balance among
    /// its cores, and none may wait for credit that waits for more to be given for.
    pub(crate) portion: u32,
    /// Longest frame the gateway takes.
    pub(crate) frame_bytes: u32,
}

#[derive(Debug)]
struct Out {
    /// Frames that do not count. They overtake the others, which may have to wait.
    control: Vec<u8>,
    /// Frames that count.
    frames: Vec<u8>,
    /// Bytes of `frames` that may be sent; below zero after a long frame.
    balance: i64,
    /// The driving task waits to be woken.
    asleep: bool,
    /// The link is up.
    open: bool,
}

impl Link {
    pub(crate) fn new(limits: Limits, balance: u32) -> Self {
        let out = Out {
            control: Vec::new(),
            frames: Vec::new(),
            balance: i64::from(balance),
            asleep: false,
            open: true,
        };
        Self {
            out: Mutex::new(out),
            wake: Notify::new(),
            room: Notify::new(),
            owed: AtomicU64::new(0),
            limits,
            requests: Requests::default(),
            dropped: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        // What is in there is whole frames at any time.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what an application wants to say.
    pub(crate) fn send(&self, frame: &FromBackend<'_>) -> Result<(), SendError> {
        let mut out = self.lock();
        if out.frames.len() >= self.limits.queue_bytes {
            return Err(if out.open { SendError::Full } else { SendError::NoLink });
        }
        self.push(&mut out, frame)
    }

    /// Sends an answer to what the gateway has sent, however much is waiting.
    pub(crate) fn answer(&self, frame: &FromBackend<'_>) -> Result<(), SendError> {
        self.push(&mut self.lock(), frame)
    }

    fn push(&self, out: &mut Out, frame: &FromBackend<'_>) -> Result<(), SendError> {
        if !out.open {
            return Err(SendError::NoLink);
        }
        let start = out.frames.len();
        frame.encode(&mut out.frames).map_err(|TooLong { field }| SendError::TooLong { field })?;
        if out.frames.len() - start > self.limits.frame_bytes as usize {
            out.frames.truncate(start);
            return Err(SendError::TooLong { field: "frame" });
        }
        self.wake(out);
        Ok(())
    }

    /// Sends a frame that does not count. Those are short, and sent by this crate alone.
    pub(crate) fn control(&self, frame: &FromBackend<'_>) {
        let mut out = self.lock();
        if out.open && frame.encode(&mut out.control).is_ok() {
            self.wake(&mut out);
        }
    }

    fn wake(&self, out: &mut Out) {
        if std::mem::take(&mut out.asleep) {
            self.wake.notify_one();
        }
    }

    /// The gateway has given credit.
    pub(crate) fn credit(&self, bytes: u32) {
        let out = &mut *self.lock();
        out.balance = out.balance.saturating_add(i64::from(bytes));
    }

    /// Bytes that came from the gateway have been dealt with. May be called from anywhere.
    pub(crate) fn handled(&self, bytes: usize) {
        let bytes = bytes as u64;
        let before = self.owed.fetch_add(bytes, Ordering::Relaxed);
        let step = u64::from(self.credit_step());
        if before < step && before + bytes >= step {
            self.wake(&mut self.lock());
        }
    }

    fn credit_step(&self) -> u32 {
        self.limits.portion.max(1)
    }

    /// Moves everything that may be sent now to `written`, which is empty. If there is nothing, the task is
    /// expected to wait for [`Self::woken`]. Within a batch only what is too much for one tick is taken.
    pub(crate) fn take(&self, written: &mut Vec<u8>, within_batch: bool) {
        let out = &mut *self.lock();
        if within_batch && out.frames.len() < TICK_BYTES {
            return;
        }
        if written.capacity() > KEPT_BYTES_MAX {
            *written = Vec::new();
        }
        self.give_credit(out);
        let may_send = sendable(&out.frames, &mut out.balance);
        if out.control.is_empty() && may_send == out.frames.len() {
            std::mem::swap(written, &mut out.frames);
        } else {
            written.append(&mut out.control);
            written.extend(out.frames.drain(..may_send));
        }
        out.asleep = written.is_empty();
        if may_send > 0 && self.has_room(out) {
            self.room.notify_waiters();
        }
    }

    fn give_credit(&self, out: &mut Out) {
        let owed = self.owed.load(Ordering::Relaxed);
        if owed < u64::from(self.credit_step()) || !self.has_room(out) {
            return;
        }
        let bytes = u32::try_from(owed).unwrap_or(u32::MAX);
        self.owed.fetch_sub(u64::from(bytes), Ordering::Relaxed);
        FromBackend::Credit(bytes).encode(&mut out.control).expect("a number always fits");
    }

    /// Whether half of the queue is free.
    fn has_room(&self, out: &Out) -> bool {
        out.frames.len() <= self.limits.queue_bytes / 2
    }

    /// Nothing more will come for a socket.
    pub(crate) fn drop_socket(&self, socket: SocketKey) {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    }

    /// The sockets of [`Self::drop_socket`].
    pub(crate) fn dropped(&self) -> Vec<SocketKey> {
        std::mem::take(&mut *self.dropped.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until [`Self::take`] may have something.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Whether frames that count wait for credit.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.lock().frames.is_empty()
    }

    /// Waits until half of the queue is free.
    pub(crate) async fn ready(&self) -> Result<(), SendError> {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            {
                let out = self.lock();
                if !out.open {
                    return Err(SendError::NoLink);
                }
                if self.has_room(&out) {
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// The link is no more: nothing can be sent, and nothing will be answered.
    pub(crate) fn close(&self) {
        {
            let mut out = self.lock();
            out.open = false;
            out.control = Vec::new();
            out.frames = Vec::new();
        }
        self.room.notify_waiters();
        self.requests.forget();
    }
}

/// How many bytes at the front of `frames` may be sent: whole frames, as long as the balance is above zero.
fn sendable(frames: &[u8], balance: &mut i64) -> usize {
    let all = i64::try_from(frames.len()).unwrap_or(i64::MAX);
    if all <= *balance {
        *balance -= all;
        return frames.len();
    }
    let mut end = 0;
    while *balance > 0
        && let Some((length, _)) = frames[end..].split_first_chunk()
    {
        let frame = 4 + u32::from_le_bytes(*length);
        *balance -= i64::from(frame);
        end += frame as usize;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { queue_bytes: 100, portion: 100, frame_bytes: 1000 };

    fn accept() -> FromBackend<'static> {
        FromBackend::Accept(SocketKey::from_bytes([7; 10]))
    }

    /// 4 bytes of length, the type, and a socket.
    const ACCEPT_BYTES: usize = 15;

    fn taken(link: &Link) -> usize {
        let mut written = Vec::new();
        link.take(&mut written, false);
        written.len()
    }

    #[test]
    fn frames_wait_for_credit_and_the_last_one_may_exceed_it() {
        let link = Link::new(LIMITS, 16);
        for _ in 0..3 {
            link.send(&accept()).unwrap();
        }
        assert_eq!(taken(&link), 2 * ACCEPT_BYTES);
        assert_eq!(taken(&link), 0);
        link.credit(14);
        assert_eq!(taken(&link), 0, "the balance is zero");
        link.credit(1);
        assert_eq!(taken(&link), ACCEPT_BYTES);
    }

    #[test]
    fn frames_that_do_not_count_overtake_those_that_wait() {
        let link = Link::new(LIMITS, 0);
        link.send(&accept()).unwrap();
        link.control(&FromBackend::Drain);
        assert_eq!(taken(&link), 5);
        assert!(link.is_blocked());
    }

    #[test]
    fn beyond_the_bound_emits_are_refused_and_answers_are_not() {
        let link = Link::new(LIMITS, 0);
        while link.send(&accept()).is_ok() {}
        assert!(matches!(link.send(&accept()), Err(SendError::Full)));
        link.answer(&accept()).unwrap();
        link.close();
        assert!(matches!(link.send(&accept()), Err(SendError::NoLink)));
        assert!(matches!(link.answer(&accept()), Err(SendError::NoLink)));
    }

    #[test]
    fn credit_is_given_in_portions_and_not_while_the_gateway_does_not_take_what_we_send() {
        let link = Link::new(LIMITS, 0);
        link.handled(99);
        assert_eq!(taken(&link), 0);
        link.handled(1);
        assert_eq!(taken(&link), 9, "CREDIT");
        for _ in 0..6 {
            link.send(&accept()).unwrap();
        }
        link.handled(500);
        assert_eq!(taken(&link), 0);
        link.credit(1000);
        assert_eq!(taken(&link), 6 * ACCEPT_BYTES);
        assert_eq!(taken(&link), 9);
    }

    #[test]
    fn a_frame_longer_than_the_gateway_takes_is_not_sent() {
        let link = Link::new(Limits { frame_bytes: 14, ..LIMITS }, 1000);
        assert!(matches!(link.send(&accept()), Err(SendError::TooLong { field: "frame" })));
        assert_eq!(taken(&link), 0);
    }

    #[tokio::test]
    async fn who_waits_for_room_is_told_when_there_is_some_or_never_will_be() {
        let link = Link::new(LIMITS, 0);
        link.ready().await.unwrap();
        while link.send(&accept()).is_ok() {}
        let take = async {
            link.credit(1000);
            taken(&link)
        };
        let (ready, _) = tokio::join!(link.ready(), take);
        ready.unwrap();
        while link.send(&accept()).is_ok() {}
        let close = async { link.close() };
        let (ready, ()) = tokio::join!(link.ready(), close);
        assert!(matches!(ready, Err(SendError::NoLink)));
    }
}
