//! The real binary as a child process: on a port of the kernel's choosing, and ended by its pid.

use super::child::{Lines, wait_for_exit};
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");
/// From the start of the process to its address.
const START: Duration = Duration::from_secs(60);
/// From SIGTERM to the end of the process: what the gateway promises.
const STOP: Duration = Duration::from_secs(10);

/// A gateway that serves. Dropping it kills it.
pub(crate) struct Gateway {
    /// Its process.
    pub(crate) child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// What it says about itself (as JSON, because this is no terminal).
    pub(crate) log: Lines,
}

impl Gateway {
    /// Starts a gateway with these flags and returns when it serves.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_through(&[], flags)
    }

    /// Starts it through a program that changes something and then becomes the gateway (`exec`).
    pub(crate) fn start_through(wrapper: &[&str], flags: &[&str]) -> Self {
        let mut child = command(wrapper, flags)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the gateway has been built");
        let out = Lines::follow(child.stdout.take().expect("it is piped"));
        let log = Lines::follow(child.stderr.take().expect("it is piped"));
        // It is ended with this, also if it never has an address.
        let mut gateway = Self { child, url: String::new(), log };
        gateway.url =
            out.wait_for("address", START, |line| line.strip_prefix("listening on ").map(str::to_owned));
        gateway
    }

    /// Asks it to stop.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the gateway is still there");
    }

    /// Whether it ends within that time, and how.
    pub(crate) fn wait_for_exit(&mut self, within: Duration) -> Option<ExitStatus> {
        wait_for_exit(&mut self.child, within)
    }

    /// Ends it as an operator would. It must exit with 0 in good time, and have logged no error.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait_for_exit(STOP).expect("it ends within ten seconds of SIGTERM");
        assert_eq!(status.code(), Some(0), "{status}");
        let errors: Vec<_> = self.log.rest().into_iter().filter(|line| is_error(line)).collect();
        assert!(errors.is_empty(), "the gateway logged errors: {errors:#?}");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The command that runs the gateway with these flags alone, whatever the environment says.
fn command(wrapper: &[&str], flags: &[&str]) -> Command {
    let words: Vec<&str> = [wrapper, &[BINARY], flags].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDEGATE_") {
            command.env_remove(name);
        }
    }
    command
}

fn is_error(line: &str) -> bool {
    line.contains(r#""level":"ERROR""#) || line.contains("panicked at")
}
