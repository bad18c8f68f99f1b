//! Listening sockets: one per address and core, bound before the cores start.
//!
//! `SO_REUSEPORT` lets every core have a queue of its own, so that accepting needs no hand-over between
//! cores. The main thread binds them all, so that a port that is taken is an error at start.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Connections the kernel keeps for us until we accept them, per socket (it allows `net.core.somaxconn`).
const BACKLOG: i32 = 16_384;
/// How long a port may be taken. The kernel takes the ring of a process that was killed apart when the process is
/// gone already, and until then (up to 200 ms, measured) the ring holds the listeners.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// The listening sockets of all workers.
#[derive(Debug)]
pub struct Listeners {
    addresses: Vec<SocketAddr>,
    by_worker: Vec<Vec<OwnedFd>>,
}

/// An address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// The address as it was asked for.
    pub address: SocketAddr,
    /// What the kernel says.
    pub source: io::Error,
}

impl Listeners {
    /// Binds every address once per worker. Port 0 takes a free port, the same for all workers.
    ///
    /// An IPv6 address is that family only, so `0.0.0.0:80` and `[::]:80` can be given together.
    pub fn bind(addresses: &[SocketAddr], workers: u16) -> Result<Self, BindError> {
        let mut listeners =
            Self { addresses: Vec::new(), by_worker: (0..workers).map(|_| Vec::new()).collect() };
        for &address in addresses {
            listeners.bind_one(address).map_err(|source| BindError { address, source })?;
        }
        Ok(listeners)
    }

    /// The addresses in the order they were asked for, with the real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The number of workers they are for.
    pub fn workers(&self) -> u16 {
        u16::try_from(self.by_worker.len()).expect("it was a u16 when it was given")
    }

    /// Hands the sockets over, one list per worker.
    pub(crate) fn into_workers(self) -> Vec<Vec<OwnedFd>> {
        self.by_worker
    }

    fn bind_one(&mut self, mut address: SocketAddr) -> io::Result<()> {
        if address.port() != 0 {
            refuse_shared_port(address)?;
        }
        for sockets in &mut self.by_worker {
            let socket = new_socket(address)?;
            socket.set_reuse_port(true)?;
            // Accepted sockets inherit it, which saves a system call for each.
            socket.set_tcp_nodelay(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            if address.port() == 0 {
                address =
                    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("not an IP socket"))?;
            }
            sockets.push(socket.into());
        }
        self.addresses.push(address);
        Ok(())
    }
}

/// Fails if anyone listens there, even another process of ours: `SO_REUSEPORT` alone would share the port with
/// it in silence, and each would get half of the clients.
///
/// It asks for a while: whoever starts us again right after we were killed shall find us serving.
fn refuse_shared_port(address: SocketAddr) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        match new_socket(address)?.bind(&address.into()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => sleep(PAUSE),
            outcome => return outcome,
        }
    }
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    // Connections of an earlier run that are in TIME_WAIT do not count as listeners.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn bind(addresses: &[&str], workers: u16) -> Result<Listeners, BindError> {
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Listeners::bind(&addresses, workers)
    }

    #[test]
    fn all_workers_share_the_port_that_the_first_one_got() {
        let listeners = bind(&["127.0.0.1:0"], 3).unwrap();
        let port = listeners.addresses()[0].port();
        assert_ne!(port, 0);
        for sockets in listeners.into_workers() {
            let [socket] = <[OwnedFd; 1]>::try_from(sockets).unwrap();
            assert_eq!(TcpListener::from(socket).local_addr().unwrap().port(), port);
        }
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_even_when_its_owner_would_share_it() {
        let first = bind(&["127.0.0.1:0"], 2).unwrap();
        let taken = first.addresses()[0].to_string();
        let error = bind(&[&taken], 2).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("cannot listen on {taken}: ")), "{error}");
    }

    #[test]
    fn both_families_can_listen_on_one_port() {
        let four = bind(&["0.0.0.0:0"], 1).unwrap();
        let six = format!("[::]:{}", four.addresses()[0].port());
        bind(&[&six], 1).unwrap();
    }

    #[test]
    fn accepted_sockets_inherit_nodelay() {
        let listeners = bind(&["127.0.0.1:0"], 1).unwrap();
        let address = listeners.addresses()[0];
        let listener = TcpListener::from(listeners.into_workers().remove(0).remove(0));
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
