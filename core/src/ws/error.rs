//! What a client did wrong on the wire, and the close code it is told (RFC 6455 §7.4.1, protocol.md 1.9).

use tungstenite::protocol::frame::coding::CloseCode;

/// Why a client's bytes were refused. All are the client's fault; the connection cannot go on after any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    /// A client must mask every frame (RFC 6455 §5.1).
    #[error("frame without a mask")]
    Unmasked,
    /// No extension was negotiated that gives the reserved bits a meaning (RFC 6455 §5.2).
    #[error("reserved bit set")]
    ReservedBits,
    /// Opcodes 3 to 7 and 11 to 15 (RFC 6455 §5.2).
    #[error("unknown opcode")]
    Opcode,
    /// A control frame that is fragmented, or longer than 125 bytes (RFC 6455 §5.5).
    #[error("control frame too long or fragmented")]
    Control,
    /// A continuation frame while no message is open (RFC 6455 §5.4).
    #[error("continuation of nothing")]
    Continuation,
    /// A new message while another one is unfinished (RFC 6455 §5.4).
    #[error("message inside a message")]
    Interleaved,
    /// A close frame with one byte of payload, or with a code that must not be sent (RFC 6455 §7.4).
    #[error("bad close frame")]
    Close,
    /// Text, or the reason of a close frame, that is not UTF-8 (RFC 6455 §8.1).
    #[error("text is not UTF-8")]
    Utf8,
    /// A message longer than [`super::Limits::message_bytes_max`].
    #[error("message too big")]
    TooBig,
    /// A message of more frames than [`super::Limits::fragments_max`].
    #[error("message in too many fragments")]
    TooManyFragments,
}

impl Error {
    /// The code of the close frame that answers it.
    pub fn close_code(self) -> u16 {
        match self {
            Self::Unmasked
            | Self::ReservedBits
            | Self::Opcode
            | Self::Control
            | Self::Continuation
            | Self::Interleaved
            | Self::Close => CloseCode::Protocol,
            Self::Utf8 => CloseCode::Invalid,
            Self::TooBig => CloseCode::Size,
            Self::TooManyFragments => CloseCode::Policy,
        }
        .into()
    }
}
