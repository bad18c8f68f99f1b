//! The header fields of one request, borrowed from its buffer.
//!
//! Looking up a field walks the list: a request has about ten, and that is cheaper than building a map.
//! The copies at the end are for handshakes, where the fields outlive the buffer.

use std::fmt;
use std::mem::MaybeUninit;

use ::http::{HeaderMap, HeaderName, HeaderValue};

use crate::limits::HEADER_FIELDS_MAX;

/// Room for the fields of one head. Costs nothing to make: it is not initialised before it is needed.
///
/// Holds borrows of the buffer, so make a new one for each call of `decode`, on the stack.
pub struct FieldStorage<'b>(pub(super) [MaybeUninit<httparse::Header<'b>>; HEADER_FIELDS_MAX]);

impl FieldStorage<'_> {
    /// Room for [`HEADER_FIELDS_MAX`] fields.
    pub const fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; HEADER_FIELDS_MAX])
    }
}

impl Default for FieldStorage<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FieldStorage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldStorage")
    }
}

/// Header fields in the order they were sent. Names are tokens; values have no CR, LF, NUL or other control
/// bytes but tab, and no white space around them. They may hold bytes above 0x7f.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'b, 's>(&'s [httparse::Header<'b>]);

impl<'b, 's> Fields<'b, 's> {
    pub(crate) fn new(fields: &'s [httparse::Header<'b>]) -> Self {
        Self(fields)
    }

    /// The first field called `name`, in any case.
    pub fn get(&self, name: &str) -> Option<&'b [u8]> {
        self.0.iter().find(|field| is_named(field.name, name)).map(|field| field.value)
    }

    /// Every field called `name`, in any case, in the order they were sent.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'b, 's, 'n> {
        self.0.iter().filter(move |field| is_named(field.name, name)).map(|field| field.value)
    }

    /// Names, as written, and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'b str, &'b [u8])> + use<'b, 's> {
        self.0.iter().map(|field| (field.name, field.value))
    }

    /// Number of fields, 0..=[`HEADER_FIELDS_MAX`].
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A copy that outlives the buffer, repeated fields kept apart.
    pub fn to_header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.0.len());
        for field in self.0 {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            // Both grammars are those of the decoder; a field the map would not take is not worth a panic.
            if let (Ok(name), Ok(value)) = (name, value) {
                map.append(name, value);
            }
        }
        map
    }

    /// Appends a copy in the form Node gives applications, for each field a line feed and `name: value`: names in
    /// lower case, each once; repeated values joined with `, ` (`cookie` with `; `), or only the first kept where
    /// a list makes no sense; bytes above 0x7f read as Latin-1. What is appended is UTF-8.
    pub fn append_joined(&self, text: &mut Vec<u8>) {
        for (at, field) in self.0.iter().enumerate() {
            let has_same_name = |other: &&httparse::Header<'_>| other.name.eq_ignore_ascii_case(field.name);
            if self.0[..at].iter().any(|earlier| has_same_name(&earlier)) {
                continue;
            }
            text.push(b'\n');
            let name = text.len();
            text.extend_from_slice(field.name.as_bytes());
            text[name..].make_ascii_lowercase();
            text.extend_from_slice(b": ");
            append_latin1(text, field.value);
            for later in self.0[at + 1..].iter().filter(has_same_name) {
                if FIRST_ONLY.iter().any(|only| only.eq_ignore_ascii_case(field.name)) {
                    break;
                }
                let is_cookie = field.name.eq_ignore_ascii_case("cookie");
                text.extend_from_slice(if is_cookie { b"; " } else { b", " });
                append_latin1(text, later.value);
            }
        }
    }

    /// Bytes of names and values; what [`Self::append_joined`] appends is little more, if nothing is repeated and
    /// everything is ASCII.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|field| field.name.len() + field.value.len()).sum()
    }
}

/// Whether a field has this name, in any case.
///
/// Most letters of most fields are written as we write them, and to find that out is half of what it costs to take
/// the case off both. Of long names the standard library compares sixteen letters at a time.
pub(super) fn is_named(field: &str, name: &str) -> bool {
    if name.len() >= 16 {
        return field.eq_ignore_ascii_case(name);
    }
    field.len() == name.len()
        && field.bytes().zip(name.bytes()).all(|(a, b)| a == b || a.eq_ignore_ascii_case(&b))
}

/// Most values are ASCII, and one copy then: character by character they were a quarter of a handshake.
fn append_latin1(text: &mut Vec<u8>, value: &[u8]) {
    if value.is_ascii() {
        text.extend_from_slice(value);
    } else {
        let characters: String = value.iter().copied().map(char::from).collect();
        text.extend_from_slice(characters.as_bytes());
    }
}

/// Fields of which Node keeps the first (nodejs.org, `message.headers`).
const FIRST_ONLY: [&str; 18] = [
    "age",
    "authorization",
    "content-length",
    "content-type",
    "etag",
    "expires",
    "from",
    "host",
    "if-modified-since",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "proxy-authorization",
    "referer",
    "retry-after",
    "server",
    "user-agent",
];

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [httparse::Header<'static>; 7] = [
        httparse::Header { name: "Host", value: b"a" },
        httparse::Header { name: "COOKIE", value: b"x=1" },
        httparse::Header { name: "X-Multi", value: b"one" },
        httparse::Header { name: "x-multi", value: b"caf\xe9" },
        httparse::Header { name: "cookie", value: b"y=2" },
        httparse::Header { name: "User-Agent", value: b"first" },
        httparse::Header { name: "user-agent", value: b"second" },
    ];

    #[test]
    fn fields_are_found_in_any_case_and_the_first_one_is_given() {
        let fields = Fields::new(&FIELDS);
        assert_eq!(fields.get("cookie"), Some(&b"x=1"[..]));
        assert_eq!(fields.get("X-MULTI"), Some(&b"one"[..]));
        assert_eq!(fields.get("x-mult"), None);
        assert_eq!(fields.all("x-multi").collect::<Vec<_>>(), [&b"one"[..], b"caf\xe9"]);
        assert_eq!(fields.len(), 7);
        assert!(!fields.is_empty());
    }

    #[test]
    fn a_handshake_sees_fields_joined_as_node_joins_them() {
        let mut text = b"/".to_vec();
        Fields::new(&FIELDS).append_joined(&mut text);
        let expected = "/\nhost: a\ncookie: x=1; y=2\nx-multi: one, café\nuser-agent: first";
        assert_eq!(str::from_utf8(&text), Ok(expected));
    }

    #[test]
    fn a_header_map_keeps_repeated_fields_apart() {
        let map = Fields::new(&FIELDS).to_header_map();
        assert_eq!(map.len(), 7);
        assert_eq!(map.get_all("cookie").iter().count(), 2);
        assert_eq!(map["x-multi"], "one");
    }
}
