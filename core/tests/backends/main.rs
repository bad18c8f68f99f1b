//! Backends behind links, held to docs/backend-protocol.md: a simulation with faults from a seed, and the promises of
//! the page one by one.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking, and its numbers are small"
)]

mod found;
mod gate;
mod leaving;
mod links;
#[path = "../simulation/random.rs"]
mod random;
mod sim;
mod sockets;
#[expect(dead_code, reason = "the support of other tests is not all needed here")]
#[path = "../support/mod.rs"]
mod support;
#[expect(dead_code, reason = "these clients chunk nothing")]
#[path = "../simulation/wire.rs"]
mod wire;
