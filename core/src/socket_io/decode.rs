//! From Engine.IO messages to packets (protocol.md 4.2).
//!
//! A text packet is checked in one pass and borrowed from its message; nothing is allocated. A packet with
//! attachments is kept until the last of them is here.

use bytes::Bytes;

use super::args::ArgsRef;
use super::json;
use super::name::EventName;
use super::packet::{Kind, Packet};
use super::placeholder::{self, Order, PlaceholderError};
use crate::limits::{ACK_ID_MAX, ATTACHMENTS_MAX, NAMESPACE_BYTES_MAX};

/// Why a message was refused. Always the peer's fault: it is told nothing, and its session is closed with
/// reason "forced close" (protocol.md 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The first character is not a packet type, or there is none.
    #[error("unknown packet type")]
    UnknownType,
    /// A text message while attachments were due.
    #[error("got plaintext data when reconstructing a packet")]
    TextWhilePending,
    /// A binary message while none was due.
    #[error("got binary data when not reconstructing a packet")]
    UnexpectedBinary,
    /// The number of attachments is missing, 0 or not a number, or a placeholder names none of them.
    #[error("illegal attachments")]
    IllegalAttachments,
    /// More than [`ATTACHMENTS_MAX`] attachments, or uses of them.
    #[error("too many attachments")]
    TooManyAttachments,
    /// Attachments of one packet beyond what the caller allows, in bytes.
    #[error("attachments too large")]
    AttachmentsTooLarge,
    /// A namespace longer than [`NAMESPACE_BYTES_MAX`].
    #[error("namespace too long")]
    NamespaceTooLong,
    /// An acknowledgement id above [`ACK_ID_MAX`].
    #[error("acknowledgement id out of range")]
    AckIdTooLarge,
    /// The payload is not JSON, or not of the shape its packet type asks for.
    #[error("invalid payload")]
    InvalidPayload,
}

/// The bytes that one packet may keep waiting, head and attachments together, when each of its messages may
/// have `message_bytes_max`.
pub const fn pending_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_mul(ATTACHMENTS_MAX + 1)
}

/// Decodes the messages of one session, in order. Idle it is one pointer, and that is null.
///
/// After an error the session must be closed.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Option<Box<Pending>>,
}

const _: () = assert!(size_of::<Decoder>() == size_of::<usize>());

impl Decoder {
    /// A decoder that waits for no attachment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a text message, without the Engine.IO type digit.
    ///
    /// `Ok(None)` means that attachments must follow: pass them to [`Decoder::binary`].
    pub fn text<'a>(&mut self, text: &'a str) -> Result<Option<Packet<'a>>, DecodeError> {
        if self.pending.take().is_some() {
            return Err(DecodeError::TextWhilePending);
        }
        let head = Head::decode(text)?;
        let packet = head.packet()?;
        if head.attachments == 0 {
            return Ok(Some(packet));
        }
        self.pending = Some(Box::new(Pending::new(&packet, head.attachments)?));
        Ok(None)
    }

    /// Takes a binary message, and gives the packet that it completes.
    ///
    /// The packet may keep `pending_bytes_max` bytes in all; see the function of that name for the bound that no
    /// client can run into whose every message is allowed.
    pub fn binary(
        &mut self,
        bytes: &[u8],
        pending_bytes_max: usize,
    ) -> Result<Option<Assembled>, DecodeError> {
        let Some(mut pending) = self.pending.take() else { return Err(DecodeError::UnexpectedBinary) };
        if bytes.len() > pending_bytes_max.saturating_sub(pending.bytes) {
            return Err(DecodeError::AttachmentsTooLarge);
        }
        pending.bytes += bytes.len();
        pending.received.push(Bytes::copy_from_slice(bytes));
        if pending.received.len() == pending.announced {
            return Ok(Some(pending.assemble()));
        }
        self.pending = Some(pending);
        Ok(None)
    }

    /// Bytes of the packet that waits for attachments, or 0.
    pub fn pending_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.bytes)
    }
}

/// What precedes the payload: `type [attachments "-"] [namespace ","] [ack-id]`.
struct Head<'a> {
    kind: Kind,
    attachments: usize,
    namespace: &'a str,
    ack: Option<u64>,
    payload: &'a str,
}

impl<'a> Head<'a> {
    fn decode(text: &'a str) -> Result<Self, DecodeError> {
        let kind = text.bytes().next().and_then(Kind::from_digit).ok_or(DecodeError::UnknownType)?;
        let rest = &text[1..];
        let (attachments, rest) = if kind.is_binary() { take_attachments(rest)? } else { (0, rest) };
        let (namespace, rest) = take_namespace(rest)?;
        let (ack, payload) = take_ack(rest)?;
        Ok(Self { kind, attachments, namespace, ack, payload })
    }

    /// Checks the payload. Attachments are not looked at yet.
    fn packet(&self) -> Result<Packet<'a>, DecodeError> {
        let &Self { kind, namespace, ack, payload, .. } = self;
        Ok(match kind {
            // An id in a CONNECT is ignored (protocol.md 4.4).
            Kind::Connect => Packet::Connect { namespace, auth: optional_json(payload, b"{")? },
            Kind::Disconnect if payload.is_empty() => Packet::Disconnect { namespace },
            Kind::Disconnect => return Err(DecodeError::InvalidPayload),
            Kind::Event | Kind::BinaryEvent => {
                let (name, args) = event_payload(payload)?;
                Packet::Event { namespace, ack, name, args: ArgsRef::trusted(args, &[]) }
            }
            Kind::Ack | Kind::BinaryAck => {
                let args = if payload.is_empty() { "" } else { cut_array(payload)?.all() };
                Packet::Ack { namespace, id: ack, args: ArgsRef::trusted(args, &[]) }
            }
            Kind::ConnectError => Packet::ConnectError { namespace, data: optional_json(payload, b"{\"")? },
        })
    }
}

/// `1*DIGIT "-"`, from 1 to [`ATTACHMENTS_MAX`].
fn take_attachments(text: &str) -> Result<(usize, &str), DecodeError> {
    let (digits, rest) = text.split_once('-').ok_or(DecodeError::IllegalAttachments)?;
    match decimal(digits) {
        None | Some(0) => Err(DecodeError::IllegalAttachments),
        Some(count) => match usize::try_from(count) {
            Ok(count) if count <= ATTACHMENTS_MAX => Ok((count, rest)),
            _ => Err(DecodeError::TooManyAttachments),
        },
    }
}

/// From a slash to a comma, or to the end of the packet.
fn take_namespace(text: &str) -> Result<(&str, &str), DecodeError> {
    if !text.starts_with('/') {
        return Ok(("/", text));
    }
    let (namespace, rest) = text.split_once(',').unwrap_or((text, ""));
    if namespace.len() > NAMESPACE_BYTES_MAX {
        return Err(DecodeError::NamespaceTooLong);
    }
    Ok((namespace, rest))
}

/// The digits at the front, if any.
fn take_ack(text: &str) -> Result<(Option<u64>, &str), DecodeError> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    match decimal(digits) {
        Some(id) if id > ACK_ID_MAX => Err(DecodeError::AckIdTooLarge),
        id => Ok((id, rest)),
    }
}

/// The value of at least one digit, or the largest integer if that is smaller.
fn decimal(digits: &str) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.bytes().try_fold(0u64, |value, byte| {
        byte.is_ascii_digit().then(|| value.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

/// Nothing, or JSON that begins with one of `openings`. White space may follow it, but not precede it.
fn optional_json<'a>(payload: &'a str, openings: &[u8]) -> Result<Option<&'a str>, DecodeError> {
    let Some(first) = payload.bytes().next() else { return Ok(None) };
    if !openings.contains(&first) || json::validate(payload).is_err() {
        return Err(DecodeError::InvalidPayload);
    }
    Ok(Some(payload.trim_ascii_end()))
}

/// The name and the arguments. An event may have no payload at all, but if it has one, it has a name.
fn event_payload(payload: &str) -> Result<(Option<EventName<'_>>, &str), DecodeError> {
    if payload.is_empty() {
        return Ok((None, ""));
    }
    let cut = cut_array(payload)?;
    let name = EventName::new(cut.first()).ok_or(DecodeError::InvalidPayload)?;
    Ok((Some(name), cut.rest()))
}

fn cut_array(payload: &str) -> Result<json::Cut<'_>, DecodeError> {
    json::cut_array(payload).map_err(|_| DecodeError::InvalidPayload)
}

/// A packet whose attachments are not all here.
#[derive(Debug)]
struct Pending {
    head: Assembled,
    /// Which attachment each placeholder stands for.
    order: Order,
    announced: usize,
    received: Vec<Bytes>,
    /// Of the head and of what was received.
    bytes: usize,
}

impl Pending {
    /// Keeps `packet`, its placeholders made canonical. That is checked before the attachments come: they cannot
    /// make it right.
    fn new(packet: &Packet<'_>, announced: usize) -> Result<Self, DecodeError> {
        let (namespace, name, args, ack, kind) = match *packet {
            Packet::Event { namespace, ack, name, args } => {
                (namespace, name.map_or("", EventName::json), args, ack, Answerable::Event)
            }
            Packet::Ack { namespace, id, args } => (namespace, "", args, id, Answerable::Ack),
            Packet::Connect { .. } | Packet::Disconnect { .. } | Packet::ConnectError { .. } => {
                return Err(DecodeError::IllegalAttachments);
            }
        };
        let args = placeholder::normalise(args.json(), announced)?;
        let mut text = String::with_capacity(namespace.len() + name.len() + args.json.len());
        text.push_str(namespace);
        text.push_str(name);
        text.push_str(&args.json);
        let (name_at, args_at) = (namespace.len(), namespace.len() + name.len());
        let bytes = text.len();
        let head = Assembled { text, name_at, args_at, ack, kind, attachments: Vec::new() };
        Ok(Self { head, order: args.order, announced, received: Vec::with_capacity(announced), bytes })
    }

    fn assemble(self) -> Assembled {
        let Self { mut head, order, received, .. } = self;
        let as_received = order.iter().map(|&index| usize::from(index)).eq(0..received.len());
        head.attachments = if as_received {
            received
        } else {
            order.iter().map(|&index| received[usize::from(index)].clone()).collect()
        };
        head
    }
}

impl From<PlaceholderError> for DecodeError {
    fn from(error: PlaceholderError) -> Self {
        match error {
            PlaceholderError::Illegal => Self::IllegalAttachments,
            PlaceholderError::TooMany => Self::TooManyAttachments,
            PlaceholderError::Json(_) => Self::InvalidPayload,
        }
    }
}

/// A packet with all its attachments.
#[derive(Debug)]
pub struct Assembled {
    /// Namespace, name and arguments, one after the other.
    text: String,
    name_at: usize,
    args_at: usize,
    ack: Option<u64>,
    kind: Answerable,
    attachments: Vec<Bytes>,
}

#[derive(Clone, Copy, Debug)]
enum Answerable {
    Event,
    Ack,
}

impl Assembled {
    /// The packet: an event or an acknowledgement.
    pub fn packet(&self) -> Packet<'_> {
        let namespace = &self.text[..self.name_at];
        let args = ArgsRef::trusted(&self.text[self.args_at..], &self.attachments);
        match self.kind {
            Answerable::Event => {
                let name = EventName::new(&self.text[self.name_at..self.args_at]);
                Packet::Event { namespace, ack: self.ack, name, args }
            }
            Answerable::Ack => Packet::Ack { namespace, id: self.ack, args },
        }
    }
}
