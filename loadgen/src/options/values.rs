//! Values of the command line that have a grammar of their own.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;
use std::time::Duration;

/// Source addresses of one run.
const SOURCES_MAX: u32 = 65_536;
/// Longest time that can be asked for. Moments in nanoseconds stay far from the end of a u64.
const DURATION_MAX: Duration = Duration::from_hours(366 * 24);
/// Events per second that can be asked for: ten times what a core can send, and one a day.
const RATE_MAX: f64 = 1e7;
const RATE_MIN: f64 = 1e-5;

/// Where the server is: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Value of `Host`.
    pub host: String,
    /// The first address the name stands for.
    pub address: SocketAddr,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") || text.starts_with("wss://") {
            return Err("there is no TLS here: measure behind what ends it".into());
        }
        let host = text.strip_prefix("http://").ok_or("it must start with http://")?;
        let host = host.strip_suffix('/').unwrap_or(host);
        if host.contains('/') {
            return Err("the path goes into --path".into());
        }
        if host.contains(['?', '#', '@']) || host.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("it has a host and perhaps a port, and nothing else".into());
        }
        let name_and_port = if host.rsplit(']').next().is_some_and(|tail| tail.contains(':')) {
            host.into()
        } else {
            format!("{host}:80")
        };
        let mut addresses = name_and_port.to_socket_addrs().map_err(|error| error.to_string())?;
        let address = addresses.next().ok_or("the name has no address")?;
        Ok(Self { host: host.into(), address })
    }
}

/// A namespace, `/` or `/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// What stands before the rest of a packet: nothing for `/`, else the name and a comma (protocol.md 4.1).
    pub(crate) fn prefix(&self) -> String {
        if self.is_root() { String::new() } else { format!("{},", self.0) }
    }

    /// Whether it is `/`.
    pub(crate) fn is_root(&self) -> bool {
        self.0 == "/"
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // As the stock client has it: the slash in front may be left out.
        let name = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
        match name.contains([',', '\u{1e}']) || name.chars().any(char::is_control) {
            true => Err("no commas and no control characters".into()),
            false => Ok(Self(name)),
        }
    }
}

/// A JSON object for the CONNECT packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth(pub(crate) String);

impl FromStr for Auth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match serde_json::from_str::<serde_json::Value>(text) {
            // Written anew: without line ends and what else may stand between.
            Ok(value @ serde_json::Value::Object(_)) => Ok(Self(value.to_string())),
            Ok(_) => Err("not a JSON object".into()),
            Err(error) => Err(format!("not JSON: {error}")),
        }
    }
}

/// One header field, as it is written (RFC 9112 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: String,
}

/// Fields that are the transports' own.
const OWN_HEADERS: [&str; 8] = [
    "host",
    "connection",
    "upgrade",
    "content-length",
    "content-type",
    "transfer-encoding",
    "accept-encoding",
    "accept",
];

impl Header {
    /// Its name, without the value, which may be a secret.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.value)
    }
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("not NAME: VALUE")?;
        let (name, value) = (name.trim(), value.trim());
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(is_token) {
            return Err(format!("{name}: not a name"));
        }
        if value.chars().any(char::is_control) {
            return Err("control characters in the value".into());
        }
        let lower = name.to_ascii_lowercase();
        if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("sec-websocket-") {
            return Err(format!("{name} is for the transports to say"));
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// The path of a request, without query.
pub(super) fn parse_path(text: &str) -> Result<String, String> {
    match text.starts_with('/') && !text.contains(['?', '#', ' ']) && text.is_ascii() {
        true if !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err("it starts with a slash, and has no query".into()),
    }
}

/// A range of local addresses, used in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceAddresses {
    first: Ipv4Addr,
    count: u32,
}

impl SourceAddresses {
    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The address of client `number`.
    pub(crate) fn pick(&self, number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(self.first.to_bits() + number % self.count))
    }
}

impl fmt::Display for SourceAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, Ipv4Addr::from_bits(self.first.to_bits() + self.count - 1))
    }
}

impl FromStr for SourceAddresses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let address =
            |text: &str| text.trim().parse::<Ipv4Addr>().map_err(|_| format!("{text}: not an IPv4 address"));
        let (first, last) = (address(first)?, address(last)?);
        match last.to_bits().checked_sub(first.to_bits()) {
            Some(steps) if steps < SOURCES_MAX => Ok(Self { first, count: steps + 1 }),
            Some(_) => Err(format!("more than {SOURCES_MAX} addresses")),
            None => Err("the last address is before the first".into()),
        }
    }
}

/// CPUs, in the order written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(pub Vec<usize>);

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| match text.trim().parse::<usize>() {
            Ok(cpu) if cpu < rustix::thread::CpuSet::MAX_CPU => Ok(cpu),
            _ => Err(format!("{text}: not a CPU number")),
        };
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            cores.extend(number(first)?..=number(last)?);
        }
        if cores.is_empty() { Err("no CPU in the list".into()) } else { Ok(Self(cores)) }
    }
}

/// `300ms`, `5s`, `1.5s`, `2m`, `1h`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits =
        text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or("a unit is missing: ms, s, m or h")?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit}: not one of ms, s, m, h")),
    };
    let number: f64 = number.parse().map_err(|_| format!("{number}: not a number"))?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        _ => Err("longer than a year".into()),
    }
}

/// The same, above zero.
pub(super) fn parse_time_span(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("in no time nothing is measured".into()),
        duration => Ok(duration),
    }
}

/// Events per second, above zero.
pub(super) fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > RATE_MAX => {
            Err(format!("more than {RATE_MAX} per second is beyond any generator"))
        }
        Ok(rate) if rate >= RATE_MIN => Ok(rate),
        Ok(rate) if rate > 0.0 => Err(format!("less than {RATE_MIN} per second is none")),
        _ => Err("not a number above zero".into()),
    }
}

/// A share in per cent, above 0 and below 100; as a fraction.
pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(share) if share > 0.0 && share < 100.0 => Ok(share / 100.0),
        _ => Err("not between 0 and 100".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_a_port() {
        let url: Url = "http://127.0.0.1:3000/".parse().unwrap();
        assert_eq!((url.host.as_str(), url.address), ("127.0.0.1:3000", "127.0.0.1:3000".parse().unwrap()));
        assert_eq!("http://127.0.0.1".parse::<Url>().unwrap().address.port(), 80);
        assert_eq!("http://[::1]:81".parse::<Url>().unwrap().address, "[::1]:81".parse().unwrap());
        assert_eq!("http://[::1]".parse::<Url>().unwrap().address.port(), 80);
        assert!("https://127.0.0.1".parse::<Url>().unwrap_err().contains("no TLS"));
        assert!("127.0.0.1:3000".parse::<Url>().unwrap_err().contains("http://"));
        assert!("http://127.0.0.1:3000?a=b".parse::<Url>().is_err());
        assert!("http://127.0.0.1/socket.io".parse::<Url>().is_err());
    }

    #[test]
    fn a_namespace_is_written_as_packets_have_it() {
        let prefix = |text: &str| text.parse::<Namespace>().map(|namespace| namespace.prefix());
        assert_eq!((prefix("/"), prefix("/admin")), (Ok(String::new()), Ok("/admin,".into())));
        assert_eq!(prefix("admin"), Ok("/admin,".into()));
        assert!(prefix("/a,b").is_err());
    }

    #[test]
    fn auth_is_a_json_object_and_a_header_cannot_smuggle_anything() {
        assert_eq!("{ \"a\":\n1 }".parse(), Ok(Auth("{\"a\":1}".into())));
        assert!("1".parse::<Auth>().is_err() && "{".parse::<Auth>().is_err());
        assert_eq!("cookie:  a=b:c ".parse::<Header>().unwrap().to_string(), "cookie: a=b:c");
        for text in ["cookie", ": x", "a b: c", "a: b\r\nc: d", "Host: x", "Sec-WebSocket-Key: x"] {
            assert!(text.parse::<Header>().is_err(), "{text}");
        }
        assert!(parse_path("/socket.io/").is_ok());
        assert!(
            parse_path("socket.io").is_err() && parse_path("/a b").is_err() && parse_path("/a?b").is_err()
        );
    }

    #[test]
    fn source_addresses_are_used_in_turn() {
        let sources: SourceAddresses = "127.0.0.1-127.0.0.3".parse().unwrap();
        let picked: Vec<String> = (0..4).map(|number| sources.pick(number).to_string()).collect();
        assert_eq!(picked, ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"]);
        assert_eq!("10.0.0.9".parse::<SourceAddresses>().unwrap().pick(7).to_string(), "10.0.0.9");
        assert!("127.0.0.3-127.0.0.1".parse::<SourceAddresses>().is_err());
        assert!("::1".parse::<SourceAddresses>().is_err());
    }

    #[test]
    fn cores_are_a_list_of_numbers_and_ranges() {
        assert_eq!("1".parse(), Ok(Cores(vec![1])));
        assert_eq!("0,2-4".parse(), Ok(Cores(vec![0, 2, 3, 4])));
        assert!("".parse::<Cores>().is_err());
        assert!("3-1".parse::<Cores>().is_err());
        assert!("0-99999999".parse::<Cores>().is_err());
    }

    #[test]
    fn a_share_is_in_per_cent() {
        assert_eq!(parse_share("10"), Ok(0.1));
        assert_eq!(parse_share("25%"), Ok(0.25));
        assert!(parse_share("0").is_err());
        assert!(parse_share("100").is_err());
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_mins(2)));
        assert!(parse_duration("5").is_err());
        assert!(parse_duration("s").is_err());
        assert!(parse_duration("5d").is_err());
        assert!(parse_duration("99999h").is_err());
        assert!(parse_duration("1e300s").is_err());
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        assert!(parse_time_span("0ms").is_err());
    }

    #[test]
    fn rates_are_above_zero_and_below_what_makes_no_sense() {
        assert_eq!((parse_rate("0.5"), parse_rate("1e6")), (Ok(0.5), Ok(1e6)));
        for text in ["0", "-1", "nan", "inf", "1e9", "1e-9", "fast"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }
}
