//! What is kept of a session's first HTTP request (protocol.md 5.8). One allocation, read when asked for.

use crate::http::{Fields, query};
use serde_json::{Map, Value};
use std::fmt;
use std::net::SocketAddr;
use time::OffsetDateTime;

/// The first HTTP request of a session. Never changed by an upgrade.
#[derive(Clone)]
pub struct Handshake {
    address: SocketAddr,
    /// Milliseconds since the Unix epoch.
    issued: u64,
    /// The request target, then one line `name: value` a header field.
    text: Box<str>,
    url_bytes: u32,
}

impl Handshake {
    /// Keeps a request, its fields as Node shows them: see [`Fields::append_joined`].
    pub fn new(address: SocketAddr, issued: u64, url: &str, fields: &Fields<'_, '_>) -> Self {
        let mut text = Vec::with_capacity(url.len() + fields.bytes() + fields.len() * "\n: ".len());
        text.extend_from_slice(url.as_bytes());
        fields.append_joined(&mut text);
        // Once for all of it: field by field it costs more.
        let text = String::from_utf8(text).expect("a text and what is appended as UTF-8");
        let url_bytes = u32::try_from(url.len()).expect("targets are limited to a few KiB");
        Self { address, issued, text: text.into_boxed_str(), url_bytes }
    }

    /// The peer's address, as the socket has it (no proxy header).
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Milliseconds since the Unix epoch at which the request was read.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// The raw request target, query included.
    pub fn url(&self) -> &str {
        &self.text[..self.url_bytes as usize]
    }

    /// Header fields in the order received, names in lower case.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text[self.url_bytes as usize..].split('\n').filter_map(|line| line.split_once(": "))
    }

    /// The first field of this (lower-case) name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Whether the request came from a page of another origin (or could have).
    pub fn xdomain(&self) -> bool {
        self.field("origin").is_some()
    }

    /// The object an application sees as `socket.handshake`. `auth` is JSON text; `issued` is when the socket
    /// was created, in milliseconds since the Unix epoch.
    pub fn to_json(&self, auth: &str, issued: u64) -> String {
        let mut object = Map::new();
        let headers: Map<_, _> =
            self.fields().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        object.insert("headers".to_owned(), Value::Object(headers));
        object.insert("time".to_owned(), Value::String(javascript_date(self.issued)));
        object.insert("address".to_owned(), Value::String(self.address.ip().to_string()));
        object.insert("xdomain".to_owned(), Value::Bool(self.xdomain()));
        object.insert("secure".to_owned(), Value::Bool(false));
        object.insert("issued".to_owned(), Value::from(issued));
        object.insert("url".to_owned(), Value::String(self.url().to_owned()));
        let query: Map<_, _> = query::Query::new(query::split_target(self.url()).1)
            .map(|(key, value)| (key.into_owned(), Value::String(value.into_owned())))
            .collect();
        object.insert("query".to_owned(), Value::Object(query));
        let mut text = Value::Object(object).to_string();
        text.pop();
        text.push_str(",\"auth\":");
        text.push_str(auth);
        text.push('}');
        text
    }
}

impl fmt::Debug for Handshake {
    /// Shows who and which fields, but no value: cookies, tokens and queries are secrets, and end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields().map(|(name, _)| name).collect();
        f.debug_struct("Handshake")
            .field("address", &self.address)
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}

/// `Fri Nov 20 2026 08:47:38 GMT+0000 (Coordinated Universal Time)`, as `Date.prototype.toString` in UTC.
fn javascript_date(unix_millis: u64) -> String {
    let seconds = i64::try_from(unix_millis / 1000).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (weekday, month) = (date.weekday().to_string(), date.month().to_string());
    format!(
        "{} {} {:02} {} {:02}:{:02}:{:02} GMT+0000 (Coordinated Universal Time)",
        &weekday[..3],
        &month[..3],
        date.day(),
        date.year(),
        date.hour(),
        date.minute(),
        date.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake() -> Handshake {
        let fields: [(&str, &[u8]); 4] = [
            ("Host", b"example.test"),
            ("Cookie", b"a=1; b=2"),
            ("Accept", b"x: y"),
            ("X-Name", b"\xe9t\xe9"),
        ];
        let fields = fields.map(|(name, value)| httparse::Header { name, value });
        let address = "127.0.0.1:5000".parse().unwrap();
        let url = "/socket.io/?EIO=4&a=1&a=%20b";
        Handshake::new(address, 1_795_164_458_123, url, &Fields::new(&fields))
    }

    #[test]
    fn fields_keep_their_order() {
        let handshake = handshake();
        let names: Vec<_> = handshake.fields().map(|(name, _)| name).collect();
        assert_eq!(names, ["host", "cookie", "accept", "x-name"]);
        assert_eq!(handshake.field("accept"), Some("x: y"));
        assert!(!handshake.xdomain());
    }

    #[test]
    fn an_application_sees_what_node_would_show_it() {
        let json: Value = serde_json::from_str(&handshake().to_json("{\"token\":1}", 5)).unwrap();
        assert_eq!(json["headers"]["cookie"], "a=1; b=2");
        assert_eq!(json["headers"]["x-name"], "été");
        assert_eq!(json["time"], "Fri Nov 20 2026 08:47:38 GMT+0000 (Coordinated Universal Time)");
        assert_eq!(json["address"], "127.0.0.1");
        assert_eq!(json["query"]["a"], " b");
        assert_eq!(json["auth"]["token"], 1);
        assert_eq!(json["issued"], 5);
        assert_eq!(json["url"], "/socket.io/?EIO=4&a=1&a=%20b");
    }
}
