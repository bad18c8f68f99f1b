//! Writes the fields of a frame, one after the other.

use super::error::TooLong;
use crate::id::Id;
use crate::shard::app::{SessionKey, SocketKey};

/// Bytes of the length field.
pub(super) const LENGTH_BYTES: usize = 4;

/// Appends one frame, whose body `fill` writes. If that fails, `out` is as it was.
pub(super) fn frame(
    out: &mut Vec<u8>,
    kind: u8,
    fill: impl FnOnce(&mut Writer<'_>) -> Result<(), TooLong>,
) -> Result<(), TooLong> {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind]);
    let filled = fill(&mut Writer { out }).and_then(|()| {
        let length = u32::try_from(out.len() - start - LENGTH_BYTES);
        let length = length.map_err(|_| TooLong { field: "frame" })?;
        out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        Ok(())
    });
    if filled.is_err() {
        out.truncate(start);
    }
    filled
}

/// The end of a frame that is being written.
pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
}

impl Writer<'_> {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    /// A count or a length, in `N` bytes.
    pub(super) fn length<const N: usize>(
        &mut self,
        length: usize,
        field: &'static str,
    ) -> Result<(), TooLong> {
        const { assert!(N <= 4) };
        let bytes = (length as u64).to_le_bytes();
        let (low, high) = bytes.split_at(N);
        if high.iter().any(|&byte| byte != 0) {
            return Err(TooLong { field });
        }
        self.bytes(low);
        Ok(())
    }

    /// A length in `N` bytes, and the bytes.
    pub(super) fn counted<const N: usize>(
        &mut self,
        bytes: &[u8],
        field: &'static str,
    ) -> Result<(), TooLong> {
        self.length::<N>(bytes.len(), field)?;
        self.bytes(bytes);
        Ok(())
    }

    /// A `text16` (`N` is 2) or a `text32` (4).
    pub(super) fn text<const N: usize>(&mut self, text: &str, field: &'static str) -> Result<(), TooLong> {
        self.counted::<N>(text.as_bytes(), field)
    }

    pub(super) fn socket(&mut self, socket: SocketKey) {
        self.bytes(&socket.to_bytes());
    }

    pub(super) fn session(&mut self, session: SessionKey) {
        self.bytes(&session.to_bytes());
    }

    pub(super) fn id(&mut self, id: Id) {
        self.bytes(id.encode().as_str().as_bytes());
    }
}
