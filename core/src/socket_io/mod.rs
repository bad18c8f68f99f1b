//! Socket.IO protocol 5: packets on the inside of Engine.IO messages (protocol.md section 4).
//!
//! ```text
//! message ──► decode ──► Packet { namespace, ack, EventName, ArgsRef }      encode ──► Parcel
//!               │ json: one pass over the text        ▲                      ▲
//!               │ placeholder: binary packets only    └─ text and bytes, as they came
//! ```
//!
//! | file | holds |
//! |------|-------|
//! | `packet` | what a peer can say |
//! | `decode` | messages to packets; waits for attachments |
//! | `encode` | packets to messages, straight into the frame |
//! | `args` | arguments: raw JSON and attachments, and how an application builds and reads them |
//! | `name` | event names, and those that are reserved |
//! | `placeholder` | where attachments go |
//! | `json` | is it JSON, and where do its elements begin and end |
//! | `string` | JSON strings |
//!
//! Pure functions and values, except that [`Decoder`] remembers a packet whose attachments are on the way.
//! Whether a packet is allowed now (has the client joined the namespace?) is for the session to say.

mod args;
mod decode;
pub mod encode;
pub mod json;
mod name;
mod packet;
mod placeholder;
mod string;

pub use args::{Args, ArgsError, ArgsRef, Elements};
pub use decode::{Assembled, DecodeError, Decoder, pending_bytes_max};
pub use name::{EventName, OutName, RESERVED, is_reserved};
pub use packet::Packet;
pub use placeholder::PlaceholderError;
pub use string::quote;
