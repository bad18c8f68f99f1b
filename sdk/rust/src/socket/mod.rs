//! A client in a namespace.

mod flagged;
mod life;
mod session;

pub use flagged::Flagged;
pub use life::Release;
pub(crate) use session::Session;

use crate::answer::Answer;
use crate::args::{self, ToArgs};
use crate::broadcast::{Broadcast, Rooms};
use crate::error::{AckError, SendError};
use crate::handshake::{self, Handshake};
use crate::io::Io;
use crate::link::Link;
use crate::link::sequence::Sequence;
use crate::name;
use crate::namespace::Named;
use crate::shared::Shared;
use life::state;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tidegate_core::backend::wire::{Connect, DATA_BYTES_MAX, EmitFlags, FromBackend, Packet, Texts};
use tidegate_core::id::IdText;
use tidegate_core::shard::app::SocketKey;
use tidegate_core::socket_io::{Args, ArgsError};
use tokio::sync::oneshot;

/// A socket: one client in one namespace. Clones are the same socket.
///
/// What is sent to it takes effect in the order in which it was sent, together with broadcasts, joins and
/// leaves of this backend. Nothing here waits for the gateway, unless it is `async`.
#[derive(Clone)]
pub struct Socket(Arc<Inner>);

struct Inner {
    key: SocketKey,
    id: IdText,
    namespace: Named,
    session: Arc<Session>,
    shared: Arc<Shared>,
    link: Arc<Link>,
    handshake: Box<str>,
    parsed: OnceLock<Handshake>,
    recovered: bool,
    revision: u8,
    /// Bits: see [`life::state`].
    state: AtomicU8,
    data: Mutex<Option<Box<str>>>,
    /// The rooms this backend knows of.
    rooms: Mutex<BTreeSet<Box<str>>>,
    acks: Mutex<HashMap<u64, oneshot::Sender<Args>>>,
    sequence: Sequence,
}

/// What is behind these locks is right between any two statements, so a panic elsewhere does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Socket {
    pub(crate) fn new(
        connect: &Connect<'_>,
        namespace: Named,
        session: Arc<Session>,
        shared: Arc<Shared>,
        link: Arc<Link>,
    ) -> Self {
        let (rooms, data) =
            connect.adopted.map_or((Texts::EMPTY, None), |adopted| (adopted.rooms, adopted.data));
        session.set_transport(connect.transport);
        let socket = Self(Arc::new(Inner {
            key: connect.socket,
            id: connect.id.encode(),
            namespace,
            session,
            shared,
            link,
            handshake: connect.handshake.into(),
            parsed: OnceLock::new(),
            recovered: connect.adopted.is_some(),
            revision: connect.revision,
            state: AtomicU8::new(0),
            data: Mutex::new(data.map(Into::into)),
            rooms: Mutex::new(rooms.iter().map(Into::into).collect()),
            acks: Mutex::default(),
            sequence: Sequence::default(),
        }));
        lock(&socket.0.session.sockets).push(Arc::downgrade(&socket.0));
        socket
    }

    // ---- who it is
    // -------------------------------------------------------------------------------------------------

    /// The public id: 20 characters, also the name of a room in which it is alone.
    pub fn id(&self) -> &str {
        self.0.id.as_str()
    }

    /// The name of its namespace, `/` included.
    pub fn namespace(&self) -> &str {
        &self.0.namespace.name
    }

    /// Its namespace, to address all sockets in it.
    pub fn io(&self) -> Io {
        Io::new(Arc::clone(&self.0.shared), Arc::clone(&self.0.namespace.name))
    }

    /// The first request of the client. Parsed when it is asked for, once.
    pub fn handshake(&self) -> &Handshake {
        self.0.parsed.get_or_init(|| serde_json::from_str(&self.0.handshake).unwrap_or_default())
    }

    /// The handshake as JSON text.
    pub fn handshake_json(&self) -> &str {
        &self.0.handshake
    }

    /// What the client sent as `auth`. Parsed each time; nothing else of the handshake is.
    ///
    /// # Errors
    /// It is something else.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        handshake::auth(&self.0.handshake)
    }

    /// What the client sent as `auth`, as JSON text.
    pub fn auth_json(&self) -> &str {
        handshake::auth_json(&self.0.handshake).unwrap_or("{}")
    }

    /// Whether this client was another backend's, or this one's before the link was lost. Its id, rooms and
    /// data are those it had.
    pub fn recovered(&self) -> bool {
        self.0.recovered
    }

    /// The revision of Engine.IO the client speaks: 4.
    pub fn revision(&self) -> u8 {
        self.0.revision
    }

    /// `polling` or `websocket`, at present.
    pub fn transport(&self) -> &'static str {
        if self.0.session.websocket.load(Ordering::Relaxed) { "websocket" } else { "polling" }
    }

    /// Whether it is in the namespace, as far as this backend knows.
    pub fn is_connected(&self) -> bool {
        self.state() == state::ACCEPTED
    }

    /// Whether it has left, or was sent away: nothing can be sent to it any more.
    pub fn has_left(&self) -> bool {
        self.check_here().is_err()
    }

    // ---- sending
    // ---------------------------------------------------------------------------------------------------

    /// Sends an event. `args` is a tuple: see [`ToArgs`].
    ///
    /// It is encoded at once into a buffer that is written at the end of the batch. If the gateway does not
    /// take it, that buffer grows up to [`Builder::queue_bytes`](crate::Builder::queue_bytes);
    /// [`Self::ready`] waits for room.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn emit(&self, event: &str, args: impl ToArgs) -> Result<(), SendError> {
        self.send_event(EmitFlags::default(), event, args, 0, 0)
    }

    /// Sends an event that may be lost: it is dropped if the client is not ready for it at this instant.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn emit_volatile(&self, event: &str, args: impl ToArgs) -> Result<(), SendError> {
        self.send_event(EmitFlags { volatile: true, ..EmitFlags::default() }, event, args, 0, 0)
    }

    /// The same socket, with flags for one event.
    pub fn flags(&self) -> Flagged<'_> {
        Flagged { socket: self, flags: EmitFlags::default() }
    }

    /// Sends an event now, and returns a future with the client's answer. Without a `timeout` it is waited
    /// for as long as the socket is here.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn doc(socket: tidegate_backend::Socket) -> Result<(), Box<dyn std::error::Error>> {
    /// let answer = socket.emit_with_ack("ready?", (), Duration::from_secs(5)).await?;
    /// let yes: bool = answer.as_ref().parse(0).unwrap_or(Ok(false))?;
    /// # let _ = yes; Ok(())
    /// # }
    /// ```
    pub fn emit_with_ack(
        &self,
        event: &str,
        args: impl ToArgs,
        timeout: impl Into<Option<Duration>>,
    ) -> Answer<Args> {
        self.request(EmitFlags::default(), event, args, timeout.into())
    }

    fn request(
        &self,
        flags: EmitFlags,
        event: &str,
        args: impl ToArgs,
        timeout: Option<Duration>,
    ) -> Answer<Args> {
        let number = self.0.link.requests.number();
        let (answer, answered) = oneshot::channel();
        lock(&self.0.acks).insert(number, answer);
        let awaited = Awaited { socket: self.clone(), number };
        let flags = EmitFlags { ack: true, ..flags };
        let sent = self.send_event(flags, event, args, number, timeout.map_or(0, millis));
        Answer::new(async move {
            let _awaited = awaited;
            sent?;
            let answer = async { answered.await.map_err(|_| AckError::Gone) };
            match timeout {
                None => answer.await,
                Some(timeout) => {
                    tokio::time::timeout(timeout, answer).await.unwrap_or(Err(AckError::TimedOut))
                }
            }
        })
    }

    fn send_event(
        &self,
        flags: EmitFlags,
        event: &str,
        args: impl ToArgs,
        ack: u64,
        timeout_ms: u32,
    ) -> Result<(), SendError> {
        self.check_here()?;
        let socket = self.0.key;
        name::quoted(event, |name| {
            args.with(|args| {
                let packet = Packet::from_event(name, args);
                self.0.link.send(&FromBackend::Emit { socket, flags, ack, timeout_ms, packet })
            })
        })??
    }

    fn check_here(&self) -> Result<(), SendError> {
        if self.state() & (state::SENT_AWAY | state::GONE) != 0 { Err(SendError::Gone) } else { Ok(()) }
    }

    fn send(&self, frame: &FromBackend<'_>) -> Result<(), SendError> {
        self.check_here()?;
        self.0.link.send(frame)
    }

    /// Waits until half of what may wait to be sent is free. A task that emits a lot calls this before each
    /// portion.
    ///
    /// # Errors
    /// The link is lost.
    pub async fn ready(&self) -> Result<(), SendError> {
        self.0.link.ready().await
    }

    // ---- many sockets
    // ----------------------------------------------------------------------------------------------

    /// Everybody in these rooms but this socket.
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// Everybody in these rooms but this socket: the same as [`Self::to`].
    pub fn in_(&self, rooms: impl Rooms) -> Broadcast {
        self.to(rooms)
    }

    /// Everybody in the namespace but this socket and the members of these rooms.
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// Everybody in the namespace but this socket.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(self.io()).except(self.id())
    }

    // ---- rooms and data
    // --------------------------------------------------------------------------------------------

    /// Puts it into rooms.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn join(&self, rooms: impl Rooms) -> Result<(), SendError> {
        let rooms = rooms.into_rooms();
        self.send(&FromBackend::Join { socket: self.0.key, rooms: Texts::from(&*rooms) })?;
        lock(&self.0.rooms).extend(rooms.into_iter().map(Into::into));
        Ok(())
    }

    /// Takes it out of rooms.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn leave(&self, rooms: impl Rooms) -> Result<(), SendError> {
        let rooms = rooms.into_rooms();
        self.send(&FromBackend::Leave { socket: self.0.key, rooms: Texts::from(&*rooms) })?;
        let mut known = lock(&self.0.rooms);
        rooms.iter().for_each(|room| {
            known.remove(&**room);
        });
        Ok(())
    }

    /// The rooms it is in, its id among them. Asks the gateway, which keeps them.
    ///
    /// # Errors
    /// The socket has left, or the link is lost.
    pub async fn rooms(&self) -> Result<Vec<String>, AckError> {
        let found = self.io().to(self.id()).fetch_sockets().await?;
        found
            .into_iter()
            .find(|socket| socket.id() == self.id())
            .map(|socket| socket.into_rooms())
            .ok_or(AckError::Gone)
    }

    /// The rooms that this handle has joined and not left, and those a recovered socket came with. Its id is
    /// not among them, nor is what others have done with [`Broadcast::sockets_join`]. Of a socket that has
    /// left: those it was in then.
    pub fn known_rooms(&self) -> Vec<String> {
        lock(&self.0.rooms).iter().map(|room| room.to_string()).collect()
    }

    /// Its data: what [`Self::set_data`] has set, here or in a backend that had it before.
    ///
    /// # Errors
    /// It is something else.
    pub fn data<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        lock(&self.0.data).as_deref().map(serde_json::from_str).transpose()
    }

    /// Its data as JSON text.
    pub fn data_json(&self) -> Option<String> {
        lock(&self.0.data).as_deref().map(str::to_owned)
    }

    /// Replaces its data, and tells the gateway: it is what [`Broadcast::fetch_sockets`] reports, and what
    /// the next backend gets if this one goes away. At most 64 KiB of JSON.
    ///
    /// # Errors
    /// The value is not JSON or too long, or it cannot be sent.
    pub fn set_data<T: Serialize + ?Sized>(&self, data: &T) -> Result<(), SendError> {
        let json = serde_json::to_string(data).map_err(ArgsError::Serialize)?;
        if json.len() > DATA_BYTES_MAX {
            return Err(SendError::TooLong { field: "data" });
        }
        args::check_depth(&json)?;
        // Locked until it is sent, so that the gateway has the newest one, too.
        let mut data = lock(&self.0.data);
        self.send(&FromBackend::Data { socket: self.0.key, json: &json })?;
        *data = Some(json.into_boxed_str());
        Ok(())
    }

    // ---- the end
    // ---------------------------------------------------------------------------------------------------

    /// Takes it out of its namespace, or, if `close`, takes all sockets of this client out of theirs and
    /// closes the connection. What it has sent and was not handled yet is dropped.
    /// [`on_disconnect`](crate::Namespace::on_disconnect) follows when the gateway has done it.
    ///
    /// # Errors
    /// The socket has left already, or the link is lost.
    pub fn disconnect(&self, close: bool) -> Result<(), SendError> {
        if !close {
            return self.leave_namespace();
        }
        for socket in self.0.session.sockets() {
            // One that has left by now is no reason to keep the others.
            let _ = socket.leave_namespace();
        }
        self.0.link.answer(&FromBackend::Close(self.0.session.key))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ids are secrets, and end up in logs.
        f.debug_struct("Socket")
            .field("id", &&self.id()[..2])
            .field("namespace", &self.namespace())
            .finish_non_exhaustive()
    }
}

/// Milliseconds on the wire, where 0 is for ever.
pub(crate) fn millis(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// Forgets an acknowledgement that nobody waits for any more.
struct Awaited {
    socket: Socket,
    number: u64,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        lock(&self.socket.0.acks).remove(&self.number);
    }
}
