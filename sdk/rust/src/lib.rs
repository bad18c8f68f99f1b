//! Serves Socket.IO clients whose connections live in a Tidegate gateway, from an async Rust application.
//!
//! The gateway is another process: it keeps the connections, speaks HTTP, WebSocket and Socket.IO, and knows
//! who is in which room. An application connects to it over a Unix socket, says which namespaces it serves,
//! and is given sockets. An application may be restarted without any client noticing, and there may be several.
//!
//! ```no_run
//! use tidegate_backend::{Backend, Rejection};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), tidegate_backend::Error> {
//!     Backend::builder("/run/tidegate/backend.sock")
//!         .namespace("/", |ns| {
//!             ns.on_connect(|socket| async move {
//!                 let token = socket.handshake().query("token");
//!                 if token == Some("secret") { Ok(()) } else { Err(Rejection::new("not authorized")) }
//!             });
//!             ns.on_connected(|socket| async move {
//!                 let _ = socket.emit("welcome", ("hello", socket.id()));
//!             });
//!             ns.on_sync("echo", |_socket, event| {
//!                 let _ = event.ack(event.args());
//!             });
//!             ns.on("join", |socket, event| async move {
//!                 if let Ok((room,)) = event.parse::<(String,)>() {
//!                     let _ = socket.join(&room);
//!                     let _ = socket.to(&room).emit("joined", (socket.id(),));
//!                 }
//!             });
//!             ns.on_disconnect(|socket, reason| async move {
//!                 println!("{} has left: {}", socket.id(), reason.as_str());
//!             });
//!         })
//!         .run()
//!         .await
//! }
//! ```
//!
//! # What happens when
//!
//! - **Order.** Handlers of one socket are called one after the other, those of different sockets
//!   independently: see [`Namespace`]. What is sent takes effect in the order in which it was sent.
//! - **Batches.** What the gateway sends in one turn is handled in one go, and what comes of it leaves in one
//!   write.
//! - **Bounds.** Events that wait for slow handlers are bounded by [`Builder::window`]; clients beyond it are
//!   not read by the gateway. What waits to be sent is bounded by [`Builder::queue_bytes`]; beyond it, emits
//!   fail with [`SendError::Full`]. Nothing here waits, unless it is `async`.
//! - **The link is lost**, because the gateway has gone: the sockets of this link are of no use any more.
//!   [`Namespace::on_release`] is told, and the backend connects again. Clients that are still there come
//!   back as new [`Socket`]s that are [`recovered`](Socket::recovered).
//! - **The backend goes away.** Its sockets stay connected, and other backends adopt them, or the next one
//!   that comes. After [`Backend::drain`] no event is lost or handled twice.
//! - **A handler panics.** That is logged (with `tracing`), and the backend goes on. The client gets no
//!   acknowledgement; if it was about to be let in, it is kept out.
#![forbid(unsafe_code)]

mod answer;
mod args;
mod backend;
mod broadcast;
mod error;
mod event;
mod handshake;
mod io;
mod link;
mod name;
mod namespace;
mod remote;
mod shared;
mod socket;
mod welcome;

pub use answer::Answer;
pub use args::{Arg, Binary, List, ToArgs};
pub use backend::{Backend, Builder};
pub use broadcast::{Broadcast, Rooms};
pub use error::{AckError, Error, Rejection, SendError};
pub use event::{Ack, Event, EventRef, ServerEvent};
pub use handshake::{ConnectionError, Handshake};
pub use io::Io;
pub use link::requests::{BroadcastAcks, ServerResponses};
pub use namespace::Namespace;
pub use remote::RemoteSocket;
pub use socket::{Flagged, Release, Socket};
pub use tidegate_core::close::{CloseReason, DisconnectReason};
pub use tidegate_core::socket_io::{Args, ArgsError, ArgsRef};
pub use welcome::Options;

pub use bytes::Bytes;
