//! What can go wrong, one enum per kind of operation.

use std::io;
use tidegate_core::backend::wire::WireError;
use tidegate_core::socket_io::ArgsError;

/// Why a backend could not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The gateway cannot be reached, or the link to it was lost, and
    /// [`Builder::reconnect`](crate::Builder::reconnect) is off.
    #[error("the link to the gateway: {0}")]
    Io(#[from] io::Error),
    /// The gateway does not want this backend. Codes are those of the protocol (§8): 1 and 2 are final, the
    /// others end a backend only if it may not reconnect.
    #[error("the gateway refuses this backend: {message} (code {code})")]
    Refused {
        /// 1 not a hello, 2 no common version, 3 too many links, 4 shutting down, 5 a broken frame.
        code: u16,
        /// The gateway's words.
        message: String,
    },
    /// The gateway sent what this crate cannot make sense of, and reconnecting is off.
    #[error("the gateway broke the protocol: {0}")]
    Protocol(#[from] WireError),
    /// The gateway did not answer HELLO in time, and reconnecting is off.
    #[error("the gateway did not answer")]
    Silent,
    /// A namespace that cannot be served: its name does not begin with `/`, or is too long.
    #[error("not the name of a namespace: {0:?}")]
    Namespace(String),
    /// The backend was closed before it was ever connected.
    #[error("closed")]
    Closed,
}

/// Why something was not sent. Nothing of it has been sent then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no link to the gateway, or the socket belonged to one that was lost.
    #[error("no link to the gateway")]
    NoLink,
    /// The socket has left its namespace.
    #[error("the socket has left")]
    Gone,
    /// More is waiting to be sent than [`Builder::queue_bytes`](crate::Builder::queue_bytes) allows: the
    /// gateway does not keep up. `ready` on a socket or an [`Io`](crate::Io) waits until there is room.
    #[error("too much is waiting to be sent")]
    Full,
    /// The arguments are not JSON, or there are too many attachments.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// An event name that Socket.IO keeps for itself, such as `connect`.
    #[error("{0:?} is a reserved event name")]
    Reserved(String),
    /// One field, or the whole frame, is longer than the protocol or this gateway takes.
    #[error("{field}: too long")]
    TooLong {
        /// What is too long.
        field: &'static str,
    },
}

/// Why an acknowledgement did not come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// Nobody answered in time.
    #[error("operation has timed out")]
    TimedOut,
    /// The socket left, was handed over, or the link was lost: nobody will answer.
    #[error("nobody is left to answer")]
    Gone,
    /// The event was never sent.
    #[error(transparent)]
    NotSent(#[from] SendError),
}

/// Why a client is not let into a namespace, in the words that the client gets.
///
/// ```
/// use tidegate_backend::Rejection;
///
/// let plain = Rejection::new("not authorized");
/// let with_data = Rejection::new("not authorized").data(&("retry", 5)).unwrap();
/// assert_eq!(with_data.data.as_deref(), Some(r#"["retry",5]"#));
/// # let _ = plain;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// `err.message` at the client.
    pub message: String,
    /// `err.data` at the client, as JSON text.
    pub data: Option<String>,
}

impl Rejection {
    /// A rejection without data.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// The same with `err.data`.
    ///
    /// # Errors
    /// The value is not JSON, such as a map with keys that are not text.
    pub fn data<T: serde::Serialize + ?Sized>(mut self, data: &T) -> Result<Self, serde_json::Error> {
        self.data = Some(serde_json::to_string(data)?);
        Ok(self)
    }
}
