//! Event names, on their way out.

use crate::error::SendError;
use tidegate_core::socket_io::{is_reserved, quote};

/// Names up to this long need no memory of their own.
const SHORT_BYTES: usize = 62;

/// Lends the JSON of an event name to `use_it`.
pub(crate) fn quoted<R>(name: &str, use_it: impl FnOnce(&str) -> R) -> Result<R, SendError> {
    if is_reserved(name) {
        return Err(SendError::Reserved(name.to_owned()));
    }
    let is_plain = |byte| byte >= b' ' && byte != b'"' && byte != b'\\';
    if name.len() > SHORT_BYTES || !name.bytes().all(is_plain) {
        return Ok(use_it(&quote(name)));
    }
    let mut json = [b'"'; SHORT_BYTES + 2];
    json[1..=name.len()].copy_from_slice(name.as_bytes());
    let json = &json[..name.len() + 2];
    Ok(use_it(str::from_utf8(json).expect("text between quotes is text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_as_json_whatever_is_in_it() {
        let long = "x".repeat(SHORT_BYTES + 1);
        for name in ["", "echo", "é\u{1f600}", "a\"b\\c\n", &long[1..], &long] {
            let json = quoted(name, str::to_owned).unwrap();
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), name);
        }
    }

    #[test]
    fn names_that_socket_io_keeps_for_itself_are_refused() {
        assert!(
            matches!(quoted("disconnect", |_| ()), Err(SendError::Reserved(name)) if name == "disconnect")
        );
    }
}
