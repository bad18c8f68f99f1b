//! Options as they were written, before anyone asks whether they make sense.
//!
//! Each source (defaults, file, environment, flags) is one [`Layer`] of the same shape, and every value remembers
//! where it came from, so that a complaint can point there.

use super::schema::{self, SETTINGS};
use std::collections::BTreeMap;
use std::fmt;

/// What one source says: by key, the values it wrote. Keys are those of [`SETTINGS`].
pub type Layer = BTreeMap<&'static str, Written>;

/// One option as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The words; exactly one, unless the option takes several or `array` is set.
    pub words: Vec<String>,
    /// Whether the file has an array here.
    pub array: bool,
    /// Where it was written.
    pub origin: Origin,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In the configuration file.
    File {
        /// The file, as it was named to us.
        name: String,
        /// Counted from 1.
        line: usize,
        /// `section.key`.
        key: String,
    },
    /// In this environment variable.
    Env(String),
    /// With this flag.
    Flag(&'static str),
}

impl Origin {
    /// Where the option `key` was written, or the key itself if it was not written.
    pub(super) fn place(&self, key: &str) -> String {
        if *self == Self::Default { key.to_owned() } else { self.to_string() }
    }
}

/// As the start of a message: which file, which line, which key.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line, key } => write!(f, "{name}:{line}: {key}"),
            Self::Env(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Something wrong with the configuration, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {complaint}")]
pub struct Problem {
    /// Which file and key, variable or flag.
    pub place: String,
    /// What is wrong, and what would be right.
    pub complaint: String,
}

impl Problem {
    /// A complaint about what was written at `place`.
    pub fn new(place: &impl fmt::Display, complaint: impl Into<String>) -> Self {
        Self { place: place.to_string(), complaint: complaint.into() }
    }
}

/// The lowest layer: every option, with its default.
pub(super) fn defaults() -> Layer {
    let written = |setting: &schema::Setting| Written {
        words: setting.default.words().into_iter().map(str::to_owned).collect(),
        array: false,
        origin: Origin::Default,
    };
    SETTINGS.iter().map(|setting| (setting.key, written(setting))).collect()
}

/// One layer out of several, the last of which wins. What wins replaces a list; it does not add to it.
pub(super) fn merge(layers: impl IntoIterator<Item = Layer>) -> Layer {
    layers.into_iter().flatten().collect()
}

/// Splits what a variable or a flag says about an option into words: at commas, if it takes several.
pub(super) fn split_words(setting: &schema::Setting, text: &str) -> Vec<String> {
    if setting.is_list() {
        text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
    } else {
        vec![text.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_layer_wins_and_replaces_lists() {
        let layer = |words: &[&str]| {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            Layer::from([("server.listen", Written { words, array: true, origin: Origin::Flag("--listen") })])
        };
        let merged = merge([defaults(), layer(&["1", "2"]), layer(&["3"])]);
        assert_eq!(merged["server.listen"].words, ["3"]);
        assert_eq!(merged.len(), SETTINGS.len());
    }
}
