//! What must be true: every socket and link there ever was, what was said to and by each, and what has to follow.
//!
//! Clients and backends tell the model what they do before they do it, and what they see when they see it.

use crate::random::Random;
use crate::sim::world::{StreamId, World};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tidegate_core::options::{BackendOptions, Options};
use tidegate_core::shard::app::SocketKey;
use tidegate_core::time::Instant;

/// A client; a socket of one, for one CONNECT; a link; what a link has sent as number so-and-so.
pub(crate) type ClientNo = usize;
pub(crate) type SocketNo = usize;
pub(crate) type LinkNo = usize;
pub(crate) type Serial = u64;

/// Served at most once, and at least once.
pub(crate) const NAMESPACES: [&str; 3] = ["/", "/a", "/again"];

pub(crate) fn is_redelivered(namespace: &str) -> bool {
    namespace == "/again"
}

/// Bytes of an EVENT frame without its JSON.
const EVENT_FRAME_BYTES: u64 = 30;

/// An event of a client.
pub(crate) struct Sent {
    step: u64,
    bytes: u64,
    /// Whether some backend has read it.
    got: bool,
}

/// Something a backend did to a socket, and where in its stream it ends.
pub(crate) enum Change {
    Join(String),
    Leave(String),
    Data(String),
}

pub(crate) struct Socket {
    pub(crate) client: ClientNo,
    pub(crate) namespace: &'static str,
    pub(crate) key: Option<SocketKey>,
    /// Public id and handshake, as the first backend heard them.
    introduction: Option<(String, String)>,
    /// The client has been let in, and knows its id.
    sid: Option<String>,
    /// The client is out again, or on its way.
    pub(crate) is_out: bool,
    /// Some backend has asked for its end.
    pub(crate) may_be_ended: bool,
    /// Some backend has declined or rejected it.
    pub(crate) may_be_refused: bool,
    pub(crate) sent: Vec<Sent>,
    /// The number of the next event that nobody has read.
    next: usize,
    /// Whom it was offered to last, and whether that one has let it go.
    offered_to: Option<LinkNo>,
    is_let_go: bool,
    /// Where in that one's stream it says so.
    let_go_at: u64,
    unserved_since: Option<Instant>,
    /// Links that died with it since an event was read last, and whether one ever has.
    died: Vec<LinkNo>,
    has_died: bool,
    changes: Vec<(LinkNo, u64, Change)>,
    /// What it has to get: link and serial, and where in the link's stream that ends.
    expected: Vec<(LinkNo, Serial, u64)>,
    received: BTreeSet<(LinkNo, Serial)>,
    last_received: BTreeMap<LinkNo, Serial>,
    /// Its questions that were answered: number, link, and where in the link's stream that ends.
    answered: Vec<(usize, LinkNo, u64)>,
    answers: BTreeMap<usize, usize>,
}

pub(crate) struct Link {
    pub(crate) stream: StreamId,
    pub(crate) window: u64,
    /// Its backend is gone, or the gateway will end it; what it has sent up to here is heard.
    pub(crate) heard_until: Option<u64>,
    /// Bytes of events that were lost with it.
    lost_bytes: u64,
    largest_event: u64,
    pub(crate) broadcasts: BTreeMap<Serial, String>,
}

pub(crate) struct Model {
    pub(crate) random: Random,
    pub(crate) step: u64,
    pub(crate) now: Instant,
    pub(crate) shards: u64,
    pub(crate) hold: Duration,
    pub(crate) connect_timeout: Duration,
    /// Every link serves every namespace, and declines nothing.
    pub(crate) is_tidy: bool,
    /// No new work.
    pub(crate) is_quiet: bool,
    pub(crate) sockets: Vec<Socket>,
    pub(crate) links: Vec<Link>,
    by_key: BTreeMap<SocketKey, SocketNo>,
    pub(crate) met: BTreeMap<&'static str, u64>,
    pub(crate) log: Vec<String>,
    pub(crate) log_lines: usize,
}

impl Socket {
    pub(crate) fn has_received(&self, link: LinkNo, serial: Serial) -> bool {
        self.received.contains(&(link, serial))
    }
}

impl Model {
    pub(crate) fn new(
        random: Random,
        shards: usize,
        options: &Options,
        backend: &BackendOptions,
        log_lines: usize,
    ) -> Self {
        let mut random = random;
        Self {
            step: 0,
            now: Instant::ORIGIN,
            shards: shards as u64,
            hold: backend.hold,
            connect_timeout: options.connect_timeout,
            is_tidy: random.chance(50),
            is_quiet: false,
            sockets: Vec::new(),
            links: Vec::new(),
            by_key: BTreeMap::new(),
            met: BTreeMap::new(),
            log: Vec::new(),
            log_lines,
            random,
        }
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.log_lines > 0 {
            self.log.push(format!("{} at {}: {}", self.step, self.now.as_millis(), line()));
        }
    }

    pub(crate) fn meet(&mut self, what: &'static str, count: u64) {
        *self.met.entry(what).or_default() += count;
    }

    // Clients.

    pub(crate) fn connects(&mut self, client: ClientNo, namespace: &'static str) -> SocketNo {
        self.sockets.push(Socket {
            client,
            namespace,
            key: None,
            introduction: None,
            sid: None,
            is_out: false,
            may_be_ended: false,
            may_be_refused: false,
            sent: Vec::new(),
            next: 0,
            offered_to: None,
            is_let_go: false,
            let_go_at: 0,
            unserved_since: Some(self.now),
            died: Vec::new(),
            has_died: false,
            changes: Vec::new(),
            expected: Vec::new(),
            received: BTreeSet::new(),
            last_received: BTreeMap::new(),
            answered: Vec::new(),
            answers: BTreeMap::new(),
        });
        let socket = self.sockets.len() - 1;
        self.note(|| format!("client {client} asks for {namespace} as socket {socket}"));
        socket
    }

    pub(crate) fn let_in(&mut self, no: SocketNo, sid: &str) {
        let socket = &mut self.sockets[no];
        assert!(socket.sid.is_none(), "socket {no} is let in once");
        socket.sid = Some(sid.to_owned());
        let (id, _) = socket.introduction.as_ref().expect("a backend has let it in");
        assert_eq!(id, sid, "the client of socket {no} and its backend know the same id");
    }

    pub(crate) fn refused(&mut self, no: SocketNo, message: &str) {
        self.note(|| format!("socket {no} is refused: {message}"));
        let socket = &mut self.sockets[no];
        socket.is_out = true;
        assert!(socket.sid.is_none(), "who is in is not refused");
        match message {
            "no" => assert!(socket.may_be_refused, "nobody has rejected socket {no}"),
            "Invalid namespace" => {
                assert!(!self.is_tidy, "everybody serves the namespace of socket {no}");
                self.meet("invalid namespaces", 1);
            }
            other => panic!("socket {no} is refused for {other:?}"),
        }
    }

    /// A client is about to send an event of so many bytes of JSON.
    pub(crate) fn says(&mut self, no: SocketNo, bytes: usize) {
        let sent = Sent { step: self.step, bytes: bytes as u64 + EVENT_FRAME_BYTES, got: false };
        self.sockets[no].sent.push(sent);
    }

    /// A client gets what a backend has sent.
    pub(crate) fn client_gets(
        &mut self,
        no: SocketNo,
        link: LinkNo,
        serial: Serial,
        meant: Option<SocketNo>,
    ) {
        let socket = &mut self.sockets[no];
        assert!(meant.is_none_or(|meant| meant == no), "socket {no} gets what is meant for {meant:?}");
        let last = socket.last_received.insert(link, serial);
        assert!(last < Some(serial), "link {link} to socket {no}: {serial} comes after {last:?}");
        socket.received.insert((link, serial));
        if let Some(room) = self.links[link].broadcasts.get(&serial).filter(|room| !room.is_empty()) {
            let is_join = |change: &Change| matches!(change, Change::Join(joined) if joined == room);
            assert!(
                socket.changes.iter().any(|(.., change)| is_join(change)),
                "socket {no} gets {serial} of link {link}, and was never in {room}"
            );
        }
    }

    pub(crate) fn client_gets_answer(&mut self, no: SocketNo, number: usize, link: LinkNo) {
        let socket = &mut self.sockets[no];
        assert!(
            socket.answered.iter().any(|(answered, by, _)| (*answered, *by) == (number, link)),
            "link {link} has not answered {number} of socket {no}"
        );
        let count = socket.answers.entry(number).or_default();
        *count += 1;
        assert!(*count == 1 || is_redelivered(socket.namespace), "{number} of socket {no} is answered once");
    }

    /// A client sees one of its sockets go, by the server's wish.
    pub(crate) fn thrown_out(&mut self, no: SocketNo) {
        self.note(|| format!("socket {no} is thrown out"));
        assert!(self.sockets[no].may_be_ended, "nobody has asked for the end of socket {no}");
        self.sockets[no].is_out = true;
    }

    /// A client sees its session end, by the server's wish.
    pub(crate) fn closed(&mut self, client: ClientNo, opened: Instant, was_in: Option<Instant>) {
        self.note(|| format!("the session of client {client} is closed"));
        let (now, hold, connect_timeout) = (self.now, self.hold, self.connect_timeout);
        let mut excuses = 0;
        let mut expired = false;
        for socket in self.sockets.iter_mut().filter(|socket| socket.client == client) {
            let patience = if socket.sid.is_some() { hold } else { hold.min(connect_timeout) };
            let has_waited = socket.unserved_since.is_some_and(|since| now - since >= patience);
            excuses += u64::from(socket.may_be_ended);
            expired |= has_waited && !socket.is_out;
            socket.is_out = true;
        }
        let never_in = was_in.is_none() && now - opened >= connect_timeout;
        assert!(excuses > 0 || expired || never_in, "the session of client {client} is closed for no reason");
        if expired && excuses == 0 {
            self.meet("holds that expired", 1);
        }
    }

    /// A client goes by itself.
    pub(crate) fn leaves(&mut self, client: ClientNo) {
        self.note(|| format!("client {client} leaves"));
        for socket in self.sockets.iter_mut().filter(|socket| socket.client == client) {
            socket.is_out = true;
        }
    }

    // Links.

    pub(crate) fn dials(&mut self, stream: StreamId, window: u32) -> LinkNo {
        self.links.push(Link {
            stream,
            window: window.into(),
            heard_until: None,
            lost_bytes: 0,
            largest_event: 0,
            broadcasts: BTreeMap::new(),
        });
        self.links.len() - 1
    }

    /// A link is no more, or soon; its sockets have nobody.
    pub(crate) fn dies(&mut self, link: LinkNo, heard_until: u64) {
        self.note(|| format!("link {link} dies, heard until {heard_until}"));
        // One that has sent garbage may crash before that is read.
        let before = self.links[link].heard_until.unwrap_or(u64::MAX);
        self.links[link].heard_until = Some(before.min(heard_until));
        for socket in &mut self.sockets {
            let was_heard = socket.is_let_go && socket.let_go_at <= heard_until;
            if socket.offered_to == Some(link) && !was_heard {
                socket.is_let_go = true;
                socket.died.push(link);
                socket.has_died = true;
                socket.unserved_since = Some(self.now);
            }
        }
    }

    /// A live link gives a socket back, at a place in its stream.
    pub(crate) fn lets_go(&mut self, link: LinkNo, no: SocketNo, end: u64) {
        let socket = &mut self.sockets[no];
        if socket.offered_to == Some(link) {
            (socket.is_let_go, socket.let_go_at) = (true, end);
            socket.unserved_since = Some(self.now);
        }
    }

    fn is_heard(&self, link: LinkNo, end: u64) -> bool {
        self.links[link].heard_until.is_none_or(|until| end <= until)
    }

    /// A link is asked to take a socket. Says which, and which rooms it is in.
    pub(crate) fn offered(
        &mut self,
        link: LinkNo,
        connect: &tidegate_core::backend::wire::Connect<'_>,
    ) -> (SocketNo, BTreeSet<String>) {
        let handshake: serde_json::Value = serde_json::from_str(connect.handshake).expect("JSON");
        let no = handshake["auth"]["socket"].as_u64().expect("every client says which socket it is") as usize;
        self.note(|| {
            format!(
                "link {link} is offered socket {no} {:?}: {:?}",
                connect.socket,
                connect.adopted.is_some()
            )
        });
        let socket = &mut self.sockets[no];
        assert_eq!(connect.namespace, socket.namespace);
        assert_eq!(*socket.key.get_or_insert(connect.socket), connect.socket, "its key never changes");
        assert_eq!(*self.by_key.entry(connect.socket).or_insert(no), no, "keys are never used again");
        let introduction = (connect.id.encode().to_string(), connect.handshake.to_owned());
        let first = socket.introduction.get_or_insert_with(|| introduction.clone());
        assert_eq!(*first, introduction, "id and handshake of socket {no} never change");
        if let Some(before) = socket.offered_to {
            assert!(socket.is_let_go, "socket {no} is offered to {link} while {before} has it");
        }
        (socket.offered_to, socket.is_let_go, socket.unserved_since) = (Some(link), false, None);
        if socket.sid.is_some() {
            assert!(connect.adopted.is_some(), "socket {no} is in already");
        }
        let (rooms, data) = self.left_behind(no);
        if let Some(adopted) = connect.adopted {
            let told: BTreeSet<String> = adopted.rooms.iter().map(ToOwned::to_owned).collect();
            assert_eq!(told, rooms, "the rooms of socket {no}, which {link} adopts");
            assert_eq!(adopted.data, data.as_deref(), "the data of socket {no}, which {link} adopts");
            self.meet("adoptions", 1);
        }
        (no, rooms)
    }

    /// The rooms and the data of a socket, as far as the gateway has heard.
    fn left_behind(&self, no: SocketNo) -> (BTreeSet<String>, Option<String>) {
        let (mut rooms, mut data) = (BTreeSet::new(), None);
        for (link, end, change) in &self.sockets[no].changes {
            if self.is_heard(*link, *end) {
                match change {
                    Change::Join(room) => drop(rooms.insert(room.clone())),
                    Change::Leave(room) => drop(rooms.remove(room)),
                    Change::Data(json) => data = Some(json.clone()),
                }
            }
        }
        (rooms, data)
    }

    pub(crate) fn changes(&mut self, link: LinkNo, end: u64, no: SocketNo, change: Change) {
        self.sockets[no].changes.push((link, end, change));
    }

    /// A link sends something that these sockets must get, if it is heard.
    pub(crate) fn sends(&mut self, link: LinkNo, serial: Serial, end: u64, to: &[SocketNo]) {
        to.iter().for_each(|&no| self.sockets[no].expected.push((link, serial, end)));
    }

    pub(crate) fn answers(&mut self, link: LinkNo, end: u64, no: SocketNo, number: usize) {
        self.sockets[no].answered.push((number, link, end));
    }

    /// A backend reads an event. `is_first`: its first of this socket. Returns the number that must come next there.
    pub(crate) fn backend_gets(
        &mut self,
        world: &World,
        link: LinkNo,
        no: SocketNo,
        number: usize,
        redelivered: bool,
        is_first: bool,
    ) -> usize {
        self.note(|| format!("link {link} reads {number} of socket {no} (again: {redelivered})"));
        if is_first {
            self.excuse_gap(world, no, number, redelivered);
        }
        let socket = &mut self.sockets[no];
        assert!(number <= socket.next, "socket {no}: {number} comes before {}", socket.next);
        if number < socket.next {
            assert!(redelivered, "{number} of socket {no} comes again, unmarked");
        }
        assert!(!redelivered || is_redelivered(socket.namespace), "socket {no} is served at most once");
        socket.sent[number].got = true;
        socket.next = socket.next.max(number + 1);
        let bytes = socket.sent[number].bytes;
        self.links[link].largest_event = self.links[link].largest_event.max(bytes);
        self.meet("events that were read again", u64::from(redelivered));
        number + 1
    }

    /// Whether events may be missing before `number`: lost with links that died.
    fn excuse_gap(&mut self, world: &World, no: SocketNo, number: usize, redelivered: bool) {
        let socket = &mut self.sockets[no];
        let died = std::mem::take(&mut socket.died);
        assert!(!redelivered || socket.has_died, "nobody has died who had socket {no}");
        if number <= socket.next {
            return;
        }
        assert!(!is_redelivered(socket.namespace), "socket {no}: {} to {number} are lost", socket.next);
        let shard = usize::from(u16::from_le_bytes(
            socket.key.expect("it was offered").to_bytes()[8..].try_into().unwrap(),
        ));
        for missing in socket.next..number {
            let Sent { step, bytes, .. } = socket.sent[missing];
            let culprits: Vec<LinkNo> = died
                .iter()
                .copied()
                .filter(|&link| {
                    let port = self.links[link].stream;
                    world.death_steps.get(&(port, shard)).is_none_or(|&heard| step <= heard)
                })
                .collect();
            assert!(
                !culprits.is_empty(),
                "{missing} of socket {no}, sent in step {step}, is lost, and no link with it: {died:?}"
            );
            // It may have been held while one died after the other.
            if let [culprit] = culprits[..] {
                let culprit = &mut self.links[culprit];
                culprit.lost_bytes += bytes;
                culprit.largest_event = culprit.largest_event.max(bytes);
                let most = culprit.window + self.shards * culprit.largest_event;
                assert!(culprit.lost_bytes <= most, "more was lost with a link than its window");
            }
        }
        let lost = number - socket.next;
        socket.next = number;
        self.meet("events that were lost", lost as u64);
    }

    // The end.

    /// Everything has come that had to come to a socket that lives.
    pub(crate) fn assert_served(&mut self, world: &World, no: SocketNo) {
        let socket = &self.sockets[no];
        assert!(!socket.is_let_go, "socket {no} has a backend");
        assert!(socket.sid.is_some(), "socket {no} is in");
        let missing: Vec<_> = socket
            .expected
            .iter()
            .filter(|(link, serial, end)| {
                self.is_heard(*link, *end) && !socket.received.contains(&(*link, *serial))
            })
            .collect();
        assert!(missing.is_empty(), "socket {no} did not get {missing:?}");
        for (number, link, end) in &socket.answered {
            let got = socket.answers.contains_key(number);
            assert!(got || !self.is_heard(*link, *end), "socket {no} got no answer to {number} of {link}");
        }
        self.assert_read(world, no);
    }

    /// Every event of a socket was read, or lost with a link that died.
    pub(crate) fn assert_read(&mut self, world: &World, no: SocketNo) {
        let end = self.sockets[no].sent.len();
        self.excuse_gap(world, no, end, false);
        let socket = &self.sockets[no];
        if is_redelivered(socket.namespace) {
            assert!(socket.sent.iter().all(|sent| sent.got), "every event of socket {no} was read");
        }
    }

    /// Sockets whose clients are in and want to stay.
    pub(crate) fn living(&self) -> Vec<SocketNo> {
        (0..self.sockets.len()).filter(|&no| !self.sockets[no].is_out).collect()
    }
}
