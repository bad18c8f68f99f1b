//! From what was measured to a report.

use super::{
    ClientUsage, DisturbanceReport, Histograms, Host, Latency, Percentile, Phases, Report, SATURATED,
    ServerMoment, ServerUsage,
};
use crate::clock::{Nanos, SECOND};
use crate::interval::{Interval, Second};
use crate::options::{Common, Header, OutputOptions, Pace, Part, ScenarioOptions};
use crate::process::Usage;
use crate::run::watched::Watched;
use crate::scenario::Plan;
use crate::stats::{Load, Stats};
use hdrhistogram::Histogram;
use rustix::system::uname;
use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Shortest time over which a share of a core is told.
const SHARE_SPAN_MIN: Nanos = SECOND / 4;
/// Points of a curve for each halving of what is above.
const POINTS_PER_HALVING: u32 = 5;

/// What a run measured, before it is a report.
pub(crate) struct Measurements<'a> {
    pub(crate) stats: Stats,
    pub(crate) server: Option<&'a Watched>,
    /// The process behind it.
    pub(crate) backend: Option<&'a Watched>,
    pub(crate) seconds: Vec<Second>,
    pub(crate) intervals: Vec<Interval>,
    pub(crate) origin: Nanos,
    pub(crate) unix_time: SystemTime,
    pub(crate) connected_at: Nanos,
    /// With the end it had.
    pub(crate) plan: Plan,
    pub(crate) interrupted: bool,
    /// Clients that joined, of all parts. The server has them all.
    pub(crate) joined: u64,
    /// It is the only part: what the server did, it did for its messages.
    pub(crate) alone: bool,
}

impl Measurements<'_> {
    fn seconds_of(&self, moment: Nanos) -> f64 {
        moment.saturating_sub(self.origin) as f64 / SECOND as f64
    }

    /// The samples of the measured window: from the first in it to the first at its end.
    fn window<'w>(&self, watched: &'w Watched) -> &'w [Usage] {
        let samples = &watched.samples[..];
        let position = |from: Nanos| samples.iter().position(|sample| sample.at >= from);
        let Some(first) = position(self.plan.measure_from) else { return &[] };
        let last = position(self.plan.end).unwrap_or(samples.len() - 1);
        &samples[first..=last]
    }
}

impl Report {
    pub(crate) fn new(part: &Part, output: &OutputOptions, measured: Measurements<'_>) -> Self {
        let (scenario, common) = (&part.options.scenario, part.options.common());
        let stats = &measured.stats;
        let storm = matches!(scenario, ScenarioOptions::Connect(_));
        let disturbance = disturbance(scenario, &measured);
        let recovery = disturbance.and_then(|disturbance| disturbance.recovery_seconds);
        let duration = (measured.plan.end - measured.plan.measure_from) as f64 / SECOND as f64;
        let (messages, latency, seconds) = match scenario {
            ScenarioOptions::Connect(_) => {
                (stats.joined, &stats.handshake, measured.seconds_of(measured.connected_at))
            }
            // The other half is the baseline.
            ScenarioOptions::Slow(_) => {
                let half = common.duration.as_secs_f64() / 2.0;
                (stats.messages, &stats.latency, (duration - half).max(0.0))
            }
            _ => (stats.messages, &stats.latency, recovery.unwrap_or(duration)),
        };
        // What CPU time is divided by.
        let all_messages = messages + stats.baseline.len();
        let window = if storm { 0.0 } else { recovery.unwrap_or(duration) };
        let loads = if storm { &stats.connecting } else { &stats.measured };
        let baseline = matches!(scenario, ScenarioOptions::Slow(_)).then_some(&stats.baseline);
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            name: part.name.clone(),
            scenario: scenario.name().into(),
            transport: common.transport.name().into(),
            connections: common.connections,
            joined: stats.joined,
            seconds,
            messages,
            messages_per_second: if seconds > 0.0 { messages as f64 / seconds } else { 0.0 },
            latency_us: Latency::of(latency),
            percentiles: percentiles(latency),
            ended_early: ended_early(&measured, common, storm),
            open_loop: is_open_loop(scenario),
            baseline_us: baseline.map(Latency::of),
            baseline_percentiles: baseline.map(percentiles).unwrap_or_default(),
            disturbance,
            handshake_us: Latency::of(&stats.handshake),
            server: measured.server.map(|server| usage(&measured, server, all_messages, storm)),
            backend: measured.backend.map(|backend| usage(&measured, backend, all_messages, storm)),
            client: client_usage(loads, all_messages, &stats.late),
            ok: stats.errors.failing(&output.allow) == 0,
            errors: stats.errors.clone(),
            error_samples: stats.samples.clone(),
            phases: Phases {
                connected_s: measured.seconds_of(measured.connected_at),
                measure_from_s: measured.seconds_of(measured.plan.measure_from),
                end_s: measured.seconds_of(measured.plan.measure_from) + window,
            },
            settings: settings(scenario),
            host: host(),
            unix_time: measured.unix_time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            timeline: measured.seconds,
            histograms: Some(Box::new(Histograms {
                latency: latency.clone(),
                intervals: measured.intervals,
            })),
        }
    }
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        let max = histogram.max() as f64 / 1e3;
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p99_9: at(0.999), p99_99: at(0.9999), max }
    }
}

/// The curve: dense where the tail is.
fn percentiles(histogram: &Histogram<u64>) -> Vec<Percentile> {
    let point =
        |quantile: f64, value: u64| Percentile { percentile: quantile * 100.0, us: value as f64 / 1e3 };
    histogram
        .iter_quantiles(POINTS_PER_HALVING)
        .map(|step| point(step.quantile_iterated_to(), step.value_iterated_to().min(histogram.max())))
        .collect()
}

/// Why the run did not take the time it should have.
fn ended_early(measured: &Measurements<'_>, common: &Common, storm: bool) -> Option<String> {
    let took = (measured.plan.end - measured.plan.measure_from) as f64 / SECOND as f64;
    let planned = common.duration.as_secs_f64();
    let why = if measured.interrupted { "The run was interrupted" } else { "Every client was gone" };
    match (storm, measured.interrupted) {
        (true, true) => Some(format!("{why} while clients connected.")),
        (true, false) => None,
        (false, _) if took < planned => {
            Some(format!("{why} after {took:.2} s of the {planned:.2} s that were to be measured."))
        }
        (false, _) => None,
    }
}

fn is_open_loop(scenario: &ScenarioOptions) -> bool {
    match scenario {
        ScenarioOptions::Echo(options) => options.pace.rate.is_some(),
        ScenarioOptions::Broadcast(options) => options.pace.rate.is_some(),
        ScenarioOptions::Rooms(options) => options.pace.rate.is_some(),
        ScenarioOptions::Churn(_) | ScenarioOptions::Slow(_) => true,
        ScenarioOptions::Connect(options) => options.common.ramp.is_some(),
        ScenarioOptions::Idle(_) | ScenarioOptions::Avalanche(_) => false,
    }
}

fn disturbance(scenario: &ScenarioOptions, measured: &Measurements<'_>) -> Option<DisturbanceReport> {
    let disturbance = measured.stats.disturbance;
    let is_avalanche = match scenario {
        ScenarioOptions::Avalanche(_) => true,
        ScenarioOptions::Slow(_) => false,
        _ => return None,
    };
    // Who never came back is in the errors.
    let whole = is_avalanche && disturbance.began > 0 && measured.stats.messages >= disturbance.clients;
    let recovery = disturbance.recovered.saturating_sub(disturbance.began) as f64 / SECOND as f64;
    Some(DisturbanceReport {
        clients: disturbance.clients,
        consequences: disturbance.consequences,
        began_s: measured.seconds_of(disturbance.began),
        recovery_seconds: (whole && recovery > 0.0).then_some(recovery),
    })
}

/// `None` where there is nothing to divide by.
fn per(total: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| total as f64 / count as f64)
}

fn client_usage(loads: &[Load], messages: u64, late: &Histogram<u64>) -> ClientUsage {
    let busiest_core = loads.iter().map(Load::share).fold(0.0, f64::max);
    ClientUsage {
        cpu_ns_per_message: per(loads.iter().map(|load| load.cpu).sum(), messages),
        user_cpu_ns_per_message: per(loads.iter().map(|load| load.user).sum(), messages),
        busiest_core,
        waited_share: loads.iter().map(Load::waited_share).fold(0.0, f64::max),
        late_us: (!late.is_empty()).then(|| Latency::of(late)),
        saturated: busiest_core > SATURATED,
    }
}

fn usage(measured: &Measurements<'_>, watched: &Watched, messages: u64, storm: bool) -> ServerUsage {
    let (before, connected) = (watched.before(), &watched.connected);
    let window = measured.window(watched);
    let (first, last) = match window {
        [first, .., last] => (first, last),
        _ => (connected, connected),
    };
    let connecting = connected.cpu_since(before);
    let (used, wall) = match storm {
        true => (connecting, connected.at - before.at),
        false => (last.cpu_since(first), last.at - first.at),
    };
    let by_second: Vec<(u64, u64)> =
        window.windows(2).map(|pair| (pair[1].cpu_since(&pair[0]), pair[1].at - pair[0].at)).collect();
    let heartbeats = &measured.stats.heartbeats;
    let quiet =
        by_second.iter().enumerate().filter(|(second, _)| heartbeats.get(*second).is_none_or(|n| *n == 0));
    let (quiet_cpu, quiet_wall) = quiet.fold((0, 0), |(cpu, wall), (_, next)| (cpu + next.0, wall + next.1));
    let joined = measured.joined;
    ServerUsage {
        cpu_ns_per_message: per(used, messages).filter(|_| measured.alone),
        cpu_share: per(used, wall).unwrap_or(0.0),
        connect_cpu_ns: per(connecting, joined).unwrap_or(0.0),
        heartbeats: heartbeats.iter().sum(),
        quiet_cpu_share: per(quiet_cpu, quiet_wall),
        rss_bytes_before: before.rss_bytes,
        rss_bytes: last.rss_bytes,
        rss_bytes_per_client: per(last.rss_bytes.saturating_sub(before.rss_bytes), joined).unwrap_or(0.0),
        threads: last.threads(),
        cpu_ns_by_second: by_second.into_iter().map(|(cpu, _)| cpu).collect(),
        timeline: timeline(measured, watched),
        command: watched.command_line.clone(),
    }
}

fn timeline(measured: &Measurements<'_>, watched: &Watched) -> Vec<ServerMoment> {
    let mut moments = Vec::new();
    let mut last = watched.before();
    for sample in &watched.samples[1..] {
        // CPU time comes in ticks of the scheduler: over less than this a share is noise.
        if sample.at - last.at < SHARE_SPAN_MIN {
            continue;
        }
        moments.push(ServerMoment {
            at_s: measured.seconds_of(sample.at),
            cpu_share: per(sample.cpu_since(last), sample.at - last.at).unwrap_or(0.0),
            rss_bytes: sample.rss_bytes,
        });
        last = sample;
    }
    moments
}

/// What the command line said, defaults included.
fn settings(scenario: &ScenarioOptions) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
    let Common { url, path, namespace, header, duration, warmup, ramp, source_addresses, cores, .. } =
        scenario.common();
    set("url", format!("http://{}", url.host));
    set("path", path.clone());
    if !namespace.is_root() {
        set("namespace", namespace.to_string());
    }
    if !header.is_empty() {
        // Their values, like that of --auth, may be secrets, and a report is shown around.
        set("headers", header.iter().map(Header::name).collect::<Vec<_>>().join(", "));
    }
    set("duration", format!("{duration:?}"));
    set("warmup", format!("{warmup:?}"));
    if let Some(concurrency) = scenario.common().concurrency() {
        set("concurrency", concurrency.to_string());
    }
    if let Some(ramp) = ramp {
        set("ramp", format!("{ramp}/s"));
    }
    if let Some(sources) = source_addresses {
        set("source-addresses", sources.to_string());
    }
    let cores =
        cores.as_ref().map(|cores| cores.0.iter().map(usize::to_string).collect::<Vec<_>>().join(","));
    set("cores", cores.unwrap_or_else(|| "one, not pinned".into()));
    let mut pace = |pace: &Pace| match pace.rate {
        Some(rate) => set("rate", format!("{rate}/s")),
        None => set("in-flight", pace.in_flight.to_string()),
    };
    match scenario {
        ScenarioOptions::Echo(options) => {
            pace(&options.pace);
            set("payload", format!("{} B", options.payload));
            if options.bare {
                set("bare", "yes: no Socket.IO above the WebSocket".into());
            }
        }
        ScenarioOptions::Broadcast(options) => {
            pace(&options.pace);
            set("payload", format!("{} B", options.payload));
            set("senders", options.senders.to_string());
        }
        ScenarioOptions::Rooms(options) => {
            pace(&options.pace);
            set("payload", format!("{} B", options.payload));
            set("rooms", options.rooms.to_string());
        }
        ScenarioOptions::Churn(options) => {
            set("rate", format!("{}/s", options.arrivals_per_second()));
        }
        ScenarioOptions::Slow(options) => {
            set("rate", format!("{}/s", options.rate));
            set("payload", format!("{} B", options.payload));
            set("share", format!("{} %", options.share * 100.0));
        }
        ScenarioOptions::Avalanche(options) => {
            set("cut", format!("by the {:?}", options.cut).to_lowercase());
        }
        ScenarioOptions::Connect(_) | ScenarioOptions::Idle(_) => {}
    }
    settings
}

fn host() -> Host {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    Host {
        kernel: uname().release().to_string_lossy().into_owned(),
        cpu: model.map(|model| model.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default(),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_above_nine_tenths_of_its_core_is_saturated() {
        let load = |cpu| Load { cpu, user: cpu / 10, waited: 60, wall: 1_000 };
        let late = Stats::new().late;
        assert!(!client_usage(&[load(100), load(900)], 10, &late).saturated);
        let usage = client_usage(&[load(100), load(901)], 10, &late);
        assert!(usage.saturated);
        assert_eq!((usage.cpu_ns_per_message, usage.user_cpu_ns_per_message), (Some(100.1), Some(10.0)));
        assert_eq!(client_usage(&[load(1)], 0, &late).cpu_ns_per_message, None);
        let report = Report { client: usage, ..Report::default() };
        assert_eq!(report.warnings().len(), 2, "{:?}", report.warnings());
    }

    #[test]
    fn a_curve_ends_with_the_largest_value() {
        let mut histogram = Stats::new().latency;
        (1..=10_000).for_each(|value| histogram.record(value * 1000).unwrap());
        let curve = percentiles(&histogram);
        assert_eq!(curve.last().map(|point| point.percentile), Some(100.0));
        assert!((curve.last().unwrap().us - 10_000.0).abs() < 10.0);
        assert!(
            curve.windows(2).all(|pair| pair[0].percentile <= pair[1].percentile && pair[0].us <= pair[1].us)
        );
    }
}
