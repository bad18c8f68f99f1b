//! The handlers of one socket, one after the other.
//!
//! As long as no handler of a socket waits for anything, everything happens at once, in the task that drives
//! the link. The first handler that does wait moves to a task of its own, and what comes for the socket
//! meanwhile waits behind it, as jobs. When that task has nothing left it ends.
//!
//! No more can wait than the gateway had credit for: credit for a frame is given when its handler has ended.

use crate::error::Rejection;
use crate::event::Event;
use crate::namespace::{BoxFuture, EventHandler};
use crate::socket::{Release, Socket};
use std::any::Any;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use tidegate_core::backend::wire::FromBackend;
use tidegate_core::close::DisconnectReason;
use tidegate_core::socket_io::json;

/// Something to be done for a socket.
pub(crate) enum Job {
    /// Decide about a CONNECT.
    Connect,
    /// Handle an event.
    Event(Event),
    /// Say goodbye to a socket that has left.
    Disconnected(DisconnectReason),
    /// Give a socket up that stays connected.
    Release(Release),
}

/// What waits for a socket, each with the bytes of the frame it came in.
#[derive(Default)]
pub(crate) struct Sequence {
    /// A task works on this socket. Only the driving task sets it, only that task clears it.
    busy: AtomicBool,
    jobs: Mutex<VecDeque<(Job, usize)>>,
}

impl Sequence {
    /// Whether a handler is at work, so that the next has to wait.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Gives `job` back if nobody is at work.
    fn wait(&self, job: Job, bytes: usize) -> Option<Job> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_busy() {
            return Some(job);
        }
        jobs.push_back((job, bytes));
        None
    }

    /// The next job; if there is none, nobody is at work any more.
    fn next(&self) -> Option<(Job, usize)> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let next = jobs.pop_front();
        if next.is_none() {
            self.busy.store(false, Ordering::Release);
        }
        next
    }
}

impl Socket {
    /// Does a job, or has it wait until those before it are done. `bytes` is what the gateway gets credit for
    /// then.
    ///
    /// Called by the task that drives the link, alone.
    pub(crate) fn perform(&self, job: Job, bytes: usize) {
        let Some(job) = self.sequence().wait(job, bytes) else { return };
        match self.begin(job).and_then(poll_once) {
            None => self.link().handled(bytes),
            Some(waiting) => {
                self.sequence().busy.store(true, Ordering::Release);
                tokio::spawn(work(self.clone(), waiting, bytes));
            }
        }
    }

    /// Starts a job; returns what is left to do.
    fn begin(&self, job: Job) -> Option<BoxFuture> {
        match job {
            Job::Connect => self.begin_connect(),
            Job::Event(event) => self.begin_event(event),
            Job::Disconnected(reason) => {
                let handler = self.handlers().disconnect.as_ref().filter(|_| self.was_connected());
                handler.and_then(|handler| guarded(|| handler(self.clone(), reason)))
            }
            Job::Release(why) => self.begin_release(why),
        }
    }

    fn begin_connect(&self) -> Option<BoxFuture> {
        let handlers = self.handlers();
        let decide = handlers.connect.as_ref().filter(|_| !self.recovered() || handlers.connect_recovered);
        let Some(decide) = decide else {
            return self.let_in();
        };
        let unanswered = Unanswered(Some(self.clone()));
        let decision = guarded(|| decide(self.clone()))?;
        Some(Box::pin(async move {
            let decision = decision.await;
            let Some(socket) = unanswered.disarm() else { return };
            match decision {
                Ok(()) => {
                    if let Some(connected) = socket.let_in() {
                        connected.await;
                    }
                }
                Err(rejection) => socket.keep_out(&rejection),
            }
        }))
    }

    /// ACCEPT, and the `connected` handler.
    fn let_in(&self) -> Option<BoxFuture> {
        if !self.accept() {
            return None;
        }
        let handler = self.handlers().connected.as_ref()?;
        guarded(|| handler(self.clone()))
    }

    /// REJECT. Data that is not JSON, and what is too long, is left out.
    fn keep_out(&self, rejection: &Rejection) {
        let (socket, message) = (self.key(), &*rejection.message);
        let data = rejection.data.as_deref().filter(|data| json::validate(data).is_ok());
        if data.is_none() && rejection.data.is_some() {
            tracing::error!("the data of a rejection is not JSON");
        }
        if let Err(error) = self.link().answer(&FromBackend::Reject { socket, message, data }) {
            tracing::error!("a rejection cannot be sent: {error}");
            let _ = self.link().answer(&FromBackend::Reject { socket, message: "rejected", data: None });
        }
        self.rejected();
    }

    fn begin_event(&self, event: Event) -> Option<BoxFuture> {
        if self.has_been_disconnected() {
            return None;
        }
        match self.handlers().find(event.name()) {
            Some(EventHandler::Async(handler)) => guarded(|| handler(self.clone(), event)),
            Some(EventHandler::Sync(handler)) => {
                guarded(|| handler(self, &event.borrowed(self)));
                None
            }
            None => None,
        }
    }

    fn begin_release(&self, why: Release) -> Option<BoxFuture> {
        let handler = self.handlers().release.as_ref().filter(|_| self.was_connected());
        let farewell = handler.and_then(|handler| guarded(|| handler(self.clone(), why)));
        let socket = self.clone();
        match (farewell, why) {
            (farewell, Release::LinkLost) => farewell,
            (None, Release::Handover) => {
                self.released();
                None
            }
            (Some(farewell), Release::Handover) => Some(Box::pin(async move {
                // Whatever becomes of the handler, the gateway waits for this.
                caught(farewell).await;
                socket.released();
            })),
        }
    }
}

/// Goes on with a handler that waits, and then with what has come for its socket meanwhile.
async fn work(socket: Socket, first: BoxFuture, bytes: usize) {
    caught(first).await;
    socket.link().handled(bytes);
    while let Some((job, bytes)) = socket.sequence().next() {
        if let Some(future) = socket.begin(job) {
            caught(future).await;
        }
        socket.link().handled(bytes);
    }
}

/// Rejects a CONNECT whose handler panicked.
struct Unanswered(Option<Socket>);

impl Unanswered {
    fn disarm(mut self) -> Option<Socket> {
        self.0.take()
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(socket) = self.0.take() {
            socket.keep_out(&Rejection::new("internal error"));
        }
    }
}

/// Polls for the first time. Most handlers have nothing to wait for, and need no task; the others register
/// their real waker when they are polled again, by the task they become.
pub(crate) fn poll_once(mut future: BoxFuture) -> Option<BoxFuture> {
    let mut context = Context::from_waker(Waker::noop());
    match guarded_poll(&mut future, &mut context) {
        Poll::Ready(()) => None,
        Poll::Pending => Some(future),
    }
}

/// Runs a handler to its end. A panic is that of one handler, not of the backend.
pub(crate) async fn caught(mut future: BoxFuture) {
    poll_fn(|context| guarded_poll(&mut future, context)).await;
}

fn guarded_poll(future: &mut BoxFuture, context: &mut Context<'_>) -> Poll<()> {
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll,
        Err(panic) => {
            complain(&*panic);
            Poll::Ready(())
        }
    }
}

/// Calls a handler that may panic.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).inspect_err(|panic| complain(&**panic)).ok()
}

fn complain(panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(|s| &**s));
    tracing::error!("a handler panicked: {}", text.unwrap_or("no message"));
}
