//! Many clients of one shard: what reaches all of them, what keeps them, and how they come and go.

use crate::Workload;
use crate::gate::{Bench, Gate};
use crate::inputs;
use tidegate_core::shard::ConnKey;

const CLIENTS: u32 = 1000;
/// Milliseconds between two pings of a client.
const PING_INTERVAL: u64 = 25_000;
/// Milliseconds between two clients that come, so that their deadlines pass while others come.
const ARRIVALS: u64 = 50;

pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        Workload::new("shard/broadcast_delivery", 128, || broadcast("broadcast")).of(CLIENTS, 20),
        Workload::new("shard/room_delivery", 128, || broadcast("room")).of(CLIENTS, 20),
        Workload::new("shard/broadcast_delivery_16_in_a_turn", 128, || broadcasts(16)).of(16 * CLIENTS, 5),
        Workload::new("shard/ping_and_pong", 0, heartbeat).of(CLIENTS, 20),
        Workload::new("shard/connect_and_leave", 0, connect).of(1, 1000),
    ]
}

fn crowd() -> (Gate, Vec<ConnKey>) {
    let mut gate = Gate::new(Box::new(Bench::new()));
    let clients: Vec<_> = (0..CLIENTS).map(|_| gate.websocket()).collect();
    for client in &clients {
        gate.receive(*client, &inputs::text_frame(r#"42["join"]"#));
    }
    gate.turn_counted();
    (gate, clients)
}

/// One client says something, and everybody gets it. Per delivery.
fn broadcast(event: &str) -> impl FnMut() + use<> {
    let (mut gate, clients) = crowd();
    let frame = inputs::text_frame(&format!(r#"42["{event}","{}"]"#, inputs::prose(128)));
    move || {
        gate.receive(clients[0], &frame);
        let mut deliveries = 0;
        gate.turn(|_, _| deliveries += 1);
        assert_eq!(deliveries, CLIENTS);
    }
}

/// The same with several broadcasts in one turn, which leave in one write per client.
fn broadcasts(count: u32) -> impl FnMut() {
    let (mut gate, clients) = crowd();
    let frame = inputs::text_frame(&format!(r#"42["broadcast","{}"]"#, inputs::prose(128)));
    move || {
        for client in &clients[..count as usize] {
            gate.receive(*client, &frame);
        }
        let mut deliveries = 0;
        gate.turn(|_, _| deliveries += 1);
        assert_eq!(deliveries, count * CLIENTS);
    }
}

/// A ping and a pong. Per client.
fn heartbeat() -> impl FnMut() {
    let (mut gate, clients) = crowd();
    let pong = inputs::text_frame("3");
    move || {
        gate.pass(PING_INTERVAL);
        let mut pings = 0;
        gate.turn(|_, frame| {
            assert_eq!(frame, b"\x81\x012");
            pings += 1;
        });
        assert_eq!(pings, CLIENTS);
        for client in &clients {
            gate.receive(*client, &pong);
        }
        assert_eq!(gate.turn_counted(), 0);
    }
}

/// TCP, WebSocket, Engine.IO, CONNECT; and the end of it all.
fn connect() -> impl FnMut() {
    let mut gate = Gate::new(Box::new(Bench::new()));
    let (connect, pong) = (inputs::text_frame("40"), inputs::text_frame("3"));
    // Always there, so that the namespace is. It answers the pings it gets.
    let resident = gate.websocket();
    let mut come_and_go = move || {
        gate.pass(ARRIVALS);
        let conn = gate.accept();
        gate.receive(conn, inputs::WEBSOCKET.as_bytes());
        let (mut open, mut is_pinged) = (0, false);
        gate.turn(|to, segment| {
            open += if to == conn { segment.len() } else { 0 };
            is_pinged |= to == resident;
        });
        if is_pinged {
            gate.receive(resident, &pong);
        }
        gate.receive(conn, &connect);
        let joined = gate.turn_counted();
        gate.end(conn);
        assert_eq!(gate.turn_counted(), 0);
        (open, joined)
    };
    let expected = come_and_go();
    move || assert_eq!(come_and_go(), expected)
}
