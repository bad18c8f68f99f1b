//! `tidegate-loadgen`: parses the command line, runs, prints, and says by its exit code whether all was well.

use clap::Parser as _;
use std::process::ExitCode;
use tidegate_loadgen::options::Options;
use tidegate_loadgen::report::Report;

/// The run went through, and the server lost, doubled or damaged something.
const EXIT_ERRORS: u8 = 1;
/// The run did not go through.
const EXIT_FAILED: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    let report = match tidegate_loadgen::run(&options) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("tidegate-loadgen: {error}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    print!("{report}");
    if let Err(error) = options.common().json.as_ref().map_or(Ok(()), |path| Report::save(&report, path)) {
        eprintln!("tidegate-loadgen: cannot write the JSON file: {error}");
        return ExitCode::from(EXIT_FAILED);
    }
    if report.ok { ExitCode::SUCCESS } else { ExitCode::from(EXIT_ERRORS) }
}
