//! What holds for every frame, tried on many from fixed seeds.

use crate::random::{Pool, Random, eleven};
use tidegate_core::backend::wire::{Frames, FromBackend, Packet, ToBackend, TooLong, frame_name};
use tidegate_core::shard::app::SocketKey;
use tidegate_core::socket_io::ArgsRef;

#[test]
fn what_a_backend_encodes_the_gateway_decodes() {
    let mut random = Random::new(1);
    for _ in 0..300 {
        let pool = Pool::new(&mut random);
        let frames = pool.said_by_backend(&mut random);
        assert_eq!(frames.len(), (0..0x80).filter_map(frame_name).count(), "one of each type");
        let mut stream = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut stream).expect("short"));
        let (mut cutter, mut input) = (Frames::new(u32::MAX), &stream[..]);
        for frame in &frames {
            let found = cutter.next(&mut input).expect("good").expect("whole");
            assert_eq!(&FromBackend::decode(found.kind(), found.body()).expect("good"), frame);
        }
        assert!(input.is_empty());
    }
}

#[test]
fn what_the_gateway_encodes_a_backend_decodes() {
    let mut random = Random::new(2);
    for _ in 0..300 {
        let pool = Pool::new(&mut random);
        let sockets = pool.sockets(&mut random);
        let frames = pool.said_by_gateway(&sockets, &mut random);
        assert_eq!(frames.len(), (0x80..=0xff).filter_map(frame_name).count(), "one of each type");
        let mut stream = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut stream).expect("short"));
        let (mut cutter, mut input) = (Frames::new(u32::MAX), &stream[..]);
        for frame in &frames {
            let found = cutter.next(&mut input).expect("good").expect("whole");
            assert_eq!(&ToBackend::decode(found.kind(), found.body()).expect("good"), frame);
        }
        assert!(input.is_empty());
    }
}

#[test]
fn packets_come_back_as_the_name_and_the_arguments_they_were_made_of() {
    let mut random = Random::new(3);
    let socket = SocketKey::from_bytes([7; 10]);
    let (mut frame, mut attachments) = (Vec::new(), Vec::new());
    for _ in 0..2000 {
        let pool = Pool::new(&mut random);
        let (name, args) = pool.event();
        frame.clear();
        let packet = Packet::from_event(name, args);
        FromBackend::Ack { socket, ack: 1, packet }.encode(&mut frame).expect("short");
        let Ok(FromBackend::Ack { packet, .. }) = FromBackend::decode(frame[4], &frame[5..]) else {
            panic!("an ACK")
        };
        let (found, found_args) = packet.event(&mut attachments).expect("it is in order");
        assert_eq!((found.json(), found_args), (name, args));
        let (found, found_args) = packet.trusted_event(&mut attachments).expect("it is in order");
        assert_eq!((found.map(|found| found.json()), found_args), (Some(name), args));

        frame.clear();
        let packet = Packet::from_arguments(args);
        FromBackend::Ack { socket, ack: 1, packet }.encode(&mut frame).expect("short");
        let Ok(FromBackend::Ack { packet, .. }) = FromBackend::decode(frame[4], &frame[5..]) else {
            panic!("an ACK")
        };
        assert_eq!(packet.arguments(&mut attachments).expect("it is in order"), args);
        assert_eq!(packet.trusted_arguments(&mut attachments).expect("it is in order"), args);
    }
}

#[test]
fn what_no_length_field_can_say_is_refused_and_leaves_no_trace() {
    let socket = SocketKey::from_bytes([7; 10]);
    let (long, many) = ("x".repeat(1 << 16), vec![""; 1 << 16]);
    let (too_long, longest) = ([&*long], [&long[1..]]);
    let attachments = eleven();
    let packet = Packet::from_arguments(ArgsRef::trusted("", &attachments));
    let cases = [
        (FromBackend::Join { socket, rooms: too_long[..].into() }, "rooms"),
        (FromBackend::Leave { socket, rooms: many[..].into() }, "rooms"),
        (FromBackend::Reject { socket, message: &long, data: None }, "message"),
        (FromBackend::Ack { socket, ack: 0, packet }, "attachments"),
    ];
    for (frame, field) in cases {
        let mut out = b"before".to_vec();
        assert_eq!(frame.encode(&mut out), Err(TooLong { field }));
        assert_eq!(out, b"before");
    }
    let mut out = Vec::new();
    let frame = FromBackend::Join { socket, rooms: longest[..].into() };
    frame.encode(&mut out).expect("one byte less is fine");
    assert_eq!(FromBackend::decode(out[4], &out[5..]).expect("good"), frame);
}
