//! The commands of `/behaviours`. Each acknowledges exactly once, unless the page says "no ack".

use super::order::Order;
use super::payload::{BIN_ACK, BIN_ATTACHMENTS, BIN_EVENT, big, measure, sort};
use super::pieces::Pieces;
use super::shared::{Go, Shared};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tidegate_backend::{AckError, ArgsRef, Event, EventRef, Io, Namespace, RemoteSocket, Socket};

/// Most `tick`s of one command, and longest `busy`: what a client asks for must not hold a process.
const TICKS_MAX: u32 = 100_000;
const BUSY_MAX: Duration = Duration::from_secs(60);

/// A command that waits for the gateway, or for clients.
type Waiting = (Socket, Event, Arc<Shared>);

pub(crate) fn describe(ns: &mut Namespace, shared: &Arc<Shared>) {
    what_it_knows(ns);
    emitting(ns, shared);
    payloads(ns);
    acks(ns, shared);
    others(ns, shared);
    processes(ns, shared);
}

/// A command that is answered at once. `None` means that its arguments make no sense.
fn now(
    ns: &mut Namespace,
    name: &str,
    command: impl Fn(&Socket, &EventRef<'_>) -> Option<()> + Send + Sync + 'static,
) {
    ns.on_sync(name, move |socket, event| {
        let _ = command(socket, event);
    });
}

/// A command that waits for something, while later ones of the same client are handled.
fn later<Fut>(
    ns: &mut Namespace,
    shared: &Arc<Shared>,
    name: &str,
    command: impl Fn(Waiting) -> Fut + Send + Sync + 'static,
) where
    Fut: Future<Output = Option<()>> + Send + 'static,
{
    let shared = Arc::clone(shared);
    ns.on(name, move |socket, event| {
        let mut waiting = Box::pin(command((socket, event, Arc::clone(&shared))));
        // What it asks for is asked now, in the order of the commands; its end is awaited elsewhere.
        if waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            tokio::spawn(waiting);
        }
        std::future::ready(())
    });
}

fn what_it_knows(ns: &mut Namespace) {
    now(ns, "handshake", |socket, event| event.ack(ArgsRef::trusted(socket.handshake_json(), &[])).ok());
    // These wait for the gateway in the order of the socket, because they are about its order.
    ns.on("rooms", |socket, event| async move { answer_rooms(&socket, &event).await.unwrap_or_default() });
    ns.on("join", |socket, event| async move {
        let joined = match event.args().parse(0) {
            Some(Ok(OneOrMany::One(room))) => socket.join(room),
            Some(Ok(OneOrMany::Many(rooms))) => socket.join(rooms),
            _ => return,
        };
        if joined.is_ok() {
            let _ = answer_rooms(&socket, &event).await;
        }
    });
    ns.on("leave", |socket, event| async move {
        if let Some(Ok(room)) = event.args().parse::<String>(0)
            && socket.leave(room).is_ok()
        {
            let _ = answer_rooms(&socket, &event).await;
        }
    });
    now(ns, "data", |socket, event| {
        // Values keep the spelling they came in.
        type Object = BTreeMap<String, Box<RawValue>>;
        let mut data: Object = socket.data().ok().flatten().unwrap_or_default();
        data.extend(event.args().parse::<Object>(0)?.ok()?);
        socket.set_data(&data).ok()?;
        event.ack((data,)).ok()
    });
}

/// One room or several, as `socket.join` takes them.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

async fn answer_rooms(socket: &Socket, event: &Event) -> Option<()> {
    let mut rooms = socket.rooms().await.ok()?;
    sort(&mut rooms);
    event.ack((rooms,)).ok()
}

fn emitting(ns: &mut Namespace, shared: &Arc<Shared>) {
    now(ns, "to", |socket, event| {
        let order = Order::of(event.args())?;
        order.emit(&order.aim(socket.broadcast()), event.args())?;
        event.ack(true).ok()
    });
    now(ns, "in", |socket, event| {
        let order = Order::of(event.args())?;
        order.emit(&order.aim(socket.io().everybody()), event.args())?;
        event.ack(true).ok()
    });
    later(ns, shared, "emit-in", |(socket, event, shared)| async move {
        emit_in(&socket.io(), event.args(), &shared).await?;
        event.ack(true).ok()
    });
    now(ns, "burst", |socket, event| {
        let list = serde_json::from_str::<Vec<Order<'_>>>(event.args().get(0)?).ok()?;
        for order in &list {
            if let Some(name) = &order.ev {
                order.flagged(socket).emit(name, order.args(event.args()).args()).ok()?;
            }
        }
        Some(())
    });
    now(ns, "ticks", |socket, event| {
        let count: u32 = event.args().parse(0)?.ok()?;
        for tick in 0..count.min(TICKS_MAX) {
            socket.emit("tick", tick).ok()?;
        }
        event.ack(count).ok()
    });
    now(ns, "bin", |socket, event| {
        socket.emit("bin", ArgsRef::trusted(BIN_EVENT, &BIN_ATTACHMENTS)).ok()?;
        event.ack(ArgsRef::trusted(BIN_ACK, &BIN_ATTACHMENTS[3..])).ok()
    });
}

async fn emit_in(io: &Io, args: ArgsRef<'_>, shared: &Shared) -> Option<()> {
    let order = Order::of(args)?;
    if order.nsp != "dynamic" {
        return order.emit(&order.aim(io.of(&order.nsp).everybody()), args);
    }
    order.emit_in_dynamic(io, args, shared)?;
    let others = io.of("/").server_side_emit_with_ack("emit-in-dynamic", args, None);
    drop(order);
    let _ = others.await;
    Some(())
}

fn payloads(ns: &mut Namespace) {
    now(ns, "big", |_, event| {
        let (text, attachments) = big(event.args())?;
        event.ack(ArgsRef::trusted(&text, &attachments)).ok()
    });
    now(ns, "measure", |_, event| event.ack((measure(event.args())?,)).ok());
}

fn acks(ns: &mut Namespace, shared: &Arc<Shared>) {
    now(ns, "never", |_, _| Some(()));
    let holding = Arc::clone(shared);
    now(ns, "hold", move |socket, event| {
        let (key, value) = (event.args().get(0)?, event.args().get(1)?);
        let mut answer = Pieces::default();
        answer.part(event.args(), value);
        let ack = event.to_owned().take_ack();
        holding.hold(&socket.io(), key, Go::Event(ack, answer.args().into_owned()));
        Some(())
    });
    let releasing = Arc::clone(shared);
    now(ns, "release", move |socket, event| {
        let key = event.args().get(0)?;
        releasing.release(&socket.io(), key, event.to_owned().take_ack()?);
        Some(())
    });
    later(ns, shared, "call-me", |(socket, event, _)| async move {
        let answer = {
            let order = Order::of(event.args())?;
            socket.emit_with_ack(order.ev.as_deref()?, order.args(event.args()).args(), order.timeout())
        };
        let (error, args) = match answer.await {
            Ok(args) => (None, args),
            Err(error @ AckError::TimedOut) => (Some(error), ArgsRef::default().into_owned()),
            // As Node, which waits for ever; and the one who asked has left too.
            Err(_) => return None,
        };
        let mut pieces = Pieces::default();
        pieces.text(&outcome(error)).all(args.as_ref()).text("]}");
        event.ack(pieces.args()).ok()
    });
    later(ns, shared, "broadcast-ack", |(socket, event, _)| async move {
        let answers = {
            let order = Order::of(event.args())?;
            let to = order.aim_from(&socket);
            to.emit_with_ack(order.ev.as_deref()?, order.args(event.args()).args(), order.timeout())
        };
        let acks = answers.await.ok()?;
        let mut pieces = Pieces::default();
        pieces.text(&outcome(acks.timed_out.then_some(AckError::TimedOut)));
        for (index, answer) in acks.answers.iter().enumerate() {
            let args = answer.as_ref();
            pieces.text(if index > 0 { "," } else { "" });
            // No argument at all is `undefined`, which is `null` in a list.
            match args.get(0) {
                Some(first) => pieces.part(args, first),
                None => pieces.text("null"),
            };
        }
        event.ack(pieces.text("]}").args()).ok()
    });
}

/// The begin of an outcome, up to the elements of `res`.
fn outcome(error: Option<AckError>) -> String {
    let error = error.map_or(serde_json::Value::Null, |error| error.to_string().into());
    format!(r#"{{"err":{error},"res":["#)
}

/// One socket as `fetch` reports it.
#[derive(Serialize)]
struct Fetched {
    id: String,
    rooms: Vec<String>,
    data: serde_json::Value,
    auth: serde_json::Value,
}

impl From<RemoteSocket> for Fetched {
    fn from(socket: RemoteSocket) -> Self {
        let mut rooms = socket.rooms().to_vec();
        sort(&mut rooms);
        let data = socket.data().ok().flatten().unwrap_or_else(|| serde_json::json!({}));
        Self { id: socket.id().to_owned(), rooms, data, auth: socket.handshake().auth }
    }
}

fn others(ns: &mut Namespace, shared: &Arc<Shared>) {
    later(ns, shared, "fetch", |(socket, event, _)| async move {
        let found = {
            let order = Order::of(event.args())?;
            order.aim(socket.io().everybody()).fetch_sockets()
        };
        let mut found: Vec<Fetched> = found.await.ok()?.into_iter().map(Fetched::from).collect();
        found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        event.ack((found,)).ok()
    });
    now(ns, "sockets-join", |socket, event| {
        let order = Order::of(event.args())?;
        order.aim(socket.io().everybody()).sockets_join(&order.join).ok()?;
        event.ack(true).ok()
    });
    now(ns, "sockets-leave", |socket, event| {
        let order = Order::of(event.args())?;
        order.aim(socket.io().everybody()).sockets_leave(&order.leave).ok()?;
        event.ack(true).ok()
    });
    now(ns, "disconnect-sockets", |socket, event| {
        let order = Order::of(event.args())?;
        order.aim(socket.io().everybody()).disconnect_sockets(order.close).ok()?;
        event.ack(true).ok()
    });
    let shared = Arc::clone(shared);
    now(ns, "last-disconnect", move |_, event| {
        let id: String = event.args().parse(0)?.ok()?;
        shared.when_disconnected(&id, event.to_owned().take_ack()?);
        Some(())
    });
}

fn processes(ns: &mut Namespace, shared: &Arc<Shared>) {
    let living = Arc::clone(shared);
    now(ns, "life", move |socket, event| {
        let (process, recovered, middlewares) = (living.me(), socket.recovered(), living.middlewares());
        let life =
            serde_json::json!({ "process": process, "recovered": recovered, "middlewares": middlewares });
        event.ack(life).ok()
    });
    now(ns, "busy", |_, event| {
        let busy = Duration::from_millis(event.args().parse(0)?.ok()?).min(BUSY_MAX);
        let begun = Instant::now();
        while begun.elapsed() < busy {
            std::hint::spin_loop();
        }
        event.ack(true).ok()
    });
    later(ns, shared, "ask-servers", |(socket, event, _)| async move {
        let list = event.args().get(0)?.strip_prefix('[')?.strip_suffix(']')?.trim().to_owned();
        let args = ArgsRef::trusted(&list, &[]);
        let asked = socket.io().of("/").server_side_emit_with_ack("question", args, None).await.ok()?;
        let (missing, answered) = (asked.asked as usize, asked.responses.len());
        let error = (answered < missing).then_some(AckError::TimedOut);
        let text = format!("{}{}]}}", outcome(error), asked.responses.join(","));
        event.ack(ArgsRef::trusted(&text, &[])).ok()
    });
}
