//! The valid name that is most like one that is not.

/// What goes with the form nearest to `word` by edit distance. A name may be here in several forms; `forms` is not
/// empty.
pub(super) fn nearest<T>(word: &str, forms: impl IntoIterator<Item = (impl AsRef<str>, T)>) -> T {
    let near = forms.into_iter().min_by_key(|(form, _)| distance(word, form.as_ref()));
    near.expect("there is always some valid name").1
}

/// The dotted key nearest to `word`.
///
/// The name within its section counts for more than the section, so that an option written in the wrong section,
/// or in camel case as in Node, still finds its place.
pub(super) fn nearest_key<'a>(word: &str, keys: impl IntoIterator<Item = &'a str>) -> &'a str {
    let word = snake_case(word);
    let (section, name) = word.split_once('.').unwrap_or(("", &word));
    keys.into_iter()
        .min_by_key(|key| {
            let (key_section, key_name) = key.split_once('.').unwrap_or(("", key));
            (distance(name, key_name), distance(section, key_section))
        })
        .expect("there is always some valid key")
}

/// `pingInterval` as `ping_interval`; names without capitals stay as they are.
fn snake_case(word: &str) -> String {
    let mut snake = String::with_capacity(word.len() + 4);
    for letter in word.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() && !snake.ends_with(['_', '.']) {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Insertions, deletions and replacements from one word to the other (Levenshtein), in bytes.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.bytes().enumerate() {
            let replace = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (from, to, edits) in
            [("", "", 0), ("", "abc", 3), ("listen", "lisen", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(from, to), edits, "{from} {to}");
            assert_eq!(distance(to, from), edits, "{to} {from}");
        }
    }

    #[test]
    fn a_key_is_found_in_spite_of_a_slip_a_wrong_section_or_camel_case() {
        let keys =
            ["server.listen", "server.cores", "socket_io.path", "socket_io.ping_interval", "log.level"];
        for (word, key) in [
            ("server.lisen", "server.listen"),
            ("server.path", "socket_io.path"),
            ("socket_io.pingInterval", "socket_io.ping_interval"),
            ("sever.cores", "server.cores"),
            ("logs.levl", "log.level"),
        ] {
            assert_eq!(nearest_key(word, keys), key, "{word}");
        }
    }
}
