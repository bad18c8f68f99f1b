//! Results for tests: two whole files, and small ones made of a few runs.

use super::results::Results;
use serde_json::{Value, json};

/// Nine servers, with a row nobody measured, numbers that are missing, runs that failed, and servers with a single run.
pub(super) const PEERS: &str = include_str!("fixture/peers.json");
/// Curves of three servers, one of them with fewer points.
pub(super) const SCALING: &str = include_str!("fixture/scaling.json");

/// Results of `echo-100` (CPU, rate, p99) with floor, Tidegate, Bun and Node.
pub(super) fn results(runs: &[Value]) -> Results {
    Results::parse(&file(runs).to_string()).unwrap()
}

/// The same as a file.
pub(super) fn file(runs: &[Value]) -> Value {
    json!({
        "unix_time": 1_795_179_365,
        "servers": [
            { "name": "floor", "title": "Floor", "kind": "floor" },
            { "name": "tidegate", "title": "Tidegate", "version": "version tidegate 0.1.0", "kind": "ours" },
            { "name": "bun", "title": "Bun", "version": "version bun 1.4.5", "kind": "peer" },
            { "name": "node", "title": "Node", "kind": "peer" },
        ],
        "rows": [{ "name": "echo-100", "title": "echo, 100 connections", "lines": [
            { "key": "cpu", "title": "CPU per echo", "pointer": "/server/cpu_ns_per_message", "unit": "nanos_as_micros",
              "better": "less" },
            { "key": "rate", "title": "rate", "pointer": "/messages_per_second", "unit": "thousands", "better": "more" },
            { "key": "p99", "title": "p99", "pointer": "/latency_us/p99", "unit": "micros", "better": "less" },
        ] }],
        "runs": runs,
    })
}

/// One run.
pub(super) fn run(row: &str, server: &str, report: &Value) -> Value {
    json!({ "row": row, "server": server, "repetition": 0, "report": report })
}
