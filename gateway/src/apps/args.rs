//! Reading and writing arguments as text, which is how they travel: no tree is built for what is passed on.
//!
//! Relies on the invariants of [`ArgsRef`]: placeholders are canonical, and numbered in the order of the text.

use bytes::Bytes;
use serde::de::Deserialize;
use std::borrow::Cow;
use tidegate_core::socket_io::ArgsRef;

/// How every placeholder begins. No string can hold this text, because its quotes would be escaped there.
const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":"#;

/// Arguments without attachments; `json` is the elements, without the brackets around them.
pub(super) fn plain(json: &str) -> ArgsRef<'_> {
    ArgsRef::trusted(json, &[])
}

/// Argument `index` as a `T` that may borrow, or `None` if it is missing or something else.
pub(super) fn parse<'a, T: Deserialize<'a>>(args: ArgsRef<'a>, index: usize) -> Option<T> {
    serde_json::from_str(args.get(index)?).ok()
}

/// The arguments after the first, which must not hold an attachment itself.
pub(super) fn after_first(args: ArgsRef<'_>) -> ArgsRef<'_> {
    match args.elements().nth(1) {
        Some(second) => ArgsRef::trusted(&args.json()[offset(args, second)..], args.attachments()),
        None => plain(""),
    }
}

/// A piece of the text of arguments, with the attachments that belong to it.
pub(super) struct Piece<'a> {
    json: Cow<'a, str>,
    attachments: &'a [Bytes],
}

impl<'a> Piece<'a> {
    /// Takes `text`, a slice of the text of `args` that is values with commas between them.
    pub(super) fn of(args: ArgsRef<'a>, text: &'a str) -> Self {
        if args.attachments().is_empty() {
            return Self { json: Cow::Borrowed(text), attachments: &[] };
        }
        let before = placeholders(&args.json()[..offset(args, text)]);
        let attachments = args.attachments().get(before..before + placeholders(text)).unwrap_or_default();
        let json = if before == 0 { Cow::Borrowed(text) } else { renumber(text, 0).into() };
        Self { json, attachments }
    }

    /// The piece as arguments.
    pub(super) fn as_args(&self) -> ArgsRef<'_> {
        ArgsRef::trusted(&self.json, self.attachments)
    }
}

/// Numbers the placeholders of `json` anew, from `first` on.
pub(super) fn renumber(json: &str, first: usize) -> String {
    let mut pieces = json.split(PLACEHOLDER);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for (number, piece) in (first..).zip(pieces) {
        let after = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        out.push_str(PLACEHOLDER);
        out.push_str(&number.to_string());
        out.push_str(after);
    }
    out
}

/// How many placeholders `json`, text that comes with attachments, has.
pub(super) fn placeholders(json: &str) -> usize {
    json.matches(PLACEHOLDER).count()
}

/// Where `piece`, a slice of the text of `args`, begins.
fn offset(args: ArgsRef<'_>, piece: &str) -> usize {
    (piece.as_ptr() as usize).saturating_sub(args.json().as_ptr() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_after_the_first_keep_their_text_and_their_attachments() {
        let attachments = [Bytes::from_static(b"\xff")];
        let args = ArgsRef::trusted(r#""a,b" , {"_placeholder":true,"num":0}, [1, 2]"#, &attachments);
        let rest = after_first(args);
        assert_eq!(rest.json(), r#"{"_placeholder":true,"num":0}, [1, 2]"#);
        assert_eq!(rest.attachments(), attachments);
        assert_eq!(after_first(plain(r#""only""#)).json(), "");
        assert_eq!(after_first(plain("")).json(), "");
    }

    #[test]
    fn a_piece_of_arguments_takes_its_own_attachments_with_it() {
        let attachments = [Bytes::from_static(b"a"), Bytes::from_static(b"b"), Bytes::from_static(b"c")];
        let text = r#"{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1},7],{"_placeholder":true,"num":2}"#;
        let args = ArgsRef::trusted(text, &attachments);
        let middle = Piece::of(args, args.get(1).unwrap());
        assert_eq!(middle.as_args().json(), r#"[{"_placeholder":true,"num":0},7]"#);
        assert_eq!(middle.as_args().attachments(), &attachments[1..2]);
        let whole = Piece::of(args, args.json());
        assert_eq!(whole.as_args(), args);
    }

    #[test]
    fn without_attachments_what_looks_like_a_placeholder_is_data() {
        let args = plain(r#"1,{"_placeholder":true,"num":5}"#);
        let piece = Piece::of(args, args.get(1).unwrap());
        assert_eq!(piece.as_args(), plain(r#"{"_placeholder":true,"num":5}"#));
    }

    #[test]
    fn an_argument_of_another_type_is_as_good_as_missing() {
        let args = plain(r#""room",7"#);
        assert_eq!(parse::<String>(args, 0).as_deref(), Some("room"));
        assert_eq!(parse::<String>(args, 1), None);
        assert_eq!(parse::<u8>(args, 2), None);
    }
}
