//! The applications that come with the gateway (`--app`): three implementations of the App trait.
//!
//! What the shards of one application share is made once per process ([`Embedded`]); every shard then gets an
//! [`App`] of its own.

mod args;
mod bench;
mod chat;
mod conformance;

pub use chat::{Asset, assets as chat_assets};

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use tidegate_core::shard::App;

/// Which application to embed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppKind {
    /// The tutorial's chat, page included. What a newcomer sees first.
    Chat,
    /// What load tests talk to.
    Bench,
    /// What protocol test suites and real-client tests talk to.
    Conformance,
}

impl AppKind {
    /// Every kind, in the order help texts list them.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Bench, Self::Conformance];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Bench => "bench",
            Self::Conformance => "conformance",
        }
    }
}

impl fmt::Display for AppKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name is none of an application that comes with the gateway. The operator's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no app `{0}`: it is one of chat, bench, conformance")]
pub struct UnknownApp(String);

impl FromStr for AppKind {
    type Err = UnknownApp;

    fn from_str(name: &str) -> Result<Self, UnknownApp> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        known.ok_or_else(|| UnknownApp(name.to_owned()))
    }
}

/// An application of this process, before it is spread over the shards.
#[derive(Clone)]
pub struct Embedded(Common);

/// What the shards of an application share.
#[derive(Clone)]
enum Common {
    Chat(Arc<chat::Roster>),
    Bench,
    Conformance(Arc<conformance::Shared>),
}

impl Embedded {
    /// An application without any user yet.
    pub fn new(kind: AppKind) -> Self {
        Self(match kind {
            AppKind::Chat => Common::Chat(Arc::default()),
            AppKind::Bench => Common::Bench,
            AppKind::Conformance => Common::Conformance(Arc::default()),
        })
    }

    /// The part of it that one shard calls. Any thread may ask, once per shard.
    pub fn for_shard(&self) -> Box<dyn App> {
        match &self.0 {
            Common::Chat(roster) => Box::new(chat::Chat::new(Arc::clone(roster))),
            Common::Bench => Box::new(bench::Bench::new()),
            Common::Conformance(shared) => Box::new(conformance::Conformance::new(Arc::clone(shared))),
        }
    }
}

// One is made per process, and every worker thread asks it for its part.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Embedded>();
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_app_is_found_by_its_name_and_no_other_is() {
        for kind in AppKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let refusal = "Chat".parse::<AppKind>().unwrap_err();
        assert_eq!(refusal.to_string(), "there is no app `Chat`: it is one of chat, bench, conformance");
    }
}
