//! What was measured, as tables in Markdown.

use super::page::{grouped, rounded};
use super::results::Results;
use super::rows::{
    BEAT_CPU, BEATS, BROADCAST, CONNECT, CORE, CROWD_BEAT, CROWD_BYTES, CROWD_CONNECT, CROWD_DELIVERY, ECHO,
    HANDSHAKE_CPU, HEARTBEATS, HOLD_POLLING, HOLD_WEBSOCKET, KERNEL_BYTES, Kind, LONGEST_BEAT,
    LONGEST_BROADCAST, LONGEST_CONNECT, Line, MESSAGE_CPU, PACED, PROCESS_BYTES, QUIET, Server,
};
use std::fmt::Write as _;

const MISSING: &str = "–";

/// A column: a title, and what stands below it for a number of connections.
type Column<'a> = (&'a str, Box<dyn Fn(u32) -> Option<String> + 'a>);

/// All tables.
pub(super) fn measured(results: &Results) -> String {
    [
        table("Memory, bytes per client", &sizes(&[HOLD_WEBSOCKET, HOLD_POLLING]), &memory(results)),
        table("CPU on one core, µs", HOLD_WEBSOCKET.sizes, &cpu(results, Server::OneCore)),
        table("CPU on two cores, µs (to one core)", HOLD_WEBSOCKET.sizes, &cpu(results, Server::TwoCores)),
        table("One shard without a kernel", CORE.sizes, &crowd(results)),
    ]
    .join("\n")
}

fn sizes(kinds: &[Kind]) -> Vec<u32> {
    let mut sizes: Vec<u32> = kinds.iter().flat_map(|kind| kind.sizes.iter().copied()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Rows without a number are left out.
fn table(title: &str, sizes: &[u32], columns: &[Column<'_>]) -> String {
    let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
    let rules = "---|".repeat(columns.len());
    let mut text = format!("**{title}**\n\n| connections | {} |\n|---|{rules}\n", heads.join(" | "));
    for size in sizes {
        let cells: Vec<Option<String>> = columns.iter().map(|(_, cell)| cell(*size)).collect();
        if cells.iter().any(Option::is_some) {
            let cells: Vec<String> = cells.into_iter().map(|cell| cell.unwrap_or(MISSING.into())).collect();
            let size = grouped(f64::from(*size));
            writeln!(text, "| {size} | {} |", cells.join(" | ")).expect("a string takes everything");
        }
    }
    text
}

fn memory(results: &Results) -> Vec<Column<'_>> {
    let bytes = |kind: &'static Kind, server, line| -> Box<dyn Fn(u32) -> Option<String> + '_> {
        Box::new(move |size| results.median(kind, size, server, line).map(grouped))
    };
    let quiet = |size| results.median(&HOLD_WEBSOCKET, size, Server::OneCore, QUIET);
    vec![
        ("WebSocket, process", bytes(&HOLD_WEBSOCKET, Server::OneCore, PROCESS_BYTES)),
        ("on two cores", bytes(&HOLD_WEBSOCKET, Server::TwoCores, PROCESS_BYTES)),
        ("kernel", bytes(&HOLD_WEBSOCKET, Server::OneCore, KERNEL_BYTES)),
        ("polling, process", bytes(&HOLD_POLLING, Server::OneCore, PROCESS_BYTES)),
        ("kernel", bytes(&HOLD_POLLING, Server::OneCore, KERNEL_BYTES)),
        (
            "CPU between heartbeats",
            Box::new(move |size| quiet(size).map(|share| format!("{:.3} %", share * 100.0))),
        ),
    ]
}

fn cpu(results: &Results, server: Server) -> Vec<Column<'_>> {
    let micros = move |kind: &'static Kind, line: Line| -> Box<dyn Fn(u32) -> Option<String> + '_> {
        Box::new(move |size| {
            let nanos = results.median(kind, size, server, line)?;
            let one = results.median(kind, size, Server::OneCore, line);
            let one = one.filter(|one| server != Server::OneCore && *one > 0.0);
            let ratio = one.map(|one| format!(" ({:.2}×)", nanos / one)).unwrap_or_default();
            Some(format!("{}{ratio}", rounded(nanos / 1e3)))
        })
    };
    let beats = move |size| results.median(&HEARTBEATS, size, server, BEATS).map(grouped);
    vec![
        ("ping and pong", micros(&HEARTBEATS, BEAT_CPU)),
        ("of which per second", Box::new(beats)),
        ("echo, 10 000 per second", micros(&PACED, MESSAGE_CPU)),
        ("echo, as fast as they come", micros(&ECHO, MESSAGE_CPU)),
        ("delivery of a broadcast", micros(&BROADCAST, MESSAGE_CPU)),
        ("handshake", micros(&CONNECT, HANDSHAKE_CPU)),
    ]
}

fn crowd(results: &Results) -> Vec<Column<'_>> {
    let number = move |line: Line, divisor: f64| -> Box<dyn Fn(u32) -> Option<String> + '_> {
        Box::new(move |size| Some(rounded(results.median(&CORE, size, Server::Core, line)? / divisor)))
    };
    vec![
        ("bytes per client", number(CROWD_BYTES, 1.0)),
        ("handshake, µs", number(CROWD_CONNECT, 1e3)),
        ("ping and pong, µs", number(CROWD_BEAT, 1e3)),
        ("delivery, µs", number(CROWD_DELIVERY, 1e3)),
        ("longest step: while they come, ms", number(LONGEST_CONNECT, 1e3)),
        ("in heartbeats, ms", number(LONGEST_BEAT, 1e3)),
        ("to queue a broadcast, ms", number(LONGEST_BROADCAST, 1e3)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_number_is_left_out_and_a_cell_is_a_dash() {
        let columns: Vec<Column<'_>> =
            vec![("a", Box::new(|size| (size > 1).then(|| size.to_string()))), ("b", Box::new(|_| None))];
        let text = table("Title", &[1, 2000], &columns);
        assert_eq!(text, "**Title**\n\n| connections | a | b |\n|---|---|---|\n| 2 000 | 2000 | – |\n");
    }
}
