//! Request heads of HTTP/1.0 and 1.1 (RFC 9112 §2–§3, §5).
//!
//! `httparse` finds the words; this file adds what a gateway behind other people's proxies has to refuse:
//! whatever two parsers could read in two ways. Everything in a [`Head`] borrows from the input buffer, and
//! nothing is allocated for a request whose method is a standard one.
//!
//! Invariant: where the network cuts a head changes nothing but the moment of the answer. A head that
//! arrives whole is parsed once; one that comes in pieces is scanned for its end, each byte once, and then
//! parsed, so feeding it byte by byte costs the sender more than us.

use ::http::{Method, StatusCode, Version};
use thiserror::Error;

use super::body::BodyLength;
use super::fields::{FieldStorage, Fields};
use super::meaning::Meaning;
use crate::limits::{HEAD_BYTES_MAX, TARGET_BYTES_MAX};

/// Empty lines tolerated in front of a request line (RFC 9112 §2.2 asks for at least one).
const EMPTY_LINES_MAX: usize = 2;
/// Bytes of a method. The longest registered one, `UPDATEREDIRECTREF`, has 17.
const METHOD_BYTES_MAX: usize = 32;

/// Why a request head was refused. Always the client's fault, and the connection ends after the answer:
/// where the next request would start is no longer certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeadError {
    /// Not the grammar of RFC 9112: a byte where it may not be, a folded line, a space before a colon.
    #[error("malformed request head")]
    Syntax,
    /// A line ends in LF without CR.
    #[error("line ends in a bare LF")]
    BareLineFeed,
    /// `Host` missing from an HTTP/1.1 request, given twice, or not a host.
    #[error("missing, repeated or invalid Host")]
    Host,
    /// `Content-Length` is not one number, or does not agree with the rest of the head.
    #[error("invalid or conflicting Content-Length")]
    ContentLength,
    /// `Transfer-Encoding` is not exactly `chunked`, or the request is HTTP/1.0.
    #[error("unsupported Transfer-Encoding")]
    TransferEncoding,
    /// `Expect` asks for something other than `100-continue`.
    #[error("unsupported Expect")]
    Expectation,
    /// The target exceeds [`TARGET_BYTES_MAX`].
    #[error("request target too long")]
    TargetTooLong,
    /// The head exceeds [`HEAD_BYTES_MAX`].
    #[error("request head too large")]
    TooLarge,
    /// More fields than [`crate::limits::HEADER_FIELDS_MAX`].
    #[error("too many header fields")]
    TooManyFields,
    /// No method we could know is this long.
    #[error("method too long")]
    Method,
    /// Well-formed, but neither HTTP/1.0 nor HTTP/1.1.
    #[error("unsupported HTTP version")]
    Version,
}

impl HeadError {
    /// What the client is told.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Syntax | Self::BareLineFeed | Self::Host | Self::ContentLength | Self::TransferEncoding => {
                StatusCode::BAD_REQUEST
            }
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::TooLarge | Self::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Method => StatusCode::NOT_IMPLEMENTED,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        }
    }

    /// The metric label it is counted under.
    pub fn label(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::BareLineFeed => "bare_lf",
            Self::Host => "host",
            Self::ContentLength => "content_length",
            Self::TransferEncoding => "transfer_encoding",
            Self::Expectation => "expectation",
            Self::TargetTooLong => "target_too_long",
            Self::TooLarge => "too_large",
            Self::TooManyFields => "too_many_fields",
            Self::Method => "method",
            Self::Version => "version",
        }
    }
}

/// One request head, borrowed from the buffer it was decoded from.
#[derive(Clone, Debug)]
pub struct Head<'b, 's> {
    /// The method, whatever it is: which ones are served is for the caller to say.
    pub method: Method,
    /// The request target as it was sent, percent-escapes and query included. Not empty.
    pub target: &'b str,
    /// [`Version::HTTP_10`] or [`Version::HTTP_11`].
    pub version: Version,
    /// The header fields, in the order they were sent.
    pub fields: Fields<'b, 's>,
    /// How the body that follows is framed.
    pub body: BodyLength,
    /// Whether the client wants to use the connection for another request (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// Whether this asks to switch protocols: `Connection` names `upgrade` and there is an `Upgrade` field.
    /// Which protocol is for the caller to look up. Never set for HTTP/1.0 (RFC 9110 §7.8).
    pub is_upgrade: bool,
}

impl<'b> Head<'b, '_> {
    /// The value of a field, looked up without regard to case; of the first one, if it is repeated.
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields.get(name)
    }
}

/// Decodes the request heads of one connection. Remembers only how far it looked for the end of a head.
#[derive(Clone, Debug, Default)]
pub struct HeadDecoder {
    /// Bytes of the unfinished head that are known not to hold its end.
    scanned: usize,
}

impl HeadDecoder {
    /// A decoder at the start of a request.
    pub const fn new() -> Self {
        Self { scanned: 0 }
    }

    /// Takes one request head off the front of `buf`, and says how many bytes it used.
    ///
    /// `Ok(None)` means "not all here yet": nothing is used up, and the caller tries again with the same
    /// bytes and more. At most [`HEAD_BYTES_MAX`] bytes are looked at, besides empty lines in front.
    /// After an error the connection is of no more use.
    pub fn decode<'b, 's>(
        &mut self,
        buf: &'b [u8],
        storage: &'s mut FieldStorage<'b>,
    ) -> Result<Option<(Head<'b, 's>, usize)>, HeadError> {
        let Some(lead) = skip_empty_lines(buf)? else { return Ok(None) };
        let window = &buf[lead..buf.len().min(lead + HEAD_BYTES_MAX)];
        let full = window.len() == HEAD_BYTES_MAX;
        if !self.worth_parsing(window) && !full {
            return Ok(None);
        }
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(window, &mut storage.0) {
            Ok(httparse::Status::Complete(used)) => {
                self.scanned = 0;
                Ok(Some((interpret(request, &window[..used])?, lead + used)))
            }
            Ok(httparse::Status::Partial) if full => Err(oversize(window)),
            Ok(httparse::Status::Partial) => Ok(None),
            // Whether this is another version or no version at all shows only at the end of the line.
            Err(httparse::Error::Version) if !full && !window.contains(&b'\n') => Ok(None),
            Err(error) => Err(refusal(error, window)),
        }
    }

    /// Whether parsing can do more than ask for more bytes: at first sight, and when the end is here.
    fn worth_parsing(&mut self, window: &[u8]) -> bool {
        // The end, "\n\r\n", may have begun in the bytes already scanned.
        let unseen = &window[self.scanned.saturating_sub(2)..];
        let first_look = self.scanned == 0;
        self.scanned = window.len();
        first_look || contains_end(unseen)
    }
}

/// Bytes of empty lines in front of the request line; `None` when the first byte of that line is not here.
fn skip_empty_lines(buf: &[u8]) -> Result<Option<usize>, HeadError> {
    let mut rest = buf;
    for _ in 0..EMPTY_LINES_MAX {
        let Some(next) = rest.strip_prefix(b"\r\n") else { break };
        rest = next;
    }
    let lead = buf.len() - rest.len();
    match rest {
        [] => Ok(None),
        [b'\r'] if lead < 2 * EMPTY_LINES_MAX => Ok(None),
        [b'\r', ..] => Err(HeadError::Syntax),
        [b'\n', ..] => Err(HeadError::BareLineFeed),
        _ => Ok(Some(lead)),
    }
}

/// Whether an empty line is in here. One made with bare LFs counts: it is for the parser to refuse.
fn contains_end(mut bytes: &[u8]) -> bool {
    while let Some(line_feed) = bytes.iter().position(|&byte| byte == b'\n') {
        bytes = &bytes[line_feed + 1..];
        if bytes.starts_with(b"\n") || bytes.starts_with(b"\r\n") {
            return true;
        }
    }
    false
}

/// Checks what `httparse` lets pass, and works out what the fields mean. `head` ends with the empty line.
fn interpret<'b, 's>(request: httparse::Request<'s, 'b>, head: &'b [u8]) -> Result<Head<'b, 's>, HeadError> {
    let httparse::Request { method, path, version, headers } = request;
    let (Some(method), Some(target), Some(minor)) = (method, path, version) else {
        return Err(HeadError::Syntax);
    };
    if target.len() > TARGET_BYTES_MAX {
        return Err(HeadError::TargetTooLong);
    }
    if method.len() > METHOD_BYTES_MAX {
        return Err(HeadError::Method);
    }
    let fields: &'s [httparse::Header<'b>] = headers;
    if !lines_end_in_crlf(head, fields) {
        return Err(HeadError::BareLineFeed);
    }
    let version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let meaning = Meaning::of(fields, version)?;
    Ok(Head {
        method: Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::Syntax)?,
        target,
        version,
        fields: Fields::new(fields),
        body: meaning.body,
        keep_alive: meaning.keep_alive,
        expect_continue: meaning.expect_continue,
        is_upgrade: meaning.is_upgrade,
    })
}

/// RFC 9112 §2.2: `httparse` takes a bare LF for a line end, and so lets a sender hide a line from a
/// stricter parser in front of us. It has seen every line end, so looking before each name suffices.
fn lines_end_in_crlf(head: &[u8], fields: &[httparse::Header<'_>]) -> bool {
    let start = head.as_ptr().addr();
    head.ends_with(b"\r\n\r\n")
        && fields.iter().all(|field| head[..field.name.as_ptr().addr() - start].ends_with(b"\r\n"))
}

/// Which limit a head broke that did not end within [`HEAD_BYTES_MAX`].
fn oversize(window: &[u8]) -> HeadError {
    let target_bytes = window.split(|&byte| byte == b' ').nth(1).map_or(0, <[u8]>::len);
    if target_bytes > TARGET_BYTES_MAX { HeadError::TargetTooLong } else { HeadError::TooLarge }
}

fn refusal(error: httparse::Error, window: &[u8]) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        httparse::Error::Version if names_other_version(window) => HeadError::Version,
        _ => HeadError::Syntax,
    }
}

/// Whether the request line is three words of which the last is a well-formed HTTP version.
fn names_other_version(window: &[u8]) -> bool {
    let line = window.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    matches!((words.next(), words.next()), (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
        if major.is_ascii_digit() && minor.is_ascii_digit())
}
