//! Real clients against the gateway with real backends: the same behaviours as in `clients.rs`, through each SDK, and what
//! clients must not notice when backends come and go.
//!
//! The suites are in `tests/clients`; `scripts/setup` installs and builds what they need.

mod support {
    pub(crate) mod backend;
    pub(crate) mod child;
    pub(crate) mod gateway;
    pub(crate) mod script;
}

use std::time::Duration;
use support::backend::Sdk::{self, Node, Rust};
use support::backend::Backend;
use support::gateway::{BINARY, Gateway};
use support::script::{check, client_dir, folder, passes};

/// No suite here takes longer, by far.
const WATCHDOG: Duration = Duration::from_secs(240);

/// Starts a gateway on so many cores, with so many backends, lets `suite` talk to it, and ends them.
fn against(sdk: Sdk, cores: u8, backends: u8, suite: impl FnOnce(&str)) {
    let dir = tempfile::tempdir().expect("a folder for the socket");
    let socket = dir.path().join("b.sock");
    let gateway = Gateway::start(&[
        "--cores",
        &cores.to_string(),
        "--client-dir",
        &client_dir(),
        "--backend-socket",
        &socket.display().to_string(),
    ]);
    let backends: Vec<_> =
        (0..backends).map(|index| Backend::start(sdk, &socket, &format!("backend-{index}"))).collect();
    suite(&gateway.url);
    backends.into_iter().for_each(Backend::stop);
    gateway.stop();
}

/// The stock JavaScript client, version 4 or 3.
fn javascript(sdk: Sdk, version: &str, transport: &str, cores: u8, backends: u8) {
    against(sdk, cores, backends, |url| {
        let args =
            ["behaviours.mjs", url, "--client", version, "--transport", transport, "--concurrency", "4"];
        check(&args, WATCHDOG);
    });
}

/// The asyncio client of python-socketio.
fn python(sdk: Sdk, transport: &str, cores: u8, backends: u8) {
    against(sdk, cores, backends, |url| {
        passes(
            &folder().join(".venv/bin/python"),
            &["python_client.py", url, "--transport", transport],
            WATCHDOG,
        );
    });
}

/// A crowd of stock clients, half of them polling, while the backends suffer what the scenario says.
fn restart(sdk: Sdk, clients: u32, scenario: &str) {
    let (clients, program) = (clients.to_string(), sdk.program());
    let options = ["backend-restart.mjs", "--backend", &program, "--clients", &clients, "--only", scenario];
    check(&[&options[..], &["--", BINARY, "--cores", "2"]].concat(), WATCHDOG);
}

/// One test per line: its name, and what it calls.
macro_rules! tests {
    ($($name:ident => $suite:expr;)*) => {
        $(#[test] fn $name() { $suite; })*
    };
}

tests! {
    socket_io_client_4_over_websocket_with_a_node_backend => javascript(Node, "v4", "websocket", 1, 1);
    socket_io_client_4_over_polling_with_three_node_backends => javascript(Node, "v4", "polling", 2, 3);
    socket_io_client_4_over_polling_with_a_node_backend => javascript(Node, "v4", "polling", 2, 1);
    socket_io_client_4_over_websocket_with_three_node_backends => javascript(Node, "v4", "websocket", 2, 3);
    socket_io_client_4_over_polling_then_upgrade_with_three_node_backends => javascript(Node, "v4", "upgrade", 1, 3);
    socket_io_client_4_over_polling_then_upgrade_with_a_node_backend => javascript(Node, "v4", "upgrade", 2, 1);
    socket_io_client_3_over_polling_then_upgrade_with_three_node_backends => javascript(Node, "v3", "upgrade", 2, 3);
    python_socketio_over_websocket_with_three_node_backends => python(Node, "websocket", 2, 3);
}
