//! What a server says in Engine.IO and Socket.IO packets (protocol.md 1.3, 1.4, 4.1): the parts a load test
//! looks at, borrowed from the bytes they came in.

use super::take_decimal;
use serde::Deserialize;

/// A Socket.IO packet of the namespace that a run is in, which no longer stands between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    /// Its type digit; zero for a message that is not Socket.IO.
    pub(crate) kind: u8,
    /// Ack id and JSON, or a whole message that is not Socket.IO.
    pub(crate) body: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A message that is not Socket.IO.
    pub(crate) fn bare(body: &'a [u8]) -> Self {
        Self { kind: 0, body }
    }

    /// Takes a packet apart. `namespace` is empty for `/`, and ends with its comma for others; `None` if the packet is of
    /// another (protocol.md 4.1).
    pub(crate) fn decode(bytes: &'a [u8], namespace: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let body = match namespace {
            b"" => (rest.first() != Some(&b'/')).then_some(rest),
            // The comma may be missing if nothing follows it.
            [name @ .., _] => rest.strip_prefix(namespace).or((rest == name).then_some(b"")),
        };
        body.map(|body| Self { kind: *kind, body })
    }
}

/// The open packet of an Engine.IO session, without its type digit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Open {
    pub(crate) sid: String,
    /// Milliseconds between heartbeats.
    pub(crate) ping_interval: u64,
    /// Milliseconds the other side may take to answer one.
    pub(crate) ping_timeout: u64,
    /// Bytes of the largest message the server takes. Servers before Engine.IO 6.2 do not say.
    #[serde(default)]
    pub(crate) max_payload: Option<u64>,
}

impl Open {
    /// Reads the JSON of an open packet.
    pub(crate) fn decode(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}

/// Reads an ACK: its id and its arguments as JSON text.
pub(crate) fn ack(packet: Packet<'_>) -> Option<(u64, &[u8])> {
    if packet.kind == b'3' { take_decimal(packet.body) } else { None }
}

/// Reads an EVENT called `name`, without ack id: what follows the name and its comma. The closing bracket is still there.
pub(crate) fn event<'a>(packet: Packet<'a>, name: &str) -> Option<&'a [u8]> {
    if packet.kind != b'2' {
        return None;
    }
    packet.body.strip_prefix(b"[\"")?.strip_prefix(name.as_bytes())?.strip_prefix(b"\",")
}

/// True of an EVENT that is not called `name`: the application's own, or another load's. The slow way round.
pub(crate) fn is_other_event(packet: Packet<'_>, name: &str) -> bool {
    let first = packet.body.iter().position(|byte| *byte == b'[').map(|at| &packet.body[at..]);
    let arguments = first.and_then(|json| serde_json::from_slice::<Vec<serde_json::Value>>(json).ok());
    let called = arguments.as_ref().and_then(|arguments| arguments.first()?.as_str());
    packet.kind == b'2' && called.is_some_and(|called| called != name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_packet_gives_the_session_and_its_heartbeat() {
        let open = Open::decode(
            br#"{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1}"#,
        );
        assert_eq!(
            open,
            Some(Open { sid: "s".into(), ping_interval: 25_000, ping_timeout: 20_000, max_payload: Some(1) })
        );
        let short = Open::decode(br#"{"sid":"s","upgrades":[],"pingInterval":1,"pingTimeout":2}"#);
        assert_eq!(short.map(|open| open.max_payload), Some(None));
        assert_eq!(Open::decode(b"{}"), None);
    }

    #[test]
    fn acks_and_events_are_read_in_place() {
        let root = |bytes| Packet::decode(bytes, b"").unwrap();
        assert_eq!(ack(root(br#"312["x"]"#)), Some((12, &br#"["x"]"#[..])));
        assert_eq!(ack(root(br#"3["x"]"#)), None);
        assert_eq!(event(root(br#"2["news",1]"#), "news"), Some(&b"1]"[..]));
        assert_eq!(event(root(br#"2["newsreel",1]"#), "news"), None);
    }

    #[test]
    fn an_event_of_another_name_is_not_ours() {
        let is_other = |bytes| is_other_event(Packet::decode(bytes, b"").unwrap(), "news");
        assert!(is_other(br#"2["welcome",{"a":[1]}]"#) && is_other(br#"27[ "newsreel" ]"#));
        assert!(!is_other(br#"2["news",1]"#) && !is_other(br#"3["welcome"]"#) && !is_other(b"2[oops"));
    }

    #[test]
    fn a_packet_is_of_one_namespace() {
        let admin = |bytes| Packet::decode(bytes, b"/admin,");
        assert_eq!(admin(br#"2/admin,7["x"]"#), Some(Packet { kind: b'2', body: br#"7["x"]"# }));
        assert_eq!(admin(b"1/admin"), Some(Packet { kind: b'1', body: b"" }));
        assert_eq!((admin(br#"2["x"]"#), admin(br#"2/administration,["x"]"#)), (None, None));
        assert_eq!(Packet::decode(br#"2/admin,["x"]"#, b""), None);
    }
}
