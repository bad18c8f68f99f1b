//! What the floor says to a message: bytes taken from it and put together anew, without a look at the JSON.

use super::Mode;
use super::frame::{Opcode, encode};

const JOINED: &[u8] = br#"40{"sid":"FLOORFLOORFLOORFLOOR"}"#;

/// What is to be said. Its buffers are used again and again.
#[derive(Default)]
pub(super) struct Answer {
    /// Frames for the connection at hand.
    pub(super) out: Vec<u8>,
    /// The frame of the broadcast at hand.
    pub(super) news: Vec<u8>,
    /// The name of the room at hand, with its quotes.
    pub(super) room: Vec<u8>,
}

/// What becomes of a connection after its input was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Close,
    /// It stays, and is in `room` from now on.
    Join,
    /// It stays, and `news` goes to everyone.
    FanOut,
    /// It stays, and `news` goes to those in `room`.
    FanOutToRoom,
}

impl Answer {
    /// Appends the answer to one message to `out`, or leaves the frame for others in `news`.
    pub(super) fn respond(&mut self, mode: Mode, opcode: Opcode, payload: &[u8]) -> Next {
        match (opcode, mode) {
            (Opcode::Close, _) => {
                encode(Opcode::Close, &[payload], &mut self.out);
                Next::Close
            }
            (Opcode::Ping, _) => {
                encode(Opcode::Pong, &[payload], &mut self.out);
                Next::Stay
            }
            (Opcode::Pong, _) => Next::Stay,
            (Opcode::Text | Opcode::Binary, Mode::Raw) => {
                encode(opcode, &[payload], &mut self.out);
                Next::Stay
            }
            (Opcode::Text, Mode::SocketIo) => self.respond_to_packet(payload),
            (Opcode::Binary, Mode::SocketIo) => Next::Close,
        }
    }

    fn respond_to_packet(&mut self, packet: &[u8]) -> Next {
        if let Some(event) = packet.strip_prefix(b"42") {
            return self.respond_to_event(event).unwrap_or(Next::Close);
        }
        if packet.starts_with(b"40") {
            encode(Opcode::Text, &[JOINED], &mut self.out);
        }
        Next::Stay
    }

    /// `<id>["echo",…]` is answered with `43<id>[…]`, and `<id>["join",room]` with `43<id>[]`; `["broadcast",…]` becomes
    /// `42["news",…]`, and `["room",room,…]` becomes `42["msg",…]`. `None` for anything else.
    fn respond_to_event(&mut self, event: &[u8]) -> Option<Next> {
        let digits = event.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (id, event) = event.split_at(digits);
        if let Some(arguments) = event.strip_prefix(b"[\"echo\",") {
            encode(Opcode::Text, &[b"43", id, b"[", arguments], &mut self.out);
            return Some(Next::Stay);
        }
        if let Some(arguments) = event.strip_prefix(b"[\"broadcast\",") {
            return Some(self.tell(b"42[\"news\",", arguments, Next::FanOut));
        }
        if let Some(arguments) = event.strip_prefix(b"[\"room\",") {
            let comma = arguments.iter().position(|byte| *byte == b',')?;
            self.room.clear();
            self.room.extend_from_slice(&arguments[..comma]);
            return Some(self.tell(b"42[\"msg\",", &arguments[comma + 1..], Next::FanOutToRoom));
        }
        let room = event.strip_prefix(b"[\"join\",")?.strip_suffix(b"]")?;
        self.room.clear();
        self.room.extend_from_slice(room);
        encode(Opcode::Text, &[b"43", id, b"[]"], &mut self.out);
        Some(Next::Join)
    }

    fn tell(&mut self, name: &[u8], arguments: &[u8], to: Next) -> Next {
        self.news.clear();
        encode(Opcode::Text, &[name, arguments], &mut self.news);
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(packet: &str) -> (Next, Answer) {
        let mut answer = Answer::default();
        let next = answer.respond(Mode::SocketIo, Opcode::Text, packet.as_bytes());
        (next, answer)
    }

    #[test]
    fn an_echo_is_acknowledged_with_its_arguments() {
        let (next, answer) = answer(r#"4212["echo","x"]"#);
        assert_eq!(
            (next, &answer.out[..], &answer.news[..]),
            (Next::Stay, &b"\x81\x094312[\"x\"]"[..], &[][..])
        );
    }

    #[test]
    fn a_broadcast_becomes_news_for_everyone() {
        let (next, answer) = answer(r#"42["broadcast",1]"#);
        assert_eq!((next, &answer.out[..]), (Next::FanOut, &[][..]));
        assert_eq!(answer.news, b"\x81\x0c42[\"news\",1]");
    }

    #[test]
    fn a_room_is_joined_with_an_acknowledgement_and_hears_what_is_said_in_it() {
        let (next, joining) = answer(r#"420["join","a"]"#);
        assert_eq!((next, &joining.out[..]), (Next::Join, &b"\x81\x05430[]"[..]));
        let (next, saying) = answer(r#"42["room","a",1,2]"#);
        assert_eq!((next, &saying.out[..]), (Next::FanOutToRoom, &[][..]));
        assert_eq!(saying.news, b"\x81\x0d42[\"msg\",1,2]");
        assert_eq!((joining.room, saying.room), (b"\"a\"".to_vec(), b"\"a\"".to_vec()));
    }

    #[test]
    fn what_nobody_knows_closes_the_connection() {
        assert_eq!(answer(r#"42["leave","a"]"#).0, Next::Close);
        assert_eq!(answer(r#"42["room","a"]"#).0, Next::Close);
    }
}
