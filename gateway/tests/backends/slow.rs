//! A backend that does not keep up: its own clients wait, in their own kernels, and nobody else does.

use super::app::App;
use super::client::{Client, Kind};
use super::fake::{Backend, Told, number};
use super::rig::{Plan, SOON, within};
use std::time::Instant;
use tidegate_core::backend::wire::FromBackend;
use tidegate_core::shard::app::SocketKey;

/// Bytes of the argument that makes events of the flood long.
const PADDING: usize = 16 * 1024;
/// So many of them are more than all kernel buffers on the way hold.
const FLOOD: u64 = 3_000;
/// What the gateway may take of them: what it holds, a few reads, and what its allocator keeps of these.
const MEMORY: u64 = 24 << 20;
/// So often the clients that are served are pinged while the others wait.
const PINGS: u32 = 7;

/// Works with all of them until the last has been pinged so often; it talks with its backend all the while.
fn through_pings(held: &mut [Client], served: &mut Client, number: &mut u64) {
    let (start, until) = (served.pings, Instant::now() + SOON);
    while served.pings < start + PINGS {
        *number += 1;
        served.emit(*number);
        served.wait_for("echo", |_| {
            held.iter_mut().for_each(Client::work);
            true
        });
        assert_eq!(served.event(), *number);
        assert!(Instant::now() < until, "watchdog: no pings");
        for client in &mut *held {
            assert_eq!(client.end, None, "a client that is made to wait is not to blame");
        }
    }
}

/// Takes one event after the other, and gives credit as it should.
fn next_event(backend: &mut Backend, clients: &mut [Client]) -> (SocketKey, u64) {
    loop {
        clients.iter_mut().for_each(Client::work);
        match backend.next() {
            Some(Told::Event { socket, redelivered: false, json, .. }) => return (socket, number(&json)),
            Some(Told::Connect(connect)) => backend.say(&[FromBackend::Accept(connect.socket)]),
            other => panic!("{other:?}"),
        }
    }
}

fn flood(plan: Plan) {
    let cores = plan.count();
    let plan = plan.with("socket_io.ping_interval", "300ms").with("socket_io.ping_timeout", "1500ms");
    let mut rig = plan.start();
    let app = App::start(&rig.path, &["/"]);
    let mut served = Client::ask(rig.url(), Kind::WebSocket, "/").joined();
    let mut slow = Backend::serve_with(&rig.path, &["/slow"], 64 * 1024).stingy();
    let mut sockets = Vec::new();
    let mut join = |kind| {
        let client = Client::ask(rig.url(), kind, "/slow");
        sockets.push(slow.accept().socket);
        client.joined()
    };
    let mut held = vec![join(Kind::WebSocket), join(Kind::Polling)];
    slow.give_credit();

    let memory = rig.memory();
    let padding = "x".repeat(PADDING);
    for number in 1..=FLOOD {
        held[0].send(format!(r#"42/slow,["e",{number},"{padding}"]"#));
    }
    for number in 1..=FLOOD / 10 {
        held[1].send(format!(r#"42/slow,["e",{number},"{padding}"]"#));
    }
    let mut number = 0;
    through_pings(&mut held, &mut served, &mut number);
    let grown = rig.memory().saturating_sub(memory);

    assert!(grown < MEMORY, "{grown} bytes more, and nobody reads them");
    assert!(held.iter().all(|client| !client.is_flushed()), "a client has got rid of everything");
    // Who comes now waits, too.
    held.push(Client::ask(rig.url(), Kind::WebSocket, "/slow"));
    if cores == 1 {
        // Of two, one may have a little credit left.
        rig.wait_for_metrics(&[("tidegate_backend_sockets_waiting", 1.0)]);
    }
    through_pings(&mut held, &mut served, &mut number);

    // It reads again.
    let mut slow = slow.generous();
    let mut last = [0, 0];
    while last != [FLOOD, FLOOD / 10] {
        served.work();
        let (socket, number) = next_event(&mut slow, &mut held);
        let of = sockets.iter().position(|other| *other == socket).unwrap();
        last[of] += 1;
        assert_eq!(number, last[of], "in order, and once");
    }
    let late = held.pop().unwrap().joined();
    assert_eq!(late.end, None);
    for client in &mut held {
        client.send(r#"42/slow,["e",0]"#);
        assert_eq!(next_event(&mut slow, &mut []).1, 0);
        assert_eq!(client.end, None);
    }
    rig.wait_for_metrics(&[("tidegate_backend_held_bytes", 0.0), ("tidegate_sessions", 4.0)]);
    drop((served, held, late));
    app.kill();
    rig.stop();
}

#[test]
fn clients_of_a_backend_that_does_not_read_are_held_back_and_others_are_served() {
    within(60, || flood(Plan::cores(1)));
}

#[test]
fn the_same_holds_on_two_cores() {
    within(60, || flood(Plan::cores(2)));
}

#[test]
fn the_same_holds_on_epoll() {
    within(60, || flood(Plan::cores(1).on_epoll()));
}

#[test]
fn who_comes_is_given_to_the_backend_that_keeps_up() {
    within(30, || {
        let rig = Plan::cores(1).start();
        let mut behind = Backend::serve_with(&rig.path, &["/"], 64).stingy();
        let first = Client::ask(rig.url(), Kind::WebSocket, "/");
        behind.accept();
        let first = first.joined();
        let mut quick = Backend::serve(&rig.path, &["/"]);
        let others = [(); 5].map(|()| {
            let client = Client::ask(rig.url(), Kind::WebSocket, "/");
            quick.accept();
            client.joined()
        });
        assert!(behind.is_silent());
        drop((first, others));
        rig.stop();
    });
}

#[test]
fn input_that_was_held_back_flows_again_with_another_backend() {
    within(30, || {
        for cores in [1, 2] {
            let rig = Plan::cores(cores).start();
            let mut slow = Backend::serve_with(&rig.path, &["/"], 64).stingy();
            let client = Client::ask(rig.url(), Kind::WebSocket, "/");
            let socket = slow.accept().socket;
            let mut client = client.joined();
            let padding = "x".repeat(PADDING);
            (1..=FLOOD).for_each(|number| client.send(format!(r#"42["e",{number},"{padding}"]"#)));
            client.work();
            assert!(!client.is_flushed());
            drop(slow);
            let mut next = Backend::serve(&rig.path, &["/"]);
            assert_eq!(next.accept().socket, socket);
            for number in 1..=FLOOD {
                client.work();
                assert_eq!(next.event(socket), number);
            }
            drop(client);
            rig.stop();
        }
    });
}

#[test]
fn a_client_whose_answer_was_held_back_is_read_again_after_the_loss_of_who_asked() {
    within(30, || {
        let mut rig = Plan::cores(1).start();
        let mut slow = Backend::serve_with(&rig.path, &["/"], 64).stingy();
        let client = Client::ask(rig.url(), Kind::WebSocket, "/");
        let socket = slow.accept().socket;
        let mut client = client.joined();
        slow.say(&[super::fake::ask(socket, 1), super::fake::ask(socket, 2)]);
        assert_eq!(client.next(), r#"420["ask"]"#);
        assert_eq!(client.next(), r#"421["ask"]"#);
        // More than is held for one socket, and nothing that the next backend wants.
        let long = "x".repeat(60_000);
        client.send(format!(r#"430["{long}"]"#));
        client.send(format!(r#"431["{long}"]"#));
        rig.wait_until("both are held", |rig| rig.metric("tidegate_backend_held_bytes") > 120_000.0);
        drop(slow);
        let mut next = Backend::serve(&rig.path, &["/"]);
        assert_eq!(next.accept().socket, socket);
        for number in 1..=5 {
            client.emit(number);
            assert_eq!(next.event(socket), number);
        }
        drop(client);
        rig.stop();
    });
}
