//! An event through a whole shard, from the bytes of a client to the bytes for it.

use crate::Workload;
use crate::gate::{Bench, Gate};
use crate::inputs;
use tidegate_core::shard::ConnKey;

/// Frames that one read brings when a client does not wait for answers.
const PIPELINED: u32 = 16;

pub(crate) fn workloads() -> Vec<Workload> {
    let bytes = inputs::echo().len();
    vec![
        Workload::new("shard/echo_websocket", bytes, || websocket(1, &inputs::text_frame(&inputs::echo()))),
        Workload::new("shard/echo_websocket_16_in_a_read", bytes, || {
            websocket(1, &inputs::text_frame(&inputs::echo()).repeat(PIPELINED as usize))
        })
        .of(PIPELINED, 100),
        Workload::new("shard/echo_websocket_among_1000", bytes, || {
            websocket(1000, &inputs::text_frame(&inputs::echo()))
        })
        .of(1, 2000),
        Workload::new("shard/echo_websocket_4096", 4096, || websocket(1, &large_echo())),
        Workload::new("shard/echo_binary_1024", 1024, || websocket(1, &binary_echo())),
        Workload::new("shard/echo_polling", bytes, polling),
    ]
}

fn large_echo() -> Vec<u8> {
    inputs::text_frame(&format!(r#"421["echo",{}]"#, inputs::json(4096)))
}

fn binary_echo() -> Vec<u8> {
    let mut frames = inputs::text_frame(r#"451-1["echo",{"_placeholder":true,"num":0}]"#);
    frames.extend(inputs::frame(0x82, &inputs::binary(1024)));
    frames
}

/// The clients take turns; each sends `read` and gets its answer in one turn.
fn websocket(clients: usize, read: &[u8]) -> impl FnMut() + use<> {
    let mut gate = Gate::new(Box::new(Bench::new()));
    let clients: Vec<ConnKey> = (0..clients).map(|_| gate.websocket()).collect();
    let read = read.to_vec();
    gate.receive(clients[0], &read);
    let expected = gate.turn_counted();
    assert!(expected > 10, "there is an answer");
    let mut next = 0;
    move || {
        gate.receive(clients[next], &read);
        assert_eq!(gate.turn_counted(), expected);
        next = (next + 1) % clients.len();
    }
}

/// A GET that waits, a POST with the event, and both responses.
fn polling() -> impl FnMut() {
    let mut gate = Gate::new(Box::new(Bench::new()));
    let (poll, send) = (gate.accept(), gate.accept());
    let open = gate.talk(poll, &inputs::get(inputs::POLLING));
    let (_, sid) = open.split_once("\"sid\":\"").expect("an open packet");
    let target = format!("{}&sid={}", inputs::POLLING, &sid[..20]);
    let get = inputs::get(&target);
    gate.talk(send, &inputs::post(&target, "40"));
    assert!(gate.talk(poll, &get).contains("40{\"sid\""));

    let post = inputs::post(&target, &inputs::echo());
    gate.receive(poll, &get);
    gate.receive(send, &post);
    let expected = gate.turn_counted();
    move || {
        gate.receive(poll, &get);
        gate.receive(send, &post);
        assert_eq!(gate.turn_counted(), expected);
    }
}
