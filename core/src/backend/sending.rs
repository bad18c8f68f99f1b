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
            link.out.stalled.push_back(Stalled::Socket(socket));
        }
    }

    /// Sends frames that are not (or no longer) tied to a socket, now or in their turn.
    pub(super) fn send_frames(&mut self, io: &mut Io<'_>, key: Key, frames: Vec<u8>) {
        let Some(link) = self.links.get_mut(key) else { return };
        if link.out.has_credit() {
            encoded::split(&frames).for_each(|frame| link.out.write_encoded(frame, None));
            self.mark_dirty(io, key);
        } else {
            link.out.stalled.push_back(Stalled::Frames(frames));
        }
    }

    /// Sends what waits for credit, as far as there is some.
    pub(super) fn resume(&mut self, io: &mut Io<'_>, key: Key) {
        let Self { links, sockets, held_bytes, .. } = self;
        let Some(link) = links.get_mut(key) else { return };
        let mut sent = false;
        while link.out.can_resume()
            && let Some(stalled) = link.out.stalled.pop_front()
        {
            sent = true;
            let socket = match stalled {
                Stalled::Frames(frames) => {
                    encoded::split(&frames).for_each(|frame| link.out.write_encoded(frame, None));
                    continue;
                }
                Stalled::Socket(socket) => socket,
            };
            let Some(served) = sockets.get_mut(socket).filter(|served| served.stage == Stage::Owned(key))
            else {
                continue;
            };
            while link.out.is_in_credit()
                && let Some(frame) = served.held.first()
            {
                let bytes = frame.len();
                link.out.write_encoded(frame, served.is_kept.then_some(socket));
                served.held.pop(bytes);
                *held_bytes -= bytes;
            }
            served.is_stalled = !served.held.is_empty();
            if served.is_stalled {
                link.out.stalled.push_back(Stalled::Socket(socket));
            } else if std::mem::replace(&mut served.holds_input, false) {
                io.release_input(socket);
            }
        }
        if sent {
            self.mark_dirty(io, key);
        }
        if self.is_starved {
            self.find_backends(io);
        }
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
