//! Results as charts: bars for servers side by side, curves over the number of connections.

mod bars;
mod canvas;
mod curves;

use super::about;
use super::escape::shortened;
use super::groups::Group;
use super::number::Shown;
use super::results::{Measured, Results};
use canvas::{Canvas, MARGIN};

/// Characters of small text that fit into a line.
const SMALL_CHARS_MAX: usize = 108;

/// The chart of a group, or `None` if it has no number to draw.
pub(super) fn chart(results: &Results, group: &Group<'_>) -> Option<String> {
    if group.curve { curves::chart(results, group) } else { bars::chart(results, group) }
}

/// Title and what is to be known before the first number. Returns where the rest begins.
fn head(canvas: &mut Canvas, results: &Results, title: &str, subtitle: &str) -> f64 {
    canvas.text("title", MARGIN, 32.0, &shortened(title, 70));
    canvas.text("quiet", MARGIN, 53.0, &shortened(subtitle, 90));
    if !results.quick {
        return 68.0;
    }
    canvas.text(
        "wrong",
        MARGIN,
        74.0,
        "Not to be trusted: one short run of everything, to see whether it works.",
    );
    90.0
}

/// When and on what it was measured. Returns how high the picture is.
fn foot(canvas: &mut Canvas, results: &Results, y: f64) -> f64 {
    canvas.text("quiet small", MARGIN, y + 12.0, &shortened(&about(results), SMALL_CHARS_MAX));
    y + 28.0
}

/// What a mark in a chart stands for: `median of up to 5 runs, whiskers from the least to the most`.
fn runs<'a>(measured: impl Iterator<Item = &'a Measured> + Clone) -> String {
    let most = measured.clone().map(|measured| measured.runs).max().unwrap_or(0);
    let least = measured.map(|measured| measured.runs).min().unwrap_or(0);
    let up_to = if least < most { "up to " } else { "" };
    match most {
        0 | 1 => "one run each".into(),
        _ => format!("median of {up_to}{most} runs, whiskers from the least to the most"),
    }
}

/// A number in words: `3.98 µs (3.81 to 4.18)`.
fn spelled(measured: &Measured, shown: &Shown) -> String {
    let median = shown.with_unit(measured.median);
    match measured.runs {
        0 | 1 => median,
        _ => format!("{median} ({} to {})", shown.number(measured.least), shown.number(measured.most)),
    }
}
