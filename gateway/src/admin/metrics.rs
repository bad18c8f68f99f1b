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

/// What the application counts of its links to backends: zeros where it has none.
const BACKEND: &[Simple] = &[
    ("tidegate_ports", Gauge, "Streams of the application open now.", |r| r.stats.ports),
    ("tidegate_backend_strangers_total", Counter, "Backends closed at once: they may not connect.", |r| {
        r.links_refused
    }),
    (
        "tidegate_backend_links_over_limit_total",
        Counter,
        "Backends closed at once: there were too many links.",
        |r| r.links_over_limit,
    ),
    ("tidegate_backend_links", Gauge, "Links to backends open now.", |r| r.stats.backend.links),
    ("tidegate_backend_links_serving", Gauge, "Links open now whose backend takes new sockets.", |r| {
        r.stats.backend.links_serving
    }),
    ("tidegate_backend_sockets_waiting", Gauge, "CONNECTs that wait for a backend now.", |r| {
        r.stats.backend.sockets_waiting
    }),
    (
        "tidegate_backend_sockets_orphaned",
        Gauge,
        "Sockets whose backend has gone, waiting for another now.",
        |r| r.stats.backend.sockets_orphaned,
    ),
    ("tidegate_backend_held_bytes", Gauge, "Bytes of what waits for a backend now.", |r| {
        r.stats.backend.held_bytes
    }),
    ("tidegate_backend_adopted_total", Counter, "Sockets taken over from a backend that had gone.", |r| {
        r.stats.backend.adopted_total
    }),
    (
        "tidegate_backend_redelivered_total",
        Counter,
        "Events sent again to the backend that took over.",
        |r| r.stats.backend.redelivered_total,
    ),
    ("tidegate_backend_events_dropped_total", Counter, "Events from clients that no backend got.", |r| {
        r.stats.backend.events_dropped_total
    }),
    ("tidegate_backend_holds_expired_total", Counter, "Sockets for which no backend came in time.", |r| {
        r.stats.backend.holds_expired_total
    }),
    ("tidegate_backend_frames_in_total", Counter, "Frames from backends.", |r| {
        r.stats.backend.frames_in_total
    }),
    ("tidegate_backend_frames_out_total", Counter, "Frames to backends.", |r| {
        r.stats.backend.frames_out_total
    }),
    ("tidegate_backend_link_bytes_in_total", Counter, "Bytes from backends.", |r| {
        r.stats.backend.link_bytes_in_total
    }),
    ("tidegate_backend_link_bytes_out_total", Counter, "Bytes to backends.", |r| {
        r.stats.backend.link_bytes_out_total
    }),
    (
        "tidegate_backend_links_refused_total",
        Counter,
        "Links refused or ended: their backend broke the protocol.",
        |r| r.stats.backend.links_refused_total,
    ),
];

/// The whole text of `/metrics`.
pub fn render(shards: &[ShardReport], process: &ProcessReport) -> String {
    let mut text = Exposition::default();
    text.family("tidegate_build_info", Gauge, "The version that is running.");
    text.sample(&[("version", &env!("CARGO_PKG_VERSION"))], 1);
    for (name, kind, help, value) in SIMPLE.iter().chain(BACKEND) {
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
