//! A backend: how it is described, started and stopped.

use crate::error::Error;
use crate::handshake::ConnectionError;
use crate::io::Io;
use crate::link::keep::keep;
use crate::namespace::{Namespace, Namespaces};
use crate::shared::Shared;
use crate::welcome::Options;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::limits::NAMESPACE_BYTES_MAX;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Bytes the gateway may send before it is given credit, unless [`Builder::window`] says otherwise.
const WINDOW_BYTES: u32 = 4 << 20;
/// Bytes that may wait to be sent, unless [`Builder::queue_bytes`] says otherwise.
const QUEUE_BYTES: usize = 64 << 20;

/// What a backend was told to do.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    pub(crate) process: String,
    pub(crate) window: u32,
    pub(crate) queue_bytes: usize,
    pub(crate) reconnect: bool,
}

/// What the application wants of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Serve,
    Drain,
    Close,
}

/// Describes a backend. See [`Backend::builder`].
pub struct Builder {
    settings: Settings,
    namespaces: Namespaces,
}

impl Builder {
    /// Serves a namespace. `/` before the name may be left out.
    #[must_use]
    pub fn namespace(mut self, name: &str, describe: impl FnOnce(&mut Namespace)) -> Self {
        let mut handlers = Namespace::default();
        describe(&mut handlers);
        self.namespaces.add(name, handlers);
        self
    }

    /// Serves every namespace whose name (`/` included) `exists` says yes to, if nobody serves it by name.
    /// Names are chosen by clients, so `exists` should be strict. Of several patterns the first that says yes
    /// counts.
    #[must_use]
    pub fn dynamic(
        mut self,
        exists: impl Fn(&str) -> bool + Send + Sync + 'static,
        describe: impl FnOnce(&mut Namespace),
    ) -> Self {
        let mut handlers = Namespace::default();
        describe(&mut handlers);
        self.namespaces.add_dynamic(Box::new(exists), handlers);
        self
    }

    /// Sees clients that the gateway refused at their first HTTP request, for logs: `connection_error` of Socket.IO.
    /// Of several backends one is told, and none if they are busy.
    #[must_use]
    pub fn on_connection_error(
        mut self,
        observer: impl Fn(ConnectionError<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.namespaces.connection_error = Some(Box::new(observer));
        self
    }

    /// The name of this process in the gateway's logs, cut to 255 bytes. Its process number, unless told
    /// otherwise.
    #[must_use]
    pub fn process(mut self, name: impl Into<String>) -> Self {
        self.settings.process = name.into();
        self
    }

    /// How many bytes the gateway may send that no handler has dealt with (4 MiB): the bound of what waits
    /// here for slow handlers. Clients beyond it wait, too: the gateway does not read them.
    #[must_use]
    pub fn window(mut self, bytes: u32) -> Self {
        self.settings.window = bytes.max(1);
        self
    }

    /// How many bytes may wait to be sent (64 MiB). What is emitted beyond is refused with
    /// [`SendError::Full`](crate::SendError::Full). While more than half of it waits, the gateway is given no
    /// credit.
    #[must_use]
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.settings.queue_bytes = bytes;
        self
    }

    /// Whether to connect again when the link is lost, or the gateway cannot be reached (yes): after 100 ms,
    /// and up to 5 s later each time.
    #[must_use]
    pub fn reconnect(mut self, reconnect: bool) -> Self {
        self.settings.reconnect = reconnect;
        self
    }

    /// Connects to the gateway, and returns when that has welcomed this backend. If it cannot be reached,
    /// that is when it can.
    ///
    /// # Errors
    /// A name is not one of a namespace; or the gateway does not want this backend; or it cannot be reached,
    /// and [`Self::reconnect`] is off.
    pub async fn connect(self) -> Result<Backend, Error> {
        let Self { settings, namespaces } = self;
        if let Some(name) = namespaces.names().find(|name| name.len() > NAMESPACE_BYTES_MAX) {
            return Err(Error::Namespace(name.to_owned()));
        }
        let shared = Arc::new(Shared::new(settings, namespaces));
        let (want, wanted) = watch::channel(Want::Serve);
        let (started, has_started) = oneshot::channel();
        let task = tokio::spawn(keep(Arc::clone(&shared), started, wanted));
        let mut backend = Backend { shared, want, task: Some(task) };
        if has_started.await.is_err() {
            backend.closed().await?;
            return Err(Error::Closed);
        }
        Ok(backend)
    }

    /// Connects, and serves for as long as it makes sense.
    ///
    /// # Errors
    /// As [`Self::connect`] and [`Backend::closed`].
    pub async fn run(self) -> Result<(), Error> {
        self.connect().await?.closed().await
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A backend that serves. Dropping it closes its link; its sockets then go to other backends, or wait for one.
pub struct Backend {
    shared: Arc<Shared>,
    want: watch::Sender<Want>,
    task: Option<JoinHandle<Result<(), Error>>>,
}

impl Backend {
    /// Begins to describe a backend of the gateway whose backend socket is `path`.
    ///
    /// ```no_run
    /// # async fn doc() -> Result<(), tidegate_backend::Error> {
    /// use tidegate_backend::Backend;
    ///
    /// Backend::builder("/run/tidegate/backend.sock")
    ///     .namespace("/", |ns| {
    ///         ns.on_sync("echo", |_socket, event| {
    ///             let _ = event.ack(event.args());
    ///         });
    ///     })
    ///     .dynamic(
    ///         |name| name.starts_with("/board-"),
    ///         |ns| {
    ///             ns.on("draw", |socket, event| async move {
    ///                 let _ = socket.broadcast().emit("draw", event.args());
    ///             });
    ///         },
    ///     )
    ///     .run()
    ///     .await
    /// # }
    /// ```
    pub fn builder(path: impl Into<PathBuf>) -> Builder {
        let settings = Settings {
            path: path.into(),
            process: std::process::id().to_string(),
            window: WINDOW_BYTES,
            queue_bytes: QUEUE_BYTES,
            reconnect: true,
        };
        Builder { settings, namespaces: Namespaces::default() }
    }

    /// A namespace, whether or not this backend serves it.
    pub fn io(&self, namespace: &str) -> Io {
        let slash = if namespace.starts_with('/') { "" } else { "/" };
        Io::new(Arc::clone(&self.shared), format!("{slash}{namespace}").into())
    }

    /// What the gateway said of itself when the link was made.
    pub fn options(&self) -> Arc<Options> {
        self.shared.options()
    }

    /// Whether there is a link at present.
    pub fn is_linked(&self) -> bool {
        self.shared.link().is_some()
    }

    /// Waits until this backend serves no more.
    ///
    /// # Errors
    /// The gateway does not want it; or the link was lost, and [`Builder::reconnect`] is off.
    ///
    /// # Panics
    /// If there is no more runtime.
    pub async fn closed(&mut self) -> Result<(), Error> {
        let Some(task) = &mut self.task else { return Ok(()) };
        let ended = task.await;
        self.task = None;
        match ended {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime shuts down.
                Err(_) => Err(Error::Closed),
            },
        }
    }

    /// Leaves politely: takes no new sockets, lets handlers that are at work finish, hands every socket over,
    /// and ends. Returns whether that was done within `patience`; what was not is dropped.
    ///
    /// # Errors
    /// As [`Self::closed`].
    pub async fn drain(mut self, patience: Duration) -> Result<bool, Error> {
        self.want.send_replace(Want::Drain);
        match tokio::time::timeout(patience, self.closed()).await {
            Ok(result) => result.map(|()| true),
            Err(_) => self.close().await.map(|()| false),
        }
    }

    /// Sends what is queued, as far as the gateway takes it within a second, and ends. Sockets go to other
    /// backends, or wait for one.
    ///
    /// # Errors
    /// As [`Self::closed`].
    pub async fn close(mut self) -> Result<(), Error> {
        self.want.send_replace(Want::Close);
        self.closed().await
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.want.send_replace(Want::Close);
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}
