//! A backend goes without a word: its clients stay, and what they say waits for the next one.

use super::client::{Client, End, Kind};
use super::fake::{Backend, Connect, Told, next_of, number};
use super::rig::{Plan, within};
use std::collections::BTreeMap;
use tidegate_core::backend::wire::FromBackend;
use tidegate_core::shard::app::SocketKey;

const KINDS: [Kind; 2] = [Kind::WebSocket, Kind::Polling];

/// Clients of both kinds, let in by whoever is asked: what each backend was told of them.
fn crowd(url: &str, count: usize, backends: &mut [Backend]) -> Vec<(Client, usize, Connect)> {
    let join = |index: usize| {
        let client = Client::ask(url, KINDS[index % 2], "/");
        let (owner, Told::Connect(connect)) = next_of(backends) else { panic!("not a CONNECT") };
        let socket = connect.socket;
        let room = if index.is_multiple_of(3) { "third" } else { "other" };
        let data = format!(r#"{{"index":{index}}}"#);
        backends[owner].say(&[
            FromBackend::Accept(socket),
            FromBackend::Join { socket, rooms: [room, "all"][..].into() },
            FromBackend::Data { socket, json: "\"early\"" },
            FromBackend::Data { socket, json: &data },
        ]);
        let client = client.joined();
        assert_eq!(client.id, connect.id);
        (client, owner, connect)
    };
    (0..count).map(join).collect()
}

/// What an adopter is told of client `index` must be what the first backend was told, and what that has said.
fn is_same(index: usize, before: &Connect, after: &Connect) {
    let (mut rooms, data) = after.adopted.clone().expect("the client is in");
    rooms.sort_unstable();
    let mut expected =
        vec!["all".to_owned(), if index.is_multiple_of(3) { "third" } else { "other" }.to_owned()];
    expected.sort_unstable();
    assert_eq!((rooms, data), (expected, Some(format!(r#"{{"index":{index}}}"#))));
    assert_eq!(&Connect { adopted: None, ..after.clone() }, before);
}

#[test]
fn when_no_backend_returns_in_time_transports_are_closed_and_nothing_is_left() {
    within(30, || {
        for plan in [Plan::cores(1), Plan::cores(2), Plan::cores(1).on_epoll()] {
            let mut rig = plan.with("backend.hold", "1s").start();
            let mut backend = [Backend::serve(&rig.path, &["/"])];
            let mut crowd = crowd(rig.url(), 6, &mut backend);
            drop(backend);
            rig.wait_for_metrics(&[("tidegate_backend_sockets_orphaned", 6.0)]);
            for (client, ..) in &mut crowd {
                client.emit(1);
            }
            for (client, ..) in &mut crowd {
                let polls = client.is_polling();
                // Not a packet of Socket.IO: stock clients connect again only if they are not told to leave.
                let end = if polls { End::ClosePacket } else { End::CloseFrame };
                assert_eq!(client.ended(), (Vec::new(), end));
            }
            drop(crowd);
            rig.wait_for_metrics(&[
                ("tidegate_backend_holds_expired_total", 6.0),
                ("tidegate_backend_sockets_orphaned", 0.0),
                ("tidegate_backend_held_bytes", 0.0),
                ("tidegate_backend_events_dropped_total", 6.0),
                ("tidegate_sockets", 0.0),
                ("tidegate_sessions", 0.0),
                ("tidegate_connections", 0.0),
                ("tidegate_outbox_bytes", 0.0),
            ]);
            rig.stop();
        }
    });
}

/// Kills one of `count` backends, and lets the others, or a new one, take its sockets over.
fn kill_one_of(count: usize, plan: &Plan) {
    let mut rig = plan.start();
    let mut backends: Vec<_> = (0..count).map(|_| Backend::serve(&rig.path, &["/"])).collect();
    let mut crowd = crowd(rig.url(), 12, &mut backends);
    let mut owners: Vec<usize> = crowd.iter().map(|(_, owner, _)| *owner).collect();
    for (client, owner, connect) in &mut crowd {
        (1..=3).for_each(|number| client.emit(number));
        (1..=3).for_each(|number| assert_eq!(backends[*owner].event(connect.socket), number));
    }

    drop(backends.remove(0));
    let orphans: Vec<usize> = (0..crowd.len()).filter(|index| owners[*index] == 0).collect();
    assert_eq!(orphans.len(), 12 / count);
    owners.iter_mut().for_each(|owner| *owner = owner.wrapping_sub(1));
    if count == 1 {
        rig.wait_for_metrics(&[("tidegate_backend_links", 0.0), ("tidegate_backend_sockets_orphaned", 12.0)]);
        orphans.iter().for_each(|index| crowd[*index].0.emit(4));
        backends.push(Backend::serve(&rig.path, &["/"]));
    }
    let by_socket: BTreeMap<SocketKey, usize> =
        crowd.iter().enumerate().map(|(index, (.., connect))| (connect.socket, index)).collect();
    let mut heard: BTreeMap<SocketKey, Vec<u64>> = BTreeMap::new();
    while heard.len() < orphans.len() {
        let (owner, Told::Connect(connect)) = next_of(&mut backends) else { panic!("not a CONNECT") };
        let index = by_socket[&connect.socket];
        is_same(index, &crowd[index].2, &connect);
        owners[index] = owner;
        assert!(heard.insert(connect.socket, Vec::new()).is_none(), "offered twice");
    }
    // In the gap, or what is left of it.
    for index in &orphans {
        let first = if count == 1 { 5 } else { 4 };
        (first..=6).for_each(|number| crowd[*index].0.emit(number));
        backends[owners[*index]].say(&[FromBackend::Accept(crowd[*index].2.socket)]);
    }
    for _ in 0..orphans.len() * 3 {
        match next_of(&mut backends) {
            (owner, Told::Event { socket, redelivered: false, json, .. }) => {
                assert_eq!(owners[by_socket[&socket]], owner);
                heard.get_mut(&socket).expect("an event of an orphan").push(number(&json));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(heard.values().all(|numbers| *numbers == [4, 5, 6]), "{heard:?}");
    // Rooms are as before, and everybody is still there, whoever says it.
    let last = backends.len() - 1;
    backends[last].broadcast("/", &["third"], 1);
    backends[last].broadcast("/", &["all"], 2);
    backends[last].broadcast("/", &[], 3);
    for (index, (client, _, connect)) in crowd.iter_mut().enumerate() {
        backends[owners[index]].emit(connect.socket, 4);
        let expected: &[u64] = if index.is_multiple_of(3) { &[1, 2, 3, 4] } else { &[2, 3, 4] };
        let mut got: Vec<u64> = expected.iter().map(|_| client.event()).collect();
        // Different backends are not in order with each other.
        got.sort_unstable();
        assert_eq!(got, expected);
        client.emit(7);
        assert_eq!(backends[owners[index]].event(connect.socket), 7);
    }
    drop(crowd);
    rig.wait_for_metrics(&[
        ("tidegate_backend_adopted_total", orphans.len() as f64),
        ("tidegate_backend_sockets_orphaned", 0.0),
        ("tidegate_backend_held_bytes", 0.0),
        ("tidegate_backend_holds_expired_total", 0.0),
    ]);
    rig.stop();
}

#[test]
fn the_next_backend_finds_everything_as_the_one_that_was_killed_left_it() {
    within(60, || {
        for plan in [Plan::cores(1), Plan::cores(2), Plan::cores(2).on_epoll()] {
            kill_one_of(1, &plan);
        }
    });
}

#[test]
fn the_others_take_over_from_one_that_was_killed() {
    within(60, || {
        for cores in [1, 2] {
            kill_one_of(3, &Plan::cores(cores));
        }
    });
}

/// Events 1 to 6, of which 3 were processed by a backend that is killed; 7 and 8 come later. What the next one hears:
/// numbers, and whether the event may have been heard before.
fn after_a_kill(plan: &Plan, namespace: &str) -> Vec<(u64, bool)> {
    let mut rig = plan.start();
    let mut first = Backend::serve(&rig.path, &[namespace]).stingy();
    let client = Client::ask(rig.url(), Kind::WebSocket, namespace);
    let socket = first.accept().socket;
    let mut client = client.joined();
    let emit = |client: &mut Client, number: u64| client.send(format!(r#"42{namespace},["e",{number}]"#));
    for number in 1..=6 {
        emit(&mut client, number);
        assert_eq!(first.event(socket), number);
        if number == 3 {
            first.give_credit();
            // It has arrived when what was said behind it has.
            first.say(&[FromBackend::Fetch { request: 1, selector: super::fake::select("/none", &[]) }]);
            assert!(matches!(first.next(), Some(Told::Fetched { last: true, .. })));
        }
    }
    drop(first);
    rig.wait_for_metrics(&[("tidegate_backend_sockets_orphaned", 1.0)]);
    (7..=8).for_each(|number| emit(&mut client, number));
    let mut next = Backend::serve(&rig.path, &[namespace]);
    assert_eq!(next.accept().socket, socket);
    let mut heard = Vec::new();
    while heard.last().is_none_or(|(number, _)| *number < 8) {
        match next.next() {
            Some(Told::Event { socket: of, redelivered, json, .. }) if of == socket => {
                heard.push((number(&json), redelivered));
            }
            other => panic!("{other:?}"),
        }
    }
    let again = heard.iter().filter(|(_, redelivered)| *redelivered).count();
    assert_eq!(rig.metric("tidegate_backend_redelivered_total"), again as f64);
    drop(client);
    rig.stop();
    heard
}

#[test]
fn events_that_a_lost_backend_may_not_have_processed_come_again_where_that_is_wanted() {
    within(60, || {
        for cores in [1, 2] {
            let plan = Plan::cores(cores);
            let redeliver = plan.clone().with("backend.redeliver", "/paid");
            let again: Vec<_> = (4..=8).map(|number| (number, number <= 6)).collect();
            assert_eq!(after_a_kill(&redeliver, "/paid"), again);
            assert_eq!(after_a_kill(&plan.clone().with("backend.redeliver", "*"), "/free"), again);
            let once = [(7, false), (8, false)];
            assert_eq!(after_a_kill(&redeliver, "/free"), once);
            assert_eq!(after_a_kill(&plan, "/paid"), once);
        }
    });
}

#[test]
fn a_client_that_leaves_while_nobody_serves_it_is_not_offered_to_anybody() {
    within(30, || {
        let mut rig = Plan::cores(2).start();
        let mut backends = [Backend::serve(&rig.path, &["/"])];
        let mut crowd = crowd(rig.url(), 4, &mut backends);
        drop(backends);
        rig.wait_for_metrics(&[("tidegate_backend_sockets_orphaned", 4.0)]);
        crowd.iter_mut().for_each(|(client, ..)| client.emit(1));
        // By a transport that ends, and by a packet.
        drop(crowd.remove(0));
        crowd[0].0.send("41");
        rig.wait_for_metrics(&[("tidegate_backend_sockets_orphaned", 2.0)]);
        let mut next = Backend::serve(&rig.path, &["/"]);
        let mut left: Vec<_> = crowd[1..].iter().map(|(.., connect)| connect.socket).collect();
        while !left.is_empty() {
            match next.next() {
                Some(Told::Connect(connect)) => next.say(&[FromBackend::Accept(connect.socket)]),
                Some(Told::Event { socket, .. }) => left.retain(|expected| *expected != socket),
                other => panic!("{other:?}"),
            }
        }
        rig.wait_for_metrics(&[("tidegate_backend_held_bytes", 0.0), ("tidegate_sockets", 2.0)]);
        assert!(next.is_silent());
        drop(crowd);
        rig.stop();
    });
}
