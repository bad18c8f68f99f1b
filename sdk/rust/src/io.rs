//! All sockets of a namespace, of every backend.

use crate::answer::Answer;
use crate::args::{self, ToArgs};
use crate::broadcast::{Broadcast, Rooms};
use crate::error::{AckError, SendError};
use crate::link::Link;
use crate::link::requests::{Abandon, BroadcastAcks, Request, ServerResponses};
use crate::name;
use crate::remote::RemoteSocket;
use crate::shared::Shared;
use crate::socket::millis;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::backend::wire::FromBackend;
use tokio::sync::oneshot;

/// A namespace: what the Socket.IO API does with `io.of(name)`. It means all sockets in it, whichever backend
/// has them. A clone costs two reference counts.
#[derive(Clone)]
pub struct Io {
    shared: Arc<Shared>,
    namespace: Arc<str>,
}

impl Io {
    pub(crate) fn new(shared: Arc<Shared>, namespace: Arc<str>) -> Self {
        Self { shared, namespace }
    }

    /// Its name, `/` included.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Another namespace, whether or not this backend serves it. `/` before the name may be left out.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Self {
        let slash = if namespace.starts_with('/') { "" } else { "/" };
        Self { shared: Arc::clone(&self.shared), namespace: format!("{slash}{namespace}").into() }
    }

    /// How many backends are connected to the gateway, this one included.
    pub fn backends(&self) -> u32 {
        self.shared.peers()
    }

    pub(crate) fn link(&self) -> Result<Arc<Link>, SendError> {
        self.shared.link().ok_or(SendError::NoLink)
    }

    /// Sends an event to everybody in the namespace.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn emit(&self, event: &str, args: impl ToArgs) -> Result<(), SendError> {
        self.everybody().emit(event, args)
    }

    /// As [`Broadcast::emit_with_ack`], to everybody in the namespace.
    pub fn emit_with_ack(
        &self,
        event: &str,
        args: impl ToArgs,
        timeout: impl Into<Option<Duration>>,
    ) -> Answer<BroadcastAcks> {
        self.everybody().emit_with_ack(event, args, timeout)
    }

    /// Everybody in the namespace.
    pub fn everybody(&self) -> Broadcast {
        Broadcast::new(self.clone())
    }

    /// Everybody in these rooms.
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.everybody().to(rooms)
    }

    /// Everybody in these rooms: the same as [`Self::to`].
    pub fn in_(&self, rooms: impl Rooms) -> Broadcast {
        self.to(rooms)
    }

    /// Everybody in the namespace but the members of these rooms.
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.everybody().except(rooms)
    }

    /// Every socket of the namespace.
    ///
    /// # Errors
    /// The link is lost.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, AckError> {
        self.everybody().fetch_sockets().await
    }

    /// Puts everybody in the namespace into rooms.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn sockets_join(&self, rooms: impl Rooms) -> Result<(), SendError> {
        self.everybody().sockets_join(rooms)
    }

    /// Takes everybody in the namespace out of rooms.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn sockets_leave(&self, rooms: impl Rooms) -> Result<(), SendError> {
        self.everybody().sockets_leave(rooms)
    }

    /// Takes everybody out of the namespace, or, if `close`, closes their connections.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn disconnect_sockets(&self, close: bool) -> Result<(), SendError> {
        self.everybody().disconnect_sockets(close)
    }

    /// Sends something to the other backends that serve this namespace: their
    /// [`on_server_side`](crate::Namespace::on_server_side) handlers get it. No attachments.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn server_side_emit(&self, event: &str, args: impl ToArgs) -> Result<(), SendError> {
        self.send_to_servers(&*self.link()?, event, args, 0, None)
    }

    /// As [`Self::server_side_emit`], now, and returns a future with their answers. Without a `timeout` they
    /// have 5 seconds.
    pub fn server_side_emit_with_ack(
        &self,
        event: &str,
        args: impl ToArgs,
        timeout: impl Into<Option<Duration>>,
    ) -> Answer<ServerResponses> {
        let asked = self.link().and_then(|link| {
            let (done, answered) = oneshot::channel();
            let abandon = Abandon::open(link, Request::Server { done });
            self.send_to_servers(&abandon.link, event, args, abandon.number, timeout.into())?;
            Ok((abandon, answered))
        });
        Answer::to(asked)
    }

    fn send_to_servers(
        &self,
        link: &Link,
        event: &str,
        args: impl ToArgs,
        request: u64,
        timeout: Option<Duration>,
    ) -> Result<(), SendError> {
        let (namespace, timeout_ms) = (&*self.namespace, timeout.map_or(0, millis));
        name::quoted(event, |name| {
            args.with(|args| {
                if !args.attachments().is_empty() {
                    return Err(SendError::TooLong { field: "attachments" });
                }
                let comma = if args.is_empty() { "" } else { "," };
                let json = format!("[{name}{comma}{}]", args.json());
                args::check_depth(&json)?;
                link.send(&FromBackend::ServerEmit { namespace, request, timeout_ms, json: &json })
            })
        })??
    }

    /// Waits until half of what may wait to be sent is free. A task that emits a lot calls this before each
    /// portion.
    ///
    /// # Errors
    /// The link is lost.
    pub async fn ready(&self) -> Result<(), SendError> {
        self.link()?.ready().await
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Io").field(&self.namespace).finish()
    }
}
