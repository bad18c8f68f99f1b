//! Lists of text, read in place from a frame or taken from what the caller has.

use super::error::{TooLong, WireError};
use super::read::Reader;
use super::write::Writer;
use crate::name::Name;
use std::fmt;

/// Names: a `u16` count, and that many `text16`.
pub type Texts<'a> = List<'a, 2>;
/// JSON values: a `u32` count, and that many `text32`.
pub type Jsons<'a> = List<'a, 4>;

/// A list of text whose count and lengths take `N` bytes each on the wire. Two words; a copy costs nothing.
#[derive(Clone, Copy)]
pub struct List<'a, const N: usize>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    /// As in the frame: checked.
    Wire {
        count: usize,
        bytes: &'a [u8],
    },
    Strs(&'a [&'a str]),
    Strings(&'a [String]),
    Names(&'a [Name]),
}

impl<'a, const N: usize> List<'a, N> {
    /// No text at all.
    pub const EMPTY: Self = Self(Source::Strs(&[]));

    /// How many there are.
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Wire { count, .. } => count,
            Source::Strs(list) => list.len(),
            Source::Strings(list) => list.len(),
            Source::Names(list) => list.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them, in order.
    pub fn iter(&self) -> ListIter<'a, N> {
        ListIter(self.0)
    }

    /// Walks over the list, so that later walks cannot fail. Takes no memory, whatever count is claimed.
    pub(super) fn read(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, WireError> {
        let count = reader.length::<N>(field)?;
        let (bytes, ()) = reader.span(|reader| {
            for _ in 0..count {
                reader.text::<N>(field)?;
            }
            Ok(())
        })?;
        Ok(Self(Source::Wire { count, bytes }))
    }

    pub(super) fn write(&self, out: &mut Writer<'_>, field: &'static str) -> Result<(), TooLong> {
        out.length::<N>(self.len(), field)?;
        if let Source::Wire { bytes, .. } = self.0 {
            out.bytes(bytes);
            return Ok(());
        }
        self.iter().try_for_each(|text| out.text::<N>(text, field))
    }
}

impl<const N: usize> Default for List<'_, N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a, const N: usize> From<&'a [&'a str]> for List<'a, N> {
    fn from(list: &'a [&'a str]) -> Self {
        Self(Source::Strs(list))
    }
}

impl<'a, const N: usize> From<&'a [String]> for List<'a, N> {
    fn from(list: &'a [String]) -> Self {
        Self(Source::Strings(list))
    }
}

impl<'a, const N: usize> From<&'a [Name]> for List<'a, N> {
    fn from(list: &'a [Name]) -> Self {
        Self(Source::Names(list))
    }
}

impl<'a, const N: usize> IntoIterator for List<'a, N> {
    type Item = &'a str;
    type IntoIter = ListIter<'a, N>;

    fn into_iter(self) -> ListIter<'a, N> {
        self.iter()
    }
}

impl<const N: usize> PartialEq for List<'_, N> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<const N: usize> Eq for List<'_, N> {}

impl<const N: usize> fmt::Debug for List<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Each text of a list. See [`List::iter`].
#[derive(Clone)]
pub struct ListIter<'a, const N: usize>(Source<'a>);

impl<'a, const N: usize> Iterator for ListIter<'a, N> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        match &mut self.0 {
            Source::Wire { count, bytes } => {
                *count = count.checked_sub(1)?;
                let mut reader = Reader::new("", bytes);
                let (used, text) = reader.span(|reader| reader.text::<N>("")).ok()?;
                *bytes = &bytes[used.len()..];
                Some(text)
            }
            Source::Strs(list) => list.split_off_first().copied(),
            Source::Strings(list) => list.split_off_first().map(String::as_str),
            Source::Names(list) => list.split_off_first().map(|name| &**name),
        }
    }
}

/// Which sockets are meant: those of the namespace that are in one of the rooms and in no room of `except`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selector<'a> {
    /// The namespace, `/` included.
    pub namespace: &'a str,
    /// Rooms whose members are meant; none means everybody in the namespace. A socket's id is a room.
    pub rooms: Texts<'a>,
    /// Rooms whose members are not meant.
    pub except: Texts<'a>,
}

impl<'a> Selector<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Self {
            namespace: reader.text::<2>("namespace")?,
            rooms: Texts::read(reader, "rooms")?,
            except: Texts::read(reader, "except")?,
        })
    }

    pub(super) fn write(&self, out: &mut Writer<'_>) -> Result<(), TooLong> {
        out.text::<2>(self.namespace, "namespace")?;
        self.rooms.write(out, "rooms")?;
        self.except.write(out, "except")
    }
}
