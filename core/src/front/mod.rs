//! One client connection: HTTP until it is upgraded.

pub mod write_queue;
