//! `bench`: measures Tidegate, the floor and the peers side by side. `scripts/bench` builds what it needs.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tidegate_benches::render::{self, RenderOptions};
use tidegate_benches::runner::{self, LinkOptions, PeerOptions, ScalingOptions};

/// Tidegate next to the floor and its peers.
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Tidegate next to the least a server can do, and to other servers.
    Peers(PeerOptions),
    /// The same, as issue 2 has it: fewer servers and rows unless others are named.
    Issue2(PeerOptions),
    /// What an application behind the gateway costs.
    Issue3(LinkOptions),
    /// What a connection and a message cost as there are more connections, and on two cores.
    Scaling(ScalingOptions),
    /// Results as tables and charts in the documentation.
    Render(RenderOptions),
}

fn main() -> ExitCode {
    let done = match Cli::parse().what {
        What::Peers(options) => runner::peers(&options).map_err(|error| error.to_string()),
        What::Issue2(options) => runner::peers(&options.of_issue2()).map_err(|error| error.to_string()),
        What::Issue3(options) => runner::issue3(&options).map_err(|error| error.to_string()),
        What::Scaling(options) => runner::scaling(&options).map_err(|error| error.to_string()),
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
