//! HTTP/1.1 responses from a server: enough for a WebSocket upgrade and for long-polling on keep-alive
//! connections. A chunked body is taken if it is one chunk, as servers send it that do not know its length beforehand
//! (uvicorn): so it is passed on from where it was read. Who cuts a poll's body to pieces stands between us and the server.

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
    #[error("a body of several chunks: is there a proxy before the server?")]
    Pieces,
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
    let mut is_chunked = false;
    for field in head.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(field.value).map_err(|_| ResponseError::Malformed)?;
            length = Some(text.parse::<usize>().map_err(|_| ResponseError::Malformed)?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            is_chunked = field.value.eq_ignore_ascii_case(b"chunked");
        } else if field.name.eq_ignore_ascii_case("sec-websocket-accept") {
            response.accept = Some(field.value);
        } else if field.name.eq_ignore_ascii_case("connection") {
            response.last = field.value.eq_ignore_ascii_case(b"close");
        }
    }
    // RFC 9112 §6.3: these statuses have no body, whatever the fields say.
    let length = match (status, length) {
        (100..200 | 204 | 304, _) => 0,
        (200, _) if is_chunked => {
            let Some((body, used)) = decode_chunk(&bytes[head_bytes..])? else { return Ok(None) };
            response.body = body;
            return Ok(Some((response, head_bytes + used)));
        }
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

/// Takes a chunked body off the front of `bytes` (RFC 9112 §7.1): at most one chunk, the empty one that ends it, and no trailer.
fn decode_chunk(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, ResponseError> {
    const END: &[u8] = b"0\r\n\r\n";
    let (size_bytes, size) = match httparse::parse_chunk_size(bytes) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ResponseError::Malformed),
    };
    let length = usize::try_from(size).ok().filter(|length| *length <= BODY_BYTES_MAX);
    let length = length.ok_or(ResponseError::TooLarge)?;
    let (body, rest) = match length {
        0 => (&bytes[..0], bytes),
        _ => match bytes[size_bytes..].split_at_checked(length) {
            Some((body, rest)) if b"\r\n".starts_with(&rest[..rest.len().min(2)]) => {
                (body, rest.get(2..).unwrap_or_default())
            }
            Some(_) => return Err(ResponseError::Malformed),
            None => return Ok(None),
        },
    };
    if rest.starts_with(END) {
        return Ok(Some((body, bytes.len() - rest.len() + END.len())));
    }
    if END.starts_with(rest) { Ok(None) } else { Err(ResponseError::Pieces) }
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
    fn a_body_of_one_chunk_is_taken_once_its_end_is_here() {
        for body in ["", "5\r\n40\x1e2x\r\n", "5;a=b\r\n40\x1e2x\r\n"] {
            let whole = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}0\r\n\r\n");
            for cut in 0..whole.len() {
                assert_eq!(decode(&whole.as_bytes()[..cut]), Ok(None), "{body:?} cut at {cut}");
            }
            let two = whole.repeat(2);
            let (response, used) = decode(two.as_bytes()).unwrap().unwrap();
            let content = if body.is_empty() { "" } else { "40\x1e2x" };
            assert_eq!((response.body, used), (content.as_bytes(), whole.len()));
        }
    }

    #[test]
    fn a_body_of_several_chunks_and_what_is_no_chunk_are_refused() {
        let decoded = |body: &str| {
            let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
            decode(bytes.as_bytes()).map(|found| found.is_some())
        };
        assert_eq!(decoded("1\r\n4\r\n1\r\n0\r\n0\r\n\r\n"), Err(ResponseError::Pieces));
        assert_eq!(decoded("1\r\n40\r\n0\r\n\r\n"), Err(ResponseError::Malformed));
        assert_eq!(decoded("x\r\n"), Err(ResponseError::Malformed));
        assert_eq!(decoded("fffffff0\r\n"), Err(ResponseError::TooLarge));
        assert_eq!(decoded("ffffffffffffffff1\r\n"), Err(ResponseError::Malformed));
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
