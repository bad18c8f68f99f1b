//! Clients and the backends that serve them (§4, §5).

use crate::gate::{Gate, Link, broadcast, emit, packet, to};
use crate::support::polling::{Polling, packets};
use crate::support::websocket::WebSocket;
use std::time::Duration;
use tidegate_core::backend::wire::{EmitFlags, FromBackend, List, Packet};
use tidegate_core::socket_io::ArgsRef;

const JOINED: &str = r#"40{"sid":"~"}"#;
const INVALID: &str = r#"44{"message":"Invalid namespace"}"#;
const NOTHING: [&str; 0] = [];

/// How many CONNECTs a link has heard.
fn connects(link: &Link) -> usize {
    link.hear().iter().filter(|line| line.starts_with("connect")).count()
}

// Who is asked.

#[test]
fn a_socket_goes_to_the_backend_with_fewest() {
    let gate = Gate::new(1);
    let links = [gate.serving(&["/"]), gate.serving(&["/"]), gate.serving(&["/"])];
    let clients: Vec<WebSocket> = (0..9).map(|_| WebSocket::open(&gate.server)).collect();
    clients.iter().for_each(|client| client.send("40"));
    assert_eq!(links.each_ref().map(connects), [3, 3, 3]);
    clients[0].conn.reset();
    WebSocket::open(&gate.server).send("40");
    assert_eq!(connects(&links[0]), 1, "what has gone does not count");
}

#[test]
fn with_as_many_everywhere_a_backend_of_the_same_core_is_asked() {
    let gate = Gate::new(3);
    let links = [0, 1, 2].map(|shard| gate.serving_on(shard, &["/"]));
    for shard in [2, 1, 0] {
        WebSocket::open_on(&gate.server, shard).send("40");
        assert_eq!(connects(&links[usize::from(shard)]), 1);
    }
}

#[test]
fn the_sockets_of_a_session_go_to_the_same_backend() {
    let gate = Gate::new(1);
    let links = [gate.serving(&["/", "/a", "/b"]), gate.serving(&["/", "/a", "/b"])];
    let client = WebSocket::open(&gate.server);
    client.send_all(&["40", "40/a,", "40/b,"]);
    let mut heard = links[0].hear();
    heard.retain(|line| line.starts_with("connect"));
    assert_eq!(
        heard,
        [
            "connect #0 session 0 websocket /",
            "connect #1 session 0 websocket /a",
            "connect #2 session 0 websocket /b"
        ]
    );
    assert_eq!(connects(&links[1]), 0);
}

#[test]
fn nothing_is_asked_of_a_backend_that_has_not_said_what_it_serves() {
    let gate = Gate::new(1);
    let link = gate.greeted(0, 1 << 20);
    let client = WebSocket::open(&gate.server);
    assert_eq!(client.say("40"), NOTHING);
    assert_eq!(link.hear(), NOTHING);
    link.serve(&["/"]);
    assert_eq!(link.hear(), ["connect #0 session 0 websocket /", "peers 1"]);
    link.accept(gate.socket(0));
    assert_eq!(client.take(), [JOINED]);
}

#[test]
fn a_connect_waits_for_the_first_backend_no_longer_than_connect_timeout() {
    let gate = Gate::with(1, |options, _| options.connect_timeout = Duration::from_secs(3));
    let client = WebSocket::open(&gate.server);
    assert_eq!(client.say("40"), NOTHING);
    assert_eq!(gate.server.stats().backend.sockets_waiting, 1);
    gate.server.advance(2_999);
    assert_eq!(client.take(), NOTHING);
    gate.server.advance(1);
    assert_eq!(client.take(), ["CLOSE 1005"], "so that it comes back by itself");
    gate.assert_nothing_leaks();
}

#[test]
fn a_second_namespace_waits_as_long_as_the_first() {
    let gate = Gate::with(1, |options, _| options.connect_timeout = Duration::from_secs(3));
    let link = gate.serving(&["/"]);
    let busy = gate.starved("/busy");
    let clients = [gate.joined(&link), gate.joined(&link)];
    clients.iter().for_each(|client| client.send("40/busy,"));
    assert_eq!(connects(&busy), 1);
    gate.server.advance(3_000);
    assert_eq!(clients[0].take(), NOTHING, "a backend may think for as long as it likes");
    assert_eq!(clients[1].take(), ["CLOSE 1005"]);
    assert_eq!(link.hear(), ["gone #1 forced close"]);
}

#[test]
fn connects_beyond_the_limit_do_not_wait() {
    let gate = Gate::with(1, |_, backend| backend.connects_waiting = 2);
    let clients: Vec<WebSocket> = (0..3).map(|_| WebSocket::open(&gate.server)).collect();
    let answers: Vec<Vec<String>> = clients.iter().map(|client| client.say("40")).collect();
    assert_eq!(answers, [vec![], vec![], vec!["CLOSE 1005".to_owned()]]);
    clients[0].conn.reset();
    let late = WebSocket::open(&gate.server);
    assert_eq!(late.say("40"), NOTHING, "there is room again");
}

#[test]
fn a_namespace_that_no_ready_backend_serves_is_invalid() {
    let gate = Gate::new(1);
    let _link = gate.serving(&["/"]);
    let client = WebSocket::open(&gate.server);
    assert_eq!(client.say("40/none,"), [r#"44/none,{"message":"Invalid namespace"}"#]);
}

#[test]
fn a_withdrawn_namespace_is_invalid_and_its_sockets_stay() {
    let gate = Gate::new(1);
    let link = gate.serving(&["/", "/other"]);
    let client = gate.joined(&link);
    link.say(&FromBackend::Withdraw(List::from(["/"].as_slice())));
    let late = WebSocket::open(&gate.server);
    assert_eq!(late.say("40"), [INVALID]);
    client.send(r#"42["a"]"#);
    assert_eq!(link.hear(), [r##"event #0 ["a"]"##]);
    link.serve(&["/"]);
    assert_eq!(late.say("40"), NOTHING);
    assert_eq!(connects(&link), 1);
}

#[test]
fn what_waits_for_credit_of_a_namespace_that_is_withdrawn_is_invalid() {
    let gate = Gate::new(1);
    let _other = gate.serving(&["/other"]);
    let busy = gate.starved("/");
    let clients = [WebSocket::open(&gate.server), WebSocket::open(&gate.server)];
    clients.iter().for_each(|client| client.send("40"));
    assert_eq!(connects(&busy), 1);
    busy.say(&FromBackend::Withdraw(List::from(["/"].as_slice())));
    assert_eq!(clients[0].take(), NOTHING);
    assert_eq!(clients[1].take(), [INVALID]);
}

#[test]
fn who_declines_is_not_asked_again_and_when_all_have_the_namespace_is_invalid() {
    let gate = Gate::new(2);
    let serve = |dynamic| FromBackend::Serve { dynamic, namespaces: List::EMPTY };
    let links: Vec<Link> = (0..3).map(|shard| gate.greeted(shard % 2, 1 << 20)).collect();
    links.iter().for_each(|link| link.say(&serve(true)));
    let client = WebSocket::open(&gate.server);
    client.send("40/room-7,");
    let mut asked = Vec::new();
    for _ in 0..3 {
        let place = links.iter().position(|link| connects(link) == 1).expect("one is asked");
        asked.push(place);
        assert_eq!(client.take(), NOTHING);
        links[place].say(&FromBackend::Decline(gate.socket(0)));
    }
    asked.sort_unstable();
    assert_eq!(asked, [0, 1, 2]);
    assert_eq!(client.take(), [r#"44/room-7,{"message":"Invalid namespace"}"#]);
    // Each SERVE sets the flag anew.
    links.iter().for_each(|link| link.say(&serve(false)));
    assert_eq!(client.say("40/room-7,"), [r#"44/room-7,{"message":"Invalid namespace"}"#]);
    gate.assert_nothing_leaks();
}

// The answer.

#[test]
fn a_client_is_rejected_in_the_words_of_the_backend() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let link = gate.serving(&["/"]);
        let client = WebSocket::open_on(&gate.server, shard);
        client.send("40");
        link.hear();
        let data = Some("{\"code\":401}");
        link.say(&FromBackend::Reject { socket: gate.socket(0), message: "no \"you\"", data });
        assert_eq!(client.take(), [r#"44{"message":"no \"you\"","data":{"code":401}}"#]);
        link.accept(gate.socket(0));
        assert_eq!((client.take(), link.hear()), (vec![], vec![]), "the first answer counts");
        client.send("40");
        assert_eq!(connects(&link), 1, "it may ask again");
    }
}

#[test]
fn a_socket_can_be_talked_to_and_join_rooms_before_it_is_let_in() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let link = gate.serving(&["/"]);
        let client = WebSocket::open_on(&gate.server, shard);
        client.send("40");
        link.hear();
        let socket = gate.socket(0);
        link.say_all(&[
            emit(socket, "\"early\"", None),
            FromBackend::Join { socket, rooms: List::from(["a"].as_slice()) },
            broadcast(to("/", &["a"]), "\"nobody is in\""),
            FromBackend::Accept(socket),
            broadcast(to("/", &["a"]), "\"here\""),
        ]);
        assert_eq!(client.take(), [r#"42["early"]"#, JOINED, r#"42["here"]"#]);
    }
}

#[test]
fn who_leaves_before_the_answer_is_reported_as_gone() {
    let gate = Gate::new(2);
    let link = gate.serving(&["/"]);
    let client = WebSocket::open_on(&gate.server, 1);
    client.send("40");
    link.hear();
    client.conn.reset();
    assert_eq!(link.hear(), ["gone #0 transport close"]);
    link.accept(gate.socket(0));
    assert_eq!(link.hear(), NOTHING);
    gate.assert_nothing_leaks();
}

// Events and answers.

#[test]
fn events_come_in_order_with_their_attachments_and_the_number_to_answer_with() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let link = gate.serving(&["/"]);
        let client = gate.joined_on(shard, &link);
        client.send_all(&[r#"42["a",1,{"b": 2}]"#, r#"451-7["file",{"_placeholder":true,"num":0}]"#]);
        client.send("<0102>");
        assert_eq!(
            link.hear(),
            [
                r##"event #0 ["a",1,{"b": 2}]"##,
                r##"event #0 ["file",{"_placeholder":true,"num":0}] +1 ack 7"##
            ]
        );
        let answer = Packet::from_arguments(ArgsRef::trusted("\"got it\",1", &[]));
        link.say(&FromBackend::Ack { socket: gate.socket(0), ack: 7, packet: answer });
        assert_eq!(client.take(), [r#"437["got it",1]"#]);
    }
}

#[test]
fn the_answer_of_a_client_comes_under_the_number_of_the_backend_and_once() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let link = gate.serving(&["/"]);
        let client = gate.joined_on(shard, &link);
        link.say(&emit(gate.socket(0), "\"ask\"", Some((u64::MAX, 0))));
        assert_eq!(client.take(), [r#"420["ask"]"#]);
        client.send_all(&[r#"430["yes",2]"#, r#"430["again"]"#]);
        assert_eq!(link.hear(), [format!("ack #0 {} [\"yes\",2]", u64::MAX)]);
        link.say(&emit(gate.socket(0), "\"ask\"", Some((5, 100))));
        client.take();
        gate.server.advance(100);
        client.send(r#"431["too late"]"#);
        assert_eq!(link.hear(), NOTHING);
        assert_eq!(gate.server.stats().backend.questions, 0);
    }
}

#[test]
fn a_question_to_a_socket_that_is_not_there_is_forgotten() {
    let gate = Gate::new(2);
    let link = gate.serving(&["/"]);
    let client = gate.joined_on(1, &link);
    client.conn.reset();
    link.hear();
    link.say(&emit(gate.socket(0), "\"ask\"", Some((1, 0))));
    gate.server.advance(10_000);
    assert_eq!((link.hear(), gate.server.stats().backend.questions), (vec![], 0));
}

#[test]
fn a_broadcast_with_acks_is_answered_from_all_shards_and_then_done() {
    let gate = Gate::new(3);
    let link = gate.serving(&["/"]);
    let clients: Vec<WebSocket> = [0, 1, 1, 2].map(|shard| gate.joined_on(shard, &link)).into();
    let ask = |request| FromBackend::Broadcast {
        flags: EmitFlags { ack: true, ..EmitFlags::default() },
        selector: to("/", &[]),
        request,
        timeout_ms: 500,
        packet: packet("\"ask\""),
    };
    link.say(&ask(8));
    for (number, client) in clients.iter().enumerate() {
        let asked = client.take();
        let ack = asked[0].strip_prefix("42").unwrap().split('[').next().unwrap();
        client.send(&format!("43{ack}[{number},\"and more\"]"));
    }
    let mut heard = link.hear();
    assert_eq!(heard.pop().unwrap(), "answered 8 late: false");
    heard.sort();
    assert_eq!(heard, ["answer 8 [0]", "answer 8 [1]", "answer 8 [2]", "answer 8 [3]", "asked 8 of 4"]);
    link.say(&ask(9));
    assert_eq!(link.hear(), ["asked 9 of 4"]);
    gate.server.advance(500);
    assert_eq!(link.hear(), ["answered 9 late: true"]);
    assert_eq!(gate.server.stats().backend.questions, 0);
}

#[test]
fn nobody_to_ask_is_said_at_once() {
    let gate = Gate::new(2);
    let link = gate.serving(&["/"]);
    let flags = EmitFlags { ack: true, ..EmitFlags::default() };
    let selector = to("/", &["empty"]);
    let packet = packet("\"ask\"");
    link.say(&FromBackend::Broadcast { flags, selector, request: 1, timeout_ms: 500, packet });
    assert_eq!(link.hear(), ["asked 1 of 0", "answered 1 late: false"]);
}

// Rooms, data, sessions.

#[test]
fn what_one_backend_says_of_rooms_and_sockets_reaches_those_of_others_in_order() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let (owner, other) = (gate.serving(&["/"]), gate.serving_on(1, &["/other"]));
        let client = gate.joined_on(shard, &owner);
        let socket = gate.socket(0);
        let rooms = ["a", "b"];
        other.say_all(&[
            FromBackend::Join { socket, rooms: List::from(rooms.as_slice()) },
            broadcast(to("/", &["a"]), "\"1\""),
            FromBackend::Leave { socket, rooms: List::from(["a"].as_slice()) },
            broadcast(to("/", &["a"]), "\"2\""),
            broadcast(to("/", &["a", "b"]), "\"3\""),
            FromBackend::SocketsJoin { selector: to("/", &["b"]), rooms: List::from(["c"].as_slice()) },
            broadcast(to("/", &["c"]), "\"4\""),
            FromBackend::SocketsLeave { selector: to("/", &[]), rooms: List::from(["b", "c"].as_slice()) },
            broadcast(to("/", &["b", "c"]), "\"5\""),
            emit(socket, "\"6\"", None),
        ]);
        assert_eq!(client.take(), [r#"42["1"]"#, r#"42["3"]"#, r#"42["4"]"#, r#"42["6"]"#]);
    }
}

#[test]
fn sockets_are_fetched_from_all_shards_with_rooms_and_data() {
    let gate = Gate::new(2);
    let link = gate.serving(&["/"]);
    let _clients = [0, 1].map(|shard| gate.joined_on(shard, &link));
    link.say_all(&[
        FromBackend::Join { socket: gate.socket(1), rooms: List::from(["a"].as_slice()) },
        FromBackend::Data { socket: gate.socket(1), json: "{\"n\":1}" },
        FromBackend::Data { socket: gate.socket(1), json: "{\"n\":2}" },
        FromBackend::Fetch { request: 3, selector: to("/", &[]) },
    ]);
    assert_eq!(link.hear(), [r#"fetched 3 #0 [] - #1 ["a"] {"n":2}, the last"#]);
    link.say(&FromBackend::Fetch { request: 4, selector: to("/nobody", &[]) });
    assert_eq!(link.hear(), ["fetched 4, the last"]);
}

#[test]
fn a_long_answer_to_fetch_comes_in_parts() {
    let gate = Gate::new(1);
    let link = gate.serving(&["/"]);
    let data = format!("\"{}\"", "x".repeat(64 * 1024 - 2));
    let _clients: Vec<WebSocket> = (0..10)
        .map(|place| {
            let client = gate.joined(&link);
            link.say(&FromBackend::Data { socket: gate.socket(place), json: &data });
            client
        })
        .collect();
    link.say(&FromBackend::Fetch { request: 3, selector: to("/", &[]) });
    let parts = link.hear();
    assert_eq!(parts.len(), 4, "three of them fit into 256 KiB");
    let sockets: usize = parts.iter().map(|part| part.matches('#').count()).sum();
    assert_eq!(sockets, 10);
    let lasts: Vec<bool> = parts.iter().map(|part| part.ends_with("the last")).collect();
    assert_eq!(lasts, [false, false, false, true]);
}

#[test]
fn a_disconnect_is_told_to_the_client_and_to_the_backend() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let link = gate.serving(&["/", "/a"]);
        let client = gate.joined_on(shard, &link);
        client.send("40/a,");
        link.hear();
        link.accept(gate.socket(1));
        client.take();
        link.say(&FromBackend::Disconnect(gate.socket(1)));
        assert_eq!(client.take(), ["41/a,"]);
        assert_eq!(link.hear(), ["gone #1 server namespace disconnect"]);
        client.send("41");
        assert_eq!(link.hear(), ["gone #0 client namespace disconnect"]);
    }
}

#[test]
fn close_ends_the_session_without_a_word() {
    for shard in [0, 1] {
        let gate = Gate::new(2);
        let link = gate.serving(&["/", "/a"]);
        let client = gate.joined_on(shard, &link);
        client.send("40/a,");
        link.hear();
        link.accept(gate.socket(1));
        client.take();
        link.say(&FromBackend::Close(gate.session(0)));
        assert_eq!(client.take(), ["CLOSE 1005"]);
        assert_eq!(link.hear(), ["gone #0 forced close", "gone #1 forced close"]);
    }
}

#[test]
fn sockets_of_a_selector_are_disconnected_and_their_backends_told() {
    let gate = Gate::new(2);
    let (owner, other) = (gate.serving(&["/"]), gate.serving_on(1, &["/other"]));
    let clients = [0, 1].map(|shard| gate.joined_on(shard, &owner));
    other.say(&FromBackend::DisconnectSockets { selector: to("/", &[]), close: false });
    assert!(clients.iter().all(|client| client.take() == ["41"]));
    let mut heard = owner.hear();
    heard.sort();
    assert_eq!(heard[..2], ["gone #0 server namespace disconnect", "gone #1 server namespace disconnect"]);
}

#[test]
fn an_upgrade_is_told_to_every_backend_of_the_session() {
    let gate = Gate::new(2);
    let (link, other) = (gate.serving(&["/"]), gate.serving(&["/other"]));
    let client = Polling::open_at(&gate.server, crate::support::polling::HANDSHAKE, 1);
    client.post("40\u{1e}40/other,");
    let connect = link.hear().pop().unwrap();
    assert_eq!(connect, "connect #0 session 0 polling /");
    other.hear();
    link.accept(gate.socket(0));
    other.accept(gate.socket(1));
    assert_eq!(packets(&client.get()).len(), 2);
    let websocket = WebSocket::upgrade(&gate.server, &client.sid, 0);
    websocket.send_all(&["2probe", "5", r#"42["a"]"#]);
    assert_eq!(link.hear(), ["transport session 0 websocket", r##"event #0 ["a"]"##]);
    assert_eq!(other.hear(), ["transport session 0 websocket"]);
}

#[test]
fn how_a_session_ended_is_told_for_each_of_its_sockets() {
    let gate = Gate::with(1, |options, _| {
        (options.ping_interval, options.ping_timeout) = (Duration::from_secs(1), Duration::from_secs(1));
    });
    let link = gate.serving(&["/"]);
    type End<'a> = &'a dyn Fn(&WebSocket);
    let ends: [(&str, End<'_>); 4] = [
        ("transport close", &|client| client.conn.reset()),
        ("transport close", &|client| client.send("1")),
        ("forced close", &|client| client.send("4not a packet")),
        ("ping timeout", &|_| gate.server.advance(2_000)),
    ];
    for (place, (reason, end)) in ends.into_iter().enumerate() {
        let client = gate.joined(&link);
        end(&client);
        assert_eq!(link.hear(), [format!("gone #{place} {reason}")]);
    }
}
