//! The runtime from outside: over loopback, under both pollers, driving a machine that obeys its clients.
#![allow(clippy::unwrap_used, reason = "a test, its helpers included, may panic")]

mod engine;
mod process;
mod puppet;
