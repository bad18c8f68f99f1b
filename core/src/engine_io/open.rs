//! The open packet, which tells a client its session id and the intervals (protocol.md 1.3).

use super::{Intervals, Transports};
use crate::id::Id;
use crate::payload;
use std::io::{self, Write as _};

/// Longest open packet there is, with every upgrade and 20-digit numbers.
const OPEN_BYTES_MAX: usize = 256;

/// What a new session is told.
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    /// The id of the session.
    pub sid: Id,
    /// See [`Transports::upgrades_from`].
    pub upgrades: Transports,
    /// Of the heartbeat; in whole milliseconds on the wire.
    pub intervals: &'a Intervals,
    /// Bytes of the longest message, and of the longest poll body, that the client may send.
    pub payload_bytes_max: usize,
}

impl Open<'_> {
    /// The packet, `0` and the JSON object, its keys in the order Node has them.
    pub fn encode(&self) -> payload::Packet {
        payload::Packet::build_text(OPEN_BYTES_MAX, |out| {
            self.write(out).expect("writing to a Vec does not fail");
        })
    }

    /// No value has anything to escape: ids are base64, the rest are numbers and our own names.
    fn write(&self, out: &mut Vec<u8>) -> io::Result<()> {
        write!(out, r#"0{{"sid":"{}","upgrades":["#, self.sid.encode())?;
        for (index, upgrade) in self.upgrades.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, r#"{comma}"{}""#, upgrade.as_str())?;
        }
        let ping_interval = self.intervals.interval.as_millis();
        let ping_timeout = self.intervals.timeout.as_millis();
        write!(out, r#"],"pingInterval":{ping_interval},"pingTimeout":{ping_timeout},"#)?;
        write!(out, r#""maxPayload":{}}}"#, self.payload_bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine_io::Transport;
    use std::time::Duration;

    const SID: &str = "AAAAAAAAAAAAAAAAAA-_";

    fn open(upgrades: &[Transport]) -> String {
        let open = Open {
            sid: Id::decode(SID).unwrap(),
            upgrades: upgrades.iter().copied().collect(),
            intervals: &Intervals { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) },
            payload_bytes_max: 1_000_000,
        };
        String::from_utf8(open.encode().payload().to_vec()).unwrap()
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
