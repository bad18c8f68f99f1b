//! Where layers meet: one core's connections, sessions, rooms and router as a plain value.

pub mod stats;
