//! What load tests talk to: echo, broadcast, rooms, and as little else as possible.
//!
//! | client sends on `/` | answer |
//! |---|---|
//! | `echo` any args, with ack | acks with the same args |
//! | `echo` any args, no ack | emits `echo` back with the same args |
//! | `broadcast` any args | emits `news` with the same args to every socket of the namespace |
//! | `join` room / `leave` room | joins / leaves |
//! | `room` room, any args | emits `msg` with the args to the room |
//!
//! `bench --socket PATH` prints `version tidegate-backend X`, `serving` when the gateway has welcomed it, and with `--expect N`
//! also `all N sockets, R recovered` when there have been so many. SIGTERM drains it.

mod support;

use clap::Parser;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use tidegate_backend::{Backend, Error, EventRef, Namespace, SendError, Socket};

/// A backend for load tests.
#[derive(Parser)]
struct Flags {
    /// The gateway's backend socket.
    #[arg(long, alias = "backend")]
    socket: PathBuf,
    /// Say when there have been so many sockets.
    #[arg(long, value_name = "N", default_value_t = 0)]
    expect: usize,
}

fn main() -> Result<(), Error> {
    let flags = Flags::parse();
    println!("version tidegate-backend {}", env!("CARGO_PKG_VERSION"));
    // One thread: there is nothing here that would wait, and waking another costs more than all handlers do.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let backend = Backend::builder(flags.socket).namespace("/", |ns| {
        describe(ns);
        if flags.expect > 0 {
            count(ns, flags.expect);
        }
    });
    runtime.block_on(support::serve(backend, || println!("serving")))
}

fn describe(ns: &mut Namespace) {
    on(ns, "echo", |socket, event| {
        if event.wants_ack() { event.ack(event.args()) } else { socket.emit("echo", event.args()) }
    });
    on(ns, "broadcast", |socket, event| {
        socket.io().emit("news", event.args())?;
        event.ack(())
    });
    on(ns, "room", |socket, event| {
        if let Some(room) = room(event) {
            socket.io().to(room).emit("msg", event.rest())?;
        }
        event.ack(())
    });
    on(ns, "join", |socket, event| {
        room(event).map_or(Ok(()), |room| socket.join(room))?;
        event.ack(())
    });
    on(ns, "leave", |socket, event| {
        room(event).map_or(Ok(()), |room| socket.leave(room))?;
        event.ack(())
    });
}

/// Says when there have been `expected` sockets, and how many of them were another backend's before.
fn count(ns: &mut Namespace, expected: usize) {
    let (sockets, recovered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    ns.on_connected(move |socket| {
        recovered.fetch_add(usize::from(socket.recovered()), Ordering::Relaxed);
        if sockets.fetch_add(1, Ordering::Relaxed) + 1 == expected {
            println!("all {expected} sockets, {} recovered", recovered.load(Ordering::Relaxed));
        }
        async {}
    });
}

/// A handler whose failures are those of the link: whoever waits for an answer will see.
fn on(
    ns: &mut Namespace,
    name: &str,
    handler: impl Fn(&Socket, &EventRef<'_>) -> Result<(), SendError> + Send + Sync + 'static,
) {
    ns.on_sync(name, move |socket, event| {
        if let Err(error) = handler(socket, event) {
            eprintln!("{}: {error}", event.name());
        }
    });
}

/// The first argument, if it is text.
fn room(event: &EventRef<'_>) -> Option<String> {
    event.args().parse(0)?.ok()
}
