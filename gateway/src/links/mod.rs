//! Links: backends dial in over a Unix socket, and each stream is handed to a core as a port of its shard.
//!
//! ```text
//! main:     listener::open ─► the file, its lock, its permissions
//! worker 0: accept ─► peers: who is it? ─► places: which core has the fewest? ─► mesh ─► Shard::handle_port
//! ```
//!
//! What a backend says on its link is none of our business here.

mod listener;
mod peers;
mod places;
mod usher;

pub use listener::{LinkListener, ListenError, PATH_BYTES_MAX, SocketFile};
pub(crate) use places::LinkPlaces;
pub(crate) use usher::Usher;
