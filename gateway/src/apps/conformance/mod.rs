//! What protocol suites and real-client tests talk to: the app of design §5 and of
//! `gateway/tests/clients/BEHAVIOURS.md`, which is normative here. `app-stock.mjs` next to that page is the same
//! app on stock Socket.IO.
//!
//! Here: namespaces, what is common to them, and outcomes. `commands` is what `/behaviours` can do besides.
//! A command whose arguments make no sense is ignored; the page says nothing about it.

mod commands;
mod payload;
mod shared;

pub(super) use shared::Shared;

use super::args::{parse, placeholders, plain, renumber};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::{Held, Meeting};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tidegate_core::shard::Io;
use tidegate_core::shard::app::{
    AckError, App, BroadcastAcks, Connect, Departed, Event, Rejection, Reply, SocketInfo, SocketKey, Ticket,
    Verdict,
};
use tidegate_core::socket_io::{ArgsRef, EventName};

const BEHAVIOURS: &str = "/behaviours";
const TIMED_OUT: &str = "operation has timed out";

/// The part of the app that one shard calls.
pub(super) struct Conformance {
    shared: Arc<Shared>,
    /// Namespace of each socket between its verdict and `connected`, except [`BEHAVIOURS`].
    arriving: HashMap<SocketKey, String>,
    /// Who gets the outcome of what was asked of [`Io`]. One entry per outcome that is still to come.
    asked: HashMap<u64, Reply>,
    next_ticket: u64,
}

/// What the app reads of a handshake.
#[derive(Deserialize)]
struct Handshake<'a> {
    #[serde(borrow)]
    auth: &'a RawValue,
    #[serde(default)]
    query: BTreeMap<String, IgnoredAny>,
}

/// `auth`, by key. The values are raw, because `null` is a value too.
type Auth<'a> = BTreeMap<String, &'a RawValue>;

/// One socket as `fetch` reports it.
#[derive(Serialize)]
struct Fetched<'a> {
    id: String,
    rooms: Vec<String>,
    data: &'a RawValue,
    auth: &'a RawValue,
}

/// What `disconnecting` saw.
#[derive(Serialize)]
struct Goodbye<'a> {
    reason: &'a str,
    rooms: Vec<String>,
}

impl Conformance {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, arriving: HashMap::new(), asked: HashMap::new(), next_ticket: 0 }
    }

    /// A ticket whose outcome goes to `reply`.
    fn ticket(&mut self, reply: Option<Reply>) -> Ticket {
        self.next_ticket += 1;
        if let Some(reply) = reply {
            self.asked.insert(self.next_ticket, reply);
        }
        Ticket(self.next_ticket)
    }

    fn connect_to_behaviours(&self, io: &mut Io<'_>, socket: SocketKey, auth: &Auth<'_>) -> Verdict {
        if let Some(message) = auth.get("reject") {
            return refuse(&text_of(message), auth.get("data").map(|data| data.get().to_owned()));
        }
        let Some(key) = auth.get("hold") else { return Verdict::Accept };
        let meeting = self.shared.lock().gates.hold(key.get(), Held::Connect(socket));
        match meeting {
            Some(Meeting { releaser, .. }) => {
                answer(io, releaser, plain("true"));
                Verdict::Accept
            }
            None => Verdict::Later,
        }
    }

    /// The events every namespace knows. Gives the event back if it is not one of them.
    fn common<'a>(&self, io: &mut Io<'_>, socket: SocketKey, event: Event<'a>) -> Option<Event<'a>> {
        let Event { name, args, reply, namespace } = event;
        match name.and_then(EventName::text).as_deref() {
            Some("echo") => match reply {
                Some(reply) => io.reply(reply, args),
                None => io.emit(socket, "echo", args),
            },
            Some("bye") => io.disconnect(socket, parse(args, 0).unwrap_or(false)),
            Some("message") => io.emit(socket, "message-back", args),
            Some("message-with-ack") => answer(io, reply, args),
            Some("nsp") => answer(io, reply, plain(&json(namespace))),
            _ => return Some(Event { name, args, reply, namespace }),
        }
        None
    }
}

impl App for Conformance {
    fn connect(&mut self, io: &mut Io<'_>, socket: SocketKey, request: &Connect<'_>) -> Verdict {
        let auth: Auth<'_> = serde_json::from_str(request.auth).unwrap_or_default();
        let verdict = match request.namespace {
            "/" | "/custom" | "/admin" => Verdict::Accept,
            "/mw" => refuse("nope", auth.get("data").map(|_| r#"{"code":42}"#.to_owned())),
            "/gate" => {
                match self.shared.lock().attempts.refuse(auth.get("key").map_or("", |key| key.get())) {
                    Some(left) => refuse("closed", Some(format!(r#"{{"left":{left}}}"#))),
                    None => Verdict::Accept,
                }
            }
            BEHAVIOURS => self.connect_to_behaviours(io, socket, &auth),
            name if is_dynamic(name) => Verdict::Accept,
            _ => Verdict::InvalidNamespace,
        };
        if matches!(verdict, Verdict::Accept) && request.namespace != BEHAVIOURS {
            self.arriving.insert(socket, request.namespace.to_owned());
        }
        verdict
    }

    fn connected(&mut self, io: &mut Io<'_>, socket: SocketKey) {
        let namespace = self.arriving.remove(&socket).unwrap_or_else(|| BEHAVIOURS.to_owned());
        if is_dynamic(&namespace) {
            *self.shared.lock().dynamic.entry(namespace).or_default() += 1;
            return;
        }
        let Some(text) = io.handshake_json(socket) else { return };
        let Ok(handshake) = serde_json::from_str::<Handshake<'_>>(&text) else { return };
        match namespace.as_str() {
            "/" | "/custom" if !handshake.query.contains_key("quiet") => {
                io.emit(socket, "auth", plain(handshake.auth.get()));
            }
            BEHAVIOURS => {
                let auth: Auth<'_> = serde_json::from_str(handshake.auth.get()).unwrap_or_default();
                if auth.contains_key("welcome")
                    && let Some(id) = io.id(socket)
                {
                    io.emit(socket, "welcome", plain(&json(id.encode().as_str())));
                }
            }
            _ => {}
        }
    }

    fn event(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>) {
        let Some(event) = self.common(io, socket, event) else { return };
        if event.namespace == BEHAVIOURS {
            self.command(io, socket, event);
        }
    }

    fn acknowledged(&mut self, io: &mut Io<'_>, ticket: Ticket, outcome: Result<ArgsRef<'_>, AckError>) {
        let reply = self.asked.remove(&ticket.0);
        let (err, args) = match outcome {
            Ok(args) => ("null".to_owned(), args),
            Err(AckError::TimedOut) => (json(TIMED_OUT), plain("")),
            // As Node, which waits for ever; and the one who asked has left too.
            Err(AckError::Disconnected) => return,
        };
        let text = format!(r#"{{"err":{err},"res":[{}]}}"#, args.json());
        answer(io, reply, ArgsRef::trusted(&text, args.attachments()));
    }

    fn broadcast_acknowledged(&mut self, io: &mut Io<'_>, ticket: Ticket, acks: BroadcastAcks) {
        let reply = self.asked.remove(&ticket.0);
        let err = if acks.timed_out { json(TIMED_OUT) } else { "null".to_owned() };
        let (mut list, mut attachments) = (String::new(), Vec::new());
        for response in &acks.responses {
            if !list.is_empty() {
                list.push(',');
            }
            // No argument at all is `undefined`, which is `null` in a list.
            let text = if response.json().is_empty() { "null" } else { response.json() };
            if response.attachments().is_empty() {
                list.push_str(text);
            } else {
                debug_assert_eq!(placeholders(text), response.attachments().len());
                list.push_str(&renumber(text, attachments.len()));
                attachments.extend_from_slice(response.attachments());
            }
        }
        let text = format!(r#"{{"err":{err},"res":[{list}]}}"#);
        answer(io, reply, ArgsRef::trusted(&text, &attachments));
    }

    fn fetched(&mut self, io: &mut Io<'_>, ticket: Ticket, sockets: Vec<SocketInfo>) {
        let reply = self.asked.remove(&ticket.0);
        let mut found: Vec<_> = sockets.iter().filter_map(describe).collect();
        found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        answer(io, reply, plain(&json(&found)));
    }

    fn abandoned(&mut self, _io: &mut Io<'_>, socket: SocketKey) {
        self.arriving.remove(&socket);
    }

    fn disconnected(&mut self, io: &mut Io<'_>, socket: Departed) {
        let id = socket.id.encode();
        let mut rooms = socket.rooms;
        rooms.push(id.to_string());
        sort(&mut rooms);
        let goodbye = json(&Goodbye { reason: socket.reason.as_str(), rooms });
        let waiting = {
            let mut state = self.shared.lock();
            if let Some(sockets) = state.dynamic.get_mut(&socket.namespace) {
                *sockets -= 1;
                if *sockets == 0 {
                    state.dynamic.remove(&socket.namespace);
                }
            }
            state.disconnects.tell(id.as_str(), &goodbye)
        };
        for reply in waiting {
            io.reply(reply, plain(&goodbye));
        }
    }
}

/// A namespace that `/^\/dyn-\d+$/` matches.
fn is_dynamic(namespace: &str) -> bool {
    let digits = namespace.strip_prefix("/dyn-").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn refuse(message: &str, data: Option<String>) -> Verdict {
    Verdict::Reject(Rejection { message: message.to_owned(), data })
}

/// What `String(value)` would be, for the values tests use.
fn text_of(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

fn describe(socket: &SocketInfo) -> Option<Fetched<'_>> {
    let mut rooms = socket.rooms.clone();
    sort(&mut rooms);
    let data = serde_json::from_str(socket.data.as_deref().unwrap_or("{}")).ok()?;
    let handshake: Handshake<'_> = serde_json::from_str(&socket.handshake).ok()?;
    Some(Fetched { id: socket.id.encode().to_string(), rooms, data, auth: handshake.auth })
}

/// As JavaScript sorts strings.
fn sort(rooms: &mut [String]) {
    rooms.sort_unstable_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
}

fn answer(io: &mut Io<'_>, reply: Option<Reply>, args: ArgsRef<'_>) {
    if let Some(reply) = reply {
        io.reply(reply, args);
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("maps here have text keys, and the rest is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamic_namespaces_are_dyn_and_digits() {
        for name in ["/dyn-0", "/dyn-123456789012345678901234567890"] {
            assert!(is_dynamic(name), "{name}");
        }
        for name in ["/dyn-", "/dyn-1a", "/dyn-1/", "dyn-1", "/dyn-١", "/"] {
            assert!(!is_dynamic(name), "{name}");
        }
    }

    #[test]
    fn null_in_auth_is_a_value() {
        let auth: Auth<'_> = serde_json::from_str(r#"{"reject":"no","data":null,"more":[1]}"#).unwrap();
        assert_eq!(auth["data"].get(), "null");
        assert!(!auth.contains_key("hold"));
    }

    #[test]
    fn rooms_sort_as_in_javascript() {
        let mut rooms = ["\u{ffff}", "😀", "b", "B", "10", "9"].map(str::to_owned);
        sort(&mut rooms);
        assert_eq!(rooms, ["10", "9", "B", "b", "😀", "\u{ffff}"]);
    }
}
