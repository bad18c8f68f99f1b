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
    summary += &leads(results, rows, reference);
    let kin = |server: &&Server| server.kind == Kind::Ours && *server != reference;
    for ours in results.servers.iter().filter(kin) {
        summary += &leads_in_short(results, rows, ours);
    }
    summary += &format!(
        "Closer than 1 % is equally good, and runs that failed do not compete. Below, numbers are medians [least–most], \
         and × is the ratio to {}.\n\n",
        text(&reference.title)
    );
    summary
}

/// One row for each row that was measured, one column for each server.
fn ratios(results: &Results, rows: &[&Row], reference: &Server) -> String {
    let mut notes = Notes::default();
    // Names, not titles, which would make the table wider than a page and its rows many lines high.
    let names = results.servers.iter().map(|server| text(&server.name));
    let heads: Vec<String> = [String::new()].into_iter().chain(names).collect();
    let mut table = table_row(&heads) + &rule(heads.len());
    for row in rows {
        let Some(line) = row.main_line() else { continue };
        let best = best(results, row, line);
        let mut cells = vec![text(&row.name)];
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
        Some(trouble) => value + &notes.mark(&format!("{}, {}: {trouble}.", server.title, row.name)),
        None => value,
    }
}

/// Every line in which one of our servers can be compared with others.
fn standings<'a>(
    results: &'a Results,
    rows: &[&'a Row],
    ours: &Server,
) -> Vec<(&'a Row, &'a Line, Standing<'a>)> {
    let lines = rows.iter().flat_map(|row| row.lines.iter().map(move |line| (*row, line)));
    lines.filter_map(|(row, line)| Some((row, line, standing(results, row, line, ours)?))).collect()
}

/// In how many lines no other server is better, and every line in which one is.
fn leads(results: &Results, rows: &[&Row], ours: &Server) -> String {
    let standings = standings(results, rows, ours);
    let exceptions = standings.iter().filter_map(|(row, line, standing)| {
        Some(format!("- {}\n", exception(results, row, line, ours, *standing)?))
    });
    let exceptions: Vec<String> = exceptions.collect();
    let (all, led, title) = (standings.len(), standings.len() - exceptions.len(), text(&ours.title));
    match (all, exceptions.len()) {
        (0, _) => String::new(),
        (_, 0) => format!("**{title} leads in all {all} comparisons** with other servers.\n\n"),
        _ => format!(
            "**{title} leads in {led} of {all} comparisons** with other servers. It does not in:\n\n{}\n",
            exceptions.concat()
        ),
    }
}

/// The same in one paragraph, without the numbers.
fn leads_in_short(results: &Results, rows: &[&Row], ours: &Server) -> String {
    let standings = standings(results, rows, ours);
    let mut led = 0;
    let mut exceptions: Vec<(&Row, Vec<String>)> = Vec::new();
    for (row, line, standing) in &standings {
        match (standing, exceptions.last_mut()) {
            (Standing::Leads, _) => led += 1,
            (_, Some((last, lines))) if last.name == row.name => lines.push(text(&line.title)),
            _ => exceptions.push((row, vec![text(&line.title)])),
        }
    }
    let exceptions: Vec<String> =
        exceptions.iter().map(|(row, lines)| format!("{} ({})", text(&row.name), lines.join(", "))).collect();
    let (all, title) = (standings.len(), text(&ours.title));
    match (all, exceptions.len()) {
        (0, _) => String::new(),
        (_, 0) => format!("{title} leads in all {all}.\n\n"),
        _ => format!("{title} leads in {led} of {all}; not in {}.\n\n", exceptions.join(", ")),
    }
}

/// `echo …, p99: 5.20 ms; Bun has 4.10 ms`
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
