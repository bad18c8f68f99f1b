//! `scripts/bench issue3`: what an application behind the gateway costs, next to the stock server and to the gateway
//! with an application of its own.
//!
//! Up to three processes share two CPUs. That does not falsify CPU time, which the kernel counts for each thread; but
//! caches are shared, and who waits for the CPU finds more work when it gets it. So each row says who has a CPU for
//! itself: as a rule the process that is measured.

mod adoption;
mod lineup;
mod rows;
mod table;

pub use lineup::Lineup;
pub use rows::{Alone, LINES, Line, Number, ROWS, Row, Target, Unit, Work};

use super::{BenchError, Common};
use clap::Parser;
use lineup::{Cores, Stage};
use serde_json::Value;
use std::fs;
use std::process::Stdio;
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
    let built: Vec<Lineup> = [Lineup::Stock, Lineup::Node, Lineup::Rust, Lineup::Embedded]
        .into_iter()
        .filter(|lineup| is_built(*lineup, common))
        .collect();
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
    common.save("issue3", &runs.iter().map(Run::to_json).collect::<Vec<_>>())
}

fn is_built(lineup: Lineup, common: &Common) -> bool {
    let built = lineup.is_built(common);
    if !built {
        eprintln!("bench: {} is not built, and left out", lineup.name());
    }
    built
}

/// One run, with processes of its own.
fn measure(row: &Row, lineup: Lineup, options: &LinkOptions) -> Result<Value, BenchError> {
    let common = &options.common;
    let cores = Cores::share(lineup, row.alone, options.first_core, options.second_core);
    let mut stage = Stage::open(common, lineup, cores, row.clients)?;
    if let Some(load) = row.warm_up {
        let words = [load, &["--url", stage.server.url()]].concat();
        let status = common.load(cores.client, &words).stdout(Stdio::null()).status()?;
        common.report(status, &format!("warming up {} with {}", row.name, lineup.name()))?;
    }
    let clients = row.clients.to_string();
    let server = stage.server.pid().to_string();
    let mut words = row.load.to_vec();
    words.extend(["--connections", &clients, "--url"]);
    let url = stage.server.url().to_owned();
    words.extend([url.as_str(), "--server-pid", &server]);
    if row.work == Work::Adoption {
        let what = format!("{} with {}", row.name, lineup.name());
        return adoption::measure(common, &mut stage, cores.client, row.clients, &words, &what);
    }
    let backend = stage.backend.as_ref().map(|backend| backend.pid().to_string());
    if let Some(backend) = &backend {
        words.extend(["--backend-pid", backend]);
    }
    words.extend(if common.quick { QUICK } else { FULL });
    let status = common.load(cores.client, &words).stdout(Stdio::null()).status()?;
    common.report(status, &format!("{} with {}", row.name, lineup.name()))
}
