//! What load tests talk to (design §5): echo, broadcast, rooms, and as little else as possible.

use super::args::{after_first, parse, plain};
use std::borrow::Cow;
use tidegate_core::shard::Io;
use tidegate_core::shard::app::{App, Connect, Event, Flags, Selector, SocketKey, Verdict};
use tidegate_core::socket_io::{ArgsRef, EventName};

/// The part of the application that one shard calls.
pub(super) struct Bench {
    everybody: Selector,
    /// Always of one room; the name is written over for each broadcast to a room.
    one_room: Selector,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { everybody: Selector::namespace("/"), one_room: Selector::namespace("/").to("") }
    }

    fn broadcast_to_room(&mut self, io: &mut Io<'_>, args: ArgsRef<'_>) {
        let Some(room) = room_name(args) else { return };
        self.one_room.rooms[0].clear();
        self.one_room.rooms[0].push_str(&room);
        io.broadcast(&self.one_room, Flags::default(), "msg", after_first(args));
    }
}

impl App for Bench {
    fn connect(&mut self, _io: &mut Io<'_>, _socket: SocketKey, request: &Connect<'_>) -> Verdict {
        if request.namespace == "/" { Verdict::Accept } else { Verdict::InvalidNamespace }
    }

    fn event(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>) {
        match event.name.and_then(EventName::text).as_deref() {
            // The hot path: the arguments go out as they came in, with nothing allocated here.
            Some("echo") => {
                return match event.reply {
                    Some(reply) => io.reply(reply, event.args),
                    None => io.emit(socket, "echo", event.args),
                };
            }
            Some("broadcast") => io.broadcast(&self.everybody, Flags::default(), "news", event.args),
            Some("room") => self.broadcast_to_room(io, event.args),
            Some("join") => {
                if let Some(room) = room_name(event.args) {
                    io.join(socket, &room);
                }
            }
            Some("leave") => {
                if let Some(room) = room_name(event.args) {
                    io.leave(socket, &room);
                }
            }
            _ => return,
        }
        if let Some(reply) = event.reply {
            io.reply(reply, plain(""));
        }
    }
}

/// The first argument if it is a string; borrowed unless it has escapes.
fn room_name(args: ArgsRef<'_>) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
    parse::<Name<'_>>(args, 0).map(|name| name.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_name_is_borrowed_from_the_packet_unless_it_has_escapes() {
        assert!(matches!(room_name(plain(r#""r1",2"#)), Some(Cow::Borrowed("r1"))));
        assert_eq!(room_name(plain(r#""a\"b""#)).as_deref(), Some("a\"b"));
        assert_eq!(room_name(plain("7")), None);
        assert_eq!(room_name(plain("")), None);
    }
}
