//! What a crowd, and hostile input, do to a gateway: nothing that lasts.
//!
//! These tests need the machine for themselves (`.config/nextest.toml`).

mod support {
    pub(crate) mod child;
    pub(crate) mod gateway;
    pub(crate) mod script;
}

use std::fs;
use std::time::{Duration, Instant};
use support::gateway::Gateway;
use support::script::{check, client_dir};

const WATCHDOG: Duration = Duration::from_secs(280);
/// From the end of the clients to the end of their last connection.
const SETTLE: Duration = Duration::from_secs(30);

fn start(cores: &str) -> Gateway {
    Gateway::start(&["--app", "conformance", "--cores", cores, "--client-dir", &client_dir()])
}

/// How many file descriptors it has open.
fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is there").count()
}

#[test]
fn three_thousand_clients_at_once_are_served_on_two_cores() {
    let gateway = start("2");
    check(&["many.mjs", &gateway.url, "3000"], WATCHDOG);
    gateway.stop();
}

#[test]
fn sessions_do_not_care_which_core_their_requests_land_on() {
    let gateway = start("2");
    check(&["cross-core.mjs", &gateway.url, "1000"], WATCHDOG);
    gateway.stop();
}

#[test]
fn hostile_input_disturbs_nobody_and_leaves_nothing_behind() {
    let mut gateway = start("2");
    let before = open_files(gateway.child.id());
    let pid = gateway.child.id().to_string();
    check(&["hostile.mjs", &gateway.url, "--inputs", "100000", "--pid", &pid], WATCHDOG);
    // The suite has looked at the memory. Descriptors return when the gateway has seen the last connection end.
    let until = Instant::now() + SETTLE;
    while open_files(gateway.child.id()) > before {
        assert!(
            Instant::now() < until,
            "{} descriptors are left of {before}",
            open_files(gateway.child.id())
        );
        let ended = gateway.wait_for_exit(Duration::from_millis(50));
        assert!(ended.is_none(), "the gateway ended: {ended:?}");
    }
    gateway.stop();
}
