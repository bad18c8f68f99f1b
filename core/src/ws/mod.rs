//! WebSocket, server side (RFC 6455), as pure functions of bytes.
//!
//! | file | what it decides |
//! |------|-----------------|
//! | `handshake` | whether an upgrade request is a WebSocket handshake, and what the 101 says |
//! | `decode` | client frames → messages and control frames, in place |
//! | `message` | the buffer of a message that does not arrive in one piece |
//! | `mask` | taking the client's mask off |
//! | `encode` | control frames, and headers of data frames that are not a [`crate::payload::Packet`] |
//! | `error` | what a client did wrong, and the close code it is told |
//!
//! `tungstenite` parses and formats frame headers and derives the accept key. The one exception is the header
//! of a whole unfragmented message, which `decode` reads itself because every echo pays for it.

pub mod decode;
pub mod encode;
pub mod error;
pub mod handshake;
mod mask;
mod message;

pub use decode::{Decoder, Event, Limits};
pub use error::Error;
pub use mask::unmask;
