//! What the fields of a head say about the body, the connection and an upgrade, worked out in one pass.
//!
//! Here live the rules against request smuggling (RFC 9112 §6, §11.2): whoever disagrees with the proxy in
//! front about where a body ends hands one client's bytes to another.

use ::http::Version;

use super::body::BodyLength;
use super::fields::is_named;
use super::head::HeadError;

/// The answers [`super::head::Head`] carries.
#[derive(Debug)]
pub(super) struct Meaning {
    pub(super) body: BodyLength,
    pub(super) keep_alive: bool,
    pub(super) expect_continue: bool,
    pub(super) is_upgrade: bool,
}

impl Meaning {
    /// Reads the fields once.
    pub(super) fn of(fields: &[httparse::Header<'_>], version: Version) -> Result<Self, HeadError> {
        let mut seen = Seen::default();
        for field in fields {
            seen.read(field)?;
        }
        seen.conclude(version)
    }
}

/// What has been seen so far.
#[derive(Default)]
struct Seen {
    host: bool,
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: bool,
    expect_continue: bool,
    expect_other: bool,
}

impl Seen {
    fn read(&mut self, field: &httparse::Header<'_>) -> Result<(), HeadError> {
        let (name, value) = (field.name, field.value);
        // Most fields are told apart by their length alone.
        match name.len() {
            4 if is_named(name, "host") => self.read_host(value)?,
            6 if is_named(name, "expect") => self.read_expect(value),
            7 if is_named(name, "upgrade") => self.upgrade = true,
            10 if is_named(name, "connection") => self.read_connection(value),
            14 if is_named(name, "content-length") => self.read_length(value)?,
            17 if is_named(name, "transfer-encoding") => self.read_coding(value)?,
            _ => {}
        }
        Ok(())
    }

    /// RFC 9112 §3.2
    fn read_host(&mut self, value: &[u8]) -> Result<(), HeadError> {
        let repeated = std::mem::replace(&mut self.host, true);
        if repeated || !is_host(value) { Err(HeadError::Host) } else { Ok(()) }
    }

    /// RFC 9110 §8.6 lets us take identical repeats; they are how smuggling is tried, so we do not.
    fn read_length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        let length = decimal(value).ok_or(HeadError::ContentLength)?;
        let repeated = self.content_length.replace(length).is_some();
        if repeated { Err(HeadError::ContentLength) } else { Ok(()) }
    }

    /// RFC 9112 §6.1, and of what it allows only the one coding that everyone reads alike.
    fn read_coding(&mut self, value: &[u8]) -> Result<(), HeadError> {
        let repeated = std::mem::replace(&mut self.chunked, true);
        let known = value.eq_ignore_ascii_case(b"chunked");
        if repeated || !known { Err(HeadError::TransferEncoding) } else { Ok(()) }
    }

    /// RFC 9110 §10.1.1
    fn read_expect(&mut self, value: &[u8]) {
        let known = value.eq_ignore_ascii_case(b"100-continue");
        self.expect_continue |= known;
        self.expect_other |= !known;
    }

    /// RFC 9110 §7.6.1: a list of tokens.
    fn read_connection(&mut self, value: &[u8]) {
        for token in value.split(|&byte| byte == b',') {
            let token = token.trim_ascii();
            self.close |= token.eq_ignore_ascii_case(b"close");
            self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
            self.connection_upgrade |= token.eq_ignore_ascii_case(b"upgrade");
        }
    }

    fn conclude(self, version: Version) -> Result<Meaning, HeadError> {
        let modern = version == Version::HTTP_11;
        // RFC 9112 §3.2
        if modern && !self.host {
            return Err(HeadError::Host);
        }
        let body = match (self.chunked, self.content_length) {
            // RFC 9112 §6.1: HTTP/1.0 has no transfer codings, so whoever sent this may not have framed it.
            (true, None) if !modern => return Err(HeadError::TransferEncoding),
            (true, None) => BodyLength::Chunked,
            // RFC 9112 §6.3 rule 3
            (true, Some(_)) => return Err(HeadError::ContentLength),
            (false, None | Some(0)) => BodyLength::None,
            (false, Some(length)) => BodyLength::Length(length),
        };
        // RFC 9110 §10.1.1: an HTTP/1.0 client cannot expect anything.
        if modern && self.expect_other {
            return Err(HeadError::Expectation);
        }
        Ok(Meaning {
            body,
            keep_alive: !self.close && (modern || self.keep_alive),
            expect_continue: modern && self.expect_continue && body != BodyLength::None,
            is_upgrade: modern && self.upgrade && self.connection_upgrade,
        })
    }
}

/// A number of digits only, that fits.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether all bytes may be in a host and port (RFC 3986 §3.2.2). An empty host is allowed.
fn is_host(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+,;=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_digits_that_fit() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"0042"), Some(42));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in
            ["", "+1", "-1", "1 ", "1,1", "0x10", "1_0", "18446744073709551616", "99999999999999999999999"]
        {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn a_host_has_no_spaces_paths_or_users_in_it() {
        for good in ["", "a", "a.example:3000", "[::1]:80", "127.0.0.1", "a_b.c"] {
            assert!(is_host(good.as_bytes()), "{good:?}");
        }
        for bad in ["a b", "a/b", "u@a", "a?b", "a#b", "a\\b", "\u{e9}"] {
            assert!(!is_host(bad.as_bytes()), "{bad:?}");
        }
    }
}
