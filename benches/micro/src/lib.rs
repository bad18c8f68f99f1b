//! What the hot paths of `core/` cost, without a kernel, a network or another process around them.
//!
//! A [`Workload`] is one thing that is done over and over, on bytes that are the same in every run. The same list is
//! measured in two ways: `benches/micro.rs` takes the time, and `bin/instructions.rs` counts instructions under
//! callgrind, which say the same on every machine, and compares them with those committed in
//! `benches/instructions.json`.
//!
//! | file | holds |
//! |---|---|
//! | `inputs` | payloads and what carries them |
//! | `codecs` `wire` | decoders and encoders, of clients and of backends |
//! | `hub` | rooms and selection |
//! | `mailbox` | what carries messages between cores |
//! | `gate` | one shard as a driver turns it, without streams |
//! | `echo` | events through a whole shard, answered by its application |
//! | `crowd` | many clients of one shard: broadcasts, heartbeats, comings and goings |
//! | `link` | events through a whole shard and its backend |
//! | `million` | as many clients as one likes: what the number of clients does to the cost of each |
//! | `count` `baseline` | instructions under callgrind; those that are committed |
#![forbid(unsafe_code)]

pub mod baseline;
mod codecs;
pub mod count;
mod crowd;
mod echo;
mod gate;
mod hub;
mod inputs;
mod link;
mod mailbox;
pub mod million;
mod wire;

/// Does what a workload does, once.
pub type Call = Box<dyn FnMut()>;

/// Something that is done over and over.
pub struct Workload {
    /// `group/what`, with a size if there are several.
    pub name: String,
    /// Bytes of payload in one operation; 0 if they do not matter.
    pub bytes: u64,
    /// Operations in one call.
    pub operations: u32,
    /// Calls whose instructions are counted; twice as many go before, until everything has its size.
    pub calls: u32,
    /// Sets everything up. The call panics when it does not get what it should.
    pub prepare: Box<dyn Fn() -> Call + Send + Sync>,
}

impl Workload {
    fn new<F: FnMut() + 'static>(
        name: impl Into<String>,
        bytes: usize,
        prepare: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            bytes: bytes as u64,
            operations: 1,
            calls: 500,
            prepare: Box::new(move || Box::new(prepare())),
        }
    }

    /// One call does this many operations; `calls` of them are counted.
    fn of(mut self, operations: u32, calls: u32) -> Self {
        (self.operations, self.calls) = (operations, calls);
        self
    }
}

/// All of them, in the order in which they are shown.
pub fn workloads() -> Vec<Workload> {
    [
        echo::workloads(),
        crowd::workloads(),
        link::workloads(),
        codecs::workloads(),
        wire::workloads(),
        hub::workloads(),
        mailbox::workloads(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
