//! Bars: one panel for each row, in it one bar for each server, all from zero. Latencies that differ by more than a
//! linear scale can show are dots on a logarithmic one, which says so: the length of a bar would mean nothing there.

use super::canvas::{Canvas, MARGIN, WIDTH, fitted, text_width};
use super::{foot, head, runs, spelled};
use crate::render::escape::shortened;
use crate::render::groups::Group;
use crate::render::number::{Shown, tick, times};
use crate::render::results::{Better, Kind, Line, Measured, Results, Row, Server, Unit};
use tidegate_loadgen::report::Scale;

/// From one bar to the next, and how high one is.
const PITCH: f64 = 22.0;
const BAR: f64 = 14.0;
/// Names of servers have no more room than this.
const NAMES_MAX: f64 = 220.0;
/// Room right of the longest bar for its number and ratio.
const NUMBERS: f64 = 128.0;
/// Latencies further apart than this are on a logarithmic scale.
const LINEAR_MAX: f64 = 50.0;

/// One bar's worth.
struct Entry<'a> {
    server: &'a Server,
    measured: Option<Measured>,
    ratio: Option<f64>,
    failed: bool,
}

/// One panel's worth.
struct Panel<'a> {
    row: &'a Row,
    line: &'a Line,
    shown: Shown,
    entries: Vec<Entry<'a>>,
}

/// Where things are in a panel.
struct Plot {
    left: f64,
    right: f64,
    top: f64,
    scale: Scale,
    log: bool,
}

pub(super) fn chart(results: &Results, group: &Group<'_>) -> Option<String> {
    let panels: Vec<Panel<'_>> =
        group.panels().into_iter().filter_map(|(row, line)| panel(results, row, line)).collect();
    let first = panels.first()?;
    let same_line = panels.iter().all(|panel| panel.line.title == first.line.title);
    let same_row = panels.iter().all(|panel| panel.row.name == first.row.name);
    let title = match (same_line, same_row) {
        (true, _) => format!("{}: {}", group.title, first.line.title),
        (false, _) => group.title.clone(),
    };
    let subtitle = match (same_row, first.line.better) {
        (true, better) => format!("{}; {}", first.row.title, preferred(better)),
        (false, better) if panels.len() > 1 => {
            format!("{}; every panel has its own scale", preferred(better))
        }
        (false, better) => preferred(better).to_owned(),
    };
    let mut canvas = Canvas::default();
    let mut y = head(&mut canvas, results, &title, &subtitle);
    let names = panels.iter().flat_map(|panel| &panel.entries).map(|entry| text_width(&name(entry.server)));
    let left = MARGIN + names.fold(0.0, f64::max) + 10.0;
    for panel in &panels {
        y = panel.draw(&mut canvas, left, y, &panel.heading(same_line, same_row));
    }
    canvas.text("quiet small", MARGIN, y + 8.0, &explained(results, &panels));
    let height = foot(&mut canvas, results, y + 12.0);
    let words = panels.iter().map(Panel::words).collect::<Vec<_>>().join(" ");
    Some(canvas.finish(height, &title, &words))
}

fn preferred(better: Better) -> &'static str {
    match better {
        Better::Less => "less is better",
        Better::More => "more is better",
        Better::None => "neither more nor less is better",
    }
}

fn explained(results: &Results, panels: &[Panel<'_>]) -> String {
    let entries = panels.iter().flat_map(|panel| &panel.entries);
    let mut text = format!("Shown: {}.", runs(entries.filter_map(|entry| entry.measured.as_ref())));
    if let Some(reference) = results.reference() {
        text += &format!(" × is the ratio to {}.", reference.title);
    }
    text
}

fn name(server: &Server) -> String {
    fitted(&server.title, NAMES_MAX)
}

/// A row's entries; those of the floor only where there is something to show, for it need not do everything.
fn panel<'a>(results: &'a Results, row: &'a Row, line: &'a Line) -> Option<Panel<'a>> {
    let entries = results.servers.iter().map(|server| Entry {
        server,
        measured: results.measured(row, line, server),
        ratio: results.ratio(row, line, server),
        failed: results.trouble(row, server).is_some(),
    });
    let entries: Vec<_> = entries
        .filter(|entry| entry.measured.is_some() || entry.failed || entry.server.kind != Kind::Floor)
        .collect();
    let ends = || entries.iter().filter_map(|entry| entry.measured).flat_map(|m| [m.least, m.most]);
    ends().next()?;
    let shown = Shown::suited(line.unit, ends().collect::<Vec<_>>().into_iter());
    Some(Panel { row, line, shown, entries })
}

impl Panel<'_> {
    /// What tells a panel from the others of its chart.
    fn heading(&self, same_line: bool, same_row: bool) -> String {
        let heading = match (same_line, same_row) {
            (true, true) => String::new(),
            (false, true) => self.line.title.clone(),
            (true, false) => self.row.title.clone(),
            (false, false) => format!("{}: {}", self.row.title, self.line.title),
        };
        match (self.is_log(), heading.is_empty()) {
            (true, true) => "log scale".into(),
            (true, false) => format!("{heading} (log scale)"),
            (false, _) => heading,
        }
    }

    fn ends(&self) -> impl Iterator<Item = f64> {
        let measured = self.entries.iter().filter_map(|entry| entry.measured);
        measured.flat_map(|measured| [measured.least, measured.most]).map(|value| self.shown.scaled(value))
    }

    fn most(&self) -> f64 {
        self.ends().fold(0.0, f64::max)
    }

    fn least_above_zero(&self) -> f64 {
        self.ends().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min)
    }

    fn is_log(&self) -> bool {
        self.line.unit == Unit::Micros && self.most() > LINEAR_MAX * self.least_above_zero()
    }

    /// Returns where the next panel begins.
    fn draw(&self, canvas: &mut Canvas, left: f64, mut y: f64, heading: &str) -> f64 {
        if !heading.is_empty() {
            canvas.text("panel", MARGIN, y + 14.0, &shortened(heading, 90));
            y += 24.0;
        }
        let log = self.is_log();
        let scale = match log {
            true => Scale::log(self.least_above_zero() / 1.5, self.most()),
            // A span above zero, or the scale would make one up in which nothing is a bar of full length.
            false => Scale::linear(0.0, if self.most() > 0.0 { self.most() } else { 1.0 }),
        };
        let plot = Plot { left, right: WIDTH - MARGIN - NUMBERS, top: y, scale, log };
        let bottom = y + self.entries.len() as f64 * PITCH + 2.0;
        for value in plot.scale.ticks(6) {
            let x = plot.x(value);
            canvas.line("grid", (x, y), (x, bottom));
            canvas.text("quiet small mid", x, bottom + 15.0, &tick(value));
        }
        canvas.text("quiet small", plot.right + 20.0, bottom + 15.0, self.shown.name);
        for (number, entry) in self.entries.iter().enumerate() {
            self.draw_entry(canvas, &plot, entry, plot.top + number as f64 * PITCH + PITCH / 2.0 + 1.0);
        }
        canvas.line("base", (left, y), (left, bottom));
        bottom + 34.0
    }

    fn draw_entry(&self, canvas: &mut Canvas, plot: &Plot, entry: &Entry<'_>, middle: f64) {
        let strong = if entry.server.kind == Kind::Ours { "end strong" } else { "end" };
        canvas.text(strong, plot.left - 10.0, middle + 4.5, &name(entry.server));
        let Some(measured) = entry.measured else {
            let (class, why) =
                if entry.failed { ("wrong halo", "failed") } else { ("quiet halo", "not measured") };
            return canvas.text(class, plot.left + 8.0, middle + 4.5, why);
        };
        let x = |value| plot.x(self.shown.scaled(value));
        let end = x(measured.median);
        let class = class(entry);
        if plot.log {
            canvas.line("stem", (plot.left, middle), (end, middle));
        } else {
            canvas.rect(class, (plot.left, middle - BAR / 2.0), ((end - plot.left).max(1.0), BAR));
        }
        // A span no wider than its own caps shows nothing.
        if x(measured.most) - x(measured.least) > 2.0 {
            canvas.whisker((x(measured.least), middle), (x(measured.most), middle));
        }
        if plot.log {
            canvas.circle(class, (end, middle), 4.5);
        }
        let at = (x(measured.most).max(end) + 8.0, middle + 4.5);
        let more = match (entry.failed, entry.ratio) {
            (true, _) => ("wrong", "runs failed".to_owned()),
            (false, ratio) => ("quiet small", ratio.map(times).unwrap_or_default()),
        };
        let strong = if entry.server.kind == Kind::Ours { "strong halo" } else { "halo" };
        canvas.text_with_more(strong, at, &self.shown.number(measured.median), (more.0, &more.1));
    }

    /// The panel, read out.
    fn words(&self) -> String {
        let said = self.entries.iter().map(|entry| {
            let value =
                entry.measured.map_or("not measured".into(), |measured| spelled(&measured, &self.shown));
            let failed = if entry.failed { ", runs failed" } else { "" };
            format!("{} {value}{failed}", entry.server.title)
        });
        format!("{}, {}: {}.", self.row.title, self.line.title, said.collect::<Vec<_>>().join("; "))
    }
}

impl Plot {
    fn x(&self, value: f64) -> f64 {
        self.left + self.scale.place(value) * (self.right - self.left)
    }
}

fn class(entry: &Entry<'_>) -> &'static str {
    match entry.server.kind {
        _ if entry.failed => "failed",
        Kind::Ours if entry.ratio.is_none() => "ours",
        Kind::Ours => "kin",
        Kind::Peer => "peer",
        Kind::Floor => "floor",
    }
}
