//! The source files of the project, and what of them is code.

use std::fs;
use std::path::{Path, PathBuf};

/// One file of ours.
pub(crate) struct Source {
    /// From the top of the project, with `/`.
    pub(crate) path: String,
    /// As it is on disk.
    pub(crate) text: String,
    /// The text with comments taken out and literals emptied. Lines stay where they are.
    pub(crate) code: String,
}

impl Source {
    /// Whether it is made of tests alone.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Where `word` stands as a word in the code: `path:line`, each line once.
    pub(crate) fn places(&self, word: &str) -> Vec<String> {
        let has = |line: &str| {
            line.match_indices(word).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + word.len()..].chars().next();
                let goes_on = word.ends_with(is_name) && after.is_some_and(is_name);
                !goes_on && !before.is_some_and(is_name)
            })
        };
        let lines = self.code.lines().zip(1..).filter(|(line, _)| has(line));
        lines.map(|(line, number)| format!("{}:{number}: {}", self.path, line.trim())).collect()
    }
}

/// The top of the project.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the gateway is a folder of the project").to_owned()
}

/// Every Rust file of the project.
pub(crate) fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&top(), &mut paths);
    paths.sort();
    assert!(paths.len() > 100, "this finds the project's files");
    paths.into_iter().map(|path| read(&path)).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the project can be read") {
        let path = entry.expect("the project can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != "node_modules" && !name.starts_with('.') {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn read(path: &Path) -> Source {
    let text = fs::read_to_string(path).expect("sources are UTF-8");
    let path = path.strip_prefix(top()).expect("it was found below").to_string_lossy().into_owned();
    Source { code: code_of(&text), path, text }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Takes comments out and empties literals, so that a word is found only where it means something to the compiler.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let opens_a_word = !code.chars().next_back().is_some_and(is_name);
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest).filter(|_| opens_a_word) {
            length
        } else if c == '"' {
            quoted(rest, '"')
        } else if let Some(length) = character(rest) {
            length
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.extend(rest[..skipped].chars().filter(|&c| c == '\n'));
        rest = &rest[skipped..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for at in 0..text.len() {
        if text.as_bytes()[at..].starts_with(b"/*") {
            depth += 1;
        } else if text.as_bytes()[at..].starts_with(b"*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    text.len()
}

/// The length of a raw string, if one starts here.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let body = after.trim_start_matches('#');
    let hashes = &after[..after.len() - body.len()];
    let body = body.strip_prefix('"')?;
    let start = text.len() - body.len();
    let end = format!("\"{hashes}");
    Some(body.find(&end).map_or(text.len(), |at| start + at + end.len()))
}

/// The length of a literal that starts here and ends with `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

/// The length of a character literal, if one starts here: `'a'`, not the lifetime `'a`.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.strip_prefix('\'')?.chars();
    let (first, second) = (chars.next()?, chars.next()?);
    (first == '\\' || second == '\'').then(|| quoted(text, '\''))
}

#[test]
fn only_code_is_left_of_a_file() {
    for (text, code) in [
        ("a // b\nc", "a \nc"),
        ("a /* b /* c */\n d */ e", "a \n e"),
        (r##"f("b // \" c", r#"d " e"#, br"x\")"##, "f(, , )"),
        ("match c { '\"' => 1, '\\'' => 2, 'x' => 3 }", "match c {  => 1,  => 2,  => 3 }"),
        ("fn f<'a>(x: &'a str) -> &'a str", "fn f<'a>(x: &'a str) -> &'a str"),
    ] {
        assert_eq!(code_of(text), code);
    }
}
