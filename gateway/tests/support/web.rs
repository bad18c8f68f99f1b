//! The least of HTTP and Socket.IO that a test in Rust needs. A peer that says nothing for too long fails the test.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

const WATCHDOG: Duration = Duration::from_secs(20);

/// A TCP connection to `http://HOST:PORT`.
pub(crate) fn connect(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").expect("the gateway speaks http");
    let stream = TcpStream::connect(address).expect("the gateway listens");
    stream.set_read_timeout(Some(WATCHDOG)).expect("the time is not zero");
    stream
}

/// Sends a GET as the last request of its connection.
pub(crate) fn request(mut stream: &TcpStream, target: &str) {
    let head = format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("the gateway reads");
}

/// The status and the body of the answer to [`request`].
pub(crate) fn answer(mut stream: &TcpStream) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the gateway answers and closes");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends with an empty line");
    let status = head.split(' ').nth(1).expect("the first line has a status");
    (status.parse().expect("a status is a number"), body.to_owned())
}

/// Both.
pub(crate) fn get(url: &str, target: &str) -> (u16, String) {
    let stream = connect(url);
    request(&stream, target);
    answer(&stream)
}

/// A client on WebSocket that has joined `/`.
pub(crate) struct Member(WebSocket<TcpStream>);

impl Member {
    /// Connects and joins.
    pub(crate) fn join(url: &str) -> Self {
        let target = format!("{}/socket.io/?EIO=4&transport=websocket", url.replacen("http", "ws", 1));
        let (socket, _) = tungstenite::client(target, connect(url)).expect("the gateway speaks WebSocket");
        let mut member = Self(socket);
        assert!(member.text().starts_with("0{"), "it opens a session");
        member.send("40");
        assert!(member.text().starts_with("40{"), "it lets us join");
        member
    }

    /// Sends one packet.
    pub(crate) fn send(&mut self, packet: &str) {
        self.0.send(packet.into()).expect("the gateway reads");
    }

    /// Sends an event that comes back, and waits for that.
    pub(crate) fn echo(&mut self, word: &str) {
        let event = format!(r#"42["echo","{word}"]"#);
        self.send(&event);
        assert_eq!(self.text(), event);
    }

    /// Waits for a ping, and answers it.
    pub(crate) fn ping(&mut self) {
        assert_eq!(self.packet(), "2");
        self.send("3");
    }

    /// The next packet that is no ping. Pings before it are answered.
    pub(crate) fn text(&mut self) -> String {
        loop {
            match self.packet() {
                ping if ping == "2" => self.send("3"),
                packet => return packet,
            }
        }
    }

    fn packet(&mut self) -> String {
        let message = self.0.read().expect("the gateway sends");
        message.into_text().expect("the gateway sends text").to_string()
    }

    /// Waits for the close frame, which must be the next that comes, and returns its code.
    pub(crate) fn closed(&mut self) -> Option<CloseCode> {
        match self.0.read().expect("the gateway says goodbye") {
            Message::Close(frame) => frame.map(|frame| frame.code),
            other => panic!("not a close frame: {other:?}"),
        }
    }
}
