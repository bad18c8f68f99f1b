//! Where the attachments of a binary packet go (protocol.md 4.2 rule 8).
//!
//! A placeholder is an object whose `_placeholder` is exactly `true`; its `num` says which attachment replaces
//! it. Peers may number as they like, use an attachment twice, or not at all. [`normalise`] settles that once:
//! afterwards placeholders are spelled as Node spells them and numbered from 0 in the order of the text, and
//! the attachments are listed in that order. Encoding the arguments again is then a copy of the text.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::json::{Cursor, JsonError};
use super::string;
use crate::limits::{ATTACHMENTS_MAX, JSON_DEPTH_MAX};

/// Why the attachments of a packet make no sense. Always the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceholderError {
    /// A placeholder whose `num` does not name an attachment of the packet.
    #[error("a placeholder names no attachment")]
    Illegal,
    /// More than [`ATTACHMENTS_MAX`] placeholders. Node takes them when they share attachments, but its clients
    /// refuse a packet with that many attachments, and each use is one when the packet is passed on.
    #[error("more than {ATTACHMENTS_MAX} placeholders")]
    TooMany,
    /// The text is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// For each placeholder in the order of the text, the attachment that it stood for.
pub(super) type Order = SmallVec<[u8; ATTACHMENTS_MAX]>;

/// Arguments whose placeholders are canonical.
pub(super) struct Normal<'a> {
    /// The elements, borrowed if nothing had to change.
    pub(super) json: Cow<'a, str>,
    /// Which attachments to list, and in which order.
    pub(super) order: Order,
}

/// Makes the placeholders of `json`, valid elements with commas between them, canonical.
///
/// `attachments` is how many the packet announced.
pub(super) fn normalise(json: &str, attachments: usize) -> Result<Normal<'_>, PlaceholderError> {
    let found = find(json)?;
    let order = found.iter().map(|one| one.attachment(json, attachments)).collect::<Option<Order>>();
    let order = order.ok_or(PlaceholderError::Illegal)?;
    let is_canonical = |(index, one): (usize, &Found)| is_canonical(&json[one.start..one.end], index);
    if found.iter().enumerate().all(is_canonical) {
        return Ok(Normal { json: Cow::Borrowed(json), order });
    }
    let mut out = String::with_capacity(json.len());
    let mut copied = 0;
    for (index, one) in found.iter().enumerate() {
        out.push_str(&json[copied..one.start]);
        write(&mut out, index);
        copied = one.end;
    }
    out.push_str(&json[copied..]);
    Ok(Normal { json: Cow::Owned(out), order })
}

/// What Node writes in front of the number of an attachment; a closing bracket follows that.
const PREFIX: &str = r#"{"_placeholder":true,"num":"#;

/// Appends the placeholder of attachment `index`, as Node spells it.
pub(super) fn write(out: &mut String, index: usize) {
    out.push_str(PREFIX);
    out.push_str(&index.to_string());
    out.push('}');
}

/// Whether `text` is what [`write`] writes.
fn is_canonical(text: &str, index: usize) -> bool {
    let number = text.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix('}'));
    match number.map(str::as_bytes) {
        Some(&[digit]) => usize::from(digit) == usize::from(b'0') + index,
        _ => false,
    }
}

// Indices have one digit.
const _: () = assert!(ATTACHMENTS_MAX <= 10);

/// A placeholder in the text: from its opening bracket to behind its closing one.
struct Found {
    start: usize,
    end: usize,
    /// Where its `num` is, if that is a number.
    num: Option<(usize, usize)>,
}

impl Found {
    /// Which attachment it names: an integer by value, so `1.0` and `1e0` name 1.
    fn attachment(&self, json: &str, attachments: usize) -> Option<u8> {
        let (start, end) = self.num?;
        let num: f64 = json[start..end].parse().ok()?;
        (0u8..).take(attachments).find(|&index| f64::from(index) == num)
    }
}

/// A container that is open at some point of the scan.
struct Open {
    object: bool,
    start: usize,
    /// Placeholders found before it. If it is one itself, those within it are not looked at.
    found_before: usize,
    /// The key whose value comes next; `None` where a key comes next.
    key: Option<Key>,
    marked: bool,
    num: Option<(usize, usize)>,
}

#[derive(Clone, Copy)]
enum Key {
    Placeholder,
    Num,
    Other,
}

impl Key {
    /// `quoted` is the key with its quotes. Keys are compared after unescaping, as `JSON.parse` would.
    fn new(quoted: &str) -> Self {
        let inner = quoted.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or_default();
        match string::unescape(inner).as_ref() {
            "_placeholder" => Self::Placeholder,
            "num" => Self::Num,
            _ => Self::Other,
        }
    }
}

impl Open {
    /// Notes the value of the last key. Of a key that repeats, the last value counts.
    fn value(&mut self, json: &str, start: usize, end: usize) {
        match self.key.take() {
            Some(Key::Placeholder) => self.marked = &json[start..end] == "true",
            Some(Key::Num) => {
                let number = matches!(json.as_bytes()[start], b'-' | b'0'..=b'9');
                self.num = number.then_some((start, end));
            }
            Some(Key::Other) | None => {}
        }
    }
}

/// The placeholders of `json`, in the order of the text.
fn find(json: &str) -> Result<SmallVec<[Found; ATTACHMENTS_MAX]>, PlaceholderError> {
    let mut cursor = Cursor::new(json);
    let mut found = SmallVec::<[Found; ATTACHMENTS_MAX]>::new();
    let mut open = SmallVec::<[Open; 4]>::new();
    while !cursor.at_end() {
        let start = cursor.at();
        match cursor.peek() {
            byte @ (b'{' | b'[') => {
                cursor.eat(byte);
                if let Some(outer) = open.last_mut() {
                    outer.value(json, start, start + 1);
                }
                if open.len() >= JSON_DEPTH_MAX {
                    return Err(JsonError::TooDeep.into());
                }
                let (object, found_before) = (byte == b'{', found.len());
                open.push(Open { object, start, found_before, key: None, marked: false, num: None });
            }
            byte @ (b'}' | b']') => {
                cursor.eat(byte);
                if let Some(closed) = open.pop()
                    && closed.marked
                {
                    found.truncate(closed.found_before);
                    if found.len() == ATTACHMENTS_MAX {
                        return Err(PlaceholderError::TooMany);
                    }
                    found.push(Found { start: closed.start, end: cursor.at(), num: closed.num });
                }
            }
            byte @ (b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') => _ = cursor.eat(byte),
            _ => {
                cursor.value(0)?;
                match open.last_mut() {
                    Some(outer) if outer.object && outer.key.is_none() => {
                        outer.key = Some(Key::new(&json[start..cursor.at()]));
                    }
                    Some(outer) => outer.value(json, start, cursor.at()),
                    None => {}
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(json: &str, attachments: usize) -> Result<(String, Vec<u8>), PlaceholderError> {
        normalise(json, attachments).map(|normal| (normal.json.into_owned(), normal.order.to_vec()))
    }

    #[test]
    fn canonical_text_is_borrowed() {
        let json = r#""x",{"_placeholder":true,"num":0},[{"a":{"_placeholder":true,"num":1}}]"#;
        let normal = normalise(json, 2).unwrap();
        assert!(matches!(normal.json, Cow::Borrowed(_)));
        assert_eq!(normal.order.as_slice(), [0, 1]);
    }

    #[test]
    fn other_spellings_become_the_canonical_one() {
        let canonical = r#"{"_placeholder":true,"num":0}"#;
        for json in [
            r#"{"num":0,"_placeholder":true}"#,
            r#"{ "_placeholder" : true , "num" : 0 }"#,
            r#"{"_placeholder":true,"num":0,"x":[1,{"y":2}]}"#,
            r#"{"_placeholder":false,"num":9,"_placeholder":true,"num":0}"#,
            r#"{"\u005fplaceholder":true,"n\u0075m":0}"#,
            r#"{"_placeholder":true,"num":0.0}"#,
            r#"{"_placeholder":true,"num":-0}"#,
            r#"{"_placeholder":true,"num":0e5}"#,
            r#"{"_placeholder":true,"num":0,"inner":{"_placeholder":true,"num":99}}"#,
        ] {
            assert_eq!(normal(json, 1), Ok((canonical.to_owned(), vec![0])), "{json}");
        }
    }

    #[test]
    fn an_object_that_only_looks_like_a_placeholder_is_data() {
        for json in [
            r#"{"_placeholder":1,"num":0}"#,
            r#"{"_placeholder":"true","num":0}"#,
            r#"{"_placeholder":true,"_placeholder":[true],"num":0}"#,
            r#"{"_placeholder":true,"num":0,"_placeholder":null}"#,
            r#"{"_placeholders":true,"num":0}"#,
            r#"["_placeholder",true]"#,
            r#"{"a":"_placeholder","b":true}"#,
            r#"{"a":["_placeholder",true],"num":0}"#,
        ] {
            assert_eq!(normal(json, 1), Ok((json.to_owned(), vec![])), "{json}");
        }
    }

    #[test]
    fn a_num_that_names_no_attachment_is_illegal() {
        for num in ["1", "-1", "0.5", "1e9", "1e400", "\"0\"", "null", "[0]", "{}", "true"] {
            let json = format!(r#"{{"_placeholder":true,"num":{num}}}"#);
            assert_eq!(normal(&json, 1), Err(PlaceholderError::Illegal), "{num}");
        }
        assert_eq!(normal(r#"{"_placeholder":true}"#, 1), Err(PlaceholderError::Illegal));
    }

    #[test]
    fn attachments_are_listed_in_the_order_of_the_text() {
        let json =
            r#"{"_placeholder":true,"num":2},{"_placeholder":true,"num":0},{"_placeholder":true,"num":2}"#;
        let (text, order) = normal(json, 3).unwrap();
        assert_eq!(order, [2, 0, 2]);
        assert_eq!(
            text,
            r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}"#
        );
    }

    #[test]
    fn sharing_an_attachment_does_not_multiply_it_without_end() {
        let one = r#"{"_placeholder":true,"num":0}"#;
        assert!(normal(&[one; 10].join(","), 1).is_ok());
        assert_eq!(normal(&[one; 11].join(","), 1), Err(PlaceholderError::TooMany));
    }
}
