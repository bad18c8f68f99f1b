//! What a server says in Engine.IO and Socket.IO packets (protocol.md 1.3, 1.4, 4.1): the parts a load test
//! looks at, borrowed from the bytes they came in.

use super::take_decimal;
use serde::Deserialize;

/// The open packet of an Engine.IO session, without its type digit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Open {
    pub(crate) sid: String,
    /// Milliseconds between heartbeats.
    pub(crate) ping_interval: u64,
    /// Milliseconds the other side may take to answer one.
    pub(crate) ping_timeout: u64,
}

impl Open {
    /// Reads the JSON of an open packet.
    pub(crate) fn decode(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}

/// Reads an ACK of the namespace `/`: its id and its arguments as JSON text.
pub(crate) fn ack(packet: &[u8]) -> Option<(u64, &[u8])> {
    take_decimal(packet.strip_prefix(b"3")?)
}

/// Reads an EVENT called `name` of the namespace `/`, without ack id: what follows the name and its comma.
/// The closing bracket is still there.
pub(crate) fn event<'a>(packet: &'a [u8], name: &str) -> Option<&'a [u8]> {
    packet.strip_prefix(b"2[\"")?.strip_prefix(name.as_bytes())?.strip_prefix(b"\",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_packet_gives_the_session_and_its_heartbeat() {
        let open = Open::decode(
            br#"{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1}"#,
        );
        assert_eq!(open, Some(Open { sid: "s".into(), ping_interval: 25_000, ping_timeout: 20_000 }));
        assert_eq!(Open::decode(b"{}"), None);
    }

    #[test]
    fn acks_and_events_are_read_in_place() {
        assert_eq!(ack(br#"312["x"]"#), Some((12, &br#"["x"]"#[..])));
        assert_eq!(ack(br#"3["x"]"#), None);
        assert_eq!(event(br#"2["news",1]"#, "news"), Some(&b"1]"[..]));
        assert_eq!(event(br#"2["newsreel",1]"#, "news"), None);
    }
}
