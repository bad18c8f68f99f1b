//! Results of benchmarks as tables and charts in the documentation: a result file in, Markdown and SVG out.
//!
//! ```text
//! results ──► groups ──► markdown ──► markers (what is between them is ours)
//!    │          └──────► svg
//!    └─► judge, number, escape
//! ```
//!
//! It knows nothing but the file: servers, rows and lines are whatever is in it, and each of them may lack any run or
//! number. Only this module touches files. The same file gives the same bytes, so that a diff shows what has changed.

mod escape;
mod groups;
mod judge;
mod markdown;
mod markers;
mod number;
mod results;
mod svg;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use markers::MarkerError;

use clap::Args;
use results::Results;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};
use thiserror::Error;
use time::OffsetDateTime;

/// Names of the results that are shown if none is named.
const NAMES: [&str; 2] = ["peers", "scaling"];
/// Where charts are, from a document's place.
const CHARTS: &str = "benchmarks";

/// What to show, and where.
#[derive(Debug, Args)]
pub struct RenderOptions {
    /// Result files. Each goes between the markers of its name. By default peers.json and scaling.json, if they are there.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    results: Vec<PathBuf>,
    /// Directory with the documents; charts go to its subdirectory `benchmarks`.
    #[arg(long, value_name = "DIR", default_value = "docs")]
    docs: PathBuf,
    /// Directory with results that are not named.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out_dir: PathBuf,
}

/// Why nothing was rendered; no file has been written then.
#[derive(Debug, Error)]
pub enum RenderError {
    /// A file of ours.
    #[error("{}: {error}", path.display())]
    #[expect(missing_docs, reason = "the names say it")]
    Io { path: PathBuf, error: io::Error },
    /// Something that is no result file.
    #[error("{}: {error}", path.display())]
    #[expect(missing_docs, reason = "the names say it")]
    Results { path: PathBuf, error: serde_json::Error },
    /// There is nothing to show.
    #[error("no peers.json and no scaling.json in {}", .0.display())]
    NoResults(PathBuf),
    /// A document without its place for the results, or with several.
    #[error("{}: the marker `bench:{name}` {error}", path.display())]
    #[expect(missing_docs, reason = "the names say it")]
    Marker { path: PathBuf, name: String, error: MarkerError },
}

/// Shows results in the documents, and draws their charts. Says what it has written.
pub fn render(options: &RenderOptions) -> Result<(), RenderError> {
    let mut documents = documents(&options.docs)?;
    let mut files = BTreeMap::new();
    for path in options.results()? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let results = Results::parse(&read(&path)?).map_err(|error| RenderError::Results { path, error })?;
        let (document, new) = shown(&documents, &options.docs, &name, &results)?;
        files.insert(document.clone(), new.clone());
        documents.insert(document, new);
        for group in groups::groups(&results) {
            if let Some(svg) = svg::chart(&results, &group) {
                files.insert(options.docs.join(chart_file(&name, &group.name)), svg);
            }
        }
    }
    for (path, content) in files {
        write(&path, &content)?;
        println!("{}", path.display());
    }
    Ok(())
}

impl RenderOptions {
    fn results(&self) -> Result<Vec<PathBuf>, RenderError> {
        if !self.results.is_empty() {
            return Ok(self.results.clone());
        }
        let paths = NAMES.map(|name| self.out_dir.join(name).with_extension("json"));
        let there: Vec<PathBuf> = paths.into_iter().filter(|path| path.exists()).collect();
        if there.is_empty() { Err(RenderError::NoResults(self.out_dir.clone())) } else { Ok(there) }
    }
}

/// The document that shows results of this name, with these in it. Exactly one must.
fn shown(
    documents: &BTreeMap<PathBuf, String>,
    docs: &Path,
    name: &str,
    results: &Results,
) -> Result<(PathBuf, String), RenderError> {
    let marker =
        |path: &Path, error| RenderError::Marker { path: path.to_owned(), name: name.to_owned(), error };
    let mut mentioning = documents.iter().filter(|(_, text)| markers::mentions(text, name));
    let (path, text) = mentioning.next().ok_or_else(|| marker(docs, MarkerError::Missing))?;
    if let Some((other, _)) = mentioning.next() {
        return Err(marker(other, MarkerError::Doubled));
    }
    let content = markdown::section(results, name);
    let new = markers::replace(text, name, &content).map_err(|error| marker(path, error))?;
    Ok((path.clone(), new))
}

/// Every Markdown file of a directory.
fn documents(docs: &Path) -> Result<BTreeMap<PathBuf, String>, RenderError> {
    let failed = |error| RenderError::Io { path: docs.to_owned(), error };
    let mut documents = BTreeMap::new();
    for entry in fs::read_dir(docs).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let text = read(&path)?;
            documents.insert(path, text);
        }
    }
    Ok(documents)
}

fn read(path: &Path) -> Result<String, RenderError> {
    fs::read_to_string(path).map_err(|error| RenderError::Io { path: path.to_owned(), error })
}

fn write(path: &Path, content: &str) -> Result<(), RenderError> {
    let failed = |error| RenderError::Io { path: path.to_owned(), error };
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    fs::write(path, content).map_err(failed)
}

/// Where the chart of a group is, from the document's place.
fn chart_file(name: &str, group: &str) -> String {
    format!("{CHARTS}/{name}-{group}.svg")
}

/// When and on what: `Measured 2026-11-20, commit abc1234, Intel Xeon, 2 cores, Linux 6.18, SCHED_FIFO`.
fn about(results: &Results) -> String {
    let mut parts = vec![format!("Measured {}", date(results.unix_time))];
    let mut add = |part: String, there: bool| parts.extend(there.then_some(part));
    add(format!("commit {}", results.commit), !results.commit.is_empty());
    add(results.cpu.clone(), !results.cpu.is_empty());
    let cores = if results.cores == 1 { "core" } else { "cores" };
    add(format!("{} {cores}", results.cores), results.cores > 0);
    add(format!("Linux {}", results.kernel), !results.kernel.is_empty());
    add("SCHED_FIFO".into(), results.fifo);
    add("quick".into(), results.quick);
    parts.join(", ")
}

fn date(unix_time: u64) -> String {
    let time = i64::try_from(unix_time).ok().filter(|time| *time > 0);
    match time.map(OffsetDateTime::from_unix_timestamp) {
        Some(Ok(time)) => time.date().to_string(),
        _ => "at an unknown time".into(),
    }
}
