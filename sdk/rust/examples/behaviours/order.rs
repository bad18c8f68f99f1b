//! A target, and what to do there: the argument of most commands.

use super::pieces::Pieces;
use super::shared::Shared;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use tidegate_backend::{ArgsRef, Broadcast, Flagged, Io, Socket};

/// Each command reads its part of it; missing keys are empty.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Order<'a> {
    pub(crate) rooms: Vec<String>,
    pub(crate) except: Vec<String>,
    flags: WantedFlags,
    pub(crate) ev: Option<String>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    pub(crate) nsp: String,
    from: String,
    timeout: Option<u64>,
    pub(crate) join: Vec<String>,
    pub(crate) leave: Vec<String>,
    pub(crate) close: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct WantedFlags {
    volatile: bool,
    compress: Option<bool>,
    local: bool,
}

impl<'a> Order<'a> {
    /// The first argument.
    pub(crate) fn of(args: ArgsRef<'a>) -> Option<Self> {
        serde_json::from_str(args.get(0)?).ok()
    }

    /// Narrows a namespace, or everybody but a socket, down to the target.
    pub(crate) fn aim(&self, from: Broadcast) -> Broadcast {
        let WantedFlags { volatile, compress, local } = self.flags;
        let mut to = from.to(&self.rooms).except(&self.except).compress(compress.unwrap_or(true));
        if volatile {
            to = to.volatile();
        }
        if local {
            to = to.local();
        }
        to
    }

    /// As `from` wants it: the caller left out, or not.
    pub(crate) fn aim_from(&self, socket: &Socket) -> Broadcast {
        self.aim(if self.from == "socket" { socket.broadcast() } else { socket.io().everybody() })
    }

    /// For an event to one socket.
    pub(crate) fn flagged<'s>(&self, socket: &'s Socket) -> Flagged<'s> {
        let flagged = socket.flags().compress(self.flags.compress.unwrap_or(true));
        if self.flags.volatile { flagged.volatile() } else { flagged }
    }

    /// The arguments of the event to emit, out of those of the command.
    pub(crate) fn args(&self, command: ArgsRef<'a>) -> Pieces {
        let mut pieces = Pieces::default();
        let list = self.args.map_or("[]", RawValue::get);
        if let Some(list) = list.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
            pieces.part(command, list.trim());
        }
        pieces
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout.map(Duration::from_millis)
    }

    /// Emits the event to a target. Without a name it does nothing, and the command no answer.
    pub(crate) fn emit(&self, to: &Broadcast, command: ArgsRef<'a>) -> Option<()> {
        let _ = to.emit(self.ev.as_deref()?, self.args(command).args());
        Some(())
    }

    /// Emits it in the dynamic namespaces that this process speaks for.
    pub(crate) fn emit_in_dynamic(&self, io: &Io, command: ArgsRef<'a>, shared: &Shared) -> Option<()> {
        self.ev.as_ref()?;
        for name in shared.spoken_for() {
            self.emit(&self.aim(io.of(&name).everybody()), command);
        }
        Some(())
    }
}
