//! Request heads as they come from the network: cut anywhere, pipelined, and written to fool a gateway that
//! stands behind a proxy.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod http_split;

use std::fmt::Write;

use http::StatusCode;
use http_split::{Numbers, every_split};
use tidegate_core::http::{FieldStorage, HeadDecoder, HeadError};
use tidegate_core::limits::{HEAD_BYTES_MAX, HEADER_FIELDS_MAX, TARGET_BYTES_MAX};

/// Every head of a connection without bodies, in words; then the bytes left over, or why it ended.
fn read_heads(pieces: &[&[u8]]) -> (String, Result<usize, HeadError>) {
    let (mut buffer, mut start, mut log) = (Vec::new(), 0, String::new());
    let mut decoder = HeadDecoder::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let mut storage = FieldStorage::new();
            match decoder.decode(&buffer[start..], &mut storage) {
                Err(error) => return (log, Err(error)),
                Ok(None) => break,
                Ok(Some((head, used))) => {
                    write!(log, "{} {} {:?}", head.method, head.target, head.version).unwrap();
                    for (name, value) in head.fields.iter() {
                        write!(log, " {name}={}", value.escape_ascii()).unwrap();
                    }
                    let flags = (head.keep_alive, head.expect_continue, head.is_upgrade);
                    writeln!(log, " {:?} {flags:?}", head.body).unwrap();
                    start += used;
                }
            }
        }
    }
    (log, Ok(buffer.len() - start))
}

fn accepted(heads: &str) -> String {
    let (log, end) = every_split(heads.as_bytes(), read_heads);
    assert_eq!(end, Ok(0), "{heads:?}");
    log
}

fn refused(head: &[u8]) -> HeadError {
    match every_split(head, read_heads) {
        (_, Err(error)) => error,
        (log, Ok(_)) => panic!("accepted {}: {log}", head.escape_ascii()),
    }
}

#[test]
fn a_head_decodes_the_same_wherever_the_network_cuts_it() {
    let log = accepted(
        "\r\nGET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a.example:3000\r\nAccept: */*\r\n\
         X-Empty:\r\nX-Space: \t padded value \t\r\n\r\n\
         \r\n\r\nPOST /x HTTP/1.0\r\nContent-Length: 42\r\nConnection: Keep-Alive\r\n\r\n\
         OPTIONS * HTTP/1.1\r\nhost:\r\n\r\n",
    );
    assert_eq!(
        log,
        "GET /socket.io/?EIO=4&transport=polling HTTP/1.1 Host=a.example:3000 Accept=*/* X-Empty= \
         X-Space=padded value None (true, false, false)\n\
         POST /x HTTP/1.0 Content-Length=42 Connection=Keep-Alive Length(42) (true, false, false)\n\
         OPTIONS * HTTP/1.1 host= None (true, false, false)\n"
    );
}

#[test]
fn fields_say_what_becomes_of_body_connection_and_upgrade() {
    // body, keep_alive, expect_continue, is_upgrade
    let table = [
        ("1.1", "", "None (true, false, false)"),
        ("1.1", "Connection: close\r\n", "None (false, false, false)"),
        ("1.1", "Connection: x, CLOSE ,keep-alive\r\n", "None (false, false, false)"),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", "None (false, false, false)"),
        ("1.0", "", "None (false, false, false)"),
        ("1.0", "Connection: keep-alive\r\n", "None (true, false, false)"),
        ("1.1", "Content-Length: 0\r\n", "None (true, false, false)"),
        (
            "1.1",
            "content-length: 18446744073709551615\r\n",
            "Length(18446744073709551615) (true, false, false)",
        ),
        ("1.1", "Transfer-Encoding: Chunked\r\n", "Chunked (true, false, false)"),
        ("1.1", "Content-Length: 9\r\nExpect: 100-Continue\r\n", "Length(9) (true, true, false)"),
        ("1.0", "Content-Length: 9\r\nExpect: 100-continue\r\n", "Length(9) (false, false, false)"),
        ("1.0", "Expect: the-unexpected\r\n", "None (false, false, false)"),
        ("1.1", "Expect: 100-continue\r\n", "None (true, false, false)"),
        ("1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n", "None (true, false, true)"),
        ("1.1", "Connection: keep-alive, upgrade\r\nUPGRADE: h2c\r\n", "None (true, false, true)"),
        ("1.1", "Connection: upgrade\r\n", "None (true, false, false)"),
        ("1.1", "Upgrade: websocket\r\n", "None (true, false, false)"),
        ("1.1", "Upgrade: websocket\r\nConnection: upgraded\r\n", "None (true, false, false)"),
        ("1.0", "Upgrade: websocket\r\nConnection: upgrade\r\n", "None (false, false, false)"),
    ];
    for (version, fields, expected) in table {
        let log = accepted(&format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n"));
        assert!(log.trim_end().ends_with(expected), "{fields:?}: {log}");
    }
}

/// What smugglers send: fields that spoil a head which is fine without them.
const SMUGGLING: [(HeadError, &[&str]); 6] = [
    (
        HeadError::ContentLength,
        &[
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 0\r\ncontent-length: 0\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: 5,6\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length: 5;\r\n",
            "Content-Length: \r\n",
            "Content-Length: five\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length: 99999999999999999999999999999\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        ],
    ),
    (
        HeadError::TransferEncoding,
        &[
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, gzip\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunkedx\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding: chunked;q=1\r\n",
            "Transfer-Encoding: ,chunked\r\n",
            "Transfer-Encoding:\r\n",
        ],
    ),
    (HeadError::Host, &["Host: b\r\n", "host:\r\n"]),
    (
        HeadError::Expectation,
        &[
            "Expect: 200-ok\r\n",
            "Expect: 100-continue, x\r\n",
            "Expect: 100-continue\r\nExpect: y\r\n",
            "Expect:\r\n",
        ],
    ),
    (
        HeadError::BareLineFeed,
        &[
            "X: y\n",
            "X: y\nTransfer-Encoding: chunked\r\n",
            "X:\n",
            "X: y \n",
            "X: y\nZ: z\r\n",
            "X: y\r\nZ: z\nW: w\r\n",
        ],
    ),
    (
        HeadError::Syntax,
        &[
            "Transfer-Encoding : chunked\r\n",
            "Content-Length\t: 5\r\n",
            " Content-Length: 5\r\n",
            "X: y\r\n folded\r\n",
            "X: y\r\n\tfolded\r\n",
            "X: y\r\n \r\n",
            "X: y\rContent-Length: 5\r\n",
            "X: y\r\rZ: z\r\n",
            "X: y\r\r\n",
            "X: a\0b\r\n",
            "X: a\x01b\r\n",
            "X: a\x7fb\r\n",
            "X: a\x0bb\r\n",
            "X\0: y\r\n",
            "X\u{e9}: y\r\n",
            "X(y): z\r\n",
            ": y\r\n",
            "no colon\r\n",
            "X\r\n: y\r\n",
        ],
    ),
];

#[test]
fn whatever_two_parsers_could_read_in_two_ways_is_refused() {
    for (expected, fields) in SMUGGLING {
        for field in fields {
            for more in ["", "Accept: */*\r\n"] {
                let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{field}{more}\r\n");
                assert_eq!(refused(head.as_bytes()), expected, "{head:?}");
            }
        }
    }
}

#[test]
fn a_request_line_is_exact() {
    use HeadError::*;
    let table = [
        (Syntax, "GET  / HTTP/1.1\r\n"),
        (Syntax, "GET /  HTTP/1.1\r\n"),
        (Syntax, " GET / HTTP/1.1\r\n"),
        (Syntax, "GET\t/ HTTP/1.1\r\n"),
        (Syntax, "GET / HTTP/1.1 \r\n"),
        (Syntax, "GET /a b HTTP/1.1\r\n"),
        (Syntax, "GET / \r\n"),
        (Syntax, "GET /\r\n"),
        (Syntax, "GET / http/1.1\r\n"),
        (Syntax, "GET / HTTP/1.1x\r\n"),
        (Syntax, "GET / HTTP/11\r\n"),
        (Syntax, "GET / XTTP/1.1\r\n"),
        (Syntax, "G(T / HTTP/1.1\r\n"),
        (Syntax, "GET /\0 HTTP/1.1\r\n"),
        (Syntax, "GET /\x7f HTTP/1.1\r\n"),
        (Syntax, "GET / HTTP/1.1\r\r\n"),
        (Syntax, "\r\n\r\n\r\nGET / HTTP/1.1\r\n"),
        (Syntax, "\rGET / HTTP/1.1\r\n"),
        (BareLineFeed, "\nGET / HTTP/1.1\r\n"),
        (BareLineFeed, "\r\n\nGET / HTTP/1.1\r\n"),
        (BareLineFeed, "GET / HTTP/1.1\n"),
        (Version, "GET / HTTP/2.0\r\n"),
        (Version, "GET / HTTP/1.2\r\n"),
        (Version, "GET / HTTP/0.9\r\n"),
        (Version, "PRI * HTTP/2.0\r\n"),
        (Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGH / HTTP/1.1\r\n"),
    ];
    for (expected, line) in table {
        assert_eq!(refused(format!("{line}Host: a\r\n\r\n").as_bytes()), expected, "{line:?}");
    }
    assert_eq!(refused(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"), Syntax);
    assert!(accepted("BREW /caf\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("BREW /caf\u{e9} "));
}

#[test]
fn a_modern_request_names_its_host_once_and_well() {
    for fields in
        ["", "X: y\r\n", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: u@b\r\n"]
    {
        let head = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(refused(head.as_bytes()), HeadError::Host, "{fields:?}");
    }
    assert_eq!(refused(b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), HeadError::Host);
    accepted("GET / HTTP/1.0\r\n\r\n");
}

#[test]
fn http_1_0_has_no_chunks() {
    let head = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refused(head), HeadError::TransferEncoding);
}

#[test]
fn an_empty_line_of_bare_feeds_ends_a_head_and_is_refused() {
    assert_eq!(refused(b"GET / HTTP/1.1\r\nHost: a\r\n\n"), HeadError::BareLineFeed);
    assert_eq!(refused(b"GET / HTTP/1.1\nHost: a\n\n"), HeadError::BareLineFeed);
    assert_eq!(refused(b"GET / HTTP/1.0\n\r\n"), HeadError::BareLineFeed);
}

/// The head whole, byte by byte and in a few pieces: 16 KiB cut at every offset would take too long.
fn in_pieces(head: &[u8]) -> Result<usize, HeadError> {
    let whole = read_heads(&[head]).1;
    assert_eq!(read_heads(&head.chunks(1).collect::<Vec<_>>()).1, whole);
    assert_eq!(read_heads(&head.chunks(1000).collect::<Vec<_>>()).1, whole);
    whole
}

#[test]
fn a_head_may_be_as_large_as_its_limit() {
    let sized = |total: usize| {
        let (start, end) = ("GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n");
        format!("{start}{}{end}", "y".repeat(total - start.len() - end.len())).into_bytes()
    };
    assert_eq!(in_pieces(&sized(HEAD_BYTES_MAX)), Ok(0));
    assert_eq!(in_pieces(&[b"\r\n\r\n", &sized(HEAD_BYTES_MAX)[..]].concat()), Ok(0));
    assert_eq!(in_pieces(&sized(HEAD_BYTES_MAX + 1)), Err(HeadError::TooLarge));
    assert_eq!(in_pieces(&vec![b'x'; HEAD_BYTES_MAX - 1]), Ok(HEAD_BYTES_MAX - 1));
    assert_eq!(in_pieces(&vec![b'x'; HEAD_BYTES_MAX + 9]), Err(HeadError::TooLarge));
}

#[test]
fn a_target_may_be_as_long_as_its_limit() {
    let target = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "t".repeat(bytes - 1));
    assert_eq!(in_pieces(target(TARGET_BYTES_MAX).as_bytes()), Ok(0));
    assert_eq!(in_pieces(target(TARGET_BYTES_MAX + 1).as_bytes()), Err(HeadError::TargetTooLong));
    assert_eq!(in_pieces(target(2 * HEAD_BYTES_MAX).as_bytes()), Err(HeadError::TargetTooLong));
}

#[test]
fn there_may_be_as_many_fields_as_the_limit() {
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(in_pieces(fields(HEADER_FIELDS_MAX).as_bytes()), Ok(0));
    assert_eq!(in_pieces(fields(HEADER_FIELDS_MAX + 1).as_bytes()), Err(HeadError::TooManyFields));
}

#[test]
fn each_refusal_has_its_status() {
    use HeadError::*;
    let statuses = [
        (Syntax, 400),
        (BareLineFeed, 400),
        (Host, 400),
        (ContentLength, 400),
        (TransferEncoding, 400),
        (Expectation, 417),
        (TargetTooLong, 414),
        (TooLarge, 431),
        (TooManyFields, 431),
        (Method, 501),
        (Version, 505),
    ];
    for (error, status) in statuses {
        assert_eq!(error.status(), StatusCode::from_u16(status).unwrap());
        assert!(!error.label().is_empty() && !error.to_string().is_empty());
    }
}

#[test]
fn broken_heads_end_the_same_whole_and_byte_by_byte() {
    let seed =
        b"\r\nPOST /socket.io/?EIO=4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: y z\r\n\r\n";
    let mut numbers = Numbers(0x7469_6465_6761_7465);
    for _ in 0..20_000 {
        let bytes = numbers.mutate(seed);
        let (whole, cut) = (read_heads(&[&bytes]), read_heads(&bytes.chunks(1).collect::<Vec<_>>()));
        // A head without an end may be known to be wrong, or not yet.
        if cut.1.is_err() || whole.1.is_ok() {
            assert_eq!(whole, cut, "{}", bytes.escape_ascii());
        }
    }
}
