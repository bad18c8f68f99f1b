//! What is said to backends: now, or when there is credit.

use super::Backends;
use super::encoded;
use super::outbound::Stalled;
use super::sockets::Stage;
use super::wire::ToBackend;
use crate::arena::Key;
use crate::shard::Io;
use crate::shard::app::SocketKey;

impl Backends {
    /// Sends a frame to the backend of a socket, or holds it until that is possible.
    pub(super) fn send_or_hold(&mut self, io: &mut Io<'_>, socket: SocketKey, frame: &ToBackend<'_>) {
        let Some(served) = self.sockets.get_mut(socket) else { return };
        if let Stage::Owned(key) = served.stage
            && served.held.is_empty()
            && let Some(link) = self.links.get_mut(key)
            && link.out.has_credit()
        {
            link.out.write_for(served.is_kept.then_some(socket), frame);
            return self.mark_dirty(io, key);
        }
        self.held_bytes += served.held.push(|out| encoded::append(frame, out));
        let shard_max = (self.options.hold_bytes / u32::from(io.shards())) as usize;
        let is_much = served.held.len() > self.options.hold_bytes_per_socket as usize;
        if (is_much || self.held_bytes > shard_max) && !std::mem::replace(&mut served.holds_input, true) {
            io.hold_input(socket);
        }
        self.line_up(socket);
    }

    /// Puts a socket that has something held into the line of those that wait for credit.
    pub(super) fn line_up(&mut self, socket: SocketKey) {
        let Some(served) = self.sockets.get_mut(socket) else { return };
        if let Stage::Owned(key) = served.stage
            && !served.held.is_empty()
            && !served.is_stalled
            && let Some(link) = self.links.get_mut(key)
        {
            served.is_stalled = true;
            link.out.stall(Stalled::Socket(socket));
        }
    }

    /// Sends frames that are not (or no longer) tied to a socket, now or in their turn.
    pub(super) fn send_frames(&mut self, io: &mut Io<'_>, key: Key, frames: Vec<u8>) {
        let Some(link) = self.links.get_mut(key) else { return };
        self.held_bytes += frames.len();
        link.out.stall(Stalled::Frames(frames.into()));
        self.send_stalled(io, key);
    }

    /// Sends what waits for credit, and offers sockets that do, as far as there is some.
    pub(super) fn resume(&mut self, io: &mut Io<'_>, key: Key) {
        self.send_stalled(io, key);
        if self.is_starved {
            self.feed(io, key);
        }
    }

    /// Sends what waits for credit, as far as there is some.
    fn send_stalled(&mut self, io: &mut Io<'_>, key: Key) {
        let mut sent = 0;
        while let Some(link) = self.links.get_mut(key)
            && let Some(stalled) = link.out.next_stalled()
        {
            sent += match stalled {
                Stalled::Frames(mut frames) => {
                    let bytes = link.out.write_held(&mut frames, None);
                    if !frames.is_empty() {
                        link.out.unstall(Stalled::Frames(frames));
                    }
                    bytes
                }
                Stalled::Socket(socket) => self.send_held(io, key, socket),
            };
        }
        self.held_bytes -= sent;
        if sent > 0 {
            self.mark_dirty(io, key);
        }
        self.report_released(io, key);
    }

    /// Sends what is held for a socket, whose turn it is. Returns the bytes.
    fn send_held(&mut self, io: &mut Io<'_>, key: Key, socket: SocketKey) -> usize {
        let served = self.sockets.get_mut(socket).filter(|served| served.stage == Stage::Owned(key));
        let (Some(served), Some(link)) = (served, self.links.get_mut(key)) else { return 0 };
        let sent = link.out.write_held(&mut served.held, served.is_kept.then_some(socket));
        served.is_stalled = !served.held.is_empty();
        if served.is_stalled {
            link.out.stall(Stalled::Socket(socket));
        } else if served.ends_hold() {
            io.release_input(socket);
        }
        sent
    }

    /// Has a link's batch flushed at the end of the turn.
    pub(super) fn mark_dirty(&mut self, io: &mut Io<'_>, key: Key) {
        if let Some(link) = self.links.get_mut(key)
            && link.out.becomes_dirty()
        {
            self.dirty.push(key);
            io.flush_soon();
        }
    }
}
