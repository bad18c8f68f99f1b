//! One run: its parts, the phases they go through together, and the server's usage beside them.

mod director;
mod live;
pub(crate) mod watched;
mod workers;

use crate::clock::{self, Nanos};
use crate::options::{Options, OutputOptions, Part, ScenarioOptions};
use crate::report::{Measurements, Report};
use crate::scenario::Plan;
use director::Director;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io;
use std::time::Duration;
use thiserror::Error;
use watched::Watched;
use workers::Workers;

/// From the plan to its start, so that every worker has it in time.
const PLAN_LEAD: Duration = Duration::from_millis(50);

/// Why a run did not go through.
#[derive(Debug, Error)]
pub enum RunError {
    /// A thread or a ring could not be had, or descriptors, ports or memory ran out.
    #[error("the load generator itself failed: {0}")]
    Generator(#[from] io::Error),
    /// `--server-pid` cannot be read.
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

/// Whether a line on the terminal shows how the run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// It does, if standard error is a terminal.
    Live,
    /// It does not.
    Nothing,
}

/// Runs one scenario to the end, and says nothing meanwhile.
pub fn run(options: &Options) -> Result<Report, RunError> {
    let part = Part { name: options.scenario.name().into(), options: options.clone() };
    let mut reports = run_parts(&[part], options.scenario.output(), Show::Nothing)?;
    Ok(reports.swap_remove(0))
}

/// Runs several scenarios at the same time. The reports are in the order of the parts, and each says what the whole
/// server used.
pub fn run_parts(parts: &[Part], output: &OutputOptions, show: Show) -> Result<Vec<Report>, RunError> {
    raise_descriptor_limit()?;
    let keep_histograms = output.hdr.is_some();
    let origin = clock::now();
    let unix_time = std::time::SystemTime::now();
    let watch = |pid: Option<u32>| pid.map(Watched::begin).transpose().map_err(RunError::Server);
    let watched = [watch(output.server_pid)?, watch(output.backend_pid)?];
    let (mut director, tell) = Director::new(watched, origin, show);

    let mut running = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let workers = Workers::spawn(number, &part.options, origin, &tell)?;
        director.add_part(&part.name, workers.count(), keep_histograms);
        running.push(workers);
    }
    drop(tell);
    director.wait_connected()?;
    let connected_at = clock::now();
    director.connected();

    let start = clock::now() + clock::from_duration(PLAN_LEAD);
    let plans: Vec<Plan> = parts.iter().map(|part| plan(&part.options, start)).collect();
    for (workers, plan) in running.iter().zip(&plans) {
        workers.announce(*plan)?;
    }
    director.watch(&plans)?;
    running.into_iter().try_for_each(Workers::join)?;

    let (server, backend) = (director.server.take(), director.backend.take());
    let results = director.finish();
    let joined = results.iter().map(|result| result.stats.joined).sum();
    let measure = |((part, result), plan): ((&Part, director::PartResult), &Plan)| {
        if result.stats.joined == 0 {
            return Err(RunError::Unreachable(result.stats.samples.join("; ")));
        }
        let measurements = Measurements {
            stats: result.stats,
            server: server.as_ref(),
            backend: backend.as_ref(),
            seconds: result.seconds,
            intervals: result.intervals,
            origin,
            unix_time,
            connected_at,
            plan: *plan,
            joined,
            alone: parts.len() == 1,
        };
        Ok(Report::new(part, output, measurements))
    };
    parts.iter().zip(results).zip(&plans).map(measure).collect()
}

/// A storm is measured while it connects: its plan is over as soon as it begins.
fn plan(options: &Options, start: Nanos) -> Plan {
    if matches!(options.scenario, ScenarioOptions::Connect(_)) {
        return Plan { start, measure_from: start, end: start };
    }
    let measure_from = start + clock::from_duration(options.common().warmup);
    Plan { start, measure_from, end: measure_from + clock::from_duration(options.common().duration) }
}

fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}
