//! The link to the gateway (docs/backend-protocol.md): one stream, driven by one task.
//!
//! | file | holds |
//! |------|-------|
//! | `queue` | what waits to be sent, and the credit to send it with |
//! | `requests` | questions the gateway will answer |
//! | `table` | the sockets of this link, and what a frame means for them |
//! | `sequence` | the handlers of one socket, one after the other |
//! | `drive` | reads, writes, and the batches between |
//! | `stream` | both ends of the stream, each waited for by itself |
//! | `keep` | connects, says hello, connects again |
//! | `backoff` | how long to wait before that |

pub(crate) mod backoff;
pub(crate) mod drive;
pub(crate) mod keep;
pub(crate) mod queue;
pub(crate) mod requests;
pub(crate) mod sequence;
pub(crate) mod stream;
pub(crate) mod table;

pub(crate) use queue::{Limits, Link};
