//! Sockets of one client.

use super::{Inner, Socket, lock};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use tidegate_core::shard::app::SessionKey;

/// One client, and its sockets on this link.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) key: SessionKey,
    pub(super) websocket: AtomicBool,
    pub(super) sockets: Mutex<Vec<Weak<Inner>>>,
}

impl Session {
    pub(crate) fn new(key: SessionKey) -> Self {
        Self { key, websocket: AtomicBool::new(false), sockets: Mutex::default() }
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    pub(crate) fn set_transport(&self, transport: &str) {
        self.websocket.store(transport == "websocket", Ordering::Relaxed);
    }

    /// A socket of it is gone. Returns whether it was the last.
    pub(crate) fn remove(&self, socket: &Socket) -> bool {
        let mut sockets = lock(&self.sockets);
        sockets.retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(&socket.0)));
        sockets.is_empty()
    }

    pub(super) fn sockets(&self) -> Vec<Socket> {
        lock(&self.sockets).iter().filter_map(Weak::upgrade).map(Socket).collect()
    }
}
