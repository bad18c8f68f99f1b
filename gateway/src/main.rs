//! The `tidegate` command: reads what the operator wants, and does it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tidegate::cli::{self, Task};
use tidegate::config::{self, Checked, Machine, Problem, environment, reference};
use tidegate::{apps, log};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The command line or the configuration makes no sense. (1 is for everything that goes wrong later.)
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    avoid_huge_pages();
    match cli::parse(std::env::args_os()) {
        Ok(Task::ConfigDefault) => {
            // `tidegate config default | head` closes the pipe early, which is no failure.
            let _closed = std::io::stdout().write_all(reference::default_file().as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Task::ConfigCheck(file)) => check(&file),
        Ok(Task::Serve { config, flags }) => serve(config, flags),
        Err(error) => {
            // Help and the version come this way too, and are no failure. Nobody is left if this cannot be printed.
            let _closed = error.print();
            if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

/// Has the kernel back this process with pages of 4 KiB, whatever the allocator asks for.
///
/// Pages of 2 MiB are mostly empty, and never quite: with them a gateway with ten thousand clients was twice as large,
/// and hardly smaller when they had left. Echo among ten thousand took as long with them as without.
fn avoid_huge_pages() {
    // Where the kernel refuses, things are as they would have been.
    let _refused = rustix::thread::disable_transparent_huge_pages(true);
}

fn check(file: &Path) -> ExitCode {
    match config::check_file(file, &Machine::this()) {
        Ok(Checked { warnings, .. }) => {
            warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            println!("{}: ok", file.display());
            ExitCode::SUCCESS
        }
        Err(problems) => complain(&problems, ExitCode::FAILURE),
    }
}

fn serve(config: Option<PathBuf>, flags: Vec<config::Layer>) -> ExitCode {
    let file = config.or_else(|| std::env::var_os(environment::CONFIG_VARIABLE).map(PathBuf::from));
    let Checked { config, warnings } =
        match config::load(file.as_deref(), std::env::vars_os(), flags, &Machine::this()) {
            Ok(checked) => checked,
            Err(problems) => return complain(&problems, ExitCode::from(EXIT_USAGE)),
        };
    log::init(&config.log_level, config.log_format);
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    match apps::serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn complain(problems: &[Problem], code: ExitCode) -> ExitCode {
    problems.iter().for_each(|problem| eprintln!("tidegate: {problem}"));
    code
}
