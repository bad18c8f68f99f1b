//! Who serves the clients: one of the applications that come with the gateway (`--app`), three implementations of the
//! App trait, or the backends that dial in.
//!
//! What the shards of one application share is made once per process ([`Embedded`]); every shard then gets an
//! [`App`] of its own.

mod args;
mod bench;
mod chat;
mod conformance;

pub use chat::assets as chat_assets;

use crate::config::{AppKind, Config};
use crate::pages::load_pages;
use crate::{Gateway, GatewayError, assets};
use std::sync::Arc;
use tidegate_core::backend::Backends;
use tidegate_core::shard::Io;
use tidegate_core::shard::app::{App, Connect, Event, SocketKey, Verdict};

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

/// Serves clients as the configuration says, until a signal stops it.
///
/// # Errors
///
/// If the gateway cannot start.
pub fn serve(config: Config) -> Result<(), GatewayError> {
    let path = config.options.path.clone();
    let mut builder = Gateway::builder();
    if let Some(dir) = &config.client_dir {
        match assets::load_bundles(dir, &path) {
            Ok(bundles) => builder = builder.assets(bundles),
            Err(error) => tracing::warn!("no client bundles: {error}"),
        }
    }
    if let Some(dir) = &config.pages {
        let pages = load_pages(dir, &path)?;
        tracing::info!(dir = %dir.display(), paths = pages.len(), "pages");
        builder = builder.assets(pages);
    }
    builder = match config.app {
        None => {
            let (options, backend) = (config.options.clone(), config.backend.clone());
            let for_shard = move |shard| -> Box<dyn App> {
                Box::new(Backends::new(shard, &options, backend.clone(), env!("CARGO_PKG_VERSION")))
            };
            builder.backend_socket(config.backend_socket.clone()).app(for_shard)
        }
        Some(AppKind::Chat) => builder.assets(chat_assets(&path)),
        Some(AppKind::Conformance) => builder.bare_endpoints(),
        Some(AppKind::Bench) => builder,
    };
    if let Some(embedded) = config.app.map(Embedded::new) {
        builder = builder.app(move |_| embedded.for_shard());
    }
    builder.config(config).run()
}

/// An application that serves no namespace, for a gateway that was given none.
pub(crate) struct Nobody;

impl App for Nobody {
    fn connect(&mut self, _: &mut Io<'_>, _: SocketKey, _: &Connect<'_>) -> Verdict {
        Verdict::InvalidNamespace
    }

    fn event(&mut self, _: &mut Io<'_>, _: SocketKey, _: Event<'_>) {}
}

// One is made per process, and every worker thread asks it for its part.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Embedded>();
};
