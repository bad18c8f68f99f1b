//! One run: the workers, the phases they go through together, and the server's usage beside them.

use crate::client::{Dialect, Endpoint};
use crate::clock::{self, Nanos};
use crate::options::{Common, Options, ScenarioOptions, TransportOption};
use crate::process::Observed;
use crate::report::{Measurements, Report};
use crate::scenario::{Broadcast, BroadcastSettings, Echo, EchoSettings, Plan, Quiet, Scenario};
use crate::stats::Stats;
use crate::worker::{Assignment, Progress, Worker};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use thiserror::Error;

/// From the plan to its start, so that every worker has it in time.
const PLAN_LEAD: Duration = Duration::from_millis(50);
/// How often the usage of the server, and of the process behind it, is sampled for the series.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Submission entries of a worker's ring: it never has more than a poll and its cancellation.
const RING_ENTRIES: u32 = 64;

/// Why a run did not go through.
#[derive(Debug, Error)]
pub enum RunError {
    /// A thread or a ring could not be had, or descriptors, ports or memory ran out.
    #[error("the load generator itself failed: {0}")]
    Generator(#[from] io::Error),
    /// `--server-pid` or `--backend-pid` cannot be read.
    #[error("cannot read the server's process: {0}")]
    Server(io::Error),
    /// A worker ended early; its error is the one that matters.
    #[error("a worker of the load generator ended early")]
    Worker,
    /// Not one client completed its handshake.
    #[error("no client could connect: {0}")]
    Unreachable(String),
    /// The options contradict each other.
    #[error("{0}")]
    Options(&'static str),
}

/// Runs what the options say, to the end.
pub fn run(options: &Options) -> Result<Report, RunError> {
    let common = options.common();
    raise_descriptor_limit()?;
    let dialect = dialect(options)?;
    let begin = |pid: Option<u32>| pid.map(Observed::begin).transpose().map_err(RunError::Server);
    let (mut server, mut backend) = (begin(common.server_pid)?, begin(common.backend_pid)?);
    let mut sample = |sample: fn(&mut Observed) -> io::Result<()>| {
        server.iter_mut().chain(&mut backend).try_for_each(sample).map_err(RunError::Server)
    };

    let workers = spawn(options, dialect)?;
    let begun = clock::now();
    workers.wait_connected()?;
    let connected_at = clock::now();
    sample(Observed::connected)?;

    let plan = plan(options);
    workers.announce(plan)?;
    sleep_until(plan.measure_from);
    let mut next = plan.measure_from;
    while next < plan.end {
        sample(Observed::measure)?;
        next += clock::from_duration(SAMPLE_EVERY);
        sleep_until(next.min(plan.end));
    }
    sample(Observed::measure)?;
    let stats = workers.finish()?;
    if stats.joined == 0 {
        return Err(RunError::Unreachable(stats.samples.join("; ")));
    }
    let connecting = Duration::from_nanos(connected_at - begun);
    Ok(Report::new(options, &Measurements { stats, server, backend, connecting }))
}

fn dialect(options: &Options) -> Result<Dialect, RunError> {
    let bare = matches!(options.scenario, ScenarioOptions::Echo { bare: true, .. });
    match (options.common().transport, bare) {
        (TransportOption::Websocket, false) => Ok(Dialect::WebSocket),
        (TransportOption::Websocket, true) => Ok(Dialect::Bare),
        (TransportOption::Polling, false) => Ok(Dialect::Polling),
        (TransportOption::Polling, true) => Err(RunError::Options("--bare is for --transport websocket")),
    }
}

/// A storm is measured while it connects: its plan is over as soon as it begins.
fn plan(options: &Options) -> Plan {
    let start = clock::now() + clock::from_duration(PLAN_LEAD);
    if matches!(options.scenario, ScenarioOptions::Connect { .. }) {
        return Plan { start, measure_from: start, end: start };
    }
    let measure_from = start + clock::from_duration(options.common().warmup);
    Plan { start, measure_from, end: measure_from + clock::from_duration(options.common().duration) }
}

/// The threads of a run, seen from the one that directs it.
struct Workers {
    threads: Vec<JoinHandle<io::Result<()>>>,
    plans: Vec<Sender<Plan>>,
    progress: Receiver<Progress>,
}

fn spawn(options: &Options, dialect: Dialect) -> Result<Workers, RunError> {
    match &options.scenario {
        ScenarioOptions::Echo { common, payload, in_flight, rate, bare } => {
            let (payload_bytes, in_flight) = (*payload as usize, *in_flight as usize);
            // Each worker sends its share.
            let workers = common.cores.as_ref().map_or(1, |cores| cores.0.len());
            let rate = rate.map(|rate| rate / workers as f64);
            let settings = EchoSettings { payload_bytes, in_flight, rate, bare: *bare };
            Workers::spawn(common, dialect, move |_, clients| Echo::new(settings, clients))
        }
        ScenarioOptions::Broadcast { common, payload, in_flight, rate } => {
            let settings = BroadcastSettings {
                payload_bytes: *payload as usize,
                in_flight: *in_flight as usize,
                rate: *rate,
                sent: Arc::default(),
            };
            Workers::spawn(common, dialect, move |first, clients| {
                Broadcast::new(settings.clone(), clients, first == 0)
            })
        }
        ScenarioOptions::Connect { common } | ScenarioOptions::Idle { common } => {
            Workers::spawn(common, dialect, |_, _| Quiet)
        }
    }
}

impl Workers {
    /// Starts the workers. `scenario` makes each its own, from its first client's number and its clients.
    fn spawn<S: Scenario>(
        common: &Common,
        dialect: Dialect,
        scenario: impl Fn(u32, usize) -> S + Clone + Send + 'static,
    ) -> Result<Self, RunError> {
        let cores: Vec<Option<usize>> = match &common.cores {
            Some(cores) => cores.0.iter().copied().map(Some).collect(),
            None => vec![None],
        };
        let (tell, progress) = mpsc::channel();
        let mut workers = Self { threads: Vec::new(), plans: Vec::new(), progress };
        for (assignment, core) in assignments(common, dialect, cores.len()).into_iter().zip(cores) {
            let (plan, plans) = mpsc::channel();
            let (tell, scenario) = (tell.clone(), scenario.clone());
            let body = move || work(assignment, core, &scenario, &plans, &tell);
            workers.threads.push(thread::Builder::new().name("load".into()).spawn(body)?);
            workers.plans.push(plan);
        }
        Ok(workers)
    }

    fn wait_connected(&self) -> Result<(), RunError> {
        for _ in &self.plans {
            match self.progress.recv() {
                Ok(Progress::Connected) => {}
                Ok(Progress::Done(_)) | Err(_) => return Err(RunError::Worker),
            }
        }
        Ok(())
    }

    fn announce(&self, plan: Plan) -> Result<(), RunError> {
        self.plans.iter().try_for_each(|plans| plans.send(plan)).map_err(|_| RunError::Worker)
    }

    fn finish(self) -> Result<Stats, RunError> {
        let mut stats = Stats::new();
        for thread in self.threads {
            thread.join().map_err(|_| RunError::Worker)??;
        }
        while let Ok(progress) = self.progress.try_recv() {
            if let Progress::Done(worker) = progress {
                stats.merge(*worker);
            }
        }
        Ok(stats)
    }
}

/// The body of a worker's thread.
fn work<S: Scenario>(
    assignment: Assignment,
    core: Option<usize>,
    scenario: &impl Fn(u32, usize) -> S,
    plans: &Receiver<Plan>,
    progress: &Sender<Progress>,
) -> io::Result<()> {
    if let Some(core) = core {
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set)?;
    }
    let scenario = scenario(assignment.first, assignment.clients as usize);
    let mut runtime =
        monoio::RuntimeBuilder::<monoio::FusionDriver>::new().with_entries(RING_ENTRIES).build()?;
    runtime.block_on(async move { Worker::new(assignment, scenario)?.run(plans, progress).await })
}

/// Shares out the clients; the first workers take what is left over.
fn assignments(common: &Common, dialect: Dialect, workers: usize) -> Vec<Assignment> {
    let count = u32::try_from(workers).expect("as many as there are CPUs");
    let (each, more) = (common.connections / count, common.connections % count);
    let mut first = 0;
    (0..count)
        .map(|worker| {
            let clients = each + u32::from(worker < more);
            let assignment = Assignment {
                endpoint: Endpoint {
                    address: common.url.address,
                    host: common.url.host.clone(),
                    path: common.path.clone(),
                    dialect,
                },
                first,
                clients,
                concurrency: common.concurrency,
                ramp: common.ramp.map(|rate| rate / f64::from(count)),
                sources: common.source_addresses.clone(),
            };
            first += clients;
            assignment
        })
        .collect()
}

fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

fn sleep_until(time: Nanos) {
    thread::sleep(Duration::from_nanos(time.saturating_sub(clock::now())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn clients_are_shared_out_to_the_last_one() {
        let options = Options::parse_from(["loadgen", "idle", "--connections", "11"]);
        let shares: Vec<(u32, u32)> = assignments(options.common(), Dialect::WebSocket, 3)
            .iter()
            .map(|assignment| (assignment.first, assignment.clients))
            .collect();
        assert_eq!(shares, [(0, 4), (4, 4), (8, 3)]);
    }
}
