//! The tree keeps its shape: what the house style asks for and no lint can check.

mod support {
    pub(crate) mod source;
}

use std::collections::BTreeSet;
use std::fs;
use support::source::{Source, sources, top};

/// Lines of a file, tests excepted. What is longer is usually two ideas.
const LINES_MAX: usize = 600;

/// The layers of `core/`, from the bottom. A module uses those below its own; only the small words of the lowest
/// layer know each other. The codecs of one layer do not.
const LAYERS: &[&[&str]] = &[
    &["limits", "time", "id", "name", "payload", "close", "arena"],
    &["timers", "options", "http", "ws", "engine_io", "socket_io"],
    &["session", "front"],
    &["hub"],
    &["shard"],
    &["backend"],
];

fn complain(rule: &str, places: &[String]) {
    assert!(places.is_empty(), "{rule}:\n  {}", places.join("\n  "));
}

/// Every place where one of `words` stands in the code of the files that `chosen` picks.
fn places(words: &[&str], chosen: impl Fn(&Source) -> bool) -> Vec<String> {
    let files: Vec<_> = sources().into_iter().filter(chosen).collect();
    assert!(!files.is_empty(), "a rule about no file");
    files.iter().flat_map(|file| words.iter().flat_map(|word| file.places(word))).collect()
}

#[test]
fn unsafe_code_lives_in_the_runtime_alone() {
    let found = places(&["unsafe"], |file| !file.path.starts_with("gateway/src/runtime/"));
    complain("unsafe outside gateway/src/runtime", &found);
}

#[test]
fn the_core_has_no_clock_socket_thread_file_or_environment() {
    let words = [
        "Instant::now",
        "SystemTime",
        "std::net::TcpStream",
        "std::net::TcpListener",
        "std::net::UdpSocket",
        "std::os",
        "std::process",
        "std::thread",
        "std::fs",
        "std::env",
        "std::sync::Mutex",
        "std::sync::RwLock",
    ];
    let found = places(&words, |file| file.path.starts_with("core/src/"));
    complain("core/ decides, and leaves the world to gateway/", &found);
}

#[test]
fn nothing_is_left_over_from_the_work() {
    let found = places(&["todo!", "unimplemented!", "dbg!"], |_| true);
    complain("left-overs", &found);
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent = sources().into_iter().filter(|file| !file.text.starts_with("//! "));
    complain("no //! in the first line", &silent.map(|file| file.path).collect::<Vec<_>>());
}

#[test]
fn files_hold_one_idea() {
    let long = sources().into_iter().filter(|file| !file.is_test() && file.text.lines().count() > LINES_MAX);
    let long = long.map(|file| format!("{}: {} lines", file.path, file.text.lines().count()));
    complain("files that are too long", &long.collect::<Vec<_>>());
}

#[test]
fn modules_of_the_core_use_lower_layers_only() {
    let mut found = Vec::new();
    for file in sources() {
        let Some(user) = module(&file.path) else { continue };
        for used in used_modules(&file.code) {
            if used != user && layer(&used) >= layer(&user) && layer(&used) > 0 {
                found.push(format!("{}: {user} uses {used}", file.path));
            }
        }
    }
    complain("a module uses lower layers only", &found);
}

/// The module that a file of `core/src` belongs to.
fn module(path: &str) -> Option<String> {
    let below = path.strip_prefix("core/src/")?;
    let name = below.split('/').next()?.trim_end_matches(".rs");
    (name != "lib").then(|| name.to_owned())
}

fn layer(module: &str) -> usize {
    let found = LAYERS.iter().position(|layer| layer.contains(&module));
    found.unwrap_or_else(|| panic!("core/src/{module} has no place in LAYERS"))
}

/// The modules of the crate that this code names: `crate::a::…` and `crate::{a::…, b::{…}}`.
fn used_modules(code: &str) -> BTreeSet<String> {
    let after = code.match_indices("crate::").map(|(at, word)| &code[at + word.len()..]);
    let paths = after.flat_map(|after| after.strip_prefix('{').map_or_else(|| vec![after], items));
    paths.filter_map(first_name).collect()
}

/// The items of a group of uses, from behind its `{` to its `}`.
fn items(group: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                items.push(group[start..at].trim());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    items
}

/// The name that stands here, if it is one of a module.
fn first_name(code: &str) -> Option<String> {
    let name: String =
        code.chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect();
    let is_path = code[name.len()..].starts_with("::");
    (is_path && !name.is_empty()).then_some(name)
}

#[test]
fn groups_of_uses_are_understood() {
    let code =
        "use crate::id::X; use crate::{time::Instant, http::{a, b::c}, MAX}; pub(crate) fn crate_only() {}";
    assert_eq!(used_modules(code), BTreeSet::from(["id", "time", "http"].map(str::to_owned)));
}

#[test]
fn the_architecture_says_why_each_dependency_is_there() {
    let Ok(page) = fs::read_to_string(top().join("ARCHITECTURE.md")) else { return };
    let manifest = fs::read_to_string(top().join("Cargo.toml")).expect("a workspace has a manifest");
    let manifest: toml::Table = manifest.parse().expect("cargo reads it too");
    let dependencies = manifest["workspace"]["dependencies"].as_table().expect("a table");
    let unexplained: Vec<_> = dependencies
        .iter()
        .filter(|(_, source)| source.get("path").is_none())
        .map(|(name, source)| source.get("package").and_then(toml::Value::as_str).unwrap_or(name))
        .filter(|name| !page.contains(&format!("`{name}`")))
        .map(str::to_owned)
        .collect();
    complain("dependencies that ARCHITECTURE.md does not name", &unexplained);
}
