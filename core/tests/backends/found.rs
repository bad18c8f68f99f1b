//! What the simulation and a review have found, in its shortest form.

use crate::gate::{Gate, broadcast, emit, to};
use crate::support::websocket::WebSocket;
use std::time::Duration;
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

#[test]
fn what_waits_for_credit_is_sent_one_frame_at_a_time() {
    let gate = Gate::new(1);
    let link = gate.starved("/");
    let client = gate.joined(&link);
    client.send_all(&[r#"42["a"]"#, r#"42["b"]"#, r#"42["c"]"#]);
    assert_eq!(link.hear(), [""; 0], "the window is used up");
    client.conn.reset();
    for expected in
        [r##"event #0 ["a"]"##, r##"event #0 ["b"]"##, r##"event #0 ["c"]"##, "gone #0 transport close"]
    {
        link.pay();
        assert_eq!(link.hear(), [expected]);
    }
}

#[test]
fn the_shares_of_all_shards_are_not_more_than_the_window() {
    let gate = Gate::new(8);
    let link = gate.greeted(0, 80);
    link.serve(&["/"]);
    let clients: Vec<WebSocket> = (0..8)
        .flat_map(|shard| [shard; 4])
        .map(|shard| {
            let client = WebSocket::open_on(&gate.server, shard);
            client.send("40");
            client
        })
        .collect();
    let heard = link.hear();
    let connects = heard.iter().filter(|line| line.starts_with("connect")).count();
    assert_eq!(connects, 8, "one beyond each share: {heard:?}");
    drop(clients);
}

#[test]
fn what_is_held_for_sockets_that_have_gone_is_counted() {
    let gate = Gate::new(1);
    let link = gate.starved("/");
    let client = gate.joined(&link);
    client.send(r#"42["a"]"#);
    let held = gate.server.stats().backend.held_bytes;
    assert!(held > 0);
    client.conn.reset();
    assert!(gate.server.stats().backend.held_bytes > held, "and DISCONNECTED behind it");
    link.conn.reset();
    assert_eq!(gate.server.stats().backend.held_bytes, 0);
}

#[test]
fn answers_that_wait_for_a_backend_that_dies_do_not_hold_the_client_for_ever() {
    let gate = Gate::with(1, |_, backend| backend.hold_bytes_per_socket = 40);
    let link = gate.starved("/");
    let client = gate.joined(&link);
    link.say(&emit(gate.socket(0), "\"ask\"", Some((1, 0))));
    client.send(r#"430["an answer that is rather long"]"#);
    client.send(r#"42["a"]"#);
    assert_eq!(link.hear(), [""; 0]);
    link.conn.reset();
    let next = gate.serving(&["/"]);
    next.accept(gate.socket(0));
    client.send(r#"42["b"]"#);
    assert_eq!(next.hear(), [r##"event #0 ["a"]"##, r##"event #0 ["b"]"##]);
}

#[test]
fn answers_that_wait_go_to_the_backend_that_asked_also_when_it_leaves() {
    let gate = Gate::new(1);
    let link = gate.starved("/");
    let client = gate.joined(&link);
    let next = gate.serving(&["/"]);
    link.say(&emit(gate.socket(0), "\"ask\"", Some((3, 0))));
    client.send_all(&[r#"42["a"]"#, r#"430["yes"]"#]);
    assert_eq!(link.hear(), ["peers 2"], "without credit, both wait");
    link.say(&FromBackend::Drain);
    assert_eq!(link.hear(), ["peers 1"]);
    for expected in [r##"ack #0 3 ["yes"]"##, "handover #0"] {
        link.pay();
        assert_eq!(link.hear(), [expected]);
    }
    link.say(&FromBackend::Released(gate.socket(0)));
    assert_eq!(link.hear(), ["drained"]);
    next.accept(gate.socket(0));
    assert_eq!(
        next.hear(),
        ["peers 1", "connect #0 session 0 websocket / adopted [] -", r##"event #0 ["a"]"##]
    );
}

#[test]
fn drain_that_is_said_twice_is_heard_once() {
    let gate = Gate::new(1);
    let link = gate.serving(&["/"]);
    let _client = gate.joined(&link);
    link.say_all(&[FromBackend::Drain, FromBackend::Drain]);
    assert_eq!(link.hear(), ["handover #0", "peers 0"]);
}

#[test]
fn a_backend_that_leaves_is_not_dismissed_before_it_has_heard_everything() {
    let gate = Gate::new(1);
    let link = gate.starved("/");
    let client = gate.joined(&link);
    client.send(r#"42["a"]"#);
    client.conn.reset();
    link.say(&FromBackend::Drain);
    assert_eq!(link.hear(), ["peers 0"]);
    link.pay();
    assert_eq!(link.hear(), [r##"event #0 ["a"]"##]);
    link.pay();
    assert_eq!(link.hear(), ["gone #0 transport close", "drained"]);
}

#[test]
fn a_namespace_whose_only_backend_leaves_is_waited_for() {
    for is_dynamic in [false, true] {
        let gate = Gate::new(1);
        let _other = gate.serving(&["/other"]);
        let link = gate.greeted(0, 1 << 20);
        let names: &[&str] = if is_dynamic { &[] } else { &["/"] };
        link.say(&FromBackend::Serve { dynamic: is_dynamic, namespaces: List::from(names) });
        link.say(&FromBackend::Drain);
        let client = WebSocket::open(&gate.server);
        assert_eq!(client.say("40"), [""; 0], "while it leaves");
        link.conn.finish();
        let late = WebSocket::open(&gate.server);
        assert_eq!(late.say("40"), [""; 0], "when it has left");
        let next = gate.serving(&["/"]);
        next.say_all(&[FromBackend::Accept(gate.socket(0)), FromBackend::Accept(gate.socket(1))]);
        assert_eq!(client.take(), [r#"40{"sid":"~"}"#]);
        assert_eq!(late.take(), [r#"40{"sid":"~"}"#]);
    }
}

#[test]
fn an_event_between_backends_that_is_never_answered_is_forgotten() {
    let gate = Gate::new(2);
    let (asker, other) = (gate.serving_on(0, &["/"]), gate.serving_on(1, &["/"]));
    asker.hear();
    asker.say(&FromBackend::ServerEmit { namespace: "/", request: 4, timeout_ms: 100, json: "[1]" });
    assert_eq!(other.hear(), ["server event / [1] token"]);
    gate.server.advance(20_000);
    assert_eq!(asker.hear(), ["responses 4 [] of 1"]);
    assert_eq!(gate.server.stats().backend.questions, 0);
}

#[test]
fn waiting_for_a_long_time_does_not_gather_timers() {
    let gate = Gate::with(1, |options, backend| {
        options.ping_interval = Duration::from_secs(600);
        options.connect_timeout = Duration::from_secs(60);
        backend.hold = Duration::from_secs(1);
    });
    let busy = gate.starved("/busy");
    let mut link = gate.serving(&["/"]);
    let clients: Vec<WebSocket> = (0..3).map(|_| gate.joined(&link)).collect();
    clients[0].send("40/busy,");
    clients[1].send("40/busy,");
    assert_eq!(busy.hear().len(), 2, "it was told of its peer, and asked about one");
    for _ in 0..20 {
        link.conn.reset();
        link = gate.serving(&["/"]);
        (0..3).for_each(|socket| link.accept(gate.socket(socket)));
        gate.server.advance(1_100);
    }
    gate.server.advance(28_000);
    clients[2].send("40/busy,");
    gate.server.advance(20_000);
    assert_eq!(clients[1].take(), ["CLOSE 1005"], "it has waited long enough");
    assert!(gate.server.stats().timers < 12);
}

#[test]
fn all_sockets_of_a_backend_that_dies_find_one_that_takes_one_at_a_time() {
    const SOCKETS: usize = 300;
    let gate = Gate::new(1);
    let link = gate.serving(&["/"]);
    let clients: Vec<WebSocket> = (0..SOCKETS).map(|_| gate.joined(&link)).collect();
    link.conn.reset();
    let next = gate.starved("/");
    for left in (0..SOCKETS).rev() {
        assert_eq!(gate.server.stats().backend.sockets_orphaned, left as u64);
        next.pay();
        next.hear();
    }
    drop(clients);
}

#[test]
fn a_backend_that_takes_no_events_of_others_is_ended_before_they_fill_the_memory() {
    let gate = Gate::new(1);
    let deaf = gate.greeted(0, 1);
    deaf.serve(&["/"]);
    let loud = gate.serving(&["/"]);
    let json = format!("[\"{}\"]", "x".repeat(15 << 20));
    for _ in 0..20 {
        loud.say(&FromBackend::ServerEmit { namespace: "/", request: 0, timeout_ms: 0, json: &json });
    }
    assert!(deaf.conn.is_closed());
    assert_eq!(gate.server.stats().backend.held_bytes, 0);
}

#[test]
fn a_socket_in_more_rooms_than_a_frame_can_name_is_sent_away_when_its_backend_goes() {
    let gate = Gate::new(1);
    let link = gate.serving(&["/"]);
    let client = gate.joined(&link);
    let rooms: Vec<String> = (0..70_000).map(|room| room.to_string()).collect();
    for rooms in rooms.chunks(10_000) {
        link.say(&FromBackend::Join { socket: gate.socket(0), rooms: List::from(rooms) });
    }
    let next = gate.serving(&["/"]);
    next.hear();
    link.conn.reset();
    assert_eq!(client.take(), ["CLOSE 1005"], "it comes back by itself");
    assert_eq!(next.hear(), ["peers 1"]);
}

#[test]
fn a_gateway_that_stops_says_so() {
    let gate = Gate::new(2);
    let links = [gate.serving_on(0, &["/"]), gate.serving_on(1, &["/"])];
    let _client = gate.joined(&links[0]);
    links.iter().for_each(|link| drop(link.hear()));
    gate.server.drain();
    assert_eq!(links[0].hear(), ["gone #0 server shutting down", "refuse 4 the gateway is shutting down"]);
    assert_eq!(links[1].hear().last().unwrap(), "refuse 4 the gateway is shutting down");
    assert!(links.iter().all(|link| link.conn.is_closed()));
}

#[test]
fn credit_for_more_than_was_sent_is_no_credit_for_what_was() {
    let gate = Gate::with(1, |_, backend| backend.redeliver.push("/".to_owned()));
    let link = gate.serving(&["/"]);
    let client = gate.joined(&link);
    client.send(r#"42["a"]"#);
    let next = gate.serving(&["/"]);
    link.hear();
    link.say(&FromBackend::Credit(u32::MAX));
    assert_eq!(link.hear(), ["refuse 5 credit was given for more than was sent"]);
    next.accept(gate.socket(0));
    assert_eq!(next.hear().last().unwrap(), r##"event #0 ["a"] again"##);
}

#[test]
fn a_socket_that_is_declined_while_its_handover_is_on_its_way_goes_to_another() {
    let gate = Gate::new(1);
    let link = gate.serving(&["/"]);
    let client = WebSocket::open(&gate.server);
    client.send("40");
    link.hear();
    let next = gate.serving(&["/"]);
    link.say_all(&[FromBackend::Drain, FromBackend::Decline(gate.socket(0))]);
    assert_eq!(link.hear(), ["peers 2", "handover #0", "peers 1", "drained"]);
    next.accept(gate.socket(0));
    assert_eq!(client.take(), [r#"40{"sid":"~"}"#]);
}
