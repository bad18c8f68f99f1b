//! What the simulation and a review have found, in its shortest form.

use crate::gate::{Gate, broadcast, emit, to};
use crate::support::websocket::WebSocket;
use tidegate_core::backend::wire::{FromBackend, List, Packet};
use tidegate_core::socket_io::ArgsRef;

#[test]
fn a_broadcast_right_behind_the_accept_reaches_the_socket_on_whatever_shard() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let link = gate.serving_on(0, &["/"]);
        let client = WebSocket::open_on(&gate.server, shard);
        client.send("40");
        link.hear();
        link.say_all(&[FromBackend::Accept(gate.socket(0)), broadcast(to("/", &[]), "\"hi\"")]);
        assert_eq!(client.take(), [r#"40{"sid":"~"}"#, r#"42["hi"]"#]);
        gate.assert_nothing_leaks();
    }
}

#[test]
fn an_emit_with_an_ack_reaches_the_socket_of_another_backend() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let (owner, other) = (gate.serving(&["/"]), gate.serving_on(1, &["/other"]));
        let client = gate.joined_on(shard, &owner);
        other.say(&emit(gate.socket(0), "\"hi\"", Some((7, 0))));
        assert_eq!(client.take(), [r#"420["hi"]"#]);
        owner.hear();
        other.hear();
        client.send(r#"430["yes"]"#);
        assert_eq!(other.hear(), [r#"ack #0 7 ["yes"]"#]);
        assert!(owner.hear().is_empty());
    }
}

#[test]
fn only_the_backend_of_a_socket_answers_its_events() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let (owner, other) = (gate.serving(&["/"]), gate.serving_on(1, &["/other"]));
        let client = gate.joined_on(shard, &owner);
        client.send(r#"425["ask"]"#);
        let answer = |json| FromBackend::Ack {
            socket: gate.socket(0),
            ack: 5,
            packet: Packet::from_arguments(ArgsRef::trusted(json, &[])),
        };
        other.say(&answer("\"wrong\""));
        assert_eq!(client.take(), [""; 0]);
        owner.say(&answer("\"right\""));
        assert_eq!(client.take(), [r#"435["right"]"#]);
    }
}
