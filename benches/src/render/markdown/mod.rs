//! Results as Markdown, for a reader on GitHub: what was measured on what, who leads, then a chart for each group of
//! rows with its numbers folded away below it.

mod curves;
mod notes;
mod summary;
mod tables;

use super::escape::markdown as text;
use super::groups::{Group, groups};
use super::number::{Shown, times};
use super::results::{Line, Measured, Results, Row, Unit};
use super::{about, chart_file};
use notes::Notes;

/// A number that is not there.
const NOTHING: &str = "–";

/// What goes between the markers of `name`.
pub(super) fn section(results: &Results, name: &str) -> String {
    let mut section = head(results);
    let groups = groups(results);
    if groups.is_empty() {
        section += "No run has a result.\n";
        return section;
    }
    let bars: Vec<&Row> =
        groups.iter().filter(|group| !group.curve).flat_map(|group| &group.rows).copied().collect();
    section += &summary::summary(results, &bars);
    for group in &groups {
        section += &format!("### {}\n\n", text(&group.title));
        section += &chart(results, group, name);
        let numbers =
            if group.curve { curves::tables(results, group) } else { tables::tables(results, group) };
        section += &format!("<details>\n<summary>{}</summary>\n\n{numbers}</details>\n\n", folded(group));
    }
    section += &missing(results);
    section
}

/// When, on what, with which servers.
fn head(results: &Results) -> String {
    let mut head = String::new();
    if results.quick {
        head += "> [!WARNING]\n> **Not to be trusted.** These are single short runs (`--quick`), made to see whether everything works.\n\n";
    }
    let runs = match results.repetitions() {
        0 => "",
        1 => "; one run of each",
        runs => &format!("; {runs} runs of each"),
    };
    head += &format!("{}{runs}.\n\n", text(&about(results)));
    if !results.servers.is_empty() {
        head += &format!(
            "<details>\n<summary>Servers and their versions</summary>\n\n{}\n</details>\n\n",
            servers(results)
        );
    }
    head
}

fn servers(results: &Results) -> String {
    let heads = ["", "server", "version"].map(str::to_owned);
    let mut table = table_row(&heads) + "|:---|:---|:---|\n";
    for server in &results.servers {
        let version = server.version.strip_prefix("version ").unwrap_or(&server.version);
        table += &table_row(&[text(&server.name), text(&server.title), text(version)]);
    }
    table
}

fn chart(results: &Results, group: &Group<'_>, name: &str) -> String {
    if super::svg::chart(results, group).is_none() {
        return String::new();
    }
    format!("![{}]({})\n\n", text(&group.title), chart_file(name, &group.name))
}

/// What stands on the fold, so that nobody has to open it to know what is in it.
fn folded(group: &Group<'_>) -> String {
    let mut titles: Vec<String> = Vec::new();
    for line in group.curves() {
        let title = text(&line.title);
        if !titles.contains(&title) {
            titles.push(title);
        }
    }
    format!("Numbers: {}", titles.join(", "))
}

fn missing(results: &Results) -> String {
    let missing = results.rows.iter().filter(|row| !results.has(row));
    let missing: Vec<String> = missing.map(|row| text(&row.title)).collect();
    if missing.is_empty() { String::new() } else { format!("Not measured: {}.\n", missing.join("; ")) }
}

/// The unit that suits a line for all servers in these rows, with their spread.
fn unit(results: &Results, rows: &[&Row], line: &Line) -> Shown {
    let ends = |row: &Row| -> Vec<f64> {
        let measured = results.servers.iter().filter_map(|server| results.measured(row, line, server));
        measured.flat_map(|measured| [measured.least, measured.most]).collect()
    };
    let values: Vec<f64> = rows.iter().flat_map(|row| ends(row)).collect();
    Shown::suited(line.unit, values.iter().copied())
}

/// `server CPU per echo, µs`
fn heading(line: &Line, shown: &Shown) -> String {
    match (line.unit, shown.name) {
        (Unit::Count, _) | (_, "") => text(&line.title),
        (_, unit) => format!("{}, {unit}", text(&line.title)),
    }
}

/// `3.98 [3.81–4.18]`: the median, and the spread where there is one.
fn number(measured: &Measured, shown: &Shown, bold: bool) -> String {
    let median = shown.number(measured.median);
    let median = if bold { format!("**{median}**") } else { median };
    match measured.runs {
        0 | 1 => median,
        _ => format!("{median} [{}–{}]", shown.number(measured.least), shown.number(measured.most)),
    }
}

/// A row of a table.
fn table_row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The line below the heads of a table: the first column to the left, numbers to the right.
fn rule(columns: usize) -> String {
    format!("|:---|{}\n", "---:|".repeat(columns.saturating_sub(1)))
}
