//! The applications that come with the gateway (`--app`): three implementations of the App trait.
//!
//! What the shards of one application share is made once per process ([`Embedded`]); every shard then gets an
//! [`App`] of its own.

mod args;
mod bench;
mod chat;
mod conformance;

pub use chat::assets as chat_assets;

use crate::config::AppKind;
use std::sync::Arc;
use tidegate_core::shard::app::App;

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
