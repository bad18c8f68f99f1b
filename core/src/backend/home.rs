//! A link at home: its stream, its hello, its frames, and its credit.

use super::Backends;
use super::directory::{Link, LinkId, Standing, share};
use super::encoded;
use super::message::{Asking, Message, News, Said};
use super::requests::Ask;
use super::wire::{self, EmitFlags, Frames, FromBackend, RefuseCode, ToBackend, Welcome, WireError};
use crate::arena::Key;
use crate::id::ShardIndex;
use crate::name::Name;
use crate::options::Options;
use crate::shard::Io;
use crate::shard::app::{PortKey, Rejection, Selector, SocketKey};
use crate::shard::stats::BackendStats;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Bytes that a backend may have sent and the gateway has not dealt with.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// How long a link may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that wait for a backend that does not read. Credit bounds what clients cause; this is for answers to
/// the backend's own questions, and for events of other backends.
const BACKLOG_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The gateway's side of one stream.
#[derive(Debug)]
pub(super) struct Home {
    id: LinkId,
    /// The question whether it says hello.
    hello: Key,
    /// Once it has.
    link: Option<Key>,
    frames: Frames,
    /// Bytes that the backend may still send.
    credit: i64,
    /// Bytes that have been dealt with, and not given back.
    due: u32,
    /// What the shards have sent that has not been processed, in order.
    sent: VecDeque<(ShardIndex, u32)>,
    /// The sum of those.
    sent_bytes: u64,
    /// Shards that have none of its sockets any more, when it leaves.
    released: HashSet<ShardIndex>,
}

/// All links at home here, in an order that does not depend on chance.
#[derive(Debug, Default)]
pub(super) struct Homes {
    by_port: BTreeMap<PortKey, Box<Home>>,
    ports: BTreeMap<LinkId, PortKey>,
    next_number: u64,
}

/// Why a link is ended.
#[derive(Debug)]
pub(super) struct Refusal {
    code: RefuseCode,
    message: String,
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self { code: RefuseCode::BadFrame, message: error.to_string() }
    }
}

fn violation(message: &str) -> Refusal {
    Refusal { code: RefuseCode::BadFrame, message: message.to_owned() }
}

impl Backends {
    /// A backend has connected.
    pub(super) fn link_dials(&mut self, io: &mut Io<'_>, port: PortKey) {
        let id = LinkId { home: self.here, number: self.homes.next_number };
        self.homes.next_number += 1;
        let hello = self.asks.insert(Ask::Hello(port));
        io.wake_after(HELLO_TIMEOUT, super::requests::ticket(hello));
        let home = Home {
            id,
            hello,
            link: None,
            frames: Frames::new(self.options.frame_bytes_max),
            credit: i64::from(WINDOW_BYTES),
            due: 0,
            sent: VecDeque::new(),
            sent_bytes: 0,
            released: HashSet::new(),
        };
        self.homes.by_port.insert(port, Box::new(home));
    }

    /// Bytes from a backend.
    pub(super) fn link_says(&mut self, io: &mut Io<'_>, port: PortKey, bytes: &[u8]) {
        self.stats.link_bytes_in_total += bytes.len() as u64;
        let Some(home) = self.homes.by_port.get_mut(&port) else { return };
        // Out of its place while the frames that lie in it are handled.
        let mut frames = std::mem::replace(&mut home.frames, Frames::new(0));
        let mut input = bytes;
        let outcome = loop {
            match frames.next(&mut input) {
                Ok(Some(frame)) => {
                    if let Err(refusal) = self.frame(io, port, &frame) {
                        break Err(refusal);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        if let Some(home) = self.homes.by_port.get_mut(&port) {
            home.frames = frames;
        }
        match outcome {
            Ok(()) => self.give_credit(io, port),
            Err(refusal) => self.refuse(io, port, &refusal),
        }
    }

    /// A backend's stream has ended.
    pub(super) fn link_closed(&mut self, io: &mut Io<'_>, port: PortKey) {
        let Some(home) = self.homes.by_port.remove(&port) else { return };
        self.homes.ports.remove(&home.id);
        self.asks.remove(home.hello);
        if home.link.is_some() {
            self.announce(io, home.id, &News::Gone);
        }
    }

    /// Nobody said hello.
    pub(super) fn hello_timed_out(&mut self, io: &mut Io<'_>, port: PortKey) {
        let message = format!("no hello within {} s", HELLO_TIMEOUT.as_secs());
        self.refuse(io, port, &Refusal { code: RefuseCode::NotHello, message });
    }

    /// Says why, and ends the link.
    fn refuse(&mut self, io: &mut Io<'_>, port: PortKey, refusal: &Refusal) {
        let Some(home) = self.homes.by_port.get(&port) else { return };
        self.stats.links_refused_total += u64::from(refusal.code != RefuseCode::ShuttingDown);
        let code = match home.link {
            None if refusal.code == RefuseCode::BadFrame => RefuseCode::NotHello,
            _ => refusal.code,
        };
        let mut frame = Vec::new();
        encoded::append(&ToBackend::Refuse { code, message: &refusal.message }, &mut frame);
        io.port_send(port, frame.into());
        io.port_close(port);
        self.link_closed(io, port);
    }

    /// The gateway stops.
    pub(super) fn dismiss_links(&mut self, io: &mut Io<'_>) {
        let message = "the gateway is shutting down".to_owned();
        let refusal = Refusal { code: RefuseCode::ShuttingDown, message };
        for port in self.homes.by_port.keys().copied().collect::<Vec<_>>() {
            self.refuse(io, port, &refusal);
        }
    }

    // Frames from the backend.

    fn frame(&mut self, io: &mut Io<'_>, port: PortKey, frame: &wire::Frame<'_>) -> Result<(), Refusal> {
        self.stats.frames_in_total += 1;
        let decoded = FromBackend::decode(frame.kind(), frame.body())?;
        // It may have been ended by an earlier one.
        let Some(home) = self.homes.by_port.get_mut(&port) else { return Ok(()) };
        if home.link.is_none() {
            return match decoded {
                FromBackend::Hello(hello) => self.welcome(io, port, &hello),
                _ => Err(violation("the first frame must be HELLO")),
            };
        }
        let cost = u32::try_from(frame.cost()).unwrap_or(u32::MAX);
        if cost > 0 {
            if home.credit <= 0 {
                return Err(violation("a frame that counts was sent without credit"));
            }
            home.credit -= i64::from(cost);
            home.due = home.due.saturating_add(cost);
        }
        let id = home.id;
        self.obey(io, port, id, decoded)
    }

    fn welcome(&mut self, io: &mut Io<'_>, port: PortKey, hello: &wire::Hello<'_>) -> Result<(), Refusal> {
        let Some(version) = hello.common_version() else {
            let message = format!(
                "the gateway speaks version {}, the backend versions {} to {}",
                wire::VERSION,
                hello.version_min,
                hello.version_max
            );
            return Err(Refusal { code: RefuseCode::NoCommonVersion, message });
        };
        if self.links.len() >= self.options.links_max as usize {
            let message = format!("there are {} links, as many as may be", self.links.len());
            return Err(Refusal { code: RefuseCode::TooManyLinks, message });
        }
        let mut frame = Vec::new();
        let welcome = Welcome {
            version,
            window: WINDOW_BYTES,
            portion: portion(share(&self.options, hello.window, io.shards())),
            frame_bytes_max: self.options.frame_bytes_max,
            software: "tidegate",
            options: &self.description,
        };
        encoded::append(&ToBackend::Welcome(welcome), &mut frame);
        io.port_send(port, frame.into());
        let Some((id, asked)) = self.homes.by_port.get(&port).map(|home| (home.id, home.hello)) else {
            return Ok(());
        };
        self.asks.remove(asked);
        self.homes.ports.insert(id, port);
        let news = News::Greeted { load: Arc::new(AtomicU32::new(0)), window: hello.window };
        self.announce(io, id, &news);
        let link = self.links.find(id);
        if let Some(home) = self.homes.by_port.get_mut(&port) {
            home.link = link;
        }
        Ok(())
    }

    /// Does what a frame says.
    fn obey(
        &mut self,
        io: &mut Io<'_>,
        port: PortKey,
        id: LinkId,
        frame: FromBackend<'_>,
    ) -> Result<(), Refusal> {
        match frame {
            FromBackend::Hello(_) => return Err(violation("HELLO came twice")),
            FromBackend::Credit(bytes) => self.credit_given(io, port, bytes)?,
            FromBackend::Serve { dynamic, namespaces } => {
                let names = namespaces.iter().map(checked_namespace).collect::<Result<_, _>>()?;
                self.announce(io, id, &News::Serves { dynamic, names });
            }
            FromBackend::Withdraw(names) => {
                self.announce(io, id, &News::Withdraws(names.iter().map(Name::from).collect()));
            }
            FromBackend::Drain => self.announce(io, id, &News::Drains),
            FromBackend::Accept(socket) => self.pass_on(io, id, socket, Said::Accept),
            FromBackend::Reject { socket, message, data } => {
                let rejection = Rejection { message: message.to_owned(), data: data.map(ToOwned::to_owned) };
                self.pass_on(io, id, socket, Said::Reject(rejection));
            }
            FromBackend::Decline(socket) => self.pass_on(io, id, socket, Said::Decline),
            FromBackend::Released(socket) => self.pass_on(io, id, socket, Said::Released),
            FromBackend::Emit { socket, flags, ack, timeout_ms, packet } => {
                self.emit(io, id, socket, flags, ack, timeout_ms, &packet)?;
            }
            FromBackend::Ack { socket, ack, packet } => self.answer(io, id, socket, ack, &packet)?,
            FromBackend::Broadcast { flags, selector, request, timeout_ms, packet } => {
                let mut attachments = Vec::new();
                let (name, args) = packet.event(&mut attachments)?;
                let (selector, io_flags) = (selector_of(&selector), flags.into());
                if flags.ack {
                    let ticket = self.ask(Ask::Clients { link: id, request });
                    io.ask_all(&selector, io_flags, name, args, milliseconds(timeout_ms), ticket);
                } else {
                    io.broadcast(&selector, io_flags, name, args);
                }
            }
            FromBackend::Join { socket, rooms } => rooms.iter().for_each(|room| io.join(socket, room)),
            FromBackend::Leave { socket, rooms } => rooms.iter().for_each(|room| io.leave(socket, room)),
            FromBackend::Disconnect(socket) => io.disconnect(socket, false),
            FromBackend::Close(session) => io.close_session(session),
            FromBackend::Data { socket, json } => {
                io.set_data(socket, json.to_owned());
            }
            FromBackend::SocketsJoin { selector, rooms } => {
                io.sockets_join(&selector_of(&selector), &rooms.iter().collect::<Vec<_>>());
            }
            FromBackend::SocketsLeave { selector, rooms } => {
                io.sockets_leave(&selector_of(&selector), &rooms.iter().collect::<Vec<_>>());
            }
            FromBackend::DisconnectSockets { selector, close } => {
                io.disconnect_sockets(&selector_of(&selector), close);
            }
            FromBackend::Fetch { request, selector } => {
                let ticket = self.ask(Ask::Fetch { link: id, request });
                io.fetch_sockets(&selector_of(&selector), ticket);
            }
            FromBackend::ServerEmit { namespace, request, timeout_ms, json } => {
                self.server_emit(io, id, namespace, request, timeout_ms, json);
            }
            FromBackend::ServerAck { token, json } => {
                self.server_reply(io, id, token, json);
            }
        }
        Ok(())
    }

    /// Has the shard of a socket hear what its backend says.
    fn pass_on(&mut self, io: &mut Io<'_>, id: LinkId, socket: SocketKey, said: Said) {
        if let Said::Accept = said {
            // A broadcast behind it must find the socket, even if it is the first of its shard.
            io.expect_let_in(socket.shard);
        }
        self.tell(io, socket.shard, Message::Said(id, socket, said));
    }

    /// Answers an event, if the socket is the backend's own: another one may have answered it already.
    fn answer(
        &mut self,
        io: &mut Io<'_>,
        id: LinkId,
        socket: SocketKey,
        ack: u64,
        packet: &wire::Packet<'_>,
    ) -> Result<(), Refusal> {
        let mut attachments = Vec::new();
        let args = packet.arguments(&mut attachments)?;
        if socket.shard != self.here {
            self.pass_on(io, id, socket, Said::Answer { ack, args: args.into_owned() });
        } else if self.is_served_by(socket, id) {
            io.reply_to(socket, ack, args);
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of one frame")]
    fn emit(
        &mut self,
        io: &mut Io<'_>,
        id: LinkId,
        socket: SocketKey,
        flags: EmitFlags,
        ack: u64,
        timeout_ms: u32,
        packet: &wire::Packet<'_>,
    ) -> Result<(), Refusal> {
        let mut attachments = Vec::new();
        let (name, args) = packet.event(&mut attachments)?;
        if !flags.ack {
            io.emit_with(socket, flags.into(), name, args);
            return Ok(());
        }
        let asking = Asking {
            link: id,
            ack,
            flags: flags.into(),
            timeout: (timeout_ms > 0).then(|| milliseconds(timeout_ms)),
            name: name.json().into(),
            args: args.into_owned(),
        };
        self.tell(io, socket.shard, Message::Ask(socket, Box::new(asking)));
        Ok(())
    }

    // Credit and bytes.

    /// The backend has processed so many bytes.
    fn credit_given(&mut self, io: &mut Io<'_>, port: PortKey, mut bytes: u32) -> Result<(), Refusal> {
        let Some(home) = self.homes.by_port.get_mut(&port) else { return Ok(()) };
        // First of all: who breaks the rules has not processed anything.
        let Some(rest) = home.sent_bytes.checked_sub(bytes.into()) else {
            return Err(violation("credit was given for more than was sent"));
        };
        home.sent_bytes = rest;
        while bytes > 0
            && let Some(home) = self.homes.by_port.get_mut(&port)
            && let Some((shard, sent)) = home.sent.front_mut()
        {
            let (id, shard, part) = (home.id, *shard, bytes.min(*sent));
            *sent -= part;
            bytes -= part;
            if *sent == 0 {
                home.sent.pop_front();
            }
            self.tell(io, shard, Message::Credit(id, part));
        }
        Ok(())
    }

    /// Gives the backend credit for what it has sent.
    fn give_credit(&mut self, io: &mut Io<'_>, port: PortKey) {
        if let Some(home) = self.homes.by_port.get_mut(&port)
            && home.due >= WINDOW_BYTES / 4
            && let Some(key) = home.link
            && let Some(link) = self.links.get_mut(key)
        {
            link.out.write(&ToBackend::Credit(home.due));
            home.credit += i64::from(std::mem::take(&mut home.due));
            self.mark_dirty(io, key);
        }
    }

    /// Sends a link's batch on its way.
    pub(super) fn flush_link(&mut self, io: &mut Io<'_>, key: Key) {
        let Some(link) = self.links.get_mut(key) else { return };
        let id = link.id;
        if let Some((bytes, counted, frames)) = link.out.take_batch() {
            self.stats.frames_out_total += frames;
            self.tell(io, id.home, Message::Batch(id, bytes, counted));
        }
    }

    /// A shard's batch for a link that is at home here.
    pub(super) fn forward(
        &mut self,
        io: &mut Io<'_>,
        id: LinkId,
        from: ShardIndex,
        bytes: bytes::Bytes,
        counted: u32,
    ) {
        let Some(port) = self.homes.ports.get(&id).copied() else { return };
        let Some(home) = self.homes.by_port.get_mut(&port) else { return };
        if counted > 0 {
            home.sent.push_back((from, counted));
            home.sent_bytes += u64::from(counted);
        }
        self.stats.link_bytes_out_total += bytes.len() as u64;
        io.port_send(port, bytes);
        if io.port_backlog(port) > BACKLOG_BYTES_MAX {
            self.refuse(io, port, &violation("the backend does not read the answers to its questions"));
        }
    }

    /// Ends a link for which too much waits that no client can be held for: events of other backends.
    pub(super) fn check_stalled(&mut self, io: &mut Io<'_>, id: LinkId, key: Key) {
        let is_too_much = |link: &Link| link.out.stalled_bytes() > BACKLOG_BYTES_MAX;
        if self.links.get(key).is_some_and(is_too_much)
            && let Some(port) = self.homes.ports.get(&id).copied()
        {
            self.refuse(io, port, &violation("the backend does not take the events of others"));
        }
    }

    /// All shards have let go of a link that leaves, or this one more has.
    pub(super) fn shard_released(&mut self, io: &mut Io<'_>, id: LinkId, shard: ShardIndex) {
        let Some(port) = self.homes.ports.get(&id) else { return };
        let Some(home) = self.homes.by_port.get_mut(port) else { return };
        home.released.insert(shard);
        if home.released.len() == usize::from(io.shards())
            && let Some(key) = home.link
        {
            self.write_to(io, key, &ToBackend::Drained);
        }
    }

    /// Tells the backends that are at home here how many there are.
    pub(super) fn report_peers(&mut self, io: &mut Io<'_>) {
        let peers = u32::try_from(self.links.ready().count()).unwrap_or(u32::MAX);
        let links: Vec<Key> = self.homes.by_port.values().filter_map(|home| home.link).collect();
        links.into_iter().for_each(|key| self.write_to(io, key, &ToBackend::Peers(peers)));
    }

    /// Sends a frame that does not count, or for which there is credit.
    pub(super) fn write_to(&mut self, io: &mut Io<'_>, key: Key, frame: &ToBackend<'_>) {
        if let Some(link) = self.links.get_mut(key) {
            link.out.write(frame);
            self.mark_dirty(io, key);
        }
    }

    /// What this shard's application counts.
    pub(super) fn count(&self) -> BackendStats {
        let ports = self.homes.by_port.values().filter_map(|home| home.link);
        let ready =
            ports.filter(|key| self.links.get(*key).is_some_and(|link| link.standing == Standing::Ready));
        BackendStats {
            links: self.homes.by_port.len() as u64,
            links_serving: ready.count() as u64,
            sockets_waiting: self.connects_waiting as u64,
            sockets_orphaned: (self.waits.len() - self.connects_waiting) as u64,
            held_bytes: self.held_bytes as u64,
            questions: self.asks.len() as u64,
            ..self.stats.clone()
        }
    }
}

/// A namespace that a backend may serve.
fn checked_namespace(name: &str) -> Result<Name, Refusal> {
    if name.starts_with('/') && !name.contains(',') {
        Ok(name.into())
    } else {
        Err(violation("a namespace must start with a slash, and must not contain a comma"))
    }
}

fn selector_of(selector: &wire::Selector<'_>) -> Selector {
    Selector {
        namespace: selector.namespace.to_owned(),
        rooms: selector.rooms.iter().map(ToOwned::to_owned).collect(),
        except: selector.except.iter().map(ToOwned::to_owned).collect(),
    }
}

fn milliseconds(count: u32) -> Duration {
    Duration::from_millis(count.into())
}

/// After how many bytes a backend must give credit: less than any shard's share, or one could wait for credit while
/// the backend waits for more to give it for.
fn portion(share: i64) -> u32 {
    u32::try_from(share / 2).unwrap_or(u32::MAX).max(1)
}

/// The options of WELCOME.
pub(super) fn describe(options: &Options, version: &str) -> String {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let transports = [(options.transports.polling, "polling"), (options.transports.websocket, "websocket")];
    let transports: Vec<&str> = transports.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
    serde_json::json!({
        "pingInterval": millis(options.ping_interval),
        "pingTimeout": millis(options.ping_timeout),
        "upgradeTimeout": millis(options.upgrade_timeout),
        "connectTimeout": millis(options.connect_timeout),
        "maxHttpBufferSize": options.max_payload,
        "path": options.path,
        "transports": transports,
        "allowUpgrades": options.allow_upgrades,
        "gateway": { "version": version },
    })
    .to_string()
}
