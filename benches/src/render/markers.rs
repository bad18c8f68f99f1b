//! The places of a document that are written by us: between `<!-- bench:NAME -->` and `<!-- end of bench:NAME -->`, each
//! alone on its line.

use std::ops::Range;
use thiserror::Error;

/// What is wrong with the markers of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MarkerError {
    /// It has none of this name.
    #[error("is missing")]
    Missing,
    /// There are several, and only one can be meant.
    #[error("is there more than once")]
    Doubled,
    /// It ends before it begins.
    #[error("ends before it begins")]
    Backwards,
}

/// True if a document has a marker of this name, be it whole or not.
pub(super) fn mentions(document: &str, name: &str) -> bool {
    let markers = markers(name);
    document.lines().any(|line| markers.iter().any(|marker| line.trim() == marker))
}

/// The document with other content between the markers. What is around them stays to the byte.
pub(super) fn replace(document: &str, name: &str, content: &str) -> Result<String, MarkerError> {
    let [start, end] = markers(name);
    let (start, end) = (only(document, &start)?, only(document, &end)?);
    if end.start < start.end {
        return Err(MarkerError::Backwards);
    }
    // Markdown begins anew after an empty line.
    Ok(format!("{}\n\n{}\n\n{}", &document[..start.end], content.trim(), &document[end.start..]))
}

fn markers(name: &str) -> [String; 2] {
    [format!("<!-- bench:{name} -->"), format!("<!-- end of bench:{name} -->")]
}

/// Where the only line with a marker is, without what ends the line.
fn only(document: &str, marker: &str) -> Result<Range<usize>, MarkerError> {
    let mut found = None;
    let mut at = 0;
    for line in document.split_inclusive('\n') {
        if line.trim() == marker {
            let start = at + line.len() - line.trim_start().len();
            let earlier = found.replace(start..start + marker.len());
            if earlier.is_some() {
                return Err(MarkerError::Doubled);
            }
        }
        at += line.len();
    }
    found.ok_or(MarkerError::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# A\n\n<!-- bench:peers -->\nold\n<!-- end of bench:peers -->\n\nrest \n";

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let new = replace(DOCUMENT, "peers", "new\n").unwrap();
        assert_eq!(new, "# A\n\n<!-- bench:peers -->\n\nnew\n\n<!-- end of bench:peers -->\n\nrest \n");
        assert_eq!(replace(&new, "peers", "new").unwrap(), new);
    }

    #[test]
    fn markers_of_another_name_are_left_alone() {
        assert!(mentions(DOCUMENT, "peers") && !mentions(DOCUMENT, "peer"));
        assert_eq!(replace(DOCUMENT, "scaling", "new"), Err(MarkerError::Missing));
    }

    #[test]
    fn a_marker_in_a_sentence_is_none() {
        assert!(!mentions("Write `<!-- bench:peers -->` before it.\n", "peers"));
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        assert_eq!(replace(&DOCUMENT.repeat(2), "peers", "new"), Err(MarkerError::Doubled));
        assert_eq!(replace("<!-- bench:peers -->\n", "peers", "new"), Err(MarkerError::Missing));
        let backwards = "<!-- end of bench:peers -->\n<!-- bench:peers -->\n";
        assert_eq!(replace(backwards, "peers", "new"), Err(MarkerError::Backwards));
    }
}
