//! Who sends to whom in a fan-out, how much and how often.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Who receives what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Everyone receives every stream.
    Everyone,
    /// Client `n` is in room `n` modulo the streams, and receives that stream alone.
    Rooms,
}

/// What is sent, and when.
#[derive(Clone, Debug)]
pub(crate) struct FanoutSettings {
    pub(crate) audience: Audience,
    /// Characters of the arguments `stream,number,timestamp,"padding"`. At least the padding's quotes are sent.
    pub(crate) payload_bytes: usize,
    /// Messages under way per stream in a closed loop.
    pub(crate) in_flight: usize,
    /// Messages per second, all streams together; the loop is then open, and latency counts from the time one was due.
    pub(crate) rate: Option<f64>,
    /// The share of the clients that stops reading half-way through the measured window.
    pub(crate) slow: Option<f64>,
    /// Messages sent so far, by stream, in the whole run. Only the worker of a stream's sender writes it.
    pub(crate) sent: Arc<[AtomicU64]>,
}

impl FanoutSettings {
    /// Counters for so many streams.
    pub(crate) fn counters(streams: u32) -> Arc<[AtomicU64]> {
        (0..streams).map(|_| AtomicU64::new(0)).collect()
    }

    /// How many streams there are.
    pub(super) fn streams(&self) -> u32 {
        u32::try_from(self.sent.len()).expect("made from a u32")
    }

    /// The number in the run of the client that sends a stream. They are spread over the clients, and so over cores.
    pub(super) fn sender(&self, stream: u32, clients: u32) -> u32 {
        let (stream, streams, clients) = (u64::from(stream), u64::from(self.streams()), u64::from(clients));
        let number = match self.audience {
            Audience::Everyone => stream * clients / streams,
            Audience::Rooms => {
                let members = (clients - stream).div_ceil(streams);
                stream + streams * (stream * members / streams)
            }
        };
        u32::try_from(number).expect("below the number of clients")
    }
}
