//! What holds for every packet and every message, tried on many from fixed seeds.

#![expect(clippy::unwrap_used, reason = "these are helpers of tests")]

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tidegate_core::limits::{ACK_ID_MAX, ATTACHMENTS_MAX};
use tidegate_core::payload::Parcel;
use tidegate_core::socket_io::{Args, ArgsRef, Decoder, Packet, encode, is_reserved, quote};

const TEXTS: &[&str] = &[
    "",
    "a",
    "event",
    "é€",
    "😀",
    "\"",
    "\\",
    "\n",
    "\u{1}",
    "/",
    ",",
    "_placeholder",
    "forty bytes without anything special, or so",
];

struct Random(ChaCha8Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0.next_u32() as usize % bound
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn text(&mut self) -> String {
        (0..self.below(4)).map(|_| self.pick(TEXTS)).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.below(20)];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A value as JSON. Now and then a leaf is the placeholder of a new attachment.
    fn value(&mut self, depth: usize, attachments: &mut Vec<Bytes>) -> String {
        match self.below(if depth < 4 { 9 } else { 6 }) {
            0 => self.pick(&["null", "true", "false"]).to_owned(),
            1 => self.pick(&["0", "-1", "2.5e-3", "1e400", "12345678901234567890"]).to_owned(),
            2 | 3 => quote(&self.text()),
            4 => self.pick(&[r#""\ud800""#, r#"{"_placeholder":1,"num":0}"#, "[ ]", "{ }"]).to_owned(),
            5 if attachments.len() < ATTACHMENTS_MAX => {
                attachments.push(self.bytes().into());
                format!(r#"{{"_placeholder":true,"num":{}}}"#, attachments.len() - 1)
            }
            5 => "5".to_owned(),
            6 => format!("[{}]", self.values(depth + 1, attachments)),
            _ => {
                let members: Vec<_> = (0..self.below(3))
                    .map(|_| format!("{}:{}", self.key(), self.value(depth + 1, attachments)))
                    .collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }

    /// Any key that does not make its object a placeholder.
    fn key(&mut self) -> String {
        let text = self.text();
        if text == "_placeholder" { r#""num""#.to_owned() } else { quote(&text) }
    }

    fn values(&mut self, depth: usize, attachments: &mut Vec<Bytes>) -> String {
        let values: Vec<_> = (0..self.below(4)).map(|_| self.value(depth, attachments)).collect();
        values.join(",")
    }

    fn args(&mut self) -> Args {
        let mut attachments = Vec::new();
        let json = self.values(0, &mut attachments);
        ArgsRef::checked(&json, &attachments).expect("generated arguments keep the invariants").into_owned()
    }

    fn ack(&mut self) -> Option<u64> {
        match self.below(3) {
            0 => None,
            1 => Some(self.below(100) as u64),
            _ => Some(self.0.next_u64() % (ACK_ID_MAX + 1)),
        }
    }
}

/// Decodes the messages of a parcel, and hands what comes out to `check`.
fn decode(parcel: &Parcel, check: impl FnOnce(&Packet<'_>)) {
    let text = std::str::from_utf8(parcel.head.payload()).unwrap();
    let mut decoder = Decoder::new();
    if let Some(packet) = decoder.text(text.strip_prefix('4').unwrap()).unwrap() {
        assert!(parcel.attachments.is_empty());
        return check(&packet);
    }
    let (last, first) = parcel.attachments.split_last().unwrap();
    for attachment in first {
        assert!(decoder.binary(attachment.payload(), usize::MAX).unwrap().is_none());
    }
    check(&decoder.binary(last.payload(), usize::MAX).unwrap().unwrap().packet());
}

#[test]
fn what_was_encoded_decodes_to_the_same() {
    let mut random = Random::new(2);
    for _ in 0..20_000 {
        let expected_namespace = random.pick(&["/", "/admin", "/a/b?c=d", "/é[1]\"-"]);
        let (args, id, text) = (random.args(), random.ack(), random.text());
        let expected_name = if is_reserved(&text) { "1".to_owned() } else { quote(&text) };

        let event = encode::event(expected_namespace, id, &expected_name, args.as_ref());
        decode(&event, |packet| {
            let &Packet::Event { namespace, ack, name: Some(name), args: decoded } = packet else { panic!() };
            assert_eq!((namespace, ack, name.json()), (expected_namespace, id, &*expected_name));
            assert_eq!(name.text().as_deref(), Some(&*text));
            assert_eq!(decoded, args.as_ref());
            assert_eq!(decoded.elements().collect::<Vec<_>>().join(","), args.json());
            assert_eq!(encode::event(namespace, ack, name.json(), decoded), event);
        });

        let id = id.unwrap_or(0);
        decode(&encode::ack(expected_namespace, id, args.as_ref()), |packet| {
            let expected = Packet::Ack { namespace: expected_namespace, id: Some(id), args: args.as_ref() };
            assert_eq!(*packet, expected);
        });
        decode(&encode::disconnect(expected_namespace), |packet| {
            assert_eq!(*packet, Packet::Disconnect { namespace: expected_namespace });
        });
    }
}

/// An event with a few bytes of its text message replaced, as far as it still is text.
fn damaged_event(random: &mut Random) -> String {
    const PALETTE: &[&str] =
        &["0", "1", "5", "9", "-", "/", ",", "[", "]", "{", "}", "\"", "\\", ":", " ", "\n", "u", "x"];
    let (args, name, ack) = (random.args(), quote(&random.text()), random.ack());
    let parcel = encode::event(random.pick(&["/", "/admin"]), ack, &name, args.as_ref());
    let mut message = parcel.head.payload()[1..].to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(message.len() + 1);
        let end = (at + random.below(3)).min(message.len());
        message.splice(at..end, random.pick(PALETTE).bytes());
    }
    String::from_utf8_lossy(&message).into_owned()
}

#[test]
fn no_message_makes_the_decoder_panic_and_what_it_takes_can_be_passed_on() {
    let mut random = Random::new(3);
    let mut taken = 0;
    for _ in 0..100_000 {
        let message = damaged_event(&mut random);
        let mut decoder = Decoder::new();
        let Ok(at_once) = decoder.text(&message) else { continue };
        let mut assembled = None;
        if at_once.is_none() {
            let attachments = (0..ATTACHMENTS_MAX).map(|_| random.bytes());
            assembled =
                attachments.map(|bytes| decoder.binary(&bytes, usize::MAX).unwrap()).find(Option::is_some);
        }
        let later = assembled.iter().flatten().map(|assembled| assembled.packet()).next();
        let packet = at_once.or(later).expect("no packet waits for more attachments than that");
        taken += 1;
        if let Packet::Event { namespace, ack, name: Some(name), args } = packet {
            ArgsRef::checked(args.json(), args.attachments()).expect("decoded arguments keep the invariants");
            decode(&encode::event(namespace, ack, name.json(), args), |again| assert_eq!(*again, packet));
        }
    }
    assert!(taken > 10_000, "{taken} packets of 100000 prove little");
}
