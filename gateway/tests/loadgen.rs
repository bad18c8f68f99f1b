//! The load generator against the gateway and against stock Node: every scenario goes through on both, and neither makes
//! an error. Small numbers, and no time is asserted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

#[path = "support"]
mod support {
    pub(crate) mod child;
    pub(crate) mod gateway;
}

use clap::Parser as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::child::Lines;
use support::gateway::Gateway;
use tempfile::TempDir;
use tidegate_loadgen::options::{Command as Loadgen, CommandLine, Options};
use tidegate_loadgen::report::Report;
use tidegate_loadgen::run::{Interrupt, Show, run_parts};

/// From the start of Node to its address.
const START: Duration = Duration::from_secs(60);

/// Stock `socket.io` with the events of `--app bench`, in a folder where it finds its packages. Dropping it kills it.
struct Node {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Node {
    fn start() -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = TempDir::new().unwrap();
        for file in ["node.mjs", "common.mjs", "handlers.mjs"] {
            fs::copy(top.join("benches/peers").join(file), folder.path().join(file)).unwrap();
        }
        let packages = top.join("gateway/tests/clients/node_modules");
        symlink(packages, folder.path().join("node_modules")).unwrap();
        let mut child = Command::new("node")
            .arg(folder.path().join("node.mjs"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/setup says what must be there");
        let out = Lines::follow(child.stdout.take().unwrap());
        let mut node = Self { child, url: String::new(), _folder: folder };
        node.url =
            out.wait_for("address", START, |line| line.strip_prefix("listening on ").map(str::to_owned));
        node
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Runs one command line against both servers; `check` looks at the reports.
fn on_both(line: &str, check: impl Fn(&Report)) {
    let gateway = Gateway::start(&["--app", "bench", "--cores", "2"]);
    let run = |url: &str, pid: u32| {
        let line = format!("loadgen {line} --url {url} --server-pid {pid}");
        let report = tidegate_loadgen::run(&Options::parse_from(line.split(' '))).unwrap();
        assert!(report.ok && report.errors.total() == 0, "{report}");
        assert_eq!(report.joined, u64::from(report.connections), "{report}");
        assert!(report.server.as_ref().is_some_and(|server| server.rss_bytes > 0), "{report}");
        check(&report);
    };
    run(&gateway.url, gateway.child.id());
    gateway.stop();
    let node = Node::start();
    run(&node.url, node.child.id());
}

/// Whether any arrived, be it after the measured time: on a busy machine a closed loop may have got no further.
fn has_messages(report: &Report) {
    let arrived: u64 = report.timeline.iter().map(|second| second.messages).sum();
    assert!(arrived > 0, "{report}");
}

#[test]
fn echoes_come_back_over_every_transport_in_a_closed_loop() {
    for transport in ["websocket", "polling", "upgrade"] {
        let line = format!("echo --transport {transport} --connections 10 --in-flight 3");
        on_both(&format!("{line} --warmup 100ms --duration 300ms"), has_messages);
    }
}

#[test]
fn every_message_of_a_schedule_is_sent_and_answered_over_every_transport() {
    for transport in ["websocket", "polling", "upgrade"] {
        let line = format!("echo --transport {transport} --connections 10 --rate 200");
        // 200 a second for half a second, whatever the machine does meanwhile.
        on_both(&format!("{line} --warmup 100ms --duration 500ms"), |report| {
            assert_eq!(report.messages, 100);
        });
    }
}

#[test]
fn news_of_several_senders_reach_everyone() {
    // 30 messages in half a second, to 12 receivers each.
    let line = "broadcast --senders 3 --connections 12 --rate 60 --warmup 100ms --duration 500ms --cores 0,0";
    on_both(line, |report| assert_eq!(report.messages, 30 * 12));
    on_both("broadcast --senders 2 --connections 12 --warmup 100ms --duration 300ms", has_messages);
}

#[test]
fn what_is_sent_to_a_room_reaches_its_members_alone() {
    let line = "rooms --rooms 4 --connections 12 --warmup 100ms --duration 500ms --cores 0,0";
    on_both(&format!("{line} --rate 80"), |report| assert_eq!(report.messages, 40 * 3));
    on_both(&format!("{line} --transport upgrade"), has_messages);
}

#[test]
fn a_storm_and_a_ramp_of_handshakes_complete() {
    for more in ["", " --ramp 200", " --transport polling", " --transport upgrade"] {
        on_both(&format!("connect --connections 40{more}"), |report| assert_eq!(report.messages, 40));
    }
}

#[test]
fn clients_come_and_go() {
    for transport in ["websocket", "upgrade"] {
        let line = format!("churn --transport {transport} --connections 10 --rate 50");
        on_both(&format!("{line} --warmup 100ms --duration 1s"), |report| assert_eq!(report.messages, 50));
    }
}

#[test]
fn idle_clients_are_held() {
    on_both("idle --connections 30 --warmup 0s --duration 500ms", |report| {
        assert_eq!(report.messages, 0);
        assert!(!report.timeline.is_empty());
    });
}

#[test]
fn those_that_read_get_everything_while_others_do_not() {
    let line = "slow --share 20 --connections 20 --rate 50 --payload 20000 --warmup 100ms --duration 2s";
    on_both(line, |report| {
        let slow = report.disturbance.unwrap();
        assert_eq!(slow.clients, 4, "{report}");
        assert!(report.baseline_us.is_some_and(|before| before.max > 0.0), "{report}");
        assert!(report.messages >= 50 * 16, "{report}");
    });
}

#[test]
fn everyone_is_back_after_an_avalanche() {
    on_both("avalanche --connections 30 --warmup 100ms --duration 60s", |report| {
        assert_eq!(report.messages, 30, "{report}");
        // No client of the stock library tries before half a second.
        assert!(report.disturbance.unwrap().recovery_seconds.unwrap() >= 0.5, "{report}");
        assert!(report.seconds < 60.0, "{report}");
    });
}

#[test]
fn the_parts_of_a_mix_run_beside_each_other() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("mix.toml");
    let text = "warmup = '100ms'\nduration = '500ms'\n[[part]]\nname = 'chat'\nscenario = 'rooms'\nrate = 40\n\
                connections = 6\nrooms = 2\n[[part]]\nscenario = 'echo'\nconnections = 4\nrate = 100\n\
                [[part]]\nscenario = 'idle'\nconnections = 9\ntransport = 'polling'\n";
    fs::write(&file, text).unwrap();
    let gateway = Gateway::start(&["--app", "bench", "--cores", "2"]);
    let line = ["loadgen", "mix", &file.display().to_string(), "--url", &gateway.url].map(str::to_owned);
    let Loadgen::Mix(options) = CommandLine::parse_from(line).command else { panic!("that is a mix") };
    let parts = options.parts().unwrap();
    let reports = run_parts(&parts, &options.output, Show::Nothing, &Interrupt::never()).unwrap();
    gateway.stop();
    let found: Vec<_> = reports.iter().map(|report| (report.name.as_str(), report.messages)).collect();
    assert_eq!(found, [("chat", 60), ("echo", 50), ("idle", 0)]);
    assert!(reports.iter().all(|report| report.ok));
}
