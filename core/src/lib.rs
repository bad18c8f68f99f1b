//! The part of Tidegate that decides.
//!
//! Bytes, messages and the time go in; bytes, messages and deadlines come out. There is no clock, no socket
//! and no thread in here, so eight shards and a fake clock in one test are a whole gateway. `ARCHITECTURE.md`
//! has the map; modules use lower layers only.
#![forbid(unsafe_code)]

pub mod arena;
pub mod backend;
pub mod close;
pub mod engine_io;
pub mod front;
pub mod http;
pub mod hub;
pub mod id;
pub mod limits;
pub mod name;
pub mod options;
pub mod payload;
pub mod session;
pub mod shard;
pub mod socket_io;
pub mod time;
pub mod timers;
pub mod ws;
