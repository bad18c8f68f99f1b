//! What the gateway says of itself.

use serde::Deserialize;
use serde_json::Value;

/// The options of the gateway, as WELCOME names them. They are the gateway's to decide; an application may
/// want to compare them with what it expects.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Options {
    /// Milliseconds between two pings.
    pub ping_interval: u64,
    /// Milliseconds a client may take to answer a ping.
    pub ping_timeout: u64,
    /// Milliseconds an upgrade may take.
    pub upgrade_timeout: u64,
    /// Milliseconds a client may take to join a first namespace.
    pub connect_timeout: u64,
    /// Longest message, in bytes.
    pub max_http_buffer_size: u64,
    /// Where Socket.IO is served: `/socket.io/`.
    pub path: String,
    /// `polling`, `websocket`.
    pub transports: Vec<String>,
    /// Whether a client may go from polling to WebSocket.
    pub allow_upgrades: bool,
    /// The gateway itself: an object with a `version`.
    pub gateway: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_whatever_else_there_is() {
        let json = r#"{"pingInterval":25000,"maxHttpBufferSize":1000000,"transports":["polling"],"allowUpgrades":true,
            "gateway":{"version":"1"},"new":[]}"#;
        let options: Options = serde_json::from_str(json).unwrap();
        assert_eq!((options.ping_interval, options.max_http_buffer_size), (25_000, 1_000_000));
        assert_eq!(options.gateway["version"], "1");
        assert!(options.allow_upgrades);
    }
}
