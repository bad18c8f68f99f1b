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
use support::backend::Backend;
use support::backend::Sdk::{self, Node, Rust};
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

    socket_io_client_4_over_polling_with_three_rust_backends => javascript(Rust, "v4", "polling", 2, 3);
    socket_io_client_4_over_websocket_with_a_rust_backend => javascript(Rust, "v4", "websocket", 1, 1);
    socket_io_client_4_over_polling_then_upgrade_with_three_rust_backends => javascript(Rust, "v4", "upgrade", 2, 3);
    socket_io_client_3_over_websocket_with_a_rust_backend => javascript(Rust, "v3", "websocket", 2, 1);
    python_socketio_over_polling_with_three_rust_backends => python(Rust, "polling", 2, 3);
}

/// The same, for what needs the machine for itself (`.config/nextest.toml`).
mod crowds {
    use super::{Node, Rust, restart};

    tests! {
        two_thousand_clients_notice_nothing_when_the_node_backend_is_killed_and_started_again => restart(Node, 2000, "started again");
        clients_notice_nothing_when_the_rust_backend_is_killed_and_started_again => restart(Rust, 500, "started again");
        the_other_node_backend_takes_the_clients_of_one_that_is_killed => restart(Node, 500, "one of two");
        the_other_rust_backend_takes_the_clients_of_one_that_is_killed => restart(Rust, 500, "one of two");
        node_backends_are_replaced_one_by_one => restart(Node, 500, "backends are replaced");
        rust_backends_are_replaced_one_by_one => restart(Rust, 500, "backends are replaced");
        a_node_backend_drains_before_there_is_another => restart(Node, 500, "the only backend drains");
        a_rust_backend_drains_before_there_is_another => restart(Rust, 500, "the only backend drains");
        answers_find_who_asked_or_nobody_with_node_backends => restart(Node, 20, "answers to");
        answers_find_who_asked_or_nobody_with_rust_backends => restart(Rust, 20, "answers to");
        clients_of_a_backend_that_never_comes_back_are_closed_and_come_again => restart(Node, 500, "never comes back");
        nobody_suffers_from_a_node_backend_in_a_busy_loop => restart(Node, 400, "busy loop");
        nobody_suffers_from_a_rust_backend_in_a_busy_loop => restart(Rust, 400, "busy loop");
        node_backends_come_and_go_under_load => restart(Node, 300, "many times");
    }
}
