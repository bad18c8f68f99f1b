//! The part of Tidegate that acts: listeners, streams, cores and their wake-ups around `tidegate-core`, and
//! everything an operator sees.
//!
//! [`Gateway`] is the whole thing as a library; [`app`] is what a program that embeds it implements.
#![deny(unsafe_code)]

pub mod admin;
pub mod apps;
pub mod assets;
pub mod cli;
pub mod config;
mod gateway;
pub mod links;
pub mod log;
pub mod net;
pub mod pages;
pub mod runtime;
pub mod signals;
pub mod worker;

pub use gateway::{Builder, Gateway, GatewayError};

/// What an application implements, and what it can do.
pub mod app {
    pub use tidegate_core::close::{CloseReason, DisconnectReason};
    pub use tidegate_core::id::{Id, ShardIndex};
    pub use tidegate_core::session::handshake::Handshake;
    pub use tidegate_core::shard::Io;
    pub use tidegate_core::shard::app::{
        AckError, App, AppMessage, BroadcastAcks, Connect, Departed, Event, Flags, PortKey, Rejection, Reply,
        Selector, SessionKey, SocketInfo, SocketKey, Ticket, Verdict,
    };
    pub use tidegate_core::shard::stats::{BackendStats, Stats};
    pub use tidegate_core::socket_io::{Args, ArgsError, ArgsRef, EventName, OutName};
    pub use tidegate_core::time::Instant;
}

/// The Rust in the documentation is compiled with the tests.
#[cfg(doctest)]
mod documentation {
    #[doc = include_str!("../../docs/app-trait.md")]
    mod app_trait {}
    #[doc = include_str!("../../README.md")]
    mod readme {}
}
