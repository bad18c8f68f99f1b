//! What a peer can say: the packets of Socket.IO protocol 5 (protocol.md 4.1).

use super::args::ArgsRef;
use super::name::EventName;

/// A decoded packet. Everything in it is borrowed from the message, or from the [`Assembled`] packet.
///
/// [`Assembled`]: super::Assembled
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Joins a namespace.
    Connect {
        /// `/` unless given.
        namespace: &'a str,
        /// The JSON object that becomes `handshake.auth`, if given.
        auth: Option<&'a str>,
    },
    /// Leaves a namespace.
    Disconnect {
        /// `/` unless given.
        namespace: &'a str,
    },
    /// An event.
    Event {
        /// `/` unless given.
        namespace: &'a str,
        /// The id to acknowledge it with, if an acknowledgement is wanted.
        ack: Option<u64>,
        /// `None` if the packet has no payload at all: then there are no arguments either.
        name: Option<EventName<'a>>,
        /// The arguments, without the name.
        args: ArgsRef<'a>,
    },
    /// The answer to an event.
    Ack {
        /// `/` unless given.
        namespace: &'a str,
        /// The id of the event. An answer without one is to be ignored.
        id: Option<u64>,
        /// The answer.
        args: ArgsRef<'a>,
    },
    /// Refuses a CONNECT. Only servers may.
    ConnectError {
        /// `/` unless given.
        namespace: &'a str,
        /// A JSON object or string, if given.
        data: Option<&'a str>,
    },
}

impl<'a> Packet<'a> {
    /// The namespace the packet is for.
    pub fn namespace(&self) -> &'a str {
        match *self {
            Self::Connect { namespace, .. }
            | Self::Disconnect { namespace }
            | Self::Event { namespace, .. }
            | Self::Ack { namespace, .. }
            | Self::ConnectError { namespace, .. } => namespace,
        }
    }
}

/// The type digits of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Connect = b'0',
    Disconnect = b'1',
    Event = b'2',
    Ack = b'3',
    ConnectError = b'4',
    BinaryEvent = b'5',
    BinaryAck = b'6',
}

impl Kind {
    pub(super) fn from_digit(digit: u8) -> Option<Self> {
        Some(match digit {
            b'0' => Self::Connect,
            b'1' => Self::Disconnect,
            b'2' => Self::Event,
            b'3' => Self::Ack,
            b'4' => Self::ConnectError,
            b'5' => Self::BinaryEvent,
            b'6' => Self::BinaryAck,
            _ => return None,
        })
    }

    pub(super) fn digit(self) -> u8 {
        self as u8
    }

    pub(super) fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }
}
