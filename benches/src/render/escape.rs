//! Text from elsewhere (titles, versions, errors) inside Markdown and XML: it stays text.

/// Characters that mean something in Markdown wherever they stand in a line.
const MARKDOWN: &str = r"\`*_[]|#~$@";

/// Text within a line or a cell of GitHub's Markdown.
pub(super) fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in one_line(text) {
        match entity(c) {
            // Not with a backslash: a marker or a tag must not even look like one in the source.
            Some(entity) => safe.push_str(entity),
            None if MARKDOWN.contains(c) => safe.extend(['\\', c]),
            None => safe.push(c),
        }
    }
    safe
}

/// Text of an element, or in an attribute with double quotes.
pub(super) fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    one_line(text).for_each(|c| match entity(c) {
        Some(entity) => safe.push_str(entity),
        None => safe.push(c),
    });
    safe
}

/// What stands for a character that is markup in XML, and so in the HTML of Markdown.
fn entity(c: char) -> Option<&'static str> {
    match c {
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '&' => Some("&amp;"),
        '"' => Some("&quot;"),
        _ => None,
    }
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
