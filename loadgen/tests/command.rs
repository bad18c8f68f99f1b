//! The program as someone runs it: what it says, when it ends, and with which exit code, if something is wrong with the
//! server, the options, the terminal or the patience of whoever runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a busy machine, and far below the minute that the runs would take.
const PROMPT: Duration = Duration::from_secs(25);
const MINUTE: &str = "--warmup 0s --duration 60s";

/// An echo server that hands out each connection that has joined.
fn server(max_payload: u32) -> (String, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (joined, streams) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, joined) = (stream.unwrap(), joined.clone());
            // Who breaks off is the test's business.
            thread::spawn(move || drop(serve(stream, max_payload, &joined)));
        }
    });
    (url, streams)
}

fn serve(mut stream: TcpStream, max_payload: u32, joined: &Sender<TcpStream>) -> io::Result<()> {
    let mut head = [0; 4096];
    let _ = stream.read(&mut head)?;
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    write!(stream, "HTTP/1.1 101 Switching Protocols\r\n{accept}\r\n\r\n")?;
    let open = r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":"#;
    say(&mut stream, &format!("{open}{max_payload}}}"))?;
    assert_eq!(hear(&mut stream)?, "40");
    say(&mut stream, r#"40{"sid":"x"}"#)?;
    let _the_test_is_over = joined.send(stream.try_clone()?);
    loop {
        let message = hear(&mut stream)?;
        if let Some((id, arguments)) =
            message.strip_prefix("42").and_then(|rest| rest.split_once("[\"echo\","))
        {
            say(&mut stream, &format!("43{id}[{arguments}"))?;
        }
    }
}

fn say(stream: &mut TcpStream, packet: &str) -> io::Result<()> {
    let mut frame = vec![0x81, u8::try_from(packet.len()).unwrap()];
    frame.extend_from_slice(packet.as_bytes());
    stream.write_all(&frame)
}

/// One masked frame of less than 126 bytes. A close frame ends the stream.
fn hear(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = [0; 6];
    stream.read_exact(&mut head)?;
    let mut payload = vec![0; usize::from(head[1] & 0x7f)];
    stream.read_exact(&mut payload)?;
    if head[0] == 0x88 {
        stream.shutdown(Shutdown::Both)?;
    }
    payload.iter_mut().zip(head[2..].iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(String::from_utf8_lossy(&payload).into_owned())
}

fn command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-loadgen"));
    command.args(line.split(' ')).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it said on both streams, and its exit code. It must not take a minute.
fn ended(child: Child) -> (String, Option<i32>) {
    let began = Instant::now();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    (format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)), status.code())
}

fn run(line: &str) -> (String, Option<i32>) {
    ended(command(line).spawn().unwrap())
}

fn interrupt(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn who_is_interrupted_reports_what_there_is() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (url, joined) = server(1_000_000);
        let child = command(&format!("echo --connections 2 --rate 50 {MINUTE} --url {url}")).spawn().unwrap();
        let _streams = [joined.recv().unwrap(), joined.recv().unwrap()];
        // Not an event of ours: it has been measuring for a while.
        thread::sleep(Duration::from_millis(500));
        interrupt(&child, signal);
        let (said, ended_with) = ended(child);
        assert_eq!(ended_with, Some(code), "{said}");
        assert!(said.contains("The run was interrupted after"), "{said}");
        assert!(said.contains("errors     none"), "{said}");
        assert!(!said.contains('\u{1b}'), "no control characters for what is no terminal: {said}");
    }
}

/// The self-test's server stalls, and the schedule goes on. Here the schedule itself is held up.
#[test]
fn what_was_due_while_the_generator_was_held_up_waited_as_long() {
    let (url, joined) = server(1_000_000);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("held-up.json");
    let line = format!("echo --connections 2 --rate 100 --warmup 0s --duration 3s --json {}", file.display());
    let child = command(&format!("{line} --url {url}")).spawn().unwrap();
    let _streams = [joined.recv().unwrap(), joined.recv().unwrap()];
    // Into the measured time, and there for a third of it. A busy machine makes it longer, never shorter.
    thread::sleep(Duration::from_millis(500));
    interrupt(&child, Signal::STOP);
    thread::sleep(Duration::from_secs(1));
    interrupt(&child, Signal::CONT);
    let (said, code) = ended(child);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("The schedule was not kept"), "{said}");
    let report = &tidegate_loadgen::report::load(&file).unwrap()[0];
    assert_eq!(report.messages, 300, "{said}");
    // Only one or two were under way when it began: counted from when they were sent, hardly one would have waited.
    assert!(report.latency_us.p90 >= 400_000.0 && report.latency_us.max >= 900_000.0, "{said}");
}

#[test]
fn a_server_that_stands_still_does_not_hold_up_who_is_interrupted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let child = command(&format!("echo --connections 2 {MINUTE} --url {url}")).spawn().unwrap();
    // It has connected, and nobody answers.
    let _stream = listener.accept().unwrap();
    interrupt(&child, Signal::INT);
    let (said, code) = ended(child);
    assert_eq!(code, Some(130), "{said}");
    assert!(
        said.contains("interrupted before anything was measured") || said.contains("no client"),
        "{said}"
    );
}

#[test]
fn a_run_whose_server_dies_ends_with_it_and_counts_what_was_under_way() {
    let (url, joined) = server(1_000_000);
    let child = command(&format!("echo --connections 2 {MINUTE} --url {url}")).spawn().unwrap();
    let streams = [joined.recv().unwrap(), joined.recv().unwrap()];
    thread::sleep(Duration::from_millis(500));
    streams.iter().for_each(|stream| stream.shutdown(Shutdown::Both).unwrap());
    let (said, code) = ended(child);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Every client was gone after"), "{said}");
    assert!(said.contains("2 clients that were disconnected") && said.contains("2 messages lost"), "{said}");
}

#[test]
fn a_server_that_nobody_can_join_is_not_loaded_for_a_minute() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (said, code) = run(&format!("echo {MINUTE} --url http://{address}"));
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(said, "tidegate-loadgen: no client could connect: Connection refused (os error 111)\n");
}

#[test]
fn one_worker_that_cannot_go_on_is_not_waited_for() {
    let (url, _joined) = server(1_000_000);
    let (said, code) = run(&format!("echo --connections 2 --cores 0,1023 {MINUTE} --url {url}"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("CPU 1023 of --cores is not there"), "{said}");
}

#[test]
fn a_rate_beyond_both_ends_soon_and_is_no_success() {
    let (url, _joined) = server(1_000_000);
    let (said, code) = run(&format!("echo --connections 2 --rate 9e6 --warmup 0s --duration 1s --url {url}"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("The schedule was not kept"), "{said}");
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_run() {
    let (url, _joined) = server(1_000_000);
    for option in ["--json", "--hdr", "--report"] {
        let (said, code) = run(&format!("idle --connections 1 {MINUTE} {option} /nowhere/file --url {url}"));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("cannot write /nowhere/file"), "{said}");
    }
}

#[test]
fn nobody_has_to_read_the_summary_for_the_files_to_be_written() {
    let (url, _joined) = server(1_000_000);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nobody-reads.json");
    let _not_there = std::fs::remove_file(&file);
    let line =
        format!("echo --connections 1 --warmup 0s --duration 200ms --json {} --url {url}", file.display());
    let mut child = command(&line).spawn().unwrap();
    drop(child.stdout.take());
    let (said, code) = ended(child);
    assert_eq!((said.as_str(), code), ("", Some(0)));
    assert!(file.exists());
}

/// One client's request and CONNECT as they arrived; then its echoes are answered in the namespace.
fn served_in_admin(stream: &mut TcpStream) -> io::Result<[String; 2]> {
    let mut head = vec![0; 4096];
    let count = stream.read(&mut head)?;
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    write!(stream, "HTTP/1.1 101 Switching Protocols\r\n{accept}\r\n\r\n")?;
    say(stream, r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#)?;
    let connect = hear(stream)?;
    say(stream, r#"40/admin,{"sid":"x"}"#)?;
    while let Ok(message) = hear(stream) {
        let Some(rest) = message.strip_prefix("42/admin,") else { continue };
        let (id, arguments) = rest.split_once("[\"echo\",").unwrap();
        say(stream, &format!("43/admin,{id}[{arguments}"))?;
    }
    Ok([String::from_utf8_lossy(&head[..count]).into_owned(), connect])
}

#[test]
fn clients_join_the_namespace_with_what_they_have_to_say_of_themselves() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || served_in_admin(&mut listener.accept().unwrap().0).unwrap());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("admin.json");
    let line = format!("echo --connections 1 --warmup 0s --duration 200ms --url {url} --namespace /admin");
    let mut command = command(&format!("{line} --path /live/ --json {}", file.display()));
    command.args(["--auth", r#"{ "token": "se cret" }"#, "--header", "Cookie: a=hidden"]);
    let (said, code) = ended(command.args(["--header", "X-Tenant:7"]).spawn().unwrap());
    assert_eq!(code, Some(0), "{said}");
    let [head, connect] = served.join().unwrap();
    assert_eq!(connect, r#"40/admin,{"token":"se cret"}"#);
    assert!(head.starts_with("GET /live/?EIO=4&transport=websocket HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nCookie: a=hidden\r\n") && head.contains("\r\nX-Tenant: 7\r\n"), "{head}");
    // A report is shown around.
    let json = std::fs::read_to_string(file).unwrap();
    assert!(json.contains("/admin") && !json.contains("hidden") && !json.contains("cret"), "{json}");
}

#[test]
fn a_payload_that_the_server_says_it_will_not_take_is_not_sent() {
    let (url, _joined) = server(1000);
    let (said, code) = run(&format!("echo --payload 2000 {MINUTE} --url {url}"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("at most 1000 bytes"), "{said}");
}

#[test]
fn more_clients_than_the_machine_has_room_for_are_refused_with_what_is_missing() {
    let (said, code) = run(&format!("idle --connections 16000000 {MINUTE} --url http://127.0.0.1:9"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("16000000 connections"), "{said}");
}
