//! HTTP/1.1 heads and bodies.

use crate::pieces;
use tidegate_core::http::{BodyDecoder, BodyLength, FieldStorage, HeadDecoder, Step};

/// A connection's bytes, up to the end of the first head.
pub fn http_head(data: &[u8]) {
    let whole = read_head(&pieces(data, 0));
    for how in [1, 7] {
        let cut = read_head(&pieces(data, how));
        // A fault may be seen before the head is complete, or not until then.
        let is_undecided = |outcome: &Option<String>| outcome.as_deref().is_none_or(|it| it == REFUSED);
        assert!(cut == whole || (is_undecided(&cut) && is_undecided(&whole)), "{cut:?} is not {whole:?}");
    }
}

const REFUSED: &str = "refused";

/// What a head says, or why it is refused; `None` if it is not all there.
fn read_head(pieces: &[&[u8]]) -> Option<String> {
    let mut decoder = HeadDecoder::new();
    let mut input = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        let mut storage = FieldStorage::new();
        match decoder.decode(&input, &mut storage) {
            Ok(None) => {}
            Ok(Some((head, used))) => {
                assert!(used <= input.len());
                let mut fields = Vec::new();
                head.fields.append_joined(&mut fields);
                return Some(format!(
                    "{} {} {:?} {:?} {} {} {} {used} {:?}",
                    head.method,
                    head.target,
                    head.version,
                    head.body,
                    head.keep_alive,
                    head.expect_continue,
                    head.is_upgrade,
                    String::from_utf8(fields),
                ));
            }
            // Where a head is cut may decide which of two faults is seen first, not whether one is.
            Err(_) => return Some(REFUSED.to_owned()),
        }
    }
    None
}

/// The first byte says how the body is framed, the rest is the body and what follows it.
pub fn http_body(data: &[u8]) {
    let Some((&kind, input)) = data.split_first() else { return };
    let length = match kind {
        b'c' => BodyLength::Chunked,
        b'n' => BodyLength::None,
        bytes => BodyLength::Length(u64::from(bytes)),
    };
    let whole = read_body(length, &pieces(input, 0));
    for how in [1, 7] {
        assert_eq!(read_body(length, &pieces(input, how)), whole, "cut in pieces");
    }
}

/// The body, and how many bytes of input it took if it is complete; `None` if it is refused.
fn read_body(length: BodyLength, pieces: &[&[u8]]) -> Option<(Vec<u8>, Option<usize>)> {
    let mut decoder = BodyDecoder::new(length);
    let (mut body, mut taken) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match decoder.decode(rest).ok()? {
                Step::Data { bytes, used } => {
                    assert!(!bytes.is_empty() && bytes.len() <= used);
                    body.extend_from_slice(bytes);
                    taken += used;
                    rest = &rest[used..];
                }
                Step::NeedMore => {
                    taken += rest.len();
                    break;
                }
                Step::Done { used } => return Some((body, Some(taken + used))),
            }
        }
    }
    // A body of no bytes is complete before anything has come.
    let is_done = matches!(decoder.decode(&[]), Ok(Step::Done { used: 0 }));
    Some((body, is_done.then_some(taken)))
}
