//! Client frames → messages and control frames (RFC 6455 §5).
//!
//! A frame that is whole in the input is unmasked where it lies and handed out borrowed; only what the network
//! or the client cut into pieces is buffered. An idle decoder owns no heap memory, which is what most of a
//! million connections are.
//!
//! Frames whose length is not in its shortest form are accepted, as the `ws` package of Node does: nothing is
//! ambiguous about them. A 64-bit length beyond every limit is [`Error::TooBig`], its top bit included.

use super::Error;
use super::mask::unmask;
use super::message::Message;
use crate::limits::CONTROL_BYTES_MAX;
use std::borrow::Cow;
use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// Longest header of a client frame: two bytes, a 64-bit length and the mask (RFC 6455 §5.2).
const HEADER_BYTES_MAX: usize = 14;

/// What a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message, over all its fragments.
    pub message_bytes_max: usize,
    /// Frames of one message; 0 means any number.
    pub fragments_max: u32,
}

/// What a client sent. Owned if it had to be buffered, else borrowed from the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message.
    Text(Cow<'a, str>),
    /// A whole binary message.
    Binary(Cow<'a, [u8]>),
    /// A ping, to be answered with a pong of the same payload (RFC 6455 §5.5.2).
    Ping(Cow<'a, [u8]>),
    /// A pong. Nothing needs to be done.
    Pong(Cow<'a, [u8]>),
    /// The client is leaving: whatever follows is to be ignored (RFC 6455 §5.5.1).
    Close {
        /// The close code, if one was given.
        code: Option<u16>,
        /// The reason, empty if none was given.
        reason: Cow<'a, str>,
    },
}

/// The frames of one client, cut in any way.
///
/// After an error or [`Event::Close`] it is fed no more.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The first bytes of a header whose rest is still to come.
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: u8,
    partial: Option<Box<Partial>>,
}

// There is one per connection.
const _: () = assert!(size_of::<Decoder>() <= 24);

/// What is kept between calls once a frame or message has begun.
#[derive(Debug, Default)]
struct Partial {
    /// The frame whose payload is not all here.
    frame: Option<Frame>,
    /// The message whose last frame is not all here.
    message: Option<Message>,
    /// The payload of a control frame that is not all here. It may interrupt `message`.
    control: Vec<u8>,
}

/// A frame whose header has been checked.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: OpCode,
    is_final: bool,
    /// The mask, turned so that its first byte belongs to the next byte of payload.
    mask: [u8; 4],
    /// Payload bytes still to come.
    remaining: usize,
}

impl Decoder {
    /// Takes at most one event off the front of `input`, and says how many bytes it used.
    ///
    /// `None` means that nothing is complete yet, be it that `input` ran out or that a fragment ended; the bytes
    /// are used all the same. The caller goes on with the rest:
    ///
    /// ```
    /// # use tidegate_core::ws::{Decoder, Limits};
    /// # let limits = Limits { message_bytes_max: 100, fragments_max: 0 };
    /// # let (mut decoder, mut buffer) = (Decoder::default(), *b"\x82\x80\0\0\0\0\x82\x80\0\0\0\0");
    /// let mut rest = &mut buffer[..];
    /// while !rest.is_empty() {
    ///     let (used, event) = decoder.decode(rest, &limits)?;
    ///     // … do something with the event …
    ///     rest = &mut rest[used..];
    /// }
    /// # Ok::<(), tidegate_core::ws::Error>(())
    /// ```
    #[inline]
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        limits: &Limits,
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        if self.is_idle()
            && let Some(whole) = WholeMessage::find(input)
        {
            return whole.take(input, limits);
        }
        self.decode_any(input, limits)
    }

    /// Whether it is between two messages, and so holds no heap memory.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.header_bytes == 0 && self.partial.is_none()
    }

    /// Bytes of heap memory held: at most twice what arrived of the current message, and a few fixed ones.
    pub fn heap_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| {
            let message = partial.message.as_ref().map_or(0, Message::capacity);
            size_of::<Partial>() + message + partial.control.capacity()
        })
    }

    #[inline(never)]
    fn decode_any<'a>(
        &mut self,
        input: &'a mut [u8],
        limits: &Limits,
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        let resumed = self.partial.as_mut().and_then(|partial| partial.frame.take());
        let (mut frame, start) = match resumed {
            Some(frame) => (frame, 0),
            None => match self.parse_header(input)? {
                Some((header, announced, used)) => (self.admit(&header, announced, limits)?, used),
                None => return Ok((input.len(), None)),
            },
        };
        let end = start + frame.remaining.min(input.len() - start);
        let payload = &mut input[start..end];
        unmask(payload, frame.mask);
        frame.mask.rotate_left(payload.len() % 4);
        frame.remaining -= payload.len();

        let is_whole = resumed.is_none() && frame.remaining == 0;
        let event = match frame.opcode {
            OpCode::Control(kind) if is_whole => control_event(kind, Cow::Borrowed(payload)).map(Some),
            OpCode::Control(kind) => self.buffer_control(frame, kind, payload),
            OpCode::Data(Data::Text) if is_whole && frame.is_final => text_event(payload).map(Some),
            OpCode::Data(Data::Binary) if is_whole && frame.is_final => {
                Ok(Some(Event::Binary(Cow::Borrowed(payload))))
            }
            OpCode::Data(kind) => self.buffer_data(frame, kind, payload, limits),
        }?;
        Ok((end, event))
    }

    /// The next frame's header, the length it announces, and the bytes of `input` that were part of it.
    ///
    /// `None` means that all of `input` is the beginning of a header, and has been kept.
    fn parse_header(&mut self, input: &[u8]) -> Result<Option<(FrameHeader, u64, usize)>, Error> {
        let kept = usize::from(self.header_bytes);
        let added = input.len().min(HEADER_BYTES_MAX - kept);
        self.header[kept..kept + added].copy_from_slice(&input[..added]);
        let mut cursor = Cursor::new(&self.header[..kept + added]);
        // Reading a slice cannot fail, so an unknown opcode is all that is left to complain about.
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Error::Opcode)?;
        match parsed {
            Some((header, announced)) => {
                let length = usize::try_from(cursor.position()).expect("a position within a header");
                self.header_bytes = 0;
                Ok(Some((header, announced, length - kept)))
            }
            None => {
                self.header_bytes = u8::try_from(kept + added).expect("less than the longest header");
                Ok(None)
            }
        }
    }

    /// Refuses a frame by its header alone, before anything is allocated for it.
    fn admit(&mut self, header: &FrameHeader, announced: u64, limits: &Limits) -> Result<Frame, Error> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Error::ReservedBits);
        }
        let mask = header.mask.ok_or(Error::Unmasked)?;
        let announced = usize::try_from(announced).map_err(|_| Error::TooBig)?;
        let message = self.partial.as_mut().and_then(|partial| partial.message.as_mut());
        match (header.opcode, message) {
            (OpCode::Control(_), _) => {
                // RFC 6455 §5.5.
                if !header.is_final || announced > CONTROL_BYTES_MAX {
                    return Err(Error::Control);
                }
            }
            (OpCode::Data(Data::Continue), None) => return Err(Error::Continuation),
            (OpCode::Data(Data::Continue), Some(message)) => {
                if announced > limits.message_bytes_max.saturating_sub(message.len()) {
                    return Err(Error::TooBig);
                }
                message.fragments = message.fragments.saturating_add(1);
                if limits.fragments_max != 0 && message.fragments > limits.fragments_max {
                    return Err(Error::TooManyFragments);
                }
            }
            (OpCode::Data(_), Some(_)) => return Err(Error::Interleaved),
            (OpCode::Data(_), None) => {
                if announced > limits.message_bytes_max {
                    return Err(Error::TooBig);
                }
            }
        }
        Ok(Frame { opcode: header.opcode, is_final: header.is_final, mask, remaining: announced })
    }

    fn buffer_control(
        &mut self,
        frame: Frame,
        kind: Control,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Error> {
        let partial = self.partial.get_or_insert_default();
        partial.control.extend_from_slice(payload);
        if frame.remaining > 0 {
            partial.frame = Some(frame);
            return Ok(None);
        }
        let payload = std::mem::take(&mut partial.control);
        if partial.message.is_none() {
            self.partial = None;
        }
        control_event(kind, Cow::Owned(payload)).map(Some)
    }

    fn buffer_data(
        &mut self,
        frame: Frame,
        kind: Data,
        payload: &[u8],
        limits: &Limits,
    ) -> Result<Option<Event<'static>>, Error> {
        let partial = self.partial.get_or_insert_default();
        let message = partial.message.get_or_insert_with(|| Message::new(kind == Data::Text));
        let room = if frame.is_final {
            frame.remaining
        } else {
            limits.message_bytes_max.saturating_sub(message.len() + payload.len())
        };
        message.push(payload, room)?;
        if frame.remaining > 0 {
            partial.frame = Some(frame);
            return Ok(None);
        }
        if !frame.is_final {
            return Ok(None);
        }
        let message = partial.message.take().expect("pushed to a moment ago");
        self.partial = None;
        message.finish().map(Some)
    }
}

/// Where the parts of an unfragmented data frame are that is all in the input.
///
/// Nearly every message is one of these, at most 64 KiB long. Reading its header by hand halves the time of
/// decoding a 64-byte message over `FrameHeader::parse`; anything unusual is left to that.
struct WholeMessage {
    is_text: bool,
    mask: [u8; 4],
    start: usize,
    end: usize,
}

impl WholeMessage {
    #[inline]
    fn find(input: &[u8]) -> Option<Self> {
        // FIN, no reserved bit, text or binary.
        let is_text = match input.first()? {
            0x81 => true,
            0x82 => false,
            _ => return None,
        };
        // An unmasked frame comes out as 128 or more.
        let (start, len) = match input.get(1)? ^ 0x80 {
            len @ 0..=125 => (6, usize::from(len)),
            126 => {
                let (len, _) = input.get(2..)?.split_first_chunk()?;
                (8, usize::from(u16::from_be_bytes(*len)))
            }
            _ => return None,
        };
        let (_, mask) = input.get(..start)?.split_last_chunk()?;
        let end = start + len;
        (end <= input.len()).then_some(Self { is_text, mask: *mask, start, end })
    }

    #[inline]
    fn take<'a>(self, input: &'a mut [u8], limits: &Limits) -> Result<(usize, Option<Event<'a>>), Error> {
        if self.end - self.start > limits.message_bytes_max {
            return Err(Error::TooBig);
        }
        let payload = &mut input[self.start..self.end];
        unmask(payload, self.mask);
        let event = if self.is_text { text_event(payload)? } else { Event::Binary(Cow::Borrowed(payload)) };
        Ok((self.end, Some(event)))
    }
}

#[inline]
fn text_event(payload: &[u8]) -> Result<Event<'_>, Error> {
    // As `str::from_utf8` says, but text that is not ASCII goes by at a multiple of its speed.
    let text = simdutf8::basic::from_utf8(payload).map_err(|_| Error::Utf8)?;
    Ok(Event::Text(Cow::Borrowed(text)))
}

fn control_event(kind: Control, payload: Cow<'_, [u8]>) -> Result<Event<'_>, Error> {
    match kind {
        Control::Ping => Ok(Event::Ping(payload)),
        Control::Pong => Ok(Event::Pong(payload)),
        Control::Close => close_event(payload),
        // The header parser refuses these.
        Control::Reserved(_) => Err(Error::Opcode),
    }
}

/// RFC 6455 §5.5.1: nothing, or a code and a reason in UTF-8.
fn close_event(payload: Cow<'_, [u8]>) -> Result<Event<'_>, Error> {
    if payload.is_empty() {
        return Ok(Event::Close { code: None, reason: Cow::Borrowed("") });
    }
    let (code, _) = payload.split_first_chunk().ok_or(Error::Close)?;
    let code = u16::from_be_bytes(*code);
    if !may_be_sent(code) {
        return Err(Error::Close);
    }
    let reason = match payload {
        Cow::Borrowed(payload) => str::from_utf8(&payload[2..]).map(Cow::Borrowed),
        Cow::Owned(payload) => str::from_utf8(&payload[2..]).map(|reason| Cow::Owned(reason.to_owned())),
    };
    Ok(Event::Close { code: Some(code), reason: reason.map_err(|_| Error::Utf8)? })
}

/// RFC 6455 §7.4, and the IANA registry, which has since gained 1014 (bad gateway).
fn may_be_sent(code: u16) -> bool {
    code == 1014 || CloseCode::from(code).is_allowed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_those_of_the_registry() {
        let allowed: Vec<u16> = (0..=u16::MAX).filter(|&code| may_be_sent(code)).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(allowed, expected);
    }
}
