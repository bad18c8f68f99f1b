//! A table for each row: one line per server, for each number its median and spread, and its ratio to Tidegate's.

use super::{NOTHING, Notes, heading, number, rule, table_row, text, times, unit};
use crate::render::groups::Group;
use crate::render::judge::best;
use crate::render::number::Shown;
use crate::render::results::{Better, Line, Results, Row, Server};

/// The tables of a group, one after the other.
pub(super) fn tables(results: &Results, group: &Group<'_>) -> String {
    group.rows.iter().map(|row| table(results, row)).collect()
}

/// A column: its line, its unit, and who is best in it.
struct Column<'a> {
    line: &'a Line,
    shown: Shown,
    best: Vec<&'a Server>,
    /// It has a column of ratios beside it.
    compared: bool,
}

fn table(results: &Results, row: &Row) -> String {
    let columns: Vec<Column<'_>> = row
        .lines
        .iter()
        .map(|line| Column {
            line,
            shown: unit(results, &[row], line),
            best: best(results, row, line),
            compared: line.better != Better::None && results.reference().is_some(),
        })
        .collect();
    let mut heads = vec![String::new()];
    for column in &columns {
        heads.push(heading(column.line, &column.shown));
        heads.extend(column.compared.then(|| "×".to_owned()));
    }
    let mut notes = Notes::default();
    let mut table = format!("**{}**: {}\n\n", text(&row.name), text(&row.title));
    table += &table_row(&heads);
    table += &rule(heads.len());
    for server in &results.servers {
        table += &table_row(&cells(results, row, &columns, server, &mut notes));
    }
    format!("{table}\n{}", notes.finish())
}

/// What a table says about one server.
fn cells(
    results: &Results,
    row: &Row,
    columns: &[Column<'_>],
    server: &Server,
    notes: &mut Notes,
) -> Vec<String> {
    let mut name = text(&server.title);
    if let Some(trouble) = results.trouble(row, server) {
        name += &notes.mark(&format!("{trouble}."));
    }
    let saturated = results.client_was_saturated(row, server);
    let mut cells = vec![name];
    for column in columns {
        let bold = column.best.contains(&server);
        let measured = results.measured(row, column.line, server);
        let mut cell =
            measured.map_or_else(|| NOTHING.into(), |measured| number(&measured, &column.shown, bold));
        if saturated && measured.is_some() && column.line.is_the_pairs() {
            cell += notes.mark_pair();
        }
        cells.push(cell);
        if column.compared {
            let own = results.reference() == Some(server);
            let ratio = if own { measured.map(|_| 1.0) } else { results.ratio(row, column.line, server) };
            cells.push(ratio.map_or_else(|| NOTHING.into(), times));
        }
    }
    cells
}
