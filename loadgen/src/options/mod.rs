//! The command line, and what its values mean.

mod values;

pub use values::{Cores, SourceAddresses, Url};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;
use values::{parse_duration, parse_rate};

/// Load for Socket.IO servers: what a message costs, how long it takes, and whether it arrives.
///
/// The server must answer as Tidegate's `--app bench` does: `echo` acknowledges with its arguments, `broadcast`
/// emits `news` with its arguments to everyone.
///
/// Exit code: 0, or 1 if anything was lost, doubled, damaged or disconnected, or 2 if the run did not go through.
#[derive(Clone, Debug, Parser)]
#[command(name = "tidegate-loadgen", version)]
pub struct Options {
    /// What the clients do.
    #[command(subcommand)]
    pub scenario: ScenarioOptions,
}

impl Options {
    /// The options every scenario has.
    pub fn common(&self) -> &Common {
        match &self.scenario {
            ScenarioOptions::Echo { common, .. }
            | ScenarioOptions::Broadcast { common, .. }
            | ScenarioOptions::Connect { common }
            | ScenarioOptions::Idle { common } => common,
        }
    }
}

/// What the clients do.
#[derive(Clone, Debug, Subcommand)]
pub enum ScenarioOptions {
    /// Clients send `echo` with an ack: each waits for the answer before the next (closed loop), or they take turns at
    /// a rate.
    Echo {
        /// The options every scenario has.
        #[command(flatten)]
        common: Common,
        /// Characters of the string that is echoed.
        #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(..=1 << 20))]
        payload: u32,
        /// Messages under way per client.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
        in_flight: u32,
        /// Echoes per second, all clients together, whether the last ones have arrived or not (open loop).
        #[arg(long, value_name = "PER_SECOND", conflicts_with = "in_flight", value_parser = parse_rate)]
        rate: Option<f64>,
        /// Echo WebSocket messages, with no Socket.IO above them.
        #[arg(long)]
        bare: bool,
    },
    /// The first client emits `broadcast`; every client, itself included, must receive each `news` once.
    Broadcast {
        /// The options every scenario has.
        #[command(flatten)]
        common: Common,
        /// Characters of the arguments: sequence number, timestamp and padding.
        #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(..=1 << 20))]
        payload: u32,
        /// Broadcasts under way (closed loop).
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
        in_flight: u32,
        /// Broadcasts per second, whether the last ones have arrived or not (open loop).
        #[arg(long, value_name = "PER_SECOND", conflicts_with = "in_flight", value_parser = parse_rate)]
        rate: Option<f64>,
    },
    /// Full handshakes as fast as they come: TCP, WebSocket, Engine.IO, CONNECT. What is measured ends there.
    Connect {
        /// The options every scenario has.
        #[command(flatten)]
        common: Common,
    },
    /// Hold clients that only answer heartbeats.
    Idle {
        /// The options every scenario has.
        #[command(flatten)]
        common: Common,
    },
}

/// The transport of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TransportOption {
    /// WebSocket from the start.
    Websocket,
    /// HTTP long-polling on keep-alive connections, one for GET and one for POST per client.
    Polling,
}

/// The options every scenario has.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    pub url: Url,
    /// Path of the Socket.IO endpoint.
    #[arg(long, value_name = "PATH", default_value = "/socket.io/")]
    pub path: String,
    /// How the clients talk.
    #[arg(long, value_enum, default_value_t = TransportOption::Websocket)]
    pub transport: TransportOption,
    /// Clients.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub connections: u32,
    /// The measured time.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Time under load before the measured time.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub warmup: Duration,
    /// Handshakes under way at once, on each core.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: u32,
    /// Clients that begin to connect per second, all cores together. Without it: as the handshakes complete.
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate)]
    pub ramp: Option<f64>,
    /// Local addresses to connect from, in turn: each has 28 000 ports. Such as 127.0.0.1-127.0.0.8.
    #[arg(long, value_name = "FROM-TO")]
    pub source_addresses: Option<SourceAddresses>,
    /// CPUs to run on, one thread pinned to each. Such as 1,3 or 2-5. Without it: one thread, not pinned.
    #[arg(long, value_name = "LIST")]
    pub cores: Option<Cores>,
    /// The server's process, to measure its CPU time and memory.
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// The process behind the server, to measure its CPU time and memory by itself.
    #[arg(long, value_name = "PID")]
    pub backend_pid: Option<u32>,
    /// Write the result here as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Options::command().debug_assert();
    }

    #[test]
    fn echoes_and_broadcasts_are_a_closed_loop_or_have_a_rate() {
        let parse = |line: &str| Options::try_parse_from(line.split(' '));
        for scenario in ["echo", "broadcast"] {
            assert!(parse(&format!("loadgen {scenario} --rate 10")).is_ok());
            assert!(parse(&format!("loadgen {scenario} --rate 10 --in-flight 2")).is_err());
            assert!(parse(&format!("loadgen {scenario} --rate 0")).is_err());
        }
    }
}
