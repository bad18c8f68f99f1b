//! Sockets as FETCHED reports them (§5).

use super::error::{TooLong, WireError};
use super::list::Texts;
use super::read::Reader;
use super::write::Writer;
use crate::id::Id;
use crate::shard::app::SocketKey;
use std::fmt;

/// A socket as FETCHED reports it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FetchedSocket<'a> {
    /// For further requests.
    pub socket: SocketKey,
    /// The public id.
    pub id: Id,
    /// Every room it is in, its own (its id) included.
    pub rooms: Texts<'a>,
    /// Its data as JSON, if it ever had any.
    pub data: Option<&'a str>,
    /// The handshake of the Socket.IO API, as a JSON object.
    pub handshake: &'a str,
}

impl fmt::Debug for FetchedSocket<'_> {
    /// Leaves the handshake out: tokens are secrets, and end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { socket, id, rooms, data, handshake: _ } = self;
        f.debug_struct("FetchedSocket")
            .field("socket", socket)
            .field("id", id)
            .field("rooms", rooms)
            .field("data", data)
            .finish_non_exhaustive()
    }
}

impl<'a> FetchedSocket<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Self {
            socket: reader.socket()?,
            id: reader.id()?,
            rooms: Texts::read(reader, "rooms")?,
            data: reader.optional_json("data")?,
            handshake: reader.text::<4>("handshake")?,
        })
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), TooLong> {
        out.socket(self.socket);
        out.id(self.id);
        self.rooms.write(out, "rooms")?;
        out.text::<4>(self.data.unwrap_or_default(), "data")?;
        out.text::<4>(self.handshake, "handshake")
    }
}

/// A list of sockets, read in place from a frame or taken from what the caller has.
#[derive(Clone, Copy)]
pub struct Sockets<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    /// As in the frame: checked.
    Wire {
        count: usize,
        bytes: &'a [u8],
    },
    List(&'a [FetchedSocket<'a>]),
}

impl<'a> Sockets<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Wire { count, .. } => count,
            Source::List(list) => list.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them, in order.
    pub fn iter(&self) -> SocketsIter<'a> {
        SocketsIter(self.0)
    }

    /// Walks over the list, so that later walks cannot fail. Takes no memory, whatever count is claimed.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let count = reader.length::<4>("sockets")?;
        let (bytes, ()) = reader.span(|reader| {
            for _ in 0..count {
                FetchedSocket::read(reader)?;
            }
            Ok(())
        })?;
        Ok(Self(Source::Wire { count, bytes }))
    }

    pub(super) fn write(&self, out: &mut Writer<'_>) -> Result<(), TooLong> {
        out.length::<4>(self.len(), "sockets")?;
        if let Source::Wire { bytes, .. } = self.0 {
            out.bytes(bytes);
            return Ok(());
        }
        self.iter().try_for_each(|socket| socket.write(out))
    }
}

impl<'a> From<&'a [FetchedSocket<'a>]> for Sockets<'a> {
    fn from(list: &'a [FetchedSocket<'a>]) -> Self {
        Self(Source::List(list))
    }
}

impl<'a> IntoIterator for Sockets<'a> {
    type Item = FetchedSocket<'a>;
    type IntoIter = SocketsIter<'a>;

    fn into_iter(self) -> SocketsIter<'a> {
        self.iter()
    }
}

impl PartialEq for Sockets<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Sockets<'_> {}

impl fmt::Debug for Sockets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Each socket of a list. See [`Sockets::iter`].
#[derive(Clone)]
pub struct SocketsIter<'a>(Source<'a>);

impl<'a> Iterator for SocketsIter<'a> {
    type Item = FetchedSocket<'a>;

    fn next(&mut self) -> Option<FetchedSocket<'a>> {
        match &mut self.0 {
            Source::Wire { count, bytes } => {
                *count = count.checked_sub(1)?;
                let mut reader = Reader::new("", bytes);
                let (used, socket) = reader.span(FetchedSocket::read).ok()?;
                *bytes = &bytes[used.len()..];
                Some(socket)
            }
            Source::List(list) => list.split_off_first().copied(),
        }
    }
}
