//! Which source of the configuration wins, and what each of them refuses.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use tidegate::config::{
    BackendSocket, Checked, Config, Machine, Problem, check_file, flags, load, reference, schema,
};
use tidegate_core::options::{BackendOptions, CorsOptions, Options};

fn machine() -> Machine {
    Machine { cpus: vec![0, 1, 4, 5] }
}

/// A file with this text, which is gone with the first of the pair.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tidegate.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Checks flags alone, given as option and words.
fn with_flags(given: &[(&'static str, &[&str])]) -> Result<Checked, Vec<Problem>> {
    let owned: Vec<_> = given
        .iter()
        .map(|(key, words)| (*key, words.iter().map(|w| w.to_string()).collect::<Vec<_>>()))
        .collect();
    let layer = flags(owned.iter().map(|(key, words)| (*key, words.as_slice())));
    load(None, [], [layer], &machine())
}

fn complaints(result: Result<Checked, Vec<Problem>>) -> Vec<String> {
    result.expect_err("something is wrong with it").iter().map(ToString::to_string).collect()
}

fn defaults() -> Config {
    load(None, [], [], &machine()).unwrap().config
}

#[test]
fn without_any_source_the_defaults_are_those_of_socket_io() {
    let config = defaults();
    assert_eq!(format!("{:?}", config.options), format!("{:?}", Options::default()));
    assert_eq!(config.listen, ["127.0.0.1:3000".parse().unwrap()]);
    assert_eq!(config.cores, [0, 1, 4, 5]);
    assert_eq!((config.app, config.admin, config.client_dir, config.pages), (None, None, None, None));
    assert_eq!(config.backend_socket, BackendSocket::at("/run/tidegate/backend.sock"));
    assert_eq!(config.backend, BackendOptions::default());
    assert_eq!((config.max_connections, config.require_io_uring), (None, false));
}

#[test]
fn the_default_file_passes_the_check_and_changes_nothing() {
    let (_dir, path) = file(&reference::default_file());
    let checked = check_file(&path, &machine()).unwrap();
    assert_eq!(checked.warnings, [""; 0]);
    assert_eq!(format!("{:?}", checked.config), format!("{:?}", defaults()));
}

#[test]
fn the_default_file_has_every_option() {
    let table: toml::Table = reference::default_file().parse().unwrap();
    for setting in schema::SETTINGS {
        assert!(table[setting.section()].as_table().unwrap().contains_key(setting.name()), "{}", setting.key);
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let (_dir, path) =
        file("[socket_io]\nping_interval = '1s'\nping_timeout = '1s'\nupgrade_timeout = '1s'\n");
    let environment = environment(&[
        ("TIDEGATE_SOCKET_IO_PING_TIMEOUT", "2s"),
        ("TIDEGATE_SOCKET_IO_UPGRADE_TIMEOUT", "2s"),
        ("HOME", "/root"),
    ]);
    let early = flags([("socket_io.upgrade_timeout", ["3s".to_owned()].as_slice())]);
    let late = flags([("socket_io.upgrade_timeout", ["4s".to_owned()].as_slice())]);
    let options = load(Some(&path), environment, [early, late], &machine()).unwrap().config.options;
    let seconds =
        [options.ping_interval, options.ping_timeout, options.upgrade_timeout, options.connect_timeout];
    assert_eq!(seconds, [1, 2, 4, 45].map(Duration::from_secs));
}

#[test]
fn every_option_can_be_set_in_the_environment() {
    for setting in schema::SETTINGS {
        let words = setting.default.words().join(",");
        let environment = environment(&[(&setting.env(), &words)]);
        let config = load(None, environment, [], &machine()).expect(setting.key).config;
        assert_eq!(format!("{config:?}"), format!("{:?}", defaults()), "{}", setting.key);
    }
}

#[test]
fn every_complaint_says_where_the_value_was_written() {
    let (_dir, path) = file("[socket_io]\n\nping_interval = '25'\n");
    let lines = complaints(load(
        Some(&path),
        environment(&[("TIDEGATE_LIMITS_OUTBOX_BYTES", "lots")]),
        [flags([("server.app", ["chta".to_owned()].as_slice())])],
        &machine(),
    ));
    assert_eq!(
        lines,
        [
            "--app: \"chta\": this is one of none, chat, bench, conformance; the nearest is chat".to_owned(),
            format!(
                "{}:3: socket_io.ping_interval: \"25\": a duration needs a unit: 25s or 25ms",
                path.display()
            ),
            "TIDEGATE_LIMITS_OUTBOX_BYTES: \"lots\": a size is written in bytes, or like 64kB or 1MiB"
                .to_owned(),
        ]
    );
}

#[test]
fn unknown_names_in_the_file_and_in_the_environment_are_all_reported() {
    let (_dir, path) = file("[server]\nlisen = 3000\n");
    let lines =
        complaints(load(Some(&path), environment(&[("TIDEGATE_SERVER_APPP", "chat")]), [], &machine()));
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("2: server.lisen: no such option; the nearest is server.listen"), "{lines:?}");
    assert_eq!(lines[1], "TIDEGATE_SERVER_APPP: no such option; the nearest is TIDEGATE_SERVER_APP");
}

#[test]
fn cores_are_taken_from_those_the_process_may_use() {
    let cores = |words| with_flags(&[("server.cores", words)]).map(|checked| checked.config.cores);
    assert_eq!(cores(&["2"]).unwrap(), [0, 1]);
    assert_eq!(cores(&["4-5"]).unwrap(), [4, 5]);
    assert!(cores(&["5"]).is_err(), "only four are there");
    assert!(cores(&["2-2"]).is_err(), "CPU 2 belongs to somebody else");
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    for (given, complaint) in [
        (vec![("server.listen", &["80", "80"][..])], "--listen: 0.0.0.0:80 is listed twice"),
        (
            vec![("server.listen", &["127.0.0.1:80", "[::]:80", "80"])],
            "--listen: 127.0.0.1:80 is a part of 0.0.0.0:80, which is listed too",
        ),
        (vec![("server.listen", &[""])], "--listen: at least one address is needed"),
        (
            vec![("server.listen", &[":80"]), ("server.admin", &["80"])],
            "--admin: the clients' address; it needs one of its own",
        ),
        (
            vec![("socket_io.transports", &[","])],
            "--transports: at least one transport is needed: polling, websocket",
        ),
        (
            vec![("cors.credentials", &["true"])],
            "--cors-credentials: needs an origin to go with it: cors.origin",
        ),
        (
            vec![("cors.origin", &["*", "https://a.com"])],
            "--cors-origin: * already allows every origin: list it alone",
        ),
        (
            vec![("server.app", &["conformance"]), ("socket_io.path", &["/ws"])],
            "--path: the conformance app has another endpoint at /ws",
        ),
        (
            vec![("server.app", &["bench"]), ("backend.socket", &["/tmp/b.sock"])],
            "--backend-socket: no backend can dial in while --app is bench",
        ),
        (
            vec![("server.app", &["chat"]), ("server.pages", &["public"])],
            "--pages: the chat app has something of its own at /",
        ),
        (
            vec![("backend.socket_mode", &["rw"])],
            "--backend-socket-mode: \"rw\": permissions are written in octal: 0660",
        ),
        (
            vec![("socket_io.ping_interval", &["0s"])],
            "--ping-interval: \"0s\": a duration must be more than zero",
        ),
    ] {
        assert_eq!(complaints(with_flags(&given)), [complaint]);
    }
}

#[test]
fn an_app_does_not_go_with_a_backend_socket_that_somebody_asked_for() {
    let app = || flags([("server.app", ["bench".to_owned()].as_slice())]);
    let with_file = |text: &str| {
        let (_dir, path) = file(text);
        load(Some(&path), [], [app()], &machine())
    };
    // A file with every default has the default path, too, and asks for nothing.
    assert!(with_file(&reference::default_file()).is_ok());
    let lines = complaints(with_file("[backend]\nsocket = 'b.sock'\n"));
    assert!(
        lines[0].ends_with(":2: backend.socket: no backend can dial in while --app is bench"),
        "{lines:?}"
    );
    let variables = environment(&[("TIDEGATE_BACKEND_SOCKET", "/run/tidegate/backend.sock")]);
    let lines = complaints(load(None, variables, [app()], &machine()));
    assert_eq!(lines, ["TIDEGATE_BACKEND_SOCKET: no backend can dial in while --app is bench"]);
}

#[test]
fn port_zero_may_be_listed_twice_since_each_gets_a_port_of_its_own() {
    let listen = with_flags(&[("server.listen", &["127.0.0.1:0", "127.0.0.1:0"])]).unwrap().config.listen;
    assert_eq!(listen.len(), 2);
}

#[test]
fn what_is_hardly_meant_is_a_warning() {
    let warned = |given: &[(&'static str, &[&str])], start: &str| {
        let warnings = with_flags(given).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(start), "{warnings:?}");
    };
    warned(&[("cors.origin", &["*"]), ("cors.credentials", &["true"])], "cors.credentials: ");
    warned(&[("limits.outbox_bytes", &["1kB"])], "limits.outbox_bytes (1000)");
    let hold = file("[backend]\nhold_bytes_per_socket = '2MiB'\nhold_bytes = '1MiB'\n");
    let warnings = check_file(&hold.1, &machine()).unwrap().warnings;
    assert!(warnings[0].starts_with("backend.hold_bytes (1048576)"), "{warnings:?}");
    warned(&[("socket_io.path", &["/"])], "socket_io.path: ");
    warned(&[("server.admin", &[":9300"])], "server.admin: ");
}

#[test]
fn cors_is_off_until_an_origin_is_listed() {
    let origins = ["https://a.com", "https://b.com"];
    let config = with_flags(&[("cors.origin", &origins), ("cors.credentials", &["true"])]).unwrap().config;
    let origins = origins.map(str::to_owned).to_vec();
    assert_eq!(config.options.cors, Some(CorsOptions { origins, credentials: true }));
    assert_eq!(defaults().options.cors, None);
}
