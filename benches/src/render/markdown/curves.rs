//! The numbers of curves: a table for each line, one row for each number of connections, one column for each server.

use super::{NOTHING, Notes, heading, number, rule, table_row, text, unit};
use crate::render::groups::{Group, connections};
use crate::render::number::tick;
use crate::render::results::{Line, Results, Row};

/// The tables of a group, one after the other.
pub(super) fn tables(results: &Results, group: &Group<'_>) -> String {
    group.curves().iter().map(|line| table(results, &group.rows, line)).collect()
}

fn table(results: &Results, rows: &[&Row], line: &Line) -> String {
    let shown = unit(results, rows, line);
    let mut notes = Notes::default();
    let titles = results.servers.iter().map(|server| text(&server.title));
    let heads: Vec<String> = ["connections".to_owned()].into_iter().chain(titles).collect();
    let mut table = format!("**{}**\n\n{}{}", heading(line, &shown), table_row(&heads), rule(heads.len()));
    for row in rows {
        let mut cells = vec![tick(connections(row))];
        for server in &results.servers {
            let measured = results.measured(row, line, server);
            let mut cell =
                measured.map_or_else(|| NOTHING.into(), |measured| number(&measured, &shown, false));
            if measured.is_some() && line.is_the_pairs() && results.client_was_saturated(row, server) {
                cell += notes.mark_pair();
            }
            if let Some(trouble) = results.trouble(row, server) {
                cell += &notes.mark(&format!("{}, {}: {trouble}.", server.title, row.title));
            }
            cells.push(cell);
        }
        table += &table_row(&cells);
    }
    format!("{table}\n{}", notes.finish())
}
