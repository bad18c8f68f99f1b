//! The table on top, and the sentences about who leads: what most readers come for, and all that many will read.

use super::{NOTHING, Notes, rule, table_row, text, unit};
use crate::render::judge::{Standing, best, standing};
use crate::render::number::{Shown, times};
use crate::render::results::{Kind, Line, Results, Row, Server};

/// Ratios to Tidegate, and in what it does not lead. Nothing without Tidegate, or without rows.
pub(super) fn summary(results: &Results, rows: &[&Row]) -> String {
    let Some(reference) = results.reference() else { return String::new() };
    if rows.is_empty() {
        return String::new();
    }
    let mut summary = format!(
        "The server’s CPU time per message, as a multiple of {}’s own; for idle clients, memory per client. Less is \
         better, the best server of a row is bold.\n\n",
        text(&reference.title)
    );
    summary += &ratios(results, rows, reference);
    for ours in results.servers.iter().filter(|server| server.kind == Kind::Ours) {
        summary += &leads(results, rows, ours);
    }
    summary
}

/// One row for each row that was measured, one column for each server.
fn ratios(results: &Results, rows: &[&Row], reference: &Server) -> String {
    let mut notes = Notes::default();
    let titles = results.servers.iter().map(|server| text(&server.title));
    let heads: Vec<String> = [String::new()].into_iter().chain(titles).collect();
    let mut table = table_row(&heads) + &rule(heads.len());
    for row in rows {
        let Some(line) = row.main_line() else { continue };
        let best = best(results, row, line);
        let mut cells = vec![text(&row.title)];
        for server in &results.servers {
            let bold = best.contains(&server);
            cells.push(cell(results, row, line, server, reference, bold, &mut notes));
        }
        table += &table_row(&cells);
    }
    format!("{table}\n{}", notes.finish())
}

/// `1.71×`; Tidegate's own is the number itself.
fn cell(
    results: &Results,
    row: &Row,
    line: &Line,
    server: &Server,
    reference: &Server,
    bold: bool,
    notes: &mut Notes,
) -> String {
    let value = if server.name == reference.name {
        let measured = results.measured(row, line, server);
        measured.map(|measured| {
            Shown::suited(line.unit, [measured.median].into_iter()).with_unit(measured.median)
        })
    } else {
        results.ratio(row, line, server).map(times)
    };
    let value = value.unwrap_or_else(|| NOTHING.into());
    let value = if bold { format!("**{value}**") } else { value };
    match results.trouble(row, server) {
        Some(trouble) => value + &notes.mark(&format!("{}, {}: {trouble}.", server.title, row.title)),
        None => value,
    }
}

/// In how many lines one of our servers is not behind any other, and those in which it is.
fn leads(results: &Results, rows: &[&Row], ours: &Server) -> String {
    let lines = rows.iter().flat_map(|row| row.lines.iter().map(move |line| (*row, line)));
    let standings: Vec<_> =
        lines.filter_map(|(row, line)| Some((row, line, standing(results, row, line, ours)?))).collect();
    if standings.is_empty() {
        return String::new();
    }
    let behind: Vec<String> = standings
        .iter()
        .filter_map(|(row, line, standing)| {
            Some(format!("- {}\n", exception(results, row, line, ours, *standing)?))
        })
        .collect();
    let (all, led) = (standings.len(), standings.len() - behind.len());
    let title = text(&ours.title);
    match behind.len() {
        0 => format!("**{title} leads in all {all} comparisons** with other servers.\n\n"),
        _ => format!(
            "**{title} leads in {led} of {all} comparisons** with other servers. It does not in:\n\n{}\n",
            behind.concat()
        ),
    }
}

/// `echo …, p99 (ms): 5.20, Bun 4.10`
fn exception(
    results: &Results,
    row: &Row,
    line: &Line,
    ours: &Server,
    standing: Standing<'_>,
) -> Option<String> {
    let shown = unit(results, &[row], line);
    let what = format!("{}, {}", text(&row.title), text(&line.title));
    let of = |server| results.measured(row, line, server).map(|measured| shown.with_unit(measured.median));
    match standing {
        Standing::Leads => None,
        Standing::Failed => Some(format!("{what}: runs failed")),
        Standing::Behind(peer) => {
            Some(format!("{what}: {}; {} has {}", of(ours)?, text(&peer.title), of(peer)?))
        }
    }
}
