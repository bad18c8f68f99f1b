//! How each kind of value is written. All of these are plain functions from a word to a value; the complaint says
//! what would have been right.

use super::nearest::nearest;
use super::{AppKind, LogFormat};
use crate::links::PATH_BYTES_MAX;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::str::FromStr;
use tracing_subscriber::filter::Targets;

/// Names of the log levels, least talkative first.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// `None` for the word that switches an option off, else what `read` makes of it.
pub(super) fn unless<T>(
    off: &str,
    word: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if word == off { Ok(None) } else { read(word).map(Some) }
}

/// `true` or `false`.
pub(super) fn flag(word: &str) -> Result<bool, String> {
    word.parse().map_err(|_| "this is true or false".to_owned())
}

/// A number, zero included.
pub(super) fn number<T: FromStr>(word: &str) -> Result<T, String> {
    // `parse` would take a plus sign as well.
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = digits.then(|| word.parse().ok()).flatten();
    parsed.ok_or_else(|| "this is a number, and not that large".to_owned())
}

/// A number of at least one.
pub(super) fn positive<T: FromStr + Default + PartialEq>(word: &str) -> Result<T, String> {
    match number(word)? {
        zero if zero == T::default() => Err("this must be at least 1".to_owned()),
        number => Ok(number),
    }
}

/// `127.0.0.1:3000`, `[::1]:3000`, `localhost:3000`; `:3000` for every IPv4 address of the machine. A port alone
/// is at the address `alone`: everywhere for what is public, only here for what is private.
pub(super) fn address(word: &str, alone: Ipv4Addr) -> Result<SocketAddr, String> {
    let with = |ip: Ipv4Addr, port: &str| Some(SocketAddr::new(IpAddr::V4(ip), number(port).ok()?));
    let address = match word.rsplit_once(':') {
        None => with(alone, word),
        Some(("", port)) => with(Ipv4Addr::UNSPECIFIED, port),
        Some(("localhost", port)) => with(Ipv4Addr::LOCALHOST, port),
        Some(_) => word.parse().ok(),
    };
    address.ok_or_else(|| {
        "an address is written like 127.0.0.1:3000, [::1]:3000, :3000 or 3000, the port at most 65535"
            .to_owned()
    })
}

/// Which cores were asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cores {
    /// All that this process may use.
    All,
    /// The first so many of them; at least one.
    Count(usize),
    /// Exactly these CPUs, in ascending order.
    These(Vec<usize>),
}

/// `all`, `2`, `0,2`, `0-3,6`; or the numbers of CPUs, if the file had an array of them.
pub(super) fn cores(words: &[String], array: bool) -> Result<Cores, String> {
    let form = || "cores are all, a number of them (2), or CPUs (0,2 or 0-3)".to_owned();
    if let ([word], false) = (words, array) {
        if word == "all" {
            return Ok(Cores::All);
        }
        if !word.contains([',', '-']) {
            let count: usize = positive(word).map_err(|_| form())?;
            return Ok(Cores::Count(count));
        }
    }
    let mut cpus = Vec::new();
    for range in words.iter().flat_map(|word| word.split(',')) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        // Linux knows fewer CPUs than a u16 can count, which bounds the list.
        let (first, last): (u16, u16) =
            number(first.trim()).and_then(|first| Ok((first, number(last.trim())?))).map_err(|_| form())?;
        cpus.extend((first..=last).map(usize::from));
    }
    cpus.sort_unstable();
    let listed = cpus.len();
    cpus.dedup();
    match cpus.len() {
        0 => Err(form()),
        count if count < listed => Err("a CPU is listed twice".to_owned()),
        _ => Ok(Cores::These(cpus)),
    }
}

/// The name of an embedded application, or `none`.
pub(super) fn app(word: &str) -> Result<Option<AppKind>, String> {
    let choices = [
        ("none", None),
        ("chat", Some(AppKind::Chat)),
        ("bench", Some(AppKind::Bench)),
        ("conformance", Some(AppKind::Conformance)),
    ];
    one_of(word, &choices)
}

/// A path that a Unix socket can have.
pub(super) fn socket_path(word: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(word);
    match path.as_os_str().as_bytes() {
        [] => Err("the path of a Unix socket".to_owned()),
        bytes if bytes.contains(&0) => Err("a path has no NUL in it".to_owned()),
        bytes if bytes.len() > PATH_BYTES_MAX => {
            Err(format!("the path of a Unix socket has at most {PATH_BYTES_MAX} bytes"))
        }
        _ => Ok(path),
    }
}

/// Permissions of a file in octal: `0660` or `660`.
pub(super) fn mode(word: &str) -> Result<u32, String> {
    let octal = (3..=4).contains(&word.len()) && word.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = octal.then(|| u32::from_str_radix(word, 8).ok()).flatten();
    mode.filter(|mode| *mode <= 0o777).ok_or_else(|| "permissions are written in octal: 0660".to_owned())
}

/// `*`, or the name of a namespace.
pub(super) fn namespace(word: &str) -> Result<String, String> {
    if word == "*" || word.starts_with('/') {
        Ok(word.to_owned())
    } else {
        Err("a namespace starts with /; * stands for all of them".to_owned())
    }
}

/// A directory, relative to where the process was started. Whether it exists is seen when it is read.
pub(super) fn directory(word: &str) -> Result<PathBuf, String> {
    if word.is_empty() { Err("the name of a directory, or off".to_owned()) } else { Ok(word.into()) }
}

/// A path that starts with `/`, as it stands in a request. The result ends with `/`.
pub(super) fn path(word: &str) -> Result<String, String> {
    if !word.starts_with('/') {
        return Err("a path starts with /".to_owned());
    }
    if let Some(bad) = word.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#')) {
        return Err(format!("a path has no {bad:?} in it"));
    }
    Ok(if word.ends_with('/') { word.to_owned() } else { format!("{word}/") })
}

/// The name of a transport.
pub(super) fn transport(word: &str) -> Result<&'static str, String> {
    one_of(word, &[("polling", "polling"), ("websocket", "websocket")])
}

/// `*`, or an origin as a browser sends it: scheme, host and port, and nothing after that.
pub(super) fn origin(word: &str) -> Result<String, String> {
    let host = word.split_once("://").map(|(scheme, host)| (scheme.is_empty(), host));
    match host {
        _ if !word.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err("an origin is ASCII, without spaces".to_owned())
        }
        None if word == "*" || word == "null" => Ok(word.to_owned()),
        Some((false, host)) if !host.is_empty() && !host.contains(['/', '?', '#', '*', '@']) => {
            Ok(word.to_owned())
        }
        _ => {
            Err("an origin is *, or like https://example.com or http://localhost:8080, with no path"
                .to_owned())
        }
    }
}

/// Any text; the empty one stands for none.
#[expect(clippy::unnecessary_wraps, reason = "parsers may fail")]
pub(super) fn optional_text(word: &str) -> Result<Option<String>, String> {
    Ok((!word.is_empty()).then(|| word.to_owned()))
}

/// `false`, `true` for Socket.IO's own name, or a name (a token of RFC 6265).
pub(super) fn cookie(word: &str) -> Result<Option<String>, String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match word {
        "false" => Ok(None),
        "true" => Ok(Some("io".to_owned())),
        name if !name.is_empty() && name.bytes().all(token) => Ok(Some(name.to_owned())),
        _ => Err("this is false, true or the name of a cookie".to_owned()),
    }
}

/// A level, or a level and exceptions: `info,tidegate::admin=debug`.
pub(super) fn log_level(word: &str) -> Result<String, String> {
    // To the parser below, a misspelt level is the name of a module, and would log everything.
    let levels = LEVELS.map(|level| (level, ()));
    for bare in word.split(',').filter(|part| !part.contains('=')) {
        one_of(bare, &levels)?;
    }
    word.parse::<Targets>().map(|_| word.to_owned()).map_err(|error| error.to_string())
}

/// How log lines look.
pub(super) fn log_format(word: &str) -> Result<LogFormat, String> {
    one_of(word, &[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)])
}

/// The value that goes with a name; in the complaint, the nearest name.
fn one_of<T: Copy>(word: &str, choices: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
        return Ok(*value);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
    let like = nearest(word, choices.iter().map(|(name, _)| (name, name)));
    Err(format!("this is one of {}; the nearest is {like}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_leave_out_the_host() {
        for (word, address) in [
            ("127.0.0.1:3000", "127.0.0.1:3000"),
            ("localhost:80", "127.0.0.1:80"),
            ("[::1]:3000", "[::1]:3000"),
            ("[::]:0", "[::]:0"),
            (":3000", "0.0.0.0:3000"),
            ("3000", "127.0.0.1:3000"),
        ] {
            assert_eq!(super::address(word, Ipv4Addr::LOCALHOST).unwrap().to_string(), address, "{word}");
        }
        for word in
            ["", ":", "::1", "127.0.0.1", "127.0.0.1:", "host:3000", "65536", ":+80", "::1:3000", "-1"]
        {
            assert!(super::address(word, Ipv4Addr::LOCALHOST).is_err(), "{word}");
        }
    }

    #[test]
    fn cores_are_a_number_or_a_list() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        for (word, array, expected) in [
            (&["all"][..], false, Cores::All),
            (&["2"], false, Cores::Count(2)),
            (&["0,2"], false, Cores::These(vec![0, 2])),
            (&["6,0-3"], false, Cores::These(vec![0, 1, 2, 3, 6])),
            (&["3-3"], false, Cores::These(vec![3])),
            (&["3"], true, Cores::These(vec![3])),
            (&["0", "2"], true, Cores::These(vec![0, 2])),
        ] {
            assert_eq!(cores(&words(word), array), Ok(expected), "{word:?}");
        }
        for (word, array) in [
            (&["0"][..], false),
            (&["-1"], false),
            (&["3-1"], false),
            (&["0,0"], false),
            (&["x"], false),
            (&[], true),
        ] {
            assert!(cores(&words(word), array).is_err(), "{word:?}");
        }
    }

    #[test]
    fn a_path_gets_its_slash_at_the_end() {
        assert_eq!(path("/socket.io").unwrap(), "/socket.io/");
        assert_eq!(path("/a/b/").unwrap(), "/a/b/");
        assert_eq!(path("/").unwrap(), "/");
        for word in ["", "socket.io", "/a b", "/a?b", "/a#b", "/ü", "/a\r\n"] {
            assert!(path(word).is_err(), "{word}");
        }
    }

    #[test]
    fn permissions_are_octal_and_no_more_than_read_write_and_execute() {
        for (word, bits) in [("0660", 0o660), ("660", 0o660), ("0600", 0o600), ("777", 0o777)] {
            assert_eq!(mode(word), Ok(bits), "{word}");
        }
        for word in ["", "0", "66", "0668", "1777", "00660", "rw-", "+660", "0o660"] {
            assert!(mode(word).is_err(), "{word}");
        }
    }

    #[test]
    fn the_path_of_a_socket_fits_into_its_address() {
        let longest = format!("/{}", "x".repeat(PATH_BYTES_MAX - 1));
        assert_eq!(socket_path(&longest), Ok(longest.clone().into()));
        for word in ["", "/a\0b", &format!("{longest}x")] {
            assert!(socket_path(word).is_err(), "{word}");
        }
    }

    #[test]
    fn an_origin_is_what_a_browser_would_send() {
        for word in ["*", "null", "https://example.com", "http://localhost:8080", "capacitor://localhost"] {
            assert_eq!(origin(word).unwrap(), word);
        }
        for word in [
            "",
            "example.com",
            "https://",
            "https://a.com/",
            "https://*.a.com",
            "https://a.com\r\nX: y",
            "://a",
        ] {
            assert!(origin(word).is_err(), "{word}");
        }
    }

    #[test]
    fn a_misspelt_log_level_is_not_taken_for_a_module() {
        for word in ["info", "off", "info,tidegate::admin=debug", "tidegate=trace"] {
            assert_eq!(log_level(word).unwrap(), word);
        }
        assert!(log_level("inof").unwrap_err().ends_with("the nearest is info"));
        for word in ["", "info,", "tidegate=loud"] {
            assert!(log_level(word).is_err(), "{word}");
        }
    }

    #[test]
    fn a_cookie_is_off_or_has_a_name() {
        assert_eq!(cookie("false").unwrap(), None);
        assert_eq!(cookie("true").unwrap().as_deref(), Some("io"));
        assert_eq!(cookie("sticky").unwrap().as_deref(), Some("sticky"));
        assert!(cookie("a b").is_err() && cookie("a;b").is_err() && cookie("").is_err());
    }
}
