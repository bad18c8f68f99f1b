//! A server process: how it is started, where it listens, and that it is gone afterwards.

use clap::ValueEnum;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
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

/// A server did not come up.
#[derive(Debug, Error)]
pub enum ServerError {
    /// It could not be started, or its output not be read.
    #[error("cannot start {0}: {1}")]
    Start(String, io::Error),
    /// It ended, or said something else.
    #[error("{0} did not say where it listens")]
    Silent(String),
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

/// A running server. It is killed when this is dropped: how it stops is not what is measured.
pub(super) struct Server {
    process: Child,
    url: String,
    /// Open as long as it runs, so that what it prints does not kill it.
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts `program` behind `prefix`, and waits until it listens.
    pub(super) fn start(prefix: &[String], program: &[OsString]) -> Result<Self, ServerError> {
        let name = program.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let mut command = super::command(prefix);
        command.args(program).env("NODE_ENV", "production").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| ServerError::Start(name.clone(), error))?;
        let mut output = BufReader::new(process.stdout.take().expect("it was asked for"));
        let url = wait_for_url(&mut output);
        let mut server = Self { process, url: String::new(), _output: output };
        server.url =
            url.map_err(|error| ServerError::Start(name.clone(), error))?.ok_or(ServerError::Silent(name))?;
        Ok(server)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _nobody_to_tell = self.process.wait();
    }
}

/// `None` if it ends without saying it.
fn wait_for_url(output: &mut impl io::BufRead) -> io::Result<Option<String>> {
    for line in output.lines() {
        if let Some((_, url)) = line?.split_once("listening on http://") {
            return Ok(Some(format!("http://{}", url.trim())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_where_it_listens_may_come_after_others() {
        let mut output = &b"starting\nlistening on http://127.0.0.1:81\n"[..];
        assert_eq!(wait_for_url(&mut output).unwrap().as_deref(), Some("http://127.0.0.1:81"));
        assert_eq!(wait_for_url(&mut &b"error\n"[..]).unwrap(), None);
    }
}
