//! The arguments of an event or acknowledgement: JSON text and attachments, never a tree.
//!
//! Invariants, which a decoder establishes and everyone else relies on:
//! - the text is JSON values with commas between them, no white space around them, and no event name;
//! - with attachments, its placeholders are numbered from 0 in the order of the text, in canonical spelling,
//!   and attachment `i` is used by placeholder `i` alone. Without attachments there are no placeholders, and an
//!   object that looks like one is data.
//!
//! So arguments that came in go out as a copy of the text.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::json::{self, Cursor, JsonError};
use super::placeholder::{self, PlaceholderError};
use crate::limits::{ATTACHMENTS_MAX, JSON_DEPTH_MAX};

/// Arguments, borrowed: two pointers and two lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArgsRef<'a> {
    json: &'a str,
    attachments: &'a [Bytes],
}

impl<'a> ArgsRef<'a> {
    /// Takes arguments from a peer that is believed to keep the invariants, such as another core.
    ///
    /// If it did not, what is encoded from them is not valid either; nothing panics.
    pub fn trusted(json: &'a str, attachments: &'a [Bytes]) -> Self {
        Self { json, attachments }
    }

    /// Takes arguments from anyone, and checks that they keep the invariants.
    pub fn checked(json: &'a str, attachments: &'a [Bytes]) -> Result<Self, ArgsError> {
        json::validate_list(json)?;
        Self::valid(json.trim_ascii(), attachments)
    }

    /// As [`Self::checked`], of text that was found to be JSON values, without white space around them.
    pub(crate) fn valid(json: &'a str, attachments: &'a [Bytes]) -> Result<Self, ArgsError> {
        if attachments.len() > ATTACHMENTS_MAX {
            return Err(ArgsError::TooManyAttachments);
        }
        if !attachments.is_empty() {
            let normal = placeholder::normalise(json, attachments.len())?;
            let in_order = normal.order.iter().map(|&index| usize::from(index)).eq(0..attachments.len());
            if !in_order || normal.json != json {
                return Err(ArgsError::Placeholder(PlaceholderError::Illegal));
            }
        }
        Ok(Self { json, attachments })
    }

    /// The elements as JSON text, with commas between them. Empty if there are none.
    pub fn json(self) -> &'a str {
        self.json
    }

    /// The attachments, in the order of their placeholders.
    pub fn attachments(self) -> &'a [Bytes] {
        self.attachments
    }

    /// Whether there is no argument.
    pub fn is_empty(self) -> bool {
        self.json.is_empty()
    }

    /// The raw JSON of each argument. An attachment shows as its placeholder.
    pub fn elements(self) -> Elements<'a> {
        Elements { json: self.json, cursor: Cursor::new(self.json) }
    }

    /// The raw JSON of argument `index`, counted from 0. Costs a scan up to there.
    pub fn get(self, index: usize) -> Option<&'a str> {
        self.elements().nth(index)
    }

    /// Argument `index` as a `T`, or `None` if there are fewer.
    ///
    /// Fails where `serde_json` is stricter than `JSON.parse` too: at lone surrogates in strings, numbers out of
    /// range, and beyond a nesting of 128.
    pub fn parse<T: DeserializeOwned>(self, index: usize) -> Option<Result<T, serde_json::Error>> {
        self.get(index).map(serde_json::from_str)
    }

    /// A copy that owns its text and shares the attachments.
    pub fn into_owned(self) -> Args {
        Args { json: self.json.to_owned(), attachments: self.attachments.to_vec() }
    }
}

/// The raw JSON of each argument. See [`ArgsRef::elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    json: &'a str,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.cursor.at_end() {
            return None;
        }
        self.cursor.skip_whitespace();
        let start = self.cursor.at();
        // Only arguments that break the invariants end here.
        self.cursor.value(JSON_DEPTH_MAX).ok()?;
        let element = &self.json[start..self.cursor.at()];
        self.cursor.skip_whitespace();
        self.cursor.eat(b',');
        Some(element)
    }
}

/// Arguments that own their text. A Rust application builds them with the `push` functions.
///
/// ```
/// use tidegate_core::socket_io::Args;
///
/// let mut args = Args::new();
/// args.push(&"hello")?.push_raw("[1, 2]")?.push_binary(vec![1, 2, 3])?;
/// assert_eq!(args.json(), r#""hello",[1, 2],{"_placeholder":true,"num":0}"#);
/// # Ok::<(), tidegate_core::socket_io::ArgsError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    json: String,
    attachments: Vec<Bytes>,
}

impl Args {
    /// No arguments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a value as `serde_json` writes it. On error nothing is appended.
    pub fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<&mut Self, ArgsError> {
        let value = serde_json::to_string(value).map_err(ArgsError::Serialize)?;
        self.append(&value);
        Ok(self)
    }

    /// Appends the JSON text of one value, as it is. On error nothing is appended.
    pub fn push_raw(&mut self, value: &str) -> Result<&mut Self, ArgsError> {
        json::validate(value)?;
        self.append(value.trim_ascii());
        Ok(self)
    }

    /// Appends an attachment, of which a packet has at most [`ATTACHMENTS_MAX`]. On error nothing is appended.
    pub fn push_binary(&mut self, bytes: impl Into<Bytes>) -> Result<&mut Self, ArgsError> {
        let index = self.attachments.len();
        if index == ATTACHMENTS_MAX {
            return Err(ArgsError::TooManyAttachments);
        }
        self.append("");
        placeholder::write(&mut self.json, index);
        self.attachments.push(bytes.into());
        Ok(self)
    }

    fn append(&mut self, value: &str) {
        if !self.json.is_empty() {
            self.json.push(',');
        }
        self.json.push_str(value);
    }

    /// The same arguments, borrowed. What can be read from arguments is there.
    pub fn as_ref(&self) -> ArgsRef<'_> {
        ArgsRef { json: &self.json, attachments: &self.attachments }
    }

    /// The elements as JSON text, with commas between them.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The attachments, in the order of their placeholders.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// The text and the attachments.
    pub fn into_parts(self) -> (String, Vec<Bytes>) {
        (self.json, self.attachments)
    }
}

/// Why arguments were not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// The text is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The value cannot be written as JSON, such as a map whose keys are not text.
    #[error("not serializable: {0}")]
    Serialize(#[source] serde_json::Error),
    /// More than [`ATTACHMENTS_MAX`] attachments.
    #[error("more than {ATTACHMENTS_MAX} attachments")]
    TooManyAttachments,
    /// The placeholders do not go with the attachments, or are not in canonical form.
    #[error(transparent)]
    Placeholder(#[from] PlaceholderError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(json: &str) -> Vec<&str> {
        ArgsRef::trusted(json, &[]).elements().collect()
    }

    #[test]
    fn elements_are_split_at_top_level_commas_only() {
        assert_eq!(elements(""), [""; 0]);
        assert_eq!(elements("1"), ["1"]);
        assert_eq!(
            elements(r#""a,b",[1,2],{"x":",","y":[{}]},null"#),
            [r#""a,b""#, "[1,2]", r#"{"x":",","y":[{}]}"#, "null"]
        );
        assert_eq!(elements("1 ,\n 2"), ["1", "2"]);
    }

    #[test]
    fn elements_of_broken_text_end_at_the_damage() {
        assert_eq!(elements("1,]"), ["1"]);
        assert_eq!(elements("1,,2"), ["1"]);
    }

    #[test]
    fn an_argument_is_read_as_a_rust_type() {
        let args = ArgsRef::trusted(r#"{"a":1},"x",2.5"#, &[]);
        assert_eq!(args.parse::<String>(1).unwrap().unwrap(), "x");
        assert_eq!(args.parse::<f64>(2).unwrap().unwrap(), 2.5);
        assert!(args.parse::<u8>(0).unwrap().is_err());
        assert!(args.parse::<u8>(3).is_none());
    }

    #[test]
    fn what_cannot_be_pushed_leaves_the_arguments_as_they_were() {
        let mut args = Args::new();
        args.push(&1).unwrap();
        assert!(args.push_raw("[1").is_err());
        assert!(args.push_raw("1,2").is_err());
        assert!(args.push(&std::collections::BTreeMap::from([(vec![1], 1)])).is_err());
        for _ in 0..ATTACHMENTS_MAX {
            args.push_binary(vec![]).unwrap();
        }
        let before = args.clone();
        assert!(args.push_binary(vec![]).is_err());
        assert_eq!(args, before);
    }

    #[test]
    fn checked_arguments_keep_the_invariants() {
        let one = [Bytes::from_static(b"x")];
        let placeholder = r#"{"_placeholder":true,"num":0}"#;
        assert_eq!(ArgsRef::checked(" 1, 2 ", &[]).unwrap().json(), "1, 2");
        assert!(ArgsRef::checked("", &[]).unwrap().is_empty());
        assert!(ArgsRef::checked(placeholder, &one).is_ok());
        assert!(ArgsRef::checked(placeholder, &[]).is_ok(), "without attachments it is data");
        for json in ["1", "1,", "[", r#"{"num":0,"_placeholder":true}"#, &[placeholder; 2].join(",")] {
            assert!(ArgsRef::checked(json, &one).is_err(), "{json}");
        }
    }
}
