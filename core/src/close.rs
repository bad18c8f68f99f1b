//! Why something ended. The wire code, the application's reason, the log line and the metric label all come
//! from the enums here.

/// Why an Engine.IO session ended (protocol.md 1.12 and 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client left: WebSocket close, TCP loss, or a `1` packet.
    TransportClose,
    /// The transport broke its rules: overlapping polls, an aborted request, a WebSocket protocol error.
    TransportError,
    /// No pong within `ping_timeout`.
    PingTimeout,
    /// A malformed Engine.IO packet.
    ParseError,
    /// Closed at once by the server: a Socket.IO decode error, an invalid state, `conn.close()`.
    ForcedClose,
    /// As `ForcedClose`, but the close had to wait for queued packets or for a poll.
    ForcedServerClose,
    /// The gateway is shutting down.
    ServerShuttingDown,
    /// The client does not read what it is sent, and its outbox reached its limit.
    SlowConsumer,
}

impl CloseReason {
    /// Every reason, for tables of metrics.
    pub const ALL: [Self; 8] = [
        Self::TransportClose,
        Self::TransportError,
        Self::PingTimeout,
        Self::ParseError,
        Self::ForcedClose,
        Self::ForcedServerClose,
        Self::ServerShuttingDown,
        Self::SlowConsumer,
    ];

    /// What the application is told, in Socket.IO's words (protocol.md 4.6).
    ///
    /// A slow consumer is a transport error to the application (protocol.md 10, "queue bound").
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError | Self::SlowConsumer => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::ForcedServerClose => "forced server close",
            Self::ServerShuttingDown => "server shutting down",
        }
    }

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::TransportClose => "transport_close",
            Self::TransportError => "transport_error",
            Self::PingTimeout => "ping_timeout",
            Self::ParseError => "parse_error",
            Self::ForcedClose => "forced_close",
            Self::ForcedServerClose => "forced_server_close",
            Self::ServerShuttingDown => "server_shutting_down",
            Self::SlowConsumer => "slow_consumer",
        }
    }
}

/// Why one Socket.IO socket left its namespace (protocol.md 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisconnectReason {
    /// The whole session ended.
    Session(CloseReason),
    /// The client sent DISCONNECT.
    ClientNamespace,
    /// The application disconnected the socket.
    ServerNamespace,
}

impl DisconnectReason {
    /// What the application is told, in Socket.IO's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session(reason) => reason.as_str(),
            Self::ClientNamespace => "client namespace disconnect",
            Self::ServerNamespace => "server namespace disconnect",
        }
    }
}
