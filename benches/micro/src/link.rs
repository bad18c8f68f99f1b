//! An event through a whole shard and its backend: bytes of a client, a frame to the backend, a frame from the
//! backend, bytes for the client.

use crate::Workload;
use crate::gate::Gate;
use crate::inputs;
use tidegate_core::backend::Backends;
use tidegate_core::backend::wire::{
    EmitFlags, Frames, FromBackend, Hello, List, Packet, Selector, ToBackend,
};
use tidegate_core::id::ShardIndex;
use tidegate_core::options::{BackendOptions, Options};
use tidegate_core::shard::ConnKey;
use tidegate_core::shard::app::SocketKey;
use tidegate_core::socket_io::ArgsRef;

const CROWD: u32 = 1000;

pub(crate) fn workloads() -> Vec<Workload> {
    let bytes = inputs::echo().len();
    vec![
        Workload::new("backend/echo_1_in_a_batch", bytes, || echo(1)).of(1, 1000),
        Workload::new("backend/echo_64_in_a_batch", bytes, || echo(64)).of(64, 100),
        Workload::new("backend/emit_64_in_a_batch", bytes, || emit(64)).of(64, 100),
        Workload::new("backend/broadcast_delivery", 128, broadcast).of(CROWD, 20),
    ]
}

/// A shard whose clients are served by one backend.
struct Served {
    gate: Gate,
    link: ConnKey,
    clients: Vec<(ConnKey, SocketKey)>,
}

impl Served {
    fn new(clients: u32) -> Self {
        let (options, backend) = (Options::default(), BackendOptions::default());
        let app = Backends::new(ShardIndex(0), &options, backend, "0.0.0");
        let mut gate = Gate::new(Box::new(app));
        let link = gate.accept_port();
        let hello =
            Hello { version_min: 1, version_max: 1, window: 1 << 20, software: "micro", process: "micro" };
        gate.receive(link, &bytes_of(&[FromBackend::Hello(hello)]));
        let serve = FromBackend::Serve { dynamic: false, namespaces: List::from(&["/"][..]) };
        gate.receive(link, &bytes_of(&[serve]));
        gate.turn_counted();
        let mut served = Self { gate, link, clients: Vec::new() };
        served.clients = (0..clients).map(|_| served.join()).collect();
        served
    }

    /// A client asks for `/`, and the backend lets it in.
    fn join(&mut self) -> (ConnKey, SocketKey) {
        let conn = self.gate.accept();
        self.gate.talk(conn, inputs::WEBSOCKET.as_bytes());
        self.gate.receive(conn, &inputs::text_frame("40"));
        let heard = self.hear();
        let [ToBackend::Connect(connect)] = decode(&heard)[..] else { panic!("no CONNECT") };
        let credit = cost_of(&heard);
        let answer = [FromBackend::Accept(connect.socket), FromBackend::Credit(credit)];
        self.gate.receive(self.link, &bytes_of(&answer));
        let joined = self.gate.heard(conn);
        assert!(joined.contains("40{\"sid\""), "{joined}");
        (conn, connect.socket)
    }

    fn hear(&mut self) -> Vec<u8> {
        self.gate.heard_bytes(self.link)
    }
}

/// So many clients say something in one turn, and are answered in the next. Per event.
///
/// The backend's part is no part of this: it says the same every time, as the clients do.
fn echo(clients: u32) -> impl FnMut() {
    let Served { mut gate, link, clients } = Served::new(clients);
    let event = inputs::text_frame(&inputs::echo());
    for (conn, _) in &clients {
        gate.receive(*conn, &event);
    }
    let heard = gate.heard_bytes(link);
    let answer = answer(&heard);
    let to_backend = heard.len();

    let mut to_clients = 0;
    let mut exchange = move |is_first: bool| {
        if !is_first {
            for (conn, _) in &clients {
                gate.receive(*conn, &event);
            }
            assert!(gate.turn_counted() >= to_backend);
        }
        gate.receive(link, &answer);
        let mut bytes = 0;
        gate.turn(|conn, segment| bytes += if conn == link { 0 } else { segment.len() });
        if is_first {
            to_clients = bytes;
        }
        assert!(bytes == to_clients && bytes > 0);
    };
    exchange(true);
    move || exchange(false)
}

/// The acknowledgement of every event in a batch, with the arguments it came with, and the credit for it.
fn answer(batch: &[u8]) -> Vec<u8> {
    let frames = decode(batch);
    let mut answers: Vec<_> = frames
        .iter()
        .map(|frame| match *frame {
            ToBackend::Event { socket, ack: Some(ack), packet, .. } => (socket, ack, packet.json()),
            _ => panic!("no event: {frame:?}"),
        })
        .collect();
    for (_, _, json) in &mut answers {
        let arguments = json.replace(r#"["echo",""#, "\"");
        *json = arguments.trim_end_matches(']').to_owned().into();
    }
    let acks = answers.iter().map(|(socket, ack, arguments)| FromBackend::Ack {
        socket: *socket,
        ack: *ack,
        packet: Packet::from_arguments(ArgsRef::trusted(arguments, &[])),
    });
    let credit = FromBackend::Credit(cost_of(batch));
    bytes_of(&acks.chain([credit]).collect::<Vec<_>>())
}

/// The backend emits to each of so many clients. Per event.
fn emit(clients: u32) -> impl FnMut() {
    let Served { mut gate, link, clients } = Served::new(clients);
    let text = format!("\"{}\"", inputs::prose(64));
    let packet = Packet::from_event("\"news\"", ArgsRef::trusted(&text, &[]));
    let flags = EmitFlags::default();
    let emits = clients.iter().map(|(_, socket)| FromBackend::Emit {
        socket: *socket,
        flags,
        ack: 0,
        timeout_ms: 0,
        packet,
    });
    let batch = bytes_of(&emits.collect::<Vec<_>>());
    move || {
        gate.receive(link, &batch);
        let mut deliveries = 0;
        gate.turn(|conn, _| deliveries += usize::from(conn != link));
        assert_eq!(deliveries, clients.len());
    }
}

/// The backend emits to everybody. Per delivery.
fn broadcast() -> impl FnMut() {
    let Served { mut gate, link, .. } = Served::new(CROWD);
    let text = format!("\"{}\"", inputs::prose(128));
    let frame = bytes_of(&[FromBackend::Broadcast {
        flags: EmitFlags::default(),
        selector: Selector { namespace: "/", rooms: List::EMPTY, except: List::EMPTY },
        request: 0,
        timeout_ms: 0,
        packet: Packet::from_event("\"news\"", ArgsRef::trusted(&text, &[])),
    }]);
    move || {
        gate.receive(link, &frame);
        let mut deliveries = 0;
        gate.turn(|conn, _| deliveries += u32::from(conn != link));
        assert_eq!(deliveries, CROWD);
    }
}

fn bytes_of(frames: &[FromBackend<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut bytes).expect("everything is short"));
    bytes
}

/// The frames of a batch, but for credit and the TICK at its end.
fn decode(batch: &[u8]) -> Vec<ToBackend<'_>> {
    let mut rest = batch;
    let mut decoded = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (frame, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
        rest = behind;
        let frame = ToBackend::decode(frame[0], &frame[1..]).expect("the gateway's own");
        if !matches!(frame, ToBackend::Tick | ToBackend::Credit(_)) {
            decoded.push(frame);
        }
    }
    decoded
}

/// The credit that the frames of a batch take.
fn cost_of(batch: &[u8]) -> u32 {
    let mut frames = Frames::new(u32::MAX);
    let mut rest = batch;
    let mut cost = 0;
    while let Some(frame) = frames.next(&mut rest).expect("the gateway's own") {
        cost += frame.cost();
    }
    u32::try_from(cost).expect("a batch is short")
}
