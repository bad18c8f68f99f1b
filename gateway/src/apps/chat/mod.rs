//! The tutorial's chat: one room, nicknames, join and leave notices, a user count.
//!
//! | client sends | answer | everybody else inside gets |
//! |---|---|---|
//! | `enter` nickname | `{ok:true, count, revision}` or `{ok:false, error}` | `joined` {author, count, revision, time} |
//! | `say` text | `{ok:true}` or `{ok:false, error}` | `message` {from, author, text, time}, the author too |
//! | (disconnects) | | `left` {author, count, revision, time} |
//!
//! `from` is the author's socket id, times are Unix milliseconds. `web/chat.js` is the other end.

mod page;
mod roster;
mod rules;

pub use page::assets;
pub(super) use roster::Roster;

use super::args::{parse, plain};
use roster::Headcount;
use rules::{Quota, Refusal};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_core::shard::Io;
use tidegate_core::shard::app::{App, Connect, Departed, Event, Flags, Reply, Selector, SocketKey, Verdict};
use tidegate_core::socket_io::{ArgsRef, EventName};

/// The room of those who have a nickname.
const INSIDE: &str = "inside";

/// The part of the chat that one shard calls.
pub(super) struct Chat {
    roster: Arc<Roster>,
    /// This shard's users who have come in. One entry per socket at most.
    members: HashMap<SocketKey, Member>,
    inside: Selector,
}

struct Member {
    nickname: String,
    quota: Quota,
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

/// What an acknowledgement says.
#[derive(Serialize)]
struct Answer {
    ok: bool,
    #[serde(flatten)]
    headcount: Option<Headcount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Chat {
    /// A shard's part of the chat that `roster` counts.
    pub(super) fn new(roster: Arc<Roster>) -> Self {
        Self { roster, members: HashMap::new(), inside: Selector::namespace("/").to(INSIDE) }
    }

    /// A second `enter` changes nothing: the client was not sure whether the first had arrived.
    fn enter(&mut self, io: &mut Io<'_>, socket: SocketKey, args: ArgsRef<'_>) -> Result<Headcount, Refusal> {
        if self.members.contains_key(&socket) {
            return Ok(self.roster.now());
        }
        let wanted: String = parse(args, 0).ok_or(Refusal::NicknameLength)?;
        let nickname = rules::nickname(&wanted)?;
        let headcount = self.roster.enter();
        // Told before the newcomer is in the room: the newcomer knows from the answer.
        self.tell(io, "joined", &Notice { author: nickname, headcount, time: io.unix_millis() });
        io.join(socket, INSIDE);
        self.members.insert(socket, Member { nickname: nickname.to_owned(), quota: Quota::default() });
        Ok(headcount)
    }

    fn say(&mut self, io: &mut Io<'_>, socket: SocketKey, args: ArgsRef<'_>) -> Result<(), Refusal> {
        let now = io.now();
        let member = self.members.get_mut(&socket).ok_or(Refusal::NotInside)?;
        let said: String = parse(args, 0).ok_or(Refusal::TextLength)?;
        let text = rules::text(&said)?;
        if !member.quota.take(now) {
            return Err(Refusal::TooFast);
        }
        let Some(id) = io.id(socket) else { return Ok(()) };
        let (author, time) = (self.members[&socket].nickname.as_str(), io.unix_millis());
        self.tell(io, "message", &Message { from: id.encode().as_str(), author, text, time });
        Ok(())
    }

    fn tell(&self, io: &mut Io<'_>, event: &str, news: &impl Serialize) {
        io.broadcast(&self.inside, Flags::default(), event, plain(&json(news)));
    }
}

impl App for Chat {
    fn connect(&mut self, _io: &mut Io<'_>, _socket: SocketKey, request: &Connect<'_>) -> Verdict {
        if request.namespace == "/" { Verdict::Accept } else { Verdict::InvalidNamespace }
    }

    fn event(&mut self, io: &mut Io<'_>, socket: SocketKey, event: Event<'_>) {
        let outcome = match event.name.and_then(EventName::text).as_deref() {
            Some("enter") => self.enter(io, socket, event.args).map(Some),
            Some("say") => self.say(io, socket, event.args).map(|()| None),
            _ => return,
        };
        answer(io, event.reply, outcome);
    }

    fn disconnected(&mut self, io: &mut Io<'_>, socket: Departed) {
        let Some(member) = self.members.remove(&socket.key) else { return };
        let headcount = self.roster.leave();
        self.tell(io, "left", &Notice { author: &member.nickname, headcount, time: io.unix_millis() });
    }
}

fn answer(io: &mut Io<'_>, reply: Option<Reply>, outcome: Result<Option<Headcount>, Refusal>) {
    let Some(reply) = reply else { return };
    let answer = match outcome {
        Ok(headcount) => Answer { ok: true, headcount, error: None },
        Err(refusal) => Answer { ok: false, headcount: None, error: Some(refusal.to_string()) },
    };
    io.reply(reply, plain(&json(&answer)));
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and booleans are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_and_answers_have_the_shape_the_page_reads() {
        let headcount = Headcount { count: 2, revision: 5 };
        assert_eq!(
            json(&Notice { author: "\"A\"", headcount, time: 7 }),
            r#"{"author":"\"A\"","count":2,"revision":5,"time":7}"#,
        );
        assert_eq!(
            json(&Answer { ok: true, headcount: Some(headcount), error: None }),
            r#"{"ok":true,"count":2,"revision":5}"#,
        );
        let error = Some(Refusal::NotInside.to_string());
        assert_eq!(
            json(&Answer { ok: false, headcount: None, error }),
            r#"{"ok":false,"error":"Choose a nickname first."}"#,
        );
    }
}
