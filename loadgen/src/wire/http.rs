//! HTTP/1.1 responses from a server: enough for a WebSocket upgrade and for long-polling on keep-alive
//! connections. Chunked bodies are refused: servers only chunk what they compress, and we accept no coding.

use thiserror::Error;

/// Header fields of one response.
const HEADERS_MAX: usize = 32;
/// Largest body we take from a server, in bytes.
const BODY_BYTES_MAX: usize = 64 << 20;

/// One whole response, body included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    /// Value of `Sec-WebSocket-Accept`.
    pub(crate) accept: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
    /// The server closes the connection after it.
    pub(crate) last: bool,
}

/// The server's answer is not one we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum ResponseError {
    #[error("not an HTTP/1.1 response")]
    Malformed,
    #[error("status {status} without Content-Length")]
    NoLength { status: u16 },
    #[error("a response that is too large")]
    TooLarge,
}

/// Takes one response off the front of `bytes`, and says how many bytes it used. `Ok(None)`: not all here yet.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Response<'_>, usize)>, ResponseError> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let head_bytes = match head.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ResponseError::Malformed),
    };
    let status = head.code.expect("a complete head has a status");
    let mut response = Response { status, accept: None, body: &[], last: false };
    let mut length = None;
    for field in head.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(field.value).map_err(|_| ResponseError::Malformed)?;
            length = Some(text.parse::<usize>().map_err(|_| ResponseError::Malformed)?);
        } else if field.name.eq_ignore_ascii_case("sec-websocket-accept") {
            response.accept = Some(field.value);
        } else if field.name.eq_ignore_ascii_case("connection") {
            response.last = field.value.eq_ignore_ascii_case(b"close");
        }
    }
    // RFC 9112 §6.3: these statuses have no body, whatever the fields say.
    let length = match (status, length) {
        (100..200 | 204 | 304, _) => 0,
        (_, Some(length)) if length > BODY_BYTES_MAX => return Err(ResponseError::TooLarge),
        (_, Some(length)) => length,
        (200, None) => return Err(ResponseError::NoLength { status }),
        // What is wrong is said by the status; its body may end in any way.
        (_, None) => 0,
    };
    let Some(body) = bytes.get(head_bytes..head_bytes + length) else { return Ok(None) };
    response.body = body;
    Ok(Some((response, head_bytes + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_decodes_only_when_its_body_is_whole() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nokHTTP/1.1 200";
        let whole = bytes.len() - "HTTP/1.1 200".len();
        for cut in 0..whole {
            assert_eq!(decode(&bytes[..cut]), Ok(None), "cut at {cut}");
        }
        let (response, used) = decode(bytes).unwrap().unwrap();
        assert_eq!((response.status, response.body, response.last, used), (200, &b"ok"[..], true, whole));
    }

    #[test]
    fn an_upgrade_has_no_body_and_shows_the_key() {
        let bytes = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: abc=\r\n\r\n\x81\x00";
        let (response, used) = decode(bytes).unwrap().unwrap();
        assert_eq!((response.status, response.accept), (101, Some(&b"abc="[..])));
        assert_eq!(&bytes[used..], b"\x81\x00");
    }

    #[test]
    fn a_body_of_unknown_length_is_refused() {
        assert_eq!(decode(b"HTTP/1.1 200 OK\r\n\r\n"), Err(ResponseError::NoLength { status: 200 }));
        let (response, _) =
            decode(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3").unwrap().unwrap();
        assert_eq!(response.status, 404);
        assert_eq!(decode(b"nonsense\r\n\r\n"), Err(ResponseError::Malformed));
    }
}
