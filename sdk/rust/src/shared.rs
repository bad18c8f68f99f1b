//! What all parts of a backend share.

use crate::backend::Settings;
use crate::link::Link;
use crate::namespace::Namespaces;
use crate::welcome::Options;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// What all sockets, handles and tasks of a backend share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) namespaces: Namespaces,
    link: RwLock<Option<Arc<Link>>>,
    options: RwLock<Arc<Options>>,
    peers: AtomicU32,
}

impl Shared {
    pub(crate) fn new(settings: Settings, namespaces: Namespaces) -> Self {
        Self {
            settings,
            namespaces,
            link: RwLock::default(),
            options: RwLock::default(),
            peers: AtomicU32::new(0),
        }
    }

    /// The link, while there is one.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_link(&self, link: Option<Arc<Link>>) {
        if link.is_none() {
            self.set_peers(0);
        }
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = link;
    }

    pub(crate) fn options(&self) -> Arc<Options> {
        Arc::clone(&self.options.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_options(&self, options: Options) {
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(options);
    }

    pub(crate) fn peers(&self) -> u32 {
        self.peers.load(Ordering::Relaxed)
    }

    pub(crate) fn set_peers(&self, peers: u32) {
        self.peers.store(peers, Ordering::Relaxed);
    }
}
