//! What an application does with the sockets of a namespace.

use crate::error::Rejection;
use crate::event::{Event, EventRef, ServerEvent};
use crate::handshake::ConnectionError;
use crate::io::Io;
use crate::socket::{Release, Socket};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tidegate_core::close::DisconnectReason;

pub(crate) type BoxFuture<T = ()> = Pin<Box<dyn Future<Output = T> + Send>>;
type Handler<A> = Box<dyn Fn(Socket, A) -> BoxFuture + Send + Sync>;
type SocketHandler<T> = Box<dyn Fn(Socket) -> BoxFuture<T> + Send + Sync>;
type ServerHandler = Box<dyn Fn(Io, ServerEvent) -> BoxFuture + Send + Sync>;
type Observer = Box<dyn Fn(&Socket, &EventRef<'_>) + Send + Sync>;

/// Who handles an event.
pub(crate) enum EventHandler {
    Sync(Observer),
    Async(Handler<Event>),
}

/// The handlers of a namespace, as [`Builder::namespace`](crate::Builder::namespace) collects them.
///
/// Handlers of one socket are called one after the other: the next event waits until the handler of the one
/// before has ended. A handler that has to wait for long lets others of the same socket go first if it leaves
/// the waiting to a task of its own (`tokio::spawn`); an [`Ack`](crate::Ack) may go with it. Handlers of
/// different sockets are independent.
///
/// Until it first waits, a handler runs in the task that drives the link. So it must not block; what needs
/// the processor for long belongs into `tokio::task::spawn_blocking`.
#[derive(Default)]
pub struct Namespace {
    pub(crate) connect: Option<SocketHandler<Result<(), Rejection>>>,
    pub(crate) connect_recovered: bool,
    pub(crate) connected: Option<SocketHandler<()>>,
    pub(crate) disconnect: Option<Handler<DisconnectReason>>,
    pub(crate) release: Option<Handler<Release>>,
    pub(crate) any: Option<Observer>,
    events: HashMap<Box<str>, EventHandler>,
    fallback: Option<EventHandler>,
    server: HashMap<Box<str>, ServerHandler>,
}

impl Namespace {
    /// Decides who gets in, as a middleware does: before the client is told anything. Without this, everybody
    /// does.
    ///
    /// Events sent from here reach the client after it has been let in. A socket that another backend had
    /// before (see [`Socket::recovered`]) is in already, and is not asked again unless
    /// [`Self::check_recovered`] says so.
    ///
    /// ```
    /// # use tidegate_backend::{Namespace, Rejection};
    /// # fn doc(ns: &mut Namespace) {
    /// ns.on_connect(|socket| async move {
    ///     match socket.auth::<(String, String)>() {
    ///         Ok((user, password)) if password == "secret" => Ok(()),
    ///         _ => Err(Rejection::new("not authorized")),
    ///     }
    /// });
    /// # }
    /// ```
    pub fn on_connect<F, Fut>(&mut self, handler: F) -> &mut Self
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Rejection>> + Send + 'static,
    {
        self.connect = Some(Box::new(move |socket| Box::pin(handler(socket))));
        self
    }

    /// Whether [`Self::on_connect`] also decides about sockets that another backend had let in. It does not,
    /// unless told to.
    pub fn check_recovered(&mut self, check: bool) -> &mut Self {
        self.connect_recovered = check;
        self
    }

    /// A socket is in: the `connection` event of Socket.IO.
    pub fn on_connected<F, Fut>(&mut self, handler: F) -> &mut Self
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.connected = Some(Box::new(move |socket| Box::pin(handler(socket))));
        self
    }

    /// A socket that was in has left, whoever wanted it to. It can no longer be sent anything.
    pub fn on_disconnect<F, Fut>(&mut self, handler: F) -> &mut Self
    where
        F: Fn(Socket, DisconnectReason) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.disconnect = Some(Box::new(move |socket, reason| Box::pin(handler(socket, reason))));
        self
    }

    /// A socket is no longer this backend's, although its client stays connected: another backend will adopt
    /// it, or this one, as a new [`Socket`] with the same id. If it is handed over ([`Release::Handover`]),
    /// what is sent from here still arrives, [`Socket::set_data`] above all.
    pub fn on_release<F, Fut>(&mut self, handler: F) -> &mut Self
    where
        F: Fn(Socket, Release) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.release = Some(Box::new(move |socket, why| Box::pin(handler(socket, why))));
        self
    }

    /// Handles an event. The name of an event that is a number is written in decimals.
    ///
    /// ```
    /// # use tidegate_backend::Namespace;
    /// # fn doc(ns: &mut Namespace) {
    /// ns.on("add", |_socket, event| async move {
    ///     if let Ok((a, b)) = event.parse::<(i64, i64)>() {
    ///         let _ = event.ack(a + b);
    ///     }
    /// });
    /// # }
    /// ```
    pub fn on<F, Fut>(&mut self, name: &str, handler: F) -> &mut Self
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.events.insert(name.into(), asynchronous(handler));
        self
    }

    /// Handles an event at once, without a future, and without copying it: the fast way.
    ///
    /// ```
    /// # use tidegate_backend::Namespace;
    /// # fn doc(ns: &mut Namespace) {
    /// ns.on_sync("echo", |_socket, event| {
    ///     let _ = event.ack(event.args());
    /// });
    /// # }
    /// ```
    pub fn on_sync<F>(&mut self, name: &str, handler: F) -> &mut Self
    where
        F: Fn(&Socket, &EventRef<'_>) + Send + Sync + 'static,
    {
        self.events.insert(name.into(), EventHandler::Sync(Box::new(handler)));
        self
    }

    /// Handles events that have no handler of their own.
    pub fn on_fallback<F, Fut>(&mut self, handler: F) -> &mut Self
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.fallback = Some(asynchronous(handler));
        self
    }

    /// As [`Self::on_fallback`], at once, as [`Self::on_sync`] does.
    pub fn on_fallback_sync<F>(&mut self, handler: F) -> &mut Self
    where
        F: Fn(&Socket, &EventRef<'_>) + Send + Sync + 'static,
    {
        self.fallback = Some(EventHandler::Sync(Box::new(handler)));
        self
    }

    /// Sees every event when it arrives, before a handler does (which may be later, if the socket is busy).
    pub fn on_any<F>(&mut self, observer: F) -> &mut Self
    where
        F: Fn(&Socket, &EventRef<'_>) + Send + Sync + 'static,
    {
        self.any = Some(Box::new(observer));
        self
    }

    /// Handles what another backend sends with [`Io::server_side_emit`]. These handlers are started in the
    /// order in which the events came, and do not wait for each other.
    pub fn on_server_side<F, Fut>(&mut self, name: &str, handler: F) -> &mut Self
    where
        F: Fn(Io, ServerEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.server.insert(name.into(), Box::new(move |io, event| Box::pin(handler(io, event))));
        self
    }

    /// Who handles an event of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&EventHandler> {
        self.events.get(name).or(self.fallback.as_ref())
    }

    /// What handling a server-side event is, if there is a handler.
    pub(crate) fn server_event(&self, io: Io, event: ServerEvent) -> Option<BoxFuture> {
        self.server.get(event.name()).map(|handler| handler(io, event))
    }
}

fn asynchronous<F, Fut>(handler: F) -> EventHandler
where
    F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    EventHandler::Async(Box::new(move |socket, event| Box::pin(handler(socket, event))))
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("events", &self.events.keys()).finish_non_exhaustive()
    }
}

/// Decides whether a namespace of this name exists.
type Pattern = Box<dyn Fn(&str) -> bool + Send + Sync>;

type ErrorObserver = Box<dyn Fn(ConnectionError<'_>) + Send + Sync>;

/// A namespace with its name.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) name: Arc<str>,
    pub(crate) handlers: Arc<Namespace>,
}

/// All namespaces of a backend.
#[derive(Default)]
pub(crate) struct Namespaces {
    exact: HashMap<Arc<str>, Named>,
    dynamic: Vec<(Pattern, Arc<Namespace>)>,
    /// Told of clients that came to none.
    pub(crate) connection_error: Option<ErrorObserver>,
}

impl Namespaces {
    pub(crate) fn add(&mut self, name: &str, handlers: Namespace) {
        let name: Arc<str> = if name.starts_with('/') { name.into() } else { format!("/{name}").into() };
        self.exact.insert(Arc::clone(&name), Named { name, handlers: Arc::new(handlers) });
    }

    pub(crate) fn add_dynamic(&mut self, pattern: Pattern, handlers: Namespace) {
        self.dynamic.push((pattern, Arc::new(handlers)));
    }

    /// The namespace of this name, if it exists here. The exact ones come first, then the patterns in order.
    pub(crate) fn find(&self, name: &str) -> Option<Named> {
        self.exact.get(name).cloned().or_else(|| {
            let (_, handlers) = self.dynamic.iter().find(|(pattern, _)| pattern(name))?;
            Some(Named { name: name.into(), handlers: Arc::clone(handlers) })
        })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(|name| &**name)
    }

    pub(crate) fn has_dynamic(&self) -> bool {
        !self.dynamic.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_namespaces_come_before_patterns_and_patterns_in_order() {
        let mut namespaces = Namespaces::default();
        namespaces.add("admin", Namespace::default());
        for prefix in ["/a", "/dyn-", "/dyn-1"] {
            let mut handlers = Namespace::default();
            handlers.on_sync(prefix, |_, _| {});
            namespaces.add_dynamic(Box::new(move |name| name.starts_with(prefix)), handlers);
        }
        let handles = |name: &str, event: &str| namespaces.find(name).unwrap().handlers.find(event).is_some();
        assert!(!handles("/admin", "/a"));
        assert!(handles("/another", "/a"));
        assert!(handles("/dyn-1", "/dyn-"));
        assert!(namespaces.find("/").is_none());
        assert_eq!(namespaces.names().collect::<Vec<_>>(), ["/admin"]);
    }
}
