//! The backend socket as operators meet it: the file, its permissions and its life, and what a gateway says about it.
//!
//! What happens on the links is in `links.rs`.
#![allow(clippy::unwrap_used, reason = "a test, its helpers included, may panic")]

mod support {
    pub(crate) mod child;
}

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::child::{Lines, wait_for_exit};

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");
const WITHOUT_IO_URING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/without_io_uring.py");
/// Only a failing test waits this long.
const SOON: Duration = Duration::from_secs(30);

/// A gateway for backends. Dropping it kills it.
struct Gateway {
    child: Child,
    out: Lines,
    log: Lines,
}

impl Gateway {
    fn spawn(wrapper: &[&str], path: &Path, flags: &[&str]) -> Self {
        let mut child =
            command(wrapper, path, flags).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = Lines::follow(child.stdout.take().unwrap());
        let log = Lines::follow(child.stderr.take().unwrap());
        Self { child, out, log }
    }

    /// Starts one, and returns when it has said where backends connect.
    fn start(wrapper: &[&str], path: &Path, flags: &[&str]) -> Self {
        let gateway = Self::spawn(wrapper, path, flags);
        let line = format!("backends connect to {}", path.display());
        gateway.out.wait_for("backend socket", SOON, |said| (said == line).then_some(()));
        gateway
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.wait(), Some(0));
    }

    fn wait(&mut self) -> Option<i32> {
        wait_for_exit(&mut self.child, SOON).unwrap().code()
    }

    fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It has ended already, unless the test failed or does this on purpose.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The gateway on one core, in an environment without options.
fn command(wrapper: &[&str], path: &Path, flags: &[&str]) -> Command {
    let words = [wrapper, &[BINARY]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["--listen", "127.0.0.1:0", "--cores", "1"]);
    command.arg("--backend-socket").arg(path).args(flags);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDEGATE_") {
            command.env_remove(name);
        }
    }
    command
}

/// A start that is expected to fail.
fn refused(path: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(&[], path, flags).output().unwrap();
    assert!(stdout.is_empty(), "it says where it listens");
    (status.code(), String::from_utf8(stderr).unwrap())
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.sock");
    (dir, path)
}

fn is_empty(dir: &tempfile::TempDir) -> bool {
    fs::read_dir(dir.path()).unwrap().next().is_none()
}

#[test]
fn the_file_has_its_mode_whatever_the_umask_and_is_gone_after_the_end() {
    for (umask, flags, mode) in
        [("0", &[][..], 0o660), ("0777", &[], 0o660), ("0", &["--backend-socket-mode", "0600"], 0o600)]
    {
        let (dir, path) = place();
        let masked = format!(r#"umask {umask}; exec "$@""#);
        let gateway = Gateway::start(&["sh", "-c", &masked, "sh"], &path, flags);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        UnixStream::connect(&path).unwrap();
        gateway.stop();
        assert!(is_empty(&dir));
    }
}

#[test]
fn the_addresses_of_clients_are_told_before_that_of_backends() {
    let (_dir, path) = place();
    let gateway = Gateway::spawn(&[], &path, &["--listen", "127.0.0.1:0"]);
    let lines = [(); 3].map(|()| gateway.out.wait_for("line", SOON, |line| Some(line.to_owned())));
    assert!(lines[..2].iter().all(|line| line.starts_with("listening on http://127.0.0.1:")), "{lines:?}");
    assert_eq!(lines[2], format!("backends connect to {}", path.display()));
    gateway.log.wait_for("path", SOON, |line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        (line["message"] == "started" && line["backends"] == path.to_str()?).then_some(())
    });
    gateway.stop();
}

#[test]
fn a_second_gateway_for_the_same_path_is_refused_and_the_first_goes_on() {
    let (_dir, path) = place();
    let first = Gateway::start(&[], &path, &[]);
    let link = UnixStream::connect(&path).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    let line = format!("tidegate: another process is listening on {}\n", path.display());
    assert_eq!(refused(&path, &[]), (Some(1), line));
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    UnixStream::connect(&path).unwrap();
    drop(link);
    first.stop();
}

#[test]
fn of_two_gateways_that_start_at_the_same_time_over_a_stale_file_one_serves() {
    let (dir, path) = place();
    drop(UnixListener::bind(&path).unwrap());
    let mut gateways = [(); 2].map(|()| Gateway::spawn(&[], &path, &[]));
    let ends = gateways
        .each_ref()
        .map(|gateway| pidfd_open(Pid::from_child(&gateway.child), PidfdFlags::empty()).unwrap());
    let mut polled = ends.each_ref().map(|end| PollFd::new(end, PollFlags::IN));
    assert!(poll(&mut polled, Some(&Timespec::try_from(SOON).unwrap())).unwrap() > 0, "both serve");
    let loser = polled.iter().position(|end| !end.revents().is_empty()).unwrap();
    assert_eq!(gateways[loser].wait(), Some(1));
    let said = gateways[loser].log.rest();
    assert!(said.iter().any(|line| line.contains("another process is listening on")), "{said:?}");
    let [zero, one] = gateways;
    let winner = if loser == 0 { one } else { zero };
    winner.out.wait_for("backend socket", SOON, |line| line.starts_with("backends connect to").then_some(()));
    UnixStream::connect(&path).unwrap();
    winner.stop();
    assert!(is_empty(&dir));
}

#[test]
fn what_a_killed_gateway_left_behind_is_replaced() {
    let (dir, path) = place();
    for _ in 0..3 {
        let mut gateway = Gateway::start(&[], &path, &[]);
        let _link = UnixStream::connect(&path).unwrap();
        gateway.signal(Signal::KILL);
        assert_eq!(gateway.wait(), None, "it died of the signal");
        assert!(path.exists());
    }
    let gateway = Gateway::start(&[], &path, &[]);
    UnixStream::connect(&path).unwrap();
    gateway.stop();
    assert!(is_empty(&dir));
}

#[test]
fn the_file_of_a_successor_is_not_removed() {
    let (_dir, path) = place();
    let gateway = Gateway::start(&[], &path, &[]);
    fs::remove_file(&path).unwrap();
    let _successor = UnixListener::bind(&path).unwrap();
    gateway.stop();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_path_that_cannot_be_had_is_one_line_and_exit_code_1() {
    let (dir, path) = place();
    fs::write(&path, "precious").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let (code, said) = refused(&path, &[]);
    let line = format!(
        "tidegate: {} is not a socket: remove it, or choose another backend.socket\n",
        path.display()
    );
    assert_eq!((code, said), (Some(1), line));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);

    let (code, said) = refused(&dir.path().join("missing/b.sock"), &[]);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("there is no directory") && said.contains("RuntimeDirectory="), "{said}");

    let (code, said) = refused(&dir.path().join("x".repeat(108)), &[]);
    assert_eq!(code, Some(2));
    assert!(said.ends_with("the path of a Unix socket has at most 107 bytes\n"), "{said}");
}

#[test]
fn an_app_in_the_process_and_a_backend_socket_contradict_each_other() {
    let (dir, path) = place();
    let (code, said) = refused(&path, &["--app", "chat"]);
    assert_eq!(code, Some(2));
    assert_eq!(said, "tidegate: --backend-socket: no backend can dial in while --app is chat\n");
    assert!(is_empty(&dir));
}

#[test]
fn links_that_come_and_go_leave_no_descriptors_behind() {
    for wrapper in [&[][..], &["python3", WITHOUT_IO_URING]] {
        let (_dir, path) = place();
        let gateway = Gateway::start(wrapper, &path, &[]);
        let before = gateway.files();
        for _ in 0..200 {
            drop(UnixStream::connect(&path).unwrap());
        }
        let links: Vec<_> = (0..50).map(|_| UnixStream::connect(&path).unwrap()).collect();
        let until = Instant::now() + SOON;
        // It may have been about to open or close one of its own when they were counted first.
        let wait_for = |wanted: std::ops::RangeInclusive<usize>| {
            while !wanted.contains(&gateway.files()) {
                assert!(Instant::now() < until, "{} files, not {wanted:?}", gateway.files());
            }
        };
        wait_for(before + 48..=before + 52);
        drop(links);
        wait_for(before - 2..=before + 2);
        gateway.stop();
    }
}
