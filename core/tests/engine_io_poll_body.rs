//! Poll bodies with random content: what is encoded decodes, and what is damaged is refused in good order.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use tidegate_core::engine_io::Packet;
use tidegate_core::engine_io::poll_body::{self, PollBody};
use tidegate_core::payload;

fn below(random: &mut ChaCha12Rng, end: u32) -> usize {
    (random.next_u32() % end) as usize
}

/// Up to eight packets, each a text message of ASCII or a binary one.
fn outgoing(random: &mut ChaCha12Rng) -> Vec<payload::Packet> {
    let count = 1 + below(random, 8);
    (0..count)
        .map(|_| {
            let mut bytes = vec![0; below(random, 40)];
            random.fill_bytes(&mut bytes);
            if below(random, 2) == 0 {
                return payload::Packet::binary(&bytes);
            }
            let text: String = bytes.iter().map(|byte| char::from(b' ' + byte % 90)).collect();
            payload::Packet::text(&format!("4{text}"))
        })
        .collect()
}

#[test]
fn random_packets_survive_the_way_through_a_body() {
    for seed in 0..500 {
        let packets = outgoing(&mut ChaCha12Rng::seed_from_u64(seed));
        let body = poll_body::encode(packets.iter());
        let body = PollBody::new(&body);
        let mut decoded = body.packets();
        for packet in &packets {
            match decoded.next().expect("as many as were sent").expect("well-formed") {
                Packet::Message(text) => assert_eq!(text.as_bytes(), &packet.payload()[1..]),
                Packet::Binary(bytes) => {
                    assert!(packet.is_binary());
                    assert_eq!(bytes, packet.payload());
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(decoded.next(), None);
    }
}

#[test]
fn damaged_bodies_end_with_their_first_error() {
    for seed in 0..2000 {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut body = poll_body::encode(outgoing(&mut random).iter());
        for _ in 0..=below(&mut random, 4) {
            let end = u32::try_from(body.len()).expect("a short body");
            let at = below(&mut random, end);
            body[at] ^= 1 << below(&mut random, 8);
        }
        let body = PollBody::new(&body);
        let packets: Vec<_> = body.packets().collect();
        let first_error = packets.iter().position(Result::is_err);
        assert!(first_error.is_none_or(|index| index + 1 == packets.len()), "seed {seed}");
        assert!(!packets.is_empty());
    }
}
