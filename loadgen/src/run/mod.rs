//! One run: its parts, the phases they go through together, and the server's usage beside them.

mod director;
mod interrupt;
pub(crate) mod limits;
mod live;
pub(crate) mod watched;
mod workers;

use crate::clock::{self, Nanos};
use crate::options::{Options, OutputOptions, Part, ScenarioOptions};
use crate::report::{Measurements, Report};
use crate::scenario::Plan;
use director::Director;
pub use interrupt::Interrupt;
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
    /// It was told to end before there was anything to report.
    #[error("interrupted before anything was measured")]
    Interrupted,
    /// `--server-pid` cannot be read.
    #[error("cannot read process {pid}: {error}")]
    Server {
        /// Which.
        pid: u32,
        /// What the system says about it.
        error: io::Error,
    },
    /// A worker ended early; its error is the one that matters.
    #[error("a worker of the load generator ended early")]
    Worker,
    /// Not one client completed its handshake.
    #[error("no client could connect: {0}")]
    Unreachable(String),
    /// The machine does not have what the run needs.
    #[error("{0}")]
    Limit(String),
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
    let mut reports = run_parts(&[part], options.scenario.output(), Show::Nothing, &Interrupt::never())?;
    Ok(reports.swap_remove(0))
}

/// Runs several scenarios at the same time. The reports are in the order of the parts, and each says what the whole
/// server used. If it is interrupted they are about the time until then.
pub fn run_parts(
    parts: &[Part],
    output: &OutputOptions,
    show: Show,
    interrupt: &Interrupt,
) -> Result<Vec<Report>, RunError> {
    limits::check(parts)?;
    let keep_histograms = output.hdr.is_some();
    let origin = clock::now();
    let unix_time = std::time::SystemTime::now();
    let begin = |pid| Watched::begin(pid).map_err(|error| RunError::Server { pid, error });
    let watch = |pid: Option<u32>| pid.map(begin).transpose();
    let watched = [watch(output.server_pid)?, watch(output.backend_pid)?];
    let (mut director, tell) = Director::new(watched, origin, show);

    let mut running = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let workers = Workers::spawn(number, &part.options, origin, &tell, interrupt)?;
        director.add_part(&part.name, workers.count(), keep_histograms);
        running.push(workers);
    }
    drop(tell);
    director.wait_connected()?;
    let connected_at = clock::now();
    director.connected();
    if interrupt.came() && !parts.iter().all(|part| is_storm(&part.options)) {
        return Err(RunError::Interrupted);
    }

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
    let interrupted = interrupt.came();
    let measure = |((part, result), plan): ((&Part, director::PartResult), &Plan)| {
        let end = plan.end.min(result.stats.ended_at).max(plan.measure_from);
        let measurements = Measurements {
            stats: result.stats,
            server: server.as_ref(),
            backend: backend.as_ref(),
            seconds: result.seconds,
            intervals: result.intervals,
            origin,
            unix_time,
            connected_at,
            plan: Plan { end, ..*plan },
            interrupted,
            joined,
            alone: parts.len() == 1,
        };
        Report::new(part, output, measurements)
    };
    Ok(parts.iter().zip(results).zip(&plans).map(measure).collect())
}

/// A storm is measured while it connects.
fn is_storm(options: &Options) -> bool {
    matches!(options.scenario, ScenarioOptions::Connect(_))
}

/// The plan of a storm is over as soon as it begins.
fn plan(options: &Options, start: Nanos) -> Plan {
    if is_storm(options) {
        return Plan { start, measure_from: start, end: start };
    }
    let measure_from = start + clock::from_duration(options.common().warmup);
    Plan { start, measure_from, end: measure_from + clock::from_duration(options.common().duration) }
}
