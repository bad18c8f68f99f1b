//! Request bodies as they come from the network: cut anywhere, and with framing made to cost or to confuse.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod http_split;

use http_split::{Numbers, every_split};
use tidegate_core::http::{BodyDecoder, BodyError, BodyLength, Step};
use tidegate_core::limits::CHUNK_LINE_BYTES_MAX;

/// The body, and how many bytes were left over behind it (`None`: it is not complete).
type Outcome = Result<(Vec<u8>, Option<usize>), BodyError>;

fn read_body(length: BodyLength, pieces: &[&[u8]]) -> Outcome {
    let (mut body, mut decoder) = (Vec::new(), BodyDecoder::new(length));
    let mut left_over = 0;
    for piece in pieces {
        let mut input = *piece;
        loop {
            match decoder.decode(input)? {
                Step::Data { bytes, used } => {
                    assert!(!bytes.is_empty() && input[..used].ends_with(bytes));
                    body.extend_from_slice(bytes);
                    input = &input[used..];
                }
                Step::NeedMore => break assert!(!decoder.is_done()),
                Step::Done { used } => {
                    left_over += input.len() - used;
                    break assert!(decoder.is_done());
                }
            }
        }
    }
    Ok((body, decoder.is_done().then_some(left_over)))
}

fn read_chunked(pieces: &[&[u8]]) -> Outcome {
    read_body(BodyLength::Chunked, pieces)
}

#[test]
fn a_body_with_a_length_ends_there() {
    let read = |length| every_split(b"hello, world", |pieces| read_body(length, pieces));
    assert_eq!(read(BodyLength::None), Ok((b"".to_vec(), Some(12))));
    assert_eq!(read(BodyLength::Length(5)), Ok((b"hello".to_vec(), Some(7))));
    assert_eq!(read(BodyLength::Length(12)), Ok((b"hello, world".to_vec(), Some(0))));
    assert_eq!(read(BodyLength::Length(13)), Ok((b"hello, world".to_vec(), None)));
    assert_eq!(read(BodyLength::Length(u64::MAX)), Ok((b"hello, world".to_vec(), None)));
}

#[test]
fn a_body_that_is_not_there_is_complete_before_anything_comes() {
    assert_eq!(BodyDecoder::new(BodyLength::None).decode(b""), Ok(Step::Done { used: 0 }));
    assert_eq!(BodyDecoder::new(BodyLength::Chunked).decode(b""), Ok(Step::NeedMore));
}

#[test]
fn chunks_decode_the_same_wherever_the_network_cuts_them() {
    let table: &[(&[u8], &[u8], Option<usize>)] = &[
        (b"0\r\n\r\n", b"", Some(0)),
        (b"0\r\n\r\nGET /", b"", Some(5)),
        (b"5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n", b"hello, world", Some(0)),
        (b"0005\r\nhello\r\n0000000000000000\r\n\r\nx", b"hello", Some(1)),
        (b"A;name=value;q=\"a b\";\xff\r\n0123456789\r\n0;last\r\n\r\n", b"0123456789", Some(0)),
        (b"a\r\n\r\n0\r\n\r\nabc\r\n0\r\n\r\n", b"\r\n0\r\n\r\nabc", Some(0)),
        (b"1\r\nx\r\n0\r\nTrailer: value\r\nEmpty:\r\n\r\nnext", b"x", Some(4)),
        (b"5\r\nhel", b"hel", None),
        (b"5\r\nhello\r\n0\r\n\r", b"hello", None),
        (b"ffffffffffffffff\r\nhello", b"hello", None),
    ];
    for (input, body, end) in table {
        assert_eq!(every_split(input, read_chunked), Ok((body.to_vec(), *end)), "{}", input.escape_ascii());
    }
}

const BROKEN: [(BodyError, &[&str]); 4] = [
    (
        BodyError::Size,
        &[
            "\r\n",
            "\n",
            ";x\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1 \r\n",
            "1\t;x\r\n",
            "1\n",
            "1\0\r\n",
            "10000000000000000\r\n",
            "00000000000000001\r\n",
            "1\r\nx\r\n\r\n",
        ],
    ),
    (
        BodyError::LineEnd,
        &[
            "1\rx",
            "1;a\n",
            "1;a\rb",
            "1\r\nxy\r\n",
            "1\r\nx\n",
            "1\r\nx\rz",
            "0\r\n\rx",
            "0\r\nA: b\n",
            "0\r\nA: b\rc",
        ],
    ),
    (BodyError::Extension, &["1;a\0\r\n", "1;\x7f\r\n"]),
    (
        BodyError::Trailer,
        &[
            "0\r\n\n",
            "0\r\n folded\r\n",
            "0\r\n: x\r\n",
            "0\r\nA : x\r\n",
            "0\r\nno colon\r\n",
            "0\r\nA\r\n",
            "0\r\nA: \0\r\n",
        ],
    ),
];

#[test]
fn chunks_are_exact() {
    for (expected, inputs) in BROKEN {
        for input in inputs {
            assert_eq!(every_split(input.as_bytes(), read_chunked), Err(expected), "{input:?}");
        }
    }
}

/// Bytes of body in `input`, whole and byte by byte.
fn body_bytes(input: &str) -> Result<usize, BodyError> {
    let whole = read_chunked(&[input.as_bytes()]);
    assert_eq!(read_chunked(&input.as_bytes().chunks(1).collect::<Vec<_>>()), whole);
    whole.map(|(body, _)| body.len())
}

#[test]
fn extensions_are_bounded_by_line_and_by_body() {
    // "1;", the extension and a CR make the line.
    let chunk = |extension: usize| format!("1;{}\r\nx\r\n", "e".repeat(extension));
    assert_eq!(body_bytes(&chunk(CHUNK_LINE_BYTES_MAX - 3)), Ok(1));
    assert_eq!(body_bytes(&chunk(CHUNK_LINE_BYTES_MAX - 2)), Err(BodyError::LineTooLong));
    assert_eq!(body_bytes(&chunk(1000).repeat(16)), Ok(16));
    assert_eq!(body_bytes(&chunk(1000).repeat(17)), Err(BodyError::LineTooLong));
    assert_eq!(body_bytes(&"1\r\nx\r\n".repeat(100_000)), Ok(100_000));
}

#[test]
fn trailers_are_bounded_together() {
    // 60 bytes of short fields, 3 of a name, the value, and the last two line ends but for the final LF.
    let trailers =
        |total: usize| format!("0\r\n{}A: {}\r\n\r\n", "T: t\r\n".repeat(10), "v".repeat(total - 67));
    assert_eq!(body_bytes(&trailers(CHUNK_LINE_BYTES_MAX)), Ok(0));
    assert_eq!(body_bytes(&trailers(CHUNK_LINE_BYTES_MAX + 1)), Err(BodyError::TrailersTooLarge));
}

#[test]
fn broken_chunks_end_the_same_whole_and_byte_by_byte() {
    let seed = b"5;a=b\r\nhello\r\nb\r\n, big world\r\n0\r\nT: t\r\n\r\n";
    let mut numbers = Numbers(0x7469_6465_6761_7465);
    for _ in 0..20_000 {
        let bytes = numbers.mutate(seed);
        let (whole, cut) = (read_chunked(&[&bytes]), read_chunked(&bytes.chunks(1).collect::<Vec<_>>()));
        assert_eq!(whole, cut, "{}", bytes.escape_ascii());
    }
}
