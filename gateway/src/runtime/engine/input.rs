//! What comes in: events, parcels of other cores, bytes.

use super::{Engine, READ_BYTES};
use crate::runtime::driven::Driven;
use crate::runtime::mesh::Parcel;
use crate::runtime::poller::{Event, StreamId, Subject};
use crate::runtime::streams::{Far, Input};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::io;
use std::os::fd::AsFd as _;
use tidegate_core::shard::{Reading, StreamEnd};
use tidegate_core::time::Instant;

/// The first read of a stream whose turn has come. Few clients say more at once, and the rest of it can wait until
/// all others had their first read: one that floods us delays nobody by more than it takes to handle this much.
const FIRST_READ_BYTES: usize = 16 * 1024;
/// Bytes read before what they caused is written: a fraction of what an outbox holds, so that no client is taken
/// for a slow one that was never written to; and at most some milliseconds of work, if all are small packets.
const BYTES_PER_PASS: usize = 256 * 1024;
/// Streams read before what they caused is written.
const STREAMS_PER_PASS: usize = 512;
/// Parcels of other cores handled before what they caused is written.
const PARCELS_PER_PASS: usize = 256;

impl<S: Driven> Engine<S> {
    /// Handles the next parcels in the mailbox. Returns how many.
    pub(super) fn take_parcels(&mut self, now: Instant) -> io::Result<usize> {
        if self.parcels_due == 0 {
            // Not "until it is empty": others may fill it as fast as we empty it.
            self.parcels_due = self.mailbox.len();
        }
        let count = self.parcels_due.min(PARCELS_PER_PASS);
        self.parcels_due -= count;
        self.handle_parcels(now, count)?;
        Ok(count)
    }

    fn handle_parcels(&mut self, now: Instant, count: usize) -> io::Result<()> {
        for _ in 0..count {
            match self.mailbox.take() {
                Some(Parcel::Message(message)) => self.shard.handle_message(now, message),
                Some(Parcel::Connection { stream, moved }) => {
                    let shard = &mut self.shard;
                    let id = self
                        .streams
                        .insert(stream, Far::Client, |handle| shard.handle_moved(now, handle, *moved));
                    // A watch reports what is there already, so bytes that came on the way are not missed.
                    self.watch(now, id)?;
                }
                Some(Parcel::Link { stream }) => self.open_link(now, stream)?,
                Some(Parcel::Control(control)) => self.handle_control(now, control),
                None => break,
            }
        }
        if count > 0 {
            self.mailbox.announce_room();
        }
        Ok(())
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

    /// Gives the streams in line their share of reads. Returns how many streams that were.
    pub(super) fn read_streams(&mut self, now: Instant) -> io::Result<usize> {
        if self.mailbox.waiting() > 0 || self.writes_left || self.parcels_due > 0 {
            return Ok(0);
        }
        let (mut streams, mut bytes) = (0, 0);
        while streams < STREAMS_PER_PASS
            && bytes < BYTES_PER_PASS
            && let Some(id) = self.readable.pop_front()
        {
            bytes += self.read_stream(now, id, FIRST_READ_BYTES)?;
            streams += 1;
        }
        // One at least, however many others there are; and each once at most, for they line up again at the end.
        for turn in 0..self.unread.len() {
            if turn > 0 && bytes >= BYTES_PER_PASS {
                break;
            }
            let Some(id) = self.unread.pop_front() else { break };
            bytes += self.read_stream(now, id, READ_BYTES)?;
            streams += 1;
        }
        Ok(streams)
    }

    /// Reads once, and lines the stream up again if the kernel may have more. Returns the bytes read.
    fn read_stream(&mut self, now: Instant, id: StreamId, bytes_max: usize) -> io::Result<usize> {
        let Some(stream) = self.streams.get(id) else { return Ok(0) };
        stream.queued = false;
        if stream.input != Input::Open {
            return Ok(0);
        }
        let (conn, hangup) = (stream.conn, stream.hangup);
        let count = match recv(&stream.fd, &mut self.buffer[..bytes_max], RecvFlags::DONTWAIT) {
            Ok((0, _)) => {
                stream.input = Input::Ended;
                self.shard.handle_end(now, conn, StreamEnd::Eof);
                return Ok(0);
            }
            Ok((count, _)) => count,
            Err(Errno::AGAIN) => return Ok(0),
            Err(Errno::INTR) => {
                self.line_up_again(id);
                return Ok(0);
            }
            Err(_) => {
                stream.input = Input::Dead;
                self.shard.handle_end(now, conn, StreamEnd::Error);
                return Ok(0);
            }
        };
        if !self.mailbox.is_empty() {
            // The client may have sent this because of what another core did: that comes first.
            self.handle_parcels(now, self.mailbox.len())?;
        }
        let reading = self.shard.handle_bytes(now, conn, &mut self.buffer[..count]);
        let Some(stream) = self.streams.get(id) else { return Ok(count) };
        match reading {
            // After a hangup a short read is not the end: the end is a read of nothing.
            Reading::Continue if count == bytes_max || hangup => self.line_up_again(id),
            Reading::Continue => {}
            Reading::Paused => stream.input = Input::Paused,
            Reading::Closed => stream.input = Input::Dead,
        }
        Ok(count)
    }

    /// Puts a stream that had its share behind those that had none.
    fn line_up_again(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get(id)
            && !stream.queued
        {
            stream.queued = true;
            self.unread.push_back(id);
        }
    }
}
