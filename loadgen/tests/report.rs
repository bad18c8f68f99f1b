//! The page of a report in a real browser: light, dark, on a phone and on paper (`report.mjs` says what must hold).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use std::fs;
use std::path::Path;
use std::process::Command;
use tidegate_loadgen::report::{
    DisturbanceReport, Latency, Percentile, Phases, Report, ServerMoment, ServerUsage, html, load, save_html,
    save_mix,
};
use tidegate_loadgen::{Errors, Second};

/// A run of half a minute that stalled once.
fn report(scenario: &str, slower: f64) -> Report {
    let second = |second: u32| Second {
        second,
        connected: 200.min(u64::from(second + 1) * 120),
        handshakes: if second < 2 { 100 } else { 0 },
        messages: if second == 17 { 3_100 } else { 8_000 },
        errors: 0,
        p50_us: Some(110.0 * slower),
        p99_us: Some(if second == 17 { 190_000.0 } else { 900.0 * slower }),
        max_us: Some(if second == 17 { 203_000.0 } else { 2_500.0 * slower }),
        client_core: 0.4,
    };
    let curve = |quantile: f64| Percentile {
        percentile: quantile * 100.0,
        us: 60.0 * slower * (1.0 - quantile + 1e-4).powf(-0.8),
    };
    let mut percentiles: Vec<_> = (0..54).map(|n| curve(1.0 - 0.8_f64.powi(n))).collect();
    percentiles.push(Percentile { percentile: 100.0, us: 203_000.0 });
    let moment = |at: u32| ServerMoment {
        at_s: f64::from(at),
        cpu_share: 0.3 * slower,
        rss_bytes: (20 << 20) + u64::from(at) * 40_000,
    };
    Report {
        version: "0.1.0".into(),
        name: scenario.into(),
        scenario: scenario.into(),
        transport: "websocket".into(),
        connections: 200,
        joined: 200,
        seconds: 25.0,
        messages: 195_100,
        messages_per_second: 7_804.0,
        latency_us: Latency {
            p50: 110.0 * slower,
            p90: 300.0 * slower,
            p99: 900.0 * slower,
            p99_9: 150_000.0,
            p99_99: 199_000.0,
            max: 203_000.0,
        },
        percentiles,
        open_loop: true,
        server: Some(ServerUsage {
            cpu_ns_per_message: Some(3_700.0 * slower),
            cpu_share: 0.3,
            connect_cpu_ns: 18_000.0,
            heartbeats: 200,
            quiet_cpu_share: None,
            rss_bytes_before: 12 << 20,
            rss_bytes: 21 << 20,
            rss_bytes_per_client: 2_268.0,
            threads: 2,
            cpu_ns_by_second: vec![300_000_000; 25],
            timeline: (1..30).map(moment).collect(),
            command: "tidegate serve --app bench".into(),
        }),
        phases: Phases { connected_s: 1.6, measure_from_s: 4.6, end_s: 29.6 },
        timeline: (0..31).map(second).collect(),
        settings: [("rate", "8000/s"), ("url", "http://127.0.0.1:3000")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        ok: true,
        unix_time: 1_795_188_932,
        ..Report::default()
    }
}

/// Shows a page to the browser.
fn look_at(page: &str, name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report").join(name);
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("report.html");
    fs::write(&file, page).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report.mjs");
    let said =
        Command::new("node").arg(script).arg(&file).arg(&folder).output().expect("scripts/setup installs it");
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && out.contains("4 passed"), "{out}{err}");
}

#[test]
fn the_page_of_a_good_run_is_readable_everywhere() {
    look_at(&html::single(&report("echo", 1.0)), "good");
}

#[test]
fn the_page_of_a_bad_run_is_readable_everywhere() {
    let mut report = report("slow", 1.0);
    report.baseline_us = Some(report.latency_us);
    report.baseline_percentiles =
        report.percentiles.iter().map(|point| Percentile { us: point.us / 2.0, ..*point }).collect();
    report.disturbance =
        Some(DisturbanceReport { clients: 20, consequences: 18, began_s: 17.0, recovery_seconds: None });
    report.errors = Errors { lost: 1_234, disconnected: 2, ..Errors::default() };
    report.error_samples = vec!["bad frame: a message in fragments".into()];
    (report.ok, report.timeline[17].errors) = (false, 1_236);
    (report.client.saturated, report.client.busiest_core) = (true, 0.97);
    look_at(&html::single(&report), "bad");
}

#[test]
fn several_runs_stand_side_by_side() {
    let runs = [("tidegate", 1.0), ("oxide", 1.8), ("node", 4.2)]
        .map(|(name, slower)| (name.to_owned(), report("echo", slower)));
    look_at(&html::compare(&runs), "compare");
}

#[test]
fn what_was_saved_is_read_again_alone_or_as_a_mix() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("saved");
    fs::create_dir_all(&folder).unwrap();
    let (one, mix, page) = (folder.join("one.json"), folder.join("mix.json"), folder.join("mix.html"));
    report("echo", 1.0).save(&one).unwrap();
    save_mix(&[report("echo", 1.0), report("idle", 2.0)], &mix).unwrap();
    save_html(&load(&mix).unwrap(), &page).unwrap();
    assert_eq!(load(&one).unwrap()[0].latency_us, report("echo", 1.0).latency_us);
    let names: Vec<String> = load(&mix).unwrap().into_iter().map(|report| report.name).collect();
    assert_eq!(names, ["echo", "idle"]);
    assert!(fs::read_to_string(&page).unwrap().contains("A mix of 2 loads"));
}

#[test]
fn a_comparison_fails_if_a_run_did() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compared");
    fs::create_dir_all(&folder).unwrap();
    let (good, bad, page) = (folder.join("good.json"), folder.join("bad.json"), folder.join("page.html"));
    report("echo", 1.0).save(&good).unwrap();
    Report { ok: false, ..report("echo", 2.0) }.save(&bad).unwrap();
    let compare = |files: &[&Path]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-loadgen"));
        let status = command.arg("compare").args(files).arg("--report").arg(&page).status().unwrap();
        (status.code(), fs::read_to_string(&page).is_ok())
    };
    assert_eq!(compare(&[&good, &good]), (Some(0), true));
    assert_eq!(compare(&[&good, &bad]), (Some(1), true));
    assert_eq!(compare(&[&folder.join("none.json")]).0, Some(2));
}
