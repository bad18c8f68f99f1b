//! What a socket goes through, from CONNECT to DISCONNECTED or RELEASED.

use super::session::Session;
use super::{Socket, lock};
use crate::error::SendError;
use crate::link::Link;
use crate::link::sequence::Sequence;
use crate::namespace::Namespace;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tidegate_core::backend::wire::FromBackend;
use tidegate_core::shard::app::SocketKey;
use tidegate_core::socket_io::Args;

/// What a socket has been through. Bits are set and never taken back.
pub(super) mod state {
    /// ACCEPT was sent.
    pub(in super::super) const ACCEPTED: u8 = 1;
    /// This backend has disconnected or rejected it.
    pub(in super::super) const SENT_AWAY: u8 = 2;
    /// The gateway says that it is gone.
    pub(in super::super) const GONE: u8 = 4;
    /// It is another backend's now, or nobody's.
    pub(in super::super) const RELEASED: u8 = 8;
}

/// Why a socket is no longer this backend's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// This backend drains. Whatever is sent before the handler ends still arrives.
    Handover,
    /// The link to the gateway was lost. Nothing can be sent.
    LinkLost,
}

impl Socket {
    /// DISCONNECT.
    pub(super) fn leave_namespace(&self) -> Result<(), SendError> {
        let before = self.set(state::SENT_AWAY);
        if before & (state::SENT_AWAY | state::GONE) != 0 {
            return Err(SendError::Gone);
        }
        if before & state::ACCEPTED == 0 {
            // Its CONNECT will be answered with a rejection.
            return Ok(());
        }
        self.0.link.answer(&FromBackend::Disconnect(self.0.key))
    }

    pub(super) fn state(&self) -> u8 {
        self.0.state.load(Ordering::Acquire)
    }

    /// Sets a bit; returns what was before.
    fn set(&self, bit: u8) -> u8 {
        self.0.state.fetch_or(bit, Ordering::AcqRel)
    }

    pub(crate) fn key(&self) -> SocketKey {
        self.0.key
    }

    pub(crate) fn session(&self) -> &Session {
        &self.0.session
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.0.link
    }

    pub(crate) fn handlers(&self) -> &Namespace {
        &self.0.namespace.handlers
    }

    pub(crate) fn sequence(&self) -> &Sequence {
        &self.0.sequence
    }

    /// Whether it ever was in the namespace.
    pub(crate) fn was_connected(&self) -> bool {
        self.state() & state::ACCEPTED != 0
    }

    /// Whether this backend has disconnected it: what it sent is not of interest any more.
    pub(crate) fn has_been_disconnected(&self) -> bool {
        self.state() & state::SENT_AWAY != 0
    }

    /// Answers its CONNECT, unless it was taken back, or the handler has disconnected it. Returns whether it
    /// is in.
    pub(crate) fn accept(&self) -> bool {
        let accepted = self.0.state.compare_exchange(0, state::ACCEPTED, Ordering::AcqRel, Ordering::Acquire);
        match accepted {
            Ok(_) => self.0.link.answer(&FromBackend::Accept(self.0.key)).is_ok(),
            Err(state::SENT_AWAY) => {
                let reject = FromBackend::Reject { socket: self.0.key, message: "disconnected", data: None };
                let _ = self.0.link.answer(&reject);
                self.rejected();
                false
            }
            Err(_) => false,
        }
    }

    /// It was rejected: nothing more comes for it.
    pub(crate) fn rejected(&self) {
        self.set(state::SENT_AWAY);
        self.0.link.drop_socket(self.0.key);
    }

    /// HANDOVER. Returns whether there is something to finish first.
    pub(crate) fn hand_over(&self) -> bool {
        match self.0.state.compare_exchange(0, state::RELEASED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => self.released(),
            // DISCONNECTED is on its way, and ends it.
            Err(before) if before & state::SENT_AWAY != 0 => {
                let _ = self.0.link.answer(&FromBackend::Released(self.0.key));
            }
            Err(_) => return true,
        }
        false
    }

    /// RELEASED: all that has been said of it was said.
    pub(crate) fn released(&self) {
        self.set(state::RELEASED);
        // If the link is lost, it is nobody's anyway.
        let _ = self.0.link.answer(&FromBackend::Released(self.0.key));
        self.0.link.drop_socket(self.0.key);
    }

    /// Whether it is another's, and this backend has said all it had to say.
    pub(crate) fn is_released(&self) -> bool {
        self.state() & state::RELEASED != 0
    }

    /// The gateway says that it is gone, or the link is lost: nobody will answer.
    pub(crate) fn gone(&self) {
        self.set(state::GONE);
        lock(&self.0.acks).clear();
    }

    /// The answer to an event.
    pub(crate) fn acknowledged(&self, number: u64, answer: impl FnOnce() -> Args) {
        let waiting = lock(&self.0.acks).remove(&number);
        if let Some(waiting) = waiting {
            // Who no longer waits has dropped the receiver.
            let _ = waiting.send(answer());
        }
    }
}
