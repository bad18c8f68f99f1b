//! Ports: streams that belong to the application. Accepted by the driver and written like a client's; what
//! their bytes mean is the application's business, and how much is queued for them, too.

use super::app::PortKey;
use super::state::{Call, Core};
use super::{ConnKey, Io, Shard, StreamHandle};
use crate::arena::Key;
use crate::front::{Conn, Then};
use crate::time::Instant;
use bytes::Bytes;

impl Shard {
    /// A stream for the application was accepted.
    pub fn handle_port(&mut self, now: Instant, stream: StreamHandle) -> ConnKey {
        self.core.begin(now);
        let key = self.core.conns.insert(Conn::port(stream));
        if self.core.is_draining {
            self.core.drop_conn(key);
        } else {
            self.core.calls.push_back(Call::PortOpened(PortKey(key)));
        }
        self.settle();
        key
    }

    /// Handles bytes of a port. Once it is closed they are nobody's.
    pub(super) fn port_bytes(&mut self, key: Key, bytes: &mut [u8]) {
        if self.core.port(PortKey(key)).is_some() {
            self.app.port_bytes(&mut Io::new(&mut self.core), PortKey(key), bytes);
        }
    }
}

impl Io<'_> {
    /// Queues bytes to a port, in order. Any number: it is for the application to look at
    /// [`Self::port_backlog`].
    pub fn port_send(&mut self, port: PortKey, bytes: Bytes) {
        if self.core.port(port).is_some() {
            self.core.push(port.0, bytes);
        }
    }

    /// Bytes queued to a port that have not been written.
    pub fn port_backlog(&self, port: PortKey) -> usize {
        self.core.conns.get(port.0).filter(|conn| conn.is_port()).map_or(0, |conn| conn.out.bytes())
    }

    /// Reads no more from a port until [`Self::port_resume`]. What has been read still comes, up to one read
    /// more. Whether the peer closes a port that is not read is seen late, or not at all.
    pub fn port_pause(&mut self, port: PortKey) {
        if let Some(conn) = self.core.port(port) {
            conn.is_held = true;
        }
    }

    /// Reads on from a port.
    pub fn port_resume(&mut self, port: PortKey) {
        if self.core.port(port).is_some() {
            self.core.release_conn(port.0);
        }
    }

    /// Closes a port once what is queued has been written, for which the peer has as long as a client between
    /// two requests (`http.keep_alive`). Nothing more comes from it, and nothing more can be sent.
    pub fn port_close(&mut self, port: PortKey) {
        if self.core.port(port).is_some() {
            self.core.finish_conn(port.0, Then::Close);
        }
    }
}

impl Core {
    /// A port that has not been closed from here.
    fn port(&mut self, port: PortKey) -> Option<&mut Conn> {
        self.conns.get_mut(port.0).filter(|conn| conn.is_port() && conn.then == Then::GoOn)
    }

    /// The stream of a port has ended, and with it the port.
    pub(super) fn port_ended(&mut self, key: Key) {
        let is_open = self.port(PortKey(key)).is_some();
        self.drop_conn(key);
        if is_open {
            self.calls.push_back(Call::PortClosed(PortKey(key)));
        }
    }

    /// Closes every port once what is queued has been written.
    pub(super) fn drain_ports(&mut self) {
        for key in self.conns.keys() {
            if self.conns.get(key).is_some_and(Conn::is_port) {
                self.finish_conn(key, Then::Close);
            }
        }
    }
}
