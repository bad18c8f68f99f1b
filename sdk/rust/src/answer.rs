//! Answers that are still to come.

use crate::error::{AckError, SendError};
use crate::link::requests::Abandon;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// The answer to something that has been sent already. A future; who drops it does without the answer.
pub struct Answer<T>(Pin<Box<dyn Future<Output = Result<T, AckError>> + Send>>);

impl<T> Answer<T> {
    pub(crate) fn new(answer: impl Future<Output = Result<T, AckError>> + Send + 'static) -> Self {
        Self(Box::pin(answer))
    }
}

impl<T: Send + 'static> Answer<T> {
    /// The answer to a request, or the reason why it was not sent.
    pub(crate) fn to(asked: Result<(Abandon, oneshot::Receiver<T>), SendError>) -> Self {
        Self::new(async move {
            let (_abandon, answered) = asked?;
            answered.await.map_err(|_| AckError::Gone)
        })
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, AckError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
