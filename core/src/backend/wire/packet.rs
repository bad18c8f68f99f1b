//! Events and acknowledgements as they lie in a frame: a JSON array, and attachments (§2, "Packets").

use super::error::{TooLong, WireError};
use super::read::Reader;
use super::write::Writer;
use crate::limits::ATTACHMENTS_MAX;
use crate::socket_io::json::{self, Cut, JsonError};
use crate::socket_io::{ArgsError, ArgsRef, EventName};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;

/// An event or an acknowledgement, borrowed from what is encoded or from the frame it came in.
///
/// What came in a frame is UTF-8, and no more is known of it: [`Self::event`] and [`Self::arguments`] check it,
/// [`Self::trusted_event`] and [`Self::trusted_arguments`] believe the peer.
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    array: Array<'a>,
    attachments: Attachments<'a>,
}

/// A JSON array.
#[derive(Clone, Copy)]
enum Array<'a> {
    /// The first element, and the others with commas between them; either may be empty.
    Elements { first: &'a str, rest: &'a str },
    /// As in the frame, with its brackets.
    Wire(&'a str),
}

impl<'a> Array<'a> {
    /// Its text, brackets included.
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Wire(text) => Cow::Borrowed(text),
            Self::Elements { first, rest } => {
                let comma = if first.is_empty() || rest.is_empty() { "" } else { "," };
                Cow::Owned(["[", first, comma, rest, "]"].concat())
            }
        }
    }

    /// Writes that as a `text32`.
    fn write(self, out: &mut Writer<'_>) -> Result<(), TooLong> {
        let (first, rest) = match self {
            Self::Wire(text) => return out.text::<4>(text, "packet"),
            Self::Elements { first, rest } => (first, rest),
        };
        let has_comma = !first.is_empty() && !rest.is_empty();
        out.length::<4>(2 + first.len() + usize::from(has_comma) + rest.len(), "packet")?;
        out.u8(b'[');
        out.bytes(first.as_bytes());
        if has_comma {
            out.u8(b',');
        }
        out.bytes(rest.as_bytes());
        out.u8(b']');
        Ok(())
    }
}

impl<'a> Packet<'a> {
    /// An event. `name` is its JSON, as of [`EventName::json`], or empty for the event without any payload.
    pub fn from_event(name: &'a str, args: ArgsRef<'a>) -> Self {
        let array = Array::Elements { first: name, rest: args.json() };
        Self { array, attachments: Attachments::from(args.attachments()) }
    }

    /// An acknowledgement.
    pub fn from_arguments(args: ArgsRef<'a>) -> Self {
        Self::from_event("", args)
    }

    /// The text of the JSON array, brackets included. Borrows if the packet came in a frame.
    pub fn json(&self) -> Cow<'a, str> {
        self.array.text()
    }

    /// The attachments, in the order of their placeholders.
    pub fn attachments(&self) -> Attachments<'a> {
        self.attachments
    }

    /// Checks that this is an event, and takes it apart. The attachments are copied to `attachments`.
    ///
    /// # Errors
    /// It is not a JSON array of an event's name and arguments, or attachments and placeholders differ.
    pub fn event<'b>(
        &self,
        attachments: &'b mut Vec<Bytes>,
    ) -> Result<(EventName<'b>, ArgsRef<'b>), WireError>
    where
        'a: 'b,
    {
        let (first, rest) = match self.array {
            Array::Wire(text) => checked(text).map(|cut| (cut.first(), cut.rest()))?,
            Array::Elements { first, rest } => (first, rest),
        };
        let name = EventName::new(first).ok_or(WireError::EventName)?;
        Ok((name, ArgsRef::valid(rest, self.attachments.copy_to(attachments))?))
    }

    /// Checks that this is an array of arguments. The attachments are copied to `attachments`.
    ///
    /// # Errors
    /// It is not a JSON array, or attachments and placeholders differ.
    pub fn arguments<'b>(&self, attachments: &'b mut Vec<Bytes>) -> Result<ArgsRef<'b>, WireError>
    where
        'a: 'b,
    {
        let list = match self.array {
            Array::Wire(text) => checked(text)?.all(),
            Array::Elements { .. } => self.list()?,
        };
        Ok(ArgsRef::valid(list, self.attachments.copy_to(attachments))?)
    }

    /// As [`Self::event`], from a peer that is believed. `None` is the name of an event without any payload.
    ///
    /// # Errors
    /// It is not in brackets, or the first element cannot be a name.
    pub fn trusted_event<'b>(
        &self,
        attachments: &'b mut Vec<Bytes>,
    ) -> Result<(Option<EventName<'b>>, ArgsRef<'b>), WireError>
    where
        'a: 'b,
    {
        let (first, rest) = self.first_and_rest()?;
        let name = match first {
            "" => None,
            first => Some(EventName::new(first).ok_or(WireError::EventName)?),
        };
        Ok((name, ArgsRef::trusted(rest, self.attachments.copy_to(attachments))))
    }

    /// As [`Self::arguments`], from a peer that is believed.
    ///
    /// # Errors
    /// It is not in brackets.
    pub fn trusted_arguments<'b>(&self, attachments: &'b mut Vec<Bytes>) -> Result<ArgsRef<'b>, WireError>
    where
        'a: 'b,
    {
        Ok(ArgsRef::trusted(self.list()?, self.attachments.copy_to(attachments)))
    }

    /// All elements with commas between them. An event that did not come in a frame has them in two pieces.
    fn list(&self) -> Result<&'a str, WireError> {
        match self.array {
            Array::Wire(text) => without_brackets(text),
            Array::Elements { first: "", rest } => Ok(rest),
            Array::Elements { .. } => Err(WireError::NotArray),
        }
    }

    /// The first element and the others. Whether what is behind the first is JSON is not looked at.
    fn first_and_rest(&self) -> Result<(&'a str, &'a str), WireError> {
        let list = match self.array {
            Array::Wire(text) => trim(without_brackets(text)?),
            Array::Elements { first, rest } => return Ok((first, rest)),
        };
        if list.is_empty() {
            return Ok(("", ""));
        }
        let first = ArgsRef::trusted(list, &[]).elements().next().ok_or(WireError::EventName)?;
        // The list begins with it: there is no white space before it.
        let behind = trim(&list[first.len()..]);
        if behind.is_empty() {
            return Ok((first, ""));
        }
        let rest = behind.strip_prefix(',').map(trim).filter(|rest| !rest.is_empty());
        Ok((first, rest.ok_or(WireError::NotArray)?))
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let array = Array::Wire(reader.text::<4>("packet")?);
        Ok(Self { array, attachments: Attachments::read(reader)? })
    }

    pub(super) fn write(&self, out: &mut Writer<'_>) -> Result<(), TooLong> {
        self.array.write(out)?;
        self.attachments.write(out)
    }
}

/// Cuts the text of an array, and checks that it is one.
fn checked(text: &str) -> Result<Cut<'_>, WireError> {
    json::cut_array(trim_start(text)).map_err(|error| match error {
        JsonError::Syntax { at: 0 } => WireError::NotArray,
        error => ArgsError::Json(error).into(),
    })
}

/// The text of an array without its brackets; whether it is JSON at all is not looked at.
fn without_brackets(text: &str) -> Result<&str, WireError> {
    let inner = trim(text).strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.ok_or(WireError::NotArray)
}

/// Without the white space of JSON around it.
fn trim(text: &str) -> &str {
    let end = text.bytes().rposition(is_text).map_or(0, |last| last + 1);
    trim_start(&text[..end])
}

/// Without the white space of JSON before it.
fn trim_start(text: &str) -> &str {
    let start = text.bytes().position(is_text).unwrap_or(text.len());
    &text[start..]
}

/// Whether this is more than white space. Looked at byte by byte: of characters, that takes four times as long.
fn is_text(byte: u8) -> bool {
    !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

impl PartialEq for Packet<'_> {
    /// Whether they are the same on the wire.
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json() && self.attachments == other.attachments
    }
}

impl Eq for Packet<'_> {}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Packet").field(&self.json()).field(&self.attachments).finish()
    }
}

/// The attachments of a packet: at most [`ATTACHMENTS_MAX`] when they came in a frame.
#[derive(Clone, Copy)]
pub struct Attachments<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    /// As in the frame: checked.
    Wire {
        count: usize,
        bytes: &'a [u8],
    },
    Bytes(&'a [Bytes]),
}

impl<'a> Attachments<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Wire { count, .. } => count,
            Source::Bytes(list) => list.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them, in the order of their placeholders.
    pub fn iter(&self) -> AttachmentsIter<'a> {
        AttachmentsIter(self.0)
    }

    /// Replaces what is in `copies`.
    fn copy_to<'b>(&self, copies: &'b mut Vec<Bytes>) -> &'b [Bytes] {
        copies.clear();
        copies.extend(self.iter().map(Bytes::copy_from_slice));
        copies
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let count = reader.length::<2>("attachments")?;
        if count > ATTACHMENTS_MAX {
            return Err(WireError::Attachments);
        }
        let (bytes, ()) = reader.span(|reader| {
            for _ in 0..count {
                reader.counted::<4>("attachments")?;
            }
            Ok(())
        })?;
        Ok(Self(Source::Wire { count, bytes }))
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), TooLong> {
        if self.len() > ATTACHMENTS_MAX {
            return Err(TooLong { field: "attachments" });
        }
        out.length::<2>(self.len(), "attachments")?;
        if let Source::Wire { bytes, .. } = self.0 {
            out.bytes(bytes);
            return Ok(());
        }
        self.iter().try_for_each(|bytes| out.counted::<4>(bytes, "attachments"))
    }
}

impl<'a> From<&'a [Bytes]> for Attachments<'a> {
    fn from(list: &'a [Bytes]) -> Self {
        Self(Source::Bytes(list))
    }
}

impl<'a> IntoIterator for Attachments<'a> {
    type Item = &'a [u8];
    type IntoIter = AttachmentsIter<'a>;

    fn into_iter(self) -> AttachmentsIter<'a> {
        self.iter()
    }
}

impl PartialEq for Attachments<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Attachments<'_> {}

impl fmt::Debug for Attachments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Each attachment of a packet. See [`Attachments::iter`].
#[derive(Clone)]
pub struct AttachmentsIter<'a>(Source<'a>);

impl<'a> Iterator for AttachmentsIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match &mut self.0 {
            Source::Wire { count, bytes } => {
                *count = count.checked_sub(1)?;
                let mut reader = Reader::new("", bytes);
                let (used, attachment) = reader.span(|reader| reader.counted::<4>("")).ok()?;
                *bytes = &bytes[used.len()..];
                Some(attachment)
            }
            Source::Bytes(list) => list.split_off_first().map(|bytes| &**bytes),
        }
    }
}
