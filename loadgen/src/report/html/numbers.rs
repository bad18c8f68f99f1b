//! The numbers of a page: the few that matter most, all of them side by side, and the settings they were made with.

use super::{colour, date, escape, spelled};
use crate::report::text::{bytes, cores, grouped, micros, rounded};
use crate::report::{Latency, Report};
use std::collections::BTreeSet;

/// The figures that matter most of one run.
pub(super) fn key_figures(report: &Report) -> String {
    let mut figures = Vec::new();
    let per_message = match report.messages_are() {
        "handshakes" => "per handshake",
        "returns" => "per return",
        _ => "per message",
    };
    let latency = &report.latency_us;
    if let Some(disturbance) = report.disturbance.filter(|_| report.scenario == "avalanche") {
        let value = disturbance.recovery_seconds.map_or("not all".into(), |seconds| micros(seconds * 1e6));
        figures.push(("full recovery", value, format!("{} clients came back", grouped(report.messages))));
    }
    if let Some(before) = &report.baseline_us {
        figures.push(("p99 before", micros(before.p99), "while all clients read".into()));
        figures.push(("p99 then", micros(latency.p99), "of those that still read".into()));
    }
    if report.messages > 0 {
        let rests = |one_in: u64| format!("1 in {} was slower", grouped(one_in));
        if report.baseline_us.is_none() {
            figures.push(("p50", micros(latency.p50), "half were slower".into()));
            figures.push(("p99", micros(latency.p99), rests(100)));
        }
        if report.messages >= 1000 {
            figures.push(("p99.9", micros(latency.p99_9), rests(1000)));
        }
        figures.push(("worst", micros(latency.max), format!("of {}", grouped(report.messages))));
        let rate = format!("{}/s", grouped(rounded(report.messages_per_second)));
        figures.push((report.messages_are(), rate, format!("in {:.1} s", report.seconds)));
    } else {
        figures.push((
            "clients",
            grouped(report.joined),
            format!("of {}", grouped(u64::from(report.connections))),
        ));
        figures.push((
            "handshake p50",
            micros(report.handshake_us.p50),
            format!("worst {}", micros(report.handshake_us.max)),
        ));
    }
    if let Some(server) = &report.server {
        match server.cpu_ns_per_message {
            Some(cpu) => figures.push(("server CPU", micros(cpu / 1e3), per_message.into())),
            None => {
                let share = format!("{:.2} %", server.cpu_share * 100.0);
                figures.push(("server CPU", share, "of a core".into()));
            }
        }
        if report.messages == 0 {
            figures.push(("server memory", bytes(server.rss_bytes_per_client), "per client".into()));
        }
    }
    let figure = |(name, value, about): &(&str, String, String)| {
        let (number, unit) = value.split_once(' ').unwrap_or((value, ""));
        format!(
            "<div><dt>{name}</dt><dd class=\"value\">{number}<small>{unit}</small></dd><dd class=\"about\">{about}</dd></div>"
        )
    };
    format!("<dl class=\"figures\">{}</dl>\n", figures.iter().map(figure).collect::<String>())
}

/// One row of the table: its name, and what a run has.
type Row = (&'static str, fn(&Report) -> Option<String>);

const ROWS: &[Row] = &[
    ("scenario", |report| Some(report.scenario.clone())),
    ("transport", |report| Some(spelled(&report.transport).to_owned())),
    ("loop", |report| match report.scenario.as_str() {
        "echo" | "broadcast" | "rooms" | "slow" | "churn" => {
            Some(if report.open_loop { "open".into() } else { "closed".into() })
        }
        _ => None,
    }),
    ("clients joined", |report| {
        Some(format!("{} of {}", grouped(report.joined), grouped(u64::from(report.connections))))
    }),
    ("messages", |report| measured(report, |report| grouped(report.messages))),
    ("per second", |report| measured(report, |report| grouped(rounded(report.messages_per_second)))),
    ("latency p50", |report| latency(report, |latency| latency.p50)),
    ("p90", |report| latency(report, |latency| latency.p90)),
    ("p99", |report| latency_of(report, 100, |latency| latency.p99)),
    ("p99.9", |report| latency_of(report, 1_000, |latency| latency.p99_9)),
    ("p99.99", |report| latency_of(report, 10_000, |latency| latency.p99_99)),
    ("worst", |report| latency(report, |latency| latency.max)),
    ("before: p50", |report| report.baseline_us.map(|before| micros(before.p50))),
    ("before: p99", |report| report.baseline_us.map(|before| micros(before.p99))),
    ("before: worst", |report| report.baseline_us.map(|before| micros(before.max))),
    ("clients disturbed", |report| report.disturbance.map(|disturbance| grouped(disturbance.clients))),
    ("then disconnected, or failed attempts", |report| {
        report.disturbance.map(|disturbance| grouped(disturbance.consequences))
    }),
    ("full recovery", |report| report.disturbance?.recovery_seconds.map(|seconds| micros(seconds * 1e6))),
    ("handshake p50", |report| Some(micros(report.handshake_us.p50))),
    ("handshake p99", |report| Some(micros(report.handshake_us.p99))),
    ("server CPU per message", |report| {
        report.server.as_ref()?.cpu_ns_per_message.map(|cpu| micros(cpu / 1e3))
    }),
    ("server cores in use", |report| report.server.as_ref().map(|server| cores(server.cpu_share))),
    ("server CPU per handshake", |report| {
        report.server.as_ref().map(|server| micros(server.connect_cpu_ns / 1e3))
    }),
    ("server memory", |report| report.server.as_ref().map(|server| bytes(server.rss_bytes as f64))),
    ("its growth per client", |report| {
        report.server.as_ref().map(|server| bytes(server.rss_bytes_per_client))
    }),
    ("generator CPU per message", |report| report.client.cpu_ns_per_message.map(|cpu| micros(cpu / 1e3))),
    ("of that outside the kernel", |report| {
        report.client.user_cpu_ns_per_message.map(|cpu| micros(cpu / 1e3))
    }),
    ("generator's busiest core", |report| Some(format!("{:.0} %", report.client.busiest_core * 100.0))),
    ("generator waited for its core", |report| Some(format!("{:.1} %", report.client.waited_share * 100.0))),
    ("sent late by, p99", |report| report.client.late_us.map(|late| micros(late.p99))),
];

fn measured(report: &Report, value: fn(&Report) -> String) -> Option<String> {
    (report.messages > 0).then(|| value(report))
}

fn latency(report: &Report, value: fn(&Latency) -> f64) -> Option<String> {
    (report.messages > 0).then(|| micros(value(&report.latency_us)))
}

/// A percentile that one message in so many is above; not of fewer.
fn latency_of(report: &Report, one_in: u64, value: fn(&Latency) -> f64) -> Option<String> {
    (report.messages >= one_in).then(|| micros(value(&report.latency_us)))
}

/// All numbers, one column for each run.
pub(super) fn comparison(runs: &[(String, &Report)]) -> String {
    let heads: String = runs
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| !name.is_empty())
        .map(|(number, (name, _))| {
            format!("<th class=\"n\"><i class=\"{}\"></i>{}</th>", colour(number), escape(name))
        })
        .collect();
    let head =
        if heads.is_empty() { String::new() } else { format!("<thead><tr><th></th>{heads}</tr></thead>") };
    let mut rows = String::new();
    for (name, value) in ROWS {
        let values: Vec<Option<String>> = runs.iter().map(|(_, report)| value(report)).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let cells: String = values
            .iter()
            .map(|value| format!("<td class=\"n\">{}</td>", value.as_deref().unwrap_or("–")))
            .collect();
        rows += &format!("<tr><th>{name}</th>{cells}</tr>\n");
    }
    let errors = runs.iter().map(|(_, report)| match report.errors.total() {
        0 => "<td class=\"n\">none</td>".to_owned(),
        total => format!("<td class=\"n wrong\">{}</td>", grouped(total)),
    });
    rows += &format!("<tr><th>errors</th>{}</tr>\n", errors.collect::<String>());
    format!("<div class=\"scroll\"><table>{head}<tbody>\n{rows}</tbody></table></div>\n")
}

/// Settings, machine and versions.
pub(super) fn details(reports: &[&Report]) -> String {
    let names: BTreeSet<&str> =
        reports.iter().flat_map(|report| report.settings.keys().map(String::as_str)).collect();
    let mut rows = String::new();
    let mut row = |name: &str, value: &dyn Fn(&Report) -> String| {
        let values: Vec<String> = reports.iter().map(|report| value(report)).collect();
        if values.iter().all(String::is_empty) {
            return;
        }
        // What is the same everywhere is said once.
        let same = values.iter().all(|value| *value == values[0]);
        let shown = if same { &values[..1] } else { &values[..] };
        let span = if same { reports.len() } else { 1 };
        let cells = shown.iter().map(|value| {
            let value = if value.is_empty() { "–".into() } else { escape(value) };
            format!("<td colspan=\"{span}\"><code>{value}</code></td>")
        });
        rows += &format!("<tr><th>{name}</th>{}</tr>\n", cells.collect::<String>());
    };
    for name in names {
        row(name, &|report| report.settings.get(name).cloned().unwrap_or_default());
    }
    row("server", &|report| report.server.as_ref().map(|server| server.command.clone()).unwrap_or_default());
    row("server threads", &|report| {
        report.server.as_ref().map(|server| server.threads.to_string()).unwrap_or_default()
    });
    row("generator", &|report| format!("tidegate-loadgen {}", report.version));
    row("its machine", &|report| match report.host.cpus {
        0 => String::new(),
        cpus => format!("{}, {cpus} CPUs, Linux {}", report.host.cpu, report.host.kernel),
    });
    row("begun", &|report| date(report.unix_time));
    let many = if reports.len() > 1 { " class=\"many\"" } else { "" };
    super::section(
        "Settings",
        "",
        &format!("<div class=\"scroll\"><table{many}><tbody>\n{rows}</tbody></table></div>\n"),
    )
}
