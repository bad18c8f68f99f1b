//! What an operator sees of backends: health, metrics, limits, and the end of the gateway.

use super::client::{Client, End, Kind};
use super::fake::{Backend, Told};
use super::rig::{Plan, SOON, within};
use rustix::process::Signal;
use tidegate_core::backend::wire::FromBackend;

const KINDS: [Kind; 2] = [Kind::WebSocket, Kind::Polling];

#[test]
fn a_gateway_is_ready_while_a_backend_takes_clients() {
    within(30, || {
        for cores in [1, 2] {
            let mut rig = Plan::cores(cores).start();
            assert_eq!(rig.ready(), "503 starting");
            let mut first = Backend::greet(&rig.path, 1024);
            assert_eq!(rig.ready(), "503 starting", "nothing is served yet");
            first.say(&[FromBackend::Serve { dynamic: false, namespaces: ["/"][..].into() }]);
            rig.wait_until("ready", |rig| rig.ready() == "200 ready");
            let mut second = Backend::serve(&rig.path, &["/"]);
            drop(first);
            rig.wait_for_metrics(&[("tidegate_backend_links", 1.0)]);
            assert_eq!(rig.ready(), "200 ready");
            second.say(&[FromBackend::Drain]);
            assert_eq!(second.next(), Some(Told::Drained));
            rig.wait_until("unready", |rig| rig.ready() == "503 starting");
            drop(second);
            let _third = Backend::serve(&rig.path, &["/"]);
            rig.wait_until("ready again", |rig| rig.ready() == "200 ready");
            rig.stop();
        }
    });
}

#[test]
fn what_happens_on_links_is_measured() {
    within(30, || {
        for cores in [1, 2] {
            let mut rig = Plan::cores(cores).with("backend.redeliver", "*").start();
            let mut backend = Backend::greet(&rig.path, 1 << 20).stingy();
            rig.wait_for_metrics(&[("tidegate_backend_links", 1.0), ("tidegate_backend_links_serving", 0.0)]);
            let mut client = Client::ask(rig.url(), Kind::WebSocket, "/");
            rig.wait_for_metrics(&[("tidegate_backend_sockets_waiting", 1.0)]);
            backend.say(&[FromBackend::Serve { dynamic: false, namespaces: ["/"][..].into() }]);
            let socket = backend.accept().socket;
            client = client.joined();
            rig.wait_for_metrics(&[
                ("tidegate_backend_links_serving", 1.0),
                ("tidegate_backend_sockets_waiting", 0.0),
                // HELLO, SERVE, ACCEPT.
                ("tidegate_backend_frames_in_total", 3.0),
            ]);
            let before = rig.metrics();
            client.emit(1);
            client.emit(2);
            assert_eq!((backend.event(socket), backend.event(socket)), (1, 2));
            backend.emit(socket, 3);
            assert_eq!(client.event(), 3);
            let after = rig.metrics();
            let moved = |name: &str| after[name] - before[name];
            assert_eq!(moved("tidegate_backend_frames_in_total"), 1.0);
            assert!(moved("tidegate_backend_frames_out_total") >= 2.0, "two events");
            assert!((40.0..80.0).contains(&moved("tidegate_backend_link_bytes_in_total")));
            assert!((70.0..140.0).contains(&moved("tidegate_backend_link_bytes_out_total")));

            drop(backend);
            rig.wait_for_metrics(&[
                ("tidegate_backend_links", 0.0),
                ("tidegate_backend_links_serving", 0.0),
                ("tidegate_backend_sockets_orphaned", 1.0),
                ("tidegate_backend_redelivered_total", 2.0),
            ]);
            let held = rig.metric("tidegate_backend_held_bytes");
            client.emit(4);
            rig.wait_until("more is held", |rig| rig.metric("tidegate_backend_held_bytes") > held);
            let mut next = Backend::serve(&rig.path, &["/"]);
            next.accept();
            rig.wait_for_metrics(&[
                ("tidegate_backend_sockets_orphaned", 0.0),
                ("tidegate_backend_adopted_total", 1.0),
                ("tidegate_backend_held_bytes", 0.0),
                ("tidegate_backend_holds_expired_total", 0.0),
                ("tidegate_backend_links_refused_total", 0.0),
            ]);
            next.write(&[0; 4]);
            assert_eq!(next.refused().0, 5);
            rig.wait_for_metrics(&[("tidegate_backend_links_refused_total", 1.0)]);
            drop(client);
            rig.stop();
        }
    });
}

#[test]
fn who_asks_before_there_is_a_backend_is_let_in_when_one_comes() {
    within(30, || {
        for plan in [Plan::cores(1), Plan::cores(2), Plan::cores(1).on_epoll()] {
            let mut rig = plan.start();
            let clients: Vec<_> = (0..8).map(|index| Client::ask(rig.url(), KINDS[index % 2], "/")).collect();
            let mut stranger = Client::ask(rig.url(), Kind::WebSocket, "/other");
            rig.wait_for_metrics(&[("tidegate_backend_sockets_waiting", 9.0)]);
            let mut backend = Backend::serve(&rig.path, &["/"]);
            for _ in &clients {
                let connect = backend.accept();
                assert_eq!((connect.namespace.as_str(), connect.adopted), ("/", None));
            }
            let clients: Vec<_> = clients.into_iter().map(Client::joined).collect();
            // Now that it is known who is served, this one is not.
            assert_eq!(stranger.next(), r#"44/other,{"message":"Invalid namespace"}"#);
            drop((clients, stranger));
            rig.stop();
        }
    });
}

#[test]
fn as_many_wait_as_may_and_more_are_sent_away_to_come_back() {
    within(30, || {
        let mut rig = Plan::cores(1).with("backend.connects_waiting", "4").start();
        let clients: Vec<_> = (0..4).map(|index| Client::ask(rig.url(), KINDS[index % 2], "/")).collect();
        rig.wait_for_metrics(&[("tidegate_backend_sockets_waiting", 4.0)]);
        for (kind, end) in KINDS.into_iter().zip([End::CloseFrame, End::ClosePacket]) {
            let mut more = Client::ask(rig.url(), kind, "/");
            // No CONNECT_ERROR, after which stock clients would not try again.
            assert_eq!(more.ended(), (Vec::new(), end));
        }
        let mut backend = Backend::serve(&rig.path, &["/"]);
        clients.iter().for_each(|_| drop(backend.accept()));
        let mut clients: Vec<_> = clients.into_iter().map(Client::joined).collect();
        clients.push(Client::ask(rig.url(), Kind::WebSocket, "/"));
        backend.accept();
        drop(clients);
        rig.stop();
    });
}

#[test]
fn who_waits_in_vain_is_sent_away_to_come_back() {
    within(30, || {
        let mut rig = Plan::cores(2).with("socket_io.connect_timeout", "300ms").start();
        for (kind, end) in KINDS.into_iter().zip([End::CloseFrame, End::ClosePacket]) {
            let mut client = Client::ask(rig.url(), kind, "/");
            assert_eq!(client.ended(), (Vec::new(), end));
        }
        // And of one that was asked, and does not answer.
        let mut backend = Backend::serve(&rig.path, &["/"]);
        let mut client = Client::ask(rig.url(), Kind::WebSocket, "/");
        let socket = backend.connect().socket;
        assert_eq!(client.ended(), (Vec::new(), End::CloseFrame));
        backend.disconnected(socket);
        drop(client);
        rig.wait_for_metrics(&[("tidegate_backend_sockets_waiting", 0.0), ("tidegate_sessions", 0.0)]);
        rig.stop();
    });
}

#[test]
fn a_gateway_that_stops_tells_clients_and_backends_and_ends_with_0() {
    within(30, || {
        for plan in [Plan::cores(1), Plan::cores(2), Plan::cores(2).on_epoll()] {
            let cores = plan.count();
            let mut rig = plan.start();
            let mut backends = [(); 2].map(|()| Backend::serve(&rig.path, &["/"]));
            let mut clients = Vec::new();
            for index in 0..8 {
                let client = Client::ask(rig.url(), KINDS[index % 2], "/");
                let (owner, told) = super::fake::next_of(&mut backends);
                let Told::Connect(connect) = told else { panic!("{told:?}") };
                backends[owner].say(&[FromBackend::Accept(connect.socket)]);
                clients.push(client.joined());
            }
            // One that waits, and one that nobody has heard of.
            let mut waiting = Client::ask(rig.url(), Kind::WebSocket, "/");
            super::fake::next_of(&mut backends);
            let _silent = Backend::dial(&rig.path);
            rig.gateway.signal(Signal::TERM);
            for client in &mut clients {
                let end = if client.is_polling() { End::ClosePacket } else { End::CloseFrame };
                // protocol.md, S26: no DISCONNECT packet.
                assert_eq!(client.ended(), (Vec::new(), end));
            }
            assert_eq!(waiting.ended(), (Vec::new(), End::CloseFrame));
            drop((clients, waiting));
            let mut reasons = Vec::new();
            for backend in &mut backends {
                while let Some(told) = backend.next() {
                    match told {
                        Told::Disconnected(_, reason) => reasons.push(reason),
                        Told::Refuse(4, _) => {}
                        // A core that has yet to hear of the stop finds a new home for clients of a link that is closed.
                        Told::Connect(_) if cores > 1 => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
            // Best effort: a core that has closed its links does not wait for the others.
            assert!(reasons.len() <= 9 && (cores > 1 || reasons.len() == 9), "{reasons:?}");
            let known = |reason: &&str| ["server shutting down", "transport close"].contains(reason);
            assert!(reasons.iter().all(known), "{reasons:?}");
            let status = rig.gateway.wait_for_exit(SOON).expect("it ends");
            assert_eq!(status.code(), Some(0));
            assert!(!rig.path.exists());
        }
    });
}
