//! What an operator decides, checked. Names and defaults are Socket.IO's where it has the option
//! (protocol.md section 0).

use crate::limits;
use std::time::Duration;

/// Which transports a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transports {
    /// HTTP long-polling.
    pub polling: bool,
    /// WebSocket.
    pub websocket: bool,
}

/// The engine and Socket.IO options of one gateway; the same on every shard.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where Socket.IO lives; requests whose target starts with it belong to it. Ends with `/`.
    pub path: String,
    /// Transports that are offered.
    pub transports: Transports,
    /// Whether a polling session may move to WebSocket.
    pub allow_upgrades: bool,
    /// From one pong to the next ping.
    pub ping_interval: Duration,
    /// From a ping to the end of a silent session.
    pub ping_timeout: Duration,
    /// From the WebSocket request of an upgrade to its `5` packet.
    pub upgrade_timeout: Duration,
    /// From the handshake to the first namespace joined.
    pub connect_timeout: Duration,
    /// Largest message from a client in bytes, on any transport (`maxHttpBufferSize`).
    pub max_payload: u32,
    /// Most fragments of one WebSocket message; 0 lifts the limit.
    pub max_fragments: u32,
    /// Bytes queued towards one session before it is closed as a slow consumer.
    pub outbox_bytes_max: u32,
    /// CORS, if any header of it is to be sent.
    pub cors: Option<CorsOptions>,
    /// An Engine.IO message that every new session gets right after the open packet (`initialPacket`).
    pub initial_packet: Option<String>,
    /// Name of the cookie set on the polling handshake (attributes `Path=/; HttpOnly; SameSite=Lax`).
    pub cookie: Option<String>,
    /// Poll responses of at least this many bytes are compressed; `None` never compresses.
    pub http_compression_threshold: Option<u32>,
    /// Limits in time on what a client may take to send its requests.
    pub http: HttpTimeouts,
    /// Namespaces one session may be in or ask for; one more CONNECT ends it.
    pub max_namespaces: u16,
    /// Bytes of unfinished requests and messages of the whole process, spread evenly over its shards.
    pub input_bytes_max: u32,
    /// Sessions of the whole process, spread evenly over its shards; more handshakes are answered with 503.
    pub max_sessions: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            transports: Transports { polling: true, websocket: true },
            allow_upgrades: true,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            max_payload: 1_000_000,
            max_fragments: limits::FRAGMENTS_MAX,
            outbox_bytes_max: 1 << 20,
            cors: None,
            initial_packet: None,
            cookie: None,
            http_compression_threshold: Some(1024),
            http: HttpTimeouts::default(),
            max_namespaces: 1024,
            input_bytes_max: 512 << 20,
            max_sessions: 1_000_000,
        }
    }
}

/// What a browser of another origin may do (protocol.md 1.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsOptions {
    /// Allowed origins. One `*` allows any; one other is always sent; several are reflected if they match.
    pub origins: Vec<String>,
    /// Whether cookies and credentials are allowed.
    pub credentials: bool,
}

/// How long a client may take over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpTimeouts {
    /// From the first byte (or from accept) to the end of a request's head.
    pub head: Duration,
    /// From the end of the head to the end of the body.
    pub body: Duration,
    /// Between two requests of one connection.
    pub keep_alive: Duration,
    /// For the peer to close after we said the last word.
    pub linger: Duration,
}

impl Default for HttpTimeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            body: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
            linger: Duration::from_secs(5),
        }
    }
}

/// What backends may cost, and how long the sockets of one that is gone wait for another; the same on every shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendOptions {
    /// How long sockets wait for a backend that serves their namespace, and CONNECTs for the first one.
    pub hold: Duration,
    /// Bytes of events held for one socket while it has no backend; beyond it its client is not read.
    pub hold_bytes_per_socket: u32,
    /// Bytes of events held for all such sockets of the process, spread evenly over its shards.
    pub hold_bytes: u32,
    /// Bytes of client events that a backend may have to acknowledge, per link; beyond it its clients are not read.
    pub window: u32,
    /// Namespaces whose events are sent again when a backend is lost that had not acknowledged them (at least once
    /// instead of at most once). `*` stands for all.
    pub redeliver: Vec<String>,
    /// CONNECTs of the whole process that wait for a backend, spread evenly over its shards; more are refused.
    pub connects_waiting: u32,
    /// Largest frame a backend may send, in bytes; a larger one ends its link.
    pub frame_bytes_max: u32,
    /// Links open at once in the whole process; more are closed when they are accepted.
    pub links_max: u32,
}

impl BackendOptions {
    /// Whether events of this namespace are sent again after a backend was lost.
    pub fn redelivers(&self, namespace: &str) -> bool {
        self.redeliver.iter().any(|listed| listed == "*" || listed == namespace)
    }
}

impl Default for BackendOptions {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(30),
            hold_bytes_per_socket: 64 << 10,
            hold_bytes: 64 << 20,
            window: 1 << 20,
            redeliver: Vec::new(),
            connects_waiting: 10_000,
            frame_bytes_max: 16 << 20,
            links_max: 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_redelivers_in_every_namespace_and_a_name_in_its_own() {
        let listing = |names: &[&str]| BackendOptions {
            redeliver: names.iter().map(|&name| name.to_owned()).collect(),
            ..BackendOptions::default()
        };
        assert!(!listing(&[]).redelivers("/"));
        assert!(listing(&["/", "/chat"]).redelivers("/chat") && !listing(&["/chat"]).redelivers("/"));
        assert!(listing(&["*"]).redelivers("/any"));
    }
}
