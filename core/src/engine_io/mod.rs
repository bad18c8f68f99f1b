//! Engine.IO revision 4: packets, poll bodies, the handshake and the heartbeat, without any I/O.
//!
//! | file | what it decides |
//! |------|-----------------|
//! | `transport` | names of transports and revisions, and which upgrades to offer |
//! | `request` | what a request asks for, or why it is refused |
//! | `open` | the open packet |
//! | `packet` | one packet off the wire, and the base64 of binary packets |
//! | `poll_body` | several packets in one HTTP body, both ways |
//! | `heartbeat` | when to ping, and when to give up |
//!
//! How a session reacts to a packet (protocol.md 1.4) is the session's business.

pub mod heartbeat;
pub mod open;
pub mod packet;
pub mod poll_body;
pub mod request;
pub mod transport;

pub use heartbeat::{Due, Heartbeat, Intervals};
pub use packet::{Packet, PacketError};
pub use transport::{Revision, Transport, Transports};
