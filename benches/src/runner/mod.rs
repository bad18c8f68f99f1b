//! Runs servers and the load generator on different cores, one pair at a time, and compares what it cost.
//!
//! Repetitions are interleaved (A B C, A B C, …), because the machine's speed drifts over minutes: what is
//! compared was measured close together. Every run has processes of its own, so that nothing a run leaves
//! behind (memory above all) is in the next.

mod common;
mod lineup;
pub mod links;
mod load;
mod median;
pub mod peers;
mod process;
mod results;
mod scaling;
mod server;
mod stage;

pub use common::Common;
pub use lineup::Lineup;
pub use links::{LinkOptions, issue3};
pub use peers::{PeerOptions, peers};
pub use scaling::{ScalingOptions, scaling};
pub use server::ServerError;

pub(crate) use median::median;

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why the benchmark, or one of its runs, could not go on.
#[derive(Debug, Error)]
pub enum BenchError {
    /// A file or a process of ours.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A server did not start.
    #[error("{0}")]
    Server(#[from] ServerError),
    /// The load generator said something else than a result.
    #[error("no result from the load generator: {0}")]
    Load(String),
    /// Earlier results cannot be added to: the file, and why.
    #[error("cannot keep what is in {0}: {1}")]
    Keep(PathBuf, String),
    /// Nothing is left to compare.
    #[error("{0}")]
    Nothing(&'static str),
}
