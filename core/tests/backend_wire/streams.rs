//! Streams that are cut anywhere, end anywhere, and lie about their lengths.

use crate::page::{Direction, Mode, Vector, vectors};
use tidegate_core::backend::wire::{Frame, Frames, FromBackend, ToBackend, WireError};

/// Every good vector, one behind the other.
fn stream() -> Vec<u8> {
    good().iter().flat_map(|vector| vector.bytes.clone()).collect()
}

fn good() -> Vec<Vector> {
    vectors().into_iter().filter(|vector| vector.mode != Mode::Error).collect()
}

/// The frames that come out of these pieces, each as its bytes.
fn cut(frames: &mut Frames, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, WireError> {
    let mut found = Vec::new();
    for mut piece in pieces.iter().copied() {
        while let Some(frame) = frames.next(&mut piece)? {
            assert!(frame.byte_count() == 5 + frame.body().len());
            assert_eq!(frame.cost() > 0, frame.kind() & 0x20 != 0);
            let length = u32::try_from(1 + frame.body().len()).expect("short");
            let bytes = [&length.to_le_bytes(), &[frame.kind()][..], frame.body()].concat();
            found.push(bytes);
        }
        assert!(piece.is_empty(), "what is not taken as a frame is kept");
    }
    Ok(found)
}

#[test]
fn frames_are_the_same_wherever_the_stream_is_cut() {
    let stream = stream();
    let whole: Vec<_> = good().into_iter().map(|vector| vector.bytes).collect();
    let longest = whole.iter().map(Vec::len).max().expect("there are some");
    let mut frames = Frames::new(u32::try_from(longest).expect("short"));
    for at in 0..=stream.len() {
        let (a, b) = stream.split_at(at);
        assert_eq!(cut(&mut frames, &[a, b]).expect("all are good"), whole, "cut at {at}");
        assert_eq!(frames.heap_bytes(), 0, "nothing is left behind");
    }
    for step in [1, 2, 3, 5, 7, 11, 64] {
        let pieces: Vec<_> = stream.chunks(step).collect();
        assert_eq!(cut(&mut frames, &pieces).expect("all are good"), whole, "{step} bytes at a time");
    }
}

#[test]
fn a_frame_that_lies_whole_in_the_input_is_not_copied() {
    let stream = stream();
    let (mut frames, mut input) = (Frames::new(u32::MAX), &stream[..]);
    let mut at = 0;
    while let Some(frame) = frames.next(&mut input).expect("all are good") {
        assert!(
            std::ptr::eq(frame.body().as_ptr(), &raw const stream[at + 4 + 1..][..1][0])
                || frame.body().is_empty()
        );
        at += frame.byte_count();
    }
    assert_eq!((at, frames.heap_bytes()), (stream.len(), 0));
}

#[test]
fn nothing_is_reserved_for_what_was_only_announced() {
    let mut frames = Frames::new(u32::MAX);
    let mut start: &[u8] = &[0xfa, 0xff, 0xff, 0x7f, 0x2a, 1, 2, 3];
    assert!(frames.next(&mut start).expect("within the limit").is_none());
    assert!(frames.heap_bytes() <= 64, "{} bytes", frames.heap_bytes());
    for arrived in 1..=100 {
        assert!(frames.next(&mut &[0; 100][..]).expect("within the limit").is_none());
        assert!(frames.heap_bytes() <= 2 * (8 + 100 * arrived), "{} bytes", frames.heap_bytes());
    }
}

#[test]
fn a_frame_beyond_the_limit_is_refused_at_its_length_field() {
    let next = |max: u32, bytes: &[u8]| {
        let mut frames = Frames::new(max);
        let outcome = frames.next(&mut &bytes[..]).map(|frame| frame.is_some());
        outcome.map_err(|error| (error.to_string(), frames.heap_bytes()))
    };
    assert_eq!(next(9, &[5, 0, 0, 0, 2, 1, 0, 0, 0]), Ok(true));
    let refused = |text: &str| Err((text.to_owned(), 0));
    assert_eq!(next(9, &[6, 0, 0, 0]), refused("a frame of 10 bytes; the limit is 9"));
    let huge = refused("a frame of 4294967299 bytes; the limit is 4294967295");
    assert_eq!(next(u32::MAX, &[0xff; 4]), huge);
    assert_eq!(next(9, &[0, 0, 0, 0]), refused("a frame without a type"));
    // Four bytes of something else altogether.
    assert!(next(1 << 20, b"GET / HTTP/1.1\r\n").is_err());
}

/// Decodes a body of either direction; what came out, as text.
fn decode(direction: Direction, kind: u8, body: &[u8]) -> Result<String, WireError> {
    Ok(match direction {
        Direction::FromBackend => format!("{:?}", FromBackend::decode(kind, body)?),
        Direction::ToBackend => format!("{:?}", ToBackend::decode(kind, body)?),
    })
}

#[test]
fn a_body_that_ends_early_is_refused_and_says_so() {
    for vector in good() {
        let mut input = &vector.bytes[..];
        let mut frames = Frames::new(u32::MAX);
        let frame = frames.next(&mut input).expect("good").expect("whole");
        let whole = decode(vector.direction, frame.kind(), frame.body()).expect("good");
        let unknown = if vector.mode == Mode::Decode { 2 } else { 0 };
        let known = frame.body().len() - unknown;
        for end in 0..known {
            let error = decode(vector.direction, frame.kind(), &frame.body()[..end]);
            let error = error.expect_err(&vector.what).to_string();
            assert!(error.starts_with(&format!("{}: the body ends within ", vector.name)), "{error}");
        }
        let longer = [frame.body(), b"more"].concat();
        assert_eq!(decode(vector.direction, frame.kind(), &longer).expect("good"), whole, "unknown bytes");
    }
}

#[test]
fn a_frame_of_the_other_direction_or_of_no_known_type_is_refused() {
    for kind in 0..=u8::MAX {
        let is_unknown = |outcome: Result<String, WireError>| matches!(outcome, Err(WireError::Kind(refused)) if refused == kind);
        let from = is_unknown(decode(Direction::FromBackend, kind, &[0; 64]));
        let to = is_unknown(decode(Direction::ToBackend, kind, &[0; 64]));
        assert!(from || to, "{kind:02x} is understood both ways");
        assert_eq!(from && to, tidegate_core::backend::wire::frame_name(kind).is_none(), "{kind:02x}");
    }
}

/// Every byte of every frame replaced by others: counts and lengths that lie, flags that do not exist.
#[test]
fn damaged_frames_are_refused_or_understood_but_never_a_panic() {
    for vector in good() {
        let (kind, mut body) = (vector.bytes[4], vector.bytes[5..].to_vec());
        for at in 0..body.len() {
            let before = body[at];
            for damage in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                body[at] = damage;
                let _ = decode(vector.direction, kind, &body);
            }
            body[at] = before;
        }
    }
}

/// What is decoded is borrowed from the body: a `Copy` value owns no memory, whatever counts it was told.
#[test]
fn decoded_frames_own_nothing() {
    fn is_copy<T: Copy>() {}
    is_copy::<FromBackend<'_>>();
    is_copy::<ToBackend<'_>>();
    fn borrows_input_alone<'a>(frames: &mut Frames, mut input: &'a [u8]) -> Option<Frame<'a>> {
        frames.next(&mut input).ok().flatten()
    }
    let mut frames = Frames::new(100);
    let frame = borrows_input_alone(&mut frames, &[1, 0, 0, 0, 5]);
    assert!(borrows_input_alone(&mut frames, &[]).is_none());
    assert!(frame.is_some());
}
