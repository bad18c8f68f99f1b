//! Real clients against the real gateway: the stock ones of three languages, a browser, and plain bytes.
//!
//! The suites are in `tests/clients` (BEHAVIOURS.md says what they expect); `scripts/setup` installs what they need.
//! Every test has a gateway of its own, on one core or on two.

#[path = "support"]
mod support {
    pub(crate) mod child;
    pub(crate) mod gateway;
    pub(crate) mod script;
}

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use support::gateway::{BINARY, Gateway};
use support::script::{check, client_dir, folder, passes, run};

/// No suite here takes longer, by far.
const WATCHDOG: Duration = Duration::from_secs(180);

/// Starts a gateway with the conformance app, lets `suite` talk to it, and ends it.
fn against(cores: &str, flags: &[&str], suite: impl FnOnce(&str)) {
    let client_dir = client_dir();
    let common = ["--app", "conformance", "--cores", cores, "--client-dir", &client_dir];
    let gateway = Gateway::start(&[&common, flags].concat());
    suite(&gateway.url);
    gateway.stop();
}

/// The stock JavaScript client, version 4 or 3.
fn javascript(version: &str, transport: &str, cores: &str) {
    against(cores, &[], |url| {
        let args =
            ["behaviours.mjs", url, "--client", version, "--transport", transport, "--concurrency", "4"];
        check(&args, WATCHDOG);
    });
}

/// The asyncio client of python-socketio.
fn python(transport: &str, cores: &str) {
    against(cores, &[], |url| {
        passes(
            &folder().join(".venv/bin/python"),
            &["python_client.py", url, "--transport", transport],
            WATCHDOG,
        );
    });
}

/// The client of the crate rust_socketio.
fn rust(transport: &str, cores: &str) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rust-client/target/debug/rust-client");
    against(cores, &[], |url| passes(&program, &[url, "--transport", transport], WATCHDOG));
}

/// The wire vectors that hold with default options.
fn raw_vectors(cores: &str) {
    against(cores, &[], |url| check(&["raw.mjs", url, "--eio"], WATCHDOG));
}

/// The wire vectors of one profile, on a gateway with the flags it needs.
fn raw_profile(profile: &str) {
    let flags = &profiles()[profile];
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    for cores in ["1", "2"] {
        against(cores, &flags, |url| check(&["raw.mjs", url, "--profile", profile], WATCHDOG));
    }
}

/// The profiles there are, and the flags each needs.
fn profiles() -> BTreeMap<String, Vec<String>> {
    let said = run(Path::new("node"), &["raw.mjs", "--profiles"], WATCHDOG);
    serde_json::from_str(&said.concat()).expect("raw.mjs says it in JSON")
}

/// Clients of every kind, while the gateway is stopped, or killed, and started again.
fn restart(cores: &str) {
    let args = ["restart.mjs", "--", BINARY, "--app", "conformance", "--cores", cores];
    check(&args, WATCHDOG);
}

/// The stock client, on a gateway that had to fall back to epoll.
fn on_epoll(transport: &str) {
    let wrapper = ["python3", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/without_io_uring.py")];
    let gateway = Gateway::start_through(&wrapper, &["--app", "conformance", "--cores", "2"]);
    check(&["behaviours.mjs", &gateway.url, "--client", "v4", "--transport", transport], WATCHDOG);
    gateway.stop();
}

/// Two pages of the chat in a browser.
fn browser(cores: &str) {
    let client_dir = client_dir();
    let screenshots = screenshots(cores);
    let gateway = Gateway::start(&["--app", "chat", "--cores", cores, "--client-dir", &client_dir]);
    check(&["browser.mjs", &gateway.url, &screenshots], WATCHDOG);
    gateway.stop();
}

/// The command that runs a gateway with the Node chat behind it.
const DEMO: [&str; 2] = ["node", concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/demo.mjs")];

/// Two pages of the chat in a browser, served by a Node backend: the same page, and the same to its visitors.
fn browser_with_node() {
    let screenshots = screenshots("node");
    let gateway = Gateway::start_through(&DEMO, &[]);
    check(&["browser.mjs", &gateway.url, &screenshots], WATCHDOG);
    gateway.stop();
}

/// The demonstration, whose backend is killed and told to stop while two pages chat.
fn demo() {
    let screenshots = screenshots("demo");
    let gateway = [&DEMO[..], &[BINARY, "--listen", "127.0.0.1:0"]].concat();
    check(&[&["demo.mjs", &screenshots, "--"], &gateway[..]].concat(), WATCHDOG);
}

/// The Node example says what its events are, and the compiler of TypeScript agrees.
fn types() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/chat-node");
    run(Path::new(&format!("{example}/node_modules/.bin/tsc")), &["--project", example], WATCHDOG);
}

/// Where the screenshots of a test go.
fn screenshots(test: &str) -> String {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots").join(test).display().to_string()
}

/// The Node SDK's own tests, against a gateway of JavaScript that does what a test tells it.
fn node_sdk() {
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/node");
    let said = run(Path::new("npm"), &["test", "--silent", "--prefix", sdk], WATCHDOG);
    let passed = said.iter().find_map(|line| line.strip_prefix("# pass ")?.parse::<u32>().ok());
    assert!(passed > Some(200), "{passed:?} tests of the SDK passed");
}

/// One test per line: its name, and what it calls.
macro_rules! tests {
    ($($name:ident => $suite:expr;)*) => {
        $(#[test] fn $name() { $suite; })*
    };
}

tests! {
    socket_io_client_4_over_polling_behaves_on_one_core => javascript("v4", "polling", "1");
    socket_io_client_4_over_polling_behaves_on_two_cores => javascript("v4", "polling", "2");
    socket_io_client_4_over_websocket_behaves_on_one_core => javascript("v4", "websocket", "1");
    socket_io_client_4_over_websocket_behaves_on_two_cores => javascript("v4", "websocket", "2");
    socket_io_client_4_over_polling_then_upgrade_behaves_on_one_core => javascript("v4", "upgrade", "1");
    socket_io_client_4_over_polling_then_upgrade_behaves_on_two_cores => javascript("v4", "upgrade", "2");
    socket_io_client_3_over_polling_behaves_on_one_core => javascript("v3", "polling", "1");
    socket_io_client_3_over_polling_behaves_on_two_cores => javascript("v3", "polling", "2");
    socket_io_client_3_over_websocket_behaves_on_one_core => javascript("v3", "websocket", "1");
    socket_io_client_3_over_websocket_behaves_on_two_cores => javascript("v3", "websocket", "2");
    socket_io_client_3_over_polling_then_upgrade_behaves_on_one_core => javascript("v3", "upgrade", "1");
    socket_io_client_3_over_polling_then_upgrade_behaves_on_two_cores => javascript("v3", "upgrade", "2");

    python_socketio_over_polling_behaves_on_one_core => python("polling", "1");
    python_socketio_over_polling_behaves_on_two_cores => python("polling", "2");
    python_socketio_over_websocket_behaves_on_one_core => python("websocket", "1");
    python_socketio_over_websocket_behaves_on_two_cores => python("websocket", "2");
    python_socketio_over_polling_then_upgrade_behaves_on_one_core => python("upgrade", "1");
    python_socketio_over_polling_then_upgrade_behaves_on_two_cores => python("upgrade", "2");

    rust_socketio_over_polling_behaves_on_one_core => rust("polling", "1");
    rust_socketio_over_polling_behaves_on_two_cores => rust("polling", "2");
    rust_socketio_over_websocket_behaves_on_one_core => rust("websocket", "1");
    rust_socketio_over_websocket_behaves_on_two_cores => rust("websocket", "2");
    rust_socketio_over_polling_then_upgrade_behaves_on_one_core => rust("upgrade", "1");
    rust_socketio_over_polling_then_upgrade_behaves_on_two_cores => rust("upgrade", "2");

    raw_vectors_hold_on_one_core => raw_vectors("1");
    raw_vectors_hold_on_two_cores => raw_vectors("2");

    clients_come_back_to_a_gateway_that_was_started_again_on_one_core => restart("1");
    clients_come_back_to_a_gateway_that_was_started_again_on_two_cores => restart("2");

    socket_io_client_4_over_polling_behaves_on_epoll => on_epoll("polling");
    socket_io_client_4_over_websocket_behaves_on_epoll => on_epoll("websocket");
    socket_io_client_4_over_polling_then_upgrade_behaves_on_epoll => on_epoll("upgrade");

    the_node_sdk_passes_its_own_tests => node_sdk();

    two_pages_of_a_browser_chat_with_each_other_on_one_core => browser("1");
    two_pages_of_a_browser_chat_with_each_other_on_two_cores => browser("2");
    two_pages_of_a_browser_chat_with_each_other_through_a_node_backend => browser_with_node();
    the_demo_goes_on_whatever_happens_to_its_backend => demo();
    the_types_of_the_node_example_hold => types();
}

/// One test per profile of `clients/raw/profiles.mjs`.
macro_rules! profiles {
    ($($name:ident => $profile:literal;)*) => {
        $(#[test] fn $name() { raw_profile($profile); })*

        #[test]
        fn every_profile_of_the_raw_vectors_has_a_test() {
            let names: Vec<_> = profiles().into_keys().collect();
            assert_eq!(names, BTreeSet::from([$($profile.to_owned()),*]).into_iter().collect::<Vec<_>>());
        }
    };
}

profiles! {
    clients_that_fall_silent_are_noticed_by_the_heartbeat => "heartbeat";
    upgrades_that_stall_are_given_up => "upgrade-timeout";
    clients_that_join_nothing_are_closed => "connect-timeout";
    payloads_are_limited_as_the_operator_says => "small";
    a_gateway_without_websocket_offers_none => "polling-only";
    a_gateway_without_polling_offers_none => "websocket-only";
    every_origin_may_be_allowed => "cors-any";
    one_origin_may_be_allowed => "cors-one";
    several_origins_may_be_allowed => "cors-list";
}
