//! A process that listens, and that clients connect to.

use super::common::command;
use super::process::{PATIENCE, Process};
use std::ffi::OsString;
use std::io;
use thiserror::Error;

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

/// A running server. It is killed when this is dropped.
pub(super) struct Server {
    process: Process,
    url: String,
    version: Option<String>,
}

impl Server {
    /// Starts `program` behind `prefix`, and waits until it listens.
    pub(super) fn start(prefix: &[String], program: &[OsString]) -> Result<Self, ServerError> {
        let name = program.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let process = Process::start(&name, command(prefix).args(program))?;
        let mut version = None;
        let (_, url) = process.wait_for("where it listens", PATIENCE, |line| {
            version = version.take().or_else(|| version_of(line));
            url_of(line)
        })?;
        Ok(Self { process, url, version })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Of what it is made, if it has said so.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

fn url_of(line: &str) -> Option<String> {
    let (_, address) = line.split_once("listening on http://")?;
    Some(format!("http://{}", address.trim()))
}

/// `version node 20.19.2, socket.io 4.8.4`
pub(super) fn version_of(line: &str) -> Option<String> {
    Some(line.strip_prefix("version ")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_where_it_listens_may_say_more_before() {
        assert_eq!(url_of("INFO listening on http://127.0.0.1:81\n").as_deref(), Some("http://127.0.0.1:81"));
        assert_eq!(url_of("backends connect to /run/x"), None);
    }

    #[test]
    fn a_server_says_its_version_before_it_says_where_it_listens() {
        let script =
            "echo starting; echo version a 1.2, b 3; echo listening on http://127.0.0.1:81; exec sleep 60";
        let server = Server::start(&["sh".into(), "-c".into()], &[script.into()]).unwrap();
        assert_eq!((server.version(), server.url()), (Some("a 1.2, b 3"), "http://127.0.0.1:81"));
    }
}
