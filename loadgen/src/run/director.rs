//! Listens to the workers, samples what is watched once a second, and keeps both in the order of time.

use super::live::LiveLine;
use super::watched::Watched;
use super::{RunError, Show};
use crate::clock::{self, Nanos, SECOND};
use crate::interval::{Interval, Second, Timeline};
use crate::scenario::Plan;
use crate::stats::Stats;
use crate::worker::Progress;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

/// One part, as far as it has come.
struct PartState {
    workers: usize,
    connected: usize,
    /// Clients that joined, and why others did not, as workers tell it when they have connected.
    joined: u64,
    samples: Vec<String>,
    done: usize,
    stats: Stats,
    timeline: Timeline,
}

/// One part, when all its workers are done.
pub(super) struct PartResult {
    pub(super) stats: Stats,
    pub(super) seconds: Vec<Second>,
    /// The histograms of the seconds, if they were to be kept.
    pub(super) intervals: Vec<Interval>,
}

/// The thread that directs a run.
pub(super) struct Director {
    told: Receiver<(usize, Progress)>,
    parts: Vec<PartState>,
    pub(super) server: Option<Watched>,
    /// The process behind the server.
    pub(super) backend: Option<Watched>,
    next_sample: Nanos,
    live: Option<LiveLine>,
}

impl Director {
    /// And the way for workers to tell it something.
    pub(super) fn new(
        [server, backend]: [Option<Watched>; 2],
        origin: Nanos,
        show: Show,
    ) -> (Self, Sender<(usize, Progress)>) {
        let (tell, told) = mpsc::channel();
        let director = Self {
            told,
            parts: Vec::new(),
            server,
            backend,
            next_sample: origin + SECOND,
            live: (show == Show::Live).then(LiveLine::new),
        };
        (director, tell)
    }

    pub(super) fn add_part(&mut self, name: &str, workers: usize, keep_histograms: bool) {
        let timeline = Timeline::new(workers, keep_histograms);
        self.parts.push(PartState {
            workers,
            connected: 0,
            joined: 0,
            samples: Vec::new(),
            done: 0,
            stats: Stats::new(),
            timeline,
        });
        if let Some(live) = &mut self.live {
            live.add_part(name);
        }
    }

    fn sample(&mut self) {
        self.server.iter_mut().chain(&mut self.backend).for_each(Watched::sample);
    }

    /// Every client has joined or failed.
    pub(super) fn connected(&mut self) {
        self.server.iter_mut().chain(&mut self.backend).for_each(Watched::connected);
    }

    pub(super) fn wait_connected(&mut self) -> Result<(), RunError> {
        while self.parts.iter().any(|part| part.connected < part.workers) {
            self.wait(Nanos::MAX)?;
            if self.parts.iter().any(|part| part.done > 0) {
                return Err(RunError::Worker);
            }
        }
        Ok(())
    }

    /// From the announcement of the plans until all workers are done. The server is sampled at the first moment that
    /// is measured, every second from there, and at the end of each plan.
    pub(super) fn watch(&mut self, plans: &[Plan]) -> Result<(), RunError> {
        let first = plans.iter().map(|plan| plan.measure_from).min().unwrap_or_default();
        let mut moments: Vec<Nanos> = plans.iter().flat_map(|plan| [plan.measure_from, plan.end]).collect();
        moments.sort_unstable();
        self.next_sample = first;
        while self.parts.iter().any(|part| part.done < part.workers) {
            let now = clock::now();
            moments.retain(|moment| *moment > now);
            let next_moment = moments.first().copied().unwrap_or(Nanos::MAX);
            self.wait(next_moment)?;
            if clock::now() >= next_moment {
                self.sample();
            }
        }
        Ok(())
    }

    /// Handles what comes next; returns at `deadline` at the latest, and every second.
    fn wait(&mut self, deadline: Nanos) -> Result<(), RunError> {
        let until = deadline.min(self.next_sample);
        match self.told.recv_timeout(Duration::from_nanos(until.saturating_sub(clock::now()))) {
            Ok((part, progress)) => self.handle(part, progress)?,
            Err(RecvTimeoutError::Timeout) => {}
            // A worker that failed has told nothing; its thread knows why.
            Err(RecvTimeoutError::Disconnected) => {
                self.parts
                    .iter_mut()
                    .for_each(|part| (part.connected, part.done) = (part.workers, part.workers));
            }
        }
        if clock::now() >= self.next_sample {
            self.next_sample += SECOND;
            self.sample();
        }
        Ok(())
    }

    fn handle(&mut self, number: usize, progress: Progress) -> Result<(), RunError> {
        let part = &mut self.parts[number];
        match progress {
            Progress::Failed(error) => return Err(RunError::Generator(error)),
            Progress::Connected { joined, samples } => {
                part.connected += 1;
                part.joined += joined;
                part.samples.extend(samples);
                if part.connected == part.workers && part.joined == 0 {
                    part.samples.dedup();
                    return Err(RunError::Unreachable(part.samples.join("; ")));
                }
            }
            Progress::Done(stats) => {
                part.done += 1;
                part.stats.merge(*stats);
            }
            Progress::Second(interval) => {
                part.timeline.add(&interval);
                if let (Some(live), Some(second)) = (&mut self.live, part.timeline.latest()) {
                    live.show(number, second);
                }
            }
        }
        Ok(())
    }

    /// What was told, by part.
    pub(super) fn finish(self) -> Vec<PartResult> {
        let result = |part: PartState| {
            let (seconds, intervals) = part.timeline.finish();
            PartResult { stats: part.stats, seconds, intervals }
        };
        self.parts.into_iter().map(result).collect()
    }
}
