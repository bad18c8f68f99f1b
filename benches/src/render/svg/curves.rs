//! Curves over the number of connections: one panel for each number that is measured, one curve for each server.

use super::canvas::{Canvas, MARGIN, WIDTH, fitted, text_width};
use super::{foot, head, runs, spelled};
use crate::render::groups::{Group, connections};
use crate::render::number::{Shown, tick};
use crate::render::results::{Kind, Line, Measured, Results, Row, Server};
use tidegate_loadgen::report::Scale;

/// Height of a panel's plot.
const HEIGHT: f64 = 190.0;
/// Room left of the plot for the values.
const VALUES: f64 = 56.0;
/// Names of servers have no more room than this.
const NAMES_MAX: f64 = 190.0;
/// Names at the ends of curves are no closer than this.
const NAME_PITCH: f64 = 17.0;
/// Colours of the style sheet.
const COLOURS: usize = 6;

/// A point: its number of connections, and what was measured there.
type Point = (f64, Measured);

/// One server in one panel.
struct Curve<'a> {
    server: &'a Server,
    class: String,
    points: Vec<Point>,
}

/// From values to places.
struct Plot {
    x: Scale,
    y: Scale,
    left: f64,
    right: f64,
    top: f64,
}

pub(super) fn chart(results: &Results, group: &Group<'_>) -> Option<String> {
    let panels: Vec<_> = group
        .curves()
        .into_iter()
        .map(|line| (line, curves(results, &group.rows, line)))
        .filter(|(_, curves)| !curves.is_empty())
        .collect();
    if panels.is_empty() {
        return None;
    }
    let names = panels.iter().flat_map(|(_, curves)| curves).map(|curve| text_width(&name(curve.server)));
    let right = WIDTH - MARGIN - names.fold(0.0, f64::max) - 28.0;
    let mut canvas = Canvas::default();
    let mut y = head(&mut canvas, results, &group.title, &subtitle(&panels));
    let mut words = String::new();
    for (line, curves) in &panels {
        let shown = Shown::suited(line.unit, ends(curves).collect::<Vec<_>>().into_iter());
        canvas.text_with_more("panel", (MARGIN, y + 14.0), &line.title, ("quiet small", shown.name));
        y = draw(&mut canvas, &group.rows, curves, &shown, right, y + 28.0);
        words += &read_out(line, curves, &shown);
    }
    let height = foot(&mut canvas, results, y);
    Some(canvas.finish(height, &group.title, words.trim_end()))
}

fn subtitle(panels: &[(&Line, Vec<Curve<'_>>)]) -> String {
    let points = panels.iter().flat_map(|(_, curves)| curves).flat_map(|curve| &curve.points);
    format!("connections on a log scale; {}", runs(points.map(|(_, measured)| measured)))
}

fn name(server: &Server) -> String {
    fitted(&server.title, NAMES_MAX)
}

/// Curves of all servers with a number; colours go by the order of the file, so that they are the same in every panel.
fn curves<'a>(results: &'a Results, rows: &[&Row], line: &Line) -> Vec<Curve<'a>> {
    let curve = |(number, server): (usize, &'a Server)| {
        let point = |row: &&Row| Some((connections(row), results.measured(row, line, server)?));
        let points: Vec<Point> = rows.iter().filter_map(point).collect();
        let class = match server.kind {
            Kind::Floor => "low".to_owned(),
            Kind::Ours | Kind::Peer => format!("k{}", number % COLOURS),
        };
        (!points.is_empty()).then_some(Curve { server, class, points })
    };
    let coloured = |server: &&Server| server.kind != Kind::Floor;
    let floors = results.servers.iter().filter(|server| server.kind == Kind::Floor).map(|server| (0, server));
    let others = results.servers.iter().filter(coloured).enumerate();
    floors.chain(others).filter_map(curve).collect()
}

fn ends(curves: &[Curve<'_>]) -> impl Iterator<Item = f64> {
    curves.iter().flat_map(|curve| &curve.points).flat_map(|(_, measured)| [measured.least, measured.most])
}

/// Returns where the next panel begins.
fn draw(
    canvas: &mut Canvas,
    rows: &[&Row],
    curves: &[Curve<'_>],
    shown: &Shown,
    right: f64,
    top: f64,
) -> f64 {
    let most = ends(curves).map(|value| shown.scaled(value)).fold(0.0, f64::max);
    let most = if most > 0.0 { most * 1.05 } else { 1.0 };
    let counts: Vec<f64> = rows.iter().map(|row| connections(row)).collect();
    let (fewest, last) = (counts[0].max(1.0), counts[counts.len() - 1].max(1.0));
    // The scale of whole steps would leave room at both ends; the points are to use all of it.
    let x = Scale::linear(fewest.ln(), last.ln());
    let plot = Plot { x, y: Scale::linear(0.0, most), left: MARGIN + VALUES, right, top };
    plot.grid(canvas, &counts);
    for curve in curves {
        curve.draw(canvas, &plot, shown);
    }
    plot.names(canvas, curves, shown);
    top + HEIGHT + 40.0
}

impl Plot {
    fn at(&self, connections: f64, value: f64) -> (f64, f64) {
        let x = self.left + 10.0 + self.x.place(connections.max(1.0).ln()) * (self.right - self.left - 20.0);
        (x, self.top + (1.0 - self.y.place(value)) * HEIGHT)
    }

    /// Values across, and the measured numbers of connections along the bottom, as many as have room.
    fn grid(&self, canvas: &mut Canvas, counts: &[f64]) {
        let bottom = self.top + HEIGHT;
        for value in self.y.ticks(5) {
            let (_, y) = self.at(1.0, value);
            canvas.line("grid", (self.left, y), (self.right, y));
            canvas.text("quiet small end", self.left - 8.0, y + 4.0, &tick(value));
        }
        canvas.line("base", (self.left, bottom), (self.right, bottom));
        let mut free_from = 0.0;
        for count in counts {
            let ((x, _), text) = (self.at(*count, 0.0), tick(*count));
            let half = text_width(&text) / 2.0;
            canvas.line("base", (x, bottom), (x, bottom + 4.0));
            if x - half >= free_from {
                canvas.text("quiet small mid", x, bottom + 18.0, &text);
                free_from = x + half + 6.0;
            }
        }
    }

    /// The name of every curve beside its last point, moved down or up where two would meet.
    fn names(&self, canvas: &mut Canvas, curves: &[Curve<'_>], shown: &Shown) {
        let mut ends: Vec<(f64, f64, &Curve<'_>)> = Vec::new();
        for curve in curves {
            if let Some((count, measured)) = curve.points.last() {
                let (x, y) = self.at(*count, shown.scaled(measured.median));
                ends.push((x, y, curve));
            }
        }
        ends.sort_by(|one, other| one.1.total_cmp(&other.1));
        let places = spread(&ends.iter().map(|end| end.1).collect::<Vec<_>>(), self.top + HEIGHT);
        for ((x, y, curve), place) in ends.iter().zip(places) {
            let link = [(x + 6.0, *y), (self.right + 6.0, place), (self.right + 14.0, place)];
            // Of a curve that ends before the others, so that it does not look as if it went on.
            let far = if self.right - x > 30.0 { "far" } else { "" };
            canvas.path(&format!("link {far} {}", curve.class), &link);
            let strong = if curve.server.kind == Kind::Ours { "strong" } else { "" };
            canvas.text(strong, self.right + 20.0, place + 4.5, &name(curve.server));
        }
    }
}

impl Curve<'_> {
    fn draw(&self, canvas: &mut Canvas, plot: &Plot, shown: &Shown) {
        let place = |count: f64, value: f64| plot.at(count, shown.scaled(value));
        for (count, measured) in &self.points {
            let (low, high) = (place(*count, measured.least), place(*count, measured.most));
            if low.1 - high.1 > 4.0 {
                canvas.whisker(low, high);
            }
        }
        let points: Vec<(f64, f64)> =
            self.points.iter().map(|(count, measured)| place(*count, measured.median)).collect();
        canvas.path(&format!("curve {}", self.class), &points);
        for point in points {
            canvas.circle(&format!("dot {}", self.class), point, 3.5);
        }
    }
}

/// Sorted places, moved so that each is at least a pitch below the one before and the last is above `bottom` if there
/// is room.
fn spread(places: &[f64], bottom: f64) -> Vec<f64> {
    let mut spread: Vec<f64> = Vec::new();
    for place in places {
        let lowest = spread.last().map_or(f64::NEG_INFINITY, |before| before + NAME_PITCH);
        spread.push(place.max(lowest));
    }
    let mut limit = bottom;
    for place in spread.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - NAME_PITCH;
    }
    spread
}

fn read_out(line: &Line, curves: &[Curve<'_>], shown: &Shown) -> String {
    let curve = |curve: &Curve<'_>| {
        let points = curve.points.iter();
        let points =
            points.map(|(count, measured)| format!("{} at {}", spelled(measured, shown), tick(*count)));
        format!("{} {}", curve.server.title, points.collect::<Vec<_>>().join(", "))
    };
    format!("{}: {}. ", line.title, curves.iter().map(curve).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_distance_and_stay_above_the_bottom() {
        assert_eq!(spread(&[10.0, 12.0, 100.0], 190.0), [10.0, 27.0, 100.0]);
        assert_eq!(spread(&[180.0, 185.0, 190.0], 190.0), [156.0, 173.0, 190.0]);
        assert_eq!(spread(&[], 190.0), [0.0; 0]);
    }
}
