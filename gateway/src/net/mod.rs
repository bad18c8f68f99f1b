//! Listeners, and the way from an accepted connection to a shard.

pub(crate) mod accept;
pub mod listener;
