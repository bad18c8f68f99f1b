//! Does the generator see what goes wrong? Runs against a server of its own that stalls at known moments, and loses,
//! doubles, reorders, damages and hangs up a known number of times.

mod server;

use crate::options::Options;
use crate::report::{Report, micros};
use crate::run::{RunError, run};
use clap::Parser as _;
use server::{Faults, Made, Server};
use std::time::Duration;

/// How long the server stalls, each time.
const STALL: Duration = Duration::from_millis(200);
/// When it does, from the first message.
const STALLS_AT: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(1200)];

/// One thing that must hold.
#[derive(Clone, Debug)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it does.
    pub holds: bool,
}

/// Runs all checks; takes about a quarter of a minute.
pub fn selftest() -> Result<Vec<Check>, RunError> {
    let mut checks = Vec::new();
    check_stalls(&mut checks)?;
    for scenario in ["echo", "broadcast"] {
        check_faults(scenario, &mut checks)?;
    }
    check_disconnect(&mut checks)?;
    Ok(checks)
}

fn load(server: &Server, line: &str) -> Result<Report, RunError> {
    let line = format!("selftest {line} --warmup 0s --url {}", server.url());
    run(&Options::parse_from(line.split(' ')))
}

fn check_stalls(checks: &mut Vec<Check>) -> Result<(), RunError> {
    let stalling = || Server::start(Faults { stalls: &STALLS_AT, stall: STALL, ..Faults::default() });
    let open = load(&stalling()?, "echo --connections 8 --rate 2000 --duration 2s")?;
    let closed = load(&stalling()?, "echo --connections 8 --duration 2s")?;
    let (seen, slept) = (open.latency_us, STALL.as_micros() as f64);
    // Two stalls are a fifth of the time; a message that was due in one waited for its rest.
    checks.push(Check {
        name: format!(
            "two stalls of {} in 2 s, at a rate: p90 {}, p99.9 {} (in a closed loop the same stalls leave p99.9 at {}: who waits for answers asks less while it matters)",
            micros(slept),
            micros(seen.p90),
            micros(seen.p99_9),
            micros(closed.latency_us.p99_9)
        ),
        holds: open.ok && seen.p99_9 >= 0.9 * slept && seen.p90 >= 0.2 * slept,
    });
    checks.push(Check {
        name: format!("all {} messages were sent and answered; the schedule did not wait", open.messages),
        holds: open.messages == 4000,
    });
    Ok(())
}

fn check_faults(scenario: &str, checks: &mut Vec<Check>) -> Result<(), RunError> {
    let server =
        Server::start(Faults { drop: 101, double: 103, damage: 107, delay: 109, ..Faults::default() })?;
    let report = load(&server, &format!("{scenario} --connections 4 --rate 1000 --duration 1s"))?;
    let (made, errors) = (server.made(), &report.errors);
    let pairs = [
        ("lost", made.dropped, errors.lost),
        ("doubled", made.doubled, errors.duplicated),
        ("reordered", made.delayed, errors.reordered),
        ("damaged", made.damaged, errors.mismatched),
    ];
    for (what, made, counted) in pairs {
        let name = format!("{scenario}: {made} messages {what}, {counted} counted");
        checks.push(Check { name, holds: made > 0 && made == counted });
    }
    let Made { dropped, doubled, delayed, damaged } = made;
    let all = dropped + doubled + delayed + damaged;
    checks.push(Check {
        name: format!("{scenario}: {all} errors in all, and the run fails"),
        holds: errors.total() == all && !report.ok,
    });
    Ok(())
}

fn check_disconnect(checks: &mut Vec<Check>) -> Result<(), RunError> {
    let server = Server::start(Faults { hang_up_after: 50, ..Faults::default() })?;
    let report = load(&server, "echo --connections 3 --duration 300ms")?;
    let counted = report.errors.disconnected;
    let name = format!("3 clients disconnected, {counted} counted");
    checks.push(Check { name, holds: counted == 3 && !report.ok });
    Ok(())
}
