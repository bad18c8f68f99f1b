//! What the simulation (`tests/simulation`) has found and no vector asks about, in its shortest form.

use crate::support::Server;
use crate::support::websocket::WebSocket;

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
