//! Links from the socket to the application and back: real shards with an application that echoes, under both pollers.
#![allow(clippy::unwrap_used, reason = "a test, its helpers included, may panic")]

use bytes::Bytes;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::app::{App, Connect, Event, Io, PortKey, SocketKey, Stats, Verdict};
use tidegate::config::{BackendSocket, Config};
use tidegate::links::{LinkListener, SocketFile};
use tidegate::net::listener::Listeners;
use tidegate::runtime::stats::WorkerStats;
use tidegate::runtime::{Clock, DriverChoice};
use tidegate::worker::{Setup, Workers, spawn_workers};
use tidegate::{Gateway, GatewayError};
use tidegate_core::backend::wire::{RefuseCode, ToBackend};
use tidegate_core::id::{RouteKey, ShardIndex};
use tidegate_core::options::Options;
use tidegate_core::shard::routes::Routes;
use tidegate_core::shard::{Shard, ShardSetup};

const DRIVERS: [DriverChoice; 2] = [DriverChoice::RequireIoUring, DriverChoice::Epoll];
/// Only a failing test waits this long.
const SOON: Duration = Duration::from_secs(30);
/// A user, and its group, that no process of ours has.
const NOBODY: u32 = 65534;
/// A group that needs no entry anywhere.
const MEMBERS: u32 = 4242;

/// Says its core's number to whoever connects, and then everything it hears.
#[derive(Default)]
struct Echo {
    ports: u64,
}

impl App for Echo {
    fn connect(&mut self, _: &mut Io<'_>, _: SocketKey, _: &Connect<'_>) -> Verdict {
        Verdict::InvalidNamespace
    }
    fn event(&mut self, _: &mut Io<'_>, _: SocketKey, _: Event<'_>) {}
    fn port_opened(&mut self, io: &mut Io<'_>, port: PortKey) {
        self.ports += 1;
        let core = u8::try_from(io.shard().0).unwrap();
        io.port_send(port, vec![b'0' + core].into());
    }
    fn port_bytes(&mut self, io: &mut Io<'_>, port: PortKey, bytes: &mut [u8]) {
        io.port_send(port, Bytes::copy_from_slice(bytes));
    }
    fn port_closed(&mut self, _: &mut Io<'_>, _: PortKey) {
        self.ports -= 1;
    }
    fn stats(&self, stats: &mut Stats) {
        stats.backend.links_serving = self.ports;
    }
}

/// Workers with one place for a client, and a backend socket.
struct Server {
    workers: Workers,
    address: SocketAddr,
    socket: BackendSocket,
    _file: SocketFile,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start(driver: DriverChoice, cores: u16) -> Self {
        Self::start_with(driver, cores, 1000, |_| {})
    }

    fn start_with(
        driver: DriverChoice,
        cores: u16,
        links_max: u32,
        change: impl FnOnce(&mut BackendSocket),
    ) -> Self {
        let (dir, path) = place();
        let mut socket = BackendSocket::at(path);
        change(&mut socket);
        let (links, file) = LinkListener::open(&socket, links_max).unwrap();
        let listeners = Listeners::bind(&["127.0.0.1:0".parse().unwrap()], cores).unwrap();
        let address = listeners.addresses()[0];
        let clock = Clock::start();
        let setup = ShardSetup {
            index: ShardIndex(0),
            shards: cores,
            options: Arc::new(Options::default()),
            routes: Arc::new(Routes::default()),
            route_key: RouteKey::new([7; 4]),
            seed: [7; 32],
            now: clock.now(),
            unix_origin: 0,
        };
        let make_shard =
            move |index| Shard::new(ShardSetup { index, ..setup.clone() }, Box::new(Echo::default()));
        let workers = spawn_workers(Setup {
            listeners,
            links: Some(links),
            driver,
            connections_max: 1,
            cpus: Vec::new(),
            clock,
            make_shard,
        });
        Self { workers: workers.unwrap(), address, socket, _file: file, _dir: dir }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket.path).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    fn stats(&self) -> Vec<WorkerStats> {
        self.workers.control().stats(SOON)
    }

    /// Links on each core.
    fn links(&self) -> Vec<u64> {
        self.stats().iter().map(|worker| worker.core.ports).collect()
    }

    fn wait_for_links(&self, expected: &[u64]) {
        let until = Instant::now() + SOON;
        while self.links() != expected {
            assert!(Instant::now() < until, "{:?} links, not {expected:?}", self.links());
        }
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    // For backends of other users.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("b.sock");
    (dir, path)
}

fn read<const N: usize>(mut stream: &UnixStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Whether the other side has closed, without a word.
fn is_closed(mut stream: &UnixStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn forty_links_spread_evenly_over_the_cores_and_each_gets_its_bytes_back() {
    for (driver, cores) in DRIVERS.into_iter().flat_map(|driver| [(driver, 1), (driver, 2)]) {
        let server = Server::start(driver, cores);
        let links: Vec<_> = (0..40).map(|_| server.connect()).collect();
        let mut by_core = vec![0; usize::from(cores)];
        for link in &links {
            let [core] = read(link);
            by_core[usize::from(core - b'0')] += 1;
        }
        let even = vec![40 / usize::from(cores); usize::from(cores)];
        assert_eq!(by_core, even);
        for round in 0..20u8 {
            links.iter().for_each(|mut link| link.write_all(&[round; 100]).unwrap());
            assert!(links.iter().all(|link| read(link) == [round; 100]));
        }
        // They are no clients, and take no client's place.
        let stats = server.stats();
        assert_eq!(
            stats.iter().map(|worker| worker.driver.streams + worker.core.connections).sum::<u64>(),
            0
        );
        let mut client = TcpStream::connect(server.address).unwrap();
        client.write_all(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        // What leaves makes room on its own core.
        let left: Vec<_> = links.into_iter().skip(usize::from(cores) * 3).collect();
        let expected: Vec<_> = even.iter().map(|count| *count as u64 - 3).collect();
        server.wait_for_links(&expected);
        drop(left);
        server.wait_for_links(&vec![0; usize::from(cores)]);
        server.workers.stop();
    }
}

#[test]
fn more_than_any_buffer_holds_comes_back_whole() {
    const BYTES: usize = 8 << 20;
    for driver in DRIVERS {
        let server = Server::start(driver, 2);
        let link = server.connect();
        let _core: [u8; 1] = read(&link);
        let data: Vec<u8> = (0..BYTES).map(|index| u8::try_from(index % 251).unwrap()).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| (&link).write_all(&data).unwrap());
            let mut got = vec![0; BYTES];
            (&link).read_exact(&mut got).unwrap();
            assert!(got == data);
        });
        server.workers.stop();
    }
}

#[test]
fn links_beyond_the_limit_are_closed_and_counted_until_others_leave() {
    for driver in DRIVERS {
        let server = Server::start_with(driver, 2, 2, |_| {});
        let links = [server.connect(), server.connect()];
        assert_eq!(links.each_ref().map(read), [*b"0", *b"1"]);
        let mut said = Vec::new();
        (&server.connect()).read_to_end(&mut said).unwrap();
        let refused = ToBackend::decode(said[4], &said[5..]).unwrap();
        assert!(matches!(refused, ToBackend::Refuse { code: RefuseCode::TooManyLinks, .. }), "{refused:?}");
        let counted = server.stats();
        assert_eq!(counted.iter().map(|worker| worker.driver.links_over_limit).sum::<u64>(), 1);
        let [first, second] = links;
        drop(second);
        server.wait_for_links(&[1, 0]);
        assert_eq!(read(&server.connect()), *b"1");
        drop(first);
        server.workers.stop();
    }
}

#[test]
fn links_are_closed_when_the_gateway_stops_and_new_ones_are_refused() {
    for driver in DRIVERS {
        let server = Server::start(driver, 2);
        let links = [server.connect(), server.connect()];
        let _cores: [[u8; 1]; 2] = links.each_ref().map(read);
        assert!(server.workers.drain(SOON), "in their own time");
        assert!(links.iter().all(is_closed));
        let refused = UnixStream::connect(&server.socket.path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

/// What somebody else gets who connects: whether it is served, or the error of the attempt.
fn ask_as(user: u32, primary: u32, groups: &[u32], server: &Server) -> Result<bool, ErrorKind> {
    let path = &server.socket.path;
    let groups: Vec<_> = groups.iter().copied().map(Gid::from_raw).collect();
    let (user, primary) = (Uid::from_raw(user), Gid::from_raw(primary));
    // To Linux, who one is is a property of the thread.
    let ask = move || {
        set_thread_groups(&groups).expect("only root can be somebody else");
        set_thread_res_gid(primary, primary, primary).unwrap();
        set_thread_res_uid(user, user, user).unwrap();
        let stream = UnixStream::connect(path).map_err(|error| error.kind())?;
        stream.set_read_timeout(Some(SOON)).unwrap();
        Ok(!is_closed(&stream))
    };
    std::thread::scope(|scope| scope.spawn(ask).join().unwrap())
}

fn refused(server: &Server) -> u64 {
    server.stats().iter().map(|worker| worker.driver.links_refused).sum()
}

#[test]
fn strangers_are_closed_and_members_of_the_group_are_served() {
    let with = |mode| {
        Server::start_with(DriverChoice::Auto, 2, 10, |socket| {
            socket.mode = mode;
            socket.group = Some(MEMBERS.to_string());
        })
    };
    // The file lets everybody in; who it is decides.
    let open = with(0o666);
    assert_eq!(ask_as(NOBODY, NOBODY, &[], &open), Ok(false));
    assert_eq!(ask_as(NOBODY, NOBODY, &[7, 8], &open), Ok(false));
    assert_eq!(ask_as(NOBODY, MEMBERS, &[], &open), Ok(true));
    assert_eq!(ask_as(NOBODY, NOBODY, &[7, MEMBERS], &open), Ok(true));
    // One that has more groups than are asked for at first.
    let many: Vec<u32> = (1000..1100).chain([MEMBERS]).collect();
    assert_eq!(ask_as(NOBODY, NOBODY, &many, &open), Ok(true));
    assert_eq!(ask_as(0, 0, &[], &open), Ok(true));
    assert_eq!(refused(&open), 2);
    open.workers.stop();
    // With the usual permissions members need no help, and strangers get no further than the file.
    let usual = with(0o660);
    assert_eq!(ask_as(NOBODY, NOBODY, &[MEMBERS], &usual), Ok(true));
    assert_eq!(ask_as(NOBODY, NOBODY, &[], &usual), Err(ErrorKind::PermissionDenied));
    assert_eq!(refused(&usual), 0);
    usual.workers.stop();
}

#[test]
fn without_a_group_strangers_are_refused_whatever_the_file_says() {
    let server = Server::start_with(DriverChoice::Auto, 1, 10, |socket| socket.mode = 0o666);
    assert_eq!(ask_as(NOBODY, 0, &[0], &server), Ok(false));
    assert_eq!(refused(&server), 1);
    server.workers.stop();
}

/// What a health check is answered.
fn ready(admin: SocketAddr) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    format!("{} {}", head.split(' ').nth(1).unwrap(), body.trim())
}

#[test]
fn a_gateway_that_serves_backends_is_ready_while_one_of_them_serves() {
    let (_dir, path) = place();
    let config = Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        admin: Some("127.0.0.1:0".parse().unwrap()),
        ..Config::default()
    };
    let gateway = Gateway::builder()
        .config(config)
        .backend_socket(BackendSocket::at(&path))
        .app(|_| Box::new(Echo::default()))
        .start()
        .unwrap();
    assert_eq!(gateway.backend_socket(), Some(path.as_path()));
    let admin = gateway.admin_address().unwrap();
    assert_eq!(ready(admin), "503 starting");
    let link = UnixStream::connect(&path).unwrap();
    let _core: [u8; 1] = read(&link);
    assert_eq!(ready(admin), "200 ready");
    drop(link);
    let until = Instant::now() + SOON;
    while ready(admin) != "503 starting" {
        assert!(Instant::now() < until, "it is still ready");
    }
    assert!(gateway.stop());
    assert!(!path.exists());
}

#[test]
fn a_gateway_that_cannot_have_its_socket_does_not_start() {
    let (_dir, path) = place();
    std::fs::write(&path, "precious").unwrap();
    let builder = Gateway::builder().listen("127.0.0.1:0".parse().unwrap());
    let error = builder.backend_socket(BackendSocket::at(&path)).start().err().unwrap();
    assert!(matches!(error, GatewayError::Links(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}
