//! A server process: how it is started, and where it listens.

use super::Common;
use super::process::{PATIENCE, Process};
use clap::ValueEnum;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use thiserror::Error;

/// The servers that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// The least a server can do here.
    Floor,
    /// The gateway.
    Tidegate,
    /// socketioxide.
    Oxide,
    /// Stock Node `socket.io` with `ws`.
    Node,
}

/// A server, or the application behind it, did not come up.
#[derive(Debug, Error)]
pub enum ServerError {
    /// It could not be started, or its output not be read.
    #[error("cannot start {0}: {1}")]
    Start(String, io::Error),
    /// It ended, or said something else.
    #[error("{0} ended, and did not say {1}")]
    Silent(String, &'static str),
    /// It still runs.
    #[error("{0} did not say {1} in time")]
    Late(String, &'static str),
}

impl Peer {
    /// Its name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Tidegate => "tidegate",
            Self::Oxide => "oxide",
            Self::Node => "node",
        }
    }

    /// What puts it on a core.
    pub(super) fn prefix(self, common: &Common, core: u32) -> Vec<String> {
        if self == Self::Node { common.node_prefix(core) } else { common.prefix(core) }
    }

    /// The command that starts it. `None` if it is not built.
    pub(super) fn program(self, bin_dir: &Path, node_dir: Option<&Path>) -> Option<Vec<OsString>> {
        let (file, before, after): (_, &[&str], &[&str]) = match self {
            Self::Floor | Self::Oxide => (bin_dir.join(self.name()), &[], &[]),
            Self::Tidegate => {
                let arguments = &["serve", "--listen", "127.0.0.1:0", "--cores", "1", "--app", "bench"];
                (bin_dir.join(self.name()), &[], arguments)
            }
            Self::Node => (node_dir?.join("node.mjs"), &["node"], &[]),
        };
        let words = before.iter().map(OsString::from).chain([file.clone().into_os_string()]);
        file.exists().then(|| words.chain(after.iter().map(OsString::from)).collect())
    }
}

/// A running server. It is killed when this is dropped.
pub(super) struct Server {
    process: Process,
    url: String,
}

impl Server {
    /// Starts `program` behind `prefix`, and waits until it listens.
    pub(super) fn start(prefix: &[String], program: &[OsString]) -> Result<Self, ServerError> {
        let name = program.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let process = Process::start(&name, super::command(prefix).args(program))?;
        let (_, url) = process.wait_for("where it listens", PATIENCE, url_of)?;
        Ok(Self { process, url })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn url_of(line: &str) -> Option<String> {
    let (_, address) = line.split_once("listening on http://")?;
    Some(format!("http://{}", address.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_where_it_listens_may_say_more_before() {
        assert_eq!(url_of("INFO listening on http://127.0.0.1:81\n").as_deref(), Some("http://127.0.0.1:81"));
        assert_eq!(url_of("backends connect to /run/x"), None);
    }
}
