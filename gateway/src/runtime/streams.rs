//! The open streams of one core: where a `StreamHandle` leads.
//!
//! The shard is given an index into this table in place of an fd, so that a stale or wrong handle can never
//! touch a file that is not a client connection.

use super::poller::{GENERATIONS, StreamId};
use slab::Slab;
use std::os::fd::OwnedFd;
use tidegate_core::shard::{ConnKey, StreamHandle};

/// What still interests us in a stream's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// It is read when it is ready.
    Open,
    /// The shard has asked to leave the bytes in the kernel.
    Paused,
    /// The peer's FIN was read. Only an error would be news.
    Ended,
    /// The shard was told of an error, or has no such connection any more.
    Dead,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Far {
    /// A client: it holds a place in the `Admission`.
    Client,
    /// A backend: it holds one in the `LinkPlaces`.
    Backend,
}

/// One connection as the kernel sees it.
pub(crate) struct Stream {
    pub(crate) fd: OwnedFd,
    generation: u32,
    pub(crate) far: Far,
    /// Its name in the shard.
    pub(crate) conn: ConnKey,
    pub(crate) input: Input,
    /// It stands in the line of streams to read.
    pub(crate) queued: bool,
    /// The peer will send no more, so a short read is not the end.
    pub(crate) hangup: bool,
    /// The kernel took less than we had, and will say when there is room.
    pub(crate) waits_for_room: bool,
}

// Ten thousand idle connections pay for each byte here.
const _: () = assert!(size_of::<Stream>() <= 24);

#[derive(Default)]
pub(crate) struct Streams {
    slab: Slab<Stream>,
    generation: u32,
    /// Streams of backends among them.
    links: usize,
}

impl Streams {
    /// Adds a stream whose key `name` finds out, given its handle.
    pub(crate) fn insert(
        &mut self,
        fd: OwnedFd,
        far: Far,
        name: impl FnOnce(StreamHandle) -> ConnKey,
    ) -> StreamId {
        self.links += usize::from(far == Far::Backend);
        let entry = self.slab.vacant_entry();
        let index = u32::try_from(entry.key()).expect("fewer streams than fds, which are 31 bits");
        let generation = self.generation;
        self.generation = (generation + 1) % GENERATIONS;
        let handle = StreamHandle(index.cast_signed());
        entry.insert(Stream {
            fd,
            generation,
            far,
            conn: name(handle),
            input: Input::Open,
            queued: false,
            hangup: false,
            waits_for_room: false,
        });
        StreamId { index, generation }
    }

    /// The stream, unless it is gone.
    pub(crate) fn get(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.slab.get_mut(id.index as usize).filter(|stream| stream.generation == id.generation)
    }

    /// The stream of a handle that the shard has returned.
    pub(crate) fn by_handle(&mut self, handle: StreamHandle) -> Option<(StreamId, &mut Stream)> {
        let index = handle.0.cast_unsigned();
        let stream = self.slab.get_mut(index as usize)?;
        Some((StreamId { index, generation: stream.generation }, stream))
    }

    /// Takes out the stream of a connection.
    pub(crate) fn remove(&mut self, handle: StreamHandle, conn: ConnKey) -> Option<(StreamId, Stream)> {
        let (id, stream) = self.by_handle(handle)?;
        debug_assert_eq!(stream.conn, conn, "the shard mixed up two streams");
        if stream.conn != conn {
            return None;
        }
        let stream = self.slab.remove(id.index as usize);
        self.links -= usize::from(stream.far == Far::Backend);
        Some((id, stream))
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// How many of them are links of backends.
    pub(crate) fn links(&self) -> usize {
        self.links
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.slab.iter().map(|(_, stream)| stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn the_id_of_a_stream_that_is_gone_does_not_find_its_successor() {
        let mut streams = Streams::default();
        let mut handle = StreamHandle(-1);
        let key = ConnKey::from_u64(9);
        let first = streams.insert(file(), Far::Client, |given| {
            handle = given;
            key
        });
        assert!(streams.get(first).is_some());
        assert!(streams.remove(handle, key).is_some());
        let second = streams.insert(file(), Far::Client, |_| key);
        assert_eq!(first.index, second.index);
        assert!(streams.get(first).is_none());
        assert!(streams.get(second).is_some());
        assert_eq!(streams.len(), 1);
    }

    #[test]
    fn links_are_counted_apart() {
        let mut streams = Streams::default();
        let mut handle = StreamHandle(-1);
        let key = ConnKey::from_u64(1);
        streams.insert(file(), Far::Client, |_| ConnKey::from_u64(0));
        streams.insert(file(), Far::Backend, |given| {
            handle = given;
            key
        });
        assert_eq!((streams.len(), streams.links()), (2, 1));
        assert_eq!(streams.remove(handle, key).map(|(_, stream)| stream.far), Some(Far::Backend));
        assert_eq!((streams.len(), streams.links()), (1, 0));
    }
}
