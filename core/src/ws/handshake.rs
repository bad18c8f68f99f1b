//! Whether an upgrade request is a WebSocket handshake (RFC 6455 §4.2, protocol.md 1.2 and 1.9).
//!
//! No extension is negotiated: offers of `permessage-deflate` go unanswered.

use tungstenite::handshake::derive_accept_key;

/// What the 101 response says beyond `Upgrade: websocket` and `Connection: Upgrade`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept_key: String,
    /// The value of `Sec-WebSocket-Protocol`, if any was offered: the first offer.
    pub subprotocol: Option<&'a str>,
}

/// Why a request is no WebSocket handshake. All are the client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A handshake is a GET.
    Method,
    /// `Upgrade` is missing or names something else.
    Upgrade,
    /// `Sec-WebSocket-Key` is missing or not 16 bytes of base64.
    Key,
    /// `Sec-WebSocket-Version` is missing or neither 13 nor 8.
    Version,
    /// `Sec-WebSocket-Protocol` is not a list of different tokens.
    Protocol,
}

impl Refusal {
    /// The HTTP status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Upgrade | Self::Key | Self::Version | Self::Protocol => 400,
        }
    }

    /// The body of the answer, `text/html`.
    pub fn message(self) -> &'static str {
        match self {
            Self::Method => "Invalid HTTP method",
            Self::Upgrade => "Invalid Upgrade header",
            Self::Key => "Missing or invalid Sec-WebSocket-Key header",
            Self::Version => "Missing or invalid Sec-WebSocket-Version header",
            Self::Protocol => "Invalid Sec-WebSocket-Protocol header",
        }
    }

    /// A header field that the answer has besides the usual ones (RFC 6455 §4.4).
    pub fn field(self) -> Option<(&'static str, &'static str)> {
        (self == Self::Version).then_some(("Sec-WebSocket-Version", "13, 8"))
    }
}

/// Checks the handshake fields of an upgrade request, in the order Node's `ws` does.
///
/// `field` looks a header field up by its lower-case name; fields given more than once are joined by `, `.
pub fn accept<'a>(is_get: bool, field: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Accepted<'a>, Refusal> {
    if !is_get {
        return Err(Refusal::Method);
    }
    if !field("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
        return Err(Refusal::Upgrade);
    }
    let key = field("sec-websocket-key").filter(|key| is_key(key)).ok_or(Refusal::Key)?;
    // Version 8 is the draft whose wire format became 13.
    if !matches!(field("sec-websocket-version"), Some(b"13" | b"8")) {
        return Err(Refusal::Version);
    }
    let subprotocol = match field("sec-websocket-protocol") {
        Some(offers) => Some(first_offer(offers).ok_or(Refusal::Protocol)?),
        None => None,
    };
    Ok(Accepted { accept_key: derive_accept_key(key), subprotocol })
}

/// 22 characters of base64 and its padding, as in Node's `ws`; what the last character's spare bits say does
/// not matter.
fn is_key(key: &[u8]) -> bool {
    key.strip_suffix(b"==").is_some_and(|characters| {
        characters.len() == 22
            && characters.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    })
}

/// The first of the offers, if they are different tokens (RFC 6455 §4.1, item 10).
fn first_offer(offers: &[u8]) -> Option<&str> {
    let offers = str::from_utf8(offers).ok()?;
    let mut seen = std::collections::HashSet::new();
    let well_formed = tokens(offers).all(|offer| is_token(offer) && seen.insert(offer));
    tokens(offers).next().filter(|_| well_formed)
}

fn tokens(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(|item| item.trim_matches([' ', '\t']))
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &[u8]); 3] = [
        ("upgrade", b"websocket"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", b"13"),
    ];

    /// The answer to a good request in which `changes` replace (or, if empty, remove) fields.
    fn accept_with(changes: &[(&str, &'static [u8])]) -> Result<Accepted<'static>, Refusal> {
        accept(true, |name| {
            let changed = changes.iter().find(|(changed, _)| *changed == name);
            let (_, value) = changed.or_else(|| GOOD.iter().find(|(good, _)| *good == name))?;
            (!value.is_empty()).then_some(*value)
        })
    }

    #[test]
    fn the_example_of_the_standard_is_accepted() {
        // protocol.md H18.
        let accepted = accept_with(&[]).unwrap();
        assert_eq!(accepted.accept_key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accepted.subprotocol, None);
    }

    #[test]
    fn the_first_subprotocol_offered_is_chosen() {
        // protocol.md H19.
        let accepted = accept_with(&[
            ("sec-websocket-protocol", b"foo, bar"),
            ("sec-websocket-extensions", b"permessage-deflate"),
        ]);
        assert_eq!(accepted.unwrap().subprotocol, Some("foo"));
    }

    #[test]
    fn spelling_that_does_not_matter_does_not_matter() {
        assert!(accept_with(&[("upgrade", b"WebSocket"), ("sec-websocket-version", b"8")]).is_ok());
    }

    #[test]
    fn each_bad_field_has_its_own_refusal() {
        let table: [(&str, &[&'static [u8]], Refusal); 4] = [
            ("upgrade", &[b"", b"h2c", b"websocket, h2c"], Refusal::Upgrade),
            (
                "sec-websocket-key",
                &[
                    b"",
                    b"abc",
                    b"dGhlIHNhbXBsZSBub25jZQ=",
                    b"dGhlIHNhbXBsZSBub25jZ-==",
                    b"dGhlIHNhbXBsZSBub25jZQ====",
                ],
                Refusal::Key,
            ),
            ("sec-websocket-version", &[b"", b"7", b"14", b"13, 8"], Refusal::Version),
            ("sec-websocket-protocol", &[b",", b"a,,b", b"a b", b"a, a", b"\xff", b"a,"], Refusal::Protocol),
        ];
        for (name, values, refusal) in table {
            for value in values {
                assert_eq!(accept_with(&[(name, value)]), Err(refusal), "{name}: {value:?}");
            }
        }
        assert_eq!(accept(false, |_| None), Err(Refusal::Method));
    }

    #[test]
    fn the_first_failure_is_the_one_reported() {
        assert_eq!(accept(true, |_| None), Err(Refusal::Upgrade));
        assert_eq!(
            accept_with(&[("sec-websocket-key", b""), ("sec-websocket-version", b"")]),
            Err(Refusal::Key)
        );
    }

    #[test]
    fn only_a_bad_version_is_told_the_good_ones() {
        assert_eq!(Refusal::Version.field(), Some(("Sec-WebSocket-Version", "13, 8")));
        assert_eq!(Refusal::Key.field(), None);
    }
}
