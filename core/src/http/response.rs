//! The responses of the gateway, byte for byte as clients know them (protocol.md 1.2–1.9).
//!
//! Each is written into the buffer that goes to the client; `reply` has the rules common to all.

use ::http::StatusCode;

use super::encoding::Coding;
use super::reply::{
    DIGITS_MAX, Field, Framing, OwnField, Reply, Start, fields_bytes, write_decimal, write_fields,
};

/// A response with a body of any kind: what has no function of its own below.
///
/// For statuses that have no body (1xx, 204, 304) `body` is not written, nor its length.
pub fn whole(out: &mut Vec<u8>, reply: Reply, status: StatusCode, fields: &[Field], body: &[u8]) {
    let framing = Framing::of(status, body.len());
    Start { reply, status, own: &[], framing, fields }.encode(out, body);
}

/// The answer to a poll, body included (protocol.md 1.5; compressed: 1.7). `body` is already in `coding`.
///
/// A compressed body goes in one chunk, as Node sends it, unless the client speaks HTTP/1.0.
pub fn poll(out: &mut Vec<u8>, reply: Reply, coding: Coding, fields: &[Field], body: &[u8]) {
    let (own, framing): (&[OwnField], _) = match coding {
        Coding::Identity => (&POLL, Framing::Length(body.len())),
        Coding::Gzip => (&POLL_GZIP, Framing::chunk(reply, body.len())),
        Coding::Deflate => (&POLL_DEFLATE, Framing::chunk(reply, body.len())),
        Coding::Brotli => (&POLL_BROTLI, Framing::chunk(reply, body.len())),
    };
    Start { reply, status: StatusCode::OK, own, framing, fields }.encode(out, body);
}

/// The head of an answer to a poll whose plain body, `body_bytes` long, the caller writes behind it.
pub fn poll_head(out: &mut Vec<u8>, reply: Reply, body_bytes: usize, fields: &[Field]) {
    let framing = Framing::Length(body_bytes);
    let start = Start { reply, status: StatusCode::OK, own: &POLL, framing, fields };
    out.reserve(start.bytes() + body_bytes);
    start.encode_head(out);
}

/// The answer to a POST of packets, whether or not they could be decoded (protocol.md 1.6).
pub fn post_ok(out: &mut Vec<u8>, reply: Reply, fields: &[Field]) {
    let framing = Framing::Length(2);
    Start { reply, status: StatusCode::OK, own: &POST_OK, framing, fields }.encode(out, b"ok");
}

/// A request the engine refuses: `{"code":…,"message":…}` (protocol.md 1.2).
pub fn error(out: &mut Vec<u8>, reply: Reply, status: StatusCode, code: u8, message: &str, fields: &[Field]) {
    let mut body = Vec::with_capacity(32 + message.len());
    body.extend_from_slice(b"{\"code\":");
    write_decimal(&mut body, usize::from(code));
    body.extend_from_slice(b",\"message\":");
    serde_json::to_writer(&mut body, message).expect("a string can be written to a Vec");
    body.push(b'}');
    let framing = Framing::Length(body.len());
    Start { reply, status, own: &JSON, framing, fields }.encode(out, &body);
}

/// A status with an empty body: 400, 413, 500, and those of [`super::HeadError`].
pub fn empty(out: &mut Vec<u8>, reply: Reply, status: StatusCode, fields: &[Field]) {
    whole(out, reply, status, fields, b"");
}

/// The answer to a preflight: 204 that says `Content-Length: 0` (protocol.md 1.8).
///
/// RFC 9110 §8.6 has no length in a 204; the servers our clients know send one, because a browser of their
/// time would otherwise wait for a body. It does no harm: everyone knows that 204 has none.
pub fn preflight(out: &mut Vec<u8>, reply: Reply, fields: &[Field]) {
    let framing = Framing::Length(0);
    Start { reply, status: StatusCode::NO_CONTENT, own: &[], framing, fields }.encode(out, b"");
}

/// 304: the client has the current version. `fields` should hold its `ETag` (RFC 9110 §15.4.5).
pub fn not_modified(out: &mut Vec<u8>, reply: Reply, fields: &[Field]) {
    whole(out, reply, StatusCode::NOT_MODIFIED, fields, b"");
}

/// The interim answer to `Expect: 100-continue`.
pub fn continue_100(out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// The answer to a WebSocket upgrade that succeeds. `accept` is the value of `Sec-WebSocket-Accept`, which is base64
/// and so cannot split the response; the chosen subprotocol and extensions come in `fields`.
pub fn switching_protocols(out: &mut Vec<u8>, accept: &str, fields: &[Field]) {
    let start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: ";
    out.reserve(start.len() + accept.len() + 2 + fields_bytes(fields) + 2);
    out.extend_from_slice(start.as_bytes());
    out.extend_from_slice(accept.as_bytes());
    out.extend_from_slice(b"\r\n");
    write_fields(out, fields);
    out.extend_from_slice(b"\r\n");
}

/// The answer to a WebSocket upgrade that fails, byte for byte as in protocol.md 1.2. The connection closes.
pub fn upgrade_failure(out: &mut Vec<u8>, message: &str, fields: &[Field]) {
    let start =
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\nContent-Length: ";
    out.reserve(start.len() + DIGITS_MAX + 4 + fields_bytes(fields) + message.len());
    out.extend_from_slice(start);
    write_decimal(out, message.len());
    out.extend_from_slice(b"\r\n");
    write_fields(out, fields);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(message.as_bytes());
}

/// Whether a poll from this user agent is answered with `X-XSS-Protection: 0` (protocol.md 1.5): old
/// Internet Explorers took packets for scripts.
pub fn is_internet_explorer(user_agent: &[u8]) -> bool {
    may_be_internet_explorer(user_agent)
        && user_agent.iter().enumerate().any(|(at, byte)| match byte {
            b';' => user_agent[at..].starts_with(b";MSIE"),
            b'T' => user_agent[at..].starts_with(b"Trident/"),
            _ => false,
        })
}

/// Looks for their first two letters, at all places at once: this is asked at every request, and nobody is one.
fn may_be_internet_explorer(user_agent: &[u8]) -> bool {
    let pairs = user_agent.iter().zip(user_agent.get(1..).unwrap_or_default());
    let starts = |a: u8, b: u8| {
        (u8::from(a == b';') & u8::from(b == b'M')) | (u8::from(a == b'T') & u8::from(b == b'r'))
    };
    pairs.fold(0, |any, (&a, &b)| any | starts(a, b)) != 0
}

const CONTENT_TYPE: &str = "Content-Type";
const CONTENT_ENCODING: &str = "Content-Encoding";
const TEXT: OwnField = (CONTENT_TYPE, "text/plain; charset=UTF-8");
const NO_STORE: OwnField = ("cache-control", "no-store");
const POLL: [OwnField; 2] = [TEXT, NO_STORE];
const POLL_GZIP: [OwnField; 3] = [TEXT, (CONTENT_ENCODING, "gzip"), NO_STORE];
const POLL_DEFLATE: [OwnField; 3] = [TEXT, (CONTENT_ENCODING, "deflate"), NO_STORE];
const POLL_BROTLI: [OwnField; 3] = [TEXT, (CONTENT_ENCODING, "br"), NO_STORE];
const POST_OK: [OwnField; 2] = [(CONTENT_TYPE, "text/html"), NO_STORE];
const JSON: [OwnField; 1] = [(CONTENT_TYPE, "application/json")];

#[cfg(test)]
mod tests {
    use ::http::{HeaderValue, header};

    use super::*;

    const KEEP: Reply = Reply::TEST;
    const OLD: Reply = Reply { http_10: true, ..KEEP };
    const HEAD: Reply = Reply { without_body: true, ..KEEP };

    fn text(fill: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        fill(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn cookie() -> [Field; 1] {
        [(header::SET_COOKIE, HeaderValue::from_static("io=1; Path=/"))]
    }

    #[test]
    fn a_poll_is_answered_as_node_answers_it() {
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\n\
             cache-control: no-store\r\nContent-Length: 6\r\nset-cookie: io=1; Path=/\r\n\r\n42[\"a\"";
        assert_eq!(text(|out| poll(out, KEEP, Coding::Identity, &cookie(), b"42[\"a\"")), expected);
        let head = text(|out| poll_head(out, KEEP, 6, &cookie()));
        assert_eq!(head + "42[\"a\"", expected);
    }

    #[test]
    fn a_compressed_poll_goes_in_one_chunk_unless_the_client_knows_no_chunks() {
        let body = [b'z'; 26];
        let chunked = text(|out| poll(out, KEEP, Coding::Gzip, &[], &body));
        assert!(chunked.contains("\r\nContent-Encoding: gzip\r\n"));
        assert!(chunked.ends_with(
            "\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\nzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n0\r\n\r\n"
        ));
        assert!(!chunked.contains("Content-Length"));
        let old = text(|out| poll(out, OLD, Coding::Deflate, &[], &body));
        assert!(old.contains("\r\nContent-Encoding: deflate\r\n"));
        assert!(
            old.ends_with("Content-Length: 26\r\nConnection: keep-alive\r\n\r\nzzzzzzzzzzzzzzzzzzzzzzzzzz")
        );
    }

    #[test]
    fn a_post_is_answered_with_ok_in_text_html() {
        assert_eq!(
            text(|out| post_ok(out, KEEP, &[])),
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\ncache-control: no-store\r\nContent-Length: 2\r\n\r\nok"
        );
    }

    #[test]
    fn errors_are_json_with_the_code_first() {
        assert_eq!(
            text(|out| error(out, KEEP, StatusCode::BAD_REQUEST, 1, "Session ID unknown", &[])),
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 41\r\n\r\n\
             {\"code\":1,\"message\":\"Session ID unknown\"}"
        );
        let quoted = text(|out| error(out, KEEP, StatusCode::FORBIDDEN, 4, "say \"é\"\n", &[]));
        assert!(quoted.starts_with("HTTP/1.1 403 Forbidden\r\n"));
        assert!(quoted.contains("Content-Length: 35\r\n"));
        assert!(quoted.ends_with(r#"{"code":4,"message":"say \"é\"\n"}"#));
    }

    #[test]
    fn empty_answers_say_that_they_are_empty() {
        assert_eq!(
            text(|out| empty(out, KEEP.closing(), StatusCode::PAYLOAD_TOO_LARGE, &[])),
            "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            text(|out| empty(out, KEEP, StatusCode::INTERNAL_SERVER_ERROR, &[])),
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(
            text(|out| empty(out, Reply::REFUSAL, StatusCode::HTTP_VERSION_NOT_SUPPORTED, &[])),
            "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_refused_upgrade_has_exactly_the_bytes_of_node() {
        assert_eq!(
            text(|out| upgrade_failure(out, "Transport unknown", &[])),
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\n\
             Content-Length: 17\r\n\r\nTransport unknown"
        );
        let versions = [(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13, 8"))];
        let refused = text(|out| upgrade_failure(out, "é", &versions));
        assert!(refused.ends_with("Content-Length: 2\r\nsec-websocket-version: 13, 8\r\n\r\né"));
    }

    #[test]
    fn an_upgrade_is_accepted_with_the_fields_of_the_caller() {
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        let fields = [(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("foo"))];
        assert_eq!(
            text(|out| switching_protocols(out, accept, &fields)),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: foo\r\n\r\n"
        );
    }

    #[test]
    fn statuses_without_a_body_have_neither_body_nor_length() {
        let tag = [(header::ETAG, HeaderValue::from_static("\"4.8.4\""))];
        assert_eq!(
            text(|out| not_modified(out, KEEP, &tag)),
            "HTTP/1.1 304 Not Modified\r\netag: \"4.8.4\"\r\n\r\n"
        );
        assert_eq!(
            text(|out| whole(out, KEEP, StatusCode::NO_CONTENT, &[], b"dropped")),
            "HTTP/1.1 204 No Content\r\n\r\n"
        );
        assert_eq!(
            text(|out| preflight(out, KEEP, &[])),
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(text(continue_100), "HTTP/1.1 100 Continue\r\n\r\n");
    }

    #[test]
    fn a_head_request_gets_the_length_but_not_the_body() {
        assert_eq!(
            text(|out| whole(out, HEAD, StatusCode::OK, &[], b"hello")),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        );
    }

    #[test]
    fn a_caller_replaces_our_fields_but_never_the_framing() {
        let fields = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/x")),
            (header::CONTENT_LENGTH, HeaderValue::from_static("0")),
            (header::TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
            (header::CONNECTION, HeaderValue::from_static("close")),
        ];
        assert_eq!(
            text(|out| post_ok(out, KEEP, &fields)),
            "HTTP/1.1 200 OK\r\ncache-control: no-store\r\nContent-Length: 2\r\ncontent-type: text/x\r\n\r\nok"
        );
    }

    #[test]
    fn old_internet_explorers_are_told_apart() {
        assert!(is_internet_explorer(b"Mozilla/4.0 (compatible;MSIE 8.0; Windows NT 6.1)"));
        assert!(is_internet_explorer(b"Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko"));
        assert!(!is_internet_explorer(b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko Firefox/140.0"));
        assert!(!is_internet_explorer(b""));
    }
}
