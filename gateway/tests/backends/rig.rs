//! A gateway for backends, seen from outside: its socket, its metrics, its process.

use crate::support::gateway::Gateway;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Only a failing test waits this long for one thing.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// Between two looks at something that tells nobody when it changes.
const PAUSE: Duration = Duration::from_millis(10);
const WITHOUT_IO_URING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/without_io_uring.py");

/// Runs a test, and fails it if it takes longer than that: whatever it waits for, and however.
pub(crate) fn within(seconds: u64, test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = channel();
    let body = std::thread::spawn(move || {
        test();
        // Nobody listens any more if it was too late.
        let _late = done.send(());
    });
    match is_done.recv_timeout(Duration::from_secs(seconds)) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("watchdog: the test takes more than {seconds} s"),
        Err(RecvTimeoutError::Disconnected) => {}
    }
    if let Err(panic) = body.join() {
        std::panic::resume_unwind(panic);
    }
}

/// How the gateway of a test is started.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    cores: u16,
    on_epoll: bool,
    settings: Vec<String>,
}

impl Plan {
    /// On so many cores, with the options that users have.
    pub(crate) fn cores(cores: u16) -> Self {
        Self { cores, ..Self::default() }
    }

    /// On a kernel without io_uring.
    pub(crate) fn on_epoll(mut self) -> Self {
        self.on_epoll = true;
        self
    }

    /// With an option: `backend.hold`, `500ms`.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let variable = name.to_uppercase().replace('.', "_");
        self.settings.push(format!("TIDEGATE_{variable}={value}"));
        self
    }

    /// On how many cores.
    pub(crate) fn count(&self) -> u16 {
        self.cores
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.sock");
        let mut wrapper = vec!["env"];
        wrapper.extend(self.settings.iter().map(String::as_str));
        if self.on_epoll {
            wrapper.extend(["python3", WITHOUT_IO_URING]);
        }
        let cores = self.cores.to_string();
        let socket = path.to_str().unwrap();
        let flags = ["--backend-socket", socket, "--cores", &cores, "--admin", "127.0.0.1:0"];
        let is_plain = self.settings.is_empty() && !self.on_epoll;
        let gateway =
            if is_plain { Gateway::start(&flags) } else { Gateway::start_through(&wrapper, &flags) };
        let address = gateway.log.wait_for("admin address", SOON, |line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(line.get("admin")?.as_str()?.to_owned())
        });
        Rig { gateway, path, admin: format!("http://{address}"), _dir: dir }
    }
}

/// A gateway that waits for backends.
pub(crate) struct Rig {
    pub(crate) gateway: Gateway,
    /// Where backends connect.
    pub(crate) path: PathBuf,
    /// `http://HOST:PORT` of health and metrics.
    pub(crate) admin: String,
    _dir: tempfile::TempDir,
}

impl Rig {
    /// Where clients connect.
    pub(crate) fn url(&self) -> &str {
        &self.gateway.url
    }

    /// Ends it as an operator would: with 0, and nothing in its log that it is sorry for.
    pub(crate) fn stop(self) {
        self.gateway.stop();
    }

    /// Waits until something holds that tells nobody. The gateway must live meanwhile.
    pub(crate) fn wait_until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + SOON;
        while !holds(self) {
            assert!(Instant::now() < until, "watchdog: not {what} in {SOON:?}");
            let ended = self.gateway.wait_for_exit(PAUSE);
            assert!(ended.is_none(), "the gateway ended: {ended:?}");
        }
    }

    /// All that is measured, the cores together; and labelled series each by itself.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let (status, text) = get(&self.admin, "/metrics");
        assert_eq!(status, 200);
        let mut sums = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
            let value: f64 = value.parse().expect("a value is a number");
            let name = series.split('{').next().expect("split has a first");
            *sums.entry(name.to_owned()).or_default() += value;
        }
        sums
    }

    /// What is there now of everything that comes and goes.
    pub(crate) fn gauges(&self) -> BTreeMap<String, f64> {
        let (status, text) = get(&self.admin, "/metrics");
        assert_eq!(status, 200);
        let types =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE tidegate_")?.strip_suffix(" gauge"));
        let mut all = self.metrics();
        types.map(|name| all.remove_entry(&format!("tidegate_{name}")).expect("it has a type")).collect()
    }

    /// Waits until gauges and open files are as they were.
    pub(crate) fn wait_for_the_start(&mut self, gauges: &BTreeMap<String, f64>, files: usize) {
        let until = Instant::now() + SOON - PAUSE * 20;
        self.wait_until("as at the start", |rig| {
            let now = rig.gauges();
            let changed: Vec<_> =
                now.iter().filter(|(name, value)| gauges.get(*name) != Some(value)).collect();
            let is_done = changed.is_empty() && rig.files() == files;
            assert!(is_done || Instant::now() < until, "{changed:?}, {} files, not {files}", rig.files());
            is_done
        });
    }

    /// One of them.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        *self.metrics().get(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// Waits until each of these has its value.
    pub(crate) fn wait_for_metrics(&mut self, expected: &[(&str, f64)]) {
        let mut last = BTreeMap::new();
        let until = Instant::now() + SOON;
        self.wait_until(&format!("{expected:?}"), |rig| {
            last = rig.metrics();
            let all = expected.iter().all(|(name, value)| last.get(*name) == Some(value));
            let found: Vec<_> = expected.iter().map(|(name, _)| (name, last.get(*name))).collect();
            assert!(all || Instant::now() + PAUSE * 20 < until, "{found:?}, not {expected:?}");
            all
        });
    }

    /// `200 ready`, `503 starting` or `503 draining`.
    pub(crate) fn ready(&self) -> String {
        let (status, body) = get(&self.admin, "/health/ready");
        format!("{status} {}", body.trim())
    }

    /// File descriptors that are open.
    pub(crate) fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.gateway.child.id())).unwrap().count()
    }

    /// Memory that is in use, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.gateway.child.id())).unwrap();
        let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
        pages * u64::try_from(rustix::param::page_size()).unwrap()
    }
}

/// The status and the body of an answer.
fn get(url: &str, target: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
        .write_all(format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the gateway answers and closes");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends with an empty line");
    (head[9..12].parse().expect("a status is a number"), body.to_owned())
}
