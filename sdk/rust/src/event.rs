//! Events, and the right to answer them.

use crate::args::{self, ToArgs};
use crate::error::SendError;
use crate::io::Io;
use crate::link::Link;
use crate::socket::Socket;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_core::backend::wire::{FromBackend, Packet};
use tidegate_core::shard::app::SocketKey;
use tidegate_core::socket_io::{Args, ArgsRef};

/// An event, borrowed from the bytes it came in: what [`on_sync`](crate::Namespace::on_sync) handlers get.
pub struct EventRef<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) name: &'a str,
    pub(crate) args: ArgsRef<'a>,
    pub(crate) ack: AckState<'a>,
    pub(crate) redelivered: bool,
}

/// Where the right to answer is.
pub(crate) enum AckState<'a> {
    /// The client wants no answer.
    Unwanted,
    /// Here.
    Here { id: u64, used: AtomicBool },
    /// In the owned event that this one was borrowed from.
    There(&'a Ack),
}

impl<'a> EventRef<'a> {
    /// Its name. A number is written as it came.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The arguments as they came: JSON text and attachments. Sending them on copies the text once.
    pub fn args(&self) -> ArgsRef<'a> {
        self.args
    }

    /// The arguments after the first, which must not hold an attachment itself.
    pub fn rest(&self) -> ArgsRef<'a> {
        args::rest(self.args)
    }

    /// All arguments as a `T`, usually a tuple: `event.parse::<(String, u32)>()`. Arguments beyond those of
    /// the tuple are ignored.
    ///
    /// # Errors
    /// They are something else. Attachments show as their placeholders; see [`Self::binary`].
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        args::parse(self.args)
    }

    /// Argument `index` (from 0), which is bytes.
    ///
    /// # Errors
    /// There is no such argument, or it is not bytes.
    pub fn binary(&self, index: usize) -> Result<&'a Bytes, serde_json::Error> {
        args::binary(self.args, index)
    }

    /// Whether the client waits for an answer.
    pub fn wants_ack(&self) -> bool {
        !matches!(self.ack, AckState::Unwanted)
    }

    /// Answers the client. Does nothing if it wants no answer, or has had one.
    ///
    /// # Errors
    /// The arguments cannot be sent, or the link is lost.
    pub fn ack(&self, args: impl ToArgs) -> Result<(), SendError> {
        match &self.ack {
            AckState::Unwanted => Ok(()),
            AckState::Here { id, used } => answer(self.socket.link(), self.socket.key(), *id, used, args),
            AckState::There(ack) => ack.send(args),
        }
    }

    /// Whether another backend was sent this event before, and died. Only namespaces with the policy
    /// `at-least-once` see such events.
    pub fn redelivered(&self) -> bool {
        self.redelivered
    }

    /// A copy to keep. The right to answer goes with it.
    pub fn to_owned(&self) -> Event {
        let ack = match &self.ack {
            AckState::Unwanted => None,
            AckState::Here { id, used } => {
                let answered = used.swap(true, Ordering::Relaxed).into();
                Some(Ack {
                    link: Arc::clone(self.socket.link()),
                    socket: self.socket.key(),
                    id: *id,
                    answered,
                })
            }
            AckState::There(ack) => Some(ack.take()),
        };
        Event { name: self.name.into(), args: self.args.into_owned(), ack, redelivered: self.redelivered }
    }
}

impl fmt::Debug for EventRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRef")
            .field("name", &self.name)
            .field("args", &self.args)
            .field("wants_ack", &self.wants_ack())
            .finish_non_exhaustive()
    }
}

/// An event that owns what it carries.
#[derive(Debug)]
pub struct Event {
    name: Box<str>,
    args: Args,
    ack: Option<Ack>,
    redelivered: bool,
}

impl Event {
    /// Its name. A number is written as it came.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arguments as they came: JSON text and attachments.
    pub fn args(&self) -> ArgsRef<'_> {
        self.args.as_ref()
    }

    /// The arguments, to keep.
    pub fn into_args(self) -> Args {
        self.args
    }

    /// All arguments as a `T`: see [`EventRef::parse`].
    ///
    /// # Errors
    /// They are something else.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        args::parse(self.args())
    }

    /// Argument `index` (from 0), which is bytes.
    ///
    /// # Errors
    /// There is no such argument, or it is not bytes.
    pub fn binary(&self, index: usize) -> Result<&Bytes, serde_json::Error> {
        args::binary(self.args(), index)
    }

    /// Whether the client waits for an answer, and [`Self::take_ack`] has not taken that right away.
    pub fn wants_ack(&self) -> bool {
        self.ack.is_some()
    }

    /// Answers the client. Does nothing if it wants no answer, or has had one.
    ///
    /// # Errors
    /// The arguments cannot be sent, or the link is lost.
    pub fn ack(&self, args: impl ToArgs) -> Result<(), SendError> {
        self.ack.as_ref().map_or(Ok(()), |ack| ack.send(args))
    }

    /// The right to answer, for someone who will do so later.
    pub fn take_ack(&mut self) -> Option<Ack> {
        self.ack.take()
    }

    /// See [`EventRef::redelivered`].
    pub fn redelivered(&self) -> bool {
        self.redelivered
    }

    pub(crate) fn borrowed<'a>(&'a self, socket: &'a Socket) -> EventRef<'a> {
        let ack = self.ack.as_ref().map_or(AckState::Unwanted, AckState::There);
        EventRef { socket, name: &self.name, args: self.args(), ack, redelivered: self.redelivered }
    }
}

/// The right to answer one event, once.
#[derive(Debug)]
pub struct Ack {
    link: Arc<Link>,
    socket: SocketKey,
    id: u64,
    answered: AtomicBool,
}

impl Ack {
    /// Answers. Only the first answer is sent.
    ///
    /// # Errors
    /// The arguments cannot be sent, or the link is lost.
    pub fn send(&self, args: impl ToArgs) -> Result<(), SendError> {
        answer(&self.link, self.socket, self.id, &self.answered, args)
    }

    /// The right itself, which then is no longer here.
    fn take(&self) -> Self {
        let answered = self.answered.swap(true, Ordering::Relaxed).into();
        Self { link: Arc::clone(&self.link), answered, ..*self }
    }
}

fn answer(
    link: &Link,
    socket: SocketKey,
    ack: u64,
    used: &AtomicBool,
    args: impl ToArgs,
) -> Result<(), SendError> {
    args.with(|args| {
        if used.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        link.answer(&FromBackend::Ack { socket, ack, packet: Packet::from_arguments(args) })
    })?
}

/// What another backend has sent with [`Io::server_side_emit`].
#[derive(Debug)]
pub struct ServerEvent {
    name: Box<str>,
    args: Args,
    /// 0 if no answer is wanted, or it was given.
    token: u64,
    link: Arc<Link>,
}

impl ServerEvent {
    pub(crate) fn new(name: &str, args: ArgsRef<'_>, token: u64, link: Arc<Link>) -> Self {
        Self { name: name.into(), args: args.into_owned(), token, link }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arguments as they came.
    pub fn args(&self) -> ArgsRef<'_> {
        self.args.as_ref()
    }

    /// All arguments as a `T`: see [`EventRef::parse`].
    ///
    /// # Errors
    /// They are something else.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        args::parse(self.args())
    }

    /// Whether the other backend waits for an answer.
    pub fn wants_ack(&self) -> bool {
        self.token != 0
    }

    /// Answers. Does nothing if no answer is wanted.
    ///
    /// # Errors
    /// The value is not JSON, or the link is lost.
    pub fn ack<T: Serialize + ?Sized>(self, answer: &T) -> Result<(), SendError> {
        if self.token == 0 {
            return Ok(());
        }
        let json = serde_json::to_string(answer).map_err(tidegate_core::socket_io::ArgsError::Serialize)?;
        args::check_depth(&json)?;
        self.link.answer(&FromBackend::ServerAck { token: self.token, json: &json })
    }
}

// Handlers take these to other tasks.
const _: () = {
    const fn is_send<T: Send + 'static>() {}
    is_send::<Event>();
    is_send::<Ack>();
    is_send::<ServerEvent>();
    is_send::<Io>();
};
