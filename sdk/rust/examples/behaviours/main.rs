//! The behaviours app (gateway/tests/clients/BEHAVIOURS.md, which is normative here) on this crate, in any
//! number of processes.
//!
//!     behaviours --backend PATH [--name NAME]
//!
//! It says `attached to PATH` and `serving` when it is welcome. SIGTERM drains it.
//!
//! Here: namespaces, what is common to them, and what processes tell each other. A command whose arguments
//! make no sense is ignored.

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod order;
mod payload;
mod pieces;
mod shared;

use clap::Parser;
use serde_json::value::RawValue;
use shared::{Go, Shared, text};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_backend::{
    ArgsRef, Backend, Builder, DisconnectReason, Error, EventRef, Io, Namespace, Rejection, ServerEvent,
    Socket,
};
use tokio::sync::oneshot;

/// A backend for tests with real clients.
#[derive(Parser)]
struct Flags {
    /// The gateway's backend socket.
    #[arg(long, alias = "socket")]
    backend: PathBuf,
    /// The name of this process among those that serve together.
    #[arg(long)]
    name: Option<String>,
}

/// `auth`, by key. The values are raw, because `null` is a value too.
type Auth = BTreeMap<String, Box<RawValue>>;

fn main() -> Result<(), Error> {
    let Flags { backend: path, name } = Flags::parse();
    let name = name.unwrap_or_else(|| format!("rust-{}", std::process::id()));
    let shared = Arc::new(Shared::new(&name));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let builder = describe(Backend::builder(&path).process(name), &shared);
    runtime.block_on(support::serve(builder, || {
        println!("attached to {}", path.display());
        println!("serving");
    }))
}

fn describe(builder: Builder, shared: &Arc<Shared>) -> Builder {
    builder
        .namespace("/", |ns| {
            common(ns, shared);
            announce_auth(ns);
            servers(ns, shared);
        })
        .namespace("/custom", |ns| {
            common(ns, shared);
            announce_auth(ns);
        })
        .namespace("/admin", |ns| common(ns, shared))
        .namespace("/mw", |ns| {
            ns.on_connect(|socket| async move {
                let refusal = Rejection::new("nope");
                Err(if auth(&socket).contains_key("data") {
                    with_data(refusal, r#"{"code":42}"#)
                } else {
                    refusal
                })
            });
        })
        .namespace("/gate", |ns| {
            common(ns, shared);
            gate(ns, shared);
        })
        .namespace("/behaviours", |ns| {
            common(ns, shared);
            behaviours(ns, shared);
        })
        .dynamic(is_dynamic, |ns| {
            common(ns, shared);
            let shared = Arc::clone(shared);
            ns.on_connected(move |socket| {
                let shared = Arc::clone(&shared);
                async move { shared.has_namespace(&socket.io(), socket.namespace()) }
            });
        })
}

/// A namespace that `/^\/dyn-\d+$/` matches.
fn is_dynamic(name: &str) -> bool {
    let digits = name.strip_prefix("/dyn-").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn auth(socket: &Socket) -> Auth {
    socket.auth().unwrap_or_default()
}

fn with_data(rejection: Rejection, json: &str) -> Rejection {
    Rejection { data: Some(json.to_owned()), ..rejection }
}

/// The events every namespace knows.
fn common(ns: &mut Namespace, shared: &Arc<Shared>) {
    on(ns, "echo", |socket, event| {
        let _ = if event.wants_ack() { event.ack(event.args()) } else { socket.emit("echo", event.args()) };
    });
    on(ns, "bye", |socket, event| {
        let _ = socket.disconnect(event.args().parse(0).and_then(Result::ok).unwrap_or(false));
    });
    on(ns, "message", |socket, event| drop(socket.emit("message-back", event.args())));
    on(ns, "message-with-ack", |_, event| drop(event.ack(event.args())));
    on(ns, "nsp", |socket, event| drop(event.ack(socket.namespace())));
    let shared = Arc::clone(shared);
    ns.on_disconnect(move |socket, reason| {
        let shared = Arc::clone(&shared);
        async move { goodbye(&socket, reason, &shared) }
    });
}

fn on(ns: &mut Namespace, name: &str, handler: impl Fn(&Socket, &EventRef<'_>) + Send + Sync + 'static) {
    ns.on_sync(name, handler);
}

/// What `last-disconnect` reports.
fn goodbye(socket: &Socket, reason: DisconnectReason, shared: &Shared) {
    let mut rooms = socket.known_rooms();
    rooms.push(socket.id().to_owned());
    payload::sort(&mut rooms);
    let fact = serde_json::json!({ "reason": reason.as_str(), "rooms": rooms }).to_string();
    shared.disconnected(&socket.io(), socket.id(), &fact);
}

fn announce_auth(ns: &mut Namespace) {
    ns.on_connected(|socket| async move {
        // One that comes from another process has been told.
        if !socket.recovered() && !socket.handshake().query.contains_key("quiet") {
            let _ = socket.emit("auth", ArgsRef::trusted(socket.auth_json(), &[]));
        }
    });
}

fn gate(ns: &mut Namespace, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    ns.on_connect(move |socket| {
        let shared = Arc::clone(&shared);
        async move {
            let auth = auth(&socket);
            let key = auth.get("key").map_or("null", |key| key.get());
            match shared.attempt(&socket.io(), key).await {
                0 => Ok(()),
                left => Err(with_data(Rejection::new("closed"), &format!(r#"{{"left":{}}}"#, left - 1))),
            }
        }
    });
}

fn behaviours(ns: &mut Namespace, shared: &Arc<Shared>) {
    let (deciding, arriving) = (Arc::clone(shared), Arc::clone(shared));
    ns.on_connect(move |socket| {
        let shared = Arc::clone(&deciding);
        async move { decide(&socket, &shared).await }
    });
    ns.on_connected(move |socket| {
        arriving.arrived(socket.id());
        if !socket.recovered() && auth(&socket).contains_key("welcome") {
            let _ = socket.emit("welcome", socket.id());
        }
        std::future::ready(())
    });
    commands::describe(ns, shared);
}

async fn decide(socket: &Socket, shared: &Shared) -> Result<(), Rejection> {
    shared.count_middleware();
    let auth = auth(socket);
    if let Some(message) = auth.get("reject") {
        let refusal = Rejection::new(text(message.get()));
        return Err(match auth.get("data") {
            Some(data) => with_data(refusal, data.get()),
            None => refusal,
        });
    }
    let Some(key) = auth.get("hold") else { return Ok(()) };
    let (go, gone) = oneshot::channel();
    shared.hold(&socket.io(), key.get(), Go::Connect(go));
    let Ok(released) = gone.await else { return Err(Rejection::new("forgotten")) };
    if socket.has_left() {
        // Nobody will arrive, and whoever released it is to know all the same.
        released.tell();
    } else {
        shared.arriving(socket.id(), released);
    }
    Ok(())
}

/// What processes tell each other.
fn servers(ns: &mut Namespace, shared: &Arc<Shared>) {
    let learning = Arc::clone(shared);
    ns.on_server_side("learn", move |io, event| {
        learn(&io, event, &learning);
        std::future::ready(())
    });
    let name = shared.me().to_owned();
    ns.on_server_side("question", move |_, event| {
        let args = event.args().json();
        let comma = if args.is_empty() { "" } else { "," };
        let answer = format!("[{}{comma}{args}]", serde_json::Value::from(&*name));
        let answer = RawValue::from_string(answer).expect("a list of JSON values is JSON");
        let _ = event.ack(&answer);
        std::future::ready(())
    });
    let speaking = Arc::clone(shared);
    ns.on_server_side("emit-in-dynamic", move |io, event| {
        if let Some(order) = order::Order::of(event.args()) {
            order.emit_in_dynamic(&io, event.args(), &speaking);
        }
        let _ = event.ack(&());
        std::future::ready(())
    });
}

fn learn(io: &Io, event: ServerEvent, shared: &Shared) {
    let args = event.args();
    if let (Some(Ok(what)), Some(list)) = (args.parse::<String>(0), args.get(1)) {
        let list = list.trim_start_matches('[').strip_suffix(']').unwrap_or_default();
        let list: Vec<&str> = ArgsRef::trusted(list, &[]).elements().collect();
        shared.learn(io, &what, &list);
    }
    let _ = event.ack(&());
}
