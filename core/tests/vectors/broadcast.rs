//! protocol.md 5.1 to 5.5 and 5.9: rooms, broadcasts, flags, and requests about many sockets; each on one shard
//! and on several, which no client and no application can tell apart.

use crate::support::Server;
use crate::support::polling::{Polling, packets};
use crate::support::websocket::WebSocket;
use std::collections::BTreeSet;
use tidegate_core::shard::Io;
use tidegate_core::shard::app::{Flags, Selector, SocketKey, Ticket};
use tidegate_core::socket_io::{Args, ArgsRef};

const VOLATILE: Flags = Flags { volatile: true, compress: true, local: false };
const SHARDS: [u16; 3] = [1, 2, 4];

/// Clients of `/`, spread over the shards, each in the rooms that its turn names.
struct Crowd {
    server: Server,
    clients: Vec<WebSocket>,
    sockets: Vec<SocketKey>,
}

impl Crowd {
    fn new(shards: u16, rooms: &[&str]) -> Self {
        let server = Server::sharded(shards);
        let mut clients = Vec::new();
        for (number, rooms) in (0..).zip(rooms) {
            let client = WebSocket::joined_on(&server, number % shards);
            for room in rooms.split_whitespace() {
                client.send(&format!(r#"42["join","{room}"]"#));
            }
            clients.push(client);
        }
        let sockets = server.told().connected.iter().map(|&(socket, _)| socket).collect();
        Self { server, clients, sockets }
    }

    fn id(&self, number: usize) -> String {
        let socket = self.sockets[number];
        self.server.run(socket_shard(number, &self.server), move |io| {
            io.id(socket).expect("it is a socket of that shard").encode().to_string()
        })
    }

    /// Numbers of the clients that got something since the last time; nobody may have got it twice.
    fn receivers(&self) -> Vec<usize> {
        let got = |client: &WebSocket| {
            let frames = client.take();
            assert!(frames.len() <= 1, "{frames:?}");
            frames.len() == 1
        };
        (0..self.clients.len()).filter(|&number| got(&self.clients[number])).collect()
    }

    fn broadcast(&self, from: u16, to: Selector) -> Vec<usize> {
        self.server.run(from, move |io| io.broadcast(&to, Flags::default(), "x", ArgsRef::default()));
        self.receivers()
    }

    fn on_shard_0(&self, job: impl FnOnce(&mut Io<'_>) + 'static) {
        self.server.run(0, job);
    }
}

/// The shard of the client with this number.
fn socket_shard(number: usize, server: &Server) -> u16 {
    u16::try_from(number).unwrap() % server.shards()
}

fn root() -> Selector {
    Selector::namespace("/")
}

#[test]
fn a_selector_is_the_union_of_its_rooms_without_the_excepted_and_nobody_gets_two_copies() {
    for shards in SHARDS {
        let crowd = Crowd::new(shards, &["a", "a b", "b", "", "b c", "c"]);
        let own = crowd.id(3);
        for (to, expected) in [
            (root(), vec![0, 1, 2, 3, 4, 5]),
            (root().to("a"), vec![0, 1]),
            (root().to("a").to("b"), vec![0, 1, 2, 4]),
            (root().to("b").except("c"), vec![1, 2]),
            (root().except("a"), vec![2, 3, 4, 5]),
            (root().except("a").except("c"), vec![2, 3]),
            (root().to("a").except("a"), vec![]),
            (root().to("A"), vec![]),
            (root().to(own.clone()), vec![3]),
            (root().to(own.clone()).to("a"), vec![0, 1, 3]),
            (root().except(own.clone()), vec![0, 1, 2, 4, 5]),
            (root().to(own.clone()).to(own), vec![3]),
            (Selector::namespace("/admin"), vec![]),
        ] {
            for from in 0..shards {
                assert_eq!(
                    crowd.broadcast(from, to.clone()),
                    expected,
                    "{shards} shards, from {from}: {to:?}"
                );
            }
        }
    }
}

#[test]
fn rooms_of_one_namespace_are_not_those_of_another() {
    for shards in SHARDS {
        let crowd = Crowd::new(shards, &["a", "a"]);
        for (client, number) in crowd.clients.iter().zip(0..) {
            client.send("40/admin,");
            if number == 1 {
                client.send(r#"42/admin,["join","a"]"#);
            }
            client.take();
        }
        assert_eq!(crowd.broadcast(0, Selector::namespace("/admin").to("a")), [1]);
        assert_eq!(crowd.broadcast(0, root().to("a")), [0, 1]);
    }
}

#[test]
fn whoever_leaves_a_room_or_the_namespace_is_not_reached_any_more() {
    for shards in SHARDS {
        let crowd = Crowd::new(shards, &["a", "a", "a", "a"]);
        let (left, moved) = (crowd.sockets[1], crowd.sockets[3]);
        crowd.on_shard_0(move |io| {
            io.leave(left, "a");
            io.leave(left, "never");
            io.join(moved, "b");
            io.join(moved, "b");
        });
        crowd.clients[2].send("41");
        assert_eq!(crowd.broadcast(0, root().to("a")), [0, 3]);
        assert_eq!(crowd.broadcast(0, root().to("b")), [3]);
        assert_eq!(crowd.broadcast(0, root()), [0, 1, 3]);
        crowd.clients[3].conn.reset();
        assert_eq!(crowd.broadcast(0, root().to("a").to("b")), [0]);
        crowd.server.assert_nothing_leaks();
    }
}

#[test]
fn only_who_has_been_let_in_is_reached() {
    let server = Server::sharded(2);
    let client = WebSocket::joined_on(&server, 1);
    client.send("40/later,");
    let socket = server.told().waiting[0];
    let broadcast = |io: &mut Io<'_>| {
        io.broadcast(&Selector::namespace("/later"), Flags::default(), "x", ArgsRef::default());
    };
    server.run(0, broadcast);
    assert!(client.conn.is_silent());
    server.run(0, move |io| io.accept(socket));
    server.run(0, broadcast);
    assert_eq!(client.take(), [r#"40/later,{"sid":"~"}"#, r#"42/later,["x"]"#]);
}

#[test]
fn a_broadcast_carries_its_attachments_to_every_transport() {
    for shards in SHARDS {
        let server = Server::sharded(shards);
        let websocket = WebSocket::joined_on(&server, shards - 1);
        let polling = Polling::joined_on(&server, shards - 1);
        let poll = polling.get();
        server.run(0, |io| {
            let mut args = Args::new();
            args.push(&"é").unwrap().push_binary(vec![1, 2]).unwrap();
            io.broadcast(&root(), Flags::default(), "x", args.as_ref());
        });
        let event = r#"451-["x","é",{"_placeholder":true,"num":0}]"#;
        assert_eq!(websocket.take(), [event, "<0102>"]);
        assert_eq!(packets(&poll), [event, "bAQI="]);
    }
}

#[test]
fn what_one_application_sends_to_one_socket_arrives_in_order() {
    for shards in SHARDS {
        let crowd = Crowd::new(shards, &["", "a", "", "a"]);
        let (socket, client) = (crowd.sockets[3], &crowd.clients[3]);
        crowd.on_shard_0(move |io| {
            io.emit(socket, "1", ArgsRef::default());
            io.broadcast(&root().to("a"), Flags::default(), "2", ArgsRef::default());
            io.join(socket, "new");
            io.broadcast(&root().to("new"), Flags::default(), "3", ArgsRef::default());
            io.leave(socket, "new");
            io.broadcast(&root().to("new"), Flags::default(), "4", ArgsRef::default());
            io.emit(socket, "5", ArgsRef::default());
            io.disconnect(socket, false);
            io.emit(socket, "6", ArgsRef::default());
        });
        let expected = [r#"42["1"]"#, r#"42["2"]"#, r#"42["3"]"#, r#"42["5"]"#, "41"];
        assert_eq!(client.take(), expected, "{shards} shards");
    }
}

#[test]
fn a_join_by_selector_counts_for_the_broadcast_that_follows() {
    for shards in SHARDS {
        let crowd = Crowd::new(shards, &["a", "b", "a", "b", "a"]);
        crowd.on_shard_0(|io| {
            io.sockets_join(&root().to("a"), &["x", "y"]);
            io.broadcast(&root().to("x"), Flags::default(), "1", ArgsRef::default());
        });
        assert_eq!(crowd.receivers(), [0, 2, 4], "{shards} shards");
        crowd.on_shard_0(|io| io.sockets_leave(&root().to("y"), &["x"]));
        assert_eq!(crowd.broadcast(shards - 1, root().to("x")), [0; 0]);
        assert_eq!(crowd.broadcast(shards - 1, root().to("y")), [0, 2, 4]);
        crowd.server.assert_nothing_leaks();
    }
}

#[test]
fn a_socket_that_is_let_in_gets_the_broadcast_that_follows() {
    for shards in SHARDS {
        let server = Server::sharded(shards);
        let client = WebSocket::open_on(&server, shards - 1);
        client.send("40/later,");
        let socket = server.told().waiting[0];
        server.run(0, move |io| {
            io.accept(socket);
            io.broadcast(&Selector::namespace("/later"), Flags::default(), "x", ArgsRef::default());
        });
        assert_eq!(client.take(), [r#"40/later,{"sid":"~"}"#, r#"42/later,["x"]"#], "{shards} shards");
    }
}

#[test]
fn a_join_that_did_not_happen_leaves_nothing_behind() {
    let crowd = Crowd::new(2, &["a", ""]);
    let gone = crowd.sockets[1];
    crowd.clients[1].conn.reset();
    crowd.on_shard_0(move |io| {
        io.join(gone, "x");
        io.sockets_join(&root().to("nobody"), &["y"]);
    });
    assert_eq!(crowd.broadcast(0, root().to("x").to("y")), [0; 0]);
    crowd.server.assert_nothing_leaks();
}

#[test]
fn disconnecting_by_selector_leaves_the_connection_or_closes_it() {
    for shards in SHARDS {
        let crowd = Crowd::new(shards, &["a", "b", "a", "b"]);
        crowd.clients[3].send("40/admin,");
        crowd.clients[3].take();
        crowd.on_shard_0(|io| io.disconnect_sockets(&root().to("a"), false));
        crowd.on_shard_0(|io| io.disconnect_sockets(&root().to("b"), true));
        let got: Vec<_> = crowd.clients.iter().map(WebSocket::take).collect();
        assert_eq!(got[0], ["41"]);
        assert_eq!(got[1], ["41", "CLOSE 1005"]);
        assert_eq!(got[2], ["41"]);
        assert_eq!(got[3], ["41", "41/admin,", "CLOSE 1005"]);
        assert_eq!(crowd.clients[0].say("40"), [r#"40{"sid":"~"}"#]);
        let mut left = crowd.server.left();
        left.sort();
        assert_eq!(left[..4], ["/ server namespace disconnect"; 4]);
        assert_eq!(left[4], "/admin server namespace disconnect");
        crowd.server.assert_nothing_leaks();
    }
}

#[test]
fn fetching_finds_the_sockets_of_all_shards_once_with_what_is_known_of_them() {
    for shards in SHARDS {
        let crowd = Crowd::new(shards, &["a", "a b", "b", ""]);
        let ids: Vec<String> = (0..4).map(|number| crowd.id(number)).collect();
        let (sockets, last) = (crowd.sockets.clone(), crowd.sockets[1]);
        crowd.on_shard_0(move |io| {
            io.set_data(last, r#"{"name":"x"}"#.to_owned());
            io.fetch_sockets(&root().to("a").to("b").except("nobody"), Ticket(1));
        });
        crowd.on_shard_0(|io| io.fetch_sockets(&root().to("nobody"), Ticket(2)));
        let told = crowd.server.told();
        let [(1, found), (2, nobody)] = &told.fetched[..] else { panic!("two answers") };
        assert!(nobody.is_empty());
        let keys: BTreeSet<_> = found.iter().map(|info| info.key).collect();
        assert_eq!((keys, found.len()), (sockets[..3].iter().copied().collect(), 3), "{shards} shards");
        let info = found.iter().find(|info| info.key == last).unwrap();
        assert_eq!(info.id.encode().as_str(), ids[1]);
        assert_eq!(info.rooms, [ids[1].as_str(), "a", "b"]);
        assert_eq!(info.data.as_deref(), Some(r#"{"name":"x"}"#));
        let handshake: serde_json::Value = serde_json::from_str(&info.handshake).unwrap();
        assert_eq!(handshake["query"]["EIO"], "4");
        assert!(found.iter().filter(|info| info.data.is_some()).count() == 1);
    }
}

#[test]
fn of_what_is_volatile_one_tick_sends_one_packet() {
    for shards in SHARDS {
        let crowd = Crowd::new(shards, &["", "", "", ""]);
        let (socket, client) = (crowd.sockets[3], &crowd.clients[3]);
        crowd.on_shard_0(move |io| {
            io.emit_with(socket, VOLATILE, "v1", ArgsRef::default());
            io.emit_with(socket, VOLATILE, "v2", ArgsRef::default());
            io.emit(socket, "n", ArgsRef::default());
        });
        assert_eq!(client.take(), [r#"42["v1"]"#, r#"42["n"]"#], "{shards} shards");
        crowd.on_shard_0(move |io| io.emit_with(socket, VOLATILE, "v3", ArgsRef::default()));
        assert_eq!(client.take(), [r#"42["v3"]"#]);
        crowd.on_shard_0(move |io| {
            io.broadcast(&root(), VOLATILE, "v4", ArgsRef::default());
            io.broadcast(&root(), VOLATILE, "v5", ArgsRef::default());
        });
        assert!(crowd.clients.iter().all(|client| client.take() == [r#"42["v4"]"#]), "{shards} shards");
    }
}

#[test]
fn of_what_is_volatile_a_client_that_does_not_read_gets_nothing() {
    for shards in SHARDS {
        let crowd = Crowd::new(shards, &["", "", "", ""]);
        let (socket, client) = (crowd.sockets[3], &crowd.clients[3]);
        client.conn.block();
        crowd.on_shard_0(move |io| io.emit(socket, "n1", ArgsRef::default()));
        crowd.on_shard_0(move |io| io.emit_with(socket, VOLATILE, "v1", ArgsRef::default()));
        client.conn.unblock();
        assert_eq!(client.take(), [r#"42["n1"]"#]);
        crowd.on_shard_0(move |io| io.emit_with(socket, VOLATILE, "v2", ArgsRef::default()));
        assert_eq!(client.take(), [r#"42["v2"]"#]);
    }
}

#[test]
fn volatile_packets_reach_polls_that_wait_wherever_they_wait() {
    for shards in SHARDS {
        let server = Server::sharded(shards);
        let client = Polling::joined_on(&server, shards - 1).via(0);
        let socket = server.told().connected[0].0;
        server.run(0, move |io| io.emit_with(socket, VOLATILE, "v1", ArgsRef::default()));
        let poll = client.get();
        assert!(poll.is_silent());
        server.run(0, move |io| {
            io.emit_with(socket, VOLATILE, "v2", ArgsRef::default());
            io.emit_with(socket, VOLATILE, "v3", ArgsRef::default());
        });
        assert_eq!(packets(&poll), [r#"42["v2"]"#]);
    }
}

#[test]
fn an_application_acts_on_sockets_of_other_shards_as_on_its_own() {
    let server = Server::sharded(2);
    let client = WebSocket::joined_on(&server, 1);
    client.send("40/later,");
    client.send("40/later,");
    // The second CONNECT ended the session: its keys are stale, and nothing is done to anybody.
    assert_eq!(client.take(), ["CLOSE 1005"]);
    let socket = server.told().connected[0].0;
    let waiting = server.told().waiting[0];
    let other = WebSocket::joined_on(&server, 1);
    server.run(0, move |io| {
        io.accept(waiting);
        io.emit(socket, "x", ArgsRef::default());
        io.join(socket, "r");
        io.leave(socket, "r");
        io.set_data(socket, "1".to_owned());
        io.disconnect(socket, true);
        assert_eq!(io.id(socket), None);
        assert!(io.rooms(socket).is_empty());
    });
    assert!(other.conn.is_silent());
    assert_eq!(server.stats().rooms, 0);
    assert_eq!(server.told().connected.len(), 2);
}

#[test]
fn an_application_is_woken_when_it_asked_for_it() {
    let server = Server::new();
    server.run(0, |io| {
        io.wake_after(std::time::Duration::from_millis(50), Ticket(1));
        io.wake_after(std::time::Duration::from_millis(20), Ticket(2));
    });
    server.advance(19);
    assert!(server.told().woken.is_empty());
    server.advance(1);
    assert_eq!(server.told().woken, [2]);
    server.advance(30);
    assert_eq!(server.told().woken, [2, 1]);
}
