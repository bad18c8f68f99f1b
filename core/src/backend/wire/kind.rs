//! The types of frames (docs/backend-protocol.md §4, §5), and what their bits say.

/// Defines a constant for each type, and a function that names them.
macro_rules! kinds {
    ($($name:ident = $value:literal,)*) => {
        $(pub(in super::super) const $name: u8 = $value;)*

        pub(in super::super) fn name(kind: u8) -> Option<&'static str> {
            Some(match kind {
                $($name => stringify!($name),)*
                _ => return None,
            })
        }
    };
}

/// What a backend sends.
pub(super) mod from {
    kinds! {
        HELLO = 0x01,
        CREDIT = 0x02,
        SERVE = 0x03,
        WITHDRAW = 0x04,
        DRAIN = 0x05,
        ACCEPT = 0x20,
        REJECT = 0x21,
        DECLINE = 0x22,
        EMIT = 0x23,
        ACK = 0x24,
        BROADCAST = 0x25,
        JOIN = 0x26,
        LEAVE = 0x27,
        DISCONNECT = 0x28,
        CLOSE = 0x29,
        DATA = 0x2a,
        SOCKETS_JOIN = 0x2b,
        SOCKETS_LEAVE = 0x2c,
        DISCONNECT_SOCKETS = 0x2d,
        FETCH = 0x2e,
        SERVER_EMIT = 0x2f,
        SERVER_ACK = 0x30,
        RELEASED = 0x31,
    }
}

/// What the gateway sends.
pub(super) mod to {
    kinds! {
        WELCOME = 0x81,
        REFUSE = 0x82,
        CREDIT = 0x83,
        TICK = 0x84,
        FETCHED = 0x85,
        ASKED = 0x86,
        ANSWER = 0x87,
        ANSWERED = 0x88,
        PEERS = 0x89,
        SERVER_RESPONSES = 0x8a,
        DRAINED = 0x8b,
        CONNECT = 0xa0,
        EVENT = 0xa1,
        ACK = 0xa2,
        DISCONNECTED = 0xa3,
        HANDOVER = 0xa4,
        SERVER_EVENT = 0xa5,
        TRANSPORT = 0xa6,
        CONNECTION_ERROR = 0xa7,
    }
}

/// The name of a type of frame, of either direction, or `None` if there is none with this number.
pub fn frame_name(kind: u8) -> Option<&'static str> {
    from::name(kind).or_else(|| to::name(kind))
}

/// Whether frames of this type need credit (§3).
pub fn frame_counts(kind: u8) -> bool {
    kind & 0x20 != 0
}
