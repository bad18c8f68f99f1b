//! A client that polls, each request on a connection of its own unless the test says otherwise.

use super::http::{self, Response};
use super::{Conn, Server};
use tidegate_core::id::{Id, RouteKey};

/// Where Socket.IO lives, and what its clients ask.
pub(crate) const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=polling";

/// One session on polling.
pub(crate) struct Polling {
    server: Server,
    pub(crate) sid: String,
    /// Target of its requests.
    pub(crate) target: String,
    /// Where its connections arrive.
    pub(crate) shard: u16,
}

impl Polling {
    /// Opens a session.
    pub(crate) fn open(server: &Server) -> Self {
        Self::open_at(server, HANDSHAKE, 0)
    }

    /// Opens a session at another target, on a shard.
    pub(crate) fn open_at(server: &Server, target: &str, shard: u16) -> Self {
        let conn = server.connect_to(shard);
        conn.send(http::get(target));
        let response = conn.response();
        assert_eq!(response.status, 200, "{response:?}");
        let sid = sid_of(response.text());
        assert_eq!(RouteKey::new([1, 2, 3, 4]).shard_of(Id::decode(&sid).unwrap(), 64).unwrap().0, shard);
        let target = format!("{target}&sid={sid}");
        Self { server: server.clone(), sid, target, shard }
    }

    /// Opens a session and joins `/`.
    pub(crate) fn joined(server: &Server) -> Self {
        Self::joined_on(server, 0)
    }

    /// Opens a session on a shard and joins `/`.
    pub(crate) fn joined_on(server: &Server, shard: u16) -> Self {
        let client = Self::open_at(server, HANDSHAKE, shard);
        assert_eq!(client.post("40").summary(), "200 ok");
        assert_eq!(client.poll(), [r#"40{"sid":"~"}"#]);
        client
    }

    /// The same client, whose connections now arrive at another shard.
    pub(crate) fn via(mut self, shard: u16) -> Self {
        self.shard = shard;
        self
    }

    /// Starts a GET.
    pub(crate) fn get(&self) -> Conn {
        self.start(http::get(&self.target))
    }

    /// Starts any request.
    pub(crate) fn start(&self, request: impl AsRef<[u8]>) -> Conn {
        let conn = self.server.connect_to(self.shard);
        conn.send(request);
        conn
    }

    /// A GET that is answered at once.
    pub(crate) fn poll(&self) -> Vec<String> {
        packets(&self.get())
    }

    /// A POST that is answered at once.
    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> Response {
        self.start(http::post(&self.target, body)).response()
    }

    /// Whether the server does not know the session any more.
    pub(crate) fn is_gone(&self) -> bool {
        let response = self.start(http::with_fields("PUT", &self.target, "")).response();
        match response.summary().as_str() {
            "500" => false,
            r#"400 {"code":1,"message":"Session ID unknown"}"# => true,
            other => panic!("{other}"),
        }
    }
}

/// The packets of the response to a poll, ids masked.
pub(crate) fn packets(conn: &Conn) -> Vec<String> {
    let response = conn.response();
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.field("content-type"), Some("text/plain; charset=UTF-8"));
    http::mask(response.text()).split('\u{1e}').map(ToOwned::to_owned).collect()
}

/// The `sid` of an open packet.
pub(crate) fn sid_of(open: &str) -> String {
    let (_, rest) = open.split_once("\"sid\":\"").expect("an open packet");
    rest[..20].to_owned()
}
