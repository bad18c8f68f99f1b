//! How any response is written, straight into the buffer that goes to the client (RFC 9112 §4, §6).
//!
//! A response cannot be split: names and values of fields are `http` types, which hold no CR or LF, and the
//! rest is ours. Nor can a caller's field disturb the framing: `Content-Length`, `Transfer-Encoding`,
//! `Connection` and `Upgrade` are always written here, and such fields of a caller are left out. Any other
//! field of a caller replaces the one we would have written.

use ::http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};

use super::head::Head;

/// A header field beyond those a response has anyway: CORS, cookies, what an application adds.
pub type Field = (HeaderName, HeaderValue);

/// A field of ours.
pub(super) type OwnField = (&'static str, &'static str);

/// Bytes of the longest status line, names and line ends of the framing fields, and of a chunk; no numbers.
const FRAME_BYTES: usize = 112;
/// Digits of the longest length.
pub(super) const DIGITS_MAX: usize = 20;

/// What the request decides about the form of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    pub(super) keep_alive: bool,
    pub(super) http_10: bool,
    pub(super) without_body: bool,
}

impl Reply {
    /// For a head that was refused: the connection closes, since nobody knows where the next one starts.
    pub const REFUSAL: Self = Self { keep_alive: false, http_10: false, without_body: false };

    #[cfg(test)]
    pub(super) const TEST: Self = Self { keep_alive: true, http_10: false, without_body: false };

    /// For a request with this head.
    pub fn to(head: &Head<'_, '_>) -> Self {
        Self {
            keep_alive: head.keep_alive,
            http_10: head.version == Version::HTTP_10,
            without_body: head.method == Method::HEAD,
        }
    }

    /// The same, but the connection closes afterwards.
    pub const fn closing(self) -> Self {
        Self { keep_alive: false, ..self }
    }

    /// Whether the connection is good for another request after this response.
    pub const fn keeps_alive(self) -> bool {
        self.keep_alive
    }

    fn connection(self) -> &'static str {
        match (self.keep_alive, self.http_10) {
            (false, _) => "Connection: close\r\n",
            // RFC 9112 §9.3: an HTTP/1.0 client expects the end unless it is told otherwise.
            (true, true) => "Connection: keep-alive\r\n",
            (true, false) => "",
        }
    }
}

/// How the client learns where the response ends.
#[derive(Clone, Copy)]
pub(super) enum Framing {
    /// The status says that there is no body.
    Bodiless,
    Length(usize),
    /// One chunk of that many bytes, and the last chunk.
    Chunk(usize),
}

impl Framing {
    /// By length, where the status can have a body (RFC 9112 §6.3 rule 1).
    pub(super) fn of(status: StatusCode, body_bytes: usize) -> Self {
        let bodiless = status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        if bodiless { Self::Bodiless } else { Self::Length(body_bytes) }
    }

    /// In one chunk, for a client that knows chunks.
    pub(super) fn chunk(reply: Reply, body_bytes: usize) -> Self {
        // A chunk of size 0 would be the last one.
        if reply.http_10 || body_bytes == 0 { Self::Length(body_bytes) } else { Self::Chunk(body_bytes) }
    }
}

/// Everything of a response but the body.
pub(super) struct Start<'a> {
    pub(super) reply: Reply,
    pub(super) status: StatusCode,
    pub(super) own: &'a [OwnField],
    pub(super) framing: Framing,
    pub(super) fields: &'a [Field],
}

impl Start<'_> {
    /// Head and body; the body only if this request gets one.
    pub(super) fn encode(&self, out: &mut Vec<u8>, body: &[u8]) {
        out.reserve(self.bytes() + body.len());
        self.encode_head(out);
        if self.reply.without_body {
            return;
        }
        match self.framing {
            Framing::Bodiless => {}
            Framing::Length(_) => out.extend_from_slice(body),
            Framing::Chunk(bytes) => {
                write_hex(out, bytes);
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(body);
                out.extend_from_slice(b"\r\n0\r\n\r\n");
            }
        }
    }

    /// Status line, fields and empty line.
    pub(super) fn encode_head(&self, out: &mut Vec<u8>) {
        write_status_line(out, self.status);
        for (name, value) in self.own {
            if self.fields.iter().all(|(theirs, _)| !theirs.as_str().eq_ignore_ascii_case(name)) {
                write_field(out, name.as_bytes(), value.as_bytes());
            }
        }
        match self.framing {
            Framing::Bodiless => {}
            Framing::Length(bytes) => {
                out.extend_from_slice(b"Content-Length: ");
                write_decimal(out, bytes);
                out.extend_from_slice(b"\r\n");
            }
            Framing::Chunk(_) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        out.extend_from_slice(self.reply.connection().as_bytes());
        write_fields(out, self.fields);
        out.extend_from_slice(b"\r\n");
    }

    /// At least the bytes of the head and of the framing of the body.
    pub(super) fn bytes(&self) -> usize {
        let own: usize = self.own.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        FRAME_BYTES + DIGITS_MAX + own + fields_bytes(self.fields)
    }
}

fn write_status_line(out: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

pub(super) fn write_fields(out: &mut Vec<u8>, fields: &[Field]) {
    for (name, value) in fields {
        if !is_framing(name) {
            write_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

/// Whether a field decides where messages end, and so is never taken from a caller.
fn is_framing(name: &HeaderName) -> bool {
    *name == header::CONTENT_LENGTH
        || *name == header::TRANSFER_ENCODING
        || *name == header::CONNECTION
        || *name == header::UPGRADE
}

pub(super) fn fields_bytes(fields: &[Field]) -> usize {
    fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn write_decimal(out: &mut Vec<u8>, number: usize) {
    write_digits(out, number, 10);
}

fn write_hex(out: &mut Vec<u8>, number: usize) {
    write_digits(out, number, 16);
}

/// Digits from the back into an array on the stack, so that the buffer grows once.
#[inline]
fn write_digits(out: &mut Vec<u8>, mut number: usize, radix: usize) {
    let mut digits = [0; DIGITS_MAX];
    let mut at = DIGITS_MAX;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[number % radix];
        number /= radix;
        if number == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_reserved_is_enough_for_every_status_and_framing() {
        let fields = [(header::SET_COOKIE, HeaderValue::from_static("io=1; Path=/"))];
        let reply = Reply { http_10: true, ..Reply::TEST };
        for status in (100..1000).map(|code| StatusCode::from_u16(code).unwrap()) {
            for framing in [Framing::Bodiless, Framing::Length(usize::MAX), Framing::Chunk(usize::MAX)] {
                let start = Start { reply, status, own: &[("Content-Type", "x")], framing, fields: &fields };
                let mut out = Vec::new();
                start.encode(&mut out, b"");
                assert!(out.len() <= start.bytes(), "{status}");
            }
        }
    }

    #[test]
    fn numbers_are_written_in_full() {
        let text = |write: fn(&mut Vec<u8>, usize), number| {
            let mut out = Vec::new();
            write(&mut out, number);
            String::from_utf8(out).unwrap()
        };
        for number in [0, 9, 10, 118, 1_000_000, usize::MAX] {
            assert_eq!(text(write_decimal, number), number.to_string());
            assert_eq!(text(write_hex, number), format!("{number:x}"));
        }
    }
}
