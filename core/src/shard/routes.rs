//! What is served at which path, beside the engine.

use crate::front::assets::Assets;

/// The paths of one gateway; the same on every shard.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Files: the client bundles, the page of the chat app or those of a directory.
    pub assets: Assets,
    /// Whether the bare endpoints of the conformance app are open: Engine.IO that echoes at `/engine.io/`,
    /// WebSocket that echoes at `/ws`, and plain HTTP that echoes at `/`.
    pub bare_endpoints: bool,
}

/// Where the bare Engine.IO endpoint lives.
const BARE_ENGINE_PREFIX: &str = "/engine.io/";
/// Where the bare WebSocket endpoint lives.
const BARE_WEBSOCKET_PATH: &str = "/ws";

/// Who gets a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The engine, with Socket.IO on top.
    SocketIo,
    /// The engine, with nothing on top but an echo.
    BareEngine,
    /// An echo of WebSocket messages.
    BareWebSocket,
    /// An echo of request bodies.
    BareHttp,
    /// A file.
    Asset,
    /// Nobody.
    NotFound,
}

impl Routes {
    /// Finds who gets a request. `prefix` is the path of Socket.IO, with its slash (protocol.md 1.1).
    pub(super) fn find(&self, target: &str, prefix: &str) -> Route {
        if self.assets.find(target).is_some() {
            Route::Asset
        } else if target.starts_with(prefix) {
            Route::SocketIo
        } else if !self.bare_endpoints {
            Route::NotFound
        } else if target.starts_with(BARE_ENGINE_PREFIX) {
            Route::BareEngine
        } else {
            match crate::http::split_target(target).0 {
                BARE_WEBSOCKET_PATH => Route::BareWebSocket,
                "/" => Route::BareHttp,
                _ => Route::NotFound,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_owns_its_prefix_and_nothing_else() {
        let routes = Routes::default();
        for (target, route) in [
            ("/socket.io/?EIO=4", Route::SocketIo),
            ("/socket.io/x?EIO=4", Route::SocketIo),
            ("/socket.io?EIO=4", Route::NotFound),
            ("/socket.iox/", Route::NotFound),
            ("/", Route::NotFound),
            ("/ws", Route::NotFound),
            ("/engine.io/", Route::NotFound),
        ] {
            assert_eq!(routes.find(target, "/socket.io/"), route, "{target}");
        }
    }

    #[test]
    fn bare_endpoints_are_open_only_where_asked_for() {
        let routes = Routes { bare_endpoints: true, ..Routes::default() };
        for (target, route) in [
            ("/socket.io/?EIO=4", Route::SocketIo),
            ("/engine.io/?EIO=4", Route::BareEngine),
            ("/ws", Route::BareWebSocket),
            ("/ws?x", Route::BareWebSocket),
            ("/wsx", Route::NotFound),
            ("/?x", Route::BareHttp),
        ] {
            assert_eq!(routes.find(target, "/socket.io/"), route, "{target}");
        }
    }
}
