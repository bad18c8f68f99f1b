//! A chart in SVG: scales, grid, lines. Colours are the style sheet's.

use std::fmt::Write as _;

/// Size of a chart in its own units. It is scaled to the page.
pub(super) const WIDTH: f64 = 880.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 26.0;

/// From values to places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    log: bool,
}

impl Scale {
    pub(super) fn linear(from: f64, to: f64) -> Self {
        Self { from, to: if to > from { to } else { from + 1.0 }, log: false }
    }

    /// For values above zero that may span several powers of ten; the ends are whole steps of 1, 2, 5.
    pub(super) fn log(least: f64, most: f64) -> Self {
        let least = least.max(1e-3);
        let (from, to) = (step_down(least), step_up(most.max(least * 1.01)));
        Self { from, to, log: true }
    }

    /// Linear from zero, unless the largest is many times what is usual.
    pub(super) fn suited(usual: f64, most: f64) -> Self {
        if most > 20.0 * usual.max(1e-3) {
            Self::log(usual / 2.0, most)
        } else {
            Self::linear(0.0, most * 1.08)
        }
    }

    /// 0 at the start, 1 at the end.
    fn place(&self, value: f64) -> f64 {
        let (value, from, to) = match self.log {
            true => (value.max(self.from).log10(), self.from.log10(), self.to.log10()),
            false => (value, self.from, self.to),
        };
        ((value - from) / (to - from)).clamp(0.0, 1.0)
    }

    /// Round values along the scale, at most about `count`.
    pub(super) fn ticks(&self, count: usize) -> Vec<f64> {
        if self.log {
            return self.log_ticks(count);
        }
        let rough = (self.to - self.from) / count.max(1) as f64;
        let step = linear_step(rough);
        let first = (self.from / step).ceil();
        (0..=count * 2)
            .map(|n| (first + n as f64) * step)
            .take_while(|tick| *tick <= self.to + step * 1e-9)
            .collect()
    }

    fn log_ticks(&self, count: usize) -> Vec<f64> {
        let decades = (self.to / self.from).log10();
        let mantissas: &[f64] = if decades * 3.0 <= count as f64 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut decade = 10_f64.powf(self.from.log10().floor());
        let mut ticks = Vec::new();
        while decade <= self.to * 1.001 {
            ticks.extend(mantissas.iter().map(|mantissa| mantissa * decade));
            decade *= 10.0;
        }
        ticks.retain(|tick| (self.from * 0.999..=self.to * 1.001).contains(tick));
        ticks
    }
}

/// The next of …, 1, 2, 5, 10, … that is not below `value`.
fn step_up(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|mantissa| mantissa * decade);
    steps.into_iter().find(|step| *step >= value * (1.0 - 1e-9)).unwrap_or(decade * 10.0)
}

/// The same with 2.5 among them.
fn linear_step(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let step = 2.5 * decade;
    if step >= value && step < step_up(value) { step } else { step_up(value) }
}

/// The last of them that is not above `value`.
fn step_down(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [5.0, 2.0, 1.0].map(|mantissa| mantissa * decade);
    steps.into_iter().find(|step| *step <= value * (1.0 + 1e-9)).unwrap_or(decade)
}

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
    pub(super) fn bar(&mut self, from: f64, to: f64, value: f64) {
        let (left, right, top) = (self.x(from), self.x(to), self.y(value));
        let (width, height) = ((right - left - 1.0).max(2.0), self.bottom() - top);
        let _ = write!(
            self.svg,
            r#"<rect class="bar" x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}"/>"#
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
    fn ticks_are_round_and_within_the_scale() {
        assert_eq!(Scale::linear(0.0, 9.7).ticks(5), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(Scale::linear(0.0, 8800.0).ticks(4), [0.0, 2500.0, 5000.0, 7500.0]);
        assert_eq!(Scale::log(120.0, 900.0).ticks(5), [100.0, 200.0, 500.0, 1000.0]);
        assert_eq!(Scale::log(90.0, 2e5).ticks(6).len(), 4);
        assert!(Scale::linear(0.0, 0.0).ticks(4).len() > 1);
    }

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
