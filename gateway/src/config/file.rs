//! Reads the TOML file into a layer.

use super::nearest::{nearest, nearest_key};
use super::raw::{Layer, Origin, Problem, Written};
use super::schema::{SECTIONS, SETTINGS, Setting};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads the text of the file called `name`.
///
/// # Errors
///
/// Every unknown key and misshapen value; or the first place where the text is no TOML.
pub(super) fn read(name: &str, text: &str) -> Result<Layer, Vec<Problem>> {
    let document = DeTable::parse(text).map_err(|error| {
        let line = line_of(text, error.span().map_or(0, |span| span.start));
        vec![Problem::new(&format!("{name}:{line}"), one_line(error.message()))]
    })?;
    let mut reader = Reader { name, text, layer: Layer::new(), problems: Vec::new() };
    for (section, value) in document.get_ref() {
        reader.section(section.get_ref(), section.span().start, value);
    }
    if reader.problems.is_empty() {
        return Ok(reader.layer);
    }
    // Tables come in the order of their names, readers go from top to bottom.
    reader.problems.sort_by_key(|(at, _)| *at);
    Err(reader.problems.into_iter().map(|(_, problem)| problem).collect())
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    layer: Layer,
    /// With the offset of what is wrong.
    problems: Vec<(usize, Problem)>,
}

impl Reader<'_> {
    fn section(&mut self, section: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        let known = SECTIONS.iter().any(|(name, _)| *name == section);
        match value.get_ref() {
            DeValue::Table(entries) => {
                for (key, value) in entries {
                    let full = format!("{section}.{}", key.get_ref());
                    self.entry(full, key.span().start, value);
                }
                if !known && entries.is_empty() {
                    let like = nearest(section, SECTIONS.iter().map(|(name, _)| (name, name)));
                    self.complain(at, section, format!("no such section; the nearest is [{like}]"));
                }
            }
            _ if known => self.complain(at, section, format!("this is a section: write [{section}]")),
            // An option written at the top of the file, outside of any section.
            _ => self.unknown(section, at),
        }
    }

    fn entry(&mut self, key: String, at: usize, value: &Spanned<DeValue<'_>>) {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            return self.unknown(&key, at);
        };
        match words(setting, value.get_ref()) {
            Ok(words) => {
                let array = value.get_ref().is_array();
                let origin = Origin::File { name: self.name.to_owned(), line: line_of(self.text, at), key };
                self.layer.insert(setting.key, Written { words, array, origin });
            }
            Err(complaint) => self.complain(at, &key, complaint),
        }
    }

    fn unknown(&mut self, key: &str, at: usize) {
        let dotted = if key.contains('.') { key.to_owned() } else { format!(".{key}") };
        let like = nearest_key(&dotted, SETTINGS.iter().map(|setting| setting.key));
        self.complain(at, key, format!("no such option; the nearest is {like}"));
    }

    fn complain(&mut self, at: usize, key: &str, complaint: impl Into<String>) {
        let origin =
            Origin::File { name: self.name.to_owned(), line: line_of(self.text, at), key: key.to_owned() };
        self.problems.push((at, Problem::new(&origin, complaint)));
    }
}

/// The value as bare words, as a variable or a flag would have them.
fn words(setting: &Setting, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    match value {
        DeValue::Array(items) => {
            // A list of CPUs is the one array that is not a list to the environment and the flags.
            if !setting.is_list() && setting.key != "server.cores" {
                return Err("this takes one value, not several".to_owned());
            }
            items.iter().map(|item| word(item.get_ref())).collect()
        }
        single => word(single).map(|word| vec![word]),
    }
}

fn word(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().replace('_', "")),
        DeValue::Boolean(flag) => Ok(flag.to_string()),
        other => Err(format!("no option is written as a TOML {}", other.type_str())),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count()
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let problems = read("t.toml", text).expect_err("something is wrong with it");
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_are_words_with_the_line_they_came_from() {
        let text = "[server]\nlisten = [\":1\", '[::1]:2']\ncores = 1_0\n[cors]\n\ncredentials = true\n";
        let layer = read("t.toml", text).unwrap();
        assert_eq!(layer["server.listen"].words, [":1", "[::1]:2"]);
        assert_eq!(layer["server.cores"].words, ["10"]);
        assert_eq!(layer["cors.credentials"].origin.to_string(), "t.toml:6: cors.credentials");
    }

    #[test]
    fn every_unknown_key_is_named_with_the_nearest_valid_one() {
        let text = "pingInterval = 1\n[server]\nlisen = \":1\"\n[socketio]\n[logs]\nlevel = 'info'\n";
        assert_eq!(
            problems(text),
            [
                "t.toml:1: pingInterval: no such option; the nearest is socket_io.ping_interval",
                "t.toml:3: server.lisen: no such option; the nearest is server.listen",
                "t.toml:4: socketio: no such section; the nearest is [socket_io]",
                "t.toml:6: logs.level: no such option; the nearest is log.level",
            ]
        );
    }

    #[test]
    fn a_misshapen_value_is_named() {
        assert_eq!(problems("server = 3"), ["t.toml:1: server: this is a section: write [server]"]);
        assert_eq!(
            problems("[socket_io]\npath = ['/a/', '/b/']"),
            ["t.toml:2: socket_io.path: this takes one value, not several"]
        );
        assert_eq!(
            problems("[limits]\noutbox_bytes = 1.5"),
            ["t.toml:2: limits.outbox_bytes: no option is written as a TOML float"]
        );
    }

    #[test]
    fn what_is_no_toml_is_one_line_with_its_place() {
        let problems = problems("[server]\nlisten = \n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("t.toml:2: "), "{problems:?}");
        assert!(!problems[0].contains('\n'));
    }
}
