//! Bytes on their way to one connection, in order.
//!
//! The first segment lives in the queue itself, so that the common case (one frame, written in the same turn)
//! allocates nothing, and an idle connection holds nothing.

use bytes::{Buf as _, Bytes};
use std::collections::VecDeque;

/// Segments waiting to be written to one connection.
#[derive(Debug, Default)]
pub struct WriteQueue {
    /// Empty only if the whole queue is.
    first: Bytes,
    rest: VecDeque<Bytes>,
    bytes: usize,
}

impl WriteQueue {
    /// Whether everything has been written.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Bytes that have not been written.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of segments that have not been written completely.
    pub fn segments(&self) -> usize {
        usize::from(!self.first.is_empty()) + self.rest.len()
    }

    /// Bytes behind the segment that is being written.
    pub fn waiting_bytes(&self) -> usize {
        self.bytes - self.first.len()
    }

    /// Appends a segment; an empty one is nothing.
    pub fn push(&mut self, segment: Bytes) {
        if segment.is_empty() {
            return;
        }
        self.bytes += segment.len();
        if self.first.is_empty() {
            self.first = segment;
        } else {
            self.rest.push_back(segment);
        }
    }

    /// The unwritten bytes, segment by segment, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let first = (!self.first.is_empty()).then_some(&self.first);
        first.into_iter().chain(&self.rest).map(Bytes::as_ref)
    }

    /// Forgets the first `count` bytes: the kernel has them. `count` is at most [`Self::bytes`].
    pub fn advance(&mut self, mut count: usize) {
        assert!(count <= self.bytes, "cannot have written {count} of {} bytes", self.bytes);
        if count == self.bytes {
            return self.clear();
        }
        self.bytes -= count;
        while count > 0 {
            let step = count.min(self.first.len());
            self.first.advance(step);
            count -= step;
            if self.first.is_empty() {
                self.first = self.rest.pop_front().unwrap_or_default();
            }
        }
    }

    /// Drops everything, memory included.
    pub fn clear(&mut self) {
        self.first = Bytes::new();
        self.bytes = 0;
        // Mostly there never was a second segment, and looking is cheaper than dropping.
        if self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(queue: &WriteQueue) -> Vec<u8> {
        queue.iter().flatten().copied().collect()
    }

    #[test]
    fn bytes_leave_in_order_wherever_a_write_stops() {
        let input = [&b"one"[..], b"", b"two", b"three"];
        let all = input.concat();
        for cut in 0..=all.len() {
            let mut queue = WriteQueue::default();
            for segment in input {
                queue.push(Bytes::from_static(segment));
            }
            assert_eq!((queue.bytes(), queue.segments()), (11, 3));
            queue.advance(cut);
            assert_eq!(contents(&queue), all[cut..]);
            queue.push(Bytes::from_static(b"!"));
            assert_eq!(contents(&queue), [&all[cut..], b"!"].concat());
        }
    }

    #[test]
    fn an_empty_queue_holds_no_memory() {
        let mut queue = WriteQueue::default();
        for _ in 0..100 {
            queue.push(Bytes::from_static(b"x"));
        }
        queue.advance(100);
        assert!(queue.is_empty());
        assert_eq!(queue.rest.capacity(), 0);
    }
}
