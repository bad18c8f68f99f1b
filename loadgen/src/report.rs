//! The result of a run: as JSON for machines, as a few lines for people.

use crate::options::{Options, ScenarioOptions, TransportOption};
use crate::process::Observed;
use crate::stats::{Errors, Load, Stats};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

/// Above this share of its core, the generator may have been what was measured.
const SATURATED: f64 = 0.9;

/// What a run measured, before it is a report.
pub(crate) struct Measurements {
    pub(crate) stats: Stats,
    pub(crate) server: Option<Observed>,
    /// The process behind it.
    pub(crate) backend: Option<Observed>,
    pub(crate) connecting: Duration,
}

/// The result of a run. Field names are the JSON's; units are in them.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of the generator.
    pub version: &'static str,
    /// `echo`, `broadcast`, `connect` or `idle`.
    pub scenario: &'static str,
    /// `websocket` or `polling`.
    pub transport: &'static str,
    /// Clients asked for, and clients that joined.
    pub connections: u32,
    /// Clients that completed their handshake.
    pub joined: u64,
    /// Length of the measured window.
    pub seconds: f64,
    /// Messages that arrived in it: answers, deliveries, or handshakes.
    pub messages: u64,
    /// The same per second.
    pub messages_per_second: f64,
    /// Latency of the messages.
    pub latency_us: Latency,
    /// From the first SYN to the reply to the CONNECT.
    pub handshake_us: Latency,
    /// What the server used; absent without `--server-pid`.
    pub server: Option<ServerUsage>,
    /// What the process behind it used; absent without `--backend-pid`.
    pub backend: Option<ServerUsage>,
    /// What the generator used.
    pub client: ClientUsage,
    /// Everything that must not happen.
    pub errors: Errors,
    /// Descriptions of the first of them.
    pub error_samples: Vec<String>,
    /// No errors.
    pub ok: bool,
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
    pub max: f64,
}

/// What the server used in the measured window.
#[derive(Clone, Debug, Serialize)]
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
}

/// What the generator used in the measured window.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ClientUsage {
    /// CPU time of its workers per message; absent if there were none.
    pub cpu_ns_per_message: Option<f64>,
    /// CPU share of its busiest worker.
    pub busiest_core: f64,
    /// That share is so high that the generator may have been the limit.
    pub saturated: bool,
}

impl Report {
    pub(crate) fn new(options: &Options, measured: &Measurements) -> Self {
        let stats = &measured.stats;
        let storm = matches!(options.scenario, ScenarioOptions::Connect { .. });
        let (messages, latency, window) = if storm {
            (stats.joined, &stats.handshake, measured.connecting)
        } else {
            (stats.messages, &stats.latency, options.common().duration)
        };
        let loads = if storm { &stats.connecting } else { &stats.measured };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            scenario: scenario_name(&options.scenario),
            transport: transport_name(options.common().transport),
            connections: options.common().connections,
            joined: stats.joined,
            seconds: window.as_secs_f64(),
            messages,
            messages_per_second: messages as f64 / window.as_secs_f64(),
            latency_us: Latency::of(latency),
            handshake_us: Latency::of(&stats.handshake),
            server: measured.server.as_ref().map(|server| usage(server, stats, messages, storm)),
            backend: measured.backend.as_ref().map(|backend| usage(backend, stats, messages, storm)),
            client: client_usage(loads, messages),
            errors: stats.errors.clone(),
            error_samples: stats.samples.clone(),
            ok: stats.errors.total() == 0,
        }
    }

    /// Writes it to a file as JSON.
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        fs::write(path, serde_json::to_vec_pretty(self)?)
    }
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        let max = histogram.max() as f64 / 1e3;
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p99_9: at(0.999), max }
    }
}

fn scenario_name(scenario: &ScenarioOptions) -> &'static str {
    match scenario {
        ScenarioOptions::Echo { .. } => "echo",
        ScenarioOptions::Broadcast { .. } => "broadcast",
        ScenarioOptions::Connect { .. } => "connect",
        ScenarioOptions::Idle { .. } => "idle",
    }
}

fn transport_name(transport: TransportOption) -> &'static str {
    match transport {
        TransportOption::Websocket => "websocket",
        TransportOption::Polling => "polling",
    }
}

/// `None` where there is nothing to divide by.
fn per(total: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| total as f64 / count as f64)
}

fn client_usage(loads: &[Load], messages: u64) -> ClientUsage {
    let busiest_core = loads.iter().map(Load::share).fold(0.0, f64::max);
    ClientUsage {
        cpu_ns_per_message: per(loads.iter().map(|load| load.cpu).sum(), messages),
        busiest_core,
        saturated: busiest_core > SATURATED,
    }
}

fn usage(observed: &Observed, stats: &Stats, messages: u64, storm: bool) -> ServerUsage {
    let Observed { before, connected, series, .. } = observed;
    let (first, last) = match &series[..] {
        [first, .., last] => (first, last),
        _ => (connected, connected),
    };
    let connecting = connected.cpu_since(before);
    let (used, wall) = match storm {
        true => (connecting, connected.at - before.at),
        false => (last.cpu_since(first), last.at - first.at),
    };
    let by_second: Vec<(u64, u64)> =
        series.windows(2).map(|pair| (pair[1].cpu_since(&pair[0]), pair[1].at - pair[0].at)).collect();
    let heartbeats = &stats.heartbeats;
    let quiet =
        by_second.iter().enumerate().filter(|(second, _)| heartbeats.get(*second).is_none_or(|n| *n == 0));
    let (quiet_cpu, quiet_wall) = quiet.fold((0, 0), |(cpu, wall), (_, next)| (cpu + next.0, wall + next.1));
    let joined = stats.joined;
    ServerUsage {
        cpu_ns_per_message: per(used, messages),
        cpu_share: per(used, wall).unwrap_or(0.0),
        connect_cpu_ns: per(connecting, joined).unwrap_or(0.0),
        heartbeats: heartbeats.iter().sum(),
        quiet_cpu_share: per(quiet_cpu, quiet_wall),
        rss_bytes_before: before.rss_bytes,
        rss_bytes: last.rss_bytes,
        rss_bytes_per_client: per(last.rss_bytes.saturating_sub(before.rss_bytes), joined).unwrap_or(0.0),
        threads: last.threads(),
        cpu_ns_by_second: by_second.into_iter().map(|(cpu, _)| cpu).collect(),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} over {}: {} of {} clients joined (p50 {:.0} us, max {:.0} us)",
            self.scenario,
            self.transport,
            self.joined,
            self.connections,
            self.handshake_us.p50,
            self.handshake_us.max
        )?;
        if self.messages > 0 {
            let latency = &self.latency_us;
            writeln!(
                f,
                "{} messages in {:.2} s: {:.0}/s; latency us p50 {:.0}, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
                self.messages,
                self.seconds,
                self.messages_per_second,
                latency.p50,
                latency.p90,
                latency.p99,
                latency.p99_9,
                latency.max
            )?;
        }
        if let Some(server) = &self.server {
            writeln!(f, "server: {server}")?;
        }
        if let Some(backend) = &self.backend {
            writeln!(f, "backend: {backend}")?;
        }
        writeln!(f, "client: {}", self.client)?;
        if self.ok {
            return writeln!(f, "no errors");
        }
        writeln!(f, "ERRORS: {:?}", self.errors)?;
        self.error_samples.iter().try_for_each(|sample| writeln!(f, "  {sample}"))
    }
}

impl fmt::Display for ServerUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cpu) = self.cpu_ns_per_message {
            write!(f, "{cpu:.0} ns of CPU per message, ")?;
        }
        write!(f, "{:.1} % of a core", self.cpu_share * 100.0)?;
        if let Some(quiet) = self.quiet_cpu_share {
            write!(f, " ({:.2} % without heartbeats; {} came)", quiet * 100.0, self.heartbeats)?;
        }
        let rss = self.rss_bytes as f64 / f64::from(1 << 20);
        write!(f, ", {rss:.1} MiB resident, {:.0} bytes per client", self.rss_bytes_per_client)?;
        write!(f, ", {:.1} us of CPU per handshake", self.connect_cpu_ns / 1e3)
    }
}

impl fmt::Display for ClientUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cpu) = self.cpu_ns_per_message {
            write!(f, "{cpu:.0} ns of CPU per message, ")?;
        }
        write!(f, "busiest core {:.0} %", self.busiest_core * 100.0)?;
        if self.saturated {
            write!(f, " (SATURATED: rate and latency are the pair's, not the server's)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_above_nine_tenths_of_its_core_is_saturated() {
        let load = |cpu| Load { cpu, wall: 1_000 };
        assert!(!client_usage(&[load(100), load(900)], 10).saturated);
        let usage = client_usage(&[load(100), load(901)], 10);
        assert!(usage.saturated);
        assert_eq!(usage.cpu_ns_per_message, Some(100.1));
        assert_eq!(client_usage(&[load(1)], 0).cpu_ns_per_message, None);
    }
}
