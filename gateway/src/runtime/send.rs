//! One connection's queue into its socket: one write for whatever has piled up.
//!
//! A send costs the same from 128 bytes to 2 KiB, and more iovecs cost 5 to 10 % (io-uring.md §1.4). So small
//! segments are gathered into the core's scratch buffer, and only large ones are given to the kernel in place.

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use tidegate_core::front::write_queue::WriteQueue;

/// Bytes gathered for one write.
pub(crate) const SCRATCH_BYTES: usize = 64 * 1024;
/// Queues whose segments are larger than this on average are not worth the copy.
const GATHER_SEGMENT_BYTES: usize = 2048;
/// Segments in one vectored write.
const SEGMENTS_PER_WRITE: usize = 64;
/// A connection that took this much in one turn lets the others go first.
const SHARE_BYTES: usize = 1024 * 1024;

/// How far a queue got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The kernel took all of it.
    All(usize),
    /// The kernel took this much and is full.
    Full(usize),
    /// The kernel took this much and might take more, but others wait.
    Share(usize),
    /// The stream has failed.
    Failed,
}

/// Writes what is queued. `scratch` is [`SCRATCH_BYTES`] long, its contents mean nothing.
pub(crate) fn send_queue(fd: BorrowedFd<'_>, queue: &WriteQueue, scratch: &mut [u8]) -> Sent {
    let total = queue.bytes();
    let mut segments = Segments { iter: queue.iter(), rest: &[] };
    let gather = total <= queue.segments() * GATHER_SEGMENT_BYTES;
    let mut sent = 0;
    while sent < total {
        let (offered, result) = if queue.segments() == 1 {
            let only = segments.next_up_to(SHARE_BYTES);
            (only.len(), send(fd, only, flags()))
        } else if gather {
            let count = segments.gather(scratch);
            (count, send(fd, &scratch[..count], flags()))
        } else {
            send_in_place(fd, &mut segments)
        };
        match result {
            Ok(count) => {
                sent += count;
                if count < offered {
                    return Sent::Full(sent);
                }
            }
            // Nothing was taken of this batch. It is offered again when there is room, or in the next turn.
            Err(Errno::AGAIN) => return Sent::Full(sent),
            Err(Errno::INTR) => return Sent::Share(sent),
            Err(_) => return Sent::Failed,
        }
        if sent >= SHARE_BYTES && sent < total {
            return Sent::Share(sent);
        }
    }
    Sent::All(sent)
}

fn flags() -> SendFlags {
    SendFlags::DONTWAIT | SendFlags::NOSIGNAL
}

fn send_in_place<'a>(
    fd: BorrowedFd<'_>,
    segments: &mut Segments<'a, impl Iterator<Item = &'a [u8]>>,
) -> (usize, Result<usize, Errno>) {
    let mut slices = [IoSlice::new(&[]); SEGMENTS_PER_WRITE];
    let (mut offered, mut used) = (0, 0);
    for slot in &mut slices {
        let segment = segments.next_up_to(SHARE_BYTES);
        if segment.is_empty() {
            break;
        }
        offered += segment.len();
        used += 1;
        *slot = IoSlice::new(segment);
    }
    (offered, sendmsg(fd, &slices[..used], &mut SendAncillaryBuffer::default(), flags()))
}

/// A queue's bytes, handed out in pieces.
struct Segments<'a, I> {
    iter: I,
    rest: &'a [u8],
}

impl<'a, I: Iterator<Item = &'a [u8]>> Segments<'a, I> {
    /// The next piece, at most `limit` bytes. Empty at the end only: a queue has no empty segments.
    fn next_up_to(&mut self, limit: usize) -> &'a [u8] {
        if self.rest.is_empty() {
            self.rest = self.iter.next().unwrap_or_default();
        }
        let (piece, rest) = self.rest.split_at(limit.min(self.rest.len()));
        self.rest = rest;
        piece
    }

    /// Copies as much as fits. Returns how much that was.
    fn gather(&mut self, scratch: &mut [u8]) -> usize {
        let mut used = 0;
        while used < scratch.len() {
            let piece = self.next_up_to(scratch.len() - used);
            if piece.is_empty() {
                break;
            }
            scratch[used..used + piece.len()].copy_from_slice(piece);
            used += piece.len();
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::io::Read as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    /// Sends a queue of `count` segments of `bytes` each to a reader; returns what each step said.
    fn send_all(count: usize, bytes: usize) -> Vec<Sent> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut queue = WriteQueue::default();
        let mut expected = Vec::new();
        for index in 0..count {
            let segment: Vec<u8> =
                (0..bytes).map(|byte| u8::try_from((index * 7 + byte) % 256).unwrap()).collect();
            expected.extend_from_slice(&segment);
            queue.push(Bytes::from(segment));
        }
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).unwrap();
            got
        });
        let mut steps = Vec::new();
        while !queue.is_empty() {
            let sent = send_queue(ours.as_fd(), &queue, &mut vec![0; SCRATCH_BYTES]);
            match sent {
                Sent::All(count) | Sent::Full(count) | Sent::Share(count) => queue.advance(count),
                Sent::Failed => panic!("the reader is there"),
            }
            if matches!(sent, Sent::Full(_)) {
                let mut room = [rustix::event::PollFd::new(&ours, rustix::event::PollFlags::OUT)];
                rustix::event::poll(&mut room, None).unwrap();
            }
            steps.push(sent);
        }
        drop(ours);
        assert!(reader.join().unwrap() == expected, "{count} x {bytes}");
        steps
    }

    #[test]
    fn queues_of_every_shape_arrive_whole() {
        for (count, bytes) in
            [(1, 1), (1, 300_000), (3, 10), (700, 128), (5, 2048), (100, 5000), (3, 900_000)]
        {
            send_all(count, bytes);
        }
    }

    #[test]
    fn small_segments_leave_in_one_write() {
        assert_eq!(send_all(16, 128), [Sent::All(2048)]);
    }

    #[test]
    fn a_peer_that_is_gone_is_a_failure_and_not_a_signal() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let mut queue = WriteQueue::default();
        queue.push(Bytes::from_static(b"x"));
        assert_eq!(send_queue(ours.as_fd(), &queue, &mut [0; 16]), Sent::Failed);
    }
}
