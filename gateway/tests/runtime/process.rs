//! What only shows in a process of its own: its limit of open files, and its death.

use crate::puppet::{DRIVERS, Server, ask, connect};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tidegate::runtime::DriverChoice;

/// Workers of a child that has little memory for rings: more than such a memory holds.
const POOR_WORKERS: u16 = 8;
const MEMLOCK: &str = "RUNTIME_TEST_MEMLOCK";

/// Open files a child may have: its own, and some twenty clients.
const FILES: u64 = 48;
const DRIVER: &str = "RUNTIME_TEST_DRIVER";

/// A server in a process of its own, started again from this test's binary.
struct ServerProcess {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl ServerProcess {
    fn start(driver: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::the_child", "--ignored", "--nocapture"])
            .env(DRIVER, driver.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let address = answer(&mut output).parse().unwrap();
        Self { child, input, output, address }
    }

    /// Streams open, and times that accepting has paused.
    fn stats(&mut self) -> (u64, u64) {
        writeln!(self.input, "stats").unwrap();
        let answer = answer(&mut self.output);
        let (streams, pauses) = answer.split_once(' ').unwrap();
        (streams.parse().unwrap(), pauses.parse().unwrap())
    }
}

/// The next line that is meant for us, among those of the test harness.
fn answer(output: &mut BufReader<ChildStdout>) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the child has ended");
        if let Some((_, answer)) = line.trim_end().split_once("child: ") {
            return answer.to_owned();
        }
    }
}

#[test]
#[ignore = "not a test: the other process of the tests below"]
fn the_child() {
    let driver = std::env::var(DRIVER).unwrap().parse::<usize>().unwrap();
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(FILES), maximum: hard }).unwrap();
    let server = Server::start(DRIVERS[driver], 1);
    println!("child: {}", server.address);
    for line in std::io::stdin().lines() {
        assert_eq!(line.unwrap(), "stats");
        let stats = server.workers.control().stats(Duration::from_secs(10)).remove(0).driver;
        println!("child: {} {}", stats.streams, stats.accept_pauses);
    }
    assert!(server.workers.drain(Duration::from_secs(10)));
}

/// Lets the kernel count the memory of this thread's rings, as it does for everyone but root.
fn limit_ring_memory(bytes: u64) {
    let mut capabilities = capabilities(None).unwrap();
    capabilities.effective -= CapabilitySet::IPC_LOCK;
    set_capabilities(None, capabilities).unwrap();
    setrlimit(Resource::Memlock, Rlimit { current: Some(bytes), maximum: Some(bytes) }).unwrap();
}

#[test]
#[ignore = "not a test: the other process of the test below"]
fn the_poor_child() {
    limit_ring_memory(std::env::var(MEMLOCK).unwrap().parse().unwrap());
    let server = Server::start(DriverChoice::Auto, POOR_WORKERS);
    println!("child: {:?}", server.workers.driver());
    server.workers.stop();
}

#[test]
fn where_the_rings_of_all_workers_do_not_fit_into_memory_that_may_be_locked_epoll_takes_over() {
    for (bytes, driver) in [(64 << 10, "Epoll"), (768 << 10, "Epoll"), (4 << 20, "IoUring")] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::the_poor_child", "--ignored", "--nocapture"])
            .env(MEMLOCK, bytes.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(&format!("child: {driver}")), "{bytes}: {said}");
    }
}

#[test]
fn out_of_files_accepting_pauses_without_spinning_and_goes_on_when_clients_leave() {
    for driver in 0..DRIVERS.len() {
        let mut process = ServerProcess::start(driver);
        let start = Instant::now();
        // The kernel accepts all of them; the server only as many as it has files.
        let mut clients: Vec<TcpStream> = (0..FILES).map(|_| connect(process.address)).collect();
        let (mut streams, mut pauses) = process.stats();
        while pauses == 0 {
            (streams, pauses) = process.stats();
        }
        assert!((10..FILES).contains(&streams), "{streams} of {FILES}");
        // Those that are in are served, and each that leaves makes room for one that waits, in order.
        while !clients.is_empty() {
            assert_eq!(ask(&mut clients[0], b"w", 1), b"0");
            clients.remove(0);
        }
        // One pause per departure and one per 100 ms at most, where a spinning core would count thousands.
        let (_, pauses) = process.stats();
        let allowed = u128::from(FILES) + start.elapsed().as_millis() / 100 + 1;
        assert!(u128::from(pauses) <= allowed, "{pauses} pauses");
        drop(process.input);
        assert!(process.child.wait().unwrap().success());
    }
}

#[test]
fn a_worker_that_panics_takes_the_process_with_it_and_says_so() {
    for driver in 0..DRIVERS.len() {
        let mut process = ServerProcess::start(driver);
        let mut client = connect(process.address);
        client.write_all(b"x").unwrap();
        let mut said = String::new();
        process.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(process.child.wait().unwrap().signal(), Some(6), "aborted");
        assert!(said.contains("worker 0 has failed"), "{said}");
        drop(process.input);
    }
}
