//! What goes out: messages to other cores, then bytes to clients, then what is done to their streams.

use super::Engine;
use crate::runtime::driven::{Driven, StreamAction};
use crate::runtime::mesh::Parcel;
use crate::runtime::send::{Sent, send_queue};
use crate::runtime::streams::{Far, Input};
use rustix::net::{Shutdown, shutdown};
use std::io;
use std::os::fd::AsFd as _;
use tidegate_core::time::Instant;

/// Connections written to before deadlines and other cores are looked at again; one write is 3 to 5 µs.
const WRITES_PER_PASS: usize = 512;

impl<S: Driven> Engine<S> {
    /// Sends what the shard has to say, and does what it asks. Returns how much that was.
    ///
    /// If it was anything, the caller comes again: a failed write, or a pause that is over, may give the shard
    /// something to tell another core.
    pub(super) fn send_out(&mut self, now: Instant) -> io::Result<usize> {
        let messages = self.send_messages();
        if self.mailbox.waiting() > 0 {
            return Ok(messages);
        }
        let writes = self.write_streams(now)?;
        // In the middle of a broadcast nothing is read, or it would grow faster than it leaves, and nothing is
        // closed whose last bytes may still be to come.
        self.writes_left = writes == WRITES_PER_PASS;
        if self.writes_left {
            return Ok(messages + writes);
        }
        let actions = self.act()?;
        // Connections that have moved.
        self.mailbox.flush();
        Ok(messages + writes + actions)
    }

    fn send_messages(&mut self) -> usize {
        let mut count = 0;
        while let Some((to, message)) = self.shard.poll_message() {
            self.mailbox.post(to, Parcel::Message(message));
            count += 1;
        }
        self.mailbox.flush();
        count
    }

    /// One write for each of the next [`WRITES_PER_PASS`] connections that have something to write.
    fn write_streams(&mut self, now: Instant) -> io::Result<usize> {
        for conn in self.unfinished.drain(..) {
            self.shard.handle_writable(conn);
        }
        let mut count = 0;
        while count < WRITES_PER_PASS
            && let Some((conn, handle, queue)) = self.shard.poll_write()
        {
            count += 1;
            let Some((id, stream)) = self.streams.by_handle(handle) else {
                debug_assert!(false, "the shard writes to a stream that is gone");
                continue;
            };
            match send_queue(stream.fd.as_fd(), queue, &mut self.scratch) {
                Sent::All(sent) => self.shard.handle_written(now, conn, sent),
                Sent::Share(sent) => {
                    self.shard.handle_written(now, conn, sent);
                    self.unfinished.push(conn);
                }
                Sent::Full(sent) => {
                    self.shard.handle_written(now, conn, sent);
                    if !stream.waits_for_room {
                        stream.waits_for_room = true;
                        self.poller.watch_writable(stream.fd.as_fd(), id)?;
                    }
                }
                Sent::Failed => {
                    if stream.input != Input::Dead {
                        stream.input = Input::Dead;
                        self.broken.push(conn);
                        // The shard hears of it as input: what follows from it may concern other cores, to whom
                        // nothing can be said any more before the writes of this pass.
                        self.shard.handle_written(now, conn, 0);
                    }
                }
            }
        }
        Ok(count)
    }

    fn act(&mut self) -> io::Result<usize> {
        let mut count = 0;
        while let Some(action) = self.shard.poll_action() {
            count += 1;
            match action {
                StreamAction::Close { conn, stream } => {
                    let Some((id, stream)) = self.streams.remove(stream, conn) else { continue };
                    // The peer gets its FIN now; the file lives until its poll has ended.
                    let _ = shutdown(&stream.fd, Shutdown::Both);
                    self.poller.forget(&stream.fd, id, stream.waits_for_room)?;
                    match stream.far {
                        Far::Client => self.admission.leave(),
                        Far::Backend => self.link_places.leave(self.mailbox.me()),
                    }
                    self.wake_acceptors();
                }
                StreamAction::ShutdownWrite { stream } => {
                    if let Some((_, stream)) = self.streams.by_handle(stream) {
                        // It fails on a stream that has failed, which is reported elsewhere.
                        let _ = shutdown(&stream.fd, Shutdown::Write);
                    }
                }
                StreamAction::Resume { stream } => {
                    if let Some((id, stream)) = self.streams.by_handle(stream)
                        && stream.input == Input::Paused
                    {
                        // There may be bytes that were reported before the pause.
                        stream.input = Input::Open;
                        self.line_up(id);
                    }
                }
                StreamAction::Move { conn, stream, to, moved } => {
                    let Some((id, stream)) = self.streams.remove(stream, conn) else { continue };
                    debug_assert_eq!(stream.far, Far::Client, "a link stays where it was placed");
                    self.poller.forget(&stream.fd, id, stream.waits_for_room)?;
                    self.mailbox.post(to, Parcel::Connection { stream: stream.fd, moved });
                }
            }
        }
        Ok(count)
    }
}
