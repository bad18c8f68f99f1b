//! `scripts/bench scaling`: what a connection and a message cost as there are more connections, with one core and with two;
//! and what that comes to with a million.
//!
//! Sizes are compared with each other here, so a repetition is everything once.

mod kernel;
mod million;
mod page;
mod results;
mod rows;
mod run;
mod table;

use super::{BenchError, Common};
use clap::Parser;
use results::{Results, Run};
use rows::{KINDS, Kind};
use std::fs;
use std::path::PathBuf;

/// More runs than these tell nothing new.
const REPETITIONS_MAX: u32 = 3;

/// What to measure about scaling, and where.
#[derive(Debug, Parser)]
pub struct ScalingOptions {
    /// What every benchmark needs.
    #[command(flatten)]
    common: Common,
    /// CPU of the gateway, the first of its two in runs with two.
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    server_core: u32,
    /// CPU of the load generator, and the second of the gateway.
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    client_core: u32,
    /// Put the tables on this page, between its markers.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Measure nothing: show what the last run has left.
    #[arg(long)]
    render: bool,
}

/// Measures the rows, prints the tables (in Markdown), and writes everything to `<out_dir>/scaling.json`.
pub fn scaling(options: &ScalingOptions) -> Result<(), BenchError> {
    let common = &options.common;
    let results = if options.render { Results::load(common)? } else { measure_all(options)? };
    let text = page::text(&results);
    println!("{text}");
    if let Some(page) = &options.page {
        let old = fs::read_to_string(page)?;
        let new = page::replace(&old, &text).ok_or(BenchError::Nothing("the page has no markers"))?;
        fs::write(page, new)?;
    }
    Ok(())
}

fn measure_all(options: &ScalingOptions) -> Result<Results, BenchError> {
    let common = &options.common;
    fs::create_dir_all(&common.out_dir)?;
    let mut runs = Vec::new();
    for repetition in 0..common.repetitions().min(REPETITIONS_MAX) {
        for kind in KINDS {
            for size in kind.sizes(common.quick).iter().copied().filter(|size| common.wants(&kind.row(*size)))
            {
                measure_row(kind, size, repetition, options, &mut runs)?;
            }
        }
    }
    if runs.is_empty() {
        return Err(BenchError::Nothing("no row has such a name"));
    }
    let results = Results::new(common, runs);
    let path = results.save(common)?;
    eprintln!("bench: every run is in {}", path.display());
    Ok(results)
}

fn measure_row(
    kind: &Kind,
    size: u32,
    repetition: u32,
    options: &ScalingOptions,
    runs: &mut Vec<Run>,
) -> Result<(), BenchError> {
    for server in kind.servers {
        let (row, name) = (kind.row(size), server.name().to_owned());
        // What is done, for whoever waits: it takes a while.
        eprintln!("bench: {row}, {name}, {}", repetition + 1);
        runs.push(Run { row, server: name, repetition, report: run::measure(kind, size, *server, options)? });
    }
    Ok(())
}
