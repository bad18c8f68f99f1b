//! Who is meant, and what to do with them.

use crate::answer::Answer;
use crate::args::ToArgs;
use crate::error::SendError;
use crate::io::Io;
use crate::link::requests::{Abandon, BroadcastAcks, Request};
use crate::name;
use crate::remote::RemoteSocket;
use crate::socket::millis;
use std::time::Duration;
use tidegate_core::backend::wire::{EmitFlags, FromBackend, Packet, Selector, Texts};
use tokio::sync::oneshot;

/// One room or several.
pub trait Rooms {
    /// Their names.
    fn into_rooms(self) -> Vec<String>;
}

impl Rooms for &str {
    fn into_rooms(self) -> Vec<String> {
        vec![self.to_owned()]
    }
}

impl Rooms for String {
    fn into_rooms(self) -> Vec<String> {
        vec![self]
    }
}

impl Rooms for &String {
    fn into_rooms(self) -> Vec<String> {
        vec![self.clone()]
    }
}

impl Rooms for Vec<String> {
    fn into_rooms(self) -> Vec<String> {
        self
    }
}

impl<T: AsRef<str>> Rooms for &[T] {
    fn into_rooms(self) -> Vec<String> {
        self.iter().map(|room| room.as_ref().to_owned()).collect()
    }
}

impl<T: AsRef<str>> Rooms for &Vec<T> {
    fn into_rooms(self) -> Vec<String> {
        self.as_slice().into_rooms()
    }
}

impl<T: AsRef<str>, const N: usize> Rooms for [T; N] {
    fn into_rooms(self) -> Vec<String> {
        self.as_slice().into_rooms()
    }
}

/// Sockets of a namespace, of every backend, by their rooms: everybody who is in one of the rooms of
/// [`Self::to`] (none: everybody in the namespace), and in none of [`Self::except`]. A socket's id is a room
/// of its own.
///
/// ```no_run
/// # fn doc(socket: tidegate_backend::Socket) -> Result<(), tidegate_backend::SendError> {
/// socket.to(["chess", "go"]).except("busy").volatile().emit("move", ("e4",))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing until something is sent"]
pub struct Broadcast {
    io: Io,
    rooms: Vec<String>,
    except: Vec<String>,
    flags: EmitFlags,
}

impl Broadcast {
    pub(crate) fn new(io: Io) -> Self {
        Self { io, rooms: Vec::new(), except: Vec::new(), flags: EmitFlags::default() }
    }

    /// Also the members of these rooms; the first call narrows it down from everybody.
    pub fn to(mut self, rooms: impl Rooms) -> Self {
        self.rooms.extend(rooms.into_rooms());
        self
    }

    /// The same as [`Self::to`].
    pub fn in_(self, rooms: impl Rooms) -> Self {
        self.to(rooms)
    }

    /// But nobody in these rooms.
    pub fn except(mut self, rooms: impl Rooms) -> Self {
        self.except.extend(rooms.into_rooms());
        self
    }

    /// Drop it for clients that are not ready at this instant.
    pub fn volatile(mut self) -> Self {
        self.flags.volatile = true;
        self
    }

    /// Whether it may be compressed. It may, unless told otherwise.
    pub fn compress(mut self, compress: bool) -> Self {
        self.flags.compress = compress;
        self
    }

    /// Only to clients of this gateway, not to those of other nodes.
    pub fn local(mut self) -> Self {
        self.flags.local = true;
        self
    }

    fn selector(&self) -> Selector<'_> {
        Selector {
            namespace: self.io.namespace(),
            rooms: Texts::from(&*self.rooms),
            except: Texts::from(&*self.except),
        }
    }

    /// Sends an event to them: one frame to the gateway, however many they are.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn emit(&self, event: &str, args: impl ToArgs) -> Result<(), SendError> {
        let link = self.io.link()?;
        self.send(event, args, |flags, packet| {
            let selector = self.selector();
            link.send(&FromBackend::Broadcast { flags, selector, request: 0, timeout_ms: 0, packet })
        })
    }

    /// Sends an event to them now, and returns a future with what they answer. It ends when all have, or
    /// after `timeout`; without one it waits for everybody.
    pub fn emit_with_ack(
        &self,
        event: &str,
        args: impl ToArgs,
        timeout: impl Into<Option<Duration>>,
    ) -> Answer<BroadcastAcks> {
        let timeout_ms = timeout.into().map_or(0, millis);
        let asked = self.io.link().and_then(|link| {
            let (done, answered) = oneshot::channel();
            let abandon = Abandon::open(link, Request::Broadcast { acks: BroadcastAcks::default(), done });
            self.send(event, args, |flags, packet| {
                let (flags, selector) = (EmitFlags { ack: true, ..flags }, self.selector());
                let request = abandon.number;
                abandon.link.send(&FromBackend::Broadcast { flags, selector, request, timeout_ms, packet })
            })?;
            Ok((abandon, answered))
        });
        Answer::to(asked)
    }

    fn send(
        &self,
        event: &str,
        args: impl ToArgs,
        send: impl FnOnce(EmitFlags, Packet<'_>) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        name::quoted(event, |name| args.with(|args| send(self.flags, Packet::from_event(name, args))))??
    }

    /// Who they are, with rooms, data and handshake.
    ///
    /// # Errors
    /// The link is lost.
    pub fn fetch_sockets(&self) -> Answer<Vec<RemoteSocket>> {
        let asked = self.io.link().and_then(|link| {
            let (done, answered) = oneshot::channel();
            let abandon = Abandon::open(link, Request::Fetch { found: Vec::new(), done });
            abandon.link.send(&FromBackend::Fetch { request: abandon.number, selector: self.selector() })?;
            Ok((abandon, answered))
        });
        Answer::to(asked)
    }

    /// Puts them into rooms.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn sockets_join(&self, rooms: impl Rooms) -> Result<(), SendError> {
        let rooms = rooms.into_rooms();
        let rooms = Texts::from(&*rooms);
        self.io.link()?.send(&FromBackend::SocketsJoin { selector: self.selector(), rooms })
    }

    /// Takes them out of rooms.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn sockets_leave(&self, rooms: impl Rooms) -> Result<(), SendError> {
        let rooms = rooms.into_rooms();
        let rooms = Texts::from(&*rooms);
        self.io.link()?.send(&FromBackend::SocketsLeave { selector: self.selector(), rooms })
    }

    /// Takes them out of the namespace, or, if `close`, closes their connections.
    ///
    /// # Errors
    /// Nothing was sent: see [`SendError`].
    pub fn disconnect_sockets(&self, close: bool) -> Result<(), SendError> {
        self.io.link()?.send(&FromBackend::DisconnectSockets { selector: self.selector(), close })
    }
}
