//! A gateway whose clients are served by backends, and a backend whose every word is the test's.

use crate::support::http::mask;
use crate::support::websocket::WebSocket;
use crate::support::{Conn, Server};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tidegate_core::backend::Backends;
use tidegate_core::backend::wire::{
    EmitFlags, Frames, FromBackend, Hello, List, Packet, Selector, ToBackend,
};
use tidegate_core::options::{BackendOptions, Options};
use tidegate_core::shard::app::{SessionKey, SocketKey};
use tidegate_core::shard::routes::Routes;
use tidegate_core::socket_io::ArgsRef;

/// Credit enough for everything.
const WINDOW: u32 = 1 << 20;

/// What the links of a test have heard of.
#[derive(Default)]
struct Known {
    sockets: Vec<SocketKey>,
    sessions: Vec<SessionKey>,
}

/// A gateway, and names for its sockets: `#0` is the first that any link has heard of.
pub(crate) struct Gate {
    pub(crate) server: Server,
    known: Rc<RefCell<Known>>,
}

impl Gate {
    pub(crate) fn new(shards: u16) -> Self {
        Self::with(shards, |_, _| {})
    }

    pub(crate) fn with(shards: u16, change: impl FnOnce(&mut Options, &mut BackendOptions)) -> Self {
        let mut options = Options::default();
        let mut backend = BackendOptions::default();
        change(&mut options, &mut backend);
        let server = Server::with_apps(
            shards,
            Routes::default(),
            |place| *place = options,
            |here, options, _| Box::new(Backends::new(here, options, backend.clone(), "0.0.0")),
        );
        Self { server, known: Rc::default() }
    }

    /// A backend connects to a shard, and says nothing.
    pub(crate) fn dial(&self, shard: u16) -> Link {
        Link {
            conn: self.server.open_port(shard),
            known: Rc::clone(&self.known),
            handled: Cell::new(0),
            token: Cell::new(0),
        }
    }

    /// A backend that has said hello, and heard WELCOME.
    pub(crate) fn greeted(&self, shard: u16, window: u32) -> Link {
        let link = self.dial(shard);
        link.say(&hello(1, 1, window));
        let answer = link.hear();
        assert!(answer[0].starts_with("welcome 1 "), "{answer:?}");
        link
    }

    /// A backend of shard 0 that serves namespaces.
    pub(crate) fn serving(&self, names: &[&str]) -> Link {
        self.serving_on(0, names)
    }

    pub(crate) fn serving_on(&self, shard: u16, names: &[&str]) -> Link {
        let link = self.greeted(shard, WINDOW);
        link.serve(names);
        link.hear();
        link
    }

    /// A backend of shard 0 that takes one frame, and then none until it pays.
    pub(crate) fn starved(&self, name: &str) -> Link {
        let link = self.greeted(0, 1);
        link.serve(&[name]);
        link.hear();
        link
    }

    /// The socket that was heard of as number `place`.
    pub(crate) fn socket(&self, place: usize) -> SocketKey {
        self.known.borrow().sockets[place]
    }

    pub(crate) fn session(&self, place: usize) -> SessionKey {
        self.known.borrow().sessions[place]
    }

    /// A client on shard 0 that is served by `link`, which has heard nothing else.
    pub(crate) fn joined(&self, link: &Link) -> WebSocket {
        self.joined_on(0, link)
    }

    pub(crate) fn joined_on(&self, shard: u16, link: &Link) -> WebSocket {
        let client = WebSocket::open_on(&self.server, shard);
        client.send("40");
        assert!(link.hear().iter().any(|line| line.contains("connect")));
        let last = self.known.borrow().sockets.len() - 1;
        link.say(&FromBackend::Accept(self.socket(last)));
        assert_eq!(client.take(), [r#"40{"sid":"~"}"#]);
        client
    }

    /// Everybody vanishes, and nothing may be left.
    pub(crate) fn assert_nothing_leaks(&self) {
        self.server.assert_nothing_leaks();
        let stats = self.server.stats();
        assert_eq!((stats.ports, stats.interests, stats.timers), (0, 0, 0), "ports, interests, timers");
        let backend = stats.backend;
        assert_eq!((backend.links, backend.questions, backend.held_bytes), (0, 0, 0));
        assert_eq!((backend.sockets_waiting, backend.sockets_orphaned), (0, 0));
    }
}

/// The backend's end of a link.
pub(crate) struct Link {
    pub(crate) conn: Conn,
    known: Rc<RefCell<Known>>,
    /// Bytes that were heard, and not paid for.
    handled: Cell<u32>,
    /// The last token of a SERVER_EVENT.
    token: Cell<u64>,
}

impl Link {
    /// What the last SERVER_EVENT is to be answered with.
    pub(crate) fn token(&self) -> u64 {
        self.token.get()
    }

    /// Gives credit for what was heard.
    pub(crate) fn pay(&self) {
        self.say(&FromBackend::Credit(self.handled.take()));
    }

    pub(crate) fn say(&self, frame: &FromBackend<'_>) {
        self.say_all(&[*frame]);
    }

    /// Sends frames in one write.
    pub(crate) fn say_all(&self, frames: &[FromBackend<'_>]) {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut bytes).unwrap());
        self.conn.send(bytes);
    }

    pub(crate) fn serve(&self, names: &[&str]) {
        self.say(&FromBackend::Serve { dynamic: false, namespaces: List::from(names) });
    }

    pub(crate) fn accept(&self, socket: SocketKey) {
        self.say(&FromBackend::Accept(socket));
    }

    pub(crate) fn emit(&self, socket: SocketKey, name: &str) {
        self.say(&emit(socket, name, None));
    }

    /// Takes the frames that have come, in words, but for TICK.
    pub(crate) fn hear(&self) -> Vec<String> {
        self.hear_all().into_iter().filter(|line| line != "tick").collect()
    }

    /// Takes the frames that have come, TICK and all.
    pub(crate) fn hear_all(&self) -> Vec<String> {
        let bytes = self.conn.take();
        let mut frames = Frames::new(u32::MAX);
        let mut rest = bytes.as_slice();
        let mut lines = Vec::new();
        let mut used = 0;
        while let Some(frame) = frames.next(&mut rest).unwrap() {
            used += frame.byte_count();
            let decoded = ToBackend::decode(frame.kind(), frame.body()).unwrap();
            self.handled.update(|handled| handled + frame.cost() as u32);
            lines.push(self.show(&decoded));
        }
        self.conn.put_back(&bytes[used..]);
        lines
    }

    /// `#3`
    fn name(&self, socket: SocketKey) -> String {
        let sockets = &mut self.known.borrow_mut().sockets;
        let place = sockets.iter().position(|&other| other == socket).unwrap_or_else(|| {
            sockets.push(socket);
            sockets.len() - 1
        });
        format!("#{place}")
    }

    fn session_name(&self, session: SessionKey) -> String {
        let sessions = &mut self.known.borrow_mut().sessions;
        let place = sessions.iter().position(|&other| other == session).unwrap_or_else(|| {
            sessions.push(session);
            sessions.len() - 1
        });
        format!("session {place}")
    }

    fn show(&self, frame: &ToBackend<'_>) -> String {
        match *frame {
            ToBackend::Welcome(welcome) => format!("welcome {} {}", welcome.version, welcome.software),
            ToBackend::Refuse { code, message } => format!("refuse {} {message}", code.code()),
            ToBackend::Credit(bytes) => format!("credit {bytes}"),
            ToBackend::Tick => "tick".to_owned(),
            ToBackend::Fetched { request, last, sockets } => {
                let all = sockets.iter().map(|socket| {
                    let own = socket.id.encode();
                    let rooms: Vec<&str> = socket.rooms.iter().filter(|room| *room != own.as_str()).collect();
                    format!(" {} {rooms:?} {}", self.name(socket.socket), socket.data.unwrap_or("-"))
                });
                let all: String = all.collect();
                format!("fetched {request}{all}{}", if last { ", the last" } else { "" })
            }
            ToBackend::Asked { request, clients } => format!("asked {request} of {clients}"),
            ToBackend::Answer { request, packet } => format!("answer {request} {}", packet.json()),
            ToBackend::Answered { request, timed_out } => format!("answered {request} late: {timed_out}"),
            ToBackend::Peers(links) => format!("peers {links}"),
            ToBackend::ServerResponses { request, asked, responses } => {
                format!("responses {request} {:?} of {asked}", responses.iter().collect::<Vec<_>>())
            }
            ToBackend::ConnectionError { code, message, .. } => format!("connection error {code} {message}"),
            ToBackend::Drained => "drained".to_owned(),
            ToBackend::Connect(connect) => {
                let (socket, session) = (self.name(connect.socket), self.session_name(connect.session));
                let adopted = connect.adopted.map(|adopted| {
                    format!(
                        " adopted {:?} {}",
                        adopted.rooms.iter().collect::<Vec<_>>(),
                        adopted.data.unwrap_or("-")
                    )
                });
                let (transport, namespace) = (connect.transport, connect.namespace);
                format!("connect {socket} {session} {transport} {namespace}{}", adopted.unwrap_or_default())
            }
            ToBackend::Event { socket, ack, redelivered, packet } => {
                let ack = ack.map_or_else(String::new, |ack| format!(" ack {ack}"));
                let again = if redelivered { " again" } else { "" };
                let attachments = packet.attachments().len();
                let binary = if attachments > 0 { format!(" +{attachments}") } else { String::new() };
                format!("event {} {}{binary}{ack}{again}", self.name(socket), mask(&packet.json()))
            }
            ToBackend::Ack { socket, ack, packet } => {
                format!("ack {} {ack} {}", self.name(socket), packet.json())
            }
            ToBackend::Disconnected { socket, reason } => {
                format!("gone {} {}", self.name(socket), reason.as_str())
            }
            ToBackend::Handover(socket) => format!("handover {}", self.name(socket)),
            ToBackend::ServerEvent { token, namespace, json } => {
                self.token.set(token);
                let token = if token == 0 { "" } else { " token" };
                format!("server event {namespace} {json}{token}")
            }
            ToBackend::Transport { session, transport } => {
                format!("transport {} {transport}", self.session_name(session))
            }
        }
    }
}

pub(crate) fn hello(version_min: u16, version_max: u16, window: u32) -> FromBackend<'static> {
    FromBackend::Hello(Hello { version_min, version_max, window, software: "test", process: "test" })
}

/// An event of one argument: none of our business.
pub(crate) fn packet(name: &str) -> Packet<'_> {
    Packet::from_event(name, ArgsRef::default())
}

/// An emit of an event whose name is given as JSON.
pub(crate) fn emit(socket: SocketKey, name: &str, ack: Option<(u64, u32)>) -> FromBackend<'_> {
    let flags = EmitFlags { ack: ack.is_some(), ..EmitFlags::default() };
    let (ack, timeout_ms) = ack.unwrap_or_default();
    FromBackend::Emit { socket, flags, ack, timeout_ms, packet: packet(name) }
}

/// Everybody in a namespace, or in one of the rooms.
pub(crate) fn to<'a>(namespace: &'a str, rooms: &'a [&'a str]) -> Selector<'a> {
    Selector { namespace, rooms: List::from(rooms), except: List::EMPTY }
}

pub(crate) fn broadcast<'a>(selector: Selector<'a>, name: &'a str) -> FromBackend<'a> {
    let flags = EmitFlags::default();
    FromBackend::Broadcast { flags, selector, request: 0, timeout_ms: 0, packet: packet(name) }
}
