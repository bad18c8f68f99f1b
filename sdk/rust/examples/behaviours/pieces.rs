//! Pieces of arguments, with the attachments that belong to them. No tree is built for what is passed on.
//!
//! Relies on what [`ArgsRef`] promises: placeholders are in one spelling, and numbered in the order of the text.

use tidegate_backend::{ArgsRef, Bytes};

/// How every placeholder begins. No string can hold this text, because its quotes would be escaped there.
const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":"#;

/// Text of arguments in the making, and what it refers to.
#[derive(Default)]
pub(crate) struct Pieces {
    json: String,
    attachments: Vec<Bytes>,
}

impl Pieces {
    /// Adds text without attachments.
    pub(crate) fn text(&mut self, json: &str) -> &mut Self {
        self.json.push_str(json);
        self
    }

    /// Adds `text`, a slice of the text of `args` made of whole values.
    pub(crate) fn part(&mut self, args: ArgsRef<'_>, text: &str) -> &mut Self {
        if args.attachments().is_empty() {
            return self.text(text);
        }
        let start = (text.as_ptr() as usize).saturating_sub(args.json().as_ptr() as usize);
        let first = placeholders(&args.json()[..start]);
        let mut pieces = text.split(PLACEHOLDER);
        self.json.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let number = self.attachments.len().to_string();
            self.json.extend([PLACEHOLDER, &number, piece.trim_start_matches(|c: char| c.is_ascii_digit())]);
            let which = first + placeholders(&text[..piece.as_ptr() as usize - text.as_ptr() as usize]) - 1;
            self.attachments.extend(args.attachments().get(which).cloned());
        }
        self
    }

    /// Adds all arguments.
    pub(crate) fn all(&mut self, args: ArgsRef<'_>) -> &mut Self {
        self.part(args, args.json())
    }

    /// Nothing at all, if putting it together has made it deeper than JSON may be.
    pub(crate) fn args(&self) -> ArgsRef<'_> {
        ArgsRef::checked(&self.json, &self.attachments).unwrap_or_default()
    }
}

fn placeholders(json: &str) -> usize {
    json.matches(PLACEHOLDER).count()
}
