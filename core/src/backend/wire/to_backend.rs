//! What the gateway sends (§5).

use super::codes::{reason_code, reason_from_code};
use super::kind::to as is;
use super::list::{Jsons, Texts};
use super::packet::Packet;
use super::read::Reader;
use super::sockets::Sockets;
use super::write::{self, Writer};
use super::{MAGIC, RefuseCode, TooLong, WireError};
use crate::close::DisconnectReason;
use crate::id::Id;
use crate::shard::app::{SessionKey, SocketKey};
use std::fmt;

/// A frame of the gateway. Nobody has checked that its JSON is JSON: a backend believes its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToBackend<'a> {
    /// The answer to HELLO.
    Welcome(Welcome<'a>),
    /// The last frame: the link ends.
    Refuse {
        /// Why.
        code: RefuseCode,
        /// Why, for people.
        message: &'a str,
    },
    /// The backend may send so many bytes more.
    Credit(u32),
    /// The end of a batch.
    Tick,
    /// Sockets, as a FETCH asked for.
    Fetched {
        /// The number of the FETCH.
        request: u64,
        /// Nothing more follows.
        last: bool,
        /// Some of the sockets.
        sockets: Sockets<'a>,
    },
    /// How many clients a BROADCAST has asked.
    Asked {
        /// The number of the BROADCAST.
        request: u64,
        /// So many.
        clients: u32,
    },
    /// The answer of one client to a BROADCAST.
    Answer {
        /// The number of the BROADCAST.
        request: u64,
        /// The answer.
        packet: Packet<'a>,
    },
    /// The end of the answers to a BROADCAST.
    Answered {
        /// The number of the BROADCAST.
        request: u64,
        /// Somebody has not answered.
        timed_out: bool,
    },
    /// How many links are ready, this one included.
    Peers(u32),
    /// The answers of other backends to a SERVER_EMIT.
    ServerResponses {
        /// The number of the SERVER_EMIT.
        request: u64,
        /// So many were asked.
        asked: u32,
        /// What those said that have answered.
        responses: Jsons<'a>,
    },
    /// The last socket of this backend was released.
    Drained,
    /// A client wants to join a namespace.
    Connect(Connect<'a>),
    /// A client has sent an event.
    Event {
        /// Whose.
        socket: SocketKey,
        /// The number to answer with, if an answer is wanted.
        ack: Option<u64>,
        /// A backend that is gone was sent this before.
        redelivered: bool,
        /// The event.
        packet: Packet<'a>,
    },
    /// A client's answer to an EMIT.
    Ack {
        /// Whose.
        socket: SocketKey,
        /// The number of the EMIT.
        ack: u64,
        /// The answer.
        packet: Packet<'a>,
    },
    /// A socket is gone.
    Disconnected {
        /// Which.
        socket: SocketKey,
        /// Why. A slow consumer arrives as a transport error.
        reason: DisconnectReason,
    },
    /// Nothing more comes from this socket: it is to be released.
    Handover(SocketKey),
    /// What another backend has sent to those of a namespace.
    ServerEvent {
        /// The number to answer with; 0 if no answer is wanted.
        token: u64,
        /// Which.
        namespace: &'a str,
        /// An array.
        json: &'a str,
    },
    /// A session was upgraded.
    Transport {
        /// Which.
        session: SessionKey,
        /// `websocket`.
        transport: &'a str,
    },
    /// A client was refused at its first HTTP request.
    ConnectionError {
        /// The Engine.IO error code, 0 to 5.
        code: u8,
        /// What the client was told.
        message: &'a str,
        /// Its request, as the handshake of the Socket.IO API: a JSON object.
        handshake: &'a str,
    },
}

/// What the gateway says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome<'a> {
    /// The version that is spoken from here on.
    pub version: u16,
    /// What the backend may send before it is given credit, in bytes.
    pub window: u32,
    /// For so many bytes that it has dealt with the backend gives credit at the latest. At least 1.
    pub portion: u32,
    /// The longest frame the gateway takes, in bytes, the length field included.
    pub frame_bytes_max: u32,
    /// The name of the software.
    pub software: &'a str,
    /// What applications may want to know, as a JSON object.
    pub options: &'a str,
}

/// A client at the door of a namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// Names the socket from now on.
    pub socket: SocketKey,
    /// Its session.
    pub session: SessionKey,
    /// Its public id.
    pub id: Id,
    /// Of Engine.IO: 4.
    pub revision: u8,
    /// `websocket` or `polling`.
    pub transport: &'a str,
    /// The namespace, `/` included.
    pub namespace: &'a str,
    /// The handshake of the Socket.IO API, as a JSON object.
    pub handshake: &'a str,
    /// If the client is in already, and another backend had the socket before: what that has left.
    pub adopted: Option<Adopted<'a>>,
}

/// What the backend before has left of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted<'a> {
    /// The rooms it is in, its own not among them.
    pub rooms: Texts<'a>,
    /// Its data as JSON, if it ever had any.
    pub data: Option<&'a str>,
}

impl fmt::Debug for Connect<'_> {
    /// Leaves the handshake out: tokens are secrets, and end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { socket, session, id, revision, transport, namespace, handshake: _, adopted } = self;
        f.debug_struct("Connect")
            .field("socket", socket)
            .field("session", session)
            .field("id", id)
            .field("revision", revision)
            .field("transport", transport)
            .field("namespace", namespace)
            .field("adopted", adopted)
            .finish_non_exhaustive()
    }
}

const ADOPTED: u8 = 1;
const WANTS_ACK: u8 = 1;
const REDELIVERED: u8 = 2;

impl<'a> ToBackend<'a> {
    /// The type of its frame.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Welcome(_) => is::WELCOME,
            Self::Refuse { .. } => is::REFUSE,
            Self::Credit(_) => is::CREDIT,
            Self::Tick => is::TICK,
            Self::Fetched { .. } => is::FETCHED,
            Self::Asked { .. } => is::ASKED,
            Self::Answer { .. } => is::ANSWER,
            Self::Answered { .. } => is::ANSWERED,
            Self::Peers(_) => is::PEERS,
            Self::ServerResponses { .. } => is::SERVER_RESPONSES,
            Self::Drained => is::DRAINED,
            Self::Connect(_) => is::CONNECT,
            Self::Event { .. } => is::EVENT,
            Self::Ack { .. } => is::ACK,
            Self::Disconnected { .. } => is::DISCONNECTED,
            Self::Handover(_) => is::HANDOVER,
            Self::ServerEvent { .. } => is::SERVER_EVENT,
            Self::Transport { .. } => is::TRANSPORT,
            Self::ConnectionError { .. } => is::CONNECTION_ERROR,
        }
    }

    /// Appends the frame to `out`. The bytes of a packet are copied once.
    ///
    /// # Errors
    /// Something is longer than its length field can say; `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        write::frame(out, self.kind(), |out| self.write(out))
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), TooLong> {
        match *self {
            Self::Welcome(welcome) => return welcome.write(out),
            Self::Refuse { code, message } => {
                out.u16(code.code());
                return out.text::<2>(message, "message");
            }
            Self::Credit(number) | Self::Peers(number) => out.u32(number),
            Self::Tick | Self::Drained => {}
            Self::Fetched { request, last, sockets } => {
                out.u64(request);
                out.u8(last.into());
                return sockets.write(out);
            }
            Self::Asked { request, clients } => {
                out.u64(request);
                out.u32(clients);
            }
            Self::Answer { request, packet } => {
                out.u64(request);
                return packet.write(out);
            }
            Self::Answered { request, timed_out } => {
                out.u64(request);
                out.u8(timed_out.into());
            }
            Self::ServerResponses { request, asked, responses } => {
                out.u64(request);
                out.u32(asked);
                return responses.write(out, "responses");
            }
            Self::Connect(connect) => return connect.write(out),
            Self::Event { socket, ack, redelivered, packet } => {
                let wants_ack = if ack.is_some() { WANTS_ACK } else { 0 };
                out.u8(wants_ack | if redelivered { REDELIVERED } else { 0 });
                out.socket(socket);
                out.u64(ack.unwrap_or_default());
                return packet.write(out);
            }
            Self::Ack { socket, ack, packet } => {
                out.socket(socket);
                out.u64(ack);
                return packet.write(out);
            }
            Self::Disconnected { socket, reason } => {
                out.socket(socket);
                out.u8(reason_code(reason));
            }
            Self::Handover(socket) => out.socket(socket),
            Self::ServerEvent { token, namespace, json } => {
                out.u64(token);
                out.text::<2>(namespace, "namespace")?;
                return out.text::<4>(json, "array");
            }
            Self::Transport { session, transport } => {
                out.session(session);
                return out.text::<2>(transport, "transport");
            }
            Self::ConnectionError { code, message, handshake } => {
                out.u8(code);
                out.text::<2>(message, "message")?;
                return out.text::<4>(handshake, "handshake");
            }
        }
        Ok(())
    }

    /// Reads the body of a frame. Bytes behind what is known are ignored.
    ///
    /// # Errors
    /// The frame breaks the protocol.
    pub fn decode(kind: u8, body: &'a [u8]) -> Result<Self, WireError> {
        let name = is::name(kind).ok_or(WireError::Kind(kind))?;
        let body = &mut Reader::new(name, body);
        Ok(match kind {
            is::WELCOME => Self::Welcome(Welcome::read(body)?),
            is::REFUSE => Self::Refuse {
                code: RefuseCode::from_code(body.u16("code")?),
                message: body.text::<2>("message")?,
            },
            is::CREDIT => Self::Credit(body.u32("bytes")?),
            is::TICK => Self::Tick,
            is::FETCHED => Self::Fetched {
                request: body.u64("request")?,
                last: body.u8("last")? != 0,
                sockets: Sockets::read(body)?,
            },
            is::ASKED => Self::Asked { request: body.u64("request")?, clients: body.u32("clients")? },
            is::ANSWER => Self::Answer { request: body.u64("request")?, packet: Packet::read(body)? },
            is::ANSWERED => {
                Self::Answered { request: body.u64("request")?, timed_out: body.u8("timed out")? != 0 }
            }
            is::PEERS => Self::Peers(body.u32("links")?),
            is::SERVER_RESPONSES => Self::ServerResponses {
                request: body.u64("request")?,
                asked: body.u32("asked")?,
                responses: Jsons::read(body, "responses")?,
            },
            is::DRAINED => Self::Drained,
            is::CONNECT => Self::Connect(Connect::read(body)?),
            is::EVENT => Self::read_event(body)?,
            is::ACK => {
                Self::Ack { socket: body.socket()?, ack: body.u64("ack")?, packet: Packet::read(body)? }
            }
            is::DISCONNECTED => {
                let (socket, reason) = (body.socket()?, reason_from_code(body.u8("reason")?));
                Self::Disconnected { socket, reason: body.known(reason, "reason")? }
            }
            is::HANDOVER => Self::Handover(body.socket()?),
            is::SERVER_EVENT => Self::ServerEvent {
                token: body.u64("token")?,
                namespace: body.text::<2>("namespace")?,
                json: body.text::<4>("array")?,
            },
            is::TRANSPORT => {
                Self::Transport { session: body.session()?, transport: body.text::<2>("transport")? }
            }
            is::CONNECTION_ERROR => Self::ConnectionError {
                code: body.u8("code")?,
                message: body.text::<2>("message")?,
                handshake: body.text::<4>("handshake")?,
            },
            _ => return Err(WireError::Kind(kind)),
        })
    }

    fn read_event(body: &mut Reader<'a>) -> Result<Self, WireError> {
        let (flags, socket, ack) = (body.u8("flags")?, body.socket()?, body.u64("ack")?);
        Ok(Self::Event {
            socket,
            ack: (flags & WANTS_ACK != 0).then_some(ack),
            redelivered: flags & REDELIVERED != 0,
            packet: Packet::read(body)?,
        })
    }
}

impl<'a> Welcome<'a> {
    fn read(body: &mut Reader<'a>) -> Result<Self, WireError> {
        if body.array("magic")? != MAGIC {
            return Err(WireError::Magic);
        }
        Ok(Self {
            version: body.u16("version")?,
            window: body.u32("window")?,
            portion: body.u32("portion")?,
            frame_bytes_max: body.u32("longest frame")?,
            software: body.text::<2>("software")?,
            options: body.text::<4>("options")?,
        })
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), TooLong> {
        out.bytes(&MAGIC);
        out.u16(self.version);
        out.u32(self.window);
        out.u32(self.portion);
        out.u32(self.frame_bytes_max);
        out.text::<2>(self.software, "software")?;
        out.text::<4>(self.options, "options")
    }
}

impl<'a> Connect<'a> {
    fn read(body: &mut Reader<'a>) -> Result<Self, WireError> {
        let flags = body.u8("flags")?;
        Ok(Self {
            socket: body.socket()?,
            session: body.session()?,
            id: body.id()?,
            revision: body.u8("revision")?,
            transport: body.text::<2>("transport")?,
            namespace: body.text::<2>("namespace")?,
            handshake: body.text::<4>("handshake")?,
            adopted: {
                let (rooms, data) = (Texts::read(body, "rooms")?, body.optional_json("data")?);
                (flags & ADOPTED != 0).then_some(Adopted { rooms, data })
            },
        })
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), TooLong> {
        out.u8(if self.adopted.is_some() { ADOPTED } else { 0 });
        out.socket(self.socket);
        out.session(self.session);
        out.id(self.id);
        out.u8(self.revision);
        out.text::<2>(self.transport, "transport")?;
        out.text::<2>(self.namespace, "namespace")?;
        out.text::<4>(self.handshake, "handshake")?;
        let Adopted { rooms, data } = self.adopted.unwrap_or(Adopted { rooms: Texts::EMPTY, data: None });
        rooms.write(out, "rooms")?;
        out.text::<4>(data.unwrap_or_default(), "data")
    }
}
