//! The WebSocket decoder against protocol.md 9.3, RFC 6455 and `tungstenite` as the client.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use std::borrow::Cow;
use tidegate_core::ws::{Decoder, Error, Event, Limits, encode};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

const TEXT: OpCode = OpCode::Data(Data::Text);
const BINARY: OpCode = OpCode::Data(Data::Binary);
const CONTINUE: OpCode = OpCode::Data(Data::Continue);
const PING: OpCode = OpCode::Control(Control::Ping);
const PONG: OpCode = OpCode::Control(Control::Pong);
const CLOSE: OpCode = OpCode::Control(Control::Close);

const LIMITS: Limits = Limits { message_bytes_max: 100_000, fragments_max: 16 };

/// One client frame.
fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = Vec::new();
    FrameHeader { is_final, opcode, mask: Some(mask), ..FrameHeader::default() }
        .format(payload.len() as u64, &mut bytes)
        .expect("writing to a Vec does not fail");
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

fn text(payload: &str) -> Vec<u8> {
    frame(TEXT, true, payload.as_bytes())
}

/// What came out of a run: the events, and the error that ended it.
type Outcome = (Vec<Event<'static>>, Option<Error>);

fn owned(event: Event<'_>) -> Event<'static> {
    let bytes = |bytes: Cow<'_, [u8]>| Cow::Owned(bytes.into_owned());
    let text = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    match event {
        Event::Text(message) => Event::Text(text(message)),
        Event::Binary(message) => Event::Binary(bytes(message)),
        Event::Ping(payload) => Event::Ping(bytes(payload)),
        Event::Pong(payload) => Event::Pong(bytes(payload)),
        Event::Close { code, reason } => Event::Close { code, reason: text(reason) },
    }
}

/// Feeds the pieces as reads of a connection, and checks what must always hold.
fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Outcome {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    let mut received = 0;
    for piece in pieces {
        let mut piece = piece.to_vec();
        received += piece.len();
        let mut rest = &mut piece[..];
        while !rest.is_empty() {
            let len = rest.len();
            match decoder.decode(rest, limits) {
                Ok((used, event)) => {
                    assert!(used <= len);
                    assert!(used > 0, "no progress");
                    let is_close = matches!(event, Some(Event::Close { .. }));
                    events.extend(event.map(owned));
                    if is_close {
                        return (events, None);
                    }
                    rest = &mut rest[used..];
                }
                Err(error) => return (events, Some(error)),
            }
        }
        assert!(decoder.heap_bytes() <= 512 + 2 * received.min(limits.message_bytes_max + 125));
        assert!(!decoder.is_idle() || decoder.heap_bytes() == 0);
    }
    (events, None)
}

/// Decodes `bytes` whole, byte by byte, and in two at each offset: always with the same outcome.
fn every_split(bytes: &[u8], limits: &Limits) -> Outcome {
    let whole = decode_pieces([bytes], limits);
    assert_eq!(decode_pieces(bytes.chunks(1), limits), whole, "byte by byte");
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(decode_pieces([head, tail], limits), whole, "cut at {cut}");
    }
    whole
}

fn events(bytes: &[u8]) -> Vec<Event<'static>> {
    let (events, error) = every_split(bytes, &LIMITS);
    assert_eq!(error, None);
    events
}

fn error(bytes: &[u8]) -> Error {
    let (events, error) = every_split(bytes, &LIMITS);
    assert_eq!(events, []);
    error.expect("refused")
}

#[test]
fn messages_of_every_header_form_arrive_wherever_the_network_cuts_them() {
    for len in [0, 1, 7, 8, 125, 126, 300] {
        let long = "x".repeat(len);
        let bytes = [text(&long), frame(BINARY, true, long.as_bytes()), text("4€")].concat();
        assert_eq!(
            events(&bytes),
            [
                Event::Text(long.clone().into()),
                Event::Binary(long.into_bytes().into()),
                Event::Text("4€".into())
            ]
        );
    }
}

#[test]
fn a_message_with_a_64_bit_length_arrives() {
    let long = "é".repeat(40_000);
    let bytes = text(&long);
    for chunk in [1000, 4095, 65_536, 100_000] {
        assert_eq!(
            decode_pieces(bytes.chunks(chunk), &LIMITS),
            (vec![Event::Text(long.clone().into())], None)
        );
    }
}

#[test]
fn a_whole_frame_is_borrowed_and_a_cut_one_is_owned() {
    let mut decoder = Decoder::default();
    let mut bytes = text("4hello");
    let (used, event) = decoder.decode(&mut bytes, &LIMITS).unwrap();
    assert!(matches!(event, Some(Event::Text(Cow::Borrowed("4hello")))));
    assert_eq!(used, bytes.len());

    let mut bytes = text("4hello");
    let (head, tail) = bytes.split_at_mut(8);
    assert_eq!(decoder.decode(head, &LIMITS), Ok((8, None)));
    assert!(decoder.heap_bytes() > 0);
    let (_, event) = decoder.decode(tail, &LIMITS).unwrap();
    assert!(matches!(event, Some(Event::Text(Cow::Owned(text))) if text == "4hello"));
    assert_eq!(decoder.heap_bytes(), 0);
}

#[test]
fn fragments_are_joined_and_control_frames_may_come_between_them() {
    // protocol.md W10, with a ping in between.
    let bytes = [
        frame(TEXT, false, br#"420["echo","#),
        frame(PING, true, b"hi"),
        frame(CONTINUE, false, b""),
        frame(CONTINUE, true, br#""x"]"#),
        text("3"),
    ]
    .concat();
    assert_eq!(
        events(&bytes),
        [Event::Ping(b"hi"[..].into()), Event::Text(r#"420["echo","x"]"#.into()), Event::Text("3".into())]
    );
}

#[test]
fn a_character_may_be_cut_between_fragments() {
    let bytes = [
        frame(TEXT, false, b"a\xf0"),
        frame(CONTINUE, false, b"\x9f"),
        frame(CONTINUE, false, b"\x98\x80"),
        frame(CONTINUE, true, b""),
    ]
    .concat();
    assert_eq!(events(&bytes), [Event::Text("a😀".into())]);
}

#[test]
fn pings_pongs_and_closes_arrive() {
    // protocol.md W8, W9.
    assert_eq!(events(&frame(PING, true, b"hi")), [Event::Ping(b"hi"[..].into())]);
    assert_eq!(events(&frame(PONG, true, &[0; 125])), [Event::Pong(vec![0; 125].into())]);
    assert_eq!(
        events(&frame(CLOSE, true, b"\x0f\xa1x")),
        [Event::Close { code: Some(4001), reason: "x".into() }]
    );
    assert_eq!(events(&frame(CLOSE, true, b"")), [Event::Close { code: None, reason: "".into() }]);
}

#[test]
fn protocol_violations_are_refused_with_1002() {
    let unmasked = |first: u8| vec![first, 1, b'2'];
    let with_first_byte = |first: u8| {
        let mut bytes = text("2");
        bytes[0] = first;
        bytes
    };
    let table: Vec<(Error, Vec<u8>)> = vec![
        // protocol.md W7.
        (Error::Unmasked, unmasked(0x81)),
        (Error::Unmasked, unmasked(0x89)),
        (Error::ReservedBits, with_first_byte(0xc1)),
        (Error::ReservedBits, with_first_byte(0xa1)),
        (Error::ReservedBits, with_first_byte(0x91)),
        (Error::Opcode, with_first_byte(0x83)),
        (Error::Opcode, with_first_byte(0x87)),
        (Error::Opcode, with_first_byte(0x8b)),
        (Error::Opcode, with_first_byte(0x8f)),
        (Error::Control, frame(PING, false, b"")),
        (Error::Control, frame(PING, true, &[0; 126])),
        (Error::Control, frame(CLOSE, false, b"")),
        (Error::Continuation, frame(CONTINUE, true, b"x")),
        (Error::Continuation, frame(CONTINUE, false, b"x")),
        (Error::Interleaved, [frame(TEXT, false, b"x"), frame(TEXT, true, b"x")].concat()),
        (Error::Interleaved, [frame(TEXT, false, b""), frame(BINARY, false, b"")].concat()),
        (Error::Close, frame(CLOSE, true, b"\x03")),
        (Error::Close, frame(CLOSE, true, &999u16.to_be_bytes())),
        (Error::Close, frame(CLOSE, true, &1005u16.to_be_bytes())),
        (Error::Close, frame(CLOSE, true, &5000u16.to_be_bytes())),
    ];
    for (expected, bytes) in table {
        assert_eq!(error(&bytes), expected, "{bytes:x?}");
        assert_eq!(expected.close_code(), 1002);
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_with_1007() {
    // protocol.md W6.
    for bytes in [
        frame(TEXT, true, b"\xff\xfe"),
        frame(TEXT, true, b"\xe2\x82"),
        frame(TEXT, false, b"\xff"),
        [frame(TEXT, false, b"\xe2\x82"), frame(CONTINUE, true, b"")].concat(),
        [frame(TEXT, false, b"\xe2\x82"), frame(CONTINUE, false, b"x")].concat(),
        frame(CLOSE, true, b"\x03\xe8\xff"),
    ] {
        assert_eq!(error(&bytes), Error::Utf8);
    }
    assert_eq!(Error::Utf8.close_code(), 1007);
}

#[test]
fn a_bad_byte_is_refused_before_its_fragment_is_complete() {
    let mut decoder = Decoder::default();
    let mut bytes = frame(TEXT, false, b"abc\xffdefgh");
    bytes.truncate(6 + 4);
    assert_eq!(decoder.decode(&mut bytes, &LIMITS), Err(Error::Utf8));
}

#[test]
fn messages_beyond_the_limit_are_refused_by_their_header_with_1009() {
    // protocol.md W5.
    let limits = Limits { message_bytes_max: 100, fragments_max: 0 };
    let refused = |bytes: &[u8]| every_split(bytes, &limits) == (vec![], Some(Error::TooBig));
    assert!(!refused(&text(&"x".repeat(100))));
    assert!(refused(&text(&"x".repeat(101))));
    assert!(refused(&text(&"x".repeat(101))[..6]));
    let fragments = |last: usize| {
        [
            frame(BINARY, false, &[0; 60]),
            frame(CONTINUE, false, &[0; 30]),
            frame(CONTINUE, true, &vec![0; last]),
        ]
        .concat()
    };
    assert!(!refused(&fragments(10)));
    assert!(refused(&fragments(11)));
    for announced in [u64::MAX, 1 << 63, 1 << 53, 1 << 32] {
        let mut bytes = vec![0x82, 0xff];
        bytes.extend_from_slice(&announced.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        assert!(refused(&bytes));
    }
    assert_eq!(Error::TooBig.close_code(), 1009);
}

#[test]
fn messages_of_too_many_fragments_are_refused_with_1008() {
    let fragments = |count: usize| {
        let mut bytes = frame(TEXT, false, b"");
        for _ in 2..count {
            bytes.extend(frame(CONTINUE, false, b"x"));
        }
        bytes.extend(frame(CONTINUE, true, b""));
        bytes
    };
    assert_eq!(events(&fragments(16)).len(), 1);
    assert_eq!(error(&fragments(17)), Error::TooManyFragments);
    let unlimited = Limits { fragments_max: 0, ..LIMITS };
    assert_eq!(decode_pieces([&fragments(1000)[..]], &unlimited).1, None);
    assert_eq!(Error::TooManyFragments.close_code(), 1008);
}

#[test]
fn lengths_in_a_longer_form_than_needed_are_accepted() {
    assert_eq!(events(b"\x81\xfe\0\x01\0\0\0\x002"), [Event::Text("2".into())]);
    assert_eq!(events(b"\x81\xff\0\0\0\0\0\0\0\x01\0\0\0\x002"), [Event::Text("2".into())]);
}

#[test]
fn our_own_frames_are_refused_because_they_are_not_masked() {
    let mut bytes = Vec::new();
    encode::pong(&mut bytes, b"hi");
    assert_eq!(error(&bytes), Error::Unmasked);
}

struct Random(ChaCha12Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u64() % end as u64).expect("below a usize")
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    fn text(&mut self, chars: usize) -> String {
        (0..chars).map(|_| ['4', '"', 'é', '€', '😀'][self.below(5)]).collect()
    }

    /// Up to 16 lengths, some of them zero, that add up to `len`.
    fn cuts(&mut self, len: usize) -> Vec<usize> {
        let mut rest = len;
        let mut cuts = Vec::new();
        for _ in 0..self.below(15) {
            let cut = self.below(rest + 1);
            cuts.push(cut);
            rest -= cut;
        }
        cuts.push(rest);
        cuts
    }
}

/// A conversation in frames, and the events it means.
fn conversation(random: &mut Random, messages: usize) -> (Vec<u8>, Vec<Event<'static>>) {
    let (mut bytes, mut events) = (Vec::new(), Vec::new());
    for _ in 0..messages {
        let size = [3, 150, 2000][random.below(3)];
        let size = random.below(size);
        let (opcode, payload, message) = if random.below(2) == 0 {
            let text = random.text(size);
            (TEXT, text.clone().into_bytes(), Event::Text(text.into()))
        } else {
            let payload = random.bytes(size);
            (BINARY, payload.clone(), Event::Binary(payload.into()))
        };
        let cuts = random.cuts(payload.len());
        let mut rest = &payload[..];
        for (index, cut) in cuts.iter().enumerate() {
            let (piece, after) = rest.split_at(*cut);
            rest = after;
            let opcode = if index == 0 { opcode } else { CONTINUE };
            bytes.extend(frame(opcode, index + 1 == cuts.len(), piece));
            if index + 1 < cuts.len() && random.below(4) == 0 {
                let len = random.below(126);
                let payload = random.bytes(len);
                bytes.extend(frame(PING, true, &payload));
                events.push(Event::Ping(payload.into()));
            }
        }
        events.push(message);
    }
    (bytes, events)
}

fn decode_in_random_pieces(random: &mut Random, bytes: &[u8], limits: &Limits) -> Outcome {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let longest = [2, 20, 5000][random.below(3)];
        let (piece, after) = rest.split_at(rest.len().min(1 + random.below(longest)));
        pieces.push(piece);
        rest = after;
    }
    decode_pieces(pieces, limits)
}

#[test]
fn random_conversations_arrive_as_they_were_sent() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let (bytes, sent) = conversation(&mut random, 10);
        assert_eq!(decode_in_random_pieces(&mut random, &bytes, &LIMITS), (sent, None), "seed {seed}");
    }
}

#[test]
fn damaged_conversations_end_the_same_wherever_they_are_cut() {
    let tiny = Limits { message_bytes_max: 500, fragments_max: 4 };
    for seed in 0..1000 {
        let mut random = Random::new(seed);
        let (mut bytes, _) = conversation(&mut random, 5);
        for _ in 0..=random.below(4) {
            // Damage near the start more often: that is where headers are.
            let end = if random.below(2) == 0 { bytes.len() } else { bytes.len().min(40) };
            let at = random.below(end);
            bytes[at] ^= 1 << random.below(8);
        }
        for limits in [&LIMITS, &tiny] {
            let whole = decode_pieces([&bytes[..]], limits);
            let pieces = decode_in_random_pieces(&mut random, &bytes, limits);
            assert_eq!(pieces, whole, "seed {seed}");
        }
    }
}

#[test]
fn noise_is_survived() {
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let noise = random.bytes(200);
        decode_in_random_pieces(&mut random, &noise, &LIMITS);
    }
}
