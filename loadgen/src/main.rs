//! `tidegate-loadgen`: parses the command line, runs, prints, and says by its exit code whether all was well.

use clap::Parser as _;
use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use tidegate_loadgen::options::{
    Command, CommandLine, CompareOptions, MixOptions, Options, OutputOptions, Part, ScenarioOptions,
};
use tidegate_loadgen::report::{Report, html, load as load_reports, save_html, save_mix};
use tidegate_loadgen::run::{Interrupt, Show, run_parts};

/// The run went through, and the server lost, doubled or damaged something.
const EXIT_ERRORS: u8 = 1;
/// The run did not go through.
const EXIT_FAILED: u8 = 2;

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let mut interrupted = None;
    let interrupt = match &command {
        Command::Load(_) | Command::Mix(_) => Interrupt::on_signals(),
        Command::Compare(_) | Command::Selftest => Ok(Interrupt::never()),
    };
    let result = interrupt.map_err(Into::into).and_then(|interrupt| {
        let result = match command {
            Command::Load(scenario) => load(scenario, &interrupt),
            Command::Mix(options) => mix(&options, &interrupt),
            Command::Compare(options) => compare(&options),
            Command::Selftest => selftest(),
        };
        interrupted = interrupt.exit_code();
        result
    });
    match (result, interrupted) {
        (Ok(_), Some(code)) => ExitCode::from(code),
        (Ok(true), None) => ExitCode::SUCCESS,
        (Ok(false), None) => ExitCode::from(EXIT_ERRORS),
        (Err(error), _) => {
            eprintln!("tidegate-loadgen: {error}");
            ExitCode::from(interrupted.unwrap_or(EXIT_FAILED))
        }
    }
}

fn load(scenario: ScenarioOptions, interrupt: &Interrupt) -> Result<bool, Box<dyn Error>> {
    let output = scenario.output().clone();
    output.check()?;
    let part = Part { name: scenario.name().into(), options: Options { scenario } };
    let reports = run_parts(&[part], &output, Show::Live, interrupt)?;
    print_all(&reports);
    if let Some(path) = &output.json {
        reports[0].save(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    save(&reports, &output)
}

fn mix(options: &MixOptions, interrupt: &Interrupt) -> Result<bool, Box<dyn Error>> {
    if options.output.hdr.is_some() {
        return Err("--hdr is for one scenario: the parts of a mix have latencies of different kinds".into());
    }
    let parts = options.parts().map_err(|error| format!("{}: {error}", options.file.display()))?;
    options.output.check()?;
    let reports = run_parts(&parts, &options.output, Show::Live, interrupt)?;
    print_all(&reports);
    if let Some(path) = &options.output.json {
        save_mix(&reports, path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    save(&reports, &options.output)
}

fn selftest() -> Result<bool, Box<dyn Error>> {
    let checks = tidegate_loadgen::selftest::selftest()?;
    for check in &checks {
        print(&format!("  {}  {}\n", if check.holds { "ok    " } else { "FAILED" }, check.name));
    }
    Ok(checks.iter().all(|check| check.holds))
}

fn print_all(reports: &[Report]) {
    reports.iter().for_each(|report| print(&report.to_string()));
}

/// Prints what may not be wanted: whoever closes the pipe has read enough, and the files are still to be written.
fn print(text: &str) {
    let _nobody_listens = io::stdout().write_all(text.as_bytes());
}

/// Writes the other files that are wanted. True if all was well.
fn save(reports: &[Report], output: &OutputOptions) -> Result<bool, Box<dyn Error>> {
    if let Some(path) = &output.hdr {
        reports[0].save_hdr(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    if let Some(path) = &output.report {
        save_html(reports, path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(reports.iter().all(|report| report.ok))
}

/// Shows results of earlier runs. A run is named by its file, and a part of a mix by both.
fn compare(options: &CompareOptions) -> Result<bool, Box<dyn Error>> {
    options.check()?;
    let mut runs: Vec<(String, Report)> = Vec::new();
    for path in &options.files {
        let reports = load_reports(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let several = reports.len() > 1;
        let named = reports.into_iter().map(|report| match several {
            true => (format!("{file}: {}", report.name), report),
            false => (file.clone(), report),
        });
        runs.extend(named);
    }
    for (name, report) in &runs {
        print(&format!("{name}: {report}"));
    }
    if let Some(path) = &options.report {
        let page = match runs.as_slice() {
            [(_, report)] => html::single(report),
            _ => html::compare(&runs),
        };
        std::fs::write(path, page).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(runs.iter().all(|(_, report)| report.ok))
}
