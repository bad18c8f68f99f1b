//! The suites of `gateway/tests/clients`: scripts that talk to a gateway and say with their exit code how it went.

use super::child::{Lines, wait_for_exit};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a suite that is told to end may take to close what it has opened (a browser, say).
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Where the suites are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// The browser client that npm installed beside the suites.
pub(crate) fn client_dir() -> String {
    folder().join("node_modules/socket.io-client/dist").display().to_string()
}

/// Runs a suite in JavaScript. All it checks must hold.
pub(crate) fn check(args: &[&str], within: Duration) {
    passes(Path::new("node"), args, within);
}

/// Runs a suite. All it checks must hold, and it must have checked something.
pub(crate) fn passes(program: &Path, args: &[&str], within: Duration) {
    let said = run(program, args, within);
    let passed = said.iter().filter_map(|line| passed(line)).next_back();
    assert!(passed > Some(0), "{args:?} checked nothing");
}

/// Runs a program in the folder of the suites. It must exit with 0, and in time. Returns the lines of its output.
pub(crate) fn run(program: &Path, args: &[&str], within: Duration) -> Vec<String> {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(folder())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error} (scripts/setup installs it)", program.display()));
    let out = Lines::follow(child.stdout.take().expect("it is piped"));
    let _shown = Lines::follow(child.stderr.take().expect("it is piped"));
    let Some(status) = wait_for_exit(&mut child, within) else {
        let _ended = kill_process(Pid::from_child(&child), Signal::TERM);
        if wait_for_exit(&mut child, LAST_WORDS).is_none() {
            let _ended = child.kill();
            let _reaped = child.wait();
        }
        panic!("watchdog: {args:?} did not end in {within:?}");
    };
    assert!(status.success(), "{args:?}: {status}");
    out.rest()
}

/// The number in a closing line, `behaviours: 61 passed, 0 failed`.
fn passed(line: &str) -> Option<u32> {
    let (before, _) = line.split_once(" passed, ")?;
    before.rsplit(' ').next()?.parse().ok()
}
