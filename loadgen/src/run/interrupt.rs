//! Ctrl-C (and what `timeout` and service managers send): the first ends the run, and what it has measured is reported;
//! the second ends the process where it stands.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What a shell adds to the number of a signal, to make an exit code of it.
const EXIT_BY_SIGNAL: i32 = 128;

/// Whether the run shall end. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    came: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// One that nothing brings about.
    pub fn never() -> Self {
        Self::default()
    }

    /// One that SIGINT and SIGTERM bring about. Their second ends the process.
    pub fn on_signals() -> io::Result<Self> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds nothing yet.
            flag::register_conditional_shutdown(signal, EXIT_BY_SIGNAL + signal, interrupt.came.clone())?;
            flag::register(signal, interrupt.came.clone())?;
            let number = usize::try_from(signal).expect("signals count from one");
            flag::register_usize(signal, interrupt.signal.clone(), number)?;
        }
        Ok(interrupt)
    }

    /// The exit code that says so, once it has come.
    pub fn exit_code(&self) -> Option<u8> {
        let code = self.signal.load(Ordering::Relaxed) + usize::try_from(EXIT_BY_SIGNAL).ok()?;
        u8::try_from(code).ok().filter(|_| self.came())
    }

    pub(crate) fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }
}
