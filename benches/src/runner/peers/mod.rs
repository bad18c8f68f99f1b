//! `scripts/bench peers`: Tidegate next to the least a server can do, and to servers that do the same.

mod rows;
mod table;
mod total;

pub use rows::{Better, Limit, Line, ROWS, Row, Unit};

use super::load::{self, Load};
use super::results::{About, Results, RowAbout, Run};
use super::stage::{Cores, Stage};
use super::{BenchError, Common, Lineup};
use clap::Parser;
use rows::{ISSUE2_ROWS, ISSUE2_SERVERS};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::{fs, io};
use table::Table;

/// What to measure, and where.
#[derive(Debug, Parser)]
pub struct PeerOptions {
    /// What every benchmark needs.
    #[command(flatten)]
    common: Common,
    /// Only these servers. Those that are not built are left out.
    #[arg(long, value_enum, value_name = "NAMES", value_delimiter = ',')]
    servers: Vec<Lineup>,
    /// CPU of the server; if it is gateway and backend, of both.
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    server_core: u32,
    /// CPU of the load generator.
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    client_core: u32,
    /// Keep what earlier calls have measured, except where a row and a server are measured again.
    #[arg(long)]
    keep: bool,
}

impl PeerOptions {
    /// What is not asked for otherwise is as issue 2 has it.
    #[must_use]
    pub fn of_issue2(mut self) -> Self {
        if self.servers.is_empty() {
            self.servers = ISSUE2_SERVERS.to_vec();
        }
        if self.common.rows.is_empty() {
            self.common.rows = ISSUE2_ROWS.iter().map(ToString::to_string).collect();
        }
        self
    }

    fn cores(&self) -> Cores {
        Cores { front: self.server_core, backend: self.server_core, client: self.client_core }
    }
}

/// Measures the rows, prints each as a table, and writes everything to `<out_dir>/peers.json`, after each row.
///
/// A server that cannot do a row is noted there, and the others go on.
pub fn peers(options: &PeerOptions) -> Result<(), BenchError> {
    let common = &options.common;
    fs::create_dir_all(&common.out_dir)?;
    raise_descriptor_limit()?;
    let wanted = if options.servers.is_empty() { Lineup::all() } else { &options.servers };
    let lineups = Lineup::built(wanted, common);
    if lineups.is_empty() {
        return Err(BenchError::Nothing("none of the servers is built"));
    }
    let mut notes = Notes::open(options)?;
    for row in ROWS.iter().filter(|row| common.wants(row.name)) {
        measure_row(row, &lineups, options, &mut notes)?;
        let results = notes.save(common)?;
        print!("{}", Table { row, lineups: &lineups, results: &results });
    }
    if notes.runs.is_empty() {
        return Err(BenchError::Nothing("no row has such a name"));
    }
    println!("\nEvery run is in {}", notes.path.display());
    Ok(())
}

/// Servers with 10 000 clients need as many descriptors, and not all of them see to it themselves.
fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// All repetitions, interleaved.
fn measure_row(
    row: &Row,
    lineups: &[Lineup],
    options: &PeerOptions,
    notes: &mut Notes,
) -> Result<(), BenchError> {
    let mut able: Vec<Lineup> = lineups.iter().copied().filter(|lineup| row.suits(*lineup)).collect();
    for repetition in 0..options.common.repetitions().min(row.repetitions_max) {
        let mut unable = Vec::new();
        for lineup in able.iter().copied() {
            let run = match measure(row, lineup, options, notes) {
                Ok(report) => Run::new(row.name, lineup, repetition, report),
                Err(error @ (BenchError::Server(_) | BenchError::Load(_))) => {
                    eprintln!("bench: {} with {}: {error}", row.name, lineup.name());
                    unable.push(lineup);
                    Run::failed(row.name, lineup, repetition, &error)
                }
                Err(error) => return Err(error),
            };
            notes.runs.push(run);
        }
        // What it cannot do once it need not try again: it would take minutes to find out.
        able.retain(|lineup| !unable.contains(lineup));
    }
    Ok(())
}

/// One run, with processes of its own.
fn measure(row: &Row, lineup: Lineup, options: &PeerOptions, notes: &mut Notes) -> Result<Value, BenchError> {
    let (common, cores) = (&options.common, options.cores());
    let stage = Stage::open(common, lineup, cores, 0)?;
    notes.set_version(lineup, stage.version());
    let what = format!("{} with {}", row.name, lineup.name());
    let arguments = stage.arguments();
    let watched: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let Some(warm_up) = row.warm_up {
        let words = [warm_up, &watched].concat();
        Load::start(common, cores.client, &words, &format!("warming up {what}"))?.end(load::PATIENCE)?;
    }
    let timing = if common.quick { row.quick } else { row.full };
    let words = [row.load, timing, &watched].concat();
    let mut report = Load::start(common, cores.client, &words, &what)?.end(load::PATIENCE)?;
    total::add_up(&mut report);
    Ok(report)
}

/// What has been measured so far, and what is kept from earlier.
struct Notes {
    path: PathBuf,
    earlier: Option<Results>,
    /// Of what the servers are made.
    versions: Vec<(Lineup, String)>,
    runs: Vec<Run>,
}

impl Notes {
    fn open(options: &PeerOptions) -> Result<Self, BenchError> {
        let path = options.common.out_dir.join("peers.json");
        let earlier = if options.keep { Results::load(&path)? } else { None };
        let notes = Self { path, earlier, versions: Vec::new(), runs: Vec::new() };
        // If they cannot be kept, now is the time to say so.
        notes.results(&options.common)?;
        Ok(notes)
    }

    fn set_version(&mut self, lineup: Lineup, version: String) {
        self.versions.retain(|(known, _)| *known != lineup);
        self.versions.push((lineup, version));
    }

    /// Everything, in the order of the table. Rows that there are no longer are not kept.
    fn results(&self, common: &Common) -> Result<Results, BenchError> {
        let mut results = Results::new(common);
        results.runs.clone_from(&self.runs);
        if let Some(earlier) = &self.earlier {
            let other = |what| BenchError::Keep(self.path.clone(), format!("it is of another {what}"));
            results.keep(earlier).map_err(other)?;
        }
        results.runs.retain(|run| ROWS.iter().any(|row| row.name == run.row));
        let is_measured = |name: &str| results.runs.iter().any(|run| run.server == name || run.row == name);
        let rows = ROWS.iter().filter(|row| is_measured(row.name));
        results.rows = rows.map(about).collect();
        let lineups = Lineup::all().iter().filter(|lineup| is_measured(lineup.name()));
        results.servers = lineups.map(|lineup| About::new(*lineup, self.version(*lineup))).collect();
        Ok(results)
    }

    fn version(&self, lineup: Lineup) -> String {
        let now = self.versions.iter().find(|(known, _)| *known == lineup).map(|(_, version)| version);
        let before = || {
            let servers = &self.earlier.as_ref()?.servers;
            servers.iter().find(|about| about.name == lineup.name()).map(|about| &about.version)
        };
        now.or_else(before).cloned().unwrap_or_default()
    }

    fn save(&self, common: &Common) -> Result<Results, BenchError> {
        let results = self.results(common)?;
        results.save(&self.path)?;
        Ok(results)
    }
}

fn about(row: &Row) -> RowAbout {
    let lines = row.lines.iter().map(|line| json!(line)).collect();
    RowAbout { name: row.name.into(), title: row.title.into(), lines }
}
