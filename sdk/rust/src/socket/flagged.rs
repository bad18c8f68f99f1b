//! Flags for one event.

use super::Socket;
use crate::answer::Answer;
use crate::args::ToArgs;
use crate::error::SendError;
use std::time::Duration;
use tidegate_core::backend::wire::EmitFlags;
use tidegate_core::socket_io::Args;

/// A socket with flags for one event: see [`Socket::flags`].
#[derive(Clone, Copy, Debug)]
pub struct Flagged<'a> {
    pub(super) socket: &'a Socket,
    pub(super) flags: EmitFlags,
}

impl Flagged<'_> {
    /// Drop it if the client is not ready at this instant.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.flags.volatile = true;
        self
    }

    /// Whether it may be compressed. It may, unless told otherwise.
    #[must_use]
    pub fn compress(mut self, compress: bool) -> Self {
        self.flags.compress = compress;
        self
    }

    /// As [`Socket::emit`].
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn emit(self, event: &str, args: impl ToArgs) -> Result<(), SendError> {
        self.socket.send_event(self.flags, event, args, 0, 0)
    }

    /// As [`Socket::emit_with_ack`].
    pub fn emit_with_ack(
        self,
        event: &str,
        args: impl ToArgs,
        timeout: impl Into<Option<Duration>>,
    ) -> Answer<Args> {
        self.socket.request(self.flags, event, args, timeout.into())
    }
}
