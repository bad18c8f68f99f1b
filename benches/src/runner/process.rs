//! A process of ours: what it prints, how long we wait for it, and that it is gone afterwards.

use super::server::ServerError;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take to say that it is ready.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// Between two looks at whether a process has ended.
const PAUSE: Duration = Duration::from_millis(10);

/// A running process. It is killed when this is dropped, and by the kernel (`setpriv --pdeathsig`, see
/// `Common::prefix`) when we are killed ourselves: how it stops is not what is measured.
pub(super) struct Process {
    name: String,
    child: Child,
    /// When it was started.
    pub(super) started: Instant,
    /// What it prints, and when.
    lines: Receiver<(Instant, String)>,
}

impl Process {
    /// Starts it. What it prints to stdout is for us; what it prints to stderr for the user, unless the command says otherwise.
    pub(super) fn start(name: &str, command: &mut Command) -> Result<Self, ServerError> {
        let failed = |error| ServerError::Start(name.to_owned(), error);
        command.env("NODE_ENV", "production").stdin(Stdio::null()).stdout(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().map_err(failed)?;
        let output = BufReader::new(child.stdout.take().expect("it was asked for"));
        let (lines, printed) = channel();
        // Before anything that can fail, so that the process has an owner who ends it.
        let process = Self { name: name.to_owned(), child, started, lines: printed };
        thread::Builder::new().spawn(move || pass_on(output, &lines)).map_err(failed)?;
        Ok(process)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it prints a line that `find` knows. Other lines are skipped.
    ///
    /// # Errors
    ///
    /// If it ends without, or has not after `patience`.
    pub(super) fn wait_for<T>(
        &self,
        what: &'static str,
        patience: Duration,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Result<(Instant, T), ServerError> {
        let deadline = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((at, line)) => {
                    if let Some(found) = find(&line) {
                        return Ok((at, found));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(ServerError::Late(self.name.clone(), what)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ServerError::Silent(self.name.clone(), what));
                }
            }
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    ///
    /// If it has not after `patience`.
    pub(super) fn end(&mut self, patience: Duration) -> Result<ExitStatus, ServerError> {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(PAUSE),
                Ok(None) => return Err(ServerError::Late(self.name.clone(), "goodbye")),
                Err(error) => return Err(ServerError::Start(self.name.clone(), error)),
            }
        }
    }

    /// What it has printed to stderr, if that is ours. Only for a process that has ended, and that prints little: less than a pipe
    /// holds.
    pub(super) fn complaints(&mut self) -> String {
        let mut text = Vec::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _as_far_as_it_goes = stderr.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Ends it at once (SIGKILL) and waits until it is gone.
    pub(super) fn kill(&mut self) {
        let _ended_already = self.child.kill();
        let _nobody_to_tell = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Until it ends; what nobody waits for is read all the same, so that printing does not stop it.
fn pass_on(output: BufReader<ChildStdout>, lines: &Sender<(Instant, String)>) {
    for line in output.lines() {
        let Ok(line) = line else { return };
        let _nobody_waits = lines.send((Instant::now(), line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        Process::start("sh", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn a_line_may_come_after_others() {
        let process = shell("echo starting; echo ready 7; exec sleep 60");
        let number = |line: &str| line.strip_prefix("ready ")?.parse::<u32>().ok();
        let (at, found) = process.wait_for("that it is ready", PATIENCE, number).unwrap();
        assert_eq!(found, 7);
        assert!(at >= process.started);
    }

    #[test]
    fn a_process_that_ends_without_a_word_is_not_waited_for() {
        let waited = shell("exit 3").wait_for("anything", PATIENCE, |_| Some(()));
        assert!(matches!(waited, Err(ServerError::Silent(_, "anything"))));
    }

    #[test]
    fn what_a_process_complains_about_can_be_read_when_it_has_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2; exit 2"]).stderr(Stdio::piped());
        let mut process = Process::start("sh", &mut command).unwrap();
        assert_eq!(process.end(PATIENCE).unwrap().code(), Some(2));
        assert_eq!(process.complaints(), "why\n");
    }

    #[test]
    fn a_process_that_says_nothing_is_late() {
        let waited = shell("exec sleep 60").wait_for("anything", Duration::ZERO, |_| Some(()));
        assert!(matches!(waited, Err(ServerError::Late(_, "anything"))));
    }
}
