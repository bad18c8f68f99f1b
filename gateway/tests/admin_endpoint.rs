//! Health and metrics over real connections.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate::admin::{Admin, MetricsSource, Readiness, ShardReport, TurnTimes};
use tidegate_core::shard::stats::Stats;

/// A process with one shard, which is ready when told.
#[derive(Default)]
struct Source {
    ready: AtomicBool,
}

impl MetricsSource for Source {
    fn readiness(&self) -> Readiness {
        if self.ready.load(Ordering::Relaxed) { Readiness::Ready } else { Readiness::Starting }
    }

    fn reports(&self) -> Vec<ShardReport> {
        let turn_times = TurnTimes::new();
        vec![ShardReport {
            shard: 0,
            stats: Stats::default(),
            turn_times,
            mailbox_depth: 0,
            accept_pauses: 0,
            refused_over_limit: 0,
            links_refused: 0,
            links_over_limit: 0,
        }]
    }
}

fn start() -> (Admin, SocketAddr, Arc<Source>) {
    let source = Arc::new(Source::default());
    let admin = Admin::start("127.0.0.1:0".parse().unwrap(), source.clone()).unwrap();
    let address = admin.address().unwrap();
    (admin, address, source)
}

/// Sends these bytes and reads until the other side closes.
fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
}

#[test]
fn a_process_is_alive_before_it_is_ready() {
    let (_admin, address, source) = start();
    assert!(get(address, "/health/live").starts_with("HTTP/1.1 200 OK\r\n"));
    let starting = get(address, "/health/ready");
    assert!(starting.starts_with("HTTP/1.1 503 ") && starting.ends_with("\r\n\r\nstarting\n"), "{starting}");
    source.ready.store(true, Ordering::Relaxed);
    let ready = get(address, "/health/ready?verbose");
    assert!(ready.starts_with("HTTP/1.1 200 ") && ready.ends_with("\r\n\r\nready\n"), "{ready}");
}

#[test]
fn metrics_are_served_with_their_type_and_length() {
    let (_admin, address, _source) = start();
    let answer = get(address, "/metrics");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert!(body.contains("\ntidegate_connections{shard=\"0\"} 0\n"));
}

#[test]
fn a_head_request_gets_no_body() {
    let (_admin, address, _source) = start();
    let answer = exchange(address, b"HEAD /health/live HTTP/1.1\r\n\r\n");
    assert!(answer.contains("Content-Length: 5\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn a_request_may_come_in_pieces() {
    let (_admin, address, _source) = start();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /health/live HTTP/1.1\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn what_is_no_such_request_is_refused() {
    let (_admin, address, _source) = start();
    for (request, status) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "404 Not Found"),
        (b"GET /metricsx HTTP/1.1\r\n\r\n".to_vec(), "404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".to_vec(), "405 Method Not Allowed"),
        (b"\x16\x03\x01 hello\r\n\r\n".to_vec(), "400 Bad Request"),
        ([b"GET /metrics HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 9000]].concat(), "431 "),
        ([b"GET /metrics HTTP/1.1\r\n".to_vec(), b"a: b\r\n".repeat(70), b"\r\n".to_vec()].concat(), "431 "),
    ] {
        let answer = exchange(address, &request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[test]
fn clients_that_say_nothing_or_leave_do_not_hide_the_health() {
    let (_admin, address, _source) = start();
    let _silent = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
    for _ in 0..20 {
        let gone = TcpStream::connect(address).unwrap();
        gone.shutdown(Shutdown::Both).unwrap();
    }
    assert!(get(address, "/health/live").starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_crowd_that_never_finishes_its_requests_is_cut_to_make_room_for_a_health_check() {
    let (_admin, address, _source) = start();
    let crowd: Vec<_> = (0..60)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
            stream
        })
        .collect();
    assert!(get(address, "/health/live").starts_with("HTTP/1.1 200 OK\r\n"));
    // Who came first has been told to go, and did nothing for it.
    let mut first = crowd.into_iter().next().unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn dropping_the_endpoint_ends_its_threads_and_frees_its_address() {
    let (admin, address, _source) = start();
    drop(admin);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_taken_address_is_an_error() {
    let (_admin, address, source) = start();
    assert!(Admin::start(address, source).is_err());
}
