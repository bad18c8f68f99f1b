//! The life of the process as its operator sees it: signals, exit codes, health, metrics, and what it does when the
//! system refuses it something.
//!
//! How it answers to flags and files is in `config_cli.rs`.

mod support {
    pub(crate) mod child;
    pub(crate) mod gateway;
    pub(crate) mod web;
}

use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};
use support::gateway::{BINARY, Gateway};
use support::web::{Member, answer, connect, get, request};

/// For what takes no time but for a busy machine.
const SOON: Duration = Duration::from_secs(10);
const WITHOUT_IO_URING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/without_io_uring.py");

fn start(flags: &[&str]) -> Gateway {
    Gateway::start(&[&["--app", "bench"], flags].concat())
}

/// Where the admin endpoint is, as the log says it.
fn admin_url(gateway: &Gateway) -> String {
    let address = gateway.log.wait_for("admin address", SOON, |line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("the log is JSON");
        Some(line.get("admin")?.as_str()?.to_owned())
    });
    format!("http://{address}")
}

/// Every sample of `/metrics`, by series.
fn metrics(admin: &str) -> BTreeMap<String, f64> {
    let (status, text) = get(admin, "/metrics");
    assert_eq!(status, 200);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let parse = |line: &str| {
        let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
        (series.to_owned(), value.parse().expect("a value is a number"))
    };
    samples.map(parse).collect()
}

/// The sum over all series of one name.
fn sum(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
    let of_name = |series: &str| series.split('{').next() == Some(name);
    let found: Vec<f64> =
        samples.iter().filter(|(series, _)| of_name(series)).map(|(_, value)| *value).collect();
    assert!(!found.is_empty(), "there is no {name}");
    found.iter().sum()
}

/// User and system time since its start, all threads together.
fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    // Fields are counted from 1, and the name, which may hold anything, is the second: proc(5).
    let (_, fields) = stat.rsplit_once(") ").expect("the name is in parentheses");
    let ticks = |field: usize| -> u64 {
        let number = fields.split(' ').nth(field - 3).expect("proc(5) lists 52 fields");
        number.parse().expect("ticks are a number")
    };
    Duration::from_secs(ticks(14) + ticks(15))
        / u32::try_from(rustix::param::clock_ticks_per_second()).expect("100")
}

#[test]
fn a_signal_to_stop_closes_clients_without_a_word_and_ends_the_process_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut gateway = start(&["--cores", "2"]);
        let mut members = [(); 4].map(|()| Member::join(&gateway.url));
        gateway.signal(signal);
        for member in &mut members {
            // Protocol.md, S26: no disconnect packet, and a close frame without a code.
            assert_eq!(member.closed(), None);
        }
        let status = gateway.wait_for_exit(SOON).expect("it ends");
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn a_client_that_does_not_answer_the_close_cannot_hold_the_process() {
    let gateway = start(&[]);
    let _silent = Member::join(&gateway.url);
    let _idle = connect(&gateway.url);
    gateway.stop();
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut gateway = start(&[]);
    let _silent = Member::join(&gateway.url);
    gateway.signal(Signal::TERM);
    gateway.log.wait_for("stopping", SOON, |line| line.contains(r#""stopping""#).then_some(()));
    gateway.signal(Signal::INT);
    let status = gateway.wait_for_exit(SOON).expect("it ends");
    assert_eq!(status.code(), Some(130));
}

#[test]
fn a_port_that_is_taken_is_one_line_and_exit_code_1() {
    let owner = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = start(&[]);
    let taken_by_a_stranger = owner.local_addr().unwrap().to_string();
    let taken_by_a_gateway = gateway.url.strip_prefix("http://").unwrap();
    for taken in [taken_by_a_stranger.as_str(), taken_by_a_gateway] {
        let output = Command::new(BINARY).args(["--listen", taken]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        let line = format!("tidegate: cannot listen on {taken}: Address already in use (os error 98)\n");
        assert_eq!(said, line);
        assert!(output.stdout.is_empty());
    }
    gateway.stop();
}

#[test]
fn health_and_metrics_are_served_while_the_gateway_runs() {
    let gateway = start(&["--cores", "2", "--admin", "127.0.0.1:0"]);
    let admin = admin_url(&gateway);
    assert_eq!(get(&admin, "/health/live").0, 200);
    assert_eq!(get(&admin, "/health/ready").0, 200);
    let before = metrics(&admin);
    assert_eq!(sum(&before, "tidegate_sessions"), 0.0);

    let mut member = Member::join(&gateway.url);
    member.echo("one");
    member.echo("two");
    assert_eq!(get(&gateway.url, "/socket.io/?EIO=4&transport=polling").0, 200);
    let after = metrics(&admin);
    for (name, by) in [
        ("tidegate_connections_accepted_total", 2.0),
        ("tidegate_sessions_opened_total", 2.0),
        ("tidegate_sessions", 2.0),
        ("tidegate_sockets", 1.0),
        ("tidegate_events_received_total", 2.0),
        // The answer to CONNECT is counted with them.
        ("tidegate_events_sent_total", 3.0),
    ] {
        assert_eq!(sum(&after, name) - sum(&before, name), by, "{name}");
    }
    for name in
        ["tidegate_received_bytes_total", "tidegate_sent_bytes_total", "tidegate_turn_duration_seconds_count"]
    {
        assert!(sum(&after, name) > sum(&before, name), "{name}");
    }
    gateway.stop();
}

#[test]
fn a_gateway_that_stops_is_alive_but_not_ready() {
    let gateway = start(&["--admin", "127.0.0.1:0"]);
    let admin = admin_url(&gateway);
    let _silent = Member::join(&gateway.url);
    gateway.signal(Signal::TERM);
    let until = Instant::now() + SOON;
    while get(&admin, "/health/ready").0 != 503 {
        assert!(Instant::now() < until, "it says that it is ready");
    }
    assert_eq!(get(&admin, "/health/live").0, 200);
    assert_eq!(get(&admin, "/health/ready").1, "draining\n");
}

#[test]
fn a_gateway_out_of_file_descriptors_rests_until_clients_leave() {
    // The shell becomes the gateway, which cannot raise a hard limit.
    let limited = ["sh", "-c", r#"ulimit -n 200; exec "$@""#, "sh"];
    for cores in ["1", "2"] {
        let flags = ["--app", "bench", "--cores", cores, "--ping-interval", "300ms"];
        let gateway = Gateway::start_through(&limited, &flags);
        let mut member = Member::join(&gateway.url);
        let mut crowd: Vec<_> = (0..300).map(|_| connect(&gateway.url)).collect();
        gateway.log.wait_for("warning", SOON, |line| line.contains("cannot accept").then_some(()));

        let (before, start) = (cpu_time(gateway.child.id()), Instant::now());
        for _ in 0..5 {
            member.ping();
        }
        let spent = cpu_time(gateway.child.id()) - before;
        assert!(spent < start.elapsed() / 5, "it spins: {spent:?} of CPU in {:?}", start.elapsed());
        member.echo("still served");

        let waiting = crowd.split_off(280);
        waiting.iter().for_each(|stream| request(stream, "/socket.io/?EIO=4&transport=polling"));
        drop(crowd);
        for stream in &waiting {
            assert_eq!(answer(stream).0, 200);
        }
        Member::join(&gateway.url).echo("served again");
        member.echo("served all along");
        gateway.stop();
    }
}

#[test]
fn where_the_kernel_refuses_io_uring_the_gateway_runs_on_epoll_and_says_so() {
    let flags = ["--app", "bench", "--cores", "2"];
    let gateway = Gateway::start_through(&["python3", WITHOUT_IO_URING], &flags);
    gateway.log.wait_for("warning", SOON, |line| {
        (line.contains(r#""WARN""#) && line.contains("the kernel refuses io_uring")).then_some(())
    });
    Member::join(&gateway.url).echo("hello");
    assert_eq!(get(&gateway.url, "/socket.io/?EIO=4&transport=polling").0, 200);
    gateway.stop();
}

#[test]
fn where_io_uring_is_required_and_refused_the_gateway_does_not_start() {
    let args = [WITHOUT_IO_URING, BINARY, "--require-io-uring", "--app", "bench", "--listen", "127.0.0.1:0"];
    let output = Command::new("python3").args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("tidegate: ") && said.contains("io_uring"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
