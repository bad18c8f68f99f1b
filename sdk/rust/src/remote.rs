//! Sockets that may be another backend's.

use crate::args::ToArgs;
use crate::broadcast::Rooms;
use crate::error::SendError;
use crate::handshake::{self, Handshake};
use crate::link::Link;
use crate::name;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use tidegate_core::backend::wire::{EmitFlags, FetchedSocket, FromBackend, Packet, Texts};
use tidegate_core::id::IdText;
use tidegate_core::shard::app::SocketKey;

/// A socket as [`fetch_sockets`](crate::Broadcast::fetch_sockets) found it, on any backend. What it says was
/// true when the gateway answered. Whatever is asked for a socket that has left meanwhile is ignored.
#[derive(Clone)]
pub struct RemoteSocket {
    key: SocketKey,
    id: IdText,
    rooms: Vec<String>,
    data: Option<Box<str>>,
    handshake: Box<str>,
    link: Arc<Link>,
}

impl RemoteSocket {
    pub(crate) fn new(socket: &FetchedSocket<'_>, link: Arc<Link>) -> Self {
        Self {
            key: socket.socket,
            id: socket.id.encode(),
            rooms: socket.rooms.iter().map(str::to_owned).collect(),
            data: socket.data.map(Into::into),
            handshake: socket.handshake.into(),
            link,
        }
    }

    /// The public id.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The rooms it is in, its id among them.
    pub fn rooms(&self) -> &[String] {
        &self.rooms
    }

    pub(crate) fn into_rooms(self) -> Vec<String> {
        self.rooms
    }

    /// Its data, if it has any.
    ///
    /// # Errors
    /// It is something else.
    pub fn data<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        self.data.as_deref().map(serde_json::from_str).transpose()
    }

    /// Its data as JSON text, if it has any.
    pub fn data_json(&self) -> Option<&str> {
        self.data.as_deref()
    }

    /// The first request of the client. Parsed each time.
    pub fn handshake(&self) -> Handshake {
        serde_json::from_str(&self.handshake).unwrap_or_default()
    }

    /// What the client sent as `auth`, as JSON text.
    pub fn auth_json(&self) -> &str {
        handshake::auth_json(&self.handshake).unwrap_or("{}")
    }

    /// Sends it an event.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn emit(&self, event: &str, args: impl ToArgs) -> Result<(), SendError> {
        let (socket, flags) = (self.key, EmitFlags::default());
        name::quoted(event, |name| {
            args.with(|args| {
                let packet = Packet::from_event(name, args);
                self.link.send(&FromBackend::Emit { socket, flags, ack: 0, timeout_ms: 0, packet })
            })
        })??
    }

    /// Puts it into rooms.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn join(&self, rooms: impl Rooms) -> Result<(), SendError> {
        let rooms = rooms.into_rooms();
        self.link.send(&FromBackend::Join { socket: self.key, rooms: Texts::from(&*rooms) })
    }

    /// Takes it out of rooms.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn leave(&self, rooms: impl Rooms) -> Result<(), SendError> {
        let rooms = rooms.into_rooms();
        self.link.send(&FromBackend::Leave { socket: self.key, rooms: Texts::from(&*rooms) })
    }

    /// Takes it out of its namespace.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn disconnect(&self) -> Result<(), SendError> {
        self.link.send(&FromBackend::Disconnect(self.key))
    }
}

impl fmt::Debug for RemoteSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ids and handshakes are secrets, and end up in logs.
        f.debug_struct("RemoteSocket")
            .field("id", &&self.id()[..2])
            .field("rooms", &self.rooms.len())
            .finish_non_exhaustive()
    }
}
