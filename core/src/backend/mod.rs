//! Applications of other processes: the backend protocol (docs/backend-protocol.md).

pub mod wire;
