//! A directory of pages beside the engine, over loopback.

mod support {
    pub(crate) mod child;
    pub(crate) mod gateway;
}

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;
use support::gateway::{BINARY, Gateway};
use tempfile::TempDir;

const WATCHDOG: Duration = Duration::from_secs(20);

fn directory(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().expect("there is room for files");
    for (name, text) in files {
        let file = root.path().join(name);
        fs::create_dir_all(file.parent().expect("it is below the root")).expect("the root is ours");
        fs::write(file, text).expect("the root is ours");
    }
    root
}

fn start(pages: &TempDir) -> Gateway {
    let pages = pages.path().display().to_string();
    Gateway::start(&["--app", "bench", "--cores", "1", "--pages", &pages])
}

/// Sends this as the head of a request, and returns the whole answer.
fn exchange(url: &str, first_lines: &str) -> String {
    let address = url.strip_prefix("http://").expect("the gateway speaks http");
    let mut stream = TcpStream::connect(address).expect("the gateway listens");
    stream.set_read_timeout(Some(WATCHDOG)).expect("the time is not zero");
    let head = format!("{first_lines}\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("the gateway reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the gateway answers and closes");
    answer
}

/// The status and the body of the answer to a GET.
fn get(url: &str, target: &str) -> (u16, String) {
    let answer = exchange(url, &format!("GET {target} HTTP/1.1"));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends with an empty line");
    let status = head.split(' ').nth(1).expect("the first line has a status");
    (status.parse().expect("a status is a number"), body.to_owned())
}

#[test]
fn pages_are_served_beside_the_engine() {
    let pages = directory(&[("index.html", "<p>home"), ("help/index.html", "<p>help"), ("app.js", "1")]);
    let gateway = start(&pages);
    for (target, body) in [("/", "<p>home"), ("/?x=1", "<p>home"), ("/help/", "<p>help"), ("/app.js", "1")] {
        assert_eq!(get(&gateway.url, target), (200, body.to_owned()), "{target}");
    }
    let (status, packet) = get(&gateway.url, "/socket.io/?EIO=4&transport=polling");
    assert!(status == 200 && packet.starts_with("0{"), "{status} {packet}");
    gateway.stop();
}

#[test]
fn a_browser_that_has_a_page_is_told_so_and_head_has_no_body() {
    let pages = directory(&[("index.html", "<p>home")]);
    let gateway = start(&pages);
    let head = exchange(&gateway.url, "HEAD / HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-length: 7\r\n"), "{head}");
    let field = head.lines().find(|line| line.to_ascii_lowercase().starts_with("etag: "));
    let tag = &field.expect("a page has a tag")["etag: ".len()..];
    let known = exchange(&gateway.url, &format!("GET / HTTP/1.1\r\nIf-None-Match: {tag}"));
    assert!(known.starts_with("HTTP/1.1 304 "), "{known}");
    let posted = exchange(&gateway.url, "POST / HTTP/1.1\r\nContent-Length: 0");
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    gateway.stop();
}

#[test]
fn nothing_outside_the_directory_can_be_reached_nor_what_came_after_the_start() {
    let root = directory(&[("pages/index.html", "<p>home"), ("pages/.env", "secret"), ("secret", "secret")]);
    let pages = root.path().join("pages");
    let gateway = Gateway::start(&["--app", "bench", "--pages", &pages.display().to_string()]);
    fs::write(pages.join("new.html"), "new").expect("the root is ours");
    for target in [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/index.html/../../secret",
        "/..\\secret",
        "//etc/hostname",
        "/.env",
        "/%2eenv",
        "/new.html",
    ] {
        assert_eq!(get(&gateway.url, target).0, 404, "{target}");
    }
    gateway.stop();
}

#[test]
fn pages_that_cannot_be_read_keep_the_gateway_from_starting() {
    let flags = ["--app", "bench", "--listen", "127.0.0.1:0", "--pages", "/nonexistent/pages"];
    let ended = Command::new(BINARY).args(flags).output().expect("it has been built");
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        said.contains("tidegate: cannot serve the pages: /nonexistent/pages: No such file or directory"),
        "{said}"
    );
}
