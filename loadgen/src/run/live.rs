//! One line on the terminal for each part, once a second: how it goes. On anything but a terminal there is none.

use crate::interval::Second;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The lines of a run. They vanish with it.
pub(super) struct LiveLine {
    lines: MultiProgress,
    parts: Vec<ProgressBar>,
    /// Errors so far, by part.
    errors: Vec<u64>,
}

impl LiveLine {
    pub(super) fn new() -> Self {
        Self { lines: MultiProgress::new(), parts: Vec::new(), errors: Vec::new() }
    }

    pub(super) fn add_part(&mut self, name: &str) {
        let style = ProgressStyle::with_template("{prefix:>10}  {elapsed:>4}  {msg}");
        let line = ProgressBar::new_spinner();
        let line = self.lines.add(line.with_style(style.expect("the template is fixed, and right")));
        line.set_prefix(name.to_owned());
        line.set_message("connecting");
        self.parts.push(line);
        self.errors.push(0);
    }

    pub(super) fn show(&mut self, part: usize, second: &Second) {
        self.errors[part] += second.errors;
        self.parts[part].set_message(text(second, self.errors[part]));
        self.parts[part].tick();
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        self.parts.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn text(second: &Second, errors: u64) -> String {
    let mut text = format!("{} connected", second.connected);
    if second.handshakes > 0 {
        text += &format!("  {} handshakes/s", second.handshakes);
    }
    if let (Some(p50), Some(p99)) = (second.p50_us, second.p99_us) {
        let (p50, p99) = (crate::report::micros(p50), crate::report::micros(p99));
        text += &format!("  {}/s  p50 {p50}  p99 {p99}", second.messages);
    }
    text += &match errors {
        0 => "  no errors".into(),
        1 => "  1 ERROR".into(),
        errors => format!("  {errors} ERRORS"),
    };
    if second.client_core > crate::report::SATURATED {
        text += "  generator at its limit";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_there_is_to_say() {
        let mut second = Second {
            second: 3,
            connected: 100,
            handshakes: 0,
            messages: 52_100,
            errors: 0,
            p50_us: Some(210.4),
            p99_us: Some(1_400.0),
            max_us: Some(9_000.0),
            client_core: 0.5,
        };
        assert_eq!(text(&second, 0), "100 connected  52100/s  p50 210 µs  p99 1.40 ms  no errors");
        (second.p50_us, second.handshakes, second.client_core) = (None, 7, 0.95);
        assert_eq!(text(&second, 2), "100 connected  7 handshakes/s  2 ERRORS  generator at its limit");
    }
}
