//! The chat of the gateway's page, as a backend: nicknames, notices of who comes and goes, and a user count.
//!
//!     chat-rust --socket PATH
//!
//! | client sends | answer | everybody else inside gets |
//! |---|---|---|
//! | `enter` nickname | `{ok:true, count, revision}` or `{ok:false, error}` | `joined` {author, count, revision, time} |
//! | `say` text | `{ok:true}` or `{ok:false, error}` | `message` {from, author, text, time}, the author too |
//! | `typing` | – | `typing` {author} |
//! | (disconnects) | | `left` {author, count, revision, time} |
//!
//! `from` is the author's socket id, times are Unix milliseconds. The page of the gateway does not send
//! `typing`; other clients may.
//!
//! A user's nickname is the `data` of the socket. So it survives this process: kill it, start it again, and
//! everybody is still there. Who is inside is counted by the process that serves them: this chat is for one
//! process at a time.

mod chat;
mod rules;

use chat::Chat;
use clap::Parser;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidegate_backend::{Backend, Error, Namespace};
use tokio::signal::unix::{SignalKind, signal};

/// How long users may take to be handed over to another process.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// The chat as a backend of Tidegate.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// The gateway's backend socket.
    #[arg(long, default_value = "/run/tidegate/backend.sock")]
    socket: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let flags = Flags::parse();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopped = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stopped);

    let builder = Backend::builder(&flags.socket).process("chat").namespace("/", describe);
    let mut backend = tokio::select! {
        backend = builder.connect() => backend?,
        () = &mut stopped => return Ok(()),
    };
    println!("serving");
    tokio::select! {
        ended = backend.closed() => return ended,
        () = stopped => {}
    }
    backend.drain(DRAIN_PATIENCE).await.map(drop)
}

fn describe(ns: &mut Namespace) {
    let chat = Arc::new(Chat::default());
    let (entering, saying, typing) = (Arc::clone(&chat), Arc::clone(&chat), Arc::clone(&chat));
    let (back, gone, released) = (Arc::clone(&chat), Arc::clone(&chat), chat);
    ns.on_connected(move |socket| {
        // Somebody who was inside before this process was.
        back.came_back(&socket);
        std::future::ready(())
    });
    ns.on_sync("enter", move |socket, event| drop(event.ack((entering.enter(socket, event),))));
    ns.on_sync("say", move |socket, event| drop(event.ack((saying.say(socket, event),))));
    ns.on_sync("typing", move |socket, _| typing.types(socket));
    ns.on_disconnect(move |socket, _| {
        gone.left(&socket);
        std::future::ready(())
    });
    ns.on_release(move |socket, _| {
        released.lost(&socket);
        std::future::ready(())
    });
}
