//! What comes in: events, parcels of other cores, bytes.

use super::Engine;
use crate::runtime::driven::Driven;
use crate::runtime::mesh::Parcel;
use crate::runtime::poller::{Event, StreamId, Subject};
use crate::runtime::streams::Input;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::io;
use std::os::fd::AsFd as _;
use tidegate_core::shard::{Reading, StreamEnd};
use tidegate_core::time::Instant;

/// Reads of one stream before it is the next one's turn: 256 KiB.
const READS_PER_STREAM: usize = 4;
/// Streams read before what they caused is written.
const STREAMS_PER_PASS: usize = 512;

impl<S: Driven> Engine<S> {
    /// Handles what lies in the mailbox now. Returns how much that was.
    pub(super) fn empty_mailbox(&mut self, now: Instant) -> io::Result<usize> {
        // Not "until it is empty": others may fill it as fast as we empty it.
        let count = self.mailbox.len();
        for _ in 0..count {
            match self.mailbox.take() {
                Some(Parcel::Message(message)) => self.shard.handle_message(now, message),
                Some(Parcel::Connection { stream, moved }) => {
                    let shard = &mut self.shard;
                    let id = self.streams.insert(stream, |handle| shard.handle_moved(now, handle, *moved));
                    // A watch reports what is there already, so bytes that came on the way are not missed.
                    self.watch(now, id)?;
                }
                Some(Parcel::Control(control)) => self.handle_control(now, control),
                None => break,
            }
        }
        if count > 0 {
            self.mailbox.announce_room();
        }
        Ok(count)
    }

    pub(super) fn handle_event(&mut self, now: Instant, event: Event) -> io::Result<()> {
        match event.token.subject() {
            Subject::Stream(id) => {
                if event.ended && self.streams.get(id).is_some() {
                    self.watch(now, id)?;
                }
                self.handle_readiness(now, id, event);
                // In an epoll set, room is told with the rest.
                if event.writable {
                    self.handle_room(id);
                }
            }
            Subject::Writable(id) => self.handle_room(id),
            Subject::Timer => {
                self.timer.fired();
                if event.ended {
                    self.poller.watch_timer(self.timer.as_fd())?;
                }
            }
            Subject::Nothing => {}
        }
        Ok(())
    }

    fn handle_readiness(&mut self, now: Instant, id: StreamId, event: Event) {
        let Some(stream) = self.streams.get(id) else { return };
        stream.hangup |= event.hangup;
        match stream.input {
            Input::Open => self.line_up(id),
            // Nobody reads it, so nobody else would notice.
            Input::Paused | Input::Ended if event.failed => {
                stream.input = Input::Dead;
                let conn = stream.conn;
                self.shard.handle_end(now, conn, StreamEnd::Error);
            }
            Input::Paused | Input::Ended | Input::Dead => {}
        }
    }

    /// Puts a stream in the line of those to read, unless it stands there already.
    pub(super) fn line_up(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get(id)
            && !stream.queued
        {
            stream.queued = true;
            self.readable.push_back(id);
        }
    }

    fn handle_room(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get(id)
            && stream.waits_for_room
        {
            stream.waits_for_room = false;
            self.shard.handle_writable(stream.conn);
        }
    }

    /// Gives the first streams in line a share of reads each. Returns how many reads that were.
    pub(super) fn read_streams(&mut self, now: Instant) -> io::Result<usize> {
        if self.mailbox.waiting() > 0 || self.writes_left {
            return Ok(0);
        }
        let mut reads = 0;
        for _ in 0..self.readable.len().min(STREAMS_PER_PASS) {
            let Some(id) = self.readable.pop_front() else { break };
            reads += self.read_stream(now, id)?;
        }
        Ok(reads)
    }

    /// Reads until the kernel has no more, the shard wants no more, or the share is used up.
    fn read_stream(&mut self, now: Instant, id: StreamId) -> io::Result<usize> {
        for reads in 0..READS_PER_STREAM {
            let Some(stream) = self.streams.get(id) else { return Ok(reads) };
            stream.queued = false;
            if stream.input != Input::Open {
                return Ok(reads);
            }
            let (conn, hangup) = (stream.conn, stream.hangup);
            let count = match recv(&stream.fd, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    stream.input = Input::Ended;
                    self.shard.handle_end(now, conn, StreamEnd::Eof);
                    return Ok(reads + 1);
                }
                Ok((count, _)) => count,
                Err(Errno::AGAIN) => return Ok(reads + 1),
                Err(Errno::INTR) => continue,
                Err(_) => {
                    stream.input = Input::Dead;
                    self.shard.handle_end(now, conn, StreamEnd::Error);
                    return Ok(reads + 1);
                }
            };
            if !self.mailbox.is_empty() {
                // The client may have sent this because of what another core did: that comes first.
                self.empty_mailbox(now)?;
            }
            let reading = self.shard.handle_bytes(now, conn, &mut self.buffer[..count]);
            let Some(stream) = self.streams.get(id) else { return Ok(reads + 1) };
            match reading {
                Reading::Continue if count < self.buffer.len() && !hangup => return Ok(reads + 1),
                Reading::Continue => {}
                Reading::Paused => stream.input = Input::Paused,
                Reading::Closed => stream.input = Input::Dead,
            }
        }
        self.line_up(id);
        Ok(READS_PER_STREAM)
    }
}
