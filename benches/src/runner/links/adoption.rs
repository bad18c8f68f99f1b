//! A backend is killed, and another started: how long until its sockets are the other's, and whether their clients noticed.

use crate::runner::load::Load;
use crate::runner::stage::{Cores, Stage};
use crate::runner::{BenchError, Common};
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;

/// How long the clients stay, from when all have joined. They have to be there until the end.
const CLIENTS_STAY: &str = "6s";
/// From the last socket that the first backend counts until it is killed: the gateway has to hear that it was accepted.
const SETTLE: Duration = Duration::from_millis(300);
/// For all clients to join, or to be adopted.
const ALL_PATIENCE: Duration = Duration::from_secs(20);
/// For the load generator to end by itself.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// One run. The report of the load generator, with `adoption` in it.
pub(super) fn measure(
    common: &Common,
    stage: &mut Stage<'_>,
    cores: Cores,
    clients: u32,
    words: &[&str],
    what: &str,
) -> Result<Value, BenchError> {
    let words = [words, &["--warmup", "0ms", "--duration", CLIENTS_STAY]].concat();
    let load = Load::start(common, cores.client, &words, what)?;
    stage.wait_for_all(ALL_PATIENCE)?;
    thread::sleep(SETTLE);
    stage.kill_backend();
    let served = stage.start_backend(clients)?;
    let (all, recovered) = stage.wait_for_all(ALL_PATIENCE)?;
    let mut report = load.end(END_PATIENCE)?;
    if recovered != clients {
        eprintln!("bench: {what}: only {recovered} of {clients} sockets say that they are recovered");
        report["ok"] = json!(false);
    }
    let nanos = |time: Duration| time.as_secs_f64() * 1e9;
    report["adoption"] = json!({
        "recovered": recovered,
        "ns_exec_to_welcome": nanos(served),
        "ns_exec_to_all": nanos(all),
        "ns_welcome_to_all": nanos(all.saturating_sub(served)),
    });
    Ok(report)
}
