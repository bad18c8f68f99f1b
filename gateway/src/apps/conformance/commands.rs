//! The commands of `/behaviours`. Each acknowledges exactly once, unless the page says "no ack".

use super::super::args::{Piece, parse, plain};
use super::payload::{BIN_ACK, BIN_ATTACHMENTS, BIN_EVENT, big, measure};
use super::shared::{Held, Meeting};
use super::{Conformance, answer, is_dynamic, json, sort};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_core::shard::Io;
use tidegate_core::shard::app::{Event, Flags, Reply, Selector, SocketKey};
use tidegate_core::socket_io::{ArgsRef, EventName};

/// Most `tick`s of one command: what a client asks for must not hold a shard.
const TICKS_MAX: u32 = 100_000;

/// A target, and what to do there. Each command reads its part of it; missing keys are empty.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Order<'a> {
    rooms: Vec<String>,
    except: Vec<String>,
    flags: WantedFlags,
    ev: String,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    nsp: String,
    from: String,
    timeout: Option<u64>,
    join: Vec<String>,
    leave: Vec<String>,
    close: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct WantedFlags {
    volatile: bool,
    compress: Option<bool>,
    local: bool,
}

/// One room or several, as `socket.join` takes them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Rooms {
    One(String),
    Many(Vec<String>),
}

impl<'a> Order<'a> {
    fn selector(&self, namespace: &str) -> Selector {
        Selector { namespace: namespace.to_owned(), rooms: self.rooms.clone(), except: self.except.clone() }
    }

    /// As a broadcast from a socket, which is left out.
    fn selector_from(&self, io: &Io<'_>, socket: SocketKey, namespace: &str) -> Selector {
        let everybody = self.selector(namespace);
        match io.id(socket) {
            Some(id) => everybody.except(id.encode().as_str()),
            None => everybody,
        }
    }

    fn flags(&self) -> Flags {
        let WantedFlags { volatile, compress, local } = self.flags;
        Flags { volatile, compress: compress.unwrap_or(true), local }
    }

    /// The arguments of the event to emit, out of those of the command.
    fn args(&self, command: ArgsRef<'a>) -> Piece<'a> {
        let list = self.args.map_or("[]", RawValue::get);
        let inside = list.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
        Piece::of(command, inside.map_or("", str::trim))
    }

    fn timeout(&self) -> Option<Duration> {
        self.timeout.map(Duration::from_millis)
    }
}

impl Conformance {
    pub(super) fn command(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>) {
        let Event { name, args, reply, namespace } = event;
        let Some(name) = name.and_then(EventName::text) else { return };
        match &*name {
            "handshake" => answer(io, reply, plain(&io.handshake_json(socket).unwrap_or_default())),
            "rooms" => answer(io, reply, plain(&rooms(io, socket))),
            "join" => join(io, socket, args, reply),
            "leave" => leave(io, socket, args, reply),
            "data" => data(io, socket, args, reply),
            "burst" => burst(io, socket, args),
            "ticks" => ticks(io, socket, args, reply),
            "bin" => {
                io.emit(socket, "bin", ArgsRef::trusted(BIN_EVENT, &BIN_ATTACHMENTS));
                answer(io, reply, ArgsRef::trusted(BIN_ACK, &BIN_ATTACHMENTS[3..]));
            }
            "big" => {
                if let Some((text, attachments)) = big(args) {
                    answer(io, reply, ArgsRef::trusted(&text, &attachments));
                }
            }
            "measure" => {
                if let Some(measure) = measure(args) {
                    answer(io, reply, plain(&json(&measure)));
                }
            }
            "hold" => self.hold(io, args, reply),
            "release" => self.release(io, args, reply),
            "last-disconnect" => self.last_disconnect(io, args, reply),
            _ => {
                if let Some(order) = parse::<Order<'_>>(args, 0) {
                    self.order(io, socket, &name, namespace, &order, args, reply);
                }
            }
        }
    }

    /// The commands that take a target or an event to emit.
    #[expect(clippy::too_many_arguments, reason = "an event in its parts")]
    fn order(
        &mut self,
        io: &mut Io<'_>,
        socket: SocketKey,
        name: &str,
        namespace: &str,
        order: &Order<'_>,
        args: ArgsRef<'_>,
        reply: Option<Reply>,
    ) {
        let target = order.selector(namespace);
        match name {
            "to" => emit(io, &order.selector_from(io, socket, namespace), order, args),
            "in" => emit(io, &target, order, args),
            "emit-in" => self.emit_in(io, order, args),
            "sockets-join" => io.sockets_join(&target, &strs(&order.join)),
            "sockets-leave" => io.sockets_leave(&target, &strs(&order.leave)),
            "disconnect-sockets" => io.disconnect_sockets(&target, order.close),
            "fetch" => {
                let ticket = self.ticket(reply);
                return io.fetch_sockets(&target, ticket);
            }
            "call-me" => {
                let ticket = self.ticket(reply);
                let args = order.args(args);
                return io.emit_with_ack(socket, &order.ev, args.as_args(), order.timeout(), ticket);
            }
            "broadcast-ack" => {
                let ticket = self.ticket(reply);
                let from_socket = order.from == "socket";
                let to = if from_socket { order.selector_from(io, socket, namespace) } else { target };
                let (args, timeout) = (order.args(args), order.timeout());
                return io.broadcast_with_ack(&to, order.flags(), &order.ev, args.as_args(), timeout, ticket);
            }
            // `never`, and whatever the page does not name.
            _ => return,
        }
        answer(io, reply, plain("true"));
    }

    fn emit_in(&self, io: &mut Io<'_>, order: &Order<'_>, args: ArgsRef<'_>) {
        if order.nsp != "dynamic" {
            return emit(io, &order.selector(&order.nsp), order, args);
        }
        let namespaces: Vec<String> = self.shared.lock().dynamic.keys().cloned().collect();
        for namespace in namespaces {
            debug_assert!(is_dynamic(&namespace));
            emit(io, &order.selector(&namespace), order, args);
        }
    }

    fn hold(&self, io: &mut Io<'_>, args: ArgsRef<'_>, reply: Option<Reply>) {
        let (Some(key), Some(value)) = (args.get(0), args.get(1)) else { return };
        let (json, attachments) = Piece::of(args, value).as_args().into_owned().into_parts();
        let meeting = self.shared.lock().gates.hold(key, Held::Event { reply, json, attachments });
        settle(io, meeting);
    }

    fn release(&self, io: &mut Io<'_>, args: ArgsRef<'_>, reply: Option<Reply>) {
        let Some(key) = args.get(0) else { return };
        let meeting = self.shared.lock().gates.release(key, reply);
        settle(io, meeting);
    }

    fn last_disconnect(&self, io: &mut Io<'_>, args: ArgsRef<'_>, reply: Option<Reply>) {
        let (Some(id), Some(reply)) = (parse::<String>(args, 0), reply) else { return };
        let known = self.shared.lock().disconnects.ask(&id, reply);
        if let Some((reply, fact)) = known {
            io.reply(reply, plain(&fact));
        }
    }
}

/// Lets the held party go, and then tells its releaser. Either may live on another core.
fn settle(io: &mut Io<'_>, meeting: Option<Meeting>) {
    let Some(Meeting { held, releaser }) = meeting else { return };
    match held {
        Held::Connect(socket) => io.accept(socket),
        Held::Event { reply, json, attachments } => answer(io, reply, ArgsRef::trusted(&json, &attachments)),
    }
    answer(io, releaser, plain("true"));
}

fn emit(io: &mut Io<'_>, to: &Selector, order: &Order<'_>, args: ArgsRef<'_>) {
    io.broadcast(to, order.flags(), &order.ev, order.args(args).as_args());
}

/// The rooms of a socket as sorted JSON.
fn rooms(io: &Io<'_>, socket: SocketKey) -> String {
    let mut rooms = io.rooms(socket);
    sort(&mut rooms);
    json(&rooms)
}

fn join(io: &mut Io<'_>, socket: SocketKey, args: ArgsRef<'_>, reply: Option<Reply>) {
    match parse(args, 0) {
        Some(Rooms::One(room)) => io.join(socket, &room),
        Some(Rooms::Many(rooms)) => rooms.iter().for_each(|room| io.join(socket, room)),
        None => return,
    }
    answer(io, reply, plain(&rooms(io, socket)));
}

fn leave(io: &mut Io<'_>, socket: SocketKey, args: ArgsRef<'_>, reply: Option<Reply>) {
    let Some(room) = parse::<String>(args, 0) else { return };
    io.leave(socket, &room);
    answer(io, reply, plain(&rooms(io, socket)));
}

/// `Object.assign(socket.data, more)`. Values keep the spelling they came in.
fn data(io: &mut Io<'_>, socket: SocketKey, args: ArgsRef<'_>, reply: Option<Reply>) {
    type Object = BTreeMap<String, Box<RawValue>>;
    let before = io.data(socket).and_then(|text| serde_json::from_str::<Object>(text).ok());
    let mut merged = before.unwrap_or_default();
    merged.extend(parse::<Object>(args, 0).unwrap_or_default());
    let merged = json(&merged);
    answer(io, reply, plain(&merged));
    io.set_data(socket, merged);
}

fn burst(io: &mut Io<'_>, socket: SocketKey, args: ArgsRef<'_>) {
    let Some(events) = parse::<Vec<Order<'_>>>(args, 0) else { return };
    for order in &events {
        io.emit_with(socket, order.flags(), &order.ev, order.args(args).as_args());
    }
}

fn ticks(io: &mut Io<'_>, socket: SocketKey, args: ArgsRef<'_>, reply: Option<Reply>) {
    let Some(count) = parse::<u32>(args, 0) else { return };
    for tick in 0..count.min(TICKS_MAX) {
        io.emit(socket, "tick", plain(&tick.to_string()));
    }
    answer(io, reply, plain(&count.to_string()));
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn an_order_reads_its_target_and_passes_on_the_arguments_as_they_came() {
        let attachments = [Bytes::from_static(b"a")];
        let command = ArgsRef::trusted(
            r#"{"rooms":["r"],"except":["x"],"flags":{"compress":false},"ev":"e","args":[ 1.0, {"_placeholder":true,"num":0} ]}"#,
            &attachments,
        );
        let order: Order<'_> = parse(command, 0).unwrap();
        assert_eq!(order.selector("/n"), Selector::namespace("/n").to("r").except("x"));
        assert_eq!(order.flags(), Flags { compress: false, ..Flags::default() });
        let args = order.args(command);
        assert_eq!(args.as_args().json(), r#"1.0, {"_placeholder":true,"num":0}"#);
        assert_eq!(args.as_args().attachments(), attachments);
    }

    #[test]
    fn what_an_order_does_not_say_is_empty() {
        let command = plain(r#"{"ev":"e","unknown":1}"#);
        let order: Order<'_> = parse(command, 0).unwrap();
        assert_eq!(order.selector("/"), Selector::namespace("/"));
        assert_eq!(order.flags(), Flags::default());
        assert!(order.args(command).as_args().is_empty());
        assert_eq!(order.timeout(), None);
    }
}
