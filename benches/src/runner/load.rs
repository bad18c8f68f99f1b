//! The load generator as a process of ours.

use super::process::Process;
use super::{BenchError, Common};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

/// For a run to end by itself, from its start: the longest holds 10 000 clients for half a minute, and a slow server takes another
/// half to let them in.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// A load that goes on. It ends when this is dropped.
pub(super) struct Load<'a> {
    process: Process,
    common: &'a Common,
    what: String,
}

impl<'a> Load<'a> {
    /// Starts it on a core. `words` begin with the scenario; `what` is it called where something goes wrong.
    pub(super) fn start(
        common: &'a Common,
        core: u32,
        words: &[&str],
        what: &str,
    ) -> Result<Self, BenchError> {
        let mut command = common.load(core, words);
        command.stderr(Stdio::piped());
        let process = Process::start("the load generator", &mut command)?;
        Ok(Self { process, common, what: what.to_owned() })
    }

    /// Waits until it ends by itself, and returns its report.
    ///
    /// # Errors
    ///
    /// If it has not after `patience`, or could not do what it was told: then the error says why.
    pub(super) fn end(mut self, patience: Duration) -> Result<Value, BenchError> {
        let status = self.process.end(patience)?;
        let complaints = self.process.complaints();
        self.common.report(status, &self.what).map_err(|error| match error {
            BenchError::Load(what) => BenchError::Load(format!("{what}: {}", complaints.trim())),
            error => error,
        })
    }
}
