//! The application of protocol.md 9, and a log of everything it is told.

use ::http::{HeaderMap, HeaderValue};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use tidegate_core::id::ShardIndex;
use tidegate_core::session::handshake::Handshake;
use tidegate_core::shard::Io;
use tidegate_core::shard::app::{
    AckError, App, AppMessage, BroadcastAcks, Connect, Departed, EngineRequest, Event, PortKey, Rejection,
    SocketInfo, SocketKey, Ticket, Verdict,
};
use tidegate_core::socket_io::ArgsRef;

/// Something to be done by the application.
pub(crate) type Job = Box<dyn FnOnce(&mut Io<'_>)>;

/// What the test and the applications of all shards share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) told: RefCell<Told>,
    pub(crate) job: Cell<Option<Job>>,
    /// What the next flush does.
    pub(crate) flush: Cell<Option<Job>>,
    /// What the next application to drain does.
    pub(crate) last_word: Cell<Option<Job>>,
    /// Why new sessions are refused, if they are.
    pub(crate) deny: RefCell<Option<String>>,
    namespaces: RefCell<HashMap<SocketKey, String>>,
}

/// What the application was told, oldest first.
#[derive(Default)]
pub(crate) struct Told {
    /// Sockets that are or were in, with their namespace.
    pub(crate) connected: Vec<(SocketKey, String)>,
    /// Sockets that left.
    pub(crate) departed: Vec<Departed>,
    /// Sockets that wait in `/later`.
    pub(crate) waiting: Vec<SocketKey>,
    /// Sockets that left while they waited.
    pub(crate) abandoned: Vec<SocketKey>,
    /// Events, as `/admin name args`.
    pub(crate) events: Vec<String>,
    /// Answers to emits: ticket, and arguments or what went wrong.
    pub(crate) answers: Vec<(u64, Result<String, AckError>)>,
    /// Answers to broadcasts: ticket, whether somebody did not answer in time, first arguments.
    pub(crate) broadcast_answers: Vec<(u64, bool, Vec<String>)>,
    pub(crate) fetched: Vec<(u64, Vec<SocketInfo>)>,
    pub(crate) woken: Vec<u64>,
    /// `handshake.auth` of every CONNECT.
    pub(crate) auths: Vec<String>,
    /// Ports that were opened.
    pub(crate) ports: Vec<PortKey>,
    /// Ports that were closed from outside.
    pub(crate) closed_ports: Vec<PortKey>,
    /// Bytes of all ports.
    pub(crate) port_bytes: Vec<u8>,
    /// Messages of applications: from which shard, and what.
    pub(crate) messages: Vec<(u16, String)>,
    pub(crate) flushes: usize,
    /// For each drain: how many sockets had left by then.
    pub(crate) drains: Vec<usize>,
}

/// The application of one shard.
pub(crate) struct TestApp {
    shared: Rc<Shared>,
}

impl TestApp {
    pub(crate) fn new(shared: Rc<Shared>) -> Self {
        Self { shared }
    }
}

impl App for TestApp {
    fn allow_request(&mut self, _handshake: &Handshake) -> Result<(), String> {
        self.shared.deny.borrow().clone().map_or(Ok(()), Err)
    }

    fn headers(&mut self, request: &EngineRequest<'_>, fields: &mut HeaderMap) {
        if request.fields.get("x-ask").is_some() {
            fields.insert("x-every", HeaderValue::from_static("yes"));
            if request.opens_session {
                fields.insert("x-first", HeaderValue::from_static("yes"));
            }
        }
    }

    fn connect(&mut self, io: &mut Io<'_>, socket: SocketKey, request: &Connect<'_>) -> Verdict {
        if request.namespace == "/job" {
            let job = self.shared.job.take().expect("somebody asked for it");
            job(io);
            return Verdict::InvalidNamespace;
        }
        self.shared.namespaces.borrow_mut().insert(socket, request.namespace.to_owned());
        let mut told = self.shared.told.borrow_mut();
        told.auths.push(request.auth.to_owned());
        match request.namespace {
            "/" | "/admin" => Verdict::Accept,
            "/mw" => {
                let data = request.auth.contains("\"data\"").then(|| "{\"code\":42}".to_owned());
                Verdict::Reject(Rejection { message: "nope".to_owned(), data })
            }
            "/later" => {
                told.waiting.push(socket);
                Verdict::Later
            }
            // Middleware that says something before the CONNECT reply, and something to itself.
            "/greet" => {
                io.join(socket, "greeted");
                io.emit(socket, "early", ArgsRef::default());
                Verdict::Accept
            }
            namespace if is_dynamic(namespace) => Verdict::Accept,
            _ => Verdict::InvalidNamespace,
        }
    }

    fn connected(&mut self, _io: &mut Io<'_>, socket: SocketKey) {
        let namespace = self.shared.namespaces.borrow()[&socket].clone();
        self.shared.told.borrow_mut().connected.push((socket, namespace));
    }

    fn event(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>) {
        let name = event.name.map_or("", |name| name.json());
        let shown = format!("{} {name} {}", event.namespace, show(event.args));
        self.shared.told.borrow_mut().events.push(shown);
        match name {
            "\"echo\"" => match event.reply {
                Some(reply) => io.reply(reply, event.args),
                None => io.emit(socket, "echo", event.args),
            },
            "\"bye\"" => io.disconnect(socket, event.args.get(0) == Some("true")),
            "\"hold\"" => io.hold_input(socket),
            "\"hold and release\"" => {
                io.hold_input(socket);
                io.release_input(socket);
            }
            _ if name.starts_with("\"raw") || name.starts_with('7') => {
                io.emit(socket, event.name.expect("it has just been read"), event.args);
            }
            "\"join\"" => event.args.elements().for_each(|room| io.join(socket, room.trim_matches('"'))),
            _ => {}
        }
    }

    fn acknowledged(&mut self, _io: &mut Io<'_>, ticket: Ticket, answer: Result<ArgsRef<'_>, AckError>) {
        self.shared.told.borrow_mut().answers.push((ticket.0, answer.map(show)));
    }

    fn broadcast_acknowledged(&mut self, _io: &mut Io<'_>, ticket: Ticket, acks: BroadcastAcks) {
        let mut responses: Vec<String> = acks.responses.iter().map(|args| show(args.as_ref())).collect();
        // Clients answer in no particular order.
        responses.sort();
        self.shared.told.borrow_mut().broadcast_answers.push((ticket.0, acks.timed_out, responses));
    }

    fn fetched(&mut self, _io: &mut Io<'_>, ticket: Ticket, sockets: Vec<SocketInfo>) {
        self.shared.told.borrow_mut().fetched.push((ticket.0, sockets));
    }

    fn woken(&mut self, _io: &mut Io<'_>, ticket: Ticket) {
        self.shared.told.borrow_mut().woken.push(ticket.0);
    }

    fn abandoned(&mut self, _io: &mut Io<'_>, socket: SocketKey) {
        self.shared.told.borrow_mut().abandoned.push(socket);
    }

    fn disconnected(&mut self, _io: &mut Io<'_>, socket: Departed) {
        self.shared.told.borrow_mut().departed.push(socket);
    }

    fn port_opened(&mut self, _io: &mut Io<'_>, port: PortKey) {
        self.shared.told.borrow_mut().ports.push(port);
    }

    /// An echo.
    fn port_bytes(&mut self, io: &mut Io<'_>, port: PortKey, bytes: &mut [u8]) {
        self.shared.told.borrow_mut().port_bytes.extend_from_slice(bytes);
        io.port_send(port, bytes.to_vec().into());
    }

    fn port_closed(&mut self, _io: &mut Io<'_>, port: PortKey) {
        self.shared.told.borrow_mut().closed_ports.push(port);
    }

    /// Text is remembered; a socket is told.
    fn told(&mut self, io: &mut Io<'_>, from: ShardIndex, message: AppMessage) {
        match message.downcast::<SocketKey>() {
            Ok(socket) => io.emit(*socket, "told", ArgsRef::default()),
            Err(message) => {
                let text = *message.downcast::<String>().expect("nothing else is sent");
                self.shared.told.borrow_mut().messages.push((from.0, text));
            }
        }
    }

    fn flush(&mut self, io: &mut Io<'_>) {
        self.shared.told.borrow_mut().flushes += 1;
        if let Some(job) = self.shared.flush.take() {
            job(io);
        }
    }

    fn drain(&mut self, io: &mut Io<'_>) {
        let mut told = self.shared.told.borrow_mut();
        let left = told.departed.len();
        told.drains.push(left);
        drop(told);
        if let Some(job) = self.shared.last_word.take() {
            job(io);
        }
    }
}

/// `/dyn-\d+`
fn is_dynamic(namespace: &str) -> bool {
    namespace
        .strip_prefix("/dyn-")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// JSON, and the attachments in hex behind it.
fn show(args: ArgsRef<'_>) -> String {
    let attachments = args.attachments().iter().map(|bytes| super::websocket::hex(bytes));
    std::iter::once(args.json().to_owned()).chain(attachments).collect::<Vec<_>>().join(" ")
}
