//! The result of a run: as JSON for machines, as a few lines for a terminal, as a page for people.

mod build;
mod hdr;
pub mod html;
mod scale;
mod text;

pub(crate) use build::Measurements;
pub use scale::Scale;
pub use text::grouped;
pub(crate) use text::micros;

use crate::interval::{Interval, Second};
use crate::stats::Errors;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// Above this share of its core, the generator may have been what was measured.
pub(crate) const SATURATED: f64 = 0.9;
/// Above this share of the time, the generator waited for its core too often to be trusted.
const WAITED_MAX: f64 = 0.05;
/// Later than this, in microseconds, a schedule was not kept.
const LATE_US_MAX: f64 = 1000.0;

/// The result of a run, or of one part of a mix. Field names are the JSON's; units are in them. Moments (`_s`) count
/// in seconds from the start of the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Version of the generator.
    pub version: String,
    /// Of the part of a mix; else the scenario.
    #[serde(default)]
    pub name: String,
    /// As on the command line.
    pub scenario: String,
    /// `websocket`, `polling` or `upgrade`.
    pub transport: String,
    /// Clients asked for, and clients that joined.
    pub connections: u32,
    /// Clients that completed their handshake.
    pub joined: u64,
    /// Length of the measured window.
    pub seconds: f64,
    /// Messages of that window: answers, deliveries, handshakes, or clients that came back.
    pub messages: u64,
    /// The same per second.
    pub messages_per_second: f64,
    /// Latency of the messages.
    pub latency_us: Latency,
    /// The same by percentile, for a curve.
    #[serde(default)]
    pub percentiles: Vec<Percentile>,
    /// Why the run ended before its time, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<String>,
    /// Messages were due at a rate, and latency counts from when each was due.
    #[serde(default)]
    pub open_loop: bool,
    /// Latency before the disturbance, if the scenario has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_us: Option<Latency>,
    /// The same by percentile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baseline_percentiles: Vec<Percentile>,
    /// What the scenario did to its clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbance: Option<DisturbanceReport>,
    /// From the first SYN (or when it was due) to the reply to the CONNECT.
    pub handshake_us: Latency,
    /// What the server used; absent without `--server-pid`.
    pub server: Option<ServerUsage>,
    /// What the process behind it used; absent without `--backend-pid`.
    #[serde(default)]
    pub backend: Option<ServerUsage>,
    /// What the generator used.
    pub client: ClientUsage,
    /// Everything that must not happen.
    pub errors: Errors,
    /// Descriptions of the first of them.
    pub error_samples: Vec<String>,
    /// No errors, or only allowed ones.
    pub ok: bool,
    /// The phases of the run.
    #[serde(default)]
    pub phases: Phases,
    /// Second by second, warm-up and all.
    #[serde(default)]
    pub timeline: Vec<Second>,
    /// The options, as text.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Where it ran.
    #[serde(default)]
    pub host: Host,
    /// When it began.
    #[serde(default)]
    pub unix_time: u64,
    /// What an HdrHistogram file is made of. Not in the JSON.
    #[serde(skip)]
    pub histograms: Option<Box<Histograms>>,
}

/// The latencies as they were counted.
#[derive(Clone)]
pub struct Histograms {
    pub(crate) latency: Histogram<u64>,
    /// By second, if they were kept.
    pub(crate) intervals: Vec<Interval>,
}

impl std::fmt::Debug for Histograms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} latencies", self.latency.len())
    }
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
    #[serde(rename = "p99.99", default)]
    pub p99_99: f64,
    pub max: f64,
}

/// One point of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentile {
    /// 0 to 100.
    pub percentile: f64,
    /// So many per cent are at most this.
    pub us: f64,
}

/// What a scenario did to its clients on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DisturbanceReport {
    /// Clients that stopped reading (`slow`), or lost their connection (`avalanche`).
    pub clients: u64,
    /// Slow clients that the server disconnected, or handshakes that failed and were tried again.
    pub consequences: u64,
    /// When it began.
    pub began_s: f64,
    /// From there to the last client's return; absent if some did not return, or none had to.
    pub recovery_seconds: Option<f64>,
}

/// When each phase of a run was over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Phases {
    pub connected_s: f64,
    pub measure_from_s: f64,
    pub end_s: f64,
}

/// The machine the generator ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Host {
    pub kernel: String,
    pub cpu: String,
    pub cpus: usize,
}

/// What the server used in the measured window, threads and children together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerUsage {
    /// CPU time of all its threads per message; absent if there were none.
    pub cpu_ns_per_message: Option<f64>,
    /// CPU time over wall time; 1 is one core.
    pub cpu_share: f64,
    /// CPU time per client that connected, from the first SYN to the last reply.
    pub connect_cpu_ns: f64,
    /// Heartbeats in the window.
    pub heartbeats: u64,
    /// CPU share in the seconds of the window without a heartbeat; absent if there were none.
    pub quiet_cpu_share: Option<f64>,
    /// Resident memory before the first connection.
    pub rss_bytes_before: u64,
    /// Resident memory at the end of the window.
    pub rss_bytes: u64,
    /// What the resident memory grew by, per client that joined.
    pub rss_bytes_per_client: f64,
    /// Threads at the end of the window.
    pub threads: usize,
    /// CPU time in each second of the window.
    pub cpu_ns_by_second: Vec<u64>,
    /// Over the whole run.
    #[serde(default)]
    pub timeline: Vec<ServerMoment>,
    /// How it was started.
    #[serde(default)]
    pub command: String,
}

/// The server between one sample and the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerMoment {
    /// When the second sample was taken.
    pub at_s: f64,
    /// CPU time over wall time since the first; 1 is one core.
    pub cpu_share: f64,
    /// Resident memory.
    pub rss_bytes: u64,
}

/// What the generator used in the measured window.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ClientUsage {
    /// CPU time of its workers per message; absent if there were none.
    pub cpu_ns_per_message: Option<f64>,
    /// The part of it that was spent outside the kernel.
    #[serde(default)]
    pub user_cpu_ns_per_message: Option<f64>,
    /// CPU share of its busiest worker.
    pub busiest_core: f64,
    /// Largest share of the time a worker could have run and waited for its core.
    #[serde(default)]
    pub waited_share: f64,
    /// How late messages of an open loop were sent; absent in a closed loop.
    #[serde(default)]
    pub late_us: Option<Latency>,
    /// It was so busy that it may have been the limit.
    pub saturated: bool,
}

impl Report {
    /// Writes it to a file as JSON.
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        fs::write(path, serde_json::to_vec_pretty(self)?)
    }

    /// Writes the latencies to a file: an interval log if its name ends in `.hlog`, else a percentile file.
    pub fn save_hdr(&self, path: impl AsRef<Path>) -> io::Result<()> {
        hdr::save(self, path.as_ref())
    }

    /// What a reader must know before the numbers: about the generator, not about the server.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let client = &self.client;
        warnings.extend(self.ended_early.clone());
        if client.saturated {
            warnings.push(format!(
                "The generator was the bottleneck, or close to it: {:.0} % of its core. Rate and latency are the pair's, not the server's. Give it more cores (--cores) or less to do.",
                client.busiest_core * 100.0
            ));
        }
        if client.waited_share > WAITED_MAX {
            warnings.push(format!(
                "The generator had to wait for its core {:.0} % of the time: something else runs there, and its delays are in the latencies.",
                client.waited_share * 100.0
            ));
        }
        if let Some(late) = client.late_us.filter(|late| late.p99 > LATE_US_MAX) {
            warnings.push(format!(
                "The schedule was not kept: 1 % of the messages were sent {} late or later. Their latency counts from when they were due, so this delay of the generator is in it.",
                micros(late.p99)
            ));
        }
        warnings
    }
}

/// Writes the page of a run, or of the parts of a mix.
pub fn save_html(reports: &[Report], path: impl AsRef<Path>) -> io::Result<()> {
    let page = match reports {
        [report] => html::single(report),
        parts => html::mix(parts),
    };
    fs::write(path, page)
}

/// Reads reports: of one run, or of all parts of a mix.
pub fn load(path: impl AsRef<Path>) -> io::Result<Vec<Report>> {
    let bytes = fs::read(path)?;
    match serde_json::from_slice::<MixReport>(&bytes) {
        Ok(mix) => Ok(mix.parts),
        Err(_) => Ok(vec![serde_json::from_slice(&bytes)?]),
    }
}

/// Writes the reports of a mix to one file, as JSON.
pub fn save_mix(parts: &[Report], path: impl AsRef<Path>) -> io::Result<()> {
    let ok = parts.iter().all(|part| part.ok);
    fs::write(path, serde_json::to_vec_pretty(&serde_json::json!({ "parts": parts, "ok": ok }))?)
}

#[derive(Deserialize)]
struct MixReport {
    parts: Vec<Report>,
}
