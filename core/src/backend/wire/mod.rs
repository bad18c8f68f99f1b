//! The frames of the backend protocol, in both directions (docs/backend-protocol.md; `§` refers to it).
//!
//! ```text
//! bytes ──► Frames ──► Frame ──► FromBackend::decode / ToBackend::decode        encode ──► bytes
//! ```
//!
//! | file | holds |
//! |------|-------|
//! | `frames` | a stream into frames |
//! | `from_backend` `to_backend` | what each side can say |
//! | `list` `packet` `sockets` | lists of names, selectors; events, acknowledgements and attachments; answers to FETCH |
//! | `codes` `kind` `error` | numbers with a meaning; types of frames; what can be wrong |
//! | `read` `write` | fields |
//!
//! Pure functions and borrowed values, but for the unfinished frame in [`Frames`]. A decoded frame borrows from the
//! bytes it came in, and decoding allocates nothing. An encoded one is appended to a `Vec`; that fails only when
//! something is longer than its length field can say. Whether a frame may come now is for the link to say.

mod codes;
mod error;
mod frames;
mod from_backend;
mod kind;
mod list;
mod packet;
mod read;
mod sockets;
mod to_backend;
mod write;

pub use codes::{EmitFlags, RefuseCode};
pub use error::{TooLong, WireError};
pub use frames::{Frame, Frames};
pub use from_backend::{FromBackend, Hello};
pub use kind::{frame_counts, frame_name};
pub use list::{Jsons, List, ListIter, Selector, Texts};
pub use packet::{Attachments, AttachmentsIter, Packet};
pub use sockets::{FetchedSocket, Sockets, SocketsIter};
pub use to_backend::{Adopted, Connect, ToBackend, Welcome};

/// The version of the protocol that is spoken here.
pub const VERSION: u16 = 1;
/// What HELLO and WELCOME begin with.
pub const MAGIC: [u8; 4] = *b"TDGB";
/// Longest `data` of a socket, in bytes of JSON.
pub const DATA_BYTES_MAX: usize = 64 * 1024;
