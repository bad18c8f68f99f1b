//! Messages between the applications of shards.

use crate::support::Server;
use crate::support::websocket::WebSocket;
use tidegate_core::id::ShardIndex;
use tidegate_core::socket_io::ArgsRef;

#[test]
fn what_is_told_is_in_order_with_what_is_done_to_sockets() {
    for shards in [1, 2] {
        let server = Server::sharded(shards);
        let home = shards - 1;
        let client = WebSocket::joined_on(&server, home);
        let socket = server.told().connected[0].0;
        server.run(0, move |io| {
            assert_eq!(io.shards(), shards);
            io.emit(socket, "1", ArgsRef::default());
            io.tell(ShardIndex(home), Box::new(socket));
            if home > 0 {
                io.emit(socket, "2", ArgsRef::default());
            }
        });
        let seen: &[&str] = if home > 0 {
            &["42[\"1\"]", "42[\"told\"]", "42[\"2\"]"]
        } else {
            &["42[\"1\"]", "42[\"told\"]"]
        };
        assert_eq!(client.take(), seen);
    }
}

#[test]
fn one_tells_oneself_after_the_current_call() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    let socket = server.told().connected[0].0;
    server.run(0, move |io| {
        io.tell(ShardIndex(0), Box::new(socket));
        io.emit(socket, "first", ArgsRef::default());
    });
    assert_eq!(client.take(), ["42[\"first\"]", "42[\"told\"]"]);
}

#[test]
fn a_message_says_who_sent_it_and_one_to_nobody_is_dropped() {
    let server = Server::sharded(3);
    server.run(2, |io| {
        for shard in [1, 2, 3, u16::MAX] {
            io.tell(ShardIndex(shard), Box::new(format!("to {shard}")));
        }
    });
    let mut messages = std::mem::take(&mut server.told().messages);
    messages.sort();
    assert_eq!(messages, [(2, "to 1".to_owned()), (2, "to 2".to_owned())]);
}
