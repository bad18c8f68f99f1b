//! The threads of one part of a run: who gets which clients, and what each does with them.

use super::{Interrupt, RunError};
use crate::client::{Dialect, Endpoint};
use crate::clock::Nanos;
use crate::options::{Common, Cut, Options, Pace, ScenarioOptions, TransportOption};
use crate::scenario::{
    Audience, Avalanche, AvalancheSettings, Churn, ChurnSettings, Echo, EchoSettings, Fanout, FanoutSettings,
    Plan, Quiet, Scenario, Share,
};
use crate::worker::{Assignment, Progress, Teller, Worker};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

/// Submission entries of a worker's ring: it never has more than a poll and its cancellation.
const RING_ENTRIES: u32 = 64;

/// The threads of one part, seen from the one that directs them.
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    plans: Vec<Sender<Plan>>,
}

/// What all workers of a part have in common.
struct Crew<'a> {
    part: usize,
    common: &'a Common,
    dialect: Dialect,
    origin: Nanos,
    tell: &'a Sender<(usize, Progress)>,
    interrupt: &'a Interrupt,
    payload_bytes: u64,
}

impl Workers {
    /// Starts the threads. They connect at once.
    pub(super) fn spawn(
        part: usize,
        options: &Options,
        origin: Nanos,
        tell: &Sender<(usize, Progress)>,
        interrupt: &Interrupt,
    ) -> Result<Self, RunError> {
        let common = options.common();
        let crew = Crew {
            part,
            common,
            dialect: dialect(options)?,
            origin,
            tell,
            interrupt,
            payload_bytes: options.scenario.payload_bytes(),
        };
        match &options.scenario {
            ScenarioOptions::Echo(echo) => {
                let settings = EchoSettings {
                    payload_bytes: echo.payload as usize,
                    in_flight: echo.pace.in_flight as usize,
                    rate: echo.pace.rate,
                    bare: echo.bare,
                };
                crew.spawn(move |share| Echo::new(settings, share))
            }
            ScenarioOptions::Broadcast(options) => {
                let streams = options.senders.min(common.connections);
                crew.spawn_fanout(Audience::Everyone, streams, options.payload, options.pace, None)
            }
            ScenarioOptions::Rooms(options) => {
                let streams = options.rooms.min(common.connections);
                crew.spawn_fanout(Audience::Rooms, streams, options.payload, options.pace, None)
            }
            ScenarioOptions::Slow(options) => {
                let pace = Pace { in_flight: 1, rate: Some(options.rate) };
                crew.spawn_fanout(Audience::Everyone, 1, options.payload, pace, Some(options.share))
            }
            ScenarioOptions::Connect(_) | ScenarioOptions::Idle(_) => crew.spawn(|_| Quiet),
            ScenarioOptions::Churn(churn) => {
                let settings = ChurnSettings { rate: churn.arrivals_per_second() };
                crew.spawn(move |share| Churn::new(settings, share))
            }
            ScenarioOptions::Avalanche(avalanche) => {
                let settings =
                    AvalancheSettings { cut: avalanche.cut == Cut::Client, missing: Arc::default() };
                crew.spawn(move |share| Avalanche::new(settings.clone(), share))
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }

    pub(super) fn announce(&self, plan: Plan) -> Result<(), RunError> {
        self.plans.iter().try_for_each(|plans| plans.send(plan)).map_err(|_| RunError::Worker)
    }

    /// Waits for the threads. Those that failed have told.
    pub(super) fn join(self) -> Result<(), RunError> {
        self.threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| RunError::Worker))
    }
}

impl Crew<'_> {
    fn spawn_fanout(
        &self,
        audience: Audience,
        streams: u32,
        payload: u32,
        pace: Pace,
        slow: Option<f64>,
    ) -> Result<Workers, RunError> {
        let settings = FanoutSettings {
            audience,
            payload_bytes: payload as usize,
            in_flight: pace.in_flight as usize,
            rate: pace.rate,
            slow,
            sent: FanoutSettings::counters(streams),
        };
        self.spawn(move |share| Fanout::new(settings.clone(), share))
    }

    /// Starts the threads. `scenario` makes each its own, from its share of the clients.
    fn spawn<S: Scenario>(
        &self,
        scenario: impl Fn(Share) -> S + Clone + Send + 'static,
    ) -> Result<Workers, RunError> {
        let cores: Vec<Option<usize>> = match &self.common.cores {
            Some(cores) => cores.0.iter().copied().map(Some).collect(),
            None => vec![None],
        };
        let mut workers = Workers { threads: Vec::new(), plans: Vec::new() };
        // All of them exist before any starts: what they share must know all of them.
        let scenarios = shares(self.common.connections, cores.len()).into_iter().zip(cores);
        for (share, core) in scenarios {
            let (plan, plans) = mpsc::channel();
            let assignment = self.assignment(share);
            let teller = Teller { part: self.part, run: self.tell.clone() };
            let scenario = scenario.clone();
            let body = move || {
                // The others go on, and would be waited for: whatever ends this one must be told.
                let work = || work(assignment, core, || scenario(share), teller.clone(), &plans);
                let ended = catch_unwind(AssertUnwindSafe(work));
                if let Err(error) = ended.unwrap_or_else(|_| Err(io::Error::other("a worker panicked"))) {
                    let _the_run_was_given_up = teller.tell(Progress::Failed(error));
                }
            };
            workers.threads.push(thread::Builder::new().name("load".into()).spawn(body)?);
            workers.plans.push(plan);
        }
        Ok(workers)
    }

    fn assignment(&self, share: Share) -> Assignment {
        let common = self.common;
        Assignment {
            endpoint: Endpoint {
                address: common.url.address,
                host: common.url.host.clone(),
                path: common.path.clone(),
                dialect: self.dialect,
                namespace: common.namespace.prefix(),
                auth: common.auth.as_ref().map(|auth| auth.0.clone()).unwrap_or_default(),
                headers: common.header.iter().map(|header| format!("{header}\r\n")).collect(),
                payload_bytes: self.payload_bytes,
            },
            share,
            concurrency: common.concurrency().unwrap_or(u32::MAX),
            ramp: common.ramp.map(|rate| crate::schedule::share(rate, share.clients.max(1), share.of)),
            sources: common.source_addresses.clone(),
            origin: self.origin,
            interrupt: self.interrupt.clone(),
        }
    }
}

fn dialect(options: &Options) -> Result<Dialect, RunError> {
    let bare = matches!(&options.scenario, ScenarioOptions::Echo(echo) if echo.bare);
    match (options.common().transport, bare) {
        (TransportOption::Websocket, false) => Ok(Dialect::WebSocket),
        (TransportOption::Websocket, true) => Ok(Dialect::Bare),
        (TransportOption::Polling, false) => Ok(Dialect::Polling),
        (TransportOption::Upgrade, false) => Ok(Dialect::Upgrade),
        (_, true) => Err(RunError::Options("--bare is for --transport websocket")),
    }
}

/// The body of a worker's thread.
fn work<S: Scenario>(
    assignment: Assignment,
    core: Option<usize>,
    scenario: impl FnOnce() -> S,
    teller: Teller,
    plans: &Receiver<Plan>,
) -> io::Result<()> {
    if let Some(core) = core {
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set).map_err(|error| {
            io::Error::other(format!("CPU {core} of --cores is not there, or not for us: {error}"))
        })?;
    }
    let scenario = scenario();
    let mut runtime =
        monoio::RuntimeBuilder::<monoio::FusionDriver>::new().with_entries(RING_ENTRIES).build()?;
    runtime.block_on(async move { Worker::new(assignment, scenario, teller)?.run(plans).await })
}

/// Shares out the clients; the first workers take what is left over.
fn shares(connections: u32, workers: usize) -> Vec<Share> {
    let count = u32::try_from(workers).expect("as many as there are CPUs");
    let (each, more) = (connections / count, connections % count);
    let mut first = 0;
    (0..count)
        .map(|worker| {
            let clients = each + u32::from(worker < more);
            let share = Share { first, clients, of: connections };
            first += clients;
            share
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_shared_out_to_the_last_one() {
        let shares = shares(11, 3);
        let found: Vec<(u32, u32)> = shares.iter().map(|share| (share.first, share.clients)).collect();
        assert_eq!(found, [(0, 4), (4, 4), (8, 3)]);
    }
}
