//! A chart in SVG: grid, lines. Colours are the style sheet's.

use crate::report::Scale;
use std::fmt::Write as _;

/// Size of a chart in its own units. It is scaled to the page.
pub(super) const WIDTH: f64 = 880.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 26.0;

/// A chart under construction.
pub(super) struct Chart {
    x: Scale,
    y: Scale,
    height: f64,
    svg: String,
}

impl Chart {
    pub(super) fn new(x: Scale, y: Scale, height: f64) -> Self {
        Self { x, y, height, svg: String::new() }
    }

    /// Where a value is, from the left.
    pub(super) fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let room = self.height - TOP - BOTTOM;
        TOP + (1.0 - self.y.place(value)) * room
    }

    fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }

    /// Shades a span, and names it at its top.
    pub(super) fn band(&mut self, from: f64, to: f64, name: &str) {
        let (left, right, height) = (self.x(from), self.x(to), self.bottom() - TOP);
        if right - left < 1.0 {
            return;
        }
        let _ = write!(
            self.svg,
            r#"<rect class="band" x="{left:.1}" y="{TOP}" width="{:.1}" height="{height:.1}"/>"#,
            right - left
        );
        if right - left > 7.0 * name.len() as f64 {
            let _ = write!(
                self.svg,
                r#"<text class="bandname" x="{:.1}" y="{:.1}">{name}</text>"#,
                left + 5.0,
                TOP + 13.0
            );
        }
    }

    /// A dotted line at a moment.
    pub(super) fn mark(&mut self, at: f64, name: &str) {
        let (x, bottom) = (self.x(at), self.bottom());
        let _ =
            write!(self.svg, r#"<line class="mark" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom:.1}"/>"#);
        let _ = write!(
            self.svg,
            r#"<text class="bandname" x="{:.1}" y="{:.1}">{name}</text>"#,
            x + 5.0,
            TOP + 13.0
        );
    }

    /// Lines across, with what they stand for.
    pub(super) fn grid_y(&mut self, count: usize, name: impl Fn(f64) -> String) {
        for tick in self.y.ticks(count) {
            let (y, right) = (self.y(tick), WIDTH - RIGHT);
            let _ =
                write!(self.svg, r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/>"#);
            let _ = write!(
                self.svg,
                r#"<text class="end" x="{:.1}" y="{:.1}">{}</text>"#,
                LEFT - 8.0,
                y + 4.0,
                name(tick)
            );
        }
    }

    /// Places along the bottom, and their names.
    pub(super) fn grid_x(&mut self, ticks: &[(f64, String)], lines: bool) {
        let bottom = self.bottom();
        for (tick, name) in ticks {
            let x = self.x(*tick);
            if lines {
                let _ = write!(
                    self.svg,
                    r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom:.1}"/>"#
                );
            }
            let _ =
                write!(self.svg, r#"<text class="mid" x="{x:.1}" y="{:.1}">{name}</text>"#, bottom + 18.0);
        }
        let right = WIDTH - RIGHT;
        let _ = write!(
            self.svg,
            r#"<line class="base" x1="{LEFT}" x2="{right}" y1="{bottom:.1}" y2="{bottom:.1}"/>"#
        );
    }

    /// A line through points; it breaks where there is none, and a point alone is a dot.
    pub(super) fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, Option<f64>)>) {
        let (mut path, mut run) = (String::new(), Vec::new());
        let mut dots = Vec::new();
        for point in points.into_iter().map(Some).chain([None]) {
            if let Some((x, Some(y))) = point {
                run.push((self.x(x), self.y(y)));
                continue;
            }
            match run.as_slice() {
                [] => {}
                [dot] => dots.push(*dot),
                run => {
                    for (n, (x, y)) in run.iter().enumerate() {
                        let _ = write!(path, "{}{x:.1} {y:.1}", if n == 0 { 'M' } else { 'L' });
                    }
                }
            }
            run.clear();
        }
        if !path.is_empty() {
            let _ = write!(self.svg, r#"<path class="{class}" d="{path}"/>"#);
        }
        for (x, y) in dots {
            let _ = write!(self.svg, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="3"/>"#);
        }
    }

    /// A dot on a line.
    pub(super) fn dot(&mut self, class: &str, x: f64, y: f64) {
        let (x, y) = (self.x(x), self.y(y));
        let _ = write!(self.svg, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="3.5"/>"#);
    }

    /// A bar from the bottom, `width` wide.
    pub(super) fn bar(&mut self, class: &str, from: f64, to: f64, value: f64) {
        let (left, right, top) = (self.x(from), self.x(to), self.y(value));
        let (width, height) = ((right - left - 1.0).max(2.0), self.bottom() - top);
        let _ = write!(
            self.svg,
            r#"<rect class="bar {class}" x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}"/>"#
        );
    }

    /// The chart, described in words for those who do not see it.
    pub(super) fn finish(self, words: &str) -> String {
        let Self { height, svg, .. } = self;
        format!(
            r#"<div class="scroll"><svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{words}">{svg}</svg></div>"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_run_from_the_left_bottom() {
        let chart = Chart::new(Scale::linear(0.0, 10.0), Scale::log(1.0, 100.0), 200.0);
        assert!((chart.x(0.0) - LEFT).abs() < 1e-9 && (chart.x(10.0) - (WIDTH - RIGHT)).abs() < 1e-9);
        assert!((chart.y(1.0) - 174.0).abs() < 1e-9 && (chart.y(10.0) - 91.0).abs() < 1e-9);
    }

    #[test]
    fn a_line_breaks_where_nothing_was_measured() {
        let mut chart = Chart::new(Scale::linear(0.0, 4.0), Scale::linear(0.0, 1.0), 100.0);
        chart.line("k0", [(0.0, Some(1.0)), (1.0, Some(0.5)), (2.0, None), (3.0, Some(1.0))]);
        let svg = chart.finish("a line");
        assert_eq!((svg.matches('M').count(), svg.matches("<circle").count()), (1, 1), "{svg}");
    }
}
