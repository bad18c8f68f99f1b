//! Rows that belong together: one heading, one chart.

use super::results::{Line, Results, Row, Unit};

/// The groups whose heading says more than the name of their rows, and the rows in each.
const KNOWN: &[(&str, &[&str], &str)] = &[
    ("echo", &["echo"], "Echo with acknowledgement"),
    ("paced", &["paced"], "Latency at a fixed rate"),
    ("polling", &["polling"], "Long-polling"),
    ("broadcast", &["broadcast", "rooms"], "Broadcasts and rooms"),
    ("connect", &["connect"], "Connecting"),
    ("idle", &["idle"], "Idle clients"),
];

/// Rows under one heading.
pub(super) struct Group<'a> {
    /// For the names of files.
    pub(super) name: String,
    /// The heading.
    pub(super) title: String,
    /// Those that were measured, in the order of the file.
    pub(super) rows: Vec<&'a Row>,
    /// The rows are points of a curve over the number of connections.
    pub(super) curve: bool,
}

/// All rows that were measured, in groups, in the order of the first row of each.
pub(super) fn groups(results: &Results) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in results.rows.iter().filter(|row| results.has(row)) {
        let curve = row.connections.is_some();
        let (name, title) = belongs_to(row.what(), curve);
        let title = if curve { format!("{title}, by number of connections") } else { title };
        match groups.iter_mut().find(|group| group.name == name && group.curve == curve) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { name, title, rows: vec![row], curve }),
        }
    }
    for group in groups.iter_mut().filter(|group| group.curve) {
        group.rows.sort_by(|one, other| connections(one).total_cmp(&connections(other)));
    }
    groups
}

/// Name and title of a row's group. The points of a curve are alone with each other.
fn belongs_to(what: &str, curve: bool) -> (String, String) {
    let takes = |name: &str, rows: &[&str]| if curve { name == what } else { rows.contains(&what) };
    if let Some((name, _, title)) = KNOWN.iter().find(|(name, rows, _)| takes(name, rows)) {
        return ((*name).to_owned(), (*title).to_owned());
    }
    let safe = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let words = what.replace(['-', '_'], " ");
    let mut chars = words.chars();
    let title = chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default();
    (what.chars().map(safe).collect(), title)
}

/// The number of connections of a point of a curve.
pub(super) fn connections(row: &Row) -> f64 {
    row.connections.unwrap_or(0.0)
}

impl<'a> Group<'a> {
    /// What the bars of the group's chart show: the main number of each row, or, of a single row that is about
    /// latency, each of its percentiles.
    pub(super) fn panels(&self) -> Vec<(&'a Row, &'a Line)> {
        if let [row] = self.rows[..] {
            let latency =
                |line: &&Line| line.unit == Unit::Micros && line.pointer.starts_with("/latency_us/");
            let percentiles: Vec<_> = row.lines.iter().filter(latency).map(|line| (row, line)).collect();
            if percentiles.len() > 1 {
                return percentiles;
            }
        }
        self.rows.iter().filter_map(|row| Some((*row, row.main_line()?))).collect()
    }

    /// What the curves of the group's chart show: each line that any of its rows has.
    pub(super) fn curves(&self) -> Vec<&'a Line> {
        let mut lines: Vec<&Line> = Vec::new();
        for line in self.rows.iter().flat_map(|row| &row.lines) {
            if lines.iter().all(|known| known.pointer != line.pointer) {
                lines.push(line);
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{PEERS, SCALING};
    use super::*;

    fn named(groups: &[Group<'_>]) -> Vec<(String, usize)> {
        groups.iter().map(|group| (group.name.clone(), group.panels().len())).collect()
    }

    #[test]
    fn rows_are_grouped_by_what_they_measure() {
        let results = Results::parse(PEERS).unwrap();
        let expected =
            [("echo", 3), ("paced", 3), ("polling", 1), ("broadcast", 4), ("connect", 1), ("idle", 1)];
        assert_eq!(named(&groups(&results)), expected.map(|(name, panels)| (name.to_owned(), panels)));
    }

    #[test]
    fn rows_with_connections_are_a_curve_in_their_order() {
        let results = Results::parse(SCALING).unwrap();
        let groups = groups(&results);
        assert!(groups.iter().all(|group| group.curve));
        assert!(groups[0].rows.is_sorted_by_key(|row| connections(row)));
        assert_eq!(groups[0].curves().len(), 3);
    }

    #[test]
    fn a_row_nobody_knows_has_a_heading_and_a_safe_name() {
        assert_eq!(belongs_to("slow_Readers/ü", false), ("slow-readers--".into(), "Slow Readers/ü".into()));
        assert_eq!(belongs_to("rooms", true), ("rooms".into(), "Rooms".into()));
    }
}
