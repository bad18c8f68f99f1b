//! Numbers with a meaning: reasons, error codes, flags.

use crate::close::{CloseReason, DisconnectReason};
use crate::shard::app::Flags;

/// The code of a reason (§5, DISCONNECTED). A slow consumer is a transport error to an application.
pub(super) fn reason_code(reason: DisconnectReason) -> u8 {
    match reason {
        DisconnectReason::Session(reason) => match reason {
            CloseReason::TransportClose => 1,
            CloseReason::TransportError | CloseReason::SlowConsumer => 2,
            CloseReason::PingTimeout => 3,
            CloseReason::ParseError => 4,
            CloseReason::ForcedClose => 5,
            CloseReason::ForcedServerClose => 6,
            CloseReason::ServerShuttingDown => 7,
        },
        DisconnectReason::ClientNamespace => 16,
        DisconnectReason::ServerNamespace => 17,
    }
}

/// The reason with this code. Those that have none of their own do not come back.
pub(super) fn reason_from_code(code: u8) -> Option<DisconnectReason> {
    let sessions = CloseReason::ALL.into_iter().map(DisconnectReason::Session);
    let namespaces = [DisconnectReason::ClientNamespace, DisconnectReason::ServerNamespace];
    // In the order of the table `TransportError` comes before the reason that shares its code.
    sessions.chain(namespaces).find(|&reason| reason_code(reason) == code)
}

/// Why the gateway ends a link (§8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefuseCode {
    /// The first frame was not HELLO, or its magic is wrong.
    NotHello,
    /// No version that both sides know.
    NoCommonVersion,
    /// As many links as there may be are there.
    TooManyLinks,
    /// The gateway is shutting down.
    ShuttingDown,
    /// A frame that breaks the protocol.
    BadFrame,
    /// A code this version does not know; the message is for people anyway.
    Other(u16),
}

impl RefuseCode {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        match self {
            Self::NotHello => 1,
            Self::NoCommonVersion => 2,
            Self::TooManyLinks => 3,
            Self::ShuttingDown => 4,
            Self::BadFrame => 5,
            Self::Other(code) => code,
        }
    }

    /// Back from [`Self::code`].
    pub fn from_code(code: u16) -> Self {
        match code {
            1 => Self::NotHello,
            2 => Self::NoCommonVersion,
            3 => Self::TooManyLinks,
            4 => Self::ShuttingDown,
            5 => Self::BadFrame,
            other => Self::Other(other),
        }
    }
}

/// The flags of EMIT and BROADCAST. Bits without a meaning are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmitFlags {
    /// Drop it for clients that are not ready at this instant.
    pub volatile: bool,
    /// Whether it may be compressed.
    pub compress: bool,
    /// Do not tell other nodes.
    pub local: bool,
    /// Whether an acknowledgement is wanted.
    pub ack: bool,
}

impl EmitFlags {
    const VOLATILE: u8 = 1;
    const NO_COMPRESSION: u8 = 2;
    const LOCAL: u8 = 4;
    const ACK: u8 = 8;

    pub(super) fn from_bits(bits: u8) -> Self {
        let has = |flag| bits & flag != 0;
        Self {
            volatile: has(Self::VOLATILE),
            compress: !has(Self::NO_COMPRESSION),
            local: has(Self::LOCAL),
            ack: has(Self::ACK),
        }
    }

    pub(super) fn bits(self) -> u8 {
        let Self { volatile, compress, local, ack } = self;
        let bit = |is_set, flag| if is_set { flag } else { 0 };
        bit(volatile, Self::VOLATILE)
            | bit(!compress, Self::NO_COMPRESSION)
            | bit(local, Self::LOCAL)
            | bit(ack, Self::ACK)
    }
}

impl Default for EmitFlags {
    fn default() -> Self {
        Self::from_bits(0)
    }
}

impl From<EmitFlags> for Flags {
    fn from(flags: EmitFlags) -> Self {
        let EmitFlags { volatile, compress, local, ack: _ } = flags;
        Self { volatile, compress, local }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_code_that_comes_back_as_the_same_words() {
        let sessions = CloseReason::ALL.map(DisconnectReason::Session);
        for reason in
            sessions.into_iter().chain([DisconnectReason::ClientNamespace, DisconnectReason::ServerNamespace])
        {
            let again = reason_from_code(reason_code(reason)).unwrap();
            assert_eq!(again.as_str(), reason.as_str());
            let ends_session = matches!(reason, DisconnectReason::Session(_));
            assert_eq!(reason_code(reason) < 16, ends_session);
        }
        assert_eq!(reason_from_code(2), Some(DisconnectReason::Session(CloseReason::TransportError)));
        assert_eq!(reason_from_code(0), None);
    }

    #[test]
    fn flags_come_back_from_their_bits() {
        for bits in 0..16 {
            assert_eq!(EmitFlags::from_bits(bits).bits(), bits);
        }
        assert_eq!(EmitFlags::from_bits(0xf0), EmitFlags::default());
    }
}
