//! Frames that this gateway has encoded itself, and that wait as bytes.

use super::wire::{ToBackend, TooLong};
use crate::shard::app::SocketKey;

/// Bytes of the length field.
const LENGTH_BYTES: usize = 4;
/// The type of an EVENT; its flags and its socket follow.
const EVENT: u8 = 0xa1;
/// Where the flags of an EVENT are: behind the length and the type.
const EVENT_FLAGS: usize = LENGTH_BYTES + 1;
/// Where its socket is.
const EVENT_SOCKET: usize = EVENT_FLAGS + 1;
/// The flag of an EVENT that another backend may have had.
const REDELIVERED: u8 = 2;

/// Appends a frame, or nothing if it cannot be encoded: a name that is longer than its length field can say.
pub(super) fn append(frame: &ToBackend<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    if let Err(TooLong { .. }) = frame.encode(out) {
        out.truncate(start);
    }
}

/// Each frame, whole.
pub(super) fn split(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
        bytes.split_off(..LENGTH_BYTES + length)
    })
}

/// The type of a frame.
pub(super) fn kind(frame: &[u8]) -> u8 {
    frame.get(LENGTH_BYTES).copied().unwrap_or_default()
}

/// Whether it is an EVENT.
pub(super) fn is_event(frame: &[u8]) -> bool {
    kind(frame) == EVENT
}

/// Whose event this is, if it is one.
pub(super) fn event_socket(frame: &[u8]) -> Option<SocketKey> {
    if !is_event(frame) {
        return None;
    }
    frame.get(EVENT_SOCKET..)?.first_chunk().copied().map(SocketKey::from_bytes)
}

/// Marks an event as one that another backend may have had.
pub(super) fn mark_redelivered(frame: &mut [u8]) {
    if is_event(frame)
        && let Some(flags) = frame.get_mut(EVENT_FLAGS)
    {
        *flags |= REDELIVERED;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::wire::Packet;
    use crate::id::ShardIndex;
    use crate::socket_io::ArgsRef;

    const SOCKET: SocketKey = SocketKey { shard: ShardIndex(3), index: 70_000, generation: 9 };

    fn event(redelivered: bool) -> ToBackend<'static> {
        let packet = Packet::from_event(r#""a""#, ArgsRef::trusted("1", &[]));
        ToBackend::Event { socket: SOCKET, ack: Some(5), redelivered, packet }
    }

    #[test]
    fn an_event_is_found_among_frames_and_can_be_marked() {
        let mut bytes = Vec::new();
        append(&ToBackend::Handover(SOCKET), &mut bytes);
        append(&event(false), &mut bytes);
        append(&ToBackend::Tick, &mut bytes);
        let frames: Vec<&[u8]> = split(&bytes).collect();
        assert_eq!(frames.len(), 3);
        assert_eq!(
            frames.iter().map(|frame| event_socket(frame)).collect::<Vec<_>>(),
            [None, Some(SOCKET), None]
        );
        let mut marked = frames[1].to_vec();
        mark_redelivered(&mut marked);
        let mut expected = Vec::new();
        append(&event(true), &mut expected);
        assert_eq!(marked, expected);
    }

    #[test]
    fn a_frame_with_a_name_that_is_too_long_is_left_out() {
        let mut bytes = b"before".to_vec();
        let namespace = &"/x".repeat(40_000);
        append(&ToBackend::ServerEvent { token: 0, namespace, json: "[]" }, &mut bytes);
        assert_eq!(bytes, b"before");
    }
}
