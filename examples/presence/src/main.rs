//! Shared boards with live cursors: who is here, and where do they point? An application of its own on the
//! gateway as a library, without a backend process.
//!
//! ```text
//! cargo run --release -p tidegate-example-presence -- 127.0.0.1:3000
//! ```
//!
//! Any Socket.IO client can come to a board, for example in Node after `npm install socket.io-client`:
//!
//! ```js
//! import { io } from "socket.io-client";
//! const socket = io("http://127.0.0.1:3000", { auth: { board: "harbour", name: "Marina" } });
//! socket.onAny((event, ...args) => console.log(event, ...args));
//! socket.emit("move", { x: 0.5, y: 0.25 });
//! console.log(await socket.emitWithAck("who"));
//! ```
//!
//! | client sends | the others on its board get | it gets |
//! |---|---|---|
//! | (connects) | `arrived` {id, name} | `present` [{id, name}…] |
//! | `move` {x, y}, both 0 to 1 | `moved` id {x, y}, unless they are busy: the next one says more | |
//! | `who` | | [{id, name}…] as the ack |
//! | (leaves) | `gone` id | |
//!
//! There is one `Presence` per core, and they share nothing. They do not need to: a board is a room, a name is
//! the `data` of a socket, and the gateway keeps both across all cores.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tidegate::Gateway;
use tidegate::app::{
    App, Args, Connect, Departed, Event, EventName, Flags, Io, Rejection, Reply, Selector, SocketInfo,
    SocketKey, Ticket, Verdict,
};

const NAME_CHARS_MAX: usize = 32;

/// The application, as one core sees it.
#[derive(Default)]
struct Presence {
    /// Who asked for the list of a board that is still to come. One entry per request at most.
    asked: HashMap<Ticket, Asker>,
    next_ticket: u64,
}

enum Asker {
    /// Came in, and gets `present`.
    Newcomer(SocketKey),
    /// Sent `who`, and gets an acknowledgement.
    Curious(Reply),
}

/// What a client says about itself when it connects.
#[derive(Deserialize)]
struct Auth {
    board: String,
    name: String,
}

/// Somebody on a board.
#[derive(Deserialize, Serialize)]
struct Person {
    id: String,
    name: String,
}

#[derive(Deserialize, Serialize)]
struct Position {
    x: f64,
    y: f64,
}

impl Presence {
    /// Asks every core who is on the board of `socket`; [`App::fetched`] has the answer.
    fn ask(&mut self, io: &mut Io<'_>, socket: SocketKey, asker: Asker) {
        let Some(board) = board(io, socket) else { return };
        self.next_ticket += 1;
        self.asked.insert(Ticket(self.next_ticket), asker);
        io.fetch_sockets(&Selector::namespace("/").to(board), Ticket(self.next_ticket));
    }
}

impl App for Presence {
    fn connect(&mut self, io: &mut Io<'_>, socket: SocketKey, request: &Connect<'_>) -> Verdict {
        if request.namespace != "/" {
            return Verdict::InvalidNamespace;
        }
        let Ok(Auth { board, name }) = serde_json::from_str(request.auth) else {
            return refuse("auth needs a board and a name");
        };
        if !is_name(&board) || !is_name(&name) {
            return refuse("names have 1 to 32 characters");
        }
        let person = Person { id: request.id.encode().to_string(), name };
        io.set_data(socket, serde_json::to_string(&person).expect("two strings are JSON"));
        io.join(socket, &board);
        Verdict::Accept
    }

    fn connected(&mut self, io: &mut Io<'_>, socket: SocketKey) {
        let person = io.data(socket).and_then(|text| serde_json::from_str::<Person>(text).ok());
        if let (Some(others), Some(person)) = (others(io, socket), person) {
            io.broadcast(&others, Flags::default(), "arrived", args(&person).as_ref());
        }
        self.ask(io, socket, Asker::Newcomer(socket));
    }

    fn event(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>) {
        match event.name.and_then(EventName::text).as_deref() {
            Some("move") => {
                let Some(Ok(position)) = event.args.parse::<Position>(0) else { return };
                let inside = 0.0..=1.0;
                if inside.contains(&position.x) && inside.contains(&position.y) {
                    moved(io, socket, &position);
                }
            }
            Some("who") => {
                if let Some(reply) = event.reply {
                    self.ask(io, socket, Asker::Curious(reply));
                }
            }
            _ => {}
        }
    }

    fn fetched(&mut self, io: &mut Io<'_>, ticket: Ticket, sockets: Vec<SocketInfo>) {
        let data = sockets.iter().filter_map(|socket| socket.data.as_deref());
        let people: Vec<Person> = data.filter_map(|text| serde_json::from_str(text).ok()).collect();
        match self.asked.remove(&ticket) {
            Some(Asker::Newcomer(socket)) => io.emit(socket, "present", args(&people).as_ref()),
            Some(Asker::Curious(reply)) => io.reply(reply, args(&people).as_ref()),
            None => {}
        }
    }

    fn disconnected(&mut self, io: &mut Io<'_>, socket: Departed) {
        for board in socket.rooms {
            let stayed = Selector::namespace("/").to(board);
            io.broadcast(&stayed, Flags::default(), "gone", args(socket.id.encode().as_str()).as_ref());
        }
    }
}

/// A cursor is worth nothing a moment later, so it may be dropped: `volatile`.
fn moved(io: &mut Io<'_>, socket: SocketKey, position: &Position) {
    let (Some(id), Some(others)) = (io.id(socket), others(io, socket)) else { return };
    let mut args = args(id.encode().as_str());
    if args.push(position).is_ok() {
        io.broadcast(&others, Flags { volatile: true, ..Flags::default() }, "moved", args.as_ref());
    }
}

/// The board of a socket: the one room it is in besides its own.
fn board(io: &Io<'_>, socket: SocketKey) -> Option<String> {
    io.rooms(socket).into_iter().nth(1)
}

/// Everybody on the board of a socket but the socket, whose id is a room of its own.
fn others(io: &Io<'_>, socket: SocketKey) -> Option<Selector> {
    let id = io.id(socket)?.encode();
    Some(Selector::namespace("/").to(board(io, socket)?).except(id.as_str()))
}

/// An argument list of one.
fn args<T: Serialize + ?Sized>(value: &T) -> Args {
    let mut args = Args::new();
    args.push(value).expect("everything here is strings and lists of them");
    args
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= NAME_CHARS_MAX
}

fn refuse(message: &str) -> Verdict {
    Verdict::Reject(Rejection { message: message.to_owned(), data: None })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    Gateway::builder().listen(listen.parse()?).app(|_shard| Box::new(Presence::default())).run()?;
    Ok(())
}
