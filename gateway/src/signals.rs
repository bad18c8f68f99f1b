//! SIGTERM and SIGINT, as a queue that the main thread waits on.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::time::{Duration, Instant};

/// A signal that follows the first this closely is the same wish, told twice: `timeout` and process managers signal
/// the process and then its group, and a terminal signals both a wrapper that passes it on and us.
const SAME_WISH: Duration = Duration::from_millis(500);

/// The signals that ask the process to stop, once they have been caught.
#[derive(Debug)]
pub struct StopSignals(Signals);

impl StopSignals {
    /// Catches SIGTERM and SIGINT from now on: they no longer end the process by themselves.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the handler or the pipe behind it.
    pub fn catch() -> io::Result<Self> {
        Signals::new([SIGTERM, SIGINT]).map(Self)
    }

    /// Waits for the next signal.
    pub fn wait(&mut self) -> StopSignal {
        // The iterator ends only if its handle is closed, and nobody has one.
        StopSignal(self.0.forever().next().unwrap_or(SIGTERM))
    }

    /// Waits, on a thread of its own, for a signal that comes after the `first`: whoever asks twice does not want to
    /// wait. The process then ends at once, with [`StopSignal::exit_code`]. To be called right after the first one; the
    /// same signal within half a second is taken for its echo.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn end_the_process_at_the_next(mut self, first: StopSignal) -> io::Result<()> {
        let since = Instant::now();
        let wait = move || {
            let signal = loop {
                let signal = self.wait();
                if !signal.is_echo_of(first, since.elapsed()) {
                    break signal;
                }
            };
            tracing::warn!(signal = signal.name(), "asked twice to stop: stopping at once");
            std::process::exit(signal.exit_code());
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
    }
}

/// SIGTERM or SIGINT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopSignal(i32);

impl StopSignal {
    /// As it is called in `signal(7)`.
    pub fn name(self) -> &'static str {
        if self.0 == SIGINT { "SIGINT" } else { "SIGTERM" }
    }

    /// Whether it only repeats `first`, which came so long before: some who stop a process signal it and its group.
    fn is_echo_of(self, first: Self, later: Duration) -> bool {
        self == first && later < SAME_WISH
    }

    /// What a shell reports for a process that died of it: 130 or 143.
    pub fn exit_code(self) -> i32 {
        128 + self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_signal_at_once_is_an_echo_and_any_other_a_second_wish() {
        let (term, int) = (StopSignal(SIGTERM), StopSignal(SIGINT));
        assert!(term.is_echo_of(term, Duration::from_millis(1)));
        assert!(!int.is_echo_of(term, Duration::from_millis(1)));
        assert!(!term.is_echo_of(term, SAME_WISH));
    }

    #[test]
    fn signals_that_ask_to_stop_are_queued_instead_of_ending_the_process() {
        let mut signals = StopSignals::catch().unwrap();
        signal_hook::low_level::raise(SIGTERM).unwrap();
        let first = signals.wait();
        assert_eq!((first.name(), first.exit_code()), ("SIGTERM", 143));
        signal_hook::low_level::raise(SIGINT).unwrap();
        assert_eq!(signals.wait().exit_code(), 130);
    }
}
