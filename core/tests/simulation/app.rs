//! The application of every shard: does something at random whenever it is called, and tells the oracle first.

use crate::oracle::{Oracle, Question, Shared, SocketId, Tri, owned_room};
use std::time::Duration;
use tidegate_core::shard::Io;
use tidegate_core::shard::app::{
    AckError, App, BroadcastAcks, Connect, Departed, Event, Flags, Rejection, Selector, SocketInfo,
    SocketKey, Ticket, Verdict,
};
use tidegate_core::socket_io::{Args, ArgsRef};

/// Rooms that clients ask for.
pub(crate) const WISHED_ROOMS: [&str; 3] = ["red", "green", "blue"];
const OWNED_ROOMS: usize = 3;

pub(crate) struct Exerciser {
    shard: usize,
    oracle: Shared,
}

impl Exerciser {
    pub(crate) fn new(shard: usize, oracle: &Shared) -> Self {
        Self { shard, oracle: Shared::clone(oracle) }
    }

    /// A few things at once, so that some follow each other closely.
    fn act(&self, io: &mut Io<'_>) {
        let mut oracle = self.oracle.borrow_mut();
        if oracle.is_quiet {
            return;
        }
        for _ in 0..oracle.random.below(4) {
            self.act_once(&mut oracle, io);
        }
    }

    fn act_once(&self, oracle: &mut Oracle, io: &mut Io<'_>) {
        match oracle.random.below(24) {
            0..=4 => self.emit(oracle, io),
            5..=8 => self.broadcast(oracle, io),
            9..=10 => self.emit_with_ack(oracle, io),
            11 => self.broadcast_with_ack(oracle, io),
            12..=14 => self.use_owned_room(oracle, io),
            15 => self.use_owned_room_of_many(oracle, io),
            16 => self.fetch(oracle, io),
            17 if oracle.random.chance(10) => self.disconnect(oracle, io),
            18..=19 => self.decide(oracle, io),
            20..=21 => self.reply_late(oracle, io),
            22 => {
                let delay = Duration::from_millis(oracle.random.below(40) as u64 + 1);
                io.wake_after(delay, Ticket(oracle.ask(Question::Wake)));
            }
            _ => {}
        }
    }

    fn some_socket(oracle: &mut Oracle) -> Option<SocketId> {
        let living: Vec<SocketId> =
            (0..oracle.sockets.len()).filter(|&socket| !oracle.sockets[socket].is_gone).collect();
        oracle.random.pick(&living).copied()
    }

    /// What every packet carries: who sent it, its serial, and something to fill it.
    fn args(&self, oracle: &mut Oracle, serial: u64) -> Args {
        let mut args = Args::new();
        args.push(&self.shard).unwrap().push(&serial).unwrap();
        if oracle.random.chance(15) {
            args.push_binary(serial.to_be_bytes().to_vec()).unwrap();
        }
        let most = if oracle.random.chance(10) { 600 } else { 30 };
        args.push(&"x".repeat(oracle.random.below(most))).unwrap();
        args
    }

    fn is_here(io: &Io<'_>, key: SocketKey) -> bool {
        io.id(key).is_some()
    }

    fn emit(&self, oracle: &mut Oracle, io: &mut Io<'_>) {
        let Some(socket) = Self::some_socket(oracle) else { return };
        self.emit_to(oracle, io, socket);
    }

    fn emit_to(&self, oracle: &mut Oracle, io: &mut Io<'_>, socket: SocketId) {
        let serial = oracle.next_serial();
        let args = self.args(oracle, serial);
        let key = oracle.sockets[socket].key;
        let volatile = oracle.random.chance(15);
        oracle.unicast(self.shard, socket, serial, Self::is_here(io, key), volatile, args.json().len());
        io.emit_with(key, Flags { volatile, ..Flags::default() }, "e", args.as_ref());
    }

    fn emit_with_ack(&self, oracle: &mut Oracle, io: &mut Io<'_>) {
        let Some(socket) = Self::some_socket(oracle) else { return };
        let serial = oracle.next_serial();
        let args = self.args(oracle, serial);
        let key = oracle.sockets[socket].key;
        oracle.unicast(self.shard, socket, serial, Self::is_here(io, key), false, args.json().len());
        let timeout =
            oracle.random.chance(50).then(|| Duration::from_millis(oracle.random.below(300) as u64 + 1));
        let ticket = oracle.ask(Question::One { socket, serial, has_timeout: timeout.is_some() });
        io.emit_with_ack(key, "q", args.as_ref(), timeout, Ticket(ticket));
    }

    fn some_selector(&self, oracle: &mut Oracle) -> Option<Selector> {
        let namespace = {
            let socket = Self::some_socket(oracle)?;
            oracle.sockets[socket].namespace.clone()
        };
        let mut selector = Selector::namespace(namespace);
        for _ in 0..oracle.random.below(3) {
            let room = self.some_room(oracle);
            selector = selector.to(room);
        }
        for _ in 0..oracle.random.below(2) {
            let room = self.some_room(oracle);
            selector = selector.except(room);
        }
        Some(selector)
    }

    fn some_room(&self, oracle: &mut Oracle) -> String {
        match oracle.random.below(5) {
            0 => {
                let socket = Self::some_socket(oracle);
                socket.map_or_else(String::new, |socket| oracle.sockets[socket].sid.clone())
            }
            1..=2 => owned_room(self.shard, oracle.random.below(OWNED_ROOMS)),
            _ => WISHED_ROOMS[oracle.random.below(WISHED_ROOMS.len())].to_owned(),
        }
    }

    fn broadcast(&self, oracle: &mut Oracle, io: &mut Io<'_>) {
        let Some(selector) = self.some_selector(oracle) else { return };
        self.broadcast_to(oracle, io, &selector);
    }

    fn broadcast_to(&self, oracle: &mut Oracle, io: &mut Io<'_>, selector: &Selector) {
        let serial = oracle.next_serial();
        let args = self.args(oracle, serial);
        let volatile = oracle.random.chance(15);
        let is_here = |key| Self::is_here(io, key);
        oracle.broadcast(self.shard, selector, serial, volatile, args.json().len(), &is_here);
        io.broadcast(selector, Flags { volatile, ..Flags::default() }, "e", args.as_ref());
    }

    fn broadcast_with_ack(&self, oracle: &mut Oracle, io: &mut Io<'_>) {
        let Some(selector) = self.some_selector(oracle) else { return };
        let serial = oracle.next_serial();
        let args = self.args(oracle, serial);
        let is_here = |key| Self::is_here(io, key);
        let members = oracle.members(self.shard, &selector, &is_here);
        oracle.broadcast(self.shard, &selector, serial, false, args.json().len(), &is_here);
        let must = members.into_iter().filter(|(_, need)| *need == Tri::Yes).map(|(socket, _)| socket);
        let (asked, must) = (oracle.step, must.collect());
        let ticket = Ticket(oracle.ask(Question::Many { asked, serial, must }));
        let timeout =
            oracle.random.chance(80).then(|| Duration::from_millis(oracle.random.below(400) as u64 + 1));
        io.broadcast_with_ack(&selector, Flags::default(), "q", args.as_ref(), timeout, ticket);
    }

    /// Joins or leaves for one socket, wherever it lives, and at once a broadcast that must know.
    fn use_owned_room(&self, oracle: &mut Oracle, io: &mut Io<'_>) {
        let Some(socket) = Self::some_socket(oracle) else { return };
        let room = owned_room(self.shard, oracle.random.below(OWNED_ROOMS));
        let (key, sid) = (oracle.sockets[socket].key, oracle.sockets[socket].sid.clone());
        let namespace = oracle.sockets[socket].namespace.clone();
        let join = oracle.random.chance(60);
        // A selector only means sockets that have joined the namespace.
        let (meant, to) = if oracle.random.chance(50) {
            (vec![(socket, Tri::Yes)], None)
        } else {
            let to = Selector::namespace(namespace.clone()).to(sid);
            (oracle.members(self.shard, &to, &|key| Self::is_here(io, key)), Some(to))
        };
        oracle.own(&room, &meant, join);
        oracle.note(|| format!("shard {} puts {meant:?} into {room} (or out): {join}", self.shard));
        match (join, to) {
            (true, None) => io.join(key, &room),
            (false, None) => io.leave(key, &room),
            (true, Some(to)) => io.sockets_join(&to, &[&room]),
            (false, Some(to)) => io.sockets_leave(&to, &[&room]),
        }
        if oracle.random.chance(70) {
            self.broadcast_to(oracle, io, &Selector::namespace(namespace).to(room));
        }
    }

    fn use_owned_room_of_many(&self, oracle: &mut Oracle, io: &mut Io<'_>) {
        let Some(selector) = self.some_selector(oracle) else { return };
        let room = owned_room(self.shard, oracle.random.below(OWNED_ROOMS));
        let mut meant = oracle.members(self.shard, &selector, &|key| Self::is_here(io, key));
        // Clients may change their minds until the request is there.
        if selector.rooms.iter().chain(&selector.except).any(|room| WISHED_ROOMS.contains(&room.as_str())) {
            let elsewhere = |socket: SocketId| oracle.sockets[socket].shard != self.shard;
            meant.iter_mut().filter(|(socket, _)| elsewhere(*socket)).for_each(|(_, is_meant)| {
                *is_meant = Tri::Unknown;
            });
        }
        let join = oracle.random.chance(50);
        oracle.own_many(self.shard, &room, &selector.namespace, &meant, join);
        oracle.note(|| format!("shard {} puts {selector:?} into {room} (or out): {join}", self.shard));
        if join {
            io.sockets_join(&selector, &[&room]);
        } else {
            io.sockets_leave(&selector, &[&room]);
        }
    }

    fn fetch(&self, oracle: &mut Oracle, io: &mut Io<'_>) {
        let Some(selector) = self.some_selector(oracle) else { return };
        let members = oracle.members(self.shard, &selector, &|key| Self::is_here(io, key));
        let of = |wanted: Tri| {
            let members = members.iter().filter(move |(_, need)| *need == wanted);
            members.map(|(socket, _)| *socket).collect::<Vec<_>>()
        };
        let (must, not) = (of(Tri::Yes), of(Tri::No));
        let (asked, namespace) = (oracle.step, selector.namespace.clone());
        let ticket = oracle.ask(Question::Sockets { asked, must, not, namespace });
        io.fetch_sockets(&selector, Ticket(ticket));
    }

    fn disconnect(&self, oracle: &mut Oracle, io: &mut Io<'_>) {
        let Some(socket) = Self::some_socket(oracle) else { return };
        oracle.disconnects(self.shard, socket);
        let close = oracle.random.chance(50);
        if close {
            let client = oracle.sockets[socket].client;
            for other in 0..oracle.sockets.len() {
                if oracle.sockets[other].client == client && !oracle.sockets[other].is_gone {
                    oracle.disconnects(self.shard, other);
                }
            }
        }
        io.disconnect(oracle.sockets[socket].key, close);
    }

    /// Lets in (or not) a socket that waits, be it of this shard or of another.
    fn decide(&self, oracle: &mut Oracle, io: &mut Io<'_>) {
        if oracle.undecided.is_empty() {
            return;
        }
        let place = oracle.random.below(oracle.undecided.len());
        let socket = oracle.undecided.swap_remove(place);
        let key = oracle.sockets[socket].key;
        if oracle.random.chance(15) {
            oracle.note(|| format!("shard {} rejects socket {socket}", self.shard));
            oracle.rejects(self.shard, socket);
            return io.reject(key, Rejection { message: "no".to_owned(), data: None });
        }
        oracle.note(|| format!("shard {} accepts socket {socket}", self.shard));
        oracle.sockets[socket].accepted_by = Some(self.shard);
        oracle.sockets[socket].is_admitted = Self::is_here(io, key);
        io.accept(key);
        if oracle.random.chance(70) {
            let namespace = oracle.sockets[socket].namespace.clone();
            self.broadcast_to(oracle, io, &Selector::namespace(namespace));
        }
    }

    fn reply_late(&self, oracle: &mut Oracle, io: &mut Io<'_>) {
        if !oracle.replies.is_empty() {
            let place = oracle.random.below(oracle.replies.len());
            let (socket, number, reply) = oracle.replies.swap_remove(place);
            self.reply(oracle, io, socket, number, reply);
        }
    }

    fn reply(
        &self,
        oracle: &mut Oracle,
        io: &mut Io<'_>,
        socket: SocketId,
        number: u64,
        reply: tidegate_core::shard::app::Reply,
    ) {
        let serial = oracle.next_serial();
        let mut args = Args::new();
        args.push(&self.shard).unwrap().push(&serial).unwrap().push(&number).unwrap();
        let key = oracle.sockets[socket].key;
        oracle.unicast(self.shard, socket, serial, Self::is_here(io, key), false, args.json().len());
        io.reply(reply, args.as_ref());
    }
}

impl App for Exerciser {
    fn connect(&mut self, io: &mut Io<'_>, socket: SocketKey, request: &Connect<'_>) -> Verdict {
        let auth: serde_json::Value = serde_json::from_str(request.auth).expect("JSON");
        let client = auth["client"].as_u64().expect("every client says who it is") as usize;
        assert!(request.handshake.url().contains(&format!("c={client}&")), "the first request is kept");
        let mut oracle = self.oracle.borrow_mut();
        let sid = request.id.encode().to_string();
        oracle.connecting(client, socket, self.shard, request.namespace, sid);
        let id = oracle.socket(socket);
        if oracle.random.chance(20) {
            self.emit_to(&mut oracle, io, id);
        }
        match auth["wants"].as_str() {
            Some("accept") => {
                oracle.sockets[id].accepted_by = Some(self.shard);
                Verdict::Accept
            }
            Some("later") => {
                oracle.undecided.push(id);
                io.wake_after(Duration::from_millis(20), Ticket(oracle.ask(Question::Wake)));
                Verdict::Later
            }
            Some("nobody") => {
                oracle.rejects(self.shard, id);
                Verdict::InvalidNamespace
            }
            _ => {
                oracle.rejects(self.shard, id);
                Verdict::Reject(Rejection { message: "no".to_owned(), data: Some("{\"a\":1}".to_owned()) })
            }
        }
    }

    fn connected(&mut self, io: &mut Io<'_>, socket: SocketKey) {
        {
            let mut oracle = self.oracle.borrow_mut();
            let id = oracle.socket(socket);
            let model = &mut oracle.sockets[id];
            assert!(!model.is_connected && !model.is_gone, "connected once, and before it leaves");
            (model.is_connected, model.is_admitted) = (true, true);
        }
        self.act(io);
    }

    fn event(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>) {
        let name = event.name.and_then(|name| name.text()).expect("events have names").into_owned();
        let number = event.args.parse::<u64>(0).and_then(Result::ok);
        {
            let mut oracle = self.oracle.borrow_mut();
            let id = oracle.socket(socket);
            let Some(number) = number else {
                let client = oracle.sockets[id].client;
                assert!(oracle.clients[client].excuse.is_some(), "client {client} talks nonsense");
                return;
            };
            oracle.event(id, number);
            assert_eq!(oracle.sockets[id].namespace, event.namespace);
            for attachment in event.args.attachments() {
                assert_eq!(attachment.as_ref(), number.to_be_bytes(), "attachments come with their event");
            }
            if let join @ ("join" | "leave") = name.as_str() {
                let room: String = event.args.parse(1).expect("a room").expect("text");
                let join = join == "join";
                if join {
                    io.join(socket, &room);
                } else {
                    io.leave(socket, &room);
                }
                oracle.wished(id, &room, join);
                let rooms = io.rooms(socket);
                assert!(rooms.is_empty() || rooms.contains(&room) == join, "{rooms:?}");
                self.reply(&mut oracle, io, id, number, event.reply.expect("the client wants to know"));
            } else if let Some(reply) = event.reply {
                if oracle.random.chance(50) {
                    self.reply(&mut oracle, io, id, number, reply);
                } else {
                    oracle.replies.push((id, number, reply));
                }
            }
        }
        self.act(io);
    }

    fn acknowledged(&mut self, io: &mut Io<'_>, ticket: Ticket, answer: Result<ArgsRef<'_>, AckError>) {
        {
            let mut oracle = self.oracle.borrow_mut();
            let question = oracle.questions.remove(&ticket.0).expect("one outcome of one question");
            let Question::One { socket, serial, has_timeout } = question else { panic!("{question:?}") };
            oracle.note(|| format!("question {serial} has its outcome: {answer:?}"));
            let answered = oracle.answers.get(&serial).is_some_and(|sockets| sockets.contains(&socket));
            match answer {
                Ok(args) => {
                    assert!(answered, "nobody answered {serial}");
                    let text: String = args.parse(0).expect("a serial and a socket").expect("text");
                    assert_eq!(text, format!("{serial} {socket}"));
                    assert!(args.attachments().iter().all(|bytes| bytes.as_ref() == serial.to_be_bytes()));
                }
                Err(AckError::TimedOut) => assert!(has_timeout),
                Err(AckError::Disconnected) => {
                    let model = &oracle.sockets[socket];
                    let is_excused = oracle.clients[model.client].excuse.is_some();
                    let may_go = model.is_leaving || is_excused || oracle.may_be_slow(model.client);
                    assert!(may_go, "socket {socket} is still there");
                }
            }
        }
        self.act(io);
    }

    fn broadcast_acknowledged(&mut self, io: &mut Io<'_>, ticket: Ticket, acks: BroadcastAcks) {
        {
            let mut oracle = self.oracle.borrow_mut();
            let question = oracle.questions.remove(&ticket.0).expect("one outcome of one question");
            let Question::Many { asked, serial, must } = question else { panic!("{question:?}") };
            let answers = oracle.answers.get(&serial).cloned().unwrap_or_default();
            let mut seen = std::collections::BTreeSet::new();
            for response in &acks.responses {
                let text: String = response.as_ref().parse(0).expect("one argument").expect("text");
                let (answered, socket) = text.split_once(' ').expect("two numbers");
                assert_eq!(answered, serial.to_string());
                let socket: SocketId = socket.parse().expect("a number");
                assert!(answers.contains(&socket) && seen.insert(socket), "socket {socket} counted twice");
            }
            for socket in must.iter().filter(|socket| oracle.is_calm(**socket, asked)) {
                assert!(acks.timed_out || seen.contains(socket), "socket {socket} is missing");
            }
        }
        self.act(io);
    }

    fn fetched(&mut self, io: &mut Io<'_>, ticket: Ticket, sockets: Vec<SocketInfo>) {
        {
            let mut oracle = self.oracle.borrow_mut();
            let question = oracle.questions.remove(&ticket.0).expect("one outcome of one question");
            let Question::Sockets { asked, must, not, namespace } = question else { panic!("{question:?}") };
            let mut found: Vec<SocketId> = sockets.iter().map(|info| oracle.socket(info.key)).collect();
            for (info, &socket) in sockets.iter().zip(&found) {
                let model = &oracle.sockets[socket];
                assert_eq!((info.id.encode().as_str(), &namespace), (model.sid.as_str(), &model.namespace));
                assert_eq!(info.rooms[0], model.sid);
            }
            found.sort_unstable();
            assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "each socket once");
            for socket in must.iter().filter(|socket| oracle.is_calm(**socket, asked)) {
                assert!(found.contains(socket), "socket {socket} is missing");
            }
            for socket in not.iter().filter(|socket| oracle.is_calm(**socket, asked)) {
                assert!(!found.contains(socket), "socket {socket} was not asked for");
            }
        }
        self.act(io);
    }

    fn woken(&mut self, io: &mut Io<'_>, ticket: Ticket) {
        {
            let mut oracle = self.oracle.borrow_mut();
            assert!(matches!(oracle.questions.remove(&ticket.0), Some(Question::Wake)), "woken once");
            self.decide(&mut oracle, io);
        }
        self.act(io);
    }

    fn abandoned(&mut self, io: &mut Io<'_>, socket: SocketKey) {
        let id = self.oracle.borrow().socket(socket);
        self.oracle.borrow_mut().forget(id, "abandoned");
        self.act(io);
    }

    fn disconnected(&mut self, io: &mut Io<'_>, socket: Departed) {
        {
            let mut oracle = self.oracle.borrow_mut();
            let id = oracle.socket(socket.key);
            assert!(oracle.sockets[id].is_connected, "only who was let in can leave");
            oracle.gone(id, socket.reason);
        }
        self.act(io);
    }
}
