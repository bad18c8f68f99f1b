//! The load generator's long-polling against a server of the test's own, which checks what the floor cannot: at most
//! one poll and one post under way, several packets in one body, a ping in between.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use clap::Parser as _;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use tidegate_loadgen::options::Options;

const OPEN: &str =
    r#"0{"sid":"SID","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const SEPARATOR: char = '\u{1e}';

/// One session: packets waiting for a poll, and what is under way.
#[derive(Default)]
struct Session {
    packets: Vec<String>,
    polling: bool,
    posting: bool,
    pongs: u32,
    echoes: u32,
    left: bool,
}

#[derive(Default)]
struct Server {
    sessions: Mutex<HashMap<String, Session>>,
    changed: Condvar,
    manners: Manners,
}

/// What a server may do with a connection when it has answered a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Manners {
    #[default]
    Keep,
    /// As Node does after five idle seconds.
    CloseSilently,
    /// `Connection: close`.
    SayAndClose,
    /// As Node does with a connection that nobody uses.
    TimeOut,
}

impl Server {
    /// And its address.
    fn start(manners: Manners) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(Self { manners, ..Self::default() });
        let serving = server.clone();
        thread::spawn(move || serving.serve(&listener));
        (server, url)
    }

    fn serve(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            let server = self.clone();
            thread::spawn(move || server.serve_connection(stream.unwrap()));
        }
    }

    /// Keep-alive: one request after the other until the client leaves.
    fn serve_connection(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some((head, body)) = read_request(&mut reader) {
            let sid = head.split("&sid=").nth(1).and_then(|rest| rest.split([' ', '&']).next());
            let answer = match (sid, head.starts_with("GET")) {
                (None, true) => self.open(),
                (Some(sid), true) => self.poll(sid),
                (Some(sid), false) => self.post(sid, &body),
                (None, false) => panic!("a post without a session"),
            };
            let (length, is_post) = (answer.len(), head.starts_with("POST"));
            let last =
                if is_post && self.manners == Manners::SayAndClose { "Connection: close\r\n" } else { "" };
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{last}\r\n{answer}").unwrap();
            if self.manners == Manners::TimeOut && is_post {
                write!(stream, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n").unwrap();
            }
            if self.manners != Manners::Keep && is_post {
                return;
            }
        }
    }

    fn open(&self) -> String {
        let mut sessions = self.sessions.lock().unwrap();
        let sid = format!("session{}", sessions.len());
        sessions.insert(sid.clone(), Session::default());
        OPEN.replace("SID", &sid)
    }

    fn poll(&self, sid: &str) -> String {
        let mut sessions = self.sessions.lock().unwrap();
        let session = sessions.get_mut(sid).unwrap();
        assert!(!std::mem::replace(&mut session.polling, true), "two polls at once");
        let mut sessions =
            self.changed.wait_while(sessions, |sessions| sessions[sid].packets.is_empty()).unwrap();
        let session = sessions.get_mut(sid).unwrap();
        session.polling = false;
        session.packets.drain(..).collect::<Vec<_>>().join(&SEPARATOR.to_string())
    }

    fn post(&self, sid: &str, body: &str) -> String {
        let mut sessions = self.sessions.lock().unwrap();
        let session = sessions.get_mut(sid).unwrap();
        assert!(!std::mem::replace(&mut session.posting, true), "two posts at once");
        for packet in body.split(SEPARATOR) {
            session.handle(packet);
        }
        session.posting = false;
        self.changed.notify_all();
        "ok".into()
    }
}

impl Session {
    fn handle(&mut self, packet: &str) {
        match packet {
            "40" => self.packets.push(r#"40{"sid":"x"}"#.into()),
            "3" => self.pongs += 1,
            "1" => {
                self.left = true;
                self.packets.push("6".into());
            }
            _ => {
                let (id, arguments) = packet.strip_prefix("42").unwrap().split_once(r#"["echo","#).unwrap();
                self.echoes += 1;
                // The ping comes first, in the same body.
                if self.echoes == 1 {
                    self.packets.push("2".into());
                }
                self.packets.push(format!("43{id}[{arguments}"));
            }
        }
    }
}

/// `None` when the client has left.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Some((head, String::from_utf8(body).unwrap()))
}

#[test]
fn a_polling_echo_obeys_the_transport_and_loses_nothing() {
    let (server, url) = Server::start(Manners::Keep);
    let line = format!(
        "loadgen echo --transport polling --connections 5 --in-flight 3 --warmup 0s --duration 300ms --url {url}"
    );
    let report = tidegate_loadgen::run(&Options::parse_from(line.split(' '))).unwrap();
    assert!(report.ok, "{report}");
    assert_eq!(report.joined, 5);
    assert!(report.messages >= 15, "{report}");

    let sessions = server.sessions.lock().unwrap();
    assert!(
        sessions.values().all(|session| session.pongs == 1 && session.left),
        "every client answers and says goodbye"
    );
}

#[test]
fn a_connection_that_the_server_closes_between_two_posts_is_opened_again() {
    for manners in [Manners::CloseSilently, Manners::SayAndClose, Manners::TimeOut] {
        let (server, url) = Server::start(manners);
        // Few enough that what the server closes is closed before the next is due.
        let line = format!(
            "loadgen echo --transport polling --connections 3 --rate 30 --warmup 0s --duration 500ms --url {url}"
        );
        let report = tidegate_loadgen::run(&Options::parse_from(line.split(' '))).unwrap();
        assert!(report.ok && report.messages == 15, "{manners:?}: {report}");
        let sessions = server.sessions.lock().unwrap();
        assert!(sessions.values().all(|session| session.left), "{manners:?}");
    }
}
