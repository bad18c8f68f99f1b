//! One run: a fresh server, a load, and what is looked at beside the load.

use super::ScalingOptions;
use super::kernel::Memory;
use super::rows::{Kind, Server};
use crate::runner::BenchError;
use crate::runner::common::command;
use crate::runner::process::PATIENCE;
use crate::runner::server::Server as Running;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fs, io};

/// Before the first connection, and from the moment when all are there, until the kernel's memory is looked at. Less than the
/// load's warm-up.
const SETTLING: Duration = Duration::from_secs(1);
/// Between two looks at whether they are there.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at whether the generator's workers are.
const SHORT_PAUSE: Duration = Duration::from_millis(1);

/// Measures one row with one server.
pub(super) fn measure(
    kind: &Kind,
    connections: u32,
    server: Server,
    options: &ScalingOptions,
) -> Result<Value, BenchError> {
    if server == Server::Core {
        return crowd(connections, options);
    }
    let common = &options.common;
    let running = Running::start(&common.prefix(options.server_core), &gateway(kind, server, options))?;
    // What the last run has left is still taken apart.
    sleep(kind.held.map_or(Duration::ZERO, |_| SETTLING));
    let before = Memory::now()?;
    let descriptors = descriptors(running.pid()) + u64::from(connections * kind.held.unwrap_or(0));

    let (clients, pid) = (connections.to_string(), running.pid().to_string());
    let timing = if common.quick { kind.quick } else { kind.full };
    let mut words = [kind.load, timing, &["--connections", &clients, "--url", running.url()]].concat();
    words.extend(["--server-pid", &pid]);
    if kind.spread {
        words.extend(["--ramp", &clients]);
    }
    let mut load = common.load(options.client_core, &words).stdout(Stdio::null()).spawn()?;
    if common.fifo {
        lift(&mut load)?;
    }
    let held = kind.held.and_then(|_| wait_for(descriptors, running.pid(), &mut load));
    let status = load.wait()?;
    let mut report = common.report(status, &format!("{} with {}", kind.row(connections), server.name()))?;
    if let Some(held) = held {
        report["kernel"] = held.growth(&before, connections, kind.held.unwrap_or(1));
    }
    for (count, name) in [("/server/heartbeats", "heartbeat"), ("/messages", "message")] {
        if let Some(each) = each(&report, count) {
            report[name] = each;
        }
    }
    Ok(report)
}

/// The gateway's command line. With two cores it takes the load generator's, too: there are no more.
fn gateway(kind: &Kind, server: Server, options: &ScalingOptions) -> Vec<OsString> {
    let (first, second) = (options.server_core, options.client_core);
    let (cpus, cores) = match server {
        Server::TwoCores => (format!("{first},{second}"), "2"),
        Server::OneCore | Server::Core => (first.to_string(), "1"),
    };
    let program = options.common.bin_dir.join("tidegate").into_os_string();
    let before = ["taskset", "-c", &cpus].map(OsString::from);
    let after = ["serve", "--listen", "127.0.0.1:0", "--app", "bench", "--cores", cores];
    let after = after.iter().chain(kind.gateway).map(OsString::from);
    before.into_iter().chain([program]).chain(after).collect()
}

/// A shard without a kernel, in a process that prints what it found.
fn crowd(clients: u32, options: &ScalingOptions) -> Result<Value, BenchError> {
    let common = &options.common;
    let mut million = command(&common.prefix(options.server_core));
    let output = million
        .arg(common.bin_dir.join("million"))
        .arg(clients.to_string())
        .stderr(Stdio::inherit())
        .output()?;
    let crowd: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| BenchError::Load(error.to_string()))?;
    Ok(json!({ "ok": output.status.success(), "crowd": crowd }))
}

/// Has the generator's first thread, which looks at the server's CPU time at the right moments, come before its workers.
/// Under SCHED_FIFO with all of them on one CPU, it would wait for as long as a worker has something to do: it would see the end
/// of the window as its beginning, or the clients' goodbyes in it.
fn lift(load: &mut Child) -> io::Result<()> {
    let pid = load.id().to_string();
    let deadline = Instant::now() + PATIENCE;
    // A thread that is there already keeps its priority; one that comes later would have the new one.
    while fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count) < 2 {
        if Instant::now() > deadline || !matches!(load.try_wait(), Ok(None)) {
            return Ok(());
        }
        sleep(SHORT_PAUSE);
    }
    // It may have ended since: then there is nothing to lift.
    Command::new("chrt").args(["-f", "-p", "2", &pid]).stderr(Stdio::null()).status().map(drop)
}

/// Waits until the server has so many descriptors, and looks at the kernel's memory. `None` if it does not come to that.
fn wait_for(wanted: u64, server: u32, load: &mut Child) -> Option<Memory> {
    let deadline = Instant::now() + PATIENCE;
    while descriptors(server) < wanted {
        if Instant::now() > deadline || !matches!(load.try_wait(), Ok(None)) {
            return None;
        }
        sleep(PAUSE);
    }
    sleep(SETTLING);
    Memory::now().ok()
}

/// Descriptors of a process: the size of the directory, since 6.2. To list them would cost the kernel an inode each.
fn descriptors(pid: u32) -> u64 {
    fs::metadata(format!("/proc/{pid}/fd")).map_or(0, |directory| directory.len())
}

/// CPU time of what there were so many of in the measured window, if there was any. By the share of the time, not by the
/// sum: a generator that is busy under SCHED_FIFO samples the server late, so what it has seen may be less than the window.
fn each(report: &Value, count: &str) -> Option<Value> {
    let count = report.pointer(count)?.as_f64().filter(|count| *count > 0.0)?;
    let second = |phase: &str| report["phases"][phase].as_f64();
    // A storm is over when its window begins.
    let window = Some(second("end_s")? - second("measure_from_s")?).filter(|window| *window > 0.0)?;
    let share = report.pointer("/server/cpu_share")?.as_f64()?;
    Some(json!({ "cpu_ns": share * window * 1e9 / count, "per_second": count / window }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_many_costs_its_part_of_the_window_however_late_the_samples() {
        let report = json!({
            "server": { "heartbeats": 200, "cpu_share": 0.5 },
            "messages": 0,
            "phases": { "measure_from_s": 3.0, "end_s": 5.0 },
        });
        let expected = json!({ "cpu_ns": 5_000_000.0, "per_second": 100.0 });
        assert_eq!(each(&report, "/server/heartbeats"), Some(expected));
        assert_eq!(each(&report, "/messages"), None);
        assert_eq!(each(&json!({ "ok": true }), "/messages"), None);
    }

    #[test]
    fn our_own_descriptors_are_counted_without_a_listing() {
        assert!(descriptors(std::process::id()) >= 3);
    }
}
