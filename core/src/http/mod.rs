//! HTTP/1 codecs: bytes to values and back, without I/O, a clock or a connection.
//!
//! | file | what it is |
//! |------|------------|
//! | `head` | request heads: the line, the fields, and what is refused (RFC 9112) |
//! | `fields` | the fields of a head, borrowed from the buffer, and copies of them for a handshake |
//! | `meaning` | what the fields say about body, connection and upgrade, worked out once |
//! | `body` | request bodies by length or in chunks, without copying |
//! | `reply` | how any response is written, straight into the connection's buffer |
//! | `response` | the responses of the gateway, byte for byte |
//! | `query` | the path and the query of a target, decoded, the latter as `URLSearchParams` does |
//! | `cors` | which CORS fields a request gets, and preflights |
//! | `encoding` | `Accept-Encoding`, gzip and deflate |
//! | `etag` | `If-None-Match` |
//!
//! A request that two parties could read differently is refused, never repaired: a gateway stands behind
//! proxies, and a repair is where request smuggling starts.

pub mod body;
pub mod cors;
pub mod encoding;
pub mod etag;
pub mod fields;
pub mod head;
mod meaning;
pub mod query;
pub mod reply;
pub mod response;

pub use body::{BodyDecoder, BodyError, BodyLength, Step};
pub use cors::{Cors, Origins};
pub use encoding::{Coding, Compressor, negotiate};
pub use fields::{FieldStorage, Fields};
pub use head::{Head, HeadDecoder, HeadError};
pub use query::{Query, split_target, unescape_path};
pub use reply::{Field, Reply};
