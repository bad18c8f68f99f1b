//! Names of transports and protocol revisions, and which upgrades a client is offered (protocol.md 1.3).

/// How a client and the gateway exchange packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP long-polling.
    Polling,
    /// One WebSocket.
    WebSocket,
    /// One stream of a WebTransport session.
    WebTransport,
}

impl Transport {
    /// Every transport, in the order upgrades are offered in.
    pub const ALL: [Self; 3] = [Self::Polling, Self::WebSocket, Self::WebTransport];

    /// Reads a name off the wire or out of the configuration.
    pub fn decode(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.as_str() == name)
    }

    /// The name, on the wire and as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
            Self::WebTransport => "webtransport",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of transports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transports(u8);

impl Transports {
    /// No transport.
    pub const NONE: Self = Self(0);

    /// Whether `transport` is one of them.
    pub fn contains(self, transport: Transport) -> bool {
        self.0 & transport.bit() != 0
    }

    /// Its transports, in the order upgrades are offered in.
    pub fn iter(self) -> impl Iterator<Item = Transport> {
        Transport::ALL.into_iter().filter(move |&transport| self.contains(transport))
    }

    /// What a session that opens on `from` is offered, if these are the transports of the server.
    ///
    /// A client that opens on another transport than polling has nothing to gain.
    #[must_use]
    pub fn upgrades_from(self, from: Transport, allow_upgrades: bool) -> Self {
        match from {
            Transport::Polling if allow_upgrades => Self(self.0 & !Transport::Polling.bit()),
            _ => Self::NONE,
        }
    }
}

impl FromIterator<Transport> for Transports {
    fn from_iter<I: IntoIterator<Item = Transport>>(transports: I) -> Self {
        Self(transports.into_iter().fold(0, |bits, transport| bits | transport.bit()))
    }
}

/// The revision of Engine.IO a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revision {
    /// Clients of Socket.IO 1 and 2. Chosen by anything but `EIO=4`, an absent `EIO` included.
    V3,
    /// Clients of Socket.IO 3 and 4.
    V4,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrades_are_offered_to_polling_clients_only_and_in_a_fixed_order() {
        let all: Transports =
            [Transport::WebTransport, Transport::WebSocket, Transport::Polling].into_iter().collect();
        let offered = |transports: Transports, from, allow| {
            transports.upgrades_from(from, allow).iter().map(Transport::as_str).collect::<Vec<_>>()
        };
        // protocol.md H23, H21, H18.
        assert_eq!(offered(all, Transport::Polling, true), ["websocket", "webtransport"]);
        assert!(offered([Transport::Polling].into_iter().collect(), Transport::Polling, true).is_empty());
        assert!(offered(all, Transport::WebSocket, true).is_empty());
        assert!(offered(all, Transport::WebTransport, true).is_empty());
        assert!(offered(all, Transport::Polling, false).is_empty());
    }

    #[test]
    fn names_are_read_exactly() {
        for transport in Transport::ALL {
            assert_eq!(Transport::decode(transport.as_str()), Some(transport));
        }
        assert_eq!(Transport::decode("Polling"), None);
        assert_eq!(Transport::decode(""), None);
    }
}
