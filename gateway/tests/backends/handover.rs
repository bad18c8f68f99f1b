//! A backend leaves politely: nothing is lost, and nothing is heard twice.

use super::app::App;
use super::client::{Client, Kind};
use super::fake::{Backend, Told, ask, next_of};
use super::rig::{Plan, within};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_core::backend::wire::FromBackend;
use tidegate_core::shard::app::SocketKey;

/// Clients of one backend, each with the socket it is there.
fn crowd(url: &str, count: usize, backend: &mut Backend) -> Vec<(Client, SocketKey)> {
    let kinds = [Kind::WebSocket, Kind::Polling];
    let join = |index: usize| {
        let client = Client::ask(url, kinds[index % 2], "/");
        let socket = backend.accept().socket;
        (client.joined(), socket)
    };
    (0..count).map(join).collect()
}

/// Has a backend leave in the middle of what its clients say, with or without another one to take over.
fn leave(plan: &Plan, with_another: bool) {
    let rig = plan.start();
    let mut first = Backend::serve(&rig.path, &["/"]);
    let mut crowd = crowd(rig.url(), 10, &mut first);
    let another = with_another.then(|| Backend::serve(&rig.path, &["/"]));
    for (client, socket) in &mut crowd {
        (1..=3).for_each(|number| client.emit(number));
        (1..=3).for_each(|number| assert_eq!(first.event(*socket), number));
    }
    // These meet DRAIN on the way: each is heard by one of the two.
    crowd.iter_mut().for_each(|(client, _)| (4..=6).for_each(|number| client.emit(number)));
    first.say(&[FromBackend::Drain]);
    crowd.iter_mut().for_each(|(client, _)| (7..=9).for_each(|number| client.emit(number)));

    let place = |socket: SocketKey| crowd.iter().position(|(_, other)| *other == socket).unwrap();
    let (mut heard, mut left) = (vec![Vec::new(); crowd.len()], 0);
    while left < crowd.len() {
        match first.next() {
            Some(Told::Event { socket, redelivered: false, json, .. }) => {
                heard[place(socket)].push(super::fake::number(&json));
            }
            Some(Told::Handover(socket)) => {
                let json = &format!(r#"{{"of":{}}}"#, place(socket));
                first.emit(socket, 100);
                first.say(&[FromBackend::Data { socket, json }, FromBackend::Released(socket)]);
                left += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(first.next(), Some(Told::Drained));
    assert!(first.is_silent());
    drop(first);
    let mut next = another.unwrap_or_else(|| Backend::serve(&rig.path, &["/"]));
    crowd.iter_mut().for_each(|(client, _)| client.emit(10));
    let missing = heard.iter().map(|numbers| 7 - numbers.len()).sum();
    let later = take_over(&mut next, &crowd, missing);
    for (index, (before, after)) in heard.into_iter().zip(later).enumerate() {
        assert_eq!([before, after].concat(), [4, 5, 6, 7, 8, 9, 10], "of client {index}");
    }
    for (client, socket) in &mut crowd {
        next.emit(*socket, 101);
        assert_eq!((client.event(), client.event()), (100, 101));
    }
    drop(crowd);
    rig.stop();
}

/// Takes every client over, until so many events have come. Returns what each has said.
fn take_over(next: &mut Backend, crowd: &[(Client, SocketKey)], mut events: usize) -> Vec<Vec<u64>> {
    let place = |socket: SocketKey| crowd.iter().position(|(_, other)| *other == socket).unwrap();
    let (mut heard, mut sockets) = (vec![Vec::new(); crowd.len()], 0);
    while events > 0 || sockets < crowd.len() {
        match next.next() {
            Some(Told::Connect(connect)) => {
                let data = format!(r#"{{"of":{}}}"#, place(connect.socket));
                assert_eq!(connect.adopted.expect("the client is in").1, Some(data));
                next.say(&[FromBackend::Accept(connect.socket)]);
                sockets += 1;
            }
            Some(Told::Event { socket, redelivered: false, json, .. }) => {
                heard[place(socket)].push(super::fake::number(&json));
                events -= 1;
            }
            other => panic!("{other:?}"),
        }
    }
    heard
}

#[test]
fn who_leaves_hands_its_clients_to_another_with_all_that_they_say() {
    within(60, || {
        for plan in [Plan::cores(1), Plan::cores(2), Plan::cores(2).on_epoll()] {
            leave(&plan, true);
        }
    });
}

#[test]
fn who_leaves_hands_its_clients_to_one_that_comes_later() {
    within(60, || {
        for cores in [1, 2] {
            leave(&Plan::cores(cores), false);
        }
    });
}

#[test]
fn who_has_no_socket_may_leave_at_once() {
    within(30, || {
        let rig = Plan::cores(2).start();
        for serves in [true, false] {
            let mut backend = Backend::greet(&rig.path, 1024);
            if serves {
                backend.say(&[FromBackend::Serve { dynamic: false, namespaces: ["/"][..].into() }]);
            }
            backend.say(&[FromBackend::Drain]);
            assert_eq!(backend.next(), Some(Told::Drained));
        }
        rig.stop();
    });
}

#[test]
fn a_client_that_was_not_yet_let_in_begins_anew_with_another_backend() {
    within(30, || {
        for cores in [1, 2] {
            let rig = Plan::cores(cores).start();
            let mut first = Backend::serve(&rig.path, &["/"]);
            let mut client = Client::ask(rig.url(), Kind::WebSocket, "/");
            let asked = first.connect();
            first.say(&[FromBackend::Drain]);
            assert_eq!(first.next(), Some(Told::Handover(asked.socket)));
            let mut next = Backend::serve(&rig.path, &["/"]);
            first.say(&[FromBackend::Released(asked.socket)]);
            assert_eq!(first.next(), Some(Told::Drained));
            // The same CONNECT, and not an adoption.
            assert_eq!(next.accept(), asked);
            client = client.joined();
            assert_eq!(client.id, asked.id);

            // One that answers after all, and then lets go.
            let other = Client::ask(rig.url(), Kind::WebSocket, "/");
            let asked = next.connect();
            next.say(&[FromBackend::Drain]);
            let mut handed = BTreeSet::new();
            while handed.len() < 2 {
                match next.next() {
                    Some(Told::Handover(socket)) => handed.insert(socket),
                    told => panic!("{told:?}"),
                };
            }
            next.say(&[FromBackend::Accept(asked.socket)]);
            let mut other = other.joined();
            other.emit(1);
            client.emit(2);
            handed.iter().for_each(|socket| next.say(&[FromBackend::Released(*socket)]));
            assert_eq!(next.next(), Some(Told::Drained));
            let mut last = Backend::serve(&rig.path, &["/"]);
            let mut heard = BTreeSet::new();
            while heard.len() < 2 {
                match last.next() {
                    Some(Told::Connect(connect)) => {
                        assert!(connect.adopted.is_some());
                        last.say(&[FromBackend::Accept(connect.socket)]);
                    }
                    Some(Told::Event { json, .. }) => drop(heard.insert(super::fake::number(&json))),
                    told => panic!("{told:?}"),
                }
            }
            drop((client, other));
            rig.stop();
        }
    });
}

#[test]
fn the_answer_a_leaving_backend_waits_for_reaches_it_and_nobody_else() {
    within(30, || {
        let mut rig = Plan::cores(1).start();
        // Room for the CONNECT, and then for nothing until there is credit.
        let mut first = Backend::serve_with(&rig.path, &["/"], 64).stingy();
        let client = Client::ask(rig.url(), Kind::WebSocket, "/");
        let socket = first.accept().socket;
        let mut client = client.joined();
        first.say(&[ask(socket, 77)]);
        assert_eq!(client.next(), r#"420["ask"]"#);
        client.emit(1);
        client.send(r#"430["yes"]"#);
        client.emit(2);
        rig.wait_until("both are held", |rig| rig.metric("tidegate_events_received_total") >= 2.0);
        let mut next = Backend::serve(&rig.path, &["/"]);
        first.say(&[FromBackend::Drain]);
        let mut first = first.generous();
        let mut told = Vec::new();
        while told.last() != Some(&Told::Handover(socket)) {
            told.push(first.next().unwrap());
        }
        assert!(
            told.iter().any(|told| matches!(told, Told::Ack { ack: 77, json, .. } if json == r#"["yes"]"#)),
            "the answer is not among {told:?}"
        );
        let heard = told.iter().filter(|told| matches!(told, Told::Event { .. })).count();
        first.say(&[FromBackend::Released(socket)]);
        assert_eq!(first.next(), Some(Told::Drained));
        assert_eq!(next.accept().socket, socket);
        for number in heard + 1..=2 {
            assert_eq!(next.event(socket), number as u64);
        }
        client.emit(3);
        assert_eq!(next.event(socket), 3);
        drop(client);
        rig.stop();
    });
}

/// Sends numbers that want an answer, some at a time, until it is told to stop: each must be answered once, in order.
fn converse(mut client: Client, stop: &AtomicBool) -> u64 {
    const AT_A_TIME: u64 = 8;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        (number..number + AT_A_TIME).for_each(|number| client.ask_back(number));
        (number..number + AT_A_TIME).for_each(|number| assert_eq!(client.answer(), number));
        number += AT_A_TIME;
    }
    number
}

#[test]
fn while_backends_are_replaced_one_by_one_each_question_is_answered_once() {
    const ROUNDS: usize = 5;
    within(60, || {
        for plan in [Plan::cores(1), Plan::cores(2), Plan::cores(2).on_epoll()] {
            let mut rig = plan.start();
            let mut apps = [(); 2].map(|()| App::start(&rig.path, &["/"]));
            let clients: Vec<_> = (0..12)
                .map(|index| if index % 3 == 0 { Kind::Polling } else { Kind::WebSocket })
                .map(|kind| Client::ask(rig.url(), kind, "/").joined())
                .collect();
            let stop = AtomicBool::new(false);
            let answered: Vec<u64> = std::thread::scope(|scope| {
                let stop = &stop;
                let talks: Vec<_> =
                    clients.into_iter().map(|client| scope.spawn(move || converse(client, stop))).collect();
                for round in 0..ROUNDS * 2 {
                    let before = rig.metric("tidegate_events_received_total");
                    rig.wait_until("clients talk", |rig| {
                        rig.metric("tidegate_events_received_total") > before + 200.0
                    });
                    let next = App::start(&rig.path, &["/"]);
                    std::mem::replace(&mut apps[round % 2], next).leave();
                }
                stop.store(true, Ordering::Relaxed);
                talks.into_iter().map(|talk| talk.join().unwrap()).collect()
            });
            assert!(answered.iter().all(|count| *count > 0), "{answered:?}");
            rig.wait_for_metrics(&[
                ("tidegate_backend_links", 2.0),
                ("tidegate_backend_held_bytes", 0.0),
                ("tidegate_sockets", 0.0),
            ]);
            assert!(rig.metric("tidegate_backend_adopted_total") >= 3.0 * 2.0 * ROUNDS as f64);
            apps.into_iter().for_each(App::kill);
            rig.stop();
        }
    });
}

#[test]
fn the_last_two_of_three_share_what_the_first_leaves() {
    within(30, || {
        let rig = Plan::cores(2).start();
        let mut first = Backend::serve(&rig.path, &["/"]);
        let crowd = crowd(rig.url(), 8, &mut first);
        let mut others = [(); 2].map(|()| Backend::serve(&rig.path, &["/"]));
        first.say(&[FromBackend::Drain]);
        for _ in &crowd {
            let Some(Told::Handover(socket)) = first.next() else { panic!("not a HANDOVER") };
            first.say(&[FromBackend::Released(socket)]);
        }
        assert_eq!(first.next(), Some(Told::Drained));
        let mut taken = [0, 0];
        for _ in &crowd {
            let (owner, told) = next_of(&mut others);
            assert!(matches!(told, Told::Connect(_)));
            taken[owner] += 1;
        }
        assert_eq!(taken, [4, 4]);
        drop(crowd);
        rig.stop();
    });
}
