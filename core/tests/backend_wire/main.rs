//! The codec of the backend protocol (docs/backend-protocol.md).

mod fields;
mod packets;
mod page;
mod random;
mod roundtrip;
mod streams;
mod vectors;
