//! Who plays: the gateway, an application behind it, or the stock server; each process on its CPU.

use super::rows::Alone;
use crate::runner::process::{PATIENCE, Process};
use crate::runner::server::{Peer, Server, ServerError};
use crate::runner::{BenchError, Common, command};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, process};

/// What is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lineup {
    /// Stock `socket.io` with `ws`, which is both.
    Stock,
    /// The gateway with its own `--app bench`.
    Embedded,
    /// The gateway and a backend of `sdk/node`.
    Node,
    /// The gateway and a backend of `sdk/rust`.
    Rust,
}

/// Who runs on which CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores {
    pub(super) gateway: u32,
    /// Also of the stock server, which is an application.
    pub(super) application: u32,
    pub(super) client: u32,
}

impl Cores {
    /// The first is the gateway's, whoever else is there. The stock server is with the load generator, where it is cheapest: it
    /// sends answers one by one, and on another CPU would wake a sleeping client with each.
    pub(super) fn share(lineup: Lineup, alone: Alone, first: u32, second: u32) -> Self {
        let (application, client) = match (lineup, alone) {
            (Lineup::Stock, _) => (first, first),
            (_, Alone::Application) => (second, first),
            (_, Alone::Gateway) => (second, second),
            (_, Alone::Client) => (first, second),
        };
        Self { gateway: first, application, client }
    }
}

impl Lineup {
    /// Its name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stock => "node",
            Self::Embedded => "tidegate",
            Self::Node => "tidegate-node",
            Self::Rust => "tidegate-rust",
        }
    }

    /// The head of its column.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Stock => "stock `socket.io`",
            Self::Embedded => "`--app bench`",
            Self::Node => "Node backend",
            Self::Rust => "Rust backend",
        }
    }

    /// Whether there is a process behind the gateway.
    pub(super) fn has_backend(self) -> bool {
        matches!(self, Self::Node | Self::Rust)
    }

    /// The file that runs as the application; for the gateway alone, its own.
    fn file(self, common: &Common) -> Option<PathBuf> {
        let file = match self {
            Self::Stock => common.node_dir.as_ref()?.join("node.mjs"),
            Self::Node => common.node_dir.as_ref()?.join("tidegate-node.mjs"),
            Self::Embedded => common.bin_dir.join("tidegate"),
            Self::Rust => common.bin_dir.join("examples/bench"),
        };
        file.exists().then_some(file)
    }

    pub(super) fn is_built(self, common: &Common) -> bool {
        let gateway = self == Self::Stock || Self::Embedded.file(common).is_some();
        gateway && self.file(common).is_some()
    }
}

/// A lineup that runs. Everything of it ends when this is dropped.
pub(super) struct Stage<'a> {
    lineup: Lineup,
    cores: Cores,
    common: &'a Common,
    /// Ends before the server, so that it has nothing to complain about.
    pub(super) backend: Option<Process>,
    /// The clients' server.
    pub(super) server: Server,
    socket: Socket,
}

impl<'a> Stage<'a> {
    /// Starts what the lineup needs, and waits until it serves. A backend will say when it has `expected` sockets.
    pub(super) fn open(
        common: &'a Common,
        lineup: Lineup,
        cores: Cores,
        expected: u32,
    ) -> Result<Self, BenchError> {
        let socket = Socket::new();
        let server = match lineup {
            Lineup::Stock => Self::alone(common, Peer::Node, cores.application)?,
            Lineup::Embedded => Self::alone(common, Peer::Tidegate, cores.gateway)?,
            Lineup::Node | Lineup::Rust => {
                let mut words = vec![common.bin_dir.join("tidegate").into_os_string()];
                words.extend(
                    "serve --listen 127.0.0.1:0 --cores 1 --log-level warn --backend-socket"
                        .split(' ')
                        .map(Into::into),
                );
                words.push(socket.path.clone().into_os_string());
                Server::start(&common.prefix(cores.gateway), &words)?
            }
        };
        let mut stage = Self { lineup, cores, common, server, backend: None, socket };
        if lineup.has_backend() {
            stage.start_backend(expected)?;
        }
        Ok(stage)
    }

    fn alone(common: &Common, peer: Peer, core: u32) -> Result<Server, BenchError> {
        let program = peer
            .program(&common.bin_dir, common.node_dir.as_deref())
            .ok_or(BenchError::Nothing("a server has disappeared"))?;
        Ok(Server::start(&peer.prefix(common, core), &program)?)
    }

    /// Starts the backend, a first one or the next, and returns how long it took from there until it was welcomed.
    pub(super) fn start_backend(&mut self, expected: u32) -> Result<Duration, BenchError> {
        let file = self.lineup.file(self.common).ok_or(BenchError::Nothing("a backend has disappeared"))?;
        let mut command: Command = if self.lineup == Lineup::Node {
            let mut node = command(&self.common.node_prefix(self.cores.application));
            node.arg("node");
            node
        } else {
            command(&self.common.prefix(self.cores.application))
        };
        command.arg(file).arg("--socket").arg(&self.socket.path).args(["--expect", &expected.to_string()]);
        let backend = Process::start(self.lineup.name(), &mut command)?;
        let (served, ()) =
            backend.wait_for("that it serves", PATIENCE, |line| (line == "serving").then_some(()))?;
        let took = served - backend.started;
        self.backend = Some(backend);
        Ok(took)
    }

    /// Waits until the backend has the sockets it expects; says since when, counted from its start, and how many of them it
    /// has adopted.
    pub(super) fn wait_for_all(&self, patience: Duration) -> Result<(Duration, u32), ServerError> {
        let backend = self.backend.as_ref().expect("only lineups with a backend are waited for");
        let (at, recovered) = backend.wait_for("that it has all sockets", patience, recovered_of_all)?;
        Ok((at - backend.started, recovered))
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
