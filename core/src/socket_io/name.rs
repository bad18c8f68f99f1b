//! Event names: what the first element of an EVENT may be (protocol.md 4.2 rule 6, 4.7).

use std::borrow::Cow;

use super::string;

/// Names that neither side may emit: the libraries use them for themselves (protocol.md 4.7).
pub const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Whether `name` is one of [`RESERVED`].
pub fn is_reserved(name: &str) -> bool {
    // Cheaper than six comparisons for most names of an application.
    name.starts_with(['c', 'd', 'n', 'r']) && RESERVED.contains(&name)
}

/// The name of an event, as its JSON text: a string that is not reserved, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventName<'a> {
    json: &'a str,
}

impl<'a> EventName<'a> {
    /// Takes `json`, the valid JSON of one value without white space around it, if it can name an event.
    pub fn new(json: &'a str) -> Option<Self> {
        let name = Self { json };
        let allowed = match json.as_bytes() {
            // How a reserved name may begin, an escape included; all others need no closer look.
            [b'"', b'c' | b'd' | b'n' | b'r' | b'\\', ..] => {
                name.text().is_some_and(|text| !is_reserved(&text))
            }
            [b'"' | b'-' | b'0'..=b'9', ..] => true,
            _ => false,
        };
        allowed.then_some(name)
    }

    /// The name as the peer wrote it, quotes and escapes included: what to put in a packet.
    pub fn json(self) -> &'a str {
        self.json
    }

    /// The name as text, to look a handler up by, or `None` if it is a number. Borrows if it has no escapes.
    pub fn text(self) -> Option<Cow<'a, str>> {
        Some(string::unescape(self.json.strip_prefix('"')?.strip_suffix('"')?))
    }
}

/// The name of an event on its way out, as its JSON text.
///
/// From text, which is quoted, or from an [`EventName`], which is taken as it is, without an allocation. Nothing
/// checks that text is not reserved: what one emits is one's own affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutName<'a> {
    json: Cow<'a, str>,
}

impl OutName<'_> {
    /// What to put in a packet.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The same, to be kept.
    pub fn into_json(self) -> Box<str> {
        self.json.into()
    }
}

impl From<&str> for OutName<'_> {
    fn from(text: &str) -> Self {
        Self { json: Cow::Owned(string::quote(text)) }
    }
}

impl From<&String> for OutName<'_> {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl<'a> From<EventName<'a>> for OutName<'a> {
    fn from(name: EventName<'a>) -> Self {
        Self { json: Cow::Borrowed(name.json) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_are_refused_however_they_are_spelled() {
        for reserved in RESERVED {
            assert_eq!(EventName::new(&string::quote(reserved)), None, "{reserved}");
        }
        assert_eq!(EventName::new(r#""\u0063onnect""#), None);
        assert!(EventName::new(r#""connection""#).is_some());
    }

    #[test]
    fn a_name_keeps_its_json_and_gives_its_text() {
        let name = EventName::new(r#""caf\u00e9""#).unwrap();
        assert_eq!(name.json(), r#""caf\u00e9""#);
        assert_eq!(name.text().unwrap(), "café");
        assert!(matches!(EventName::new(r#""echo""#).unwrap().text(), Some(Cow::Borrowed("echo"))));
        assert_eq!(EventName::new("-1.5e3").unwrap().text(), None);
    }
    #[test]
    fn a_name_goes_out_as_it_came_in_and_text_is_quoted() {
        let escaped = EventName::new(r#""caf\u00e9""#).unwrap();
        let name = OutName::from(escaped);
        assert!(matches!(name.json, Cow::Borrowed(r#""caf\u00e9""#)));
        assert_eq!(OutName::from(EventName::new("7").unwrap()).json(), "7");
        assert_eq!(OutName::from("say \"hi\"").into_json().as_ref(), r#""say \"hi\"""#);
    }
}
