//! The client's side of one Engine.IO session with one namespace in it (protocol.md 1.3, 1.4, 1.10, 4.4).

use super::{Dialect, Endpoint, Failure};
use crate::clock::{self, Nanos};
use crate::wire::packet::{Open, Packet};
use std::rc::Rc;
use std::time::Duration;

/// What a packet means to the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reaction<'a> {
    Nothing,
    /// The session is open; the CONNECT goes next.
    Opened {
        sid: String,
        max_payload: Option<u64>,
    },
    Joined,
    Ping,
    Packet(Packet<'a>),
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Joining,
    Joined,
    Closing,
}

/// Where the session stands, and when it last showed life.
pub(super) struct Session {
    phase: Phase,
    /// No Engine.IO above the WebSocket.
    bare: bool,
    endpoint: Rc<Endpoint>,
    heartbeat_at: Nanos,
    /// Longest time between two heartbeats that is not a fault. Zero: none are expected.
    heartbeat_max: Nanos,
}

impl Session {
    pub(super) fn new(endpoint: &Rc<Endpoint>, now: Nanos) -> Self {
        let bare = endpoint.dialect == Dialect::Bare;
        Self { phase: Phase::Opening, bare, endpoint: endpoint.clone(), heartbeat_at: now, heartbeat_max: 0 }
    }

    /// Empty for `/`; else with its comma.
    pub(super) fn namespace(&self) -> &str {
        &self.endpoint.namespace
    }

    /// The packet that asks for the namespace.
    pub(super) fn connect_packet(&self) -> String {
        format!("40{}{}", self.endpoint.namespace, self.endpoint.auth)
    }

    pub(super) fn is_joined(&self) -> bool {
        self.phase == Phase::Joined
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.phase == Phase::Closing
    }

    pub(super) fn is_overdue(&self, now: Nanos) -> bool {
        self.heartbeat_max > 0 && now.saturating_sub(self.heartbeat_at) > self.heartbeat_max
    }

    /// The WebSocket is open.
    pub(super) fn handle_upgraded(&mut self) -> Reaction<'static> {
        if !self.bare {
            return Reaction::Nothing;
        }
        self.phase = Phase::Joined;
        Reaction::Joined
    }

    /// The server ended the transport: what we waited for, or a failure.
    pub(super) fn handle_closed(&mut self) -> Result<Reaction<'static>, Failure> {
        if self.phase == Phase::Closing { Ok(Reaction::Closed) } else { Err(Failure::Closed) }
    }

    /// We are about to say goodbye.
    pub(super) fn close(&mut self) {
        self.phase = Phase::Closing;
    }

    /// One Engine.IO packet.
    pub(super) fn handle_packet<'a>(
        &mut self,
        packet: &'a [u8],
        now: Nanos,
    ) -> Result<Reaction<'a>, Failure> {
        if self.phase == Phase::Closing {
            return Ok(Reaction::Nothing);
        }
        if self.bare {
            return Ok(Reaction::Packet(Packet::bare(packet)));
        }
        let Some((&kind, data)) = packet.split_first() else { return Err(Failure::Packet("empty")) };
        match (self.phase, kind) {
            (_, b'6') => Ok(Reaction::Nothing),
            (Phase::Joined | Phase::Joining, b'4') => {
                match Packet::decode(data, self.endpoint.namespace.as_bytes()) {
                    // Of another namespace, which nobody has asked for.
                    None => Ok(Reaction::Nothing),
                    Some(packet) if self.phase == Phase::Joining => self.handle_reply(packet),
                    Some(Packet { kind: b'1', .. }) => Err(Failure::Closed),
                    Some(packet) => Ok(Reaction::Packet(packet)),
                }
            }
            (Phase::Joining | Phase::Joined, b'2') => {
                self.heartbeat_at = now;
                Ok(Reaction::Ping)
            }
            (Phase::Opening, b'0') => {
                let open = Open::decode(data).ok_or(Failure::Packet("malformed open packet"))?;
                let promised = open.ping_interval.saturating_add(open.ping_timeout);
                self.heartbeat_max = clock::from_duration(Duration::from_millis(promised));
                self.heartbeat_at = now;
                if let Some(most) = open.max_payload.filter(|most| *most < self.endpoint.payload_bytes) {
                    return Err(Failure::Payload(most));
                }
                self.phase = Phase::Joining;
                Ok(Reaction::Opened { sid: open.sid, max_payload: open.max_payload })
            }
            (_, b'1') => Err(Failure::Closed),
            _ => Err(Failure::Packet("out of place")),
        }
    }

    /// What comes before the reply to our CONNECT (protocol.md 4.4: events may overtake it).
    fn handle_reply(&mut self, packet: Packet<'_>) -> Result<Reaction<'static>, Failure> {
        match packet.kind {
            b'0' => {
                self.phase = Phase::Joined;
                Ok(Reaction::Joined)
            }
            b'4' => Err(Failure::Refused(String::from_utf8_lossy(packet.body).into_owned())),
            _ => Ok(Reaction::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    const OPEN: &[u8] =
        br#"0{"sid":"abc","upgrades":[],"pingInterval":2000,"pingTimeout":1000,"maxPayload":100}"#;

    fn session(namespace: &str) -> Session {
        let endpoint = Endpoint { namespace: namespace.into(), payload_bytes: 100, ..Endpoint::for_tests() };
        Session::new(&Rc::new(endpoint), 0)
    }

    fn joined() -> Session {
        let mut session = session("");
        session.handle_packet(OPEN, 0).unwrap();
        session.handle_packet(br#"40{"sid":"x"}"#, 0).unwrap();
        session
    }

    #[test]
    fn a_session_opens_joins_and_then_hands_packets_on() {
        let mut session = session("");
        assert_eq!(
            session.handle_packet(OPEN, 0).unwrap(),
            Reaction::Opened { sid: "abc".into(), max_payload: Some(100) }
        );
        assert_eq!(session.handle_packet(b"42[\"early\"]", 0).unwrap(), Reaction::Nothing);
        assert_eq!(session.handle_packet(br#"40{"sid":"x"}"#, 0).unwrap(), Reaction::Joined);
        assert_eq!(
            session.handle_packet(b"42[\"a\"]", 0).unwrap(),
            Reaction::Packet(Packet { kind: b'2', body: b"[\"a\"]" })
        );
        assert_eq!(session.handle_packet(b"2", 0).unwrap(), Reaction::Ping);
    }

    #[test]
    fn a_session_in_a_namespace_hears_nothing_of_others() {
        let mut session = session("/admin,");
        assert_eq!(session.connect_packet(), "40/admin,");
        session.handle_packet(OPEN, 0).unwrap();
        assert_eq!(session.handle_packet(br#"40{"sid":"x"}"#, 0).unwrap(), Reaction::Nothing);
        assert_eq!(session.handle_packet(br#"40/admin,{"sid":"x"}"#, 0).unwrap(), Reaction::Joined);
        assert_eq!(session.handle_packet(b"42[1]", 0).unwrap(), Reaction::Nothing);
        let packet = Packet { kind: b'2', body: b"[1]" };
        assert_eq!(session.handle_packet(b"42/admin,[1]", 0).unwrap(), Reaction::Packet(packet));
        assert!(matches!(session.handle_packet(b"41/admin,", 0), Err(Failure::Closed)));
    }

    #[test]
    fn a_server_that_takes_only_smaller_messages_is_not_tried() {
        let mut session = session("");
        let open = br#"0{"sid":"abc","upgrades":[],"pingInterval":2000,"pingTimeout":1000,"maxPayload":99}"#;
        let failure = session.handle_packet(open, 0).unwrap_err();
        assert!(failure.to_string().contains("at most 99 bytes"), "{failure}");
    }

    #[test]
    fn a_refusal_says_what_the_server_said() {
        let mut session = session("");
        session.handle_packet(OPEN, 0).unwrap();
        let failure = session.handle_packet(br#"44{"message":"no"}"#, 0).unwrap_err();
        assert!(matches!(failure, Failure::Refused(text) if text.contains("no")));
    }

    #[test]
    fn a_server_that_leaves_first_is_a_failure_and_one_that_follows_is_not() {
        assert!(matches!(joined().handle_closed(), Err(Failure::Closed)));
        assert!(matches!(joined().handle_packet(b"41", 0), Err(Failure::Closed)));
        let mut leaving = joined();
        leaving.close();
        assert_eq!(leaving.handle_closed().unwrap(), Reaction::Closed);
    }

    #[test]
    fn a_heartbeat_is_overdue_after_interval_and_timeout() {
        let mut session = joined();
        assert!(!session.is_overdue(3 * SECOND));
        assert!(session.is_overdue(3 * SECOND + 1));
        session.handle_packet(b"2", 2 * SECOND).unwrap();
        assert!(!session.is_overdue(5 * SECOND));
    }
}
