//! The options as text for people: the commented default file, and the table of the documentation.

use super::schema::{Preset, SECTIONS, SETTINGS, Setting};
use std::fmt::Write as _;

/// Widest line of the default file, in characters.
const LINE_CHARS: usize = 100;

/// A file with every option at its default: what `tidegate config default` prints. It can be read back.
pub fn default_file() -> String {
    let mut text = String::from(
        "# Tidegate: every option, with its default.\n\
         # Each can also be set in the environment (shown as $NAME) and most as a flag; flags win over the\n\
         # environment, the environment over this file.\n",
    );
    for (section, about) in SECTIONS {
        text.push('\n');
        comment(&mut text, about);
        text.push_str(&format!("[{section}]\n"));
        for setting in SETTINGS.iter().filter(|setting| setting.section() == *section) {
            text.push('\n');
            comment(&mut text, &format!("{}.", setting.help));
            let flag = setting.flag.map(|flag| format!(", {flag}")).unwrap_or_default();
            comment(&mut text, &format!("${}{flag}", setting.env()));
            text.push_str(&format!("{} = {}\n", setting.name(), setting.default));
        }
    }
    text
}

/// The table of all options in Markdown, section by section, as `docs/configuration.md` has it.
pub fn markdown() -> String {
    let mut text = String::new();
    for (section, about) in SECTIONS {
        let rows = SETTINGS.iter().filter(|setting| setting.section() == *section).map(row);
        write!(
            text,
            "### `[{section}]`\n\n{about}\n\n\
             | key | default | meaning | flag | environment |\n|---|---|---|---|---|\n{}\n",
            rows.collect::<String>()
        )
        .expect("writing to a string cannot fail");
    }
    text
}

fn row(setting: &Setting) -> String {
    let code = |text: &str| format!("`{text}`");
    let default = match setting.default {
        Preset::List([]) => "none".to_owned(),
        default => code(&default.to_string()),
    };
    let (key, help) = (code(setting.name()), setting.help);
    let flag = setting.flag.map(code).unwrap_or_default();
    format!("| {key} | {default} | {help} | {flag} | {} |\n", code(&setting.env()))
}

/// Wraps `words` into comment lines.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > LINE_CHARS {
            text.push_str(&line);
            text.push('\n');
            line.replace_range(.., "#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
