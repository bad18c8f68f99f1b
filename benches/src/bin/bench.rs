//! `bench`: measures Tidegate, the floor and the peers side by side. `scripts/bench` builds what it needs.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tidegate_benches::render::{self, RenderOptions};
use tidegate_benches::runner::{self, LinkOptions, Options};

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
    /// What an application behind the gateway costs.
    Issue3(LinkOptions),
    /// Results as tables and charts in the documentation.
    Render(RenderOptions),
}

fn main() -> ExitCode {
    let done = match Cli::parse().what {
        What::Issue2(options) => runner::issue2(&options).map_err(|error| error.to_string()),
        What::Issue3(options) => runner::issue3(&options).map_err(|error| error.to_string()),
        What::Render(options) => render::render(&options).map_err(|error| error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
