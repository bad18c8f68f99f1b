//! The parts of a request target. The query is decoded as the WHATWG `URLSearchParams` does (protocol.md 1.1).
//!
//! `+` is a space, `%XX` a byte, a `%` without two hex digits itself; what is then not UTF-8 becomes U+FFFD.
//! Nothing fails. A name or value without escapes is borrowed.

use std::borrow::Cow;

/// Splits a target into path and query, both as sent. Without a `?` the query is empty; a fragment, which
/// no client should send, belongs to neither.
pub fn split_target(target: &str) -> (&str, &str) {
    let target = if holds(target, b'#') { target.split('#').next().unwrap_or_default() } else { target };
    match target.bytes().position(|byte| byte == b'?') {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, ""),
    }
}

/// Looks at all places at once, for what is hardly ever there.
fn holds(text: &str, wanted: u8) -> bool {
    text.bytes().fold(0, |any, byte| any | u8::from(byte == wanted)) != 0
}

/// The pairs of a query (without the `?`), in order.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    rest: &'a str,
}

impl<'a> Query<'a> {
    /// Reads a query; the same text can also be a form body.
    pub const fn new(query: &'a str) -> Self {
        Self { rest: query }
    }

    /// The value of the last pair with this name: the one that counts (protocol.md 1.1).
    pub fn last_value(self, name: &str) -> Option<Cow<'a, str>> {
        self.filter(|(key, _)| key == name).last().map(|(_, value)| value)
    }
}

impl<'a> Iterator for Query<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    /// One pass over a pair: they are short, and a search for each of its signs costs more than the pair.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let (mut end, mut equals, mut is_escaped) = (self.rest.len(), None, false);
            for (at, byte) in self.rest.bytes().enumerate() {
                match byte {
                    b'&' => {
                        end = at;
                        break;
                    }
                    b'=' if equals.is_none() => equals = Some(at),
                    b'+' | b'%' => is_escaped = true,
                    _ => {}
                }
            }
            let pair = &self.rest[..end];
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !pair.is_empty() {
                let (name, value) = equals.map_or((pair, ""), |at| (&pair[..at], &pair[at + 1..]));
                return Some(if is_escaped {
                    (unescape(name), unescape(value))
                } else {
                    (Cow::Borrowed(name), Cow::Borrowed(value))
                });
            }
        }
    }
}

/// A path (without its query) as text: `%XX` is a byte. `None` if that is not UTF-8, or if an escape stands for a slash,
/// which divides a path only where it is written as one.
pub fn unescape_path(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let decoded = String::from_utf8(unescaped(path, b'+')).ok()?;
    let slashes = |text: &str| text.bytes().filter(|&byte| byte == b'/').count();
    (slashes(&decoded) == slashes(path)).then_some(Cow::Owned(decoded))
}

fn unescape(text: &str) -> Cow<'_, str> {
    Cow::Owned(match String::from_utf8(unescaped(text, b' ')) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// The bytes that a text with escapes stands for, with `plus` in the place of `+`.
fn unescaped(text: &str, plus: u8) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'+', _) => (plus, tail),
            (b'%', [high, low, after @ ..]) => match hex_byte(*high, *low) {
                Some(byte) => (byte, after),
                None => (first, tail),
            },
            _ => (first, tail),
        };
        decoded.push(byte);
        rest = tail;
    }
    decoded
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &str) -> Vec<(String, String)> {
        Query::new(query).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    #[test]
    fn queries_decode_as_in_a_browser() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("&&", &[]),
            ("EIO=4&transport=polling", &[("EIO", "4"), ("transport", "polling")]),
            ("a", &[("a", "")]),
            ("=", &[("", "")]),
            ("=b", &[("", "b")]),
            ("a=&b", &[("a", ""), ("b", "")]),
            ("a=b=c", &[("a", "b=c")]),
            ("&a=1&", &[("a", "1")]),
            ("a+b=c+d%2B", &[("a b", "c d+")]),
            ("%61%3d=%26", &[("a=", "&")]),
            ("a=%", &[("a", "%")]),
            ("a=%4", &[("a", "%4")]),
            ("a=%zz%4g%+1", &[("a", "%zz%4g% 1")]),
            ("a=%%41", &[("a", "%A")]),
            ("a=caf%C3%A9", &[("a", "café")]),
            ("a=%FF%FE", &[("a", "\u{fffd}\u{fffd}")]),
            ("a=%E2%82x", &[("a", "\u{fffd}x")]),
            ("a=é%C3", &[("a", "é\u{fffd}")]),
            ("a=%00", &[("a", "\0")]),
            ("?a=1", &[("?a", "1")]),
        ];
        for (query, expected) in table {
            let expected: Vec<_> = expected.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            assert_eq!(pairs(query), expected, "{query:?}");
        }
    }

    #[test]
    fn nothing_is_copied_when_nothing_is_escaped() {
        for (name, value) in Query::new("EIO=4&transport=polling&t=abc.0&sid=-_aZ09") {
            assert!(matches!((name, value), (Cow::Borrowed(_), Cow::Borrowed(_))));
        }
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        let query = Query::new("EIO=3&EIO=4&sid=&a=1&%45IO=5");
        assert_eq!(query.clone().last_value("EIO").as_deref(), Some("5"));
        assert_eq!(query.clone().last_value("sid").as_deref(), Some(""));
        assert_eq!(query.last_value("b64"), None);
    }

    #[test]
    fn a_path_is_text_unless_an_escape_hides_a_slash_or_it_is_not_utf_8() {
        for (path, text) in [
            ("/a+b", Some("/a+b")),
            ("/drei%20B%C3%A4ren", Some("/drei Bären")),
            ("/100%25%", Some("/100%%")),
            ("/%2e%2e/x", Some("/../x")),
            ("/a%2Fb", None),
            ("%2f", None),
            ("/%FF", None),
        ] {
            assert_eq!(unescape_path(path).as_deref(), text, "{path}");
        }
    }

    #[test]
    fn a_target_splits_at_the_first_question_mark() {
        assert_eq!(split_target("/socket.io/?EIO=4?x"), ("/socket.io/", "EIO=4?x"));
        assert_eq!(split_target("/socket.io/"), ("/socket.io/", ""));
        assert_eq!(split_target("/a?b#c?d"), ("/a", "b"));
        assert_eq!(split_target("/a#b?c"), ("/a", ""));
        assert_eq!(split_target("*"), ("*", ""));
    }
}
