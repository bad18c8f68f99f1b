//! `scripts/bench issue3`: what an application behind the gateway costs, next to the stock server and to the gateway
//! with an application of its own.
//!
//! Up to three processes share two CPUs. That does not falsify CPU time, which the kernel counts for each thread; but
//! caches are shared, and who waits for the CPU finds more work when it gets it. So each row says who has a CPU for
//! itself: as a rule the process that is measured.

mod adoption;
mod rows;
mod table;

pub use rows::{Alone, LINES, Line, Number, ROWS, Row, Target, Unit, Work};

use super::load::{self, Load};
use super::results::Results;
use super::stage::Stage;
use super::{BenchError, Common, Lineup};
use clap::Parser;
use serde_json::Value;
use std::fs;
use table::{Run, Table};

/// How long a load is applied, for numbers that count; and for `--quick`.
const FULL: &[&str] = &["--warmup", "1s", "--duration", "3s"];
const QUICK: &[&str] = &["--warmup", "300ms", "--duration", "1s"];

/// What to measure for issue 3, and where.
#[derive(Debug, Parser)]
pub struct LinkOptions {
    /// What every benchmark needs.
    #[command(flatten)]
    common: Common,
    /// CPU of the gateway, and in some rows of others.
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    first_core: u32,
    /// The other CPU.
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    second_core: u32,
}

/// Measures the rows, prints the table (in Markdown), and writes everything to `<out_dir>/issue3.json`.
pub fn issue3(options: &LinkOptions) -> Result<(), BenchError> {
    let common = &options.common;
    fs::create_dir_all(&common.out_dir)?;
    let wanted = [Lineup::Node, Lineup::TidegateNode, Lineup::TidegateRust, Lineup::Tidegate];
    let built = Lineup::built(&wanted, common);
    let table = Table { lineups: &built };
    let mut runs = Vec::new();
    print!("{}", table.head());
    for row in ROWS.iter().filter(|row| common.wants(row.name)) {
        for repetition in 0..common.repetitions() {
            for lineup in row.lineups.iter().copied().filter(|lineup| built.contains(lineup)) {
                let report = measure(row, lineup, options)?;
                runs.push(Run { row: row.name, work: row.work, lineup, repetition, report });
            }
        }
        print!("{}", table.lines(row.name, &runs));
    }
    if runs.is_empty() {
        return Err(BenchError::Nothing("no row has such a name"));
    }
    let mut results = Results::new(common);
    results.runs = runs.iter().map(Run::result).collect();
    results.save(&common.out_dir.join("issue3.json"))
}

/// One run, with processes of its own.
fn measure(row: &Row, lineup: Lineup, options: &LinkOptions) -> Result<Value, BenchError> {
    let common = &options.common;
    let cores = row.alone.cores(lineup, options.first_core, options.second_core);
    let mut stage = Stage::open(common, lineup, cores, row.clients)?;
    let what = format!("{} with {}", row.name, lineup.name());
    let arguments = stage.arguments();
    let watched: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let Some(warm_up) = row.warm_up {
        let words = [warm_up, &watched].concat();
        Load::start(common, cores.client, &words, &format!("warming up {what}"))?.end(load::PATIENCE)?;
    }
    let clients = row.clients.to_string();
    let words = [row.load, &["--connections", &clients], &watched].concat();
    if row.work == Work::Adoption {
        return adoption::measure(common, &mut stage, cores, row.clients, &words, &what);
    }
    let words = [&words[..], if common.quick { QUICK } else { FULL }].concat();
    Load::start(common, cores.client, &words, &what)?.end(load::PATIENCE)
}
