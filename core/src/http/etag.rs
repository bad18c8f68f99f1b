//! `If-None-Match` (RFC 9110 §13.1.2).

/// Whether a client that sent `if_none_match` already has the version with this tag.
///
/// `tag` is the opaque part, without quotes. The comparison is weak (RFC 9110 §8.8.3.2), so `W/"v"` matches
/// `"v"`. Reading stops at the first thing that is no tag: in doubt, the client gets the whole answer.
pub fn is_match(if_none_match: &[u8], tag: &str) -> bool {
    let mut rest = if_none_match.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        rest = skip_separators(rest);
        let quoted = rest.strip_prefix(b"W/").unwrap_or(rest);
        let Some((b'"', inside)) = quoted.split_first() else { return false };
        // A tag may hold a comma, so the list is not split at commas.
        let Some(end) = inside.iter().position(|&byte| byte == b'"') else { return false };
        if &inside[..end] == tag.as_bytes() {
            return true;
        }
        rest = &inside[end + 1..];
    }
}

fn skip_separators(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b',')).unwrap_or(bytes.len());
    &bytes[end..]
}

#[cfg(test)]
mod tests {
    use super::is_match;

    #[test]
    fn h28_weak_and_strong_tags_match_alone_and_in_lists() {
        for yes in [
            "W/\"4.8.4\"",
            "\"4.8.4\"",
            "*",
            " * ",
            "\"a\", \"4.8.4\"",
            "\"a,b\",W/\"4.8.4\" , \"c\"",
            ", \"4.8.4\"",
        ] {
            assert!(is_match(yes.as_bytes(), "4.8.4"), "{yes}");
        }
    }

    #[test]
    fn other_tags_and_nonsense_do_not_match() {
        for no in [
            "",
            "4.8.4",
            "\"4.8.5\"",
            "\"4.8.4",
            "W/4.8.4",
            "w/\"4.8.4\"",
            "\"a, 4.8.4\"",
            "\"*\"",
            "*, \"a\"",
            "x \"4.8.4\"",
        ] {
            assert!(!is_match(no.as_bytes(), "4.8.4"), "{no}");
        }
    }
}
