//! One core's loop and everything it stands on: the only place in the gateway with `unsafe`.
//!
//! `engine` is the loop. It drives a [`Driven`] machine (a shard), learns from a `poller` which streams are
//! ready, and talks to the other cores through the `mesh`. monoio owns the thread: `park` is where it sleeps.

pub(crate) mod clock;
pub(crate) mod driven;
pub(crate) mod engine;
mod epoll;
pub(crate) mod executor;
pub mod limits;
pub(crate) mod mesh;
pub(crate) mod park;
#[expect(unsafe_code, reason = "no crate wraps this option of a socket")]
pub(crate) mod peer_groups;
pub mod pin;
pub(crate) mod poller;
#[expect(unsafe_code, reason = "io_uring submissions are unsafe")]
mod ring;
mod send;
pub mod stats;
mod streams;
mod timer;

pub use clock::Clock;
pub use driven::{Driven, StreamAction};
pub use executor::DriverChoice;
pub use mesh::MAILBOX_PARCELS;
pub use poller::IoDriver;
