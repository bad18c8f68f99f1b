//! Reads the environment into a layer.

use super::nearest::nearest;
use super::raw::{Layer, Origin, Problem, Written, split_words};
use super::schema::{ENV_PREFIX, SETTINGS, Setting};
use std::ffi::OsString;

/// Names the configuration file, as `--config` does.
pub const CONFIG_VARIABLE: &str = "TIDEGATE_CONFIG";

/// Reads all variables that start with `TIDEGATE_`. `variables` is the whole environment, as
/// [`std::env::vars_os`] has it.
///
/// # Errors
///
/// Every variable of ours that is no option, or no Unicode: a misspelt one must not be ignored.
pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Layer, Vec<Problem>> {
    let mut layer = Layer::new();
    let mut problems = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(ENV_PREFIX)) else { continue };
        if name == CONFIG_VARIABLE {
            continue;
        }
        match read_one(name, value) {
            Ok((setting, written)) => drop(layer.insert(setting.key, written)),
            Err(complaint) => problems.push(Problem::new(&name, complaint)),
        }
    }
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    if problems.is_empty() { Ok(layer) } else { Err(problems) }
}

fn read_one(name: &str, value: OsString) -> Result<(&'static Setting, Written), String> {
    let Some(setting) = SETTINGS.iter().find(|setting| setting.env() == name) else {
        return Err(format!("no such option; the nearest is {}", nearest_variable(name)));
    };
    let value = value.into_string().map_err(|_| "is not Unicode".to_owned())?;
    let words = split_words(setting, &value);
    Ok((setting, Written { words, array: false, origin: Origin::Env(name.to_owned()) }))
}

/// Forgetting the section is the likeliest slip, so each variable is looked for without it too.
fn nearest_variable(name: &str) -> String {
    let whole = SETTINGS.iter().map(|setting| (setting.env(), setting.env()));
    let short = |setting: &Setting| format!("{ENV_PREFIX}{}", setting.name().to_ascii_uppercase());
    let without_section = SETTINGS.iter().map(|setting| (short(setting), setting.env()));
    let config = [(CONFIG_VARIABLE.to_owned(), CONFIG_VARIABLE.to_owned())];
    nearest(name, whole.chain(without_section).chain(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<Layer, Vec<Problem>> {
        read(pairs.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let layer =
            read_pairs(&[("TIDEGATE_SERVER_LISTEN", ":1, [::1]:2,"), ("TIDEGATE_SERVER_CORES", "0,2")])
                .unwrap();
        assert_eq!(layer["server.listen"].words, [":1", "[::1]:2"]);
        assert_eq!(layer["server.cores"].words, ["0,2"]);
    }

    #[test]
    fn a_variable_of_ours_that_is_no_option_is_an_error_and_others_are_ignored() {
        let problems =
            read_pairs(&[("PATH", "/bin"), ("TIDEGATE_PING_INTERVAL", "1s"), ("TIDEGATE_CONFIG", "x")])
                .unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(
            problems[0].to_string(),
            "TIDEGATE_PING_INTERVAL: no such option; the nearest is TIDEGATE_SOCKET_IO_PING_INTERVAL"
        );
    }
}
