//! Instructions of every workload next to the committed baseline: `scripts/bench instructions`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};
use tidegate_micro::baseline::{Baseline, Line, Verdict, heading};
use tidegate_micro::count;
use tidegate_micro::{Workload, workloads};

/// The allocator of the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What was asked for.
#[derive(Default)]
struct Options {
    baseline: PathBuf,
    out_dir: PathBuf,
    /// Take the numbers over instead of complaining.
    update: bool,
    /// Workloads whose names contain one of these; all if there are none.
    filters: Vec<String>,
}

impl Options {
    /// `BASELINE OUT_DIR [--update] [FILTER…]`
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Error> {
        let (Some(baseline), Some(out_dir)) = (args.next(), args.next()) else {
            return Err("which baseline, and a folder for profiles?".into());
        };
        let mut options = Self { baseline: baseline.into(), out_dir: out_dir.into(), ..Self::default() };
        for arg in args {
            match arg.as_str() {
                "--update" => options.update = true,
                unknown if unknown.starts_with('-') => return Err(format!("what is {unknown}?").into()),
                _ => options.filters.push(arg),
            }
        }
        Ok(options)
    }

    fn wants(&self, workload: &Workload) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| workload.name.contains(filter))
    }
}

fn main() -> ExitCode {
    let mut args = env::args().skip(1).peekable();
    if args.next_if(|arg| arg == count::RUN).is_some() {
        let name = args.next().unwrap_or_default();
        let all = workloads();
        count::run(all.iter().find(|workload| workload.name == name).expect("the parent knows the names"));
        return ExitCode::SUCCESS;
    }
    match Options::parse(args).and_then(|options| compare(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

/// Counts, shows, and says whether nothing has become worse.
fn compare(options: &Options) -> Result<bool, Error> {
    let mut baseline = read_baseline(options)?;
    let all = workloads();
    let names: Vec<String> = all.iter().map(|workload| workload.name.clone()).collect();
    let wanted: Vec<Workload> = all.into_iter().filter(|workload| options.wants(workload)).collect();
    fs::create_dir_all(&options.out_dir)?;
    let counts = count_all(&wanted, &options.out_dir)?;
    write_json(
        &options.out_dir.join("instructions.json"),
        &counts.iter().cloned().collect::<BTreeMap<_, _>>(),
    )?;

    println!("{}", heading());
    for (name, instructions) in &counts {
        println!("{}", Line { name, instructions: *instructions, baseline: &baseline });
    }
    if options.update {
        baseline.update(&counts, &names);
        baseline.made_with = tools();
        write_json(&options.baseline, &baseline)?;
        println!("{} is up to date", options.baseline.display());
        return Ok(true);
    }
    Ok(judge(&baseline, &counts, &names))
}

/// Says in words what the table shows.
fn judge(baseline: &Baseline, counts: &[(String, f64)], all: &[String]) -> bool {
    let with = |verdict| -> Vec<&str> {
        let having =
            counts.iter().filter(|(name, instructions)| baseline.verdict(name, *instructions) == verdict);
        having.map(|(name, _)| name.as_str()).collect()
    };
    let (worse, better, new) = (with(Verdict::Worse), with(Verdict::Better), with(Verdict::New));
    let gone: Vec<&str> = baseline.gone(all).collect();
    let update = "scripts/bench instructions --update";
    let tolerance = baseline.tolerance_percent;
    if !worse.is_empty() {
        println!("\nmore instructions than the baseline and {tolerance} % allow: {}", worse.join(", "));
        println!("if that is the price of something: {update}, and say in the commit what of");
        for (tool, now) in tools() {
            if let Some(then) = baseline.made_with.get(&tool).filter(|then| **then != now) {
                println!("the baseline was made with {then}; this is {now}");
            }
        }
    }
    if !better.is_empty() {
        println!(
            "\nfewer instructions than the baseline: {}\nto keep it that way: {update}",
            better.join(", ")
        );
    }
    if !new.is_empty() || !gone.is_empty() {
        println!(
            "\nnot in the baseline, or only there: {}\n{update}",
            [new.clone(), gone.clone()].concat().join(", ")
        );
    }
    worse.is_empty() && new.is_empty() && gone.is_empty()
}

fn read_baseline(options: &Options) -> Result<Baseline, Error> {
    match fs::read(&options.baseline) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)
            .map_err(|error| format!("{}: {error}", options.baseline.display()))?),
        Err(_) if options.update => Ok(Baseline { tolerance_percent: 3.0, ..Baseline::default() }),
        Err(error) => Err(format!("{}: {error}", options.baseline.display()).into()),
    }
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(fs::write(path, text)?)
}

/// One process for each workload, as many at a time as there are cores. In the order of `workloads`.
fn count_all(workloads: &[Workload], out_dir: &Path) -> Result<Vec<(String, f64)>, Error> {
    let program = env::current_exe()?;
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, f64)>, Error> {
        let mut counts = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(workload) = workloads.get(index) else { return Ok(counts) };
            let out = out_dir.join(format!("callgrind.{}", workload.name.replace('/', ".")));
            let count = count::count(&program, workload, &out);
            counts.push((index, count.map_err(|error| format!("{}: {error}", workload.name))?));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut counts = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join().expect("a worker does not panic"));
        done.collect::<Result<Vec<_>, _>>()
    })?
    .concat();
    counts.sort_by_key(|(index, _)| *index);
    Ok(counts.into_iter().map(|(index, count)| (workloads[index].name.clone(), count)).collect())
}

/// What the numbers depend on, beside the code.
fn tools() -> BTreeMap<String, String> {
    ["rustc", "valgrind", "ldd"]
        .into_iter()
        .filter_map(|tool| {
            let output = Command::new(tool).arg("--version").output().ok()?;
            let version = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
            Some((tool.to_owned(), version))
        })
        .collect()
}
