//! What can be wrong with a frame.

use crate::limits::ATTACHMENTS_MAX;
use crate::socket_io::ArgsError;
use crate::socket_io::json::JsonError;

/// What is wrong with what the peer sent. Always its fault; the text is what REFUSE tells it (§8).
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A frame whose length is 0, so that it has no type.
    #[error("a frame without a type")]
    Empty,
    /// A frame longer than the limit, of which nothing is kept.
    #[error("a frame of {bytes} bytes; the limit is {max}")]
    TooLong {
        /// The whole frame, its length field included.
        bytes: u64,
        /// The limit, for the same.
        max: u64,
    },
    /// A type that this version does not have, or that the other side sends.
    #[error("no frame to be sent here has the type {0:02x}")]
    Kind(u8),
    /// A body that ends within a field.
    #[error("{frame}: the body ends within {field}")]
    Cut {
        /// The name of the frame's type.
        frame: &'static str,
        /// The field that is not all there.
        field: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("{frame}: {field} is not UTF-8")]
    NotUtf8 {
        /// The name of the frame's type.
        frame: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A value that the page does not allow.
    #[error("{frame}: {field} is not what it may be")]
    Value {
        /// The name of the frame's type.
        frame: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field that is to be JSON and is not.
    #[error("{frame}: {field} is not JSON: {fault}")]
    Json {
        /// The name of the frame's type.
        frame: &'static str,
        /// The field.
        field: &'static str,
        /// Where it goes wrong.
        fault: JsonError,
    },
    /// The first bytes of HELLO or WELCOME are not the magic ones: the peer speaks something else.
    #[error("not a peer of this protocol: wrong magic")]
    Magic,
    /// A packet with more attachments than clients take.
    #[error("more than {ATTACHMENTS_MAX} attachments")]
    Attachments,
    /// A packet that is not a JSON array.
    #[error("the packet is not a JSON array")]
    NotArray,
    /// The first element of an event is neither a number nor a string, or one of the reserved names.
    #[error("the packet does not begin with the name of an event")]
    EventName,
    /// The arguments of a packet, or its placeholders, are not in order.
    #[error("the packet: {0}")]
    Args(#[from] ArgsError),
}

/// Something longer, or more, than its length field can say. Nothing has been encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: too much for one frame")]
pub struct TooLong {
    /// The field.
    pub field: &'static str,
}
