//! What becomes of a stream that was accepted on the backend socket.

use super::listener::LinkListener;
use super::peers::{Peers, Stranger};
use crate::runtime::driven::Driven;
use crate::runtime::engine::Engine;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::net::{SendFlags, send};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use tidegate_core::backend::wire::{RefuseCode, ToBackend};

/// What a link may have on its way to a backend, if `net.core.wmem_max` allows it. (The other way, the backend's own
/// buffer counts.)
const SEND_BUFFER_BYTES: usize = 1024 * 1024;
/// Users whose attempts are logged, once each; who comes after that many is only counted.
const USERS_LOGGED_MAX: usize = 100;
/// Backends over the limit try again and again: they are logged once in this many.
const OVER_LIMIT_PER_LOG: u64 = 600;

/// Lets streams in, and shows each to its core.
pub(crate) struct Usher {
    peers: Peers,
    links_max: usize,
    /// Those whose attempt has been logged.
    logged: BTreeSet<u32>,
}

impl Usher {
    /// The usher for a listener, and the listener itself.
    pub(crate) fn new(listener: LinkListener) -> (Self, OwnedFd) {
        let LinkListener { fd, peers, links_max } = listener;
        (Self { peers, links_max: links_max as usize, logged: BTreeSet::new() }, fd)
    }

    /// Hands a stream to the core with the fewest links, or closes it.
    pub(crate) fn admit<S: Driven>(&mut self, engine: &mut Engine<S>, stream: OwnedFd) -> io::Result<()> {
        match self.peers.check(&stream) {
            Ok(Ok(())) => {}
            Ok(Err(stranger)) => {
                engine.stats_mut().links_refused += 1;
                self.log(stranger);
                return Ok(());
            }
            Err(error) => {
                engine.stats_mut().links_refused += 1;
                tracing::warn!(%error, "a backend was refused: the kernel does not say who it is");
                return Ok(());
            }
        }
        let Some(core) = engine.link_places().enter(self.links_max) else {
            let over = &mut engine.stats_mut().links_over_limit;
            if over.is_multiple_of(OVER_LIMIT_PER_LOG) {
                tracing::warn!(links_max = self.links_max, "a backend was refused: too many links");
            }
            *over += 1;
            self.say_too_many(&stream);
            return Ok(());
        };
        // What the kernel allows is good enough.
        let _ = set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES);
        engine.accept_link(core, stream)
    }

    /// A backend that is refused is to know why. One that takes no bytes at all is not waited for.
    fn say_too_many(&self, stream: &OwnedFd) {
        let message = format!("there are {} links, as many as may be", self.links_max);
        let mut frame = Vec::new();
        let refuse = ToBackend::Refuse { code: RefuseCode::TooManyLinks, message: &message };
        if refuse.encode(&mut frame).is_ok() {
            let _ = send(stream, &frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
    }

    fn log(&mut self, Stranger { user, group }: Stranger) {
        if self.logged.len() < USERS_LOGGED_MAX && self.logged.insert(user) {
            tracing::warn!(
                user,
                group,
                "a backend was refused: it is neither our user nor root nor in backend.group; \
                 this is logged once per user"
            );
        }
    }
}
