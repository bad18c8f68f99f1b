//! A lineup that runs: its processes, each on its CPU.

use super::common::command;
use super::lineup::{Kind, Lineup};
use super::process::{PATIENCE, Process};
use super::server::{Server, ServerError, version_of};
use super::{BenchError, Common};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, process};

/// Who runs on which CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores {
    /// What clients connect to.
    pub(super) front: u32,
    /// The application behind it, if there is one.
    pub(super) backend: u32,
    /// The load generator.
    pub(super) client: u32,
}

/// A lineup that runs. Everything of it ends when this is dropped.
pub(super) struct Stage<'a> {
    lineup: Lineup,
    cores: Cores,
    common: &'a Common,
    /// Ends before the front, so that it has nothing to complain about.
    backend: Option<Process>,
    front: Server,
    /// What the backend is made of, if it has said so.
    backend_version: Option<String>,
    socket: Socket,
}

impl<'a> Stage<'a> {
    /// Starts what the lineup needs, and waits until it serves. A backend will say when it has `expected` sockets, unless that
    /// is 0.
    pub(super) fn open(
        common: &'a Common,
        lineup: Lineup,
        cores: Cores,
        expected: u32,
    ) -> Result<Self, BenchError> {
        let socket = Socket::new();
        let program = lineup.front(common, &socket.path);
        let front = Server::start(&program.prefix(common, cores.front), &program.words)?;
        let mut stage = Self { lineup, cores, common, backend: None, front, backend_version: None, socket };
        if lineup.has_backend() {
            stage.start_backend(expected)?;
        }
        Ok(stage)
    }

    /// Starts the backend, a first one or the next, and returns how long it took from there until it was welcomed.
    pub(super) fn start_backend(&mut self, expected: u32) -> Result<Duration, BenchError> {
        let program = self.lineup.backend(self.common, &self.socket.path, expected);
        let program = program.expect("only lineups with a backend are asked for one");
        let prefix = program.prefix(self.common, self.cores.backend);
        let backend = Process::start(self.lineup.name(), command(&prefix).args(program.words))?;
        let mut version = None;
        let (served, ()) = backend.wait_for("that it serves", PATIENCE, |line| {
            version = version.take().or_else(|| version_of(line));
            (line == "serving").then_some(())
        })?;
        let took = served - backend.started;
        self.backend_version = version;
        self.backend = Some(backend);
        Ok(took)
    }

    /// Ends the backend (SIGKILL), as a crash would.
    pub(super) fn kill_backend(&mut self) {
        if let Some(backend) = &mut self.backend {
            backend.kill();
        }
    }

    /// Waits until the backend has the sockets it expects; says since when, counted from its start, and how many of them it
    /// has adopted.
    pub(super) fn wait_for_all(&self, patience: Duration) -> Result<(Duration, u32), ServerError> {
        let backend = self.backend.as_ref().expect("only lineups with a backend are waited for");
        let (at, recovered) = backend.wait_for("that it has all sockets", patience, recovered_of_all)?;
        Ok((at - backend.started, recovered))
    }

    /// Where clients connect, and whose use of CPU and memory is watched: arguments of the load generator.
    pub(super) fn arguments(&self) -> Vec<String> {
        let (url, pid) = (self.front.url().to_owned(), self.front.pid().to_string());
        let mut words = vec!["--url".into(), url, "--server-pid".into(), pid];
        if let Some(backend) = &self.backend {
            words.extend(["--backend-pid".into(), backend.pid().to_string()]);
        }
        words
    }

    /// Of what it is made: `tidegate 0.1.0, node 20.19.2, socket.io 4.8.4`. Empty if nobody has said so.
    pub(super) fn version(&self) -> String {
        // The gateway is of this workspace, as we are, and prints nothing that it need not.
        let ours =
            (self.lineup.kind() == Kind::Ours).then_some(concat!("tidegate ", env!("CARGO_PKG_VERSION")));
        let said = self.front.version().into_iter().chain(self.backend_version.as_deref());
        ours.into_iter().chain(said).collect::<Vec<_>>().join(", ")
    }
}

/// `all 10000 sockets, 10000 recovered`
fn recovered_of_all(line: &str) -> Option<u32> {
    let (_, recovered) = line.strip_prefix("all ")?.split_once(" sockets, ")?;
    recovered.strip_suffix(" recovered")?.parse().ok()
}

/// Where the backend socket of one stage is. A gateway that is killed leaves it behind.
struct Socket {
    path: PathBuf,
}

impl Socket {
    fn new() -> Self {
        static STAGES: AtomicU32 = AtomicU32::new(0);
        let stage = STAGES.fetch_add(1, Ordering::Relaxed);
        Self { path: env::temp_dir().join(format!("tidegate-bench-{}-{stage}.sock", process::id())) }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _never_made = fs::remove_file(&self.path);
        let _never_made = fs::remove_file(self.path.with_extension("sock.lock"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_says_how_many_sockets_it_has_adopted() {
        assert_eq!(recovered_of_all("all 10000 sockets, 9998 recovered"), Some(9998));
        assert_eq!(recovered_of_all("serving"), None);
    }
}
