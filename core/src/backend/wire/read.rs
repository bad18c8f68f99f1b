//! Reads the fields of a body, one after the other. Every length is checked before it is used.

use super::error::WireError;
use crate::id::{ID_CHARS, Id};
use crate::shard::app::{SessionKey, SocketKey};
use crate::socket_io::json;

/// What is left of a body.
pub(super) struct Reader<'a> {
    /// The name of the frame, for errors.
    frame: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(frame: &'static str, body: &'a [u8]) -> Self {
        Self { frame, rest: body }
    }

    /// The bytes that `read` steps over, and what it returns.
    pub(super) fn span<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<(&'a [u8], T), WireError> {
        let before = self.rest;
        let value = read(self)?;
        Ok((&before[..before.len() - self.rest.len()], value))
    }

    pub(super) fn bytes(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], WireError> {
        let frame = self.frame;
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(WireError::Cut { frame, field })?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let frame = self.frame;
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireError::Cut { frame, field })?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, WireError> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A count or a length of `N` bytes.
    pub(super) fn length<const N: usize>(&mut self, field: &'static str) -> Result<usize, WireError> {
        const { assert!(N <= 4) };
        let bytes: [u8; N] = self.array(field)?;
        Ok(bytes.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte)))
    }

    /// A length of `N` bytes, and so many bytes.
    pub(super) fn counted<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8], WireError> {
        let length = self.length::<N>(field)?;
        self.bytes(length, field)
    }

    /// A `text16` (`N` is 2) or a `text32` (4).
    pub(super) fn text<const N: usize>(&mut self, field: &'static str) -> Result<&'a str, WireError> {
        let frame = self.frame;
        str::from_utf8(self.counted::<N>(field)?).map_err(|_| WireError::NotUtf8 { frame, field })
    }

    /// A `text32` of JSON that is believed to be JSON; `None` if it is empty.
    pub(super) fn optional_json(&mut self, field: &'static str) -> Result<Option<&'a str>, WireError> {
        Ok(Some(self.text::<4>(field)?).filter(|text| !text.is_empty()))
    }

    /// Checks that `text` is one JSON value.
    pub(super) fn check_json(&self, text: &'a str, field: &'static str) -> Result<&'a str, WireError> {
        let frame = self.frame;
        json::validate(text).map_err(|fault| WireError::Json { frame, field, fault })?;
        Ok(text)
    }

    /// Fails with [`WireError::Value`] unless `allowed`.
    pub(super) fn check(&self, allowed: bool, field: &'static str) -> Result<(), WireError> {
        self.known(allowed.then_some(()), field)
    }

    /// Fails with [`WireError::Value`] if there is no value.
    pub(super) fn known<T>(&self, value: Option<T>, field: &'static str) -> Result<T, WireError> {
        value.ok_or(WireError::Value { frame: self.frame, field })
    }

    pub(super) fn socket(&mut self) -> Result<SocketKey, WireError> {
        self.array("socket").map(SocketKey::from_bytes)
    }

    pub(super) fn session(&mut self) -> Result<SessionKey, WireError> {
        self.array("session").map(SessionKey::from_bytes)
    }

    pub(super) fn id(&mut self) -> Result<Id, WireError> {
        let text = str::from_utf8(self.bytes(ID_CHARS, "id")?).ok();
        self.known(text.and_then(Id::decode), "id")
    }
}
