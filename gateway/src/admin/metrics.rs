//! Every metric there is: its name, what it means, and where its number comes from.
//!
//! All metrics of a shard have the label `shard`; sums are the business of whoever asks. Units are seconds and bytes.

use super::exposition::{Exposition, Kind};
use super::process::ProcessReport;
use super::report::ShardReport;
use std::fmt::Display;
use std::time::Duration;
use tidegate_core::close::CloseReason;

/// Upper bounds of the buckets for turns.
const TURN_BOUNDS: [Duration; 14] = [
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// A metric with one number per shard.
type Simple = (&'static str, Kind, &'static str, fn(&ShardReport) -> u64);

use Kind::{Counter, Gauge};

const SIMPLE: &[Simple] = &[
    ("tidegate_connections", Gauge, "TCP connections of clients open now.", |r| r.stats.connections),
    ("tidegate_connections_accepted_total", Counter, "TCP connections accepted.", |r| {
        r.stats.connections_accepted
    }),
    (
        "tidegate_connections_moved_total",
        Counter,
        "WebSocket connections taken over from another core.",
        |r| r.stats.connections_moved,
    ),
    (
        "tidegate_connections_over_limit_total",
        Counter,
        "TCP connections closed at once: there were too many.",
        |r| r.refused_over_limit,
    ),
    ("tidegate_accept_pauses_total", Counter, "Times accepting paused for want of file descriptors.", |r| {
        r.accept_pauses
    }),
    ("tidegate_sessions_opened_total", Counter, "Engine.IO sessions opened.", |r| r.stats.sessions_opened),
    ("tidegate_sessions_upgraded_total", Counter, "Sessions that moved from polling to WebSocket.", |r| {
        r.stats.sessions_upgraded
    }),
    ("tidegate_slow_consumers_total", Counter, "Sessions closed because their client did not read.", |r| {
        closed(r, CloseReason::SlowConsumer)
    }),
    ("tidegate_sockets", Gauge, "Sockets joined to a namespace now.", |r| r.stats.sockets),
    ("tidegate_namespaces", Gauge, "Namespaces with a socket on this shard.", |r| r.stats.namespaces),
    ("tidegate_rooms", Gauge, "Rooms with a member on this shard, sockets' own rooms left out.", |r| {
        r.stats.rooms
    }),
    ("tidegate_http_requests_total", Counter, "HTTP requests.", |r| r.stats.requests),
    (
        "tidegate_http_requests_forwarded_total",
        Counter,
        "Polling requests sent on to the core of their session.",
        |r| r.stats.requests_forwarded,
    ),
    ("tidegate_http_refusals_total", Counter, "HTTP requests refused before Engine.IO saw them.", |r| {
        r.stats.refusals_http
    }),
    ("tidegate_events_received_total", Counter, "Socket.IO events from clients.", |r| r.stats.events_in),
    (
        "tidegate_events_sent_total",
        Counter,
        "Socket.IO packets to clients, copies of broadcasts included.",
        |r| r.stats.events_out,
    ),
    ("tidegate_received_bytes_total", Counter, "Bytes read from client connections.", |r| r.stats.bytes_in),
    ("tidegate_sent_bytes_total", Counter, "Bytes written to client connections.", |r| r.stats.bytes_out),
    ("tidegate_broadcasts_total", Counter, "Broadcasts asked for on this shard.", |r| r.stats.broadcasts),
    ("tidegate_broadcast_deliveries_total", Counter, "Copies of broadcasts queued to sockets.", |r| {
        r.stats.deliveries
    }),
    (
        "tidegate_volatile_dropped_total",
        Counter,
        "Volatile packets dropped: the transport was not ready.",
        |r| r.stats.volatile_dropped,
    ),
    (
        "tidegate_undecodable_packets_total",
        Counter,
        "Socket.IO packets that were malformed or came at the wrong time; each ended its session.",
        |r| r.stats.decode_errors,
    ),
    ("tidegate_input_bytes", Gauge, "Bytes of unfinished requests and messages now.", |r| {
        r.stats.input_bytes
    }),
    (
        "tidegate_input_refused_total",
        Counter,
        "Clients sent away because all together held too many bytes of those.",
        |r| r.stats.input_refused,
    ),
    ("tidegate_outbox_bytes", Gauge, "Bytes that wait for clients now.", |r| r.stats.outbox_bytes),
    ("tidegate_mailbox_depth", Gauge, "Messages from other cores that wait here now.", |r| r.mailbox_depth),
    ("tidegate_mailbox_backlog", Gauge, "Messages to other cores that wait here: a mailbox is full.", |r| {
        r.stats.mailbox_backlog
    }),
];

/// The whole text of `/metrics`.
pub fn render(shards: &[ShardReport], process: &ProcessReport) -> String {
    let mut text = Exposition::default();
    text.family("tidegate_build_info", Gauge, "The version that is running.");
    text.sample(&[("version", &env!("CARGO_PKG_VERSION"))], 1);
    for (name, kind, help, value) in SIMPLE {
        text.family(name, *kind, help);
        for report in shards {
            text.sample(&[("shard", &report.shard)], value(report));
        }
    }
    sessions(&mut text, shards);
    refusals(&mut text, shards);
    turns(&mut text, shards);
    process_metrics(&mut text, process);
    text.finish()
}

fn sessions(text: &mut Exposition, shards: &[ShardReport]) {
    text.family("tidegate_sessions", Gauge, "Engine.IO sessions open now.");
    for report in shards {
        let stats = &report.stats;
        for (transport, count) in
            [("polling", stats.sessions_polling), ("websocket", stats.sessions_websocket)]
        {
            text.sample(&[("shard", &report.shard), ("transport", &transport)], count);
        }
    }
    text.family("tidegate_sessions_closed_total", Counter, "Engine.IO sessions closed, by reason.");
    for report in shards {
        for reason in CloseReason::ALL {
            text.sample(&[("shard", &report.shard), ("reason", &reason.label())], closed(report, reason));
        }
    }
}

fn refusals(text: &mut Exposition, shards: &[ShardReport]) {
    text.family("tidegate_refusals_total", Counter, "Requests refused, by Engine.IO error code.");
    for report in shards {
        for (code, count) in report.stats.refusals_by_code.iter().enumerate() {
            text.sample(&[("shard", &report.shard), ("code", &code)], count);
        }
    }
}

fn turns(text: &mut Exposition, shards: &[ShardReport]) {
    text.family("tidegate_turn_duration_seconds", Kind::Histogram, "Time each turn of a worker took.");
    for report in shards {
        let (shard, turns): (&dyn Display, _) = (&report.shard, &report.turn_times);
        for (bound, count) in TURN_BOUNDS.iter().zip(turns.cumulative(TURN_BOUNDS)) {
            text.suffixed("_bucket", &[("shard", shard), ("le", &bound.as_secs_f64())], count);
        }
        text.suffixed("_bucket", &[("shard", shard), ("le", &"+Inf")], turns.count());
        text.suffixed("_sum", &[("shard", shard)], turns.total().as_secs_f64());
        text.suffixed("_count", &[("shard", shard)], turns.count());
    }
}

/// Under the names that every Prometheus client uses. What the kernel does not say is left out.
fn process_metrics(text: &mut Exposition, process: &ProcessReport) {
    let mut one = |name, kind, help, value: Option<f64>| {
        if let Some(value) = value {
            text.family(name, kind, help);
            text.sample(&[], value);
        }
    };
    one("process_cpu_seconds_total", Counter, "User and system CPU time.", process.cpu_seconds);
    one("process_resident_memory_bytes", Gauge, "Resident memory.", process.resident_bytes);
    one("process_virtual_memory_bytes", Gauge, "Virtual memory.", process.virtual_bytes);
    one("process_open_fds", Gauge, "Open file descriptors.", process.open_fds);
    one("process_max_fds", Gauge, "Most file descriptors.", process.max_fds);
    one("process_start_time_seconds", Gauge, "When the process started, in Unix time.", process.start_time);
    one("process_threads", Gauge, "Threads.", process.threads);
}

fn closed(report: &ShardReport, reason: CloseReason) -> u64 {
    let mut closed = CloseReason::ALL.iter().zip(report.stats.sessions_closed);
    closed.find(|(other, _)| **other == reason).expect("ALL lists every reason").1
}
