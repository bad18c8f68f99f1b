//! Backends that crash, and backends that leave politely (§6, §7).

use crate::gate::{Gate, Link, emit, to};
use crate::support::polling::Polling;
use crate::support::websocket::WebSocket;
use std::time::Duration;
use tidegate_core::backend::wire::{FromBackend, List};
use tidegate_core::shard::app::SocketKey;

const NOTHING: [&str; 0] = [];

/// Puts a socket into rooms, and gives it data.
fn furnish(link: &Link, socket: SocketKey) {
    link.say_all(&[
        FromBackend::Join { socket, rooms: List::from(["a", "b", "c"].as_slice()) },
        FromBackend::Leave { socket, rooms: List::from(["b"].as_slice()) },
        FromBackend::Data { socket, json: "[1]" },
        FromBackend::Data { socket, json: "[2]" },
    ]);
}

#[test]
fn another_backend_adopts_at_once_and_the_client_does_not_notice() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let (link, next) = (gate.serving(&["/"]), gate.serving_on(1, &["/other"]));
        let client = gate.joined_on(shard, &link);
        furnish(&link, gate.socket(0));
        next.serve(&["/"]);
        next.hear();
        link.conn.reset();
        assert_eq!(next.hear(), [r#"connect #0 session 0 websocket / adopted ["a", "c"] [2]"#, "peers 1"]);
        client.send(r#"42["while nobody has it"]"#);
        assert_eq!(next.hear(), NOTHING);
        next.accept(gate.socket(0));
        assert_eq!(next.hear(), [r##"event #0 ["while nobody has it"]"##]);
        next.emit(gate.socket(0), "\"hello again\"");
        assert_eq!(client.take(), [r#"42["hello again"]"#]);
    }
}

#[test]
fn the_first_backend_within_the_hold_adopts() {
    let gate = Gate::with(2, |options, backend| {
        options.ping_interval = Duration::from_secs(600);
        backend.hold = Duration::from_secs(30);
    });
    let link = gate.serving(&["/"]);
    let client = gate.joined_on(1, &link);
    link.conn.finish();
    client.send_all(&[r#"42["a"]"#, r#"427["b"]"#]);
    assert_eq!(gate.server.stats().backend.sockets_orphaned, 1);
    gate.server.advance(29_999);
    assert_eq!(client.take(), NOTHING);
    let next = gate.serving_on(1, &["/"]);
    next.accept(gate.socket(0));
    assert_eq!(next.hear(), [r##"event #0 ["a"]"##, r##"event #0 ["b"] ack 7"##]);
    gate.server.advance(60_000);
    assert_eq!(client.take(), NOTHING);
    gate.assert_nothing_leaks();
}

#[test]
fn when_the_hold_expires_the_session_is_closed_so_that_the_client_comes_back() {
    for shard in [0, 1] {
        let gate = Gate::with(2, |_, backend| backend.hold = Duration::from_secs(5));
        let (link, other) = (gate.serving(&["/"]), gate.serving(&["/other"]));
        let client = gate.joined_on(shard, &link);
        client.send("40/other,");
        other.hear();
        other.accept(gate.socket(1));
        client.take();
        link.conn.reset();
        other.hear();
        gate.server.advance(4_999);
        assert_eq!((client.take(), other.hear()), (vec![], vec![]));
        gate.server.advance(1);
        assert_eq!(client.take(), ["CLOSE 1005"]);
        assert_eq!(other.hear(), ["gone #1 forced close"]);
        gate.assert_nothing_leaks();
    }
}

#[test]
fn sessions_live_on_with_their_heartbeats_while_their_backend_is_away() {
    let gate = Gate::with(1, |options, backend| {
        (options.ping_interval, options.ping_timeout) = (Duration::from_secs(1), Duration::from_secs(1));
        backend.hold_bytes_per_socket = 10;
    });
    let link = gate.serving(&["/"]);
    let client = gate.joined(&link);
    let poller = Polling::open(&gate.server);
    poller.post("40");
    link.hear();
    link.accept(gate.socket(1));
    poller.poll();
    link.conn.reset();
    let held = poller.start(crate::support::http::post(&poller.target, r#"42["poll"]"#));
    client.send(r#"42["a"]"#);
    client.send(r#"42["not read"]"#);
    for _ in 0..20 {
        gate.server.advance(1_000);
        assert!(client.take().iter().all(|packet| packet == "2"));
        client.send("3");
        let poll = poller.get();
        gate.server.advance(0);
        if poll.is_silent() {
            gate.server.advance(1_000);
        }
        assert!(poller_is_pinged(&poll));
    }
    assert!(held.is_silent(), "a POST is not answered while it is held");
    let next = gate.serving(&["/"]);
    next.accept(gate.socket(0));
    next.accept(gate.socket(1));
    let mut heard = next.hear();
    heard.retain(|line| line.starts_with("event"));
    heard.sort();
    assert_eq!(heard, [r##"event #0 ["a"]"##, r##"event #0 ["not read"]"##, r##"event #1 ["poll"]"##]);
    assert_eq!(held.response().summary(), "200 ok");
}

fn poller_is_pinged(poll: &crate::support::Conn) -> bool {
    crate::support::polling::packets(poll).iter().all(|packet| packet == "2")
}

#[test]
fn events_without_credit_are_lost_or_redelivered_as_the_namespace_wants() {
    for redeliver in [false, true] {
        for shard in [0, 1] {
            let gate = Gate::with(2, |_, backend| {
                backend.redeliver.extend(redeliver.then(|| "/".to_owned()));
            });
            let link = gate.serving(&["/"]);
            let client = gate.joined_on(shard, &link);
            client.send(r#"42["processed"]"#);
            link.hear();
            link.pay();
            client.send(r#"42["read"]"#);
            link.hear();
            client.send(r#"424["on its way"]"#);
            let next = gate.serving_on(1, &["/"]);
            next.hear();
            link.conn.reset();
            client.send(r#"42["held"]"#);
            next.hear();
            next.accept(gate.socket(0));
            let again = [r##"event #0 ["read"] again"##, r##"event #0 ["on its way"] ack 4 again"##];
            let held = r##"event #0 ["held"]"##;
            let expected: Vec<&str> = again.into_iter().filter(|_| redeliver).chain([held]).collect();
            assert_eq!(next.hear(), expected);
            let redelivered = gate.server.stats().backend.redelivered_total;
            assert_eq!(redelivered, if redeliver { 2 } else { 0 });
        }
    }
}

#[test]
fn what_is_redelivered_twice_is_still_in_order() {
    let gate = Gate::with(1, |_, backend| backend.redeliver.push("*".to_owned()));
    let mut link = gate.serving(&["/"]);
    let client = gate.joined(&link);
    for round in 0..3 {
        client.send(&format!(r#"42["{round}"]"#));
        link.conn.reset();
        link = gate.serving(&["/"]);
        link.accept(gate.socket(0));
    }
    let mut heard = link.hear();
    heard.retain(|line| line.starts_with("event"));
    assert_eq!(heard, [0, 1, 2].map(|round| format!(r##"event #0 ["{round}"] again"##)));
}

#[test]
fn answers_that_the_dead_backend_waited_for_are_for_nobody() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let link = gate.serving(&["/"]);
        let client = gate.joined_on(shard, &link);
        link.say(&emit(gate.socket(0), "\"ask\"", Some((7, 0))));
        link.conn.reset();
        let next = gate.serving(&["/"]);
        next.accept(gate.socket(0));
        next.hear();
        next.say(&emit(gate.socket(0), "\"ask\"", Some((7, 0))));
        client.take();
        client.send_all(&[r#"430["for the dead"]"#, r#"431["for the living"]"#]);
        assert_eq!(next.hear(), [r##"ack #0 7 ["for the living"]"##]);
    }
}

#[test]
fn an_adopter_that_rejects_has_the_client_disconnected() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let link = gate.serving(&["/"]);
        let client = gate.joined_on(shard, &link);
        let next = gate.serving(&["/"]);
        next.hear();
        link.conn.reset();
        next.hear();
        next.say(&FromBackend::Reject { socket: gate.socket(0), message: "who are you?", data: None });
        assert_eq!(client.take(), ["41"]);
        gate.assert_nothing_leaks();
    }
}

#[test]
fn an_adopter_that_declines_leaves_the_socket_to_another_or_to_time() {
    let gate = Gate::with(1, |_, backend| backend.hold = Duration::from_secs(5));
    let link = gate.serving(&["/"]);
    let client = gate.joined(&link);
    let (second, third) = (gate.serving(&["/"]), gate.serving(&["/"]));
    link.conn.reset();
    second.hear();
    second.say(&FromBackend::Decline(gate.socket(0)));
    assert!(third.hear().contains(&"connect #0 session 0 websocket / adopted [] -".to_owned()));
    third.say(&FromBackend::Decline(gate.socket(0)));
    gate.server.advance(4_999);
    assert_eq!((client.take(), second.hear()), (vec![], vec![]));
    let fourth = gate.serving(&["/"]);
    assert_eq!(fourth.hear(), NOTHING, "it was told when it said what it serves");
    fourth.accept(gate.socket(0));
    client.send(r#"42["a"]"#);
    assert_eq!(fourth.hear(), [r##"event #0 ["a"]"##]);
}

#[test]
fn a_connect_that_a_backend_took_with_it_is_asked_of_another() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let link = gate.serving(&["/"]);
        let client = WebSocket::open_on(&gate.server, shard);
        client.send("40");
        link.hear();
        link.conn.reset();
        let next = gate.serving(&["/"]);
        next.accept(gate.socket(0));
        assert_eq!(client.take(), [r#"40{"sid":"~"}"#]);
    }
}

#[test]
fn a_backend_that_leaves_is_asked_to_hand_over_and_nothing_is_lost() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let (link, next) = (gate.serving(&["/"]), gate.serving_on(1, &["/other"]));
        let client = gate.joined_on(shard, &link);
        next.serve(&["/"]);
        next.hear();
        client.send(r#"42["before"]"#);
        link.say(&FromBackend::Drain);
        client.send(r#"42["behind"]"#);
        assert_eq!(
            link.hear().iter().filter(|line| !line.starts_with("peers")).collect::<Vec<_>>(),
            [r##"event #0 ["before"]"##, "handover #0"]
        );
        link.emit(gate.socket(0), "\"last words\"");
        assert_eq!(client.take(), [r#"42["last words"]"#]);
        furnish(&link, gate.socket(0));
        link.say(&FromBackend::Released(gate.socket(0)));
        assert_eq!(link.hear(), ["drained"]);
        assert_eq!(next.hear(), ["peers 1", r#"connect #0 session 0 websocket / adopted ["a", "c"] [2]"#]);
        next.accept(gate.socket(0));
        assert_eq!(next.hear(), [r##"event #0 ["behind"]"##]);
        link.conn.finish();
        assert_eq!((client.take(), next.hear()), (vec![], vec![]));
        gate.assert_nothing_leaks();
    }
}

#[test]
fn a_backend_that_leaves_gets_no_new_sockets_and_may_leave_at_once_without_any() {
    let gate = Gate::new(2);
    let (link, next) = (gate.serving(&["/"]), gate.serving_on(1, &["/"]));
    link.hear();
    link.say(&FromBackend::Drain);
    let mut heard = link.hear();
    heard.sort();
    assert_eq!(heard, ["drained", "peers 1"]);
    link.serve(&["/", "/more"]);
    WebSocket::open(&gate.server).send("40");
    assert_eq!(link.hear(), NOTHING);
    assert!(next.hear().contains(&"connect #0 session 0 websocket /".to_owned()));
}

#[test]
fn a_connect_that_is_handed_over_is_asked_anew_unless_it_was_answered() {
    for answer in [false, true] {
        let gate = Gate::new(1);
        let link = gate.serving(&["/"]);
        let client = WebSocket::open(&gate.server);
        client.send("40");
        link.hear();
        let next = gate.serving(&["/"]);
        link.say(&FromBackend::Drain);
        assert!(link.hear().contains(&"handover #0".to_owned()));
        if answer {
            link.accept(gate.socket(0));
            assert_eq!(client.take(), [r#"40{"sid":"~"}"#]);
        }
        link.say(&FromBackend::Released(gate.socket(0)));
        let adopted = if answer { " adopted [] -" } else { "" };
        assert_eq!(next.hear().pop().unwrap(), format!("connect #0 session 0 websocket /{adopted}"));
        next.accept(gate.socket(0));
        assert_eq!(client.take().len(), usize::from(!answer), "it is let in once");
    }
}

#[test]
fn a_client_that_leaves_while_it_is_handed_over_is_reported_to_the_one_that_leaves() {
    let gate = Gate::new(1);
    let link = gate.serving(&["/"]);
    let client = gate.joined(&link);
    link.say(&FromBackend::Drain);
    link.hear();
    client.conn.reset();
    assert_eq!(link.hear(), ["gone #0 transport close", "drained"]);
    link.say(&FromBackend::Released(gate.socket(0)));
    assert_eq!(link.hear(), NOTHING);
}

#[test]
fn a_backend_that_dies_while_it_leaves_is_followed_all_the_same() {
    let gate = Gate::with(1, |_, backend| backend.redeliver.push("/".to_owned()));
    let link = gate.serving(&["/"]);
    let client = gate.joined(&link);
    client.send(r#"42["unprocessed"]"#);
    link.say(&FromBackend::Drain);
    client.send(r#"42["held"]"#);
    link.conn.reset();
    let next = gate.serving(&["/"]);
    next.accept(gate.socket(0));
    assert_eq!(next.hear(), [r##"event #0 ["unprocessed"] again"##, r##"event #0 ["held"]"##]);
}

// Between backends.

#[test]
fn peers_are_those_that_are_ready() {
    let gate = Gate::new(2);
    let first = gate.serving_on(0, &["/"]);
    let second = gate.greeted(1, 1000);
    assert_eq!(first.hear(), NOTHING);
    second.serve(&[]);
    assert_eq!((first.hear(), second.hear()), (vec!["peers 2".to_owned()], vec!["peers 2".to_owned()]));
    second.serve(&["/"]);
    assert_eq!(first.hear(), NOTHING, "nothing has changed");
    second.conn.reset();
    assert_eq!(first.hear(), ["peers 1"]);
}

/// A question of the first to all others, and no answer yet.
fn asking(shards: [u16; 3]) -> (Gate, [Link; 3]) {
    let gate = Gate::new(2);
    let links = shards.map(|shard| gate.serving_on(shard, &["/"]));
    links.iter().for_each(|link| drop(link.hear()));
    let frame = FromBackend::ServerEmit { namespace: "/", request: 5, timeout_ms: 0, json: "[\"q\"]" };
    links[0].say(&frame);
    assert_eq!(links[0].hear(), NOTHING);
    for link in &links[1..] {
        assert_eq!(link.hear(), ["server event / [\"q\"] token"]);
    }
    (gate, links)
}

#[test]
fn an_event_for_other_backends_is_answered_when_all_have() {
    let gate = Gate::new(2);
    let (asker, other) = (gate.serving(&["/"]), gate.serving_on(1, &["/"]));
    let elsewhere = gate.serving_on(1, &["/elsewhere"]);
    [&asker, &other, &elsewhere].iter().for_each(|link| drop(link.hear()));
    let frame = |request| FromBackend::ServerEmit { namespace: "/", request, timeout_ms: 0, json: "[1]" };
    asker.say(&frame(0));
    assert_eq!(other.hear(), ["server event / [1]"]);
    asker.say(&frame(6));
    assert_eq!(other.hear(), ["server event / [1] token"]);
    assert_eq!((asker.hear(), elsewhere.hear()), (vec![], vec![]));
    other.say(&FromBackend::ServerAck { token: other.token(), json: "\"done\"" });
    assert_eq!(asker.hear(), [r#"responses 6 ["\"done\""] of 1"#]);
    other.say(&FromBackend::ServerAck { token: other.token(), json: "\"again\"" });
    assert_eq!(asker.hear(), NOTHING);
    elsewhere.say(&FromBackend::ServerEmit {
        namespace: "/elsewhere",
        request: 1,
        timeout_ms: 0,
        json: "[]",
    });
    assert_eq!(elsewhere.hear(), ["responses 1 [] of 0"], "nobody else serves it");
}

#[test]
fn a_backend_that_dies_is_not_waited_for() {
    for shards in [[0, 0, 0], [0, 1, 1], [1, 0, 1]] {
        let (_gate, links) = asking(shards);
        let token = links[1].token();
        links[1].say(&FromBackend::ServerAck { token, json: "1" });
        assert_eq!(links[0].hear(), NOTHING);
        links[2].conn.reset();
        let mut heard = links[0].hear();
        heard.retain(|line| !line.starts_with("peers"));
        assert_eq!(heard, [r#"responses 5 ["1"] of 2"#]);
    }
}

#[test]
fn who_does_not_answer_in_time_is_not_waited_for() {
    let (gate, links) = asking([0, 1, 0]);
    let token = links[2].token();
    links[2].say(&FromBackend::ServerAck { token, json: "2" });
    gate.server.advance(4_999);
    assert_eq!(links[0].hear(), NOTHING);
    gate.server.advance(1);
    assert_eq!(links[0].hear(), [r#"responses 5 ["2"] of 2"#]);
    links[1].say(&FromBackend::ServerAck { token: links[1].token(), json: "1" });
    assert_eq!(links[0].hear(), NOTHING, "too late");
}

#[test]
fn only_who_was_asked_may_answer() {
    let (_gate, links) = asking([0, 0, 0]);
    let token = links[1].token();
    links[0].say(&FromBackend::ServerAck { token, json: "0" });
    links[2].say(&FromBackend::ServerAck { token, json: "2" });
    assert_eq!(links[0].hear(), NOTHING);
    links[2].say(&FromBackend::Fetch { request: 1, selector: to("/", &[]) });
    assert_eq!(links[2].hear(), ["fetched 1, the last"], "a wrong token is no mistake: it may be old");
}
