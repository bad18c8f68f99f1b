//! What the simulation (`tests/simulation`) has found and no vector asks about, in its shortest form.

use crate::support::Server;
use crate::support::websocket::WebSocket;
use tidegate_core::shard::app::{AckError, Rejection, Ticket};
use tidegate_core::socket_io::ArgsRef;

#[test]
fn a_client_may_leave_a_namespace_and_ask_for_it_again_in_one_breath() {
    let server = Server::new();
    let client = WebSocket::joined(&server);
    client.send_all(&["41", "40"]);
    assert_eq!(client.take(), [r#"40{"sid":"~"}"#]);
    assert_eq!(server.left(), ["/ client namespace disconnect"]);
    // S11, in one breath: what it says behind its goodbye breaks the protocol.
    client.send_all(&["41", "42[\"a\"]"]);
    assert_eq!(client.take(), ["CLOSE 1005"]);
}

#[test]
fn whoever_waits_for_a_socket_that_is_not_let_in_after_all_is_told() {
    let server = Server::new();
    let client = WebSocket::open(&server);
    client.send("40/later,");
    let socket = server.told().waiting[0];
    server.run(0, move |io| {
        io.emit_with_ack(socket, "early", ArgsRef::default(), None, Ticket(5));
        io.reject(socket, Rejection { message: "no".to_owned(), data: None });
    });
    assert_eq!(server.told().answers, [(5, Err(AckError::Disconnected))]);
}
