//! What the app remembers beyond one socket. Where several processes serve together, each is told what the
//! others learn (BEHAVIOURS.md, "Several processes").
//!
//! Keys and facts are JSON text. Who is held is known to its own process, who wants to release to all.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_backend::{Ack, Args, ArgsRef, Io};
use tokio::sync::oneshot;

/// Facts kept.
const REMEMBERED_MAX: usize = 20_000;
/// How long other processes may take to learn something.
const LEARN_PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct Shared {
    me: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By socket id: what `disconnecting` saw.
    disconnects: HashMap<String, String>,
    /// The keys of `disconnects`, oldest first.
    order: VecDeque<String>,
    /// By socket id: who waits for that.
    curious: HashMap<String, Vec<Ack>>,
    held: Queues<Go>,
    /// Tokens of those who want to release.
    releasing: Queues<String>,
    /// By token, in the process that was asked to release.
    releasers: HashMap<String, Ack>,
    tokens: u64,
    /// By socket id: who released a CONNECT that is about to be answered.
    arriving: HashMap<String, Released>,
    /// `/gate`: how many refusals are left.
    attempts: HashMap<String, i64>,
    /// Dynamic namespaces: those of this process, and the first by name of all processes that have one.
    namespaces: BTreeSet<String>,
    speakers: BTreeMap<String, String>,
    middlewares: u64,
}

/// A queue for each key.
struct Queues<T>(HashMap<String, VecDeque<T>>);

impl<T> Default for Queues<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Queues<T> {
    fn push(&mut self, key: &str, item: T) {
        self.0.entry(key.to_owned()).or_default().push_back(item);
    }

    fn pop(&mut self, key: &str) -> Option<T> {
        let item = self.0.get_mut(key)?.pop_front();
        self.0.retain(|_, queue| !queue.is_empty());
        item
    }
}

/// Somebody who waits to be released.
pub(crate) enum Go {
    /// A CONNECT; whoever releases it is told when it was answered.
    Connect(oneshot::Sender<Released>),
    /// An event, and what it is to be answered with.
    Event(Option<Ack>, Args),
}

/// The duty to tell all that a key was released.
pub(crate) struct Released {
    shared: Arc<Io>,
    key: String,
    token: String,
    releaser: Option<Ack>,
}

impl Released {
    pub(crate) fn tell(self) {
        if let Some(ack) = self.releaser {
            let _ = ack.send(true);
        }
        let args = format!("{},{}", self.key, Value::from(self.token));
        tell_others(&self.shared, "released", &args);
    }
}

/// Text out of JSON, as `String(value)` would have it.
pub(crate) fn text(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

fn learn_args(what: &str, args: &str) -> String {
    format!(r#""{what}",[{args}]"#)
}

/// Tells the other processes, and does not wait. `args` is a list of JSON values.
fn tell_others(io: &Io, what: &str, args: &str) {
    let _ = io.of("/").server_side_emit("learn", ArgsRef::trusted(&learn_args(what, args), &[]));
}

impl Shared {
    pub(crate) fn new(me: &str) -> Self {
        Self { me: me.to_owned(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of this process.
    pub(crate) fn me(&self) -> &str {
        &self.me
    }

    /// Something that another process has found out.
    pub(crate) fn learn(&self, io: &Io, what: &str, args: &[&str]) {
        match (what, args) {
            ("disconnected", [id, fact]) => self.know_disconnect(&text(id), fact),
            ("refused", [key, left]) => self.know_refusal(key, left.parse().unwrap_or(-1)),
            ("release", [key, token]) => self.know_release(io, key, text(token)),
            ("released", [key, token]) => self.know_released(key, &text(token)),
            ("namespace", [name, process]) => self.know_namespace(&text(name), &text(process)),
            _ => {}
        }
    }

    // ---- disconnects
    // -----------------------------------------------------------------------------------------------

    pub(crate) fn disconnected(&self, io: &Io, id: &str, fact: &str) {
        self.know_disconnect(id, fact);
        tell_others(io, "disconnected", &format!("{},{fact}", Value::from(id)));
    }

    fn know_disconnect(&self, id: &str, fact: &str) {
        let mut state = self.state();
        if state.disconnects.insert(id.to_owned(), fact.to_owned()).is_none() {
            state.order.push_back(id.to_owned());
        }
        if state.order.len() > REMEMBERED_MAX
            && let Some(oldest) = state.order.pop_front()
        {
            state.disconnects.remove(&oldest);
        }
        for ack in state.curious.remove(id).unwrap_or_default() {
            let _ = ack.send(ArgsRef::trusted(fact, &[]));
        }
    }

    /// Answers when the socket has left.
    pub(crate) fn when_disconnected(&self, id: &str, ack: Ack) {
        let mut state = self.state();
        match state.disconnects.get(id) {
            Some(fact) => drop(ack.send(ArgsRef::trusted(fact, &[]))),
            None => state.curious.entry(id.to_owned()).or_default().push(ack),
        }
    }

    // ---- gates
    // -----------------------------------------------------------------------------------------------------

    /// How many more attempts are refused, this one included, when all know of this one: 3 at first.
    pub(crate) async fn attempt(&self, io: &Io, key: &str) -> i64 {
        let left = self.state().attempts.get(key).copied().unwrap_or(3);
        self.know_refusal(key, left - 1);
        let args = learn_args("refused", &format!("{key},{}", left - 1));
        let args = ArgsRef::trusted(&args, &[]);
        let _ = io.of("/").server_side_emit_with_ack("learn", args, LEARN_PATIENCE).await;
        left
    }

    fn know_refusal(&self, key: &str, left: i64) {
        let attempts = &mut self.state().attempts;
        if left < 0 {
            attempts.remove(key);
        } else {
            attempts.insert(key.to_owned(), left);
        }
    }

    /// Keeps somebody until the key is released, or lets it go if it was.
    pub(crate) fn hold(&self, io: &Io, key: &str, go: Go) {
        let token = {
            let mut state = self.state();
            match state.releasing.pop(key) {
                Some(token) => token,
                None => return state.held.push(key, go),
            }
        };
        self.let_go(io, key, token, go);
    }

    /// Releases the oldest of the key, here or elsewhere, now or later.
    pub(crate) fn release(&self, io: &Io, key: &str, ack: Ack) {
        let token = {
            let mut state = self.state();
            state.tokens += 1;
            let token = format!("{}-{}", self.me, state.tokens);
            state.releasers.insert(token.clone(), ack);
            token
        };
        let args = format!("{key},{}", Value::from(&*token));
        tell_others(io, "release", &args);
        self.know_release(io, key, token);
    }

    fn know_release(&self, io: &Io, key: &str, token: String) {
        let held = {
            let mut state = self.state();
            match state.held.pop(key) {
                Some(go) => go,
                None => return state.releasing.push(key, token),
            }
        };
        self.let_go(io, key, token, held);
    }

    fn let_go(&self, io: &Io, key: &str, token: String, go: Go) {
        let releaser = self.state().releasers.remove(&token);
        let released = Released { shared: Arc::new(io.clone()), key: key.to_owned(), token, releaser };
        match go {
            Go::Connect(go) => {
                if let Err(released) = go.send(released) {
                    // The handler that waited is no more.
                    released.tell();
                }
            }
            Go::Event(ack, args) => {
                if let Some(ack) = ack {
                    let _ = ack.send(args);
                }
                released.tell();
            }
        }
    }

    fn know_released(&self, key: &str, token: &str) {
        let mut state = self.state();
        if let Some(tokens) = state.releasing.0.get_mut(key) {
            tokens.retain(|other| other != token);
        }
        if let Some(ack) = state.releasers.remove(token) {
            let _ = ack.send(true);
        }
    }

    /// A held CONNECT is about to be accepted.
    pub(crate) fn arriving(&self, id: &str, released: Released) {
        self.state().arriving.insert(id.to_owned(), released);
    }

    /// A socket was accepted.
    pub(crate) fn arrived(&self, id: &str) {
        let released = self.state().arriving.remove(id);
        if let Some(released) = released {
            released.tell();
        }
    }

    // ---- dynamic namespaces
    // ----------------------------------------------------------------------------------------

    /// This process has this dynamic namespace, too.
    pub(crate) fn has_namespace(&self, io: &Io, name: &str) {
        if !self.state().namespaces.insert(name.to_owned()) {
            return;
        }
        self.know_namespace(name, &self.me);
        tell_others(io, "namespace", &format!("{},{}", Value::from(name), Value::from(&*self.me)));
    }

    fn know_namespace(&self, name: &str, process: &str) {
        let mut state = self.state();
        let speaker = state.speakers.entry(name.to_owned()).or_insert_with(|| process.to_owned());
        if process < &**speaker {
            process.clone_into(speaker);
        }
    }

    /// The dynamic namespaces in which this process broadcasts when all of them are meant.
    pub(crate) fn spoken_for(&self) -> Vec<String> {
        let state = self.state();
        let mine = state.namespaces.iter().filter(|name| state.speakers.get(*name) == Some(&self.me));
        mine.cloned().collect()
    }

    // ---- lives
    // -----------------------------------------------------------------------------------------------------

    /// Somebody was asked whether a client may come in.
    pub(crate) fn count_middleware(&self) {
        self.state().middlewares += 1;
    }

    pub(crate) fn middlewares(&self) -> u64 {
        self.state().middlewares
    }
}
