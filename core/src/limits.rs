//! Limits that are not options: a name, a unit, and what they protect.

/// Attachments of one Socket.IO packet (protocol.md 4.2 rule 3).
pub const ATTACHMENTS_MAX: usize = 10;
/// Nesting of the JSON in one packet, in open brackets. Beyond it the packet is a decode error.
pub const JSON_DEPTH_MAX: usize = 1024;
/// Largest acknowledgement id: 2^53 - 1, the largest integer every client can count to.
pub const ACK_ID_MAX: u64 = (1 << 53) - 1;
/// Fragments of one WebSocket message, unless the operator says otherwise (as the `ws` package of Node).
pub const FRAGMENTS_MAX: u32 = 16_384;
/// Payload of a WebSocket control frame, in bytes (RFC 6455 §5.5).
pub const CONTROL_BYTES_MAX: usize = 125;
/// Bytes of an HTTP request head, request line included.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an HTTP request target.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
/// Header fields of one HTTP request.
pub const HEADER_FIELDS_MAX: usize = 100;
/// Bytes of one chunk-size line, extensions included; and of all trailer fields together.
pub const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// Bytes of a body that nobody wants, read so that the connection can serve another request.
pub const SKIPPED_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of answers that a client has not read, beyond which its next request on that connection waits.
pub const UNREAD_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of requests kept until an earlier one is answered; with more, its connection is not read.
pub const HELD_INPUT_BYTES_MAX: usize = 2 * HEAD_BYTES_MAX;
/// Bytes of CONNECT payloads of one session, over all its namespaces: they are kept as long as their sockets.
pub const AUTH_BYTES_MAX: usize = 64 * 1024;
/// Bytes of answers that one shard collects for one broadcast; more end it as timed out.
pub const BROADCAST_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a namespace name.
pub const NAMESPACE_BYTES_MAX: usize = 1024;

// A head of the largest target still has room for its fields.
const _: () = assert!(HEAD_BYTES_MAX >= TARGET_BYTES_MAX + 4096);
// A head waits for its end, and not for anybody to read on; up to two empty lines come before it.
const _: () = assert!(HELD_INPUT_BYTES_MAX >= HEAD_BYTES_MAX + 4);
