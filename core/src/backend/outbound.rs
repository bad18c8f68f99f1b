//! What one shard has to say to one backend: the batch of this turn, the credit for it, and what waits for credit.

use super::encoded;
use super::sockets::Held;
use super::wire::{self, ToBackend};
use crate::shard::app::SocketKey;
use std::collections::VecDeque;

/// A batch that has grown beyond this does not keep its memory.
const BATCH_BYTES_KEPT: usize = 64 * 1024;

/// What has to wait because a backend is behind.
#[derive(Debug)]
pub(super) enum Stalled {
    /// What is held for a socket. If the socket has gone meanwhile, nothing.
    Socket(SocketKey),
    /// Whole frames that belong to no socket (any more).
    Frames(Held),
}

/// A counted frame that was sent, and that the backend has not given credit for.
#[derive(Debug)]
struct Unprocessed {
    /// Bytes of it, and of those before it that are not kept.
    bytes: i64,
    /// An event that must not be lost, and whose it is.
    event: Option<(SocketKey, Box<[u8]>)>,
}

/// One shard's way to one backend.
#[derive(Debug)]
pub(super) struct Outbound {
    batch: Vec<u8>,
    /// Bytes of the batch that count.
    counted: u32,
    /// Frames of the batch.
    frames: u64,
    credit: i64,
    /// Whether [`Self::take_batch`] is waited for.
    is_dirty: bool,
    stalled: VecDeque<Stalled>,
    /// Bytes of the frames among it.
    stalled_bytes: usize,
    /// Empty unless events are kept until they are processed.
    unprocessed: VecDeque<Unprocessed>,
    /// How many of those have left this shard.
    kept_sent: usize,
    keeps_events: bool,
}

impl Outbound {
    /// `credit`: this shard's share of the backend's window. `keeps_events`: whether some events must survive the
    /// backend.
    pub(super) fn new(credit: i64, keeps_events: bool) -> Self {
        Self {
            batch: Vec::new(),
            counted: 0,
            frames: 0,
            credit,
            is_dirty: false,
            stalled: VecDeque::new(),
            stalled_bytes: 0,
            unprocessed: VecDeque::new(),
            kept_sent: 0,
            keeps_events,
        }
    }

    /// Whether a frame that counts may be sent now.
    pub(super) fn has_credit(&self) -> bool {
        self.credit > 0 && self.stalled.is_empty()
    }

    /// Has something wait for credit, behind everything else that does.
    pub(super) fn stall(&mut self, stalled: Stalled) {
        if let Stalled::Frames(frames) = &stalled {
            self.stalled_bytes += frames.len();
        }
        self.stalled.push_back(stalled);
    }

    /// Has something wait on that was the next.
    pub(super) fn unstall(&mut self, stalled: Stalled) {
        if let Stalled::Frames(frames) = &stalled {
            self.stalled_bytes += frames.len();
        }
        self.stalled.push_front(stalled);
    }

    /// What has waited longest, if there is credit for at least some of it.
    pub(super) fn next_stalled(&mut self) -> Option<Stalled> {
        let stalled = if self.credit > 0 { self.stalled.pop_front() } else { None };
        if let Some(Stalled::Frames(frames)) = &stalled {
            self.stalled_bytes -= frames.len();
        }
        stalled
    }

    /// Sockets have nothing more to say to it.
    pub(super) fn forget_stalled_sockets(&mut self) {
        self.stalled.retain(|stalled| matches!(stalled, Stalled::Frames(_)));
    }

    /// Whether something waits for credit.
    pub(super) fn has_stalled(&self) -> bool {
        !self.stalled.is_empty()
    }

    /// Bytes of whole frames that wait for credit.
    pub(super) fn stalled_bytes(&self) -> usize {
        self.stalled_bytes
    }

    /// Adds frames that were held, each while there is credit. Returns their bytes.
    pub(super) fn write_held(&mut self, held: &mut Held, kept_for: Option<SocketKey>) -> usize {
        let before = held.len();
        while self.credit > 0
            && let Some(frame) = held.first()
        {
            let bytes = frame.len();
            self.write_encoded(frame, kept_for);
            held.pop(bytes);
        }
        before - held.len()
    }

    /// Whether the batch has become worth flushing with this; true once a batch.
    pub(super) fn becomes_dirty(&mut self) -> bool {
        !std::mem::replace(&mut self.is_dirty, true)
    }

    /// Adds a frame. One that counts must have been found to be in credit. Says whether it could be encoded.
    pub(super) fn write(&mut self, frame: &ToBackend<'_>) -> bool {
        let before = self.batch.len();
        self.write_for(None, frame);
        self.batch.len() > before
    }

    /// Adds a frame, and if it is for somebody keeps it until the backend has processed it.
    pub(super) fn write_for(&mut self, kept_for: Option<SocketKey>, frame: &ToBackend<'_>) {
        let start = self.batch.len();
        encoded::append(frame, &mut self.batch);
        self.written(start, kept_for);
    }

    /// Adds a frame that was encoded before.
    fn write_encoded(&mut self, frame: &[u8], kept_for: Option<SocketKey>) {
        let start = self.batch.len();
        self.batch.extend_from_slice(frame);
        self.written(start, kept_for);
    }

    /// Accounts for the frame at `start`.
    fn written(&mut self, start: usize, kept_for: Option<SocketKey>) {
        let frame = &self.batch[start..];
        self.frames += u64::from(!frame.is_empty());
        if !wire::frame_counts(encoded::kind(frame)) {
            return;
        }
        let bytes = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.counted += bytes;
        self.credit -= i64::from(bytes);
        if !self.keeps_events {
            return;
        }
        // (Answers of clients are for this backend, and nobody else.)
        let event = kept_for.filter(|_| encoded::is_event(frame)).map(|socket| (socket, frame.into()));
        match self.unprocessed.back_mut() {
            Some(last) if event.is_none() && last.event.is_none() => last.bytes += i64::from(bytes),
            _ => self.unprocessed.push_back(Unprocessed { bytes: i64::from(bytes), event }),
        }
    }

    /// Takes what is to be sent now, with its TICK: the bytes, how many of them count, and how many frames they are.
    pub(super) fn take_batch(&mut self) -> Option<(bytes::Bytes, u32, u64)> {
        self.is_dirty = false;
        if self.batch.is_empty() {
            return None;
        }
        self.kept_sent = self.unprocessed.len();
        encoded::append(&ToBackend::Tick, &mut self.batch);
        let batch = bytes::Bytes::copy_from_slice(&self.batch);
        self.batch.clear();
        self.batch.shrink_to(BATCH_BYTES_KEPT);
        let frames = std::mem::take(&mut self.frames) + 1;
        Some((batch, std::mem::take(&mut self.counted), frames))
    }

    /// The backend has processed so many bytes.
    pub(super) fn add_credit(&mut self, bytes: u32) {
        self.credit += i64::from(bytes);
        let mut processed = i64::from(bytes);
        while let Some(first) = self.unprocessed.front_mut() {
            if first.bytes > processed {
                first.bytes -= processed;
                break;
            }
            processed -= first.bytes;
            self.unprocessed.pop_front();
            self.kept_sent = self.kept_sent.saturating_sub(1);
        }
    }

    /// The backend has gone: what another one has to get, in order. `true` marks what the first may have had.
    pub(super) fn salvage(&mut self) -> Vec<(SocketKey, Box<[u8]>, bool)> {
        let sent = self.unprocessed.drain(..).take(self.kept_sent);
        let mut events: Vec<_> =
            sent.filter_map(|entry| entry.event.map(|(socket, frame)| (socket, frame, true))).collect();
        let unsent = encoded::split(&self.batch);
        events.extend(unsent.filter_map(|frame| Some((encoded::event_socket(frame)?, frame.into(), false))));
        events
    }
}
