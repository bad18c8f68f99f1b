//! A load generator for Socket.IO servers: what a message costs the server, how long it takes, and whether
//! every one of them arrived intact.
//!
//! ```text
//! options ──► run ──► worker (one per core) ──► scenario        what is sent, what must come back
//!              │        │                          ▲
//!              │        ├──► client ───────────────┘            one Socket.IO client over a transport
//!              │        └──► readiness, stream                  epoll under monoio, non-blocking TCP
//!              └──► process (the server's CPU and memory), stats ──► report
//! ```
//!
//! A scenario sees Socket.IO packets and never a transport; a transport sees bytes and never a scenario. A new
//! scenario is a file under `scenario/`, a new transport one under `client/`.
#![forbid(unsafe_code)]

pub mod clock;
pub mod options;
pub mod report;
pub mod run;
pub mod selftest;

mod client;
mod interval;
mod payload;
mod process;
mod readiness;
mod scenario;
mod schedule;
mod stats;
mod stream;
mod wire;
mod worker;

pub use interval::Second;
pub use run::run;
pub use stats::Errors;
