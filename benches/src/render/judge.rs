//! Who is best, and whether Tidegate is.
//!
//! The floor is no server, and a number from a run that failed means nothing: neither competes.

use super::results::{Better, Kind, Line, Results, Row, Server};

/// Closer than this share of the best, two servers are equally good: runs of one server differ by more.
const TIE: f64 = 0.01;

/// How one of ours does in one line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing<'a> {
    /// No other server is better by more than a tie allows.
    Leads,
    /// This one is.
    Behind(&'a Server),
    /// Runs of ours failed.
    Failed,
}

/// The best servers of a line; several if they are equally good, none if nothing is better or worse here.
pub(super) fn best<'a>(results: &'a Results, row: &Row, line: &Line) -> Vec<&'a Server> {
    let competitors: Vec<_> = competitors(results, row, line, |_| true).collect();
    let Some((_, best)) = first(&competitors, line) else { return Vec::new() };
    competitors.iter().filter(|(_, value)| ties(*value, best)).map(|(server, _)| *server).collect()
}

/// How one of our servers does next to those of others. `None` if there is nothing to compare: no number of ours, or
/// none of any other server, or none is better than another.
pub(super) fn standing<'a>(
    results: &'a Results,
    row: &Row,
    line: &Line,
    ours: &Server,
) -> Option<Standing<'a>> {
    let peers: Vec<_> = competitors(results, row, line, |server| server.kind == Kind::Peer).collect();
    let (peer, best) = first(&peers, line)?;
    let trouble = results.trouble(row, ours).is_some();
    let Some(measured) = results.measured(row, line, ours) else {
        return trouble.then_some(Standing::Failed);
    };
    Some(match measured.median {
        _ if trouble => Standing::Failed,
        value if ties(value, best) || is_better(line, value, best) => Standing::Leads,
        _ => Standing::Behind(peer),
    })
}

/// Servers with a number that counts.
fn competitors<'a>(
    results: &'a Results,
    row: &Row,
    line: &Line,
    eligible: impl Fn(&Server) -> bool,
) -> impl Iterator<Item = (&'a Server, f64)> {
    let counts = |server: &&Server| {
        server.kind != Kind::Floor && eligible(server) && results.trouble(row, server).is_none()
    };
    let servers = results.servers.iter().filter(counts).collect::<Vec<_>>().into_iter();
    servers.filter_map(|server| Some((server, results.measured(row, line, server)?.median)))
}

fn first<'a>(competitors: &[(&'a Server, f64)], line: &Line) -> Option<(&'a Server, f64)> {
    if line.better == Better::None {
        return None;
    }
    let better = |one: (&'a Server, f64), other: (&'a Server, f64)| {
        if is_better(line, other.1, one.1) { other } else { one }
    };
    competitors.iter().copied().reduce(better)
}

fn is_better(line: &Line, value: f64, other: f64) -> bool {
    match line.better {
        Better::Less => value < other,
        Better::More => value > other,
        Better::None => false,
    }
}

fn ties(value: f64, best: f64) -> bool {
    (value - best).abs() <= TIE * best.abs()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{results, run};
    use super::*;
    use serde_json::{Value, json};

    fn report(cpu: f64, rate: f64) -> Value {
        json!({ "ok": true, "messages_per_second": rate, "server": { "cpu_ns_per_message": cpu } })
    }

    /// The names of the best, and how Tidegate stands, in a line of `echo-100`.
    fn judged(line: usize, reports: &[(&str, Value)]) -> (Vec<String>, Option<String>) {
        let runs: Vec<Value> =
            reports.iter().map(|(server, report)| run("echo-100", server, report)).collect();
        let results = results(&runs);
        let (row, ours) = (&results.rows[0], results.reference().unwrap());
        let best = best(&results, row, &row.lines[line]).iter().map(|server| server.name.clone()).collect();
        let standing = standing(&results, row, &row.lines[line], ours);
        let words = standing.map(|standing| match standing {
            Standing::Leads => "leads".to_owned(),
            Standing::Behind(server) => format!("behind {}", server.name),
            Standing::Failed => "failed".to_owned(),
        });
        (best, words)
    }

    const CPU: usize = 0;
    const RATE: usize = 1;

    #[test]
    fn two_within_one_percent_lead_together() {
        let of = |cpu| judged(CPU, &[("tidegate", report(cpu, 1.0)), ("bun", report(100.0, 1.0))]);
        assert_eq!(of(101.0), (vec!["tidegate".into(), "bun".into()], Some("leads".into())));
        assert_eq!(of(101.2), (vec!["bun".into()], Some("behind bun".into())));
        assert_eq!(of(98.0), (vec!["tidegate".into()], Some("leads".into())));
    }

    #[test]
    fn more_is_better_for_a_rate() {
        let reports = [("tidegate", report(1.0, 50.0)), ("bun", report(1.0, 60.0))];
        assert_eq!(judged(RATE, &reports), (vec!["bun".into()], Some("behind bun".into())));
    }

    #[test]
    fn the_floor_does_not_compete() {
        let reports =
            [("floor", report(1.0, 1.0)), ("tidegate", report(2.0, 1.0)), ("bun", report(3.0, 1.0))];
        assert_eq!(judged(CPU, &reports), (vec!["tidegate".into()], Some("leads".into())));
        assert_eq!(judged(CPU, &reports[..2]), (vec!["tidegate".into()], None));
    }

    #[test]
    fn who_failed_does_not_compete() {
        let mut failed = report(1.0, 1.0);
        failed["ok"] = json!(false);
        let theirs = [("tidegate", report(2.0, 1.0)), ("bun", failed.clone()), ("node", report(3.0, 1.0))];
        assert_eq!(judged(CPU, &theirs), (vec!["tidegate".into()], Some("leads".into())));
        let ours = [("tidegate", failed.clone()), ("bun", report(2.0, 1.0))];
        assert_eq!(judged(CPU, &ours), (vec!["bun".into()], Some("failed".into())));
        let ours = [("tidegate", Value::Null), ("bun", report(2.0, 1.0))];
        assert_eq!(judged(CPU, &ours).1, Some("failed".into()));
        // Nobody is beaten who could not run.
        let alone = [("tidegate", report(2.0, 1.0)), ("bun", failed)];
        assert_eq!(judged(CPU, &alone).1, None);
    }

    #[test]
    fn what_is_missing_is_not_compared() {
        assert_eq!(judged(CPU, &[]), (vec![], None));
        assert_eq!(judged(CPU, &[("bun", report(1.0, 1.0))]), (vec!["bun".into()], None));
        assert_eq!(judged(2, &[("tidegate", report(1.0, 1.0)), ("bun", report(1.0, 1.0))]).1, None);
    }

    #[test]
    fn zero_is_best_where_less_is_better() {
        let reports = [("tidegate", report(0.0, 0.0)), ("bun", report(5.0, 1.0))];
        assert_eq!(judged(CPU, &reports), (vec!["tidegate".into()], Some("leads".into())));
    }
}
