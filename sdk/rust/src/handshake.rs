//! The first HTTP request of a client, as applications know it.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// `socket.handshake` of the Socket.IO API.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
#[non_exhaustive]
pub struct Handshake {
    /// Header fields of the first request, names in lower case. A field that came several times is a list.
    pub headers: BTreeMap<String, Value>,
    /// When the socket was made, as JavaScript writes a date.
    pub time: String,
    /// The client's address, without the port.
    pub address: String,
    /// Whether the request came from a page of another origin.
    pub xdomain: bool,
    /// Whether the connection is encrypted.
    pub secure: bool,
    /// When the socket was made, in milliseconds since the Unix epoch.
    pub issued: u64,
    /// The request target, query included.
    pub url: String,
    /// The query of the request. A key that came several times is a list.
    pub query: BTreeMap<String, Value>,
    /// What the client sent with its CONNECT.
    pub auth: Value,
}

impl Handshake {
    /// A header field, by its name in lower case. `None` if there is none, or there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.as_str()
    }

    /// A value of the query. `None` if there is none, or there are several.
    pub fn query(&self, key: &str) -> Option<&str> {
        self.query.get(key)?.as_str()
    }
}

/// A client was refused at its first HTTP request: see
/// [`Builder::on_connection_error`](crate::Builder::on_connection_error).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionError<'a> {
    /// The error code of Engine.IO: 0 to 5.
    pub code: u8,
    /// What the client was told.
    pub message: &'a str,
    handshake: &'a str,
}

impl<'a> ConnectionError<'a> {
    pub(crate) fn new(code: u8, message: &'a str, handshake: &'a str) -> Self {
        Self { code, message, handshake }
    }

    /// The request, without `auth`. Parsed each time.
    pub fn request(&self) -> Handshake {
        serde_json::from_str(self.handshake).unwrap_or_default()
    }
}

/// The part of a handshake that [`auth`] reads.
#[derive(Deserialize)]
struct OnlyAuth<'a> {
    #[serde(borrow)]
    auth: &'a RawValue,
}

/// `auth` of a handshake as a `T`, without parsing the rest.
pub(crate) fn auth<T: DeserializeOwned>(json: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(auth_json(json)?)
}

/// The JSON text of `auth` in a handshake.
pub(crate) fn auth_json(json: &str) -> Result<&str, serde_json::Error> {
    serde_json::from_str::<OnlyAuth<'_>>(json).map(|handshake| handshake.auth.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"headers":{"host":"a","x":["1","2"]},"time":"T","address":"::1","xdomain":false,
        "secure":true,"issued":5,"url":"/socket.io/?EIO=4","query":{"EIO":"4"},"auth":{"token":"t"},"new":1}"#;

    #[test]
    fn a_handshake_has_the_fields_of_the_socket_io_api() {
        let handshake: Handshake = serde_json::from_str(JSON).unwrap();
        assert_eq!(handshake.header("host"), Some("a"));
        assert_eq!(handshake.header("x"), None);
        assert_eq!(handshake.query("EIO"), Some("4"));
        assert_eq!((handshake.secure, handshake.issued), (true, 5));
    }

    #[test]
    fn auth_is_read_alone() {
        let token: BTreeMap<String, String> = auth(JSON).unwrap();
        assert_eq!(token["token"], "t");
        assert_eq!(auth_json(JSON).unwrap(), r#"{"token":"t"}"#);
        assert!(auth::<u8>(JSON).is_err());
        assert!(auth::<u8>("{}").is_err());
    }

    #[test]
    fn a_handshake_that_lacks_something_is_still_one() {
        assert_eq!(serde_json::from_str::<Handshake>("{}").unwrap(), Handshake::default());
    }
}
