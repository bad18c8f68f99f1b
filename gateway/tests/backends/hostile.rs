//! What breaks the protocol is refused with the right code, costs nothing, and disturbs nobody else.

use super::app::App;
use super::client::{Client, Kind};
use super::fake::{Backend, WINDOW, acknowledge, broadcast, emit, hello, select};
use super::rig::{Plan, Rig, within};
use super::seeded::Seeded;
use tidegate_core::backend::wire::{FromBackend, Hello, Texts};
use tidegate_core::shard::app::SocketKey;

/// A socket that never was.
fn nobody() -> SocketKey {
    SocketKey::from_bytes([0xee, 0xee, 0xee, 0xee, 0x01, 0, 0, 0, 1, 0])
}

fn encoded(frames: &[FromBackend<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut bytes).unwrap());
    bytes
}

/// A frame of any type and body.
fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 1).unwrap();
    [&length.to_le_bytes(), &[kind][..], body].concat()
}

/// Those who must not notice anything: a backend, and its client.
struct Bystanders {
    app: App,
    client: Client,
    number: u64,
}

impl Bystanders {
    fn of(rig: &Rig) -> Self {
        let app = App::start(&rig.path, &["/"]);
        Self { app, client: Client::ask(rig.url(), Kind::WebSocket, "/").joined(), number: 0 }
    }

    fn leave(self) {
        drop(self.client);
        self.app.kill();
    }

    /// They are still served.
    fn check(&mut self) {
        self.number += 1;
        self.client.emit(self.number);
        assert_eq!(self.client.event(), self.number);
    }
}

#[test]
fn what_does_not_begin_with_a_hello_is_refused_as_no_backend() {
    within(60, || {
        for plan in [Plan::cores(1), Plan::cores(2), Plan::cores(1).on_epoll()] {
            let mut rig = plan.start();
            let mut bystanders = Bystanders::of(&rig);
            let mut noise = Seeded::new(1);
            let mut inputs = vec![
                b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
                vec![0; 4],
                vec![0xff; 4],
                vec![0xff; 100_000],
                frame(1, b"HTTP\x01\0\x01\0\0\0\x10\0\0\0\0\0"),
                frame(1, b"TDGB"),
                frame(0x7f, b""),
                // The gateway's own frames.
                frame(0x81, b"TDGB\x01\0\0\0\x10\0\0\0\x10\0\0\0\x02\0\0\0{}"),
                encoded(&[FromBackend::Credit(1)]),
                encoded(&[FromBackend::Serve { dynamic: true, namespaces: Texts::EMPTY }, hello(WINDOW)]),
                encoded(&[emit(nobody(), "1"), hello(WINDOW)]),
            ];
            inputs.extend((0..100).map(|_| (0..200).map(|_| noise.byte() | 0x80).collect::<Vec<u8>>()));
            for input in &inputs {
                let mut backend = Backend::dial(&rig.path);
                backend.write(input);
                let (code, message) = backend.refused();
                assert_eq!(code, 1, "{message}: {input:?}");
                assert!(!message.is_empty());
                bystanders.check();
            }
            let refused = inputs.len() as f64;
            rig.wait_for_metrics(&[
                ("tidegate_backend_links_refused_total", refused),
                ("tidegate_backend_links", 1.0),
                ("tidegate_ports", 1.0),
            ]);
            // Not a word about what is not finished, and no trace of it.
            let whole = encoded(&[hello(WINDOW)]);
            for count in 0..whole.len() {
                let mut backend = Backend::dial(&rig.path);
                backend.write(&whole[..count]);
                backend.shut_down();
                assert_eq!(backend.next_frame(), None);
            }
            bystanders.check();
            rig.wait_for_metrics(&[
                ("tidegate_backend_links_refused_total", refused),
                ("tidegate_backend_links", 1.0),
                ("tidegate_ports", 1.0),
            ]);
            bystanders.leave();
            rig.stop();
        }
    });
}

#[test]
fn who_speaks_another_version_is_told_both_ranges() {
    within(30, || {
        let rig = Plan::cores(1).start();
        for (version_min, version_max, code) in
            [(2, 3, Some(2)), (0, 0, Some(2)), (3, 0, Some(2)), (0, 9, None), (1, 1, None)]
        {
            let mut backend = Backend::dial(&rig.path);
            let hello = Hello { version_min, version_max, window: WINDOW, software: "x", process: "y" };
            backend.say(&[FromBackend::Hello(hello)]);
            let Some(code) = code else {
                backend.find(|told| matches!(told, super::fake::Told::Welcome { .. }).then_some(()));
                continue;
            };
            let (refusal, message) = backend.refused();
            assert_eq!(refusal, code);
            assert!(message.contains("version 1"), "{message}");
            for version in [version_min, version_max] {
                assert!(message.contains(&version.to_string()), "{message}");
            }
        }
        rig.stop();
    });
}

/// A way to break the protocol after the hello, given a socket of one's own, and words of the answer.
type Crime = (Box<dyn Fn(SocketKey) -> Vec<u8>>, &'static str);

fn crimes() -> Vec<Crime> {
    fn crime(words: &'static str, bytes: impl Fn(SocketKey) -> Vec<u8> + 'static) -> Crime {
        (Box::new(bytes), words)
    }
    let said = |words, frames: fn(SocketKey) -> Vec<u8>| crime(words, frames);
    let mut crimes = vec![
        said("HELLO came twice", |_| encoded(&[hello(WINDOW)])),
        said("credit was given for more", |_| encoded(&[FromBackend::Credit(100_000_000)])),
        // One that takes the balance far below zero, and then another.
        said("without credit", |socket| {
            let long = format!("\"{}\"", "x".repeat(5_000_001));
            encoded(&[emit(nobody(), &long), emit(socket, "1")])
        }),
        said("limit is 16777216", |_| 16_777_213u32.to_le_bytes().to_vec()),
        said("without a type", |_| vec![0; 4]),
        said("9f", |_| frame(0x9f, b"")),
        said("ends within", |_| frame(0x20, &[1; 9])),
        said("at offset", |socket| encoded(&[emit(socket, "{a:1}")])),
        // It is checked whoever it is for.
        said("at offset", |_| encoded(&[emit(nobody(), "[")])),
        said("at offset", |_| encoded(&[broadcast("/", &[], "nul")])),
        said("at offset", |socket| encoded(&[acknowledge(socket, 1, "'x'")])),
        said("JSON", |socket| encoded(&[FromBackend::Data { socket, json: "undefined" }])),
        said("data", |socket| {
            let json = &format!("\"{}\"", "x".repeat(64 * 1024));
            encoded(&[FromBackend::Data { socket, json }])
        }),
        said("UTF-8", |socket| frame(0x26, &[&socket.to_bytes()[..], b"\x01\0\x01\0\xff"].concat())),
        said("rooms", |socket| frame(0x26, &[&socket.to_bytes()[..], b"\xff\xff"].concat())),
        said("comma", |_| encoded(&[FromBackend::Serve { dynamic: false, namespaces: ["/a,b"][..].into() }])),
        said("slash", |_| encoded(&[FromBackend::Serve { dynamic: false, namespaces: ["a"][..].into() }])),
    ];
    // EMIT by hand: packets that no encoder makes.
    let packets: [(&str, &str, &[u8]); 6] = [
        ("attachment", r#"["x",{"_placeholder":true,"num":1}]"#, b"\x01\0\x01\0\0\0x"),
        ("attachment", r#"["x"]"#, b"\x01\0\x01\0\0\0x"),
        ("attachments", r#"["x"]"#, b"\x0b\0"),
        ("name of an event", r#"["disconnect"]"#, b"\0\0"),
        ("name of an event", r#"[{}]"#, b"\0\0"),
        ("array", r#"{"x":1}"#, b"\0\0"),
    ];
    for (words, json, attachments) in packets {
        crimes.push(crime(words, move |socket| {
            let length = u32::try_from(json.len()).unwrap().to_le_bytes();
            let body = [&[0][..], &socket.to_bytes(), &[0; 12], &length, json.as_bytes(), attachments];
            frame(0x23, &body.concat())
        }));
    }
    crimes
}

#[test]
fn who_breaks_the_protocol_loses_its_link_and_its_clients_do_not_notice() {
    within(60, || {
        for cores in [1, 2] {
            let mut rig = Plan::cores(cores).start();
            let mut safe = Backend::serve(&rig.path, &["/"]);
            let mut resident = Client::ask(rig.url(), Kind::WebSocket, "/");
            let home = safe.accept().socket;
            resident = resident.joined();
            let crimes = crimes();
            let count = crimes.len() as f64;
            for (crime, words) in crimes {
                // With no socket yet it is the first to be asked.
                let mut rogue = Backend::serve(&rig.path, &["/"]);
                let client = Client::ask(rig.url(), Kind::WebSocket, "/");
                let taken = rogue.accept();
                let mut client = client.joined();
                rogue.write(&crime(taken.socket));
                let (code, message) = rogue.refused();
                assert_eq!(code, 5, "{message}");
                assert!(message.contains(words), "{words:?} is not in {message:?}");

                let adopted = safe.accept();
                assert_eq!((adopted.socket, &adopted.id), (taken.socket, &taken.id));
                assert!(adopted.adopted.is_some());
                client.emit(7);
                assert_eq!(safe.event(taken.socket), 7);
                safe.emit(taken.socket, 8);
                assert_eq!(client.event(), 8);
                resident.emit(9);
                assert_eq!(safe.event(home), 9);
                drop(client);
                assert_eq!(safe.disconnected(taken.socket), "transport close");
            }
            rig.wait_for_metrics(&[
                ("tidegate_backend_links_refused_total", count),
                ("tidegate_backend_links", 1.0),
                ("tidegate_ports", 1.0),
                ("tidegate_sockets", 1.0),
            ]);
            drop(resident);
            rig.stop();
        }
    });
}

/// A valid conversation in a namespace of its own, about sockets that never were.
fn valid_stream(noise: &mut Seeded) -> Vec<u8> {
    let socket = nobody();
    let rooms = &["a", "b"][..];
    let mut bytes = encoded(&[hello(WINDOW)]);
    for _ in 0..noise.below(12) {
        let frame = match noise.below(14) {
            0 => FromBackend::Serve { dynamic: false, namespaces: ["/m", "/m2"][..].into() },
            1 => FromBackend::Withdraw(["/m"][..].into()),
            2 => FromBackend::Accept(socket),
            3 => FromBackend::Reject { socket, message: "no", data: Some("{}") },
            4 => emit(socket, r#"1,{"a":[null,"x"]}"#),
            5 => acknowledge(socket, 5, "1"),
            6 => broadcast("/m", rooms, "2"),
            7 => FromBackend::Join { socket, rooms: rooms.into() },
            8 => FromBackend::Data { socket, json: "[1,2]" },
            9 => FromBackend::SocketsJoin { selector: select("/m", rooms), rooms: rooms.into() },
            10 => FromBackend::Fetch { request: 7, selector: select("/m", &[]) },
            11 => FromBackend::ServerEmit { namespace: "/m", request: 3, timeout_ms: 50, json: "[1]" },
            12 => FromBackend::DisconnectSockets { selector: select("/m", &[]), close: true },
            _ => FromBackend::Drain,
        };
        frame.encode(&mut bytes).unwrap();
    }
    bytes
}

/// Damages a stream a little, or a lot.
fn mutate(bytes: &mut Vec<u8>, noise: &mut Seeded) {
    for _ in 0..=noise.below(4) {
        let at = noise.below(bytes.len());
        match noise.below(6) {
            0 => bytes[at] = noise.byte(),
            1 => bytes[at] ^= 1 << noise.below(8),
            2 => bytes.truncate(at + 1),
            3 => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
            }
            4 => drop(bytes.drain(at..(at + 1 + noise.below(8)).min(bytes.len() - 1).max(at))),
            _ => {
                let run = vec![noise.byte(); noise.below(40)];
                bytes.splice(at..at, run);
            }
        }
    }
}

#[test]
fn ten_thousand_damaged_conversations_leave_nothing_behind() {
    const STREAMS: u64 = 10_000;
    within(120, || {
        let mut rig = Plan::cores(2).start();
        let mut bystanders = Bystanders::of(&rig);
        let mut warm = None;
        for seed in 0..STREAMS {
            let mut noise = Seeded::new(seed);
            let mut bytes = valid_stream(&mut noise);
            mutate(&mut bytes, &mut noise);
            let mut backend = Backend::dial(&rig.path);
            backend.write(&bytes);
            // One in four is gone before it is answered.
            if noise.below(4) > 0 {
                backend.shut_down();
                while backend.next_frame().is_some() {}
            }
            if seed % 250 == 0 {
                bystanders.check();
            }
            if seed == STREAMS / 10 {
                warm = Some((rig.memory(), rig.files()));
            }
        }
        bystanders.check();
        rig.wait_for_metrics(&[
            ("tidegate_backend_links", 1.0),
            ("tidegate_backend_links_serving", 1.0),
            ("tidegate_ports", 1.0),
            ("tidegate_sockets", 1.0),
            ("tidegate_backend_sockets_waiting", 0.0),
            ("tidegate_backend_sockets_orphaned", 0.0),
        ]);
        assert!(rig.metric("tidegate_backend_links_refused_total") > 1000.0);
        let (memory, files) = warm.unwrap();
        assert!(rig.files() <= files + 1, "{} files, {files} at first", rig.files());
        let grown = rig.memory().saturating_sub(memory);
        // For ten seconds the gateway remembers of each that a hello is due.
        assert!(grown < 24 << 20, "{grown} bytes more than at first");
        bystanders.leave();
        rig.stop();
    });
}
