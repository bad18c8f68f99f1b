//! How the process ends when it is asked to, with a client that does not let go.
#![allow(clippy::unwrap_used, reason = "a test, its helpers included, may panic")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A gateway with a WebSocket client that will not answer a close.
fn gateway_with_a_stuck_client() -> (Child, TcpStream) {
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["--listen", "127.0.0.1:0", "--app", "bench", "--cores", "1"])
        .env("TIDEGATE_HTTP_LINGER_TIMEOUT", "1m")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(gateway.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("listening on http://").unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client
        .write_all(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n\
              upgrade: websocket\r\nsec-websocket-version: 13\r\n\
              sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    assert_ne!(client.read(&mut [0; 1024]).unwrap(), 0);
    (gateway, client)
}

fn terminate(gateway: &Child) {
    let pid = rustix::process::Pid::from_child(gateway);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[test]
fn a_signal_and_its_echo_stop_the_gateway_in_good_order() {
    let (mut gateway, client) = gateway_with_a_stuck_client();
    terminate(&gateway);
    terminate(&gateway);
    drop(client);
    assert_eq!(gateway.wait().unwrap().code(), Some(0));
}
