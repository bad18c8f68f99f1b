//! What a shard counts. Plain numbers with one owner; the admin thread asks for a copy.

use super::Shard;
use crate::close::CloseReason;

/// Counters (ever growing) and gauges (the present) of one shard.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// TCP connections of clients open now.
    pub connections: u64,
    /// Streams of the application open now.
    pub ports: u64,
    /// TCP connections accepted.
    pub connections_accepted: u64,
    /// WebSocket connections moved here from another core.
    pub connections_moved: u64,
    /// Sessions open now, by transport.
    pub sessions_polling: u64,
    /// Sessions open now whose transport is WebSocket.
    pub sessions_websocket: u64,
    /// Sessions opened.
    pub sessions_opened: u64,
    /// Sessions that moved from polling to WebSocket.
    pub sessions_upgraded: u64,
    /// Sessions closed, in the order of [`CloseReason::ALL`].
    pub sessions_closed: [u64; CloseReason::ALL.len()],
    /// Sockets joined to a namespace now.
    pub sockets: u64,
    /// HTTP requests read to the end of their head.
    pub requests: u64,
    /// Requests handed to the core that has their session.
    pub requests_forwarded: u64,
    /// Refused requests, by Engine.IO error code 0 to 5.
    pub refusals_by_code: [u64; 6],
    /// Requests refused below Engine.IO: bad heads, limits, timeouts, unknown paths.
    pub refusals_http: u64,
    /// Socket.IO events from clients.
    pub events_in: u64,
    /// Socket.IO packets to clients, broadcast deliveries included.
    pub events_out: u64,
    /// Packets that could not be decoded or came at the wrong time; each ended its session.
    pub decode_errors: u64,
    /// Bytes read from client connections.
    pub bytes_in: u64,
    /// Bytes written to client connections.
    pub bytes_out: u64,
    /// Broadcasts asked for on this shard.
    pub broadcasts: u64,
    /// Copies of broadcasts queued to sockets of this shard.
    pub deliveries: u64,
    /// Volatile packets dropped because the transport was not ready.
    pub volatile_dropped: u64,
    /// Bytes of unfinished requests and messages held now.
    pub input_bytes: u64,
    /// Connections and sessions ended because all together held too much of those.
    pub input_refused: u64,
    /// Bytes queued towards clients now.
    pub outbox_bytes: u64,
    /// Bytes queued towards one client now: the most of any.
    pub outbox_bytes_largest: u64,
    /// Messages to other shards that wait here because a mailbox is full.
    pub mailbox_backlog: u64,
    /// Namespaces with at least one socket here.
    pub namespaces: u64,
    /// Rooms with at least one member here (a socket's own room not counted).
    pub rooms: u64,
    /// Sockets that wait for the application's verdict now.
    pub sockets_connecting: u64,
    /// Namespaces and rooms in which other shards have, or may be getting, members.
    pub interests: u64,
    /// Acknowledgements that clients owe to applications now.
    pub acks_pending: u64,
    /// Questions to all shards whose answers are being collected now.
    pub collections: u64,
    /// Deadlines in the timer wheel, those included that have lost their meaning.
    pub timers: u64,
    /// What an application that serves backends counts; zeros for every other.
    pub backend: BackendStats,
}

/// Counters and gauges of the links to backends that live on one shard, written by `App::stats`.
#[derive(Clone, Debug, Default)]
pub struct BackendStats {
    /// Links open now.
    pub links: u64,
    /// Links open now that take new sockets.
    pub links_serving: u64,
    /// CONNECTs that wait for a backend now.
    pub sockets_waiting: u64,
    /// Sockets whose backend has gone, and that wait for another now.
    pub sockets_orphaned: u64,
    /// Bytes of what waits for a backend now.
    pub held_bytes: u64,
    /// Sockets taken over from a backend that had gone.
    pub adopted_total: u64,
    /// Events sent again to the backend that took over.
    pub redelivered_total: u64,
    /// Events from clients that no backend got.
    pub events_dropped_total: u64,
    /// Sockets for which no backend came in time.
    pub holds_expired_total: u64,
    /// Frames from backends.
    pub frames_in_total: u64,
    /// Frames to backends.
    pub frames_out_total: u64,
    /// Bytes from backends.
    pub link_bytes_in_total: u64,
    /// Bytes to backends.
    pub link_bytes_out_total: u64,
    /// Links refused or ended because their backend broke the protocol.
    pub links_refused_total: u64,
    /// Questions of backends, and to them, that wait for answers now.
    pub questions: u64,
}

impl Stats {
    /// Counts the end of a session.
    pub fn session_closed(&mut self, reason: CloseReason) {
        let place = CloseReason::ALL.iter().position(|&other| other == reason);
        self.sessions_closed[place.expect("ALL lists every reason")] += 1;
    }
}

impl Shard {
    /// What has been counted, and how many of everything there are.
    pub fn stats(&self) -> Stats {
        let mut stats = self.core.stats.clone();
        stats.ports = self.core.conns.iter().filter(|(_, conn)| conn.is_port()).count() as u64;
        stats.connections = self.core.conns.len() as u64 - stats.ports;
        stats.sockets = self.core.hub.joined() as u64;
        stats.namespaces = self.core.hub.namespaces() as u64;
        stats.rooms = self.core.hub.rooms() as u64;
        stats.input_bytes = self.core.input_bytes as u64;
        stats.mailbox_backlog = self.core.messages.len() as u64;
        stats.sockets_connecting = (self.core.hub.len() - self.core.hub.joined()) as u64;
        stats.interests = self.core.interest.len() as u64;
        stats.acks_pending = self.core.acks.len() as u64;
        stats.collections = self.core.collections.len() as u64;
        stats.timers = self.core.timers.len() as u64;
        let clients = self.core.conns.iter().filter(|(_, conn)| !conn.is_port());
        let in_conns = clients.map(|(_, conn)| conn.out.bytes());
        let in_sessions = self.core.sessions.iter().map(|(_, session)| session.outbox.bytes());
        for bytes in in_conns.chain(in_sessions) {
            stats.outbox_bytes += bytes as u64;
            stats.outbox_bytes_largest = stats.outbox_bytes_largest.max(bytes as u64);
        }
        self.app.stats(&mut stats);
        stats
    }
}
