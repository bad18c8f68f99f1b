//! Request bodies, by length or in chunks (RFC 9112 §6–§7), handed out as slices of the input.
//!
//! The caller counts the bytes against its own limit. What is bounded here is everything that is not body:
//! a chunk-size line, the trailer section, and the extensions of a whole body, which would otherwise let a
//! client make us read without end for one byte of data at a time.

use thiserror::Error;

use crate::limits::{CHUNK_LINE_BYTES_MAX, HEAD_BYTES_MAX};

/// Bytes of chunk extensions in one body: as much as a head, which a client could have sent instead.
const EXTENSION_BYTES_MAX: usize = HEAD_BYTES_MAX;
/// Hex digits of a chunk size: as many as 64 bits have.
const SIZE_DIGITS_MAX: u8 = 16;

/// How a request says where its body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    None,
    /// That many bytes, not 0.
    Length(u64),
    /// Until the last chunk.
    Chunked,
}

/// Why a chunked body was refused. The client's fault: it gets 400, and the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BodyError {
    /// A chunk size is not 1 to 16 hex digits, or something follows it that is no extension.
    #[error("invalid chunk size")]
    Size,
    /// A line does not end in CRLF, or a chunk is longer than its size.
    #[error("chunk line does not end in CRLF")]
    LineEnd,
    /// A control byte in an extension.
    #[error("invalid chunk extension")]
    Extension,
    /// A trailer line that is no field.
    #[error("invalid trailer field")]
    Trailer,
    /// A chunk-size line exceeds [`CHUNK_LINE_BYTES_MAX`], or the extensions together 16 KiB.
    #[error("chunk-size line too long")]
    LineTooLong,
    /// The trailer section exceeds [`CHUNK_LINE_BYTES_MAX`].
    #[error("trailer section too large")]
    TrailersTooLarge,
}

/// What one call of [`BodyDecoder::decode`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Bytes of the body, not empty. Drop `used` bytes of the input and call again with the rest.
    Data {
        /// The bytes, borrowed from the input.
        bytes: &'a [u8],
        /// Bytes of the input up to the end of `bytes`, framing in front included.
        used: usize,
    },
    /// The whole input was used up, and the body goes on.
    NeedMore,
    /// The body is complete. What follows the first `used` bytes of the input is the next request.
    Done {
        /// Bytes of the input that still belonged to this body.
        used: usize,
    },
}

/// Where the decoder is. Each state names what it reads next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `u64` more bytes of a body with a length.
    Length(u64),
    /// The hex digits of a chunk size: so far their value and number.
    Size {
        size: u64,
        digits: u8,
    },
    /// An extension, to be skipped.
    Extension {
        size: u64,
    },
    /// The LF of a chunk-size line.
    SizeLineFeed {
        size: u64,
    },
    /// `u64` more bytes of a chunk.
    Chunk(u64),
    /// The CR, then the LF behind a chunk.
    ChunkReturn,
    ChunkLineFeed,
    /// The first byte of a trailer line, or the CR of the empty line that ends the body.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    /// The LF of the empty line.
    LastLineFeed,
    Done,
}

/// Decodes one request body, from the first byte behind the head.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
    /// Bytes of the current chunk-size line, or of the trailer section.
    line_bytes: usize,
    /// Bytes of the extensions of all chunks so far.
    extension_bytes: usize,
}

impl BodyDecoder {
    /// A decoder for a body framed like this.
    pub const fn new(length: BodyLength) -> Self {
        let state = match length {
            BodyLength::None => State::Length(0),
            BodyLength::Length(bytes) => State::Length(bytes),
            BodyLength::Chunked => State::Size { size: 0, digits: 0 },
        };
        Self { state, line_bytes: 0, extension_bytes: 0 }
    }

    /// Whether the whole body has been read.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done | State::Length(0))
    }

    /// Reads from `input` up to the end of the next piece of data, or of the body, or of the input.
    ///
    /// Bytes reported as used must not be passed again. After an error the connection is of no more use.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, BodyError> {
        let mut at = 0;
        loop {
            if self.is_done() {
                return Ok(Step::Done { used: at });
            }
            if at == input.len() {
                return Ok(Step::NeedMore);
            }
            if let State::Length(left) | State::Chunk(left) = self.state {
                let bytes = &input[at..];
                let bytes = &bytes[..usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))];
                self.take(bytes.len() as u64);
                return Ok(Step::Data { bytes, used: at + bytes.len() });
            }
            self.state = self.next(input[at])?;
            at += 1;
        }
    }

    /// Counts down the bytes left of a body or a chunk.
    fn take(&mut self, bytes: u64) {
        self.state = match self.state {
            State::Length(left) => State::Length(left - bytes),
            State::Chunk(left) if left == bytes => State::ChunkReturn,
            State::Chunk(left) => State::Chunk(left - bytes),
            other => other,
        };
    }

    /// The framing of chunks, byte by byte (RFC 9112 §7.1). Stricter than the RFC in two places where
    /// parsers are known to differ: no white space behind a size, no bare LF anywhere.
    fn next(&mut self, byte: u8) -> Result<State, BodyError> {
        self.count(byte)?;
        Ok(match (self.state, byte) {
            (State::Size { size, digits: 1.. }, b'\r') => State::SizeLineFeed { size },
            (State::Size { size, digits: 1.. }, b';') => State::Extension { size },
            (State::Size { size, digits }, _) if digits < SIZE_DIGITS_MAX => {
                let digit = char::from(byte).to_digit(16).ok_or(BodyError::Size)?;
                // 16 digits are 64 bits, so nothing is shifted out.
                State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Size { .. }, _) => return Err(BodyError::Size),

            (State::Extension { size }, b'\r') => State::SizeLineFeed { size },
            (State::Extension { size }, _) if is_text(byte) => State::Extension { size },
            (State::Extension { .. }, b'\n') => return Err(BodyError::LineEnd),
            (State::Extension { .. }, _) => return Err(BodyError::Extension),

            (State::SizeLineFeed { size: 0 }, b'\n') => State::TrailerStart,
            (State::SizeLineFeed { size }, b'\n') => State::Chunk(size),
            (State::ChunkReturn, b'\r') => State::ChunkLineFeed,
            (State::ChunkLineFeed, b'\n') => State::Size { size: 0, digits: 0 },

            (State::TrailerStart, b'\r') => State::LastLineFeed,
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerStart | State::TrailerName, _) => return Err(BodyError::Trailer),
            (State::TrailerValue, b'\r') => State::TrailerLineFeed,
            (State::TrailerValue, _) if is_text(byte) => State::TrailerValue,
            (State::TrailerValue, b'\n') => return Err(BodyError::LineEnd),
            (State::TrailerValue, _) => return Err(BodyError::Trailer),
            (State::TrailerLineFeed, b'\n') => State::TrailerStart,
            (State::LastLineFeed, b'\n') => State::Done,

            _ => return Err(BodyError::LineEnd),
        })
    }

    /// Keeps what is not body within its limits.
    fn count(&mut self, byte: u8) -> Result<(), BodyError> {
        match self.state {
            State::SizeLineFeed { .. } | State::ChunkReturn | State::ChunkLineFeed => self.line_bytes = 0,
            State::Extension { .. } => {
                self.line_bytes += 1;
                self.extension_bytes += usize::from(byte != b'\r');
                if self.line_bytes > CHUNK_LINE_BYTES_MAX || self.extension_bytes > EXTENSION_BYTES_MAX {
                    return Err(BodyError::LineTooLong);
                }
            }
            State::Size { .. } => self.line_bytes += 1,
            _ => {
                self.line_bytes += 1;
                if self.line_bytes > CHUNK_LINE_BYTES_MAX {
                    return Err(BodyError::TrailersTooLarge);
                }
            }
        }
        Ok(())
    }
}

/// A byte of a field value (RFC 9110 §5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// A byte of a field name (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
