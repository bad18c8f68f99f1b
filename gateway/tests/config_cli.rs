//! The command line as its users meet it: the real binary, what it prints and how it exits.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};
use tidegate::config::{reference, schema};

fn tidegate(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// The binary, in an environment without options.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env_clear().args(args);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_and_version_go_to_stdout_and_are_no_failure() {
    let help = tidegate(&["--help"]);
    assert!(help.status.success());
    for setting in schema::SETTINGS {
        if let Some(flag) = setting.flag {
            assert!(stdout(&help).contains(flag), "{flag}");
        }
    }
    let version = tidegate(&["--version"]);
    assert!(version.status.success());
    assert_eq!(stdout(&version), format!("tidegate {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_default_file_is_printed_and_is_fit_to_run() {
    let printed = tidegate(&["config", "default"]);
    assert_eq!(stdout(&printed), reference::default_file());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tidegate.toml");
    std::fs::write(&path, printed.stdout).unwrap();
    let checked = tidegate(&["config", "check", path.to_str().unwrap()]);
    assert_eq!(stdout(&checked), format!("{}: ok\n", path.display()));
    assert!(checked.status.success() && checked.stderr.is_empty());
}

#[test]
fn a_bad_file_fails_the_check_with_one_line_per_problem() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tidegate.toml");
    std::fs::write(&path, "[server]\nlisten = 'here'\napp = 'cat'\n").unwrap();
    let checked = tidegate(&["config", "check", path.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    let lines: Vec<_> = stderr(&checked).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].starts_with(&format!("tidegate: {}:2: server.listen: \"here\": ", path.display())),
        "{lines:?}"
    );
    assert!(lines[1].ends_with(
        ":3: server.app: \"cat\": this is one of none, chat, bench, conformance; the nearest is chat"
    ));
}

#[test]
fn a_bad_flag_variable_or_file_ends_the_start_with_one_line_and_code_2() {
    for (args, variable, line) in [
        (
            &["--ping-timeout", "20"][..],
            ("LANG", "C"),
            "tidegate: --ping-timeout: \"20\": a duration needs a unit: 20s or 20ms\n",
        ),
        (
            &["serve"],
            ("TIDEGATE_LISTEN", "80"),
            "tidegate: TIDEGATE_LISTEN: no such option; the nearest is TIDEGATE_SERVER_LISTEN\n",
        ),
        (
            &["--app", "bench"],
            ("TIDEGATE_CONFIG", "/nonexistent"),
            "tidegate: /nonexistent: cannot be read: No such file or directory (os error 2)\n",
        ),
    ] {
        let output = command(args).env(variable.0, variable.1).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(2), line), "{args:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn an_unknown_flag_is_answered_with_the_one_that_was_meant() {
    let output = tidegate(&["--ping-intervall", "3s"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("'--ping-interval'"), "{}", stderr(&output));
}

#[test]
fn flags_of_the_gateway_do_not_go_with_commands_about_files() {
    let output = tidegate(&["--app", "bench", "config", "default"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn flags_may_stand_before_and_after_serve() {
    // Both are read: the last one is wrong, and is the one complained about.
    let output = tidegate(&["--app", "bench", "serve", "--app", "cat"]);
    assert!(stderr(&output).starts_with("tidegate: --app: \"cat\": "), "{}", stderr(&output));
    let output = tidegate(&["--app", "cat", "serve", "--cors-credentials"]);
    assert!(stderr(&output).starts_with("tidegate: --app: \"cat\": "), "{}", stderr(&output));
}
