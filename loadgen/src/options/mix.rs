//! `mix`: a TOML file whose keys are the options of the command line, so that there is one list of them.

use super::{Options, OutputOptions, ScenarioOptions, Url};
use clap::{Args, Parser as _};
use std::path::PathBuf;
use std::{fs, io};
use thiserror::Error;

/// `mix`.
#[derive(Clone, Debug, Args)]
pub struct MixOptions {
    /// The TOML file: options for all parts, then a `[[part]]` with a `scenario` and its options for each.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The server, whatever the file says.
    #[arg(long, value_name = "URL")]
    pub url: Option<Url>,
    /// What to do with the result.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// One part of a mix.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its `name`, or that of its scenario.
    pub name: String,
    /// As if it came from the command line.
    pub options: Options,
}

/// Why a file is not a mix.
#[derive(Debug, Error)]
pub enum MixError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not TOML.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// There is no `[[part]]`.
    #[error("a mix needs a [[part]]")]
    Empty,
    /// Two parts would receive each other's messages.
    #[error("parts {first} and {second} both {what} the namespace {namespace}: give one of them another")]
    Overlap {
        /// From 1.
        first: usize,
        /// The other.
        second: usize,
        /// What they do.
        what: &'static str,
        /// Where.
        namespace: String,
    },
    /// A part without a `scenario`, or with a value that is neither text nor number nor yes or no.
    #[error("part {number}: {reason}")]
    Part {
        /// From 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
}

impl MixOptions {
    /// Reads the parts.
    pub fn parts(&self) -> Result<Vec<Part>, MixError> {
        let mut parts = parse(&fs::read_to_string(&self.file)?)?;
        if let Some(url) = &self.url {
            parts.iter_mut().for_each(|part| part.options.scenario.common_mut().url = url.clone());
        }
        Ok(parts)
    }
}

/// Reads a file's text.
fn parse(text: &str) -> Result<Vec<Part>, MixError> {
    let mut defaults: toml::Table = text.parse()?;
    let Some(toml::Value::Array(parts)) = defaults.remove("part") else { return Err(MixError::Empty) };
    let numbered = parts.into_iter().zip(1..);
    let parts: Vec<Part> = numbered
        .map(|(part, number)| parse_part(part, &defaults).map_err(|reason| MixError::Part { number, reason }))
        .collect::<Result<_, _>>()?;
    check_overlap(&parts)?;
    Ok(parts)
}

/// Who broadcasts is heard by every client of its namespace, and rooms are named by their number.
fn check_overlap(parts: &[Part]) -> Result<(), MixError> {
    let audience = |part: &Part| match part.options.scenario {
        ScenarioOptions::Broadcast(_) | ScenarioOptions::Slow(_) => Some("broadcast to everyone of"),
        ScenarioOptions::Rooms(_) => Some("use the rooms of"),
        _ => None,
    };
    let place = |part: &Part| {
        let common = part.options.common();
        (common.url.address, common.path.clone(), common.namespace.clone())
    };
    for (second, part) in parts.iter().enumerate() {
        let Some(what) = audience(part) else { continue };
        let same = |other: &Part| audience(other) == Some(what) && place(other) == place(part);
        if let Some(first) = parts[..second].iter().position(same) {
            let namespace = part.options.common().namespace.to_string();
            return Err(MixError::Overlap { first: first + 1, second: second + 1, what, namespace });
        }
    }
    Ok(())
}

fn parse_part(part: toml::Value, defaults: &toml::Table) -> Result<Part, String> {
    let toml::Value::Table(mut part) = part else { return Err("not a table".into()) };
    let Some(toml::Value::String(scenario)) = part.remove("scenario") else {
        return Err("no scenario".into());
    };
    let name = match part.remove("name") {
        Some(toml::Value::String(name)) => name,
        _ => scenario.clone(),
    };
    let mut line = vec!["mix".to_owned(), scenario];
    for (key, value) in defaults.iter().filter(|(key, _)| !part.contains_key(*key)).chain(part.iter()) {
        match value {
            toml::Value::Array(values) if key == "header" => {
                values.iter().try_for_each(|value| push_option(key, value, &mut line))?;
            }
            value => push_option(key, value, &mut line)?,
        }
    }
    // The first line says it; the others are about a command line that nobody typed.
    let reason = |error: clap::Error| error.to_string().lines().next().unwrap_or_default().to_owned();
    Ok(Part { name, options: Options::try_parse_from(line).map_err(reason)? })
}

fn push_option(key: &str, value: &toml::Value, line: &mut Vec<String>) -> Result<(), String> {
    let text = match value {
        toml::Value::Boolean(false) => return Ok(()),
        toml::Value::Boolean(true) => None,
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        _ => return Err(format!("{key}: neither text nor a number nor true or false")),
    };
    line.push(format!("--{}", key.replace('_', "-")));
    line.extend(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_part_has_its_own_options_and_those_of_all() {
        let parts = parse(
            "duration = '2s'\nconnections = 7\n[[part]]\nscenario = 'echo'\nrate = 12.5\nconnections = 3\n\
             [[part]]\nname = 'watchers'\nscenario = 'idle'",
        )
        .unwrap();
        assert_eq!((parts[0].name.as_str(), parts[1].name.as_str()), ("echo", "watchers"));
        let common = |part: usize| parts[part].options.common();
        assert_eq!((common(0).connections, common(1).connections), (3, 7));
        assert_eq!(common(1).duration, Duration::from_secs(2));
        let ScenarioOptions::Echo(echo) = &parts[0].options.scenario else { panic!("the first is an echo") };
        assert_eq!(echo.pace.rate, Some(12.5));
    }

    #[test]
    fn parts_that_would_hear_each_other_need_namespaces() {
        let two = |first: &str, second: &str| {
            parse(&format!("[[part]]\nscenario = '{first}'\n[[part]]\nscenario = '{second}'")).map(drop)
        };
        assert!(
            two("broadcast", "slow").unwrap_err().to_string().starts_with("parts 1 and 2 both broadcast")
        );
        assert!(two("rooms", "rooms").is_err());
        assert!(two("rooms", "broadcast").is_ok() && two("echo", "echo").is_ok());
        assert!(two("broadcast", "slow'\nnamespace = '/b").is_ok());
    }

    #[test]
    fn headers_may_be_several() {
        let parts = parse("header = ['a: b', 'c: d']\n[[part]]\nscenario = 'idle'").unwrap();
        assert_eq!(parts[0].options.common().header.len(), 2);
    }

    #[test]
    fn what_is_wrong_says_where() {
        assert!(matches!(parse("duration = '1s'"), Err(MixError::Empty)));
        assert!(matches!(parse("a ="), Err(MixError::Toml(_))));
        let message = |text| parse(text).unwrap_err().to_string();
        assert_eq!(message("[[part]]\nrate = 1"), "part 1: no scenario");
        assert!(message("[[part]]\nscenario = 'idle'\nspeed = 3").starts_with("part 1: error: unexpected"));
        assert!(message("[[part]]\nscenario = 'idle'\nramp = [1]").starts_with("part 1: ramp: neither"));
    }
}
