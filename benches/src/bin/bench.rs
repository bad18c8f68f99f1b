//! `bench`: measures Tidegate, the floor and the peers side by side. `scripts/bench` builds what it needs.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tidegate_benches::runner::{self, Options};

/// Tidegate next to the floor and its peers.
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The rows of issue 2, "Speed and memory it must reach".
    Issue2(Options),
}

fn main() -> ExitCode {
    let What::Issue2(options) = Cli::parse().what;
    match runner::issue2(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
