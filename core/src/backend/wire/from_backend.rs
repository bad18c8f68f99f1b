//! What a backend sends (§4).

use super::kind::from as is;
use super::list::{Selector, Texts};
use super::packet::Packet;
use super::read::Reader;
use super::write::{self, Writer};
use super::{DATA_BYTES_MAX, EmitFlags, MAGIC, TooLong, VERSION, WireError};
use crate::shard::app::{SessionKey, SocketKey};

/// A frame of a backend. JSON that is not part of a [`Packet`] has been checked if the frame was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromBackend<'a> {
    /// The first frame, once.
    Hello(Hello<'a>),
    /// The gateway may send so many bytes more.
    Credit(u32),
    /// Adds namespaces whose clients this backend wants.
    Serve {
        /// It also decides about namespaces that nobody serves by name.
        dynamic: bool,
        /// Exact names.
        namespaces: Texts<'a>,
    },
    /// Takes namespaces back.
    Withdraw(Texts<'a>),
    /// No new sockets, please; those that are there are to be handed over.
    Drain,
    /// Lets the client of a CONNECT in.
    Accept(SocketKey),
    /// Keeps the client of a CONNECT out.
    Reject {
        /// Which.
        socket: SocketKey,
        /// `err.message` at the client.
        message: &'a str,
        /// `err.data` at the client, as JSON.
        data: Option<&'a str>,
    },
    /// This backend has no such namespace.
    Decline(SocketKey),
    /// An event for one socket.
    Emit {
        /// Which.
        socket: SocketKey,
        /// How.
        flags: EmitFlags,
        /// The backend's number for the answer; means something if `flags.ack`.
        ack: u64,
        /// How long the gateway waits for the answer; 0 is for ever.
        timeout_ms: u32,
        /// The event.
        packet: Packet<'a>,
    },
    /// Answers an event.
    Ack {
        /// Whose.
        socket: SocketKey,
        /// The number that came with it.
        ack: u64,
        /// The answer.
        packet: Packet<'a>,
    },
    /// An event for every socket of a selector.
    Broadcast {
        /// How.
        flags: EmitFlags,
        /// To whom.
        selector: Selector<'a>,
        /// The backend's number for the answers; means something if `flags.ack`.
        request: u64,
        /// How long answers are waited for.
        timeout_ms: u32,
        /// The event.
        packet: Packet<'a>,
    },
    /// Puts a socket into rooms.
    Join {
        /// Which.
        socket: SocketKey,
        /// Where.
        rooms: Texts<'a>,
    },
    /// Takes a socket out of rooms.
    Leave {
        /// Which.
        socket: SocketKey,
        /// Where from.
        rooms: Texts<'a>,
    },
    /// Takes a socket out of its namespace.
    Disconnect(SocketKey),
    /// Closes the transport of a session.
    Close(SessionKey),
    /// Replaces the data of a socket.
    Data {
        /// Whose.
        socket: SocketKey,
        /// At most [`DATA_BYTES_MAX`] bytes.
        json: &'a str,
    },
    /// Puts every socket of a selector into rooms.
    SocketsJoin {
        /// Which.
        selector: Selector<'a>,
        /// Where.
        rooms: Texts<'a>,
    },
    /// Takes every socket of a selector out of rooms.
    SocketsLeave {
        /// Which.
        selector: Selector<'a>,
        /// Where from.
        rooms: Texts<'a>,
    },
    /// Takes every socket of a selector out of its namespace.
    DisconnectSockets {
        /// Which.
        selector: Selector<'a>,
        /// Their whole sessions, too.
        close: bool,
    },
    /// Asks for every socket of a selector.
    Fetch {
        /// The backend's number for the answer.
        request: u64,
        /// Which.
        selector: Selector<'a>,
    },
    /// Something for the other backends of a namespace.
    ServerEmit {
        /// Which.
        namespace: &'a str,
        /// The backend's number for the answers; 0 if it wants none.
        request: u64,
        /// How long answers are waited for; 0 is 5 seconds.
        timeout_ms: u32,
        /// An array.
        json: &'a str,
    },
    /// Answers a SERVER_EVENT.
    ServerAck {
        /// The number that came with it.
        token: u64,
        /// The answer.
        json: &'a str,
    },
    /// A socket that was handed over is no longer this backend's.
    Released(SocketKey),
}

/// How a backend introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The lowest version it speaks.
    pub version_min: u16,
    /// The highest version it speaks.
    pub version_max: u16,
    /// What the gateway may send before it is given credit, in bytes.
    pub window: u32,
    /// The name of the software.
    pub software: &'a str,
    /// The name of this process.
    pub process: &'a str,
}

impl Hello<'_> {
    /// The highest version that both sides speak.
    pub fn common_version(&self) -> Option<u16> {
        (self.version_min..=self.version_max).contains(&VERSION).then_some(VERSION)
    }
}

impl<'a> FromBackend<'a> {
    /// The type of its frame.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => is::HELLO,
            Self::Credit(_) => is::CREDIT,
            Self::Serve { .. } => is::SERVE,
            Self::Withdraw(_) => is::WITHDRAW,
            Self::Drain => is::DRAIN,
            Self::Accept(_) => is::ACCEPT,
            Self::Reject { .. } => is::REJECT,
            Self::Decline(_) => is::DECLINE,
            Self::Emit { .. } => is::EMIT,
            Self::Ack { .. } => is::ACK,
            Self::Broadcast { .. } => is::BROADCAST,
            Self::Join { .. } => is::JOIN,
            Self::Leave { .. } => is::LEAVE,
            Self::Disconnect(_) => is::DISCONNECT,
            Self::Close(_) => is::CLOSE,
            Self::Data { .. } => is::DATA,
            Self::SocketsJoin { .. } => is::SOCKETS_JOIN,
            Self::SocketsLeave { .. } => is::SOCKETS_LEAVE,
            Self::DisconnectSockets { .. } => is::DISCONNECT_SOCKETS,
            Self::Fetch { .. } => is::FETCH,
            Self::ServerEmit { .. } => is::SERVER_EMIT,
            Self::ServerAck { .. } => is::SERVER_ACK,
            Self::Released(_) => is::RELEASED,
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
            Self::Hello(hello) => return hello.write(out),
            Self::Credit(bytes) => out.u32(bytes),
            Self::Serve { dynamic, namespaces } => {
                out.u8(dynamic.into());
                return namespaces.write(out, "namespaces");
            }
            Self::Withdraw(namespaces) => return namespaces.write(out, "namespaces"),
            Self::Drain => {}
            Self::Accept(socket)
            | Self::Decline(socket)
            | Self::Disconnect(socket)
            | Self::Released(socket) => {
                out.socket(socket);
            }
            Self::Reject { socket, message, data } => {
                out.socket(socket);
                out.text::<2>(message, "message")?;
                return out.text::<4>(data.unwrap_or_default(), "data");
            }
            Self::Emit { socket, flags, ack, timeout_ms, packet } => {
                out.u8(flags.bits());
                out.socket(socket);
                out.u64(ack);
                out.u32(timeout_ms);
                return packet.write(out);
            }
            Self::Ack { socket, ack, packet } => {
                out.socket(socket);
                out.u64(ack);
                return packet.write(out);
            }
            Self::Broadcast { flags, selector, request, timeout_ms, packet } => {
                out.u8(flags.bits());
                selector.write(out)?;
                out.u64(request);
                out.u32(timeout_ms);
                return packet.write(out);
            }
            Self::Join { socket, rooms } | Self::Leave { socket, rooms } => {
                out.socket(socket);
                return rooms.write(out, "rooms");
            }
            Self::Close(session) => out.session(session),
            Self::Data { socket, json } => {
                out.socket(socket);
                return out.text::<4>(json, "data");
            }
            Self::SocketsJoin { selector, rooms } | Self::SocketsLeave { selector, rooms } => {
                selector.write(out)?;
                return rooms.write(out, "rooms");
            }
            Self::DisconnectSockets { selector, close } => {
                selector.write(out)?;
                out.u8(close.into());
            }
            Self::Fetch { request, selector } => {
                out.u64(request);
                return selector.write(out);
            }
            Self::ServerEmit { namespace, request, timeout_ms, json } => {
                out.text::<2>(namespace, "namespace")?;
                out.u64(request);
                out.u32(timeout_ms);
                return out.text::<4>(json, "array");
            }
            Self::ServerAck { token, json } => {
                out.u64(token);
                return out.text::<4>(json, "answer");
            }
        }
        Ok(())
    }

    /// Reads the body of a frame. Bytes behind what is known are ignored.
    ///
    /// # Errors
    /// The frame breaks the protocol, in a way that concerns this frame alone.
    pub fn decode(kind: u8, body: &'a [u8]) -> Result<Self, WireError> {
        let name = is::name(kind).ok_or(WireError::Kind(kind))?;
        let body = &mut Reader::new(name, body);
        Ok(match kind {
            is::HELLO => Self::Hello(Hello::read(body)?),
            is::CREDIT => Self::Credit(body.u32("bytes")?),
            is::SERVE => Self::Serve {
                dynamic: body.u8("flags")? & 1 != 0,
                namespaces: Texts::read(body, "namespaces")?,
            },
            is::WITHDRAW => Self::Withdraw(Texts::read(body, "namespaces")?),
            is::DRAIN => Self::Drain,
            is::ACCEPT => Self::Accept(body.socket()?),
            is::REJECT => Self::Reject {
                socket: body.socket()?,
                message: body.text::<2>("message")?,
                data: match body.optional_json("data")? {
                    Some(json) => Some(body.check_json(json, "data")?),
                    None => None,
                },
            },
            is::DECLINE => Self::Decline(body.socket()?),
            is::EMIT => Self::read_emit(body)?,
            is::ACK => {
                Self::Ack { socket: body.socket()?, ack: body.u64("ack")?, packet: Packet::read(body)? }
            }
            is::BROADCAST => Self::Broadcast {
                flags: EmitFlags::from_bits(body.u8("flags")?),
                selector: Selector::read(body)?,
                request: body.u64("request")?,
                timeout_ms: body.u32("timeout")?,
                packet: Packet::read(body)?,
            },
            is::JOIN => Self::Join { socket: body.socket()?, rooms: Texts::read(body, "rooms")? },
            is::LEAVE => Self::Leave { socket: body.socket()?, rooms: Texts::read(body, "rooms")? },
            is::DISCONNECT => Self::Disconnect(body.socket()?),
            is::CLOSE => Self::Close(body.session()?),
            is::DATA => Self::read_data(body)?,
            is::SOCKETS_JOIN => {
                Self::SocketsJoin { selector: Selector::read(body)?, rooms: Texts::read(body, "rooms")? }
            }
            is::SOCKETS_LEAVE => {
                Self::SocketsLeave { selector: Selector::read(body)?, rooms: Texts::read(body, "rooms")? }
            }
            is::DISCONNECT_SOCKETS => {
                Self::DisconnectSockets { selector: Selector::read(body)?, close: body.u8("close")? != 0 }
            }
            is::FETCH => Self::Fetch { request: body.u64("request")?, selector: Selector::read(body)? },
            is::SERVER_EMIT => Self::read_server_emit(body)?,
            is::SERVER_ACK => {
                let (token, json) = (body.u64("token")?, body.text::<4>("answer")?);
                Self::ServerAck { token, json: body.check_json(json, "answer")? }
            }
            is::RELEASED => Self::Released(body.socket()?),
            _ => return Err(WireError::Kind(kind)),
        })
    }

    fn read_emit(body: &mut Reader<'a>) -> Result<Self, WireError> {
        let flags = EmitFlags::from_bits(body.u8("flags")?);
        Ok(Self::Emit {
            socket: body.socket()?,
            flags,
            ack: body.u64("ack")?,
            timeout_ms: body.u32("timeout")?,
            packet: Packet::read(body)?,
        })
    }

    fn read_data(body: &mut Reader<'a>) -> Result<Self, WireError> {
        let (socket, json) = (body.socket()?, body.text::<4>("data")?);
        body.check(json.len() <= DATA_BYTES_MAX, "length of data")?;
        Ok(Self::Data { socket, json: body.check_json(json, "data")? })
    }

    fn read_server_emit(body: &mut Reader<'a>) -> Result<Self, WireError> {
        let (namespace, request) = (body.text::<2>("namespace")?, body.u64("request")?);
        let (timeout_ms, json) = (body.u32("timeout")?, body.text::<4>("array")?);
        body.check_json(json, "array")?;
        body.check(json.trim_ascii_start().starts_with('['), "array")?;
        Ok(Self::ServerEmit { namespace, request, timeout_ms, json })
    }
}

impl<'a> Hello<'a> {
    fn read(body: &mut Reader<'a>) -> Result<Self, WireError> {
        if body.array("magic")? != MAGIC {
            return Err(WireError::Magic);
        }
        Ok(Self {
            version_min: body.u16("lowest version")?,
            version_max: body.u16("highest version")?,
            window: body.u32("window")?,
            software: body.text::<2>("software")?,
            process: body.text::<2>("process")?,
        })
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), TooLong> {
        out.bytes(&MAGIC);
        out.u16(self.version_min);
        out.u16(self.version_max);
        out.u32(self.window);
        out.text::<2>(self.software, "software")?;
        out.text::<2>(self.process, "process")
    }
}
