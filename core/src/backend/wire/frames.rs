//! Cuts a stream of bytes into frames (§2).

use super::error::WireError;
use super::kind;
use super::write::LENGTH_BYTES;
use std::borrow::Cow;

/// One frame, as it came: in the input if it lay there whole, else in memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// From the length field to the end of the body: at least five bytes.
    bytes: Cow<'a, [u8]>,
}

impl Frame<'_> {
    /// Its type.
    pub fn kind(&self) -> u8 {
        self.bytes[LENGTH_BYTES]
    }

    /// What is behind its type.
    pub fn body(&self) -> &[u8] {
        &self.bytes[LENGTH_BYTES + 1..]
    }

    /// The whole frame in bytes, its length field included.
    pub fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    /// What credit it takes: its length if it counts, else nothing (§3).
    pub fn cost(&self) -> usize {
        if kind::frame_counts(self.kind()) { self.byte_count() } else { 0 }
    }
}

/// Frames from bytes that come split anywhere.
///
/// Keeps what has arrived of a frame whose end has not, and never makes room for what was only announced.
/// After an error the stream makes no sense any more.
#[derive(Debug)]
pub struct Frames {
    tail: Vec<u8>,
    frame_bytes_max: u64,
}

impl Frames {
    /// `frame_bytes_max` is the longest frame that is taken, its length field included.
    pub fn new(frame_bytes_max: u32) -> Self {
        Self { tail: Vec::new(), frame_bytes_max: frame_bytes_max.into() }
    }

    /// Takes the next frame off `input`. `None` if its end is not there yet: then all of `input` has been taken in.
    ///
    /// The frame borrows from `input` alone; call again until there is none.
    ///
    /// # Errors
    /// A frame is longer than the limit, or has not even a type.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, WireError> {
        if self.tail.is_empty() {
            if let Some(bytes) = self.frame_bytes(input)?.and_then(|count| input.split_off(..count)) {
                return Ok(Some(Frame { bytes: Cow::Borrowed(bytes) }));
            }
            self.take(input, usize::MAX);
            return Ok(None);
        }
        self.take(input, LENGTH_BYTES);
        let Some(count) = self.frame_bytes(&self.tail)? else { return Ok(None) };
        self.take(input, count);
        let is_whole = self.tail.len() == count;
        Ok(is_whole.then(|| Frame { bytes: Cow::Owned(std::mem::take(&mut self.tail)) }))
    }

    /// Memory held for a frame whose end has not arrived: at most about twice what has arrived of it.
    pub fn heap_bytes(&self) -> usize {
        self.tail.capacity()
    }

    /// Moves from `input` to the tail until that has `count` bytes.
    fn take(&mut self, input: &mut &[u8], count: usize) {
        let missing = count.saturating_sub(self.tail.len()).min(input.len());
        let (taken, rest) = input.split_at(missing);
        self.tail.extend_from_slice(taken);
        *input = rest;
    }

    /// How long the frame is that begins here, if its length field is there.
    fn frame_bytes(&self, start: &[u8]) -> Result<Option<usize>, WireError> {
        let Some(length) = start.first_chunk() else { return Ok(None) };
        let length = u32::from_le_bytes(*length);
        let bytes = u64::from(length) + LENGTH_BYTES as u64;
        if length == 0 {
            return Err(WireError::Empty);
        }
        if bytes > self.frame_bytes_max {
            return Err(WireError::TooLong { bytes, max: self.frame_bytes_max });
        }
        Ok(usize::try_from(bytes).ok())
    }
}
