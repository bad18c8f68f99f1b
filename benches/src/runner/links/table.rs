//! Medians and verdicts, as lines of a Markdown table.

use super::rows::{LINES, Line, Number, Target, Work};
use crate::runner::{Lineup, median, results};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// One run of one lineup.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) row: &'static str,
    pub(super) work: Work,
    pub(super) lineup: Lineup,
    pub(super) repetition: u32,
    /// The load generator's report.
    pub(super) report: Value,
}

impl Run {
    pub(super) fn result(&self) -> results::Run {
        results::Run::new(self.row, self.lineup, self.repetition, self.report.clone())
    }

    fn number(&self, number: Number) -> Option<f64> {
        let at = |pointer: &str| self.report.pointer(pointer).and_then(Value::as_f64);
        let (application, gateway) = match self.lineup {
            Lineup::Tidegate => (None, Some("/server")),
            lineup if lineup.has_backend() => (Some("/backend"), Some("/server")),
            // The stock server is an application, not a gateway.
            _ => (Some("/server"), None),
        };
        let messages = match self.work {
            Work::Message => 1.0,
            Work::Broadcast => at("/joined")?,
            // No messages.
            Work::Adoption => 0.0,
        };
        let cpu = |process: Option<&str>| Some(at(&format!("{}/cpu_ns_per_message", process?))? * messages);
        match number {
            Number::Application => cpu(application),
            Number::Gateway => cpu(gateway),
            Number::Both => Some(cpu(application)? + gateway.map_or(Some(0.0), |_| cpu(gateway))?),
            Number::Latency => Some(at("/latency_us/p50")? * 1e3),
            Number::Rate => at("/messages_per_second"),
            Number::Adopted => at("/adoption/ns_welcome_to_all"),
            Number::AdoptedFromExec => at("/adoption/ns_exec_to_all"),
        }
    }
}

/// The table, with a column for each lineup.
pub(super) struct Table<'a> {
    pub(super) lineups: &'a [Lineup],
}

impl Table<'_> {
    pub(super) fn head(&self) -> String {
        let titles: Vec<&str> = self.lineups.iter().map(|lineup| lineup.title()).collect();
        format!(
            "| median [least–most] | {} | target |\n|{}\n",
            titles.join(" | "),
            "---|".repeat(titles.len() + 2)
        )
    }

    /// The lines of one row, from its runs and those of rows before.
    pub(super) fn lines(&self, row: &str, runs: &[Run]) -> String {
        let mut text = String::new();
        for line in LINES.iter().filter(|line| line.row == row) {
            let _ = write!(text, "| {} |", line.label);
            for lineup in self.lineups {
                let _ = write!(text, " {} |", cell(line, *lineup, runs));
            }
            let _ = writeln!(text, " {} |", verdict(line, runs));
        }
        text
    }
}

fn numbers(row: &str, lineup: Lineup, number: Number, runs: &[Run]) -> Vec<f64> {
    let same = |run: &&Run| run.row == row && run.lineup == lineup;
    runs.iter().filter(same).filter_map(|run| run.number(number)).collect()
}

/// `*`: the generator's core was busy in some run, so rate and latency are the pair's. `!`: errors in some run.
fn marks(line: &Line, lineup: Lineup, runs: &[Run]) -> &'static str {
    let any = |pointer, value: bool| {
        let same = |run: &&Run| run.row == line.row && run.lineup == lineup;
        runs.iter().filter(same).any(|run| run.report.pointer(pointer) == Some(&json!(value)))
    };
    let shared = matches!(line.number, Number::Rate | Number::Latency) && any("/client/saturated", true);
    match (any("/ok", false), shared) {
        (true, _) => "!",
        (false, true) => "*",
        (false, false) => "",
    }
}

fn cell(line: &Line, lineup: Lineup, runs: &[Run]) -> String {
    let values = numbers(line.row, lineup, line.number, runs);
    let (least, most) =
        values.iter().fold((f64::MAX, f64::MIN), |(a, b), value| (a.min(*value), b.max(*value)));
    let show = |value| line.unit.show(value);
    let Some(middle) = median(values) else { return "–".into() };
    format!("{}{} [{}–{}]", show(middle), marks(line, lineup, runs), show(least), show(most))
}

fn verdict(line: &Line, runs: &[Run]) -> String {
    let of = |row, lineup| median(numbers(row, lineup, line.number, runs));
    let judge = |value: Option<f64>, most: f64, show: &dyn Fn(f64) -> String| {
        let Some(value) = value else { return format!("≤ {}", show(most)) };
        let word = if value <= most { "met" } else { "MISSED" };
        format!("{} ≤ {}: {word}", show(value), show(most))
    };
    match line.target {
        Target::None => String::new(),
        Target::Ratio(one, other, most) => {
            let ratio = of(line.row, one).zip(of(line.row, other)).map(|(one, other)| one / other);
            judge(ratio, most, &|ratio| format!("1/{:.1}", 1.0 / ratio))
        }
        Target::Added(one, other, most) => {
            let added = of(line.row, one).zip(of(line.row, other)).map(|(one, other)| one - other);
            judge(added, most, &|value| format!("+{}", line.unit.show_whole(value)))
        }
        Target::Growth(lineup, since, most) => {
            let growth = of(line.row, lineup).zip(of(since, lineup)).map(|(now, then)| now / then);
            judge(growth, most, &|ratio| format!("{ratio:.2}×"))
        }
        Target::AtMost(most) => {
            let worst =
                |worst: Option<f64>, lineup| worst.into_iter().chain(of(line.row, lineup)).reduce(f64::max);
            let all = [Lineup::Node, Lineup::TidegateNode, Lineup::TidegateRust, Lineup::Tidegate];
            judge(all.into_iter().fold(None, worst), most, &|value| line.unit.show_whole(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(row: &'static str, work: Work, lineup: Lineup, report: Value) -> Run {
        Run { row, work, lineup, repetition: 0, report }
    }

    fn line(label: &str) -> &'static Line {
        LINES.iter().find(|line| line.label.contains(label)).unwrap()
    }

    #[test]
    fn the_application_is_the_stock_server_or_what_is_behind_the_gateway() {
        let report = json!({ "server": { "cpu_ns_per_message": 9000.0 }, "backend": { "cpu_ns_per_message": 2000.0 } });
        let number = |lineup, number| run("", Work::Message, lineup, report.clone()).number(number);
        assert_eq!(number(Lineup::Node, Number::Application), Some(9000.0));
        assert_eq!(number(Lineup::Node, Number::Gateway), None);
        assert_eq!(number(Lineup::Node, Number::Both), Some(9000.0));
        assert_eq!(number(Lineup::TidegateNode, Number::Application), Some(2000.0));
        assert_eq!(number(Lineup::TidegateNode, Number::Gateway), Some(9000.0));
        assert_eq!(number(Lineup::TidegateNode, Number::Both), Some(11000.0));
        assert_eq!(number(Lineup::Tidegate, Number::Application), None);
    }

    #[test]
    fn a_broadcast_costs_what_its_deliveries_cost_together() {
        let report = json!({ "joined": 100, "server": { "cpu_ns_per_message": 7.0 } });
        let run = run("", Work::Broadcast, Lineup::Node, report);
        assert_eq!(run.number(Number::Application), Some(700.0));
    }

    #[test]
    fn targets_are_ratios_differences_growths_and_bounds() {
        let cpu = |row, lineup, application: f64, gateway: f64| {
            let (server, backend) =
                if lineup == Lineup::Node { (application, 0.0) } else { (gateway, application) };
            let report = json!({ "joined": 1, "server": { "cpu_ns_per_message": server }, "backend": { "cpu_ns_per_message": backend } });
            let work = if row == "adoption-10000" { Work::Adoption } else { Work::Message };
            run(row, work, lineup, report)
        };
        let runs = [
            cpu("echo-1000", Lineup::Node, 18_000.0, 0.0),
            cpu("echo-1000", Lineup::TidegateNode, 3_000.0, 4_000.0),
            cpu("gateway-1000", Lineup::Tidegate, 0.0, 4_000.0),
            cpu("gateway-1000", Lineup::TidegateRust, 1_000.0, 6_500.0),
            cpu("broadcast-100", Lineup::TidegateNode, 100.0, 0.0),
            cpu("broadcast-10000", Lineup::TidegateNode, 120.0, 0.0),
        ];
        assert_eq!(verdict(line("CPU of the application per event"), &runs), "1/6.0 ≤ 1/3.0: met");
        assert_eq!(verdict(line("CPU of the gateway per event"), &runs), "+2.50 µs ≤ +2.00 µs: MISSED");
        assert_eq!(verdict(line("does it depend"), &runs), "1.20× ≤ 1.50×: met");
        assert_eq!(verdict(line("from WELCOME"), &runs), "≤ 2000.0 ms");
        assert_eq!(
            cell(line("CPU of the application per event"), Lineup::TidegateNode, &runs),
            "3.00 [3.00–3.00]"
        );
        assert_eq!(cell(line("CPU of the application per event"), Lineup::TidegateRust, &runs), "–");
    }
}
