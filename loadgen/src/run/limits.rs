//! What the machine must have for a run: descriptors and ports. Whoever asks for more than there is learns it at once,
//! and whoever runs out of something learns of what.

use super::RunError;
use crate::options::{Common, Part, TransportOption};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::net::IpAddr;
use std::{fs, io};

/// Descriptors that are not clients: rings, timers, standard streams, files.
const OTHER_DESCRIPTORS: u64 = 64;
const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Raises the limit of descriptors as far as it may, and refuses what cannot be done.
pub(super) fn check(parts: &[Part]) -> Result<(), RunError> {
    let limit = raise_descriptor_limit()?;
    let streams: u64 = parts.iter().map(|part| streams(part.options.common())).sum();
    if let Some(limit) = limit.filter(|limit| streams + OTHER_DESCRIPTORS > *limit) {
        return Err(RunError::Limit(format!(
            "{streams} connections need as many descriptors, and this process may have {limit}: raise the hard limit (ulimit -Hn), or take several processes"
        )));
    }
    parts.iter().try_for_each(|part| check_ports(part.options.common(), ports_per_address()))
}

fn check_ports(common: &Common, each: Option<u64>) -> Result<(), RunError> {
    let sources = common.source_addresses.as_ref();
    if sources.is_some() && common.url.address.is_ipv6() {
        return Err(RunError::Options("--source-addresses are IPv4, and the address of the server is IPv6"));
    }
    let (streams, addresses) = (streams(common), sources.map_or(1, |sources| u64::from(sources.count())));
    match each {
        Some(each) if streams > each * addresses => Err(RunError::Limit(format!(
            "{streams} connections to one address need as many local ports, and there are {each} for each local address ({PORT_RANGE}): use more of those, such as --source-addresses 127.0.0.1-127.0.0.{}",
            streams.div_ceil(each).clamp(2, 254)
        ))),
        _ => Ok(()),
    }
}

/// TCP connections that the clients keep.
fn streams(common: &Common) -> u64 {
    let each = if common.transport == TransportOption::Polling { 2 } else { 1 };
    u64::from(common.connections) * each
}

/// `None` where there is no limit.
fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.maximum)
}

/// `None` if the kernel does not say.
fn ports_per_address() -> Option<u64> {
    let text = fs::read_to_string(PORT_RANGE).ok()?;
    let mut ends = text.split_ascii_whitespace().map(|end| end.parse::<u64>().ok());
    let (first, last) = (ends.next()??, ends.next()??);
    Some(last.checked_sub(first)? + 1)
}

/// Says what ran out when a client could not begin to connect.
pub(crate) fn explain(error: io::Error, source: Option<IpAddr>) -> io::Error {
    use rustix::io::Errno;
    let text = match (Errno::from_io_error(&error), source) {
        (Some(Errno::MFILE | Errno::NFILE), _) => "out of descriptors (ulimit -Hn)".to_owned(),
        (Some(Errno::ADDRNOTAVAIL), Some(source)) => {
            format!("{source} of --source-addresses is not an address of this machine, or has no port left")
        }
        (Some(Errno::ADDRNOTAVAIL | Errno::AGAIN), None) => {
            format!("out of local ports ({PORT_RANGE}): see --source-addresses")
        }
        (Some(Errno::NETUNREACH), _) => "no route to the server's address".to_owned(),
        _ => return error,
    };
    io::Error::other(format!("{text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use clap::Parser as _;

    fn ports(line: &str) -> Result<(), String> {
        let options = Options::parse_from(line.split(' '));
        check_ports(options.common(), Some(1000)).map_err(|error| error.to_string())
    }

    #[test]
    fn who_needs_more_ports_than_there_are_learns_how_to_have_them() {
        assert_eq!(ports("loadgen idle --connections 1000"), Ok(()));
        assert!(ports("loadgen idle --connections 1001").unwrap_err().contains("127.0.0.1-127.0.0.2"));
        let polling = "loadgen idle --transport polling --connections 1001";
        assert!(ports(polling).unwrap_err().starts_with("2002 connections"));
        assert_eq!(ports(&format!("{polling} --source-addresses 127.0.0.1-127.0.0.3")), Ok(()));
    }

    #[test]
    fn sources_of_the_other_family_are_refused() {
        let line = "loadgen idle --url http://[::1]:80 --source-addresses 127.0.0.1";
        assert!(ports(line).unwrap_err().contains("IPv6"));
    }
}
