//! The open packet, which tells a client its session id and the intervals (protocol.md 1.3).

use super::{Intervals, Transports};
use crate::id::{ID_CHARS, Id};
use crate::payload;

/// What stands in front of the id.
const START: &[u8] = br#"0{"sid":""#;

/// What the sessions that open on one transport are told. Only their ids differ, so the rest is written once.
#[derive(Clone, Debug)]
pub struct Open {
    /// What stands behind the id.
    rest: Box<str>,
}

impl Open {
    /// `upgrades`: see [`Transports::upgrades_from`]. `intervals` are those of the heartbeat, in whole milliseconds
    /// on the wire. `payload_bytes_max` is of the longest message, and of the longest poll body, that a client
    /// may send.
    pub fn new(upgrades: Transports, intervals: &Intervals, payload_bytes_max: usize) -> Self {
        // No value has anything to escape: numbers and our own names.
        let upgrades: Vec<_> = upgrades.iter().map(|upgrade| format!(r#""{}""#, upgrade.as_str())).collect();
        let upgrades = upgrades.join(",");
        let ping_interval = intervals.interval.as_millis();
        let ping_timeout = intervals.timeout.as_millis();
        let rest = format!(
            r#"","upgrades":[{upgrades}],"pingInterval":{ping_interval},"pingTimeout":{ping_timeout},"maxPayload":{payload_bytes_max}}}"#
        );
        Self { rest: rest.into() }
    }

    /// The packet of one session, `0` and the JSON object, its keys in the order Node has them.
    pub fn encode(&self, sid: Id) -> payload::Packet {
        payload::Packet::build_text(START.len() + ID_CHARS + self.rest.len(), |out| {
            out.extend_from_slice(START);
            out.extend_from_slice(sid.encode().as_str().as_bytes());
            out.extend_from_slice(self.rest.as_bytes());
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine_io::Transport;
    use std::time::Duration;

    const SID: &str = "AAAAAAAAAAAAAAAAAA-_";

    fn open(upgrades: &[Transport]) -> String {
        let intervals = Intervals { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };
        let open = Open::new(upgrades.iter().copied().collect(), &intervals, 1_000_000);
        String::from_utf8(open.encode(Id::decode(SID).unwrap()).payload().to_vec()).unwrap()
    }

    #[test]
    fn the_open_packet_is_byte_for_byte_that_of_node() {
        // protocol.md H1: 118 bytes.
        let text = open(&[Transport::WebSocket]);
        assert_eq!(
            text,
            format!(
                r#"0{{"sid":"{SID}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#
            )
        );
        assert_eq!(text.len(), 118);
    }

    #[test]
    fn upgrades_are_listed_or_the_list_is_empty() {
        assert!(
            open(&[Transport::WebSocket, Transport::WebTransport])
                .contains(r#""upgrades":["websocket","webtransport"],"#)
        );
        assert!(open(&[]).contains(r#""upgrades":[],"#));
    }
}
