//! Text from elsewhere (titles, versions, errors) inside Markdown and XML: it stays text.

/// Text within a line or a cell of GitHub's Markdown.
pub(super) fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in one_line(text) {
        match c {
            // As entities: a marker or a tag must not even look like one in the source.
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '$' | '@' => safe.extend(['\\', c]),
            _ => safe.push(c),
        }
    }
    safe
}

/// Text of an element, or in an attribute with double quotes.
pub(super) fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in one_line(text) {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            _ => safe.push(c),
        }
    }
    safe
}

/// At most so many characters; what is longer ends in an ellipsis.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let head: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}…", head.trim_end())
}

/// Control characters are spaces: XML cannot have most of them, and a table row ends with its line.
fn one_line(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_in_markdown() {
        assert_eq!(markdown("a|b *c* `d`\n_e_ [f](g)"), r"a\|b \*c\* \`d\` \_e\_ \[f\](g)");
        assert_eq!(markdown("<!-- end of bench:peers -->"), "&lt;!-- end of bench:peers --&gt;");
    }

    #[test]
    fn text_stays_text_in_xml() {
        assert_eq!(xml("a<b> & \"c\"\u{0}\u{1b}"), "a&lt;b&gt; &amp; &quot;c&quot;  ");
    }

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        assert_eq!([shortened("äöü", 3), shortened("äöü and so on", 5)], ["äöü", "äöü…"]);
    }
}
