//! A process that is watched while a run goes on.

use crate::clock::{self, Nanos, SECOND};
use crate::process::{Process, Usage};
use std::io;

/// Two moments closer than this share a sample.
const SAMPLES_APART: Nanos = SECOND / 200;

/// A process, and what it had used at some moments, in their order. The first is before the first connection.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    process: Process,
    /// How it was started, for the report. It may be gone by then.
    pub(crate) command_line: String,
    pub(crate) samples: Vec<Usage>,
    /// When every client had joined or failed.
    pub(crate) connected: Usage,
    /// It can no longer be read. It may have been stopped on purpose, and started again as another process.
    is_gone: bool,
}

impl Watched {
    /// Takes the sample before the first connection. An error means that it is not there, or not ours to read.
    pub(super) fn begin(pid: u32) -> io::Result<Self> {
        let process = Process::new(pid);
        let before = process.sample()?;
        let command_line = process.command_line();
        Ok(Self { process, command_line, samples: vec![before.clone()], connected: before, is_gone: false })
    }

    /// Samples it now, if it is still there.
    pub(super) fn sample(&mut self) {
        let is_recent = |last: &Usage| clock::now() - last.at < SAMPLES_APART;
        if self.is_gone || self.samples.last().is_some_and(is_recent) {
            return;
        }
        match self.process.sample() {
            Ok(usage) => self.samples.push(usage),
            Err(_) => self.is_gone = true,
        }
    }

    /// Every client has joined or failed.
    pub(super) fn connected(&mut self) {
        self.sample();
        if let Some(last) = self.samples.last() {
            self.connected = last.clone();
        }
    }

    /// Before the first connection.
    pub(crate) fn before(&self) -> &Usage {
        &self.samples[0]
    }
}
