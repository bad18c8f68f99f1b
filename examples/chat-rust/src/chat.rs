//! Who is inside, and what they hear of each other.

use crate::rules::{self, Quota, Refusal};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tidegate_backend::{Broadcast, EventRef, Socket};

/// The room of those who have a nickname.
const INSIDE: &str = "inside";

/// The chat of this process.
#[derive(Default)]
pub(crate) struct Chat(Mutex<Inside>);

/// Those who are inside, by the ids of their sockets.
#[derive(Default)]
struct Inside {
    members: HashMap<String, Member>,
    /// How often the number of members has changed. Never less than a process before said, because it starts
    /// with the time.
    changes: u64,
}

struct Member {
    nickname: String,
    quota: Quota,
}

/// The count as everybody is told it. A larger revision is later.
#[derive(Clone, Copy, Serialize)]
struct Headcount {
    count: usize,
    revision: u64,
}

/// `joined` and `left`.
#[derive(Serialize)]
struct Notice<'a> {
    author: &'a str,
    #[serde(flatten)]
    headcount: Headcount,
    time: u64,
}

/// `message`.
#[derive(Serialize)]
struct Message<'a> {
    from: &'a str,
    author: &'a str,
    text: &'a str,
    time: u64,
}

/// `typing`.
#[derive(Serialize)]
struct Typing<'a> {
    author: &'a str,
}

/// What an acknowledgement says.
#[derive(Serialize)]
pub(crate) struct Answer {
    ok: bool,
    #[serde(flatten)]
    headcount: Option<Headcount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Result<Option<Headcount>, Refusal>> for Answer {
    fn from(outcome: Result<Option<Headcount>, Refusal>) -> Self {
        match outcome {
            Ok(headcount) => Self { ok: true, headcount, error: None },
            Err(refusal) => Self { ok: false, headcount: None, error: Some(refusal.to_string()) },
        }
    }
}

impl Inside {
    fn now(&self) -> Headcount {
        Headcount { count: self.members.len(), revision: self.changes }
    }

    fn changed(&mut self) -> Headcount {
        self.changes = (self.changes + 1).max(unix_millis());
        self.now()
    }

    fn add(&mut self, socket: &Socket, nickname: &str) -> Headcount {
        let member = Member { nickname: nickname.to_owned(), quota: Quota::default() };
        self.members.insert(socket.id().to_owned(), member);
        self.changed()
    }
}

impl Chat {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A second `enter` changes nothing: the client was not sure whether the first had arrived.
    pub(crate) fn enter(&self, socket: &Socket, event: &EventRef<'_>) -> Answer {
        let enter = || {
            let mut inside = self.inside();
            if inside.members.contains_key(socket.id()) {
                return Ok(Some(inside.now()));
            }
            let wanted: String = event.args().parse(0).and_then(Result::ok).ok_or(Refusal::NicknameLength)?;
            let nickname = rules::nickname(&wanted)?;
            let headcount = inside.add(socket, nickname);
            // Told before the newcomer is in the room: the newcomer knows from the answer. In the lock, so
            // that counts are told in their order.
            tell(&everybody(socket), "joined", &Notice { author: nickname, headcount, time: unix_millis() });
            if socket.join(INSIDE).is_err() || socket.set_data(nickname).is_err() {
                eprintln!("a user could not be let in");
            }
            Ok(Some(headcount))
        };
        enter().into()
    }

    pub(crate) fn say(&self, socket: &Socket, event: &EventRef<'_>) -> Answer {
        let say = || {
            let mut inside = self.inside();
            let member = inside.members.get_mut(socket.id()).ok_or(Refusal::NotInside)?;
            let said: String = event.args().parse(0).and_then(Result::ok).ok_or(Refusal::TextLength)?;
            let text = rules::text(&said)?;
            if !member.quota.take(Instant::now()) {
                return Err(Refusal::TooFast);
            }
            let message = Message { from: socket.id(), author: &member.nickname, text, time: unix_millis() };
            tell(&everybody(socket), "message", &message);
            Ok(None)
        };
        say().into()
    }

    /// Whoever is not ready to hear of it at this instant need not.
    pub(crate) fn types(&self, socket: &Socket) {
        if let Some(member) = self.inside().members.get(socket.id()) {
            tell(&socket.to(INSIDE).volatile(), "typing", &Typing { author: &member.nickname });
        }
    }

    /// A socket is here that may have been inside before.
    pub(crate) fn came_back(&self, socket: &Socket) {
        if let Ok(Some(nickname)) = socket.data::<String>() {
            self.inside().add(socket, &nickname);
        }
    }

    /// A user has left.
    pub(crate) fn left(&self, socket: &Socket) {
        let mut inside = self.inside();
        if let Some(member) = inside.members.remove(socket.id()) {
            let headcount = inside.changed();
            let notice = Notice { author: &member.nickname, headcount, time: unix_millis() };
            tell(&everybody(socket), "left", &notice);
        }
    }

    /// A user is another process's now. Nobody has left, so nobody is told.
    pub(crate) fn lost(&self, socket: &Socket) {
        self.inside().members.remove(socket.id());
    }
}

/// Everybody inside, on every connection.
fn everybody(socket: &Socket) -> Broadcast {
    socket.io().to(INSIDE)
}

fn tell(to: &Broadcast, event: &str, news: &impl Serialize) {
    if let Err(error) = to.emit(event, (news,)) {
        eprintln!("{event} was not sent: {error}");
    }
}

fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
