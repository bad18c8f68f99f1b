//! The text of `/metrics` is what Prometheus expects, and says what the shards report.

use std::collections::BTreeMap;
use std::time::Duration;
use tidegate::admin::{ProcessReport, ShardReport, TurnTimes, render};
use tidegate_core::close::CloseReason;
use tidegate_core::shard::stats::Stats;

fn report(shard: u16) -> ShardReport {
    let mut stats =
        Stats { sessions_polling: 3, sessions_websocket: 40, bytes_out: 1 << 60, ..Stats::default() };
    stats.refusals_by_code[1] = 7;
    stats.session_closed(CloseReason::SlowConsumer);
    let mut turn_times = TurnTimes::new();
    for micros in [4, 40, 400, 4_000, 40_000_000] {
        turn_times.record(Duration::from_micros(micros));
    }
    ShardReport {
        shard,
        stats,
        turn_times,
        mailbox_depth: 2,
        accept_pauses: 1,
        refused_over_limit: 9,
        links_refused: 5,
        links_over_limit: 6,
    }
}

/// Samples by name and labels, as written. Panics at the first line that is not in the format.
fn parse(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let mut families = BTreeMap::new();
    let mut samples = BTreeMap::new();
    let mut current = String::new();
    let mut helped = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect(line);
            assert!(!help.is_empty() && !help.contains('\\'), "{line}");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            assert_eq!(name, helped, "HELP and TYPE stand together");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} comes twice");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(name.starts_with("tidegate_") || name.starts_with("process_"), "{line}");
            current = name.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').expect(line);
            let name = check_series(series);
            let suffix = name.strip_prefix(&current).expect("a sample stands below its family");
            let histogram = families[&current] == "histogram";
            assert_eq!(["_bucket", "_sum", "_count"].contains(&suffix), histogram, "{line}");
            assert!(histogram || suffix.is_empty(), "{line}");
            let value: f64 = value.parse().expect(line);
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} comes twice");
        }
    }
    samples
}

/// Checks `name{label="value",…}` and returns the name.
fn check_series(series: &str) -> &str {
    let word = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !text.starts_with(|c: char| c.is_ascii_digit())
    };
    let (name, labels) = match series.split_once('{') {
        None => (series, None),
        Some((name, labels)) => (name, Some(labels.strip_suffix('}').expect(series))),
    };
    assert!(word(name), "{series}");
    for label in labels.into_iter().flat_map(|labels| labels.split(',')) {
        let (name, value) = label.split_once('=').expect(series);
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect(series);
        assert!(word(name) && !value.contains(['"', '\\', '\n']), "{series}");
    }
    name
}

#[test]
fn every_line_is_in_the_format_and_no_series_comes_twice() {
    let samples = parse(&render(&[report(0), report(1)], &ProcessReport::read()));
    assert!(samples.len() > 100);
}

#[test]
fn numbers_are_those_of_the_report() {
    let samples = parse(&render(&[report(0), report(1)], &ProcessReport::read()));
    for (series, value) in [
        ("tidegate_sessions{shard=\"0\",transport=\"polling\"}", 3.0),
        ("tidegate_sessions{shard=\"1\",transport=\"websocket\"}", 40.0),
        ("tidegate_sessions_closed_total{shard=\"1\",reason=\"slow_consumer\"}", 1.0),
        ("tidegate_sessions_closed_total{shard=\"1\",reason=\"ping_timeout\"}", 0.0),
        ("tidegate_slow_consumers_total{shard=\"1\"}", 1.0),
        ("tidegate_refusals_total{shard=\"0\",code=\"1\"}", 7.0),
        ("tidegate_sent_bytes_total{shard=\"0\"}", (1u64 << 60) as f64),
        ("tidegate_mailbox_depth{shard=\"0\"}", 2.0),
        ("tidegate_accept_pauses_total{shard=\"0\"}", 1.0),
        ("tidegate_connections_over_limit_total{shard=\"0\"}", 9.0),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
}

#[test]
fn buckets_of_turns_never_fall_and_end_with_all_of_them() {
    let text = render(&[report(0)], &ProcessReport::default());
    let samples = parse(&text);
    let buckets: Vec<f64> = text
        .lines()
        .filter(|line| line.contains("_bucket{"))
        .map(|line| samples[line.rsplit_once(' ').unwrap().0])
        .collect();
    assert!(buckets.is_sorted(), "{buckets:?}");
    assert_eq!((buckets.first(), buckets.last()), (Some(&1.0), Some(&5.0)));
    let series = |suffix| samples[&format!("tidegate_turn_duration_seconds_{suffix}{{shard=\"0\"}}")];
    assert_eq!(series("count"), 5.0);
    assert!((series("sum") - 40.004_444).abs() < 1e-9);
}

#[test]
fn without_a_shard_the_process_still_has_its_metrics() {
    let samples = parse(&render(&[], &ProcessReport::read()));
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    ] {
        assert!(samples.contains_key(name), "{name}");
    }
}
