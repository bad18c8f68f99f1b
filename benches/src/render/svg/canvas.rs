//! An SVG under construction: shapes and text at places, in classes that the style sheet colours, light and dark.
//!
//! It is shown as an image: no script, nothing fetched, and the fonts are those of whoever looks at it.

use crate::render::escape::{shortened, xml};
use std::fmt::Write as _;

/// Width of every chart in its own units; GitHub shows them as pixels.
pub(super) const WIDTH: f64 = 720.0;
/// What is left free at the sides.
pub(super) const MARGIN: f64 = 20.0;

const STYLE: &str = include_str!("style.css");
const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
/// Size of text that is in no class with a size of its own.
const FONT_SIZE: f64 = 13.0;

/// How wide a text is at most, in the widest of the fonts.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().map(glyph_width).sum::<f64>() * FONT_SIZE
}

/// As much of a text as has room, with an ellipsis for the rest.
pub(super) fn fitted(text: &str, width: f64) -> String {
    let mut chars = text.chars().count();
    let mut fitted = text.to_owned();
    while chars > 1 && text_width(&fitted) > width {
        chars -= 1;
        fitted = shortened(text, chars);
    }
    fitted
}

/// Width of a character as a share of the font's size; rounded up, for it depends on who looks.
fn glyph_width(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '\u{202f}' => 0.36,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.96,
        'A'..='Z' | '×' | '+' | '…' => 0.8,
        _ if c.is_ascii() => 0.66,
        _ => 0.8,
    }
}

/// What has been drawn so far.
#[derive(Default)]
pub(super) struct Canvas {
    body: String,
}

impl Canvas {
    pub(super) fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let _ = writeln!(self.body, r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{}</text>"#, xml(text));
    }

    /// A text, and a quieter one behind it.
    pub(super) fn text_with_more(&mut self, class: &str, (x, y): (f64, f64), text: &str, more: (&str, &str)) {
        let (more_class, more) = (more.0, xml(more.1));
        let _ = writeln!(
            self.body,
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{}<tspan class="{more_class}" dx="8">{more}</tspan></text>"#,
            xml(text)
        );
    }

    pub(super) fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let _ = writeln!(
            self.body,
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="1.5"/>"#
        );
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let _ = writeln!(
            self.body,
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        );
    }

    pub(super) fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        let _ = writeln!(self.body, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius}"/>"#);
    }

    /// A line through points.
    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut steps = String::new();
        for (number, (x, y)) in points.iter().enumerate() {
            let _ = write!(steps, "{}{x:.1} {y:.1}", if number == 0 { 'M' } else { 'L' });
        }
        let _ = writeln!(self.body, r#"<path class="{class}" d="{steps}"/>"#);
    }

    /// A span with caps at its ends.
    pub(super) fn whisker(&mut self, from: (f64, f64), to: (f64, f64)) {
        const CAP: f64 = 3.0;
        let across = if from.1 == to.1 { (0.0, CAP) } else { (CAP, 0.0) };
        self.line("whisker", from, to);
        for (x, y) in [from, to] {
            self.line("whisker", (x - across.0, y - across.1), (x + across.0, y + across.1));
        }
    }

    /// The whole picture, so high, with its words for those who do not see it.
    pub(super) fn finish(self, height: f64, title: &str, words: &str) -> String {
        let (title, words) = (xml(title), xml(words));
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title desc" font-family="{FONTS}" font-size="{FONT_SIZE}">
<title id="title">{title}</title>
<desc id="desc">{words}</desc>
<style>
{STYLE}</style>
<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>
{}</svg>
"#,
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut canvas = Canvas::default();
        canvas.text("small", 1.0, 2.0, "<script>&");
        let svg = canvas.finish(10.0, "a < b", "\"words\"");
        assert!(svg.contains("&lt;script&gt;&amp;") && svg.contains("a &lt; b"), "{svg}");
        assert!(!svg.contains("<script>"));
    }

    #[test]
    fn a_text_is_cut_where_its_room_ends() {
        assert_eq!(fitted("Tidegate (embedded)", 200.0), "Tidegate (embedded)");
        let cut = fitted(&"Wide Server ".repeat(10), 200.0);
        assert!(cut.ends_with('…') && (150.0..=200.0).contains(&text_width(&cut)), "{cut}");
        assert_eq!(fitted("W", 0.0), "W");
    }

    #[test]
    fn wide_letters_are_wide() {
        assert!(text_width("WWW") > text_width("iii") * 2.0);
    }
}
