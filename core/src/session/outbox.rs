//! Packets waiting for a client that polls, in order and bounded.

use crate::payload::Packet;
use std::collections::VecDeque;

/// What a queued packet costs beyond its bytes: its place in the queue and its share of an allocation. Counted,
/// so that a flood of tiny packets is bounded too.
pub const PACKET_OVERHEAD_BYTES: usize = 64;

/// The packets that the next poll will answer with.
#[derive(Debug, Default)]
pub struct Outbox {
    packets: VecDeque<Packet>,
    bytes: usize,
}

impl Outbox {
    /// Adds a packet. It is up to the caller to compare [`Self::bytes`] with the limit.
    pub fn push(&mut self, packet: Packet) {
        self.bytes += packet.payload().len() + PACKET_OVERHEAD_BYTES;
        self.packets.push_back(packet);
    }

    /// Bytes queued, overhead included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Takes everything, memory included.
    pub fn take(&mut self) -> VecDeque<Packet> {
        self.bytes = 0;
        std::mem::take(&mut self.packets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_packets_count_for_more_than_their_bytes() {
        let mut outbox = Outbox::default();
        for _ in 0..10 {
            outbox.push(Packet::text("2"));
        }
        assert_eq!(outbox.bytes(), 10 * (1 + PACKET_OVERHEAD_BYTES));
        assert_eq!(outbox.take().len(), 10);
        assert_eq!((outbox.bytes(), outbox.is_empty()), (0, true));
    }
}
