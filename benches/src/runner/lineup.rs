//! What is compared. A lineup is what clients take for one server: a process, or the gateway and an application behind it.

use super::Common;
use clap::ValueEnum;
use serde::Serialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What is compared, in the order of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lineup {
    /// The least a server can do here.
    Floor,
    /// The gateway with its own `--app bench`.
    Tidegate,
    /// The gateway and a backend of `sdk/rust`.
    TidegateRust,
    /// The gateway and a backend of `sdk/node`.
    TidegateNode,
    /// socketioxide on axum.
    Oxide,
    /// Bun with `socket.io` and the engine made for it.
    Bun,
    /// Node with `socket.io` and `eiows`.
    Eiows,
    /// Node with stock `socket.io` and `ws`.
    Node,
    /// `python-socketio` on uvicorn.
    Python,
}

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Floor,
    Ours,
    Peer,
}

/// How a process is started.
pub(super) struct Program {
    /// With what runs it, if it is a script.
    pub(super) words: Vec<OsString>,
    /// Without these files it cannot run.
    needs: Vec<PathBuf>,
    /// Its threads spin for each other: not under SCHED_FIFO.
    spins: bool,
}

impl Lineup {
    /// All of them.
    pub(super) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Tidegate => "tidegate",
            Self::TidegateRust => "tidegate-rust",
            Self::TidegateNode => "tidegate-node",
            Self::Oxide => "oxide",
            Self::Bun => "bun",
            Self::Eiows => "eiows",
            Self::Node => "node",
            Self::Python => "python",
        }
    }

    /// Its name for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Tidegate => "Tidegate",
            Self::TidegateRust => "Tidegate, Rust backend",
            Self::TidegateNode => "Tidegate, Node backend",
            Self::Oxide => "socketioxide",
            Self::Bun => "Bun, socket.io",
            Self::Eiows => "Node, socket.io, eiows",
            Self::Node => "Node, socket.io, ws",
            Self::Python => "python-socketio",
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Floor => Kind::Floor,
            Self::Tidegate | Self::TidegateRust | Self::TidegateNode => Kind::Ours,
            Self::Oxide | Self::Bun | Self::Eiows | Self::Node | Self::Python => Kind::Peer,
        }
    }

    /// Whether there is a process behind the gateway.
    pub(super) fn has_backend(self) -> bool {
        matches!(self, Self::TidegateRust | Self::TidegateNode)
    }

    /// What clients connect to. A gateway waits for backends at `socket`.
    pub(super) fn front(self, common: &Common, socket: &Path) -> Program {
        let gateway = |words: &str| {
            let words = format!("serve --listen 127.0.0.1:0 --cores 1 {words}");
            Program::binary(common.bin_dir.join("tidegate")).with(words.split(' '))
        };
        let peer = |file: &str| common.peers_dir.join(file);
        match self {
            Self::Floor | Self::Oxide => Program::binary(common.bin_dir.join(self.name())),
            Self::Tidegate => gateway("--app bench"),
            Self::TidegateRust | Self::TidegateNode => {
                gateway("--log-level warn --backend-socket").with([socket])
            }
            Self::Bun => {
                let bun = Program::binary(peer("bin/bun")).script(peer("bun.mjs"));
                Program { spins: true, ..bun }
            }
            Self::Eiows => Program::node(peer("eiows.mjs")),
            Self::Node => Program::node(peer("node.mjs")),
            Self::Python => Program::binary(peer("venv/bin/python")).script(peer("python/app.py")),
        }
    }

    /// The application behind the gateway, if there is one. It says when there have been `expected` sockets, unless that is 0.
    pub(super) fn backend(self, common: &Common, socket: &Path, expected: u32) -> Option<Program> {
        let program = match self {
            Self::TidegateRust => Program::binary(common.bin_dir.join("examples/bench")),
            Self::TidegateNode => Program::node(common.peers_dir.join("tidegate-node.mjs")),
            _ => return None,
        };
        Some(program.with(["--socket"]).with([socket]).with(["--expect", &expected.to_string()]))
    }

    /// Whether all of it is there.
    pub(super) fn is_built(self, common: &Common) -> bool {
        let nowhere = Path::new("");
        let backend = self.backend(common, nowhere, 0);
        self.front(common, nowhere).is_there() && backend.is_none_or(|backend| backend.is_there())
    }

    /// Those of them that are there; the user is told of the others.
    pub(super) fn built(wanted: &[Self], common: &Common) -> Vec<Self> {
        let is_built = |lineup: &&Self| {
            let built = lineup.is_built(common);
            if !built {
                eprintln!("bench: {} is not built, and left out", lineup.name());
            }
            built
        };
        wanted.iter().filter(is_built).copied().collect()
    }
}

impl Program {
    fn binary(file: PathBuf) -> Self {
        Self { words: vec![file.clone().into()], needs: vec![file], spins: false }
    }

    fn node(script: PathBuf) -> Self {
        Self { words: vec!["node".into()], needs: Vec::new(), spins: true }.script(script)
    }

    /// What it is to run.
    fn script(self, file: PathBuf) -> Self {
        let mut program = self.with([file.as_path()]);
        program.needs.push(file);
        program
    }

    fn with<W: Into<OsString>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// What puts it on a core.
    pub(super) fn prefix(&self, common: &Common, core: u32) -> Vec<String> {
        if self.spins { common.nice_prefix(core) } else { common.prefix(core) }
    }

    fn is_there(&self) -> bool {
        self.needs.iter().all(|file| file.exists())
    }
}
