//! Questions the gateway will answer, by the number they were asked with.

use crate::remote::RemoteSocket;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_core::socket_io::Args;
use tokio::sync::oneshot;

/// What a broadcast with acknowledgement brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BroadcastAcks {
    /// How many clients were asked.
    pub asked: u32,
    /// Whether some of them did not answer in time.
    pub timed_out: bool,
    /// What the others answered, in the order in which it came.
    pub answers: Vec<Args>,
}

/// What other backends answered to a server-side emit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerResponses {
    /// How many backends were asked.
    pub asked: u32,
    /// The answers, each the JSON text of one value. Fewer than were asked if some did not answer in time.
    pub responses: Vec<String>,
}

/// A question that is still open. Parts of its answer are kept until it is complete.
#[derive(Debug)]
pub(crate) enum Request {
    Fetch { found: Vec<RemoteSocket>, done: oneshot::Sender<Vec<RemoteSocket>> },
    Broadcast { acks: BroadcastAcks, done: oneshot::Sender<BroadcastAcks> },
    Server { done: oneshot::Sender<ServerResponses> },
}

/// The open questions of one link.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Request>>,
}

impl Requests {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Request>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other question, nor awaited acknowledgement, of this link has. Never 0.
    pub(crate) fn number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn open(&self, number: u64, request: Request) {
        self.lock().insert(number, request);
    }

    pub(crate) fn abandon(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// The link is lost: whoever waits for an answer learns that there will be none.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    /// FETCHED.
    pub(crate) fn fetched(&self, number: u64, last: bool, sockets: impl Iterator<Item = RemoteSocket>) {
        let mut open = self.lock();
        let Some(Request::Fetch { found, .. }) = open.get_mut(&number) else { return };
        found.extend(sockets);
        if last && let Some(Request::Fetch { found, done }) = open.remove(&number) {
            // Who no longer waits has dropped the receiver.
            let _ = done.send(found);
        }
    }

    /// ASKED.
    pub(crate) fn asked(&self, number: u64, clients: u32) {
        if let Some(Request::Broadcast { acks, .. }) = self.lock().get_mut(&number) {
            acks.asked = clients;
        }
    }

    /// ANSWER.
    pub(crate) fn answer(&self, number: u64, answer: impl FnOnce() -> Args) {
        if let Some(Request::Broadcast { acks, .. }) = self.lock().get_mut(&number) {
            acks.answers.push(answer());
        }
    }

    /// ANSWERED.
    pub(crate) fn answered(&self, number: u64, timed_out: bool) {
        let mut open = self.lock();
        if !matches!(open.get(&number), Some(Request::Broadcast { .. })) {
            return;
        }
        if let Some(Request::Broadcast { mut acks, done }) = open.remove(&number) {
            acks.timed_out = timed_out;
            let _ = done.send(acks);
        }
    }

    /// SERVER_RESPONSES.
    pub(crate) fn responses(&self, number: u64, responses: impl FnOnce() -> ServerResponses) {
        let mut open = self.lock();
        if !matches!(open.get(&number), Some(Request::Server { .. })) {
            return;
        }
        if let Some(Request::Server { done }) = open.remove(&number) {
            let _ = done.send(responses());
        }
    }
}

/// Forgets a question when nobody waits for its answer any more.
pub(crate) struct Abandon {
    pub(crate) link: Arc<super::Link>,
    pub(crate) number: u64,
}

impl Abandon {
    /// Opens a question; its number is to be sent.
    pub(crate) fn open(link: Arc<super::Link>, request: Request) -> Self {
        let number = link.requests.number();
        link.requests.open(number, request);
        Self { link, number }
    }
}

impl Drop for Abandon {
    fn drop(&mut self) {
        self.link.requests.abandon(self.number);
    }
}
