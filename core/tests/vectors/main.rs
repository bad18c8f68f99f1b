//! The test vectors of protocol.md section 9, and what its sections 1, 4 and 5 promise beyond them, held against
//! a whole gateway without a kernel: shards, mailboxes, streams and a clock that the test moves.
//!
//! What an application can do beyond Node (own streams, messages between cores, held input) is here, too.
//!
//! Each file is one section. A test is named after its vector. Where section 10 has another choice for Tidegate
//! than what Node was seen to do, the test says so.
//!
//! Not here, because there is nothing to test: H23 and 9.9 (WebTransport is not served), P24 (JSONP is for
//! revision 3 only), 9.8 (revision 3 is not served), 9.10 (recovery, clusters and msgpack live elsewhere). 9.5 and 9.6 are in `socket_io_vectors.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in helpers too")]

#[path = "../support/mod.rs"]
mod support;

mod acks;
mod app_keys;
mod bounds;
mod broadcast;
mod connections;
mod cross_shard;
mod drain;
mod flush;
mod found;
mod handshake;
mod heartbeat;
mod hold;
mod namespaces;
mod polling;
mod ports;
mod session_end;
mod slow;
mod tell;
mod upgrade;
mod websocket;
