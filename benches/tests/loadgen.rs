//! Every scenario of the load generator against the floor, with small numbers: what is counted is right, and what
//! goes wrong is seen. No time is asserted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use clap::Parser as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use tidegate_loadgen::options::Options;
use tidegate_loadgen::report::Report;
use tidegate_loadgen::run::RunError;

/// The floor as a process of its own; it ends with the test.
struct Floor {
    process: Child,
    url: String,
}

impl Floor {
    fn start(mode: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_floor"))
            .args(["--mode", mode])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Its version comes first.
        let said = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let url =
            said.filter_map(|line| Some(line.strip_prefix("listening on ")?.to_owned())).next().unwrap();
        Self { process, url }
    }

    fn load(&self, arguments: &str) -> Report {
        let pid = self.process.id();
        load(&format!("{arguments} --url {} --server-pid {pid}", self.url)).unwrap()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn load(arguments: &str) -> Result<Report, RunError> {
    tidegate_loadgen::run(&Options::parse_from(["loadgen"].into_iter().chain(arguments.split(' '))))
}

fn assert_clean(report: &Report, clients: u64) {
    assert!(report.ok, "{report}");
    assert_eq!(report.joined, clients);
}

const SHORT: &str = "--warmup 50ms --duration 300ms";

#[test]
fn echoes_come_back_and_cost_the_server_something() {
    let report = Floor::start("socketio").load(&format!("echo --connections 20 {SHORT}"));
    assert_clean(&report, 20);
    assert!(report.messages > 20, "{report}");
    assert!(report.server.as_ref().unwrap().cpu_ns_per_message.unwrap() > 0.0, "{report}");
    // No round trip through two processes takes less than a microsecond.
    assert!(report.latency_us.p50 > 1.0 && report.latency_us.p50 <= report.latency_us.max, "{report}");
}

#[test]
fn several_messages_may_be_under_way_and_of_any_size() {
    let floor = Floor::start("socketio");
    for payload in [1, 125, 4000] {
        let report = floor.load(&format!("echo --connections 3 --in-flight 7 --payload {payload} {SHORT}"));
        assert_clean(&report, 3);
    }
}

#[test]
fn echoes_come_at_a_rate_too_and_a_second_process_is_watched() {
    let own = std::process::id();
    let load = format!("echo --connections 5 --rate 200 --backend-pid {own} {SHORT}");
    let report = Floor::start("socketio").load(&load);
    assert_clean(&report, 5);
    // 200 per second for 300 ms, give or take what the machine was late.
    assert!((1..=70).contains(&report.messages), "{report}");
    assert!(report.backend.is_some_and(|backend| backend.rss_bytes > 0));
}

#[test]
fn a_bare_websocket_echo_is_driven_too() {
    let report = Floor::start("raw").load(&format!("echo --bare --connections 5 {SHORT}"));
    assert_clean(&report, 5);
    assert!(report.messages > 5);
}

#[test]
fn a_broadcast_reaches_everyone_once() {
    let floor = Floor::start("socketio");
    for extra in ["", " --in-flight 4", " --rate 50"] {
        let report = floor.load(&format!("broadcast --connections 30 {SHORT}{extra}"));
        assert_clean(&report, 30);
        assert!(report.messages >= 30, "{report}");
    }
}

#[test]
fn a_room_reaches_its_members_once_and_nobody_else() {
    let floor = Floor::start("socketio");
    for extra in ["", " --in-flight 4", " --rate 50"] {
        let report = floor.load(&format!("rooms --connections 30 --rooms 10 {SHORT}{extra}"));
        assert_clean(&report, 30);
        assert!(report.messages >= 3, "{report}");
    }
}

#[test]
fn a_storm_counts_its_handshakes() {
    let sources = "--source-addresses 127.0.0.1-127.0.0.4";
    let report =
        Floor::start("socketio").load(&format!("connect --connections 300 --concurrency 50 {sources}"));
    assert_clean(&report, 300);
    assert_eq!(report.messages, 300);
    assert!(report.server.unwrap().connect_cpu_ns > 0.0);
}

#[test]
fn a_ramp_and_two_workers_connect_everyone() {
    let report =
        Floor::start("socketio").load(&format!("idle --connections 21 --cores 0,0 --ramp 500 {SHORT}"));
    assert_clean(&report, 21);
    assert_eq!(report.messages, 0);
    assert_eq!(report.server.unwrap().heartbeats, 0);
}

#[test]
fn a_broadcast_over_two_workers_is_counted_whole() {
    let report = Floor::start("socketio").load(&format!("broadcast --connections 21 --cores 0,0 {SHORT}"));
    assert_clean(&report, 21);
}

const OPEN: &str = r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;

/// A Socket.IO server for one client that says what the test wants, after the handshake.
fn scripted(open: &'static str, after_join: impl FnOnce(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).unwrap();
        assert!(buffer[..count].starts_with(b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"));
        let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        write!(stream, "HTTP/1.1 101 Switching Protocols\r\n{accept}\r\n\r\n").unwrap();
        say(&mut stream, open);
        assert!(stream.read(&mut buffer).unwrap() > 0, "the CONNECT");
        say(&mut stream, r#"40{"sid":"x"}"#);
        after_join(&mut stream);
        // Until the client leaves.
        while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
    });
    url
}

fn say(stream: &mut TcpStream, packet: &str) {
    let mut frame = vec![0x81, u8::try_from(packet.len()).unwrap()];
    frame.extend_from_slice(packet.as_bytes());
    stream.write_all(&frame).unwrap();
}

fn echo_with(after_join: impl FnOnce(&mut TcpStream) + Send + 'static) -> Report {
    let url = scripted(OPEN, after_join);
    load(&format!("echo --connections 1 --in-flight 2 --payload 20 --warmup 0s --duration 200ms --url {url}"))
        .unwrap()
}

#[test]
fn a_wrong_payload_a_second_answer_and_a_lost_one_are_errors() {
    let report = echo_with(|stream| {
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).unwrap() > 0, "the first echo");
        say(stream, r#"430["not what was sent"]"#);
        say(stream, r#"430["0000000000000000qrst"]"#);
    });
    assert_eq!((report.errors.mismatched, report.errors.duplicated), (1, 1), "{report}");
    // The second message, and the one that followed the wrong answer.
    assert_eq!(report.errors.lost, 2, "{report}");
    assert!(!report.ok);
}

#[test]
fn a_server_that_hangs_up_is_an_error() {
    let report = echo_with(|stream| stream.shutdown(std::net::Shutdown::Both).unwrap());
    assert_eq!(report.errors.disconnected, 1, "{report}");
    assert!(!report.ok);
}

#[test]
fn a_heartbeat_is_answered() {
    let (answered, answer) = mpsc::channel();
    let url = scripted(OPEN, move |stream| {
        say(stream, "2");
        let mut frame = [0; 7];
        stream.read_exact(&mut frame).unwrap();
        // A masked text frame of one byte (RFC 6455 §5.2).
        assert_eq!(frame[..2], [0x81, 0x81]);
        answered.send(frame[2] ^ frame[6]).unwrap();
    });
    let report = load(&format!("idle --connections 1 --warmup 0s --duration 100ms --url {url}")).unwrap();
    assert!(report.ok, "{report}");
    assert_eq!(answer.recv(), Ok(b'3'));
}

#[test]
fn a_heartbeat_that_never_comes_is_an_error() {
    let url = scripted(r#"0{"sid":"s","upgrades":[],"pingInterval":10,"pingTimeout":10}"#, |_| {});
    let report = load(&format!("idle --connections 1 --warmup 0s --duration 100ms --url {url}")).unwrap();
    assert_eq!(report.errors.heartbeats_missed, 1, "{report}");
    assert!(!report.ok);
}

#[test]
fn a_server_that_is_not_there_fails_the_run() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let result = load(&format!("idle --connections 2 --duration 10ms --warmup 0s --url http://{address}"));
    assert!(matches!(result, Err(RunError::Unreachable(_))));
}
