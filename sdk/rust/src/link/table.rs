//! The sockets of one link, and what each frame of the gateway means for them.

use super::Link;
use super::requests::ServerResponses;
use super::sequence::{Job, caught, guarded, poll_once};
use crate::args;
use crate::event::{AckState, EventRef, ServerEvent};
use crate::handshake::ConnectionError;
use crate::io::Io;
use crate::namespace::EventHandler;
use crate::remote::RemoteSocket;
use crate::shared::Shared;
use crate::socket::{Release, Session, Socket};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tidegate_core::backend::wire::{Connect, Frame, FromBackend, Packet, RefuseCode, ToBackend, WireError};
use tidegate_core::shard::app::{SessionKey, SocketKey};
use tidegate_core::socket_io::{ArgsRef, EventName};

/// Belongs to the task that drives the link.
pub(crate) struct Table {
    shared: Arc<Shared>,
    link: Arc<Link>,
    sockets: HashMap<SocketKey, Socket, BuildHasherDefault<KeyHasher>>,
    sessions: HashMap<SessionKey, Arc<Session>, BuildHasherDefault<KeyHasher>>,
    /// Memory for the attachments of one frame after the other.
    attachments: Vec<Bytes>,
    /// Bytes handled since the link was last told.
    handled: usize,
}

/// What the one who drives the link has to know about a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Something within a batch.
    InBatch,
    /// Something that belongs to no batch.
    Aside,
    /// The end of a batch.
    Tick,
    /// Every socket has been released.
    Drained,
    /// The gateway does not want this backend.
    Refused { code: RefuseCode, message: String },
}

impl Table {
    pub(crate) fn new(shared: Arc<Shared>, link: Arc<Link>) -> Self {
        Self {
            shared,
            link,
            sockets: HashMap::default(),
            sessions: HashMap::default(),
            attachments: Vec::new(),
            handled: 0,
        }
    }

    /// Does what a frame asks for. What is about sockets that are not here is ignored.
    ///
    /// # Errors
    /// The frame makes no sense.
    pub(crate) fn handle(&mut self, frame: &Frame<'_>) -> Result<Meaning, WireError> {
        let cost = frame.cost();
        match ToBackend::decode(frame.kind(), frame.body())? {
            ToBackend::Event { socket, ack, redelivered, packet } => {
                self.event(socket, ack, redelivered, &packet, cost)?;
            }
            ToBackend::Connect(connect) => self.connect(&connect, cost),
            ToBackend::Ack { socket, ack, packet } => {
                if let Some(socket) = self.sockets.get(&socket) {
                    let answer = packet.trusted_arguments(&mut self.attachments)?;
                    socket.acknowledged(ack, || answer.into_owned());
                }
                self.handled += cost;
            }
            ToBackend::Disconnected { socket, reason } => match self.remove(socket) {
                Some(socket) => {
                    socket.gone();
                    socket.perform(Job::Disconnected(reason), cost);
                }
                None => self.handled += cost,
            },
            ToBackend::Handover(socket) => self.hand_over(socket, cost),
            ToBackend::ServerEvent { token, namespace, json } => {
                self.server_event(token, namespace, json, cost)?;
            }
            ToBackend::Transport { session, transport } => {
                if let Some(session) = self.sessions.get(&session) {
                    session.set_transport(transport);
                }
                self.handled += cost;
            }
            ToBackend::ConnectionError { code, message, handshake } => {
                if let Some(observe) = &self.shared.namespaces.connection_error {
                    guarded(|| observe(ConnectionError::new(code, message, handshake)));
                }
                self.handled += cost;
            }
            aside => return self.aside(&aside),
        }
        Ok(Meaning::InBatch)
    }

    /// The frames that are about the link, and answers to its questions.
    fn aside(&mut self, frame: &ToBackend<'_>) -> Result<Meaning, WireError> {
        let requests = &self.link.requests;
        match *frame {
            ToBackend::Tick => return Ok(Meaning::Tick),
            ToBackend::Drained => return Ok(Meaning::Drained),
            ToBackend::Refuse { code, message } => {
                return Ok(Meaning::Refused { code, message: message.to_owned() });
            }
            ToBackend::Credit(bytes) => self.link.credit(bytes),
            ToBackend::Peers(links) => self.shared.set_peers(links),
            ToBackend::Fetched { request, last, sockets } => {
                let sockets = sockets.iter().map(|socket| RemoteSocket::new(&socket, Arc::clone(&self.link)));
                requests.fetched(request, last, sockets);
            }
            ToBackend::Asked { request, clients } => requests.asked(request, clients),
            ToBackend::Answer { request, packet } => {
                let answer = packet.trusted_arguments(&mut self.attachments)?;
                requests.answer(request, || answer.into_owned());
            }
            ToBackend::Answered { request, timed_out } => requests.answered(request, timed_out),
            ToBackend::ServerResponses { request, asked, responses } => {
                let responses = || responses.iter().map(str::to_owned).collect();
                requests.responses(request, || ServerResponses { asked, responses: responses() });
            }
            // It comes once, and that was before there was a table.
            _ => return Err(WireError::Kind(frame.kind())),
        }
        Ok(Meaning::Aside)
    }

    fn connect(&mut self, connect: &Connect<'_>, cost: usize) {
        let Some(namespace) = self.shared.namespaces.find(connect.namespace) else {
            // The link is open: this task closes it.
            let _ = self.link.answer(&FromBackend::Decline(connect.socket));
            self.handled += cost;
            return;
        };
        let session = self.sessions.entry(connect.session);
        let session = Arc::clone(session.or_insert_with(|| Arc::new(Session::new(connect.session))));
        let (shared, link) = (Arc::clone(&self.shared), Arc::clone(&self.link));
        let socket = Socket::new(connect, namespace, session, shared, link);
        self.sockets.insert(connect.socket, socket.clone());
        socket.perform(Job::Connect, cost);
    }

    /// The hot path: looks the socket and the handler up, and calls it with what lies in the read buffer.
    fn event(
        &mut self,
        socket: SocketKey,
        ack: Option<u64>,
        redelivered: bool,
        packet: &Packet<'_>,
        cost: usize,
    ) -> Result<(), WireError> {
        let (name, args) = packet.trusted_event(&mut self.attachments)?;
        let Some(socket) = self.sockets.get(&socket).filter(|socket| !socket.has_been_disconnected()) else {
            self.handled += cost;
            return Ok(());
        };
        let name = name.map_or(Cow::Borrowed(""), text);
        let ack = ack.map_or(AckState::Unwanted, |id| AckState::Here { id, used: AtomicBool::new(false) });
        let event = EventRef { socket, name: &name, args, ack, redelivered };
        let handlers = socket.handlers();
        if let Some(observe) = &handlers.any {
            guarded(|| observe(socket, &event));
        }
        match handlers.find(&name) {
            None => self.handled += cost,
            Some(EventHandler::Sync(handler)) if !socket.sequence().is_busy() => {
                guarded(|| handler(socket, &event));
                self.handled += cost;
            }
            Some(_) => socket.perform(Job::Event(event.to_owned()), cost),
        }
        Ok(())
    }

    fn hand_over(&mut self, socket: SocketKey, cost: usize) {
        match self.sockets.get(&socket) {
            // It stays until it is released: answers to what it was sent may still come.
            Some(socket) if socket.hand_over() => socket.perform(Job::Release(Release::Handover), cost),
            Some(_) => self.handled += cost,
            None => {
                // Nobody's handler will say so.
                let _ = self.link.answer(&FromBackend::Released(socket));
                self.handled += cost;
            }
        }
    }

    fn server_event(
        &mut self,
        token: u64,
        namespace: &str,
        json: &str,
        cost: usize,
    ) -> Result<(), WireError> {
        let packet = json.trim_ascii().strip_prefix('[').and_then(|list| list.strip_suffix(']'));
        let list = ArgsRef::trusted(packet.ok_or(WireError::NotArray)?.trim_ascii(), &[]);
        let name = list.get(0).and_then(EventName::new).ok_or(WireError::EventName)?;
        let found = self.shared.namespaces.find(namespace);
        let future = found.and_then(|namespace| {
            let event = ServerEvent::new(&text(name), args::rest(list), token, Arc::clone(&self.link));
            let io = Io::new(Arc::clone(&self.shared), Arc::clone(&namespace.name));
            guarded(|| namespace.handlers.server_event(io, event)).flatten()
        });
        match future.and_then(poll_once) {
            None => self.handled += cost,
            Some(waiting) => {
                let link = Arc::clone(&self.link);
                tokio::spawn(async move {
                    caught(waiting).await;
                    link.handled(cost);
                });
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: SocketKey) -> Option<Socket> {
        let socket = self.sockets.remove(&key)?;
        if socket.session().remove(&socket) {
            self.sessions.remove(&socket.session().key());
        }
        Some(socket)
    }

    /// What was read has been dealt with: credit for it may be given.
    pub(crate) fn settle(&mut self) {
        if self.handled > 0 {
            self.link.handled(std::mem::take(&mut self.handled));
        }
        for key in self.link.dropped() {
            self.remove(key);
        }
    }

    /// The link is no more. Its sockets live on elsewhere.
    pub(crate) fn lost(mut self) {
        self.link.close();
        for (_, socket) in self.sockets.drain() {
            socket.gone();
            if !socket.is_released() {
                socket.perform(Job::Release(Release::LinkLost), 0);
            }
        }
    }
}

/// The name of an event to look its handler up by.
fn text(name: EventName<'_>) -> Cow<'_, str> {
    name.text().unwrap_or_else(|| name.json().into())
}

/// Keys are made by the gateway, and no client chooses them, so a multiplication will do.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        // The golden ratio spreads numbers that follow each other; the table looks at the highest bits, and
        // at the lowest.
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}
