//! Sessions, sockets and events by their names alone: closing a session, keys from anywhere, names as JSON.

use crate::support::Server;
use crate::support::polling::{Polling, packets};
use crate::support::websocket::WebSocket;
use std::time::Duration;
use tidegate_core::id::ShardIndex;
use tidegate_core::shard::app::{AckError, Rejection, SessionKey, SocketKey, Ticket};
use tidegate_core::socket_io::ArgsRef;

/// Has shard 0 close the session of the only socket there is.
fn close_session(server: &Server) {
    let socket = server.told().connected[0].0;
    let home = server.shards() - 1;
    let session = server.run(home, move |io| io.session(socket)).unwrap();
    assert_eq!(SessionKey::from_bytes(session.to_bytes()), session);
    server.run(0, move |io| io.close_session(session));
}

#[test]
fn a_session_that_is_closed_ends_without_a_disconnect_so_that_clients_come_back() {
    for shards in [1, 2] {
        let server = Server::sharded(shards);
        let client = WebSocket::joined_on(&server, shards - 1);
        client.say("40/admin,");
        close_session(&server);
        assert_eq!(client.take(), ["CLOSE 1005"]);
        assert_eq!(server.left(), ["/ forced close", "/admin forced close"]);

        let server = Server::sharded(shards);
        let client = Polling::joined_on(&server, shards - 1);
        let poll = client.get();
        close_session(&server);
        assert_eq!(packets(&poll), ["1"]);
        assert!(client.is_gone());
        assert_eq!(server.left(), ["/ forced close"]);

        let server = Server::sharded(shards);
        let client = Polling::joined_on(&server, shards - 1);
        close_session(&server);
        assert_eq!(server.left(), ["/ forced server close"]);
        assert_eq!(client.poll(), ["6", "1"]);
        assert!(client.is_gone());
        server.assert_nothing_leaks();
    }
}

#[test]
fn any_bytes_are_safe_to_use_as_a_key() {
    let server = Server::sharded(2);
    // So that the first key of all is stale.
    server.run(0, |_| {});
    let client = WebSocket::joined_on(&server, 1);
    let socket = server.told().connected[0].0;
    assert_eq!(SocketKey::from_bytes(socket.to_bytes()), socket);
    let mut forged =
        vec![[0; 10], [0xff; 10], *b"\0\0\0\0\0\0\0\0\x02\0", *b"\0\0\0\0\xff\xff\xff\xff\x01\0"];
    for place in 0..10 {
        for flip in [1, 0x80] {
            let mut bytes = socket.to_bytes();
            bytes[place] ^= flip;
            forged.push(bytes);
        }
    }
    let count = forged.len();
    server.run(0, move |io| {
        for bytes in forged {
            let key = SocketKey::from_bytes(bytes);
            io.emit(key, "x", ArgsRef::default());
            io.emit_with_ack(key, "x", ArgsRef::default(), Some(Duration::from_secs(1)), Ticket(1));
            io.reply_to(key, u64::MAX, ArgsRef::default());
            io.join(key, "room");
            io.leave(key, "room");
            io.set_data(key, "1".to_owned());
            io.hold_input(key);
            io.release_input(key);
            io.accept(key);
            io.reject(key, Rejection { message: String::new(), data: None });
            io.disconnect(key, true);
            io.close_session(SessionKey::from_bytes(bytes));
            assert_eq!((io.session(key), io.id(key), io.data(key)), (None, None, None));
            io.tell(ShardIndex(u16::from_le_bytes([bytes[8], bytes[9]]).max(2)), Box::new(()));
        }
    });
    server.advance(1_000);
    let answers = std::mem::take(&mut server.told().answers);
    assert_eq!(answers, vec![(1, Err(AckError::Disconnected)); count], "every question has its outcome");
    assert_eq!(client.take(), [""; 0]);
    assert_eq!(client.say(r#"42["echo",1]"#), [r#"42["echo",1]"#]);
}

#[test]
fn an_event_can_be_answered_by_its_numbers() {
    let server = Server::sharded(2);
    let client = WebSocket::joined_on(&server, 1);
    let socket = server.told().connected[0].0;
    client.send(r#"4217["question"]"#);
    server.run(0, move |io| io.reply_to(socket, 17, ArgsRef::trusted("true", &[])));
    assert_eq!(client.take(), ["4317[true]"]);
}

#[test]
fn a_name_goes_out_in_the_json_in_which_it_came() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    for event in [r#"42["raw\u0041\/",1]"#, r#"42["raw"]"#, "42[7.50,2]"] {
        assert_eq!(client.say(event), [event]);
    }
    let socket = server.told().connected[0].0;
    server.run(0, move |io| io.emit(socket, "say \"hi\"", ArgsRef::default()));
    assert_eq!(client.take(), [r#"42["say \"hi\""]"#]);
}
