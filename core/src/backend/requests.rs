//! Questions that backends have asked, and who waits for which answer.

use super::Backends;
use super::directory::LinkId;
use super::encoded;
use super::message::{Asker, Asking, Message};
use super::sockets::Stage;
use super::wire::{FetchedSocket, Packet, ToBackend};
use crate::arena::Key;
use crate::name::Name;
use crate::shard::Io;
use crate::shard::app::{BroadcastAnswer, PortKey, SocketInfo, SocketKey, Ticket};
use crate::socket_io::{ArgsRef, EventName};
use std::time::Duration;

/// Rooms that a frame can name; more are not told of.
const ROOMS_MAX: usize = u16::MAX as usize;
/// Bytes of one part of the answer to FETCH, roughly.
const FETCHED_PART_BYTES: usize = 256 * 1024;
/// How long the answers to an event between backends are waited for, if the asker does not say.
const SERVER_TIMEOUT: Duration = Duration::from_secs(5);

/// A question whose answer is to come.
#[derive(Debug)]
pub(super) enum Ask {
    /// Will this stream say hello?
    Hello(PortKey),
    /// An event of a backend that wants an acknowledgement, of a socket of this shard.
    Client { link: LinkId, socket: SocketKey, ack: u64 },
    /// A broadcast that wants acknowledgements.
    Clients { link: LinkId, request: u64 },
    /// Which sockets are there?
    Fetch { link: LinkId, request: u64 },
    /// An event for other backends.
    Backends(ServerAsk),
    /// An event of another backend, which this one owes an answer.
    Backend { link: LinkId, asker: Asker },
}

impl Ask {
    fn link(&self) -> Option<LinkId> {
        match self {
            Self::Hello(_) => None,
            Self::Client { link, .. }
            | Self::Clients { link, .. }
            | Self::Fetch { link, .. }
            | Self::Backend { link, .. } => Some(*link),
            Self::Backends(ask) => Some(ask.link),
        }
    }
}

/// An event for other backends, and what they have said.
#[derive(Debug)]
pub(super) struct ServerAsk {
    link: LinkId,
    request: u64,
    asked: u32,
    missing: u32,
    answers: Vec<Box<str>>,
}

/// The name of a question outside.
pub(super) fn ticket(ask: Key) -> Ticket {
    Ticket(ask.to_u64())
}

impl Backends {
    /// Keeps a question.
    pub(super) fn ask(&mut self, ask: Ask) -> Ticket {
        ticket(self.asks.insert(ask))
    }

    /// A link has gone: nobody waits for the answers to its questions, and it answers none.
    pub(super) fn forget_asks(&mut self, io: &mut Io<'_>, id: LinkId) {
        let its_own = self.asks.iter().filter(|(_, ask)| ask.link() == Some(id));
        for key in its_own.map(|(key, _)| key).collect::<Vec<_>>() {
            if let Some(Ask::Backend { asker, .. }) = self.asks.remove(key) {
                self.tell(io, asker.shard, Message::ServerAnswer(asker.question, None));
            }
        }
    }

    pub(super) fn ask_timed_out(&mut self, io: &mut Io<'_>, ticket: Ticket) {
        let key = Key::from_u64(ticket.0);
        match self.asks.get(key) {
            Some(Ask::Hello(port)) => {
                let port = *port;
                self.asks.remove(key);
                self.hello_timed_out(io, port);
            }
            Some(Ask::Backends(_)) => self.finish_server_ask(io, key),
            // Who has asked has a clock of its own.
            Some(Ask::Backend { .. }) => drop(self.asks.remove(key)),
            Some(Ask::Client { .. } | Ask::Clients { .. } | Ask::Fetch { .. }) | None => {}
        }
    }

    // Clients.

    /// Sends an event to a socket of this shard, for a backend that wants to know the answer.
    pub(super) fn ask_client(&mut self, io: &mut Io<'_>, socket: SocketKey, asking: &Asking) {
        let Asking { link, ack, flags, timeout, name, args } = asking;
        let (Some(name), Some(_)) = (EventName::new(name), self.links.find(*link)) else { return };
        let ticket = self.ask(Ask::Client { link: *link, socket, ack: *ack });
        io.ask(socket, *flags, name, args.as_ref(), *timeout, ticket);
    }

    /// A client has answered, or will not.
    pub(super) fn client_answered(&mut self, io: &mut Io<'_>, ticket: Ticket, answer: Option<ArgsRef<'_>>) {
        let Some(Ask::Client { link, socket, ack }) = self.asks.remove(Key::from_u64(ticket.0)) else {
            return;
        };
        let (Some(args), Some(key)) = (answer, self.links.find(link)) else { return };
        let frame = ToBackend::Ack { socket, ack, packet: Packet::from_arguments(args) };
        match self.sockets.get(socket).map(|served| served.stage) {
            // In order with what else the client has said.
            Some(Stage::Owned(owner)) if owner == key => self.send_or_hold(io, socket, &frame),
            // Whoever serves it next did not ask.
            _ => {
                let mut frames = Vec::new();
                encoded::append(&frame, &mut frames);
                self.send_frames(io, key, frames);
            }
        }
    }

    /// Clients answer a broadcast.
    pub(super) fn clients_answered(&mut self, io: &mut Io<'_>, ticket: Ticket, answer: BroadcastAnswer<'_>) {
        let ask = Key::from_u64(ticket.0);
        let Some(Ask::Clients { link, request }) = self.asks.get(ask) else { return };
        let (request, link) = (*request, *link);
        if let BroadcastAnswer::Done { .. } = answer {
            self.asks.remove(ask);
        }
        let Some(key) = self.links.find(link) else { return };
        let frame = match answer {
            BroadcastAnswer::Asked(clients) => ToBackend::Asked { request, clients },
            BroadcastAnswer::Answer(args) => {
                ToBackend::Answer { request, packet: Packet::from_arguments(args) }
            }
            BroadcastAnswer::Done { timed_out } => ToBackend::Answered { request, timed_out },
        };
        self.write_to(io, key, &frame);
    }

    /// These are the sockets a backend has asked for.
    pub(super) fn fetched_sockets(&mut self, io: &mut Io<'_>, ticket: Ticket, sockets: &[SocketInfo]) {
        let Some(Ask::Fetch { link, request }) = self.asks.remove(Key::from_u64(ticket.0)) else { return };
        let Some(key) = self.links.find(link) else { return };
        let mut rest = sockets;
        loop {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|socket| {
                let is_first = bytes == 0;
                bytes += socket.handshake.len() + socket.data.as_ref().map_or(0, String::len) + 64;
                is_first || bytes <= FETCHED_PART_BYTES
            });
            let (part, later) = rest.split_at(fits.count());
            rest = later;
            let sockets: Vec<FetchedSocket<'_>> = part.iter().map(fetched).collect();
            let last = rest.is_empty();
            self.write_to(io, key, &ToBackend::Fetched { request, last, sockets: sockets.as_slice().into() });
            if last {
                break;
            }
        }
    }

    // Backends.

    /// A backend has something to say to the others that serve a namespace.
    pub(super) fn server_emit(
        &mut self,
        io: &mut Io<'_>,
        link: LinkId,
        namespace: &str,
        request: u64,
        timeout_ms: u32,
        json: &str,
    ) {
        let others = self.links.ready().filter(|other| other.id != link && other.names(namespace));
        let others: Vec<LinkId> = others.map(|other| other.id).collect();
        let count = u32::try_from(others.len()).unwrap_or(u32::MAX);
        let timeout = if timeout_ms == 0 { SERVER_TIMEOUT } else { Duration::from_millis(timeout_ms.into()) };
        let asker = (request != 0).then(|| {
            let ask = ServerAsk { link, request, asked: count, missing: count, answers: Vec::new() };
            Asker { shard: self.here, question: self.asks.insert(Ask::Backends(ask)), timeout }
        });
        for other in others {
            let namespace: Name = namespace.into();
            let message = Message::ServerEvent { link: other, namespace, json: json.into(), asker };
            self.tell(io, other.home, message);
        }
        let Some(Asker { question, .. }) = asker else { return };
        if count == 0 {
            return self.finish_server_ask(io, question);
        }
        io.wake_after(timeout, ticket(question));
    }

    /// An event of another backend, for one that is at home here.
    pub(super) fn deliver_server_event(
        &mut self,
        io: &mut Io<'_>,
        link: LinkId,
        namespace: &str,
        json: &str,
        asker: Option<Asker>,
    ) {
        let Some(key) = self.links.find(link) else {
            if let Some(asker) = asker {
                self.tell(io, asker.shard, Message::ServerAnswer(asker.question, None));
            }
            return;
        };
        // A token is never zero: that says that no answer is wanted.
        let token = asker.map_or(0, |asker| {
            let reply = self.ask(Ask::Backend { link, asker });
            io.wake_after(asker.timeout, reply);
            reply.0 + 1
        });
        let mut frame = Vec::new();
        encoded::append(&ToBackend::ServerEvent { token, namespace, json }, &mut frame);
        self.send_frames(io, key, frame);
        self.check_stalled(io, link, key);
    }

    /// A backend of this shard answers another.
    pub(super) fn server_reply(&mut self, io: &mut Io<'_>, link: LinkId, token: u64, json: &str) {
        let Some(key) = token.checked_sub(1).map(Key::from_u64) else { return };
        let Some(Ask::Backend { link: owing, asker }) = self.asks.get(key) else { return };
        if *owing == link {
            let Asker { shard, question, .. } = *asker;
            self.asks.remove(key);
            self.tell(io, shard, Message::ServerAnswer(question, Some(json.into())));
        }
    }

    /// One answer more for a backend of this shard, or one less to wait for.
    pub(super) fn server_answered(&mut self, io: &mut Io<'_>, question: Key, answer: Option<Box<str>>) {
        let Some(Ask::Backends(ask)) = self.asks.get_mut(question) else { return };
        ask.answers.extend(answer);
        ask.missing -= 1;
        if ask.missing == 0 {
            self.finish_server_ask(io, question);
        }
    }

    fn finish_server_ask(&mut self, io: &mut Io<'_>, question: Key) {
        let Some(Ask::Backends(ask)) = self.asks.remove(question) else { return };
        let Some(key) = self.links.find(ask.link) else { return };
        let answers: Vec<&str> = ask.answers.iter().map(AsRef::as_ref).collect();
        let frame = ToBackend::ServerResponses {
            request: ask.request,
            asked: ask.asked,
            responses: answers.as_slice().into(),
        };
        self.write_to(io, key, &frame);
    }
}

fn fetched(socket: &SocketInfo) -> FetchedSocket<'_> {
    FetchedSocket {
        socket: socket.key,
        id: socket.id,
        rooms: socket.rooms.get(..ROOMS_MAX).unwrap_or(&socket.rooms).into(),
        data: socket.data.as_deref(),
        handshake: &socket.handshake,
    }
}
