//! Backends as child processes: the behaviours app on one of the SDKs, attached to a gateway.

use super::child::{Lines, wait_for_exit};
use super::gateway::BINARY;
use super::script::folder;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// From the start of the process to its welcome.
const START: Duration = Duration::from_secs(30);
/// From SIGTERM to its end, when it has handed over its sockets.
const STOP: Duration = Duration::from_secs(10);

/// What a backend is written with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sdk {
    /// `app-stock.mjs`: the oracle itself, on `sdk/node`.
    Node,
    /// The example `behaviours` of `sdk/rust`.
    Rust,
}

impl Sdk {
    /// What `--backend` of the scripts is.
    pub(crate) fn program(self) -> String {
        match self {
            Self::Node => "node".to_owned(),
            Self::Rust => rust_example().display().to_string(),
        }
    }

    fn command(self) -> Command {
        let mut command = Command::new(self.program());
        if let Self::Node = self {
            command.arg("app-stock.mjs");
        }
        command
    }
}

/// Where cargo puts it: beside the binary, whatever the target folder and the profile are.
fn rust_example() -> PathBuf {
    let program = Path::new(BINARY).with_file_name("examples").join("behaviours");
    assert!(program.exists(), "{} is not there (scripts/setup builds it)", program.display());
    program
}

/// A backend that is attached. Dropping it kills it.
pub(crate) struct Backend {
    child: Child,
    said: Lines,
    _log: Lines,
}

impl Backend {
    /// Starts one of this name and returns when the gateway has welcomed it.
    pub(crate) fn start(sdk: Sdk, socket: &Path, name: &str) -> Self {
        let mut child = sdk
            .command()
            .arg("--backend")
            .arg(socket)
            .args(["--name", name])
            .current_dir(folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program is there (scripts/setup installs it)");
        let said = Lines::follow(child.stdout.take().expect("it is piped"));
        let log = Lines::follow(child.stderr.take().expect("it is piped"));
        let backend = Self { child, said, _log: log };
        backend.said.wait_for("welcome", START, |line| line.starts_with("attached to ").then_some(()));
        backend
    }

    /// Has it hand over its sockets and end, which it must do with 0.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("the backend is still there");
        let status = wait_for_exit(&mut self.child, STOP).expect("it ends within ten seconds of SIGTERM");
        assert_eq!(status.code(), Some(0), "{status}");
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
