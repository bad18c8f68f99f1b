//! What a worker counts beside its shard.

use crate::admin::TurnTimes;
use tidegate_core::id::ShardIndex;
use tidegate_core::shard::stats::Stats;

/// Counters of one core: its shard's, and its driver's.
#[derive(Clone, Debug)]
pub struct WorkerStats {
    /// Which core.
    pub shard: ShardIndex,
    /// What the shard counts. `mailbox_backlog` is filled in by the driver.
    pub core: Stats,
    /// What the driver counts.
    pub driver: DriverStats,
}

/// Counters and gauges of one core's driver.
#[derive(Clone, Debug)]
pub struct DriverStats {
    /// How long the turns of the loop took.
    pub turn_times: TurnTimes,
    /// Client streams open now.
    pub streams: u64,
    /// Parcels in this core's mailbox now.
    pub mailbox_depth: u64,
    /// Streams accepted.
    pub accepted: u64,
    /// Streams answered with 503 because the process has as many as it may.
    pub refused_over_limit: u64,
    /// Times that accepting paused because the system was out of fds or memory.
    pub accept_pauses: u64,
    /// Backends closed at once because of who they are. Counted where they are accepted, on the first core.
    pub links_refused: u64,
    /// Backends closed at once because there are as many links as there may be; counted there, too.
    pub links_over_limit: u64,
}

impl DriverStats {
    pub(crate) fn new() -> Self {
        Self {
            turn_times: TurnTimes::new(),
            streams: 0,
            mailbox_depth: 0,
            accepted: 0,
            refused_over_limit: 0,
            accept_pauses: 0,
            links_refused: 0,
            links_over_limit: 0,
        }
    }
}
