//! Footnotes of a table. GitHub's own would all end up below the whole document.

use super::text;
use crate::render::escape::shortened;

/// A footnote about one server is no longer than this, so that an error message does not fill a page.
const CHARS_MAX: usize = 300;

/// Notes in the order in which they were met, each once.
#[derive(Default)]
pub(super) struct Notes {
    numbered: Vec<String>,
    pairs: bool,
}

impl Notes {
    /// Takes a note, and gives the mark that refers to it.
    pub(super) fn mark(&mut self, note: &str) -> String {
        let number = self.numbered.iter().position(|known| known == note).unwrap_or_else(|| {
            self.numbered.push(note.to_owned());
            self.numbered.len() - 1
        });
        format!("<sup>{}</sup>", number + 1)
    }

    /// The mark of a number that the load generator had a part in.
    pub(super) fn mark_pair(&mut self) -> &'static str {
        self.pairs = true;
        "\\*"
    }

    /// What is below the table.
    pub(super) fn finish(self) -> String {
        let mut notes: Vec<String> = Vec::new();
        if self.pairs {
            notes.push(
                "\\* The load generator was as busy as the server: rate and latency are the pair’s.".into(),
            );
        }
        notes.extend(self.numbered.iter().enumerate().map(|(number, note)| {
            format!("<sup>{}</sup> {}", number + 1, text(&shortened(note, CHARS_MAX)))
        }));
        if notes.is_empty() { String::new() } else { format!("{}\n\n", notes.join("<br>\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_notes_share_a_number() {
        let mut notes = Notes::default();
        let marks = [notes.mark("a"), notes.mark("b"), notes.mark("a")];
        assert_eq!(marks, ["<sup>1</sup>", "<sup>2</sup>", "<sup>1</sup>"]);
        assert_eq!(notes.finish(), "<sup>1</sup> a<br>\n<sup>2</sup> b\n\n");
        assert_eq!(Notes::default().finish(), "");
    }

    #[test]
    fn a_note_is_text_and_not_too_long() {
        let mut notes = Notes::default();
        notes.mark(&"<b>".repeat(1000));
        let text = notes.finish();
        assert!(text.contains("&lt;b&gt;") && !text.contains("<b>") && text.len() < 2000, "{text}");
    }
}
