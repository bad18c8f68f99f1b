//! The header fields of one request, borrowed from its buffer.
//!
//! Looking up a field walks the list: a request has about ten, and that is cheaper than building a map.
//! The copies at the end are for handshakes, where the fields outlive the buffer.

use std::borrow::Cow;
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
    pub(super) fn new(fields: &'s [httparse::Header<'b>]) -> Self {
        Self(fields)
    }

    /// The first field called `name`, in any case.
    pub fn get(&self, name: &str) -> Option<&'b [u8]> {
        self.0.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// Every field called `name`, in any case, in the order they were sent.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'b, 's, 'n> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
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

    /// A copy in the form Node gives applications: names in lower case, each once; repeated values joined
    /// with `, ` (`cookie` with `; `), or only the first kept where a list makes no sense; bytes above 0x7f
    /// read as Latin-1.
    pub fn to_joined(&self) -> Vec<(String, String)> {
        let mut joined: Vec<(String, String)> = Vec::with_capacity(self.0.len());
        for (name, value) in self.iter() {
            match joined.iter_mut().find(|(seen, _)| seen.eq_ignore_ascii_case(name)) {
                None => joined.push((name.to_ascii_lowercase(), latin1(value).into_owned())),
                Some((seen, _)) if FIRST_ONLY.contains(&seen.as_str()) => {}
                Some((seen, all)) => {
                    all.push_str(if seen == "cookie" { "; " } else { ", " });
                    all.push_str(&latin1(value));
                }
            }
        }
        joined
    }
}

/// Most values are ASCII, and one copy then: character by character they were a quarter of a handshake.
fn latin1(value: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(value) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(value.iter().copied().map(char::from).collect()),
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
        let joined = Fields::new(&FIELDS).to_joined();
        let expected =
            [("host", "a"), ("cookie", "x=1; y=2"), ("x-multi", "one, café"), ("user-agent", "first")];
        let seen: Vec<_> = joined.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_header_map_keeps_repeated_fields_apart() {
        let map = Fields::new(&FIELDS).to_header_map();
        assert_eq!(map.len(), 7);
        assert_eq!(map.get_all("cookie").iter().count(), 2);
        assert_eq!(map["x-multi"], "one");
    }
}
