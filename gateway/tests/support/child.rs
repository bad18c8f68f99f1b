//! Child processes whose lines are shown with the test's output and can be waited for.
//!
//! Every wait is for an event, and ends with a watchdog that fails the test.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What a child prints: told line by line, and printed again as output of the test, which is shown if it fails.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    /// Reads a pipe to its end on a thread of its own.
    pub(crate) fn follow(pipe: impl Read + Send + 'static) -> Self {
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                println!("{line}");
                // Nobody may be left who wants to know; the pipe must be emptied all the same.
                let _gone = tell.send(line);
            }
        });
        Self(told)
    }

    /// The first thing `find` sees in a line from here on.
    pub(crate) fn wait_for<T>(&self, what: &str, within: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + within;
        loop {
            match self.0.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(found) = find(&line) {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("watchdog: no {what} in {within:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without saying {what}"),
            }
        }
    }

    /// All lines that are left, up to the end of the pipe.
    pub(crate) fn rest(&self) -> Vec<String> {
        self.0.iter().collect()
    }
}

/// Waits for the end of a child, but not longer than that.
pub(crate) fn wait_for_exit(child: &mut Child, within: Duration) -> Option<ExitStatus> {
    let pid = Pid::from_child(child);
    let ended = pidfd_open(pid, PidfdFlags::empty()).expect("a child that nobody waited for has a pid");
    let timeout = Timespec::try_from(within).expect("a watchdog's time is short");
    let ready = poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&timeout)).expect("polling a pidfd");
    (ready > 0).then(|| child.wait().expect("the child is ours"))
}
