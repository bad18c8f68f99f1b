//! The command line, and what its values mean.

mod mix;
mod output;
mod scenarios;
mod values;

pub use mix::{MixError, MixOptions, Part};
pub use output::{Allow, CompareOptions, OutputOptions};
pub use scenarios::{
    AvalancheOptions, BroadcastOptions, ChurnOptions, ConnectOptions, Cut, EchoOptions, IdleOptions, Pace,
    RoomsOptions, ScenarioOptions, SlowOptions,
};
pub use values::{Auth, Cores, Header, Namespace, SourceAddresses, Url};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::time::Duration;
use values::{parse_duration, parse_path, parse_rate, parse_time_span};

/// The load generator that tells the truth about latency, for any Socket.IO server (protocol 5 over Engine.IO 4).
///
/// The server answers as Tidegate's `--app bench` does: `echo` acknowledges with its arguments; `broadcast` emits
/// `news` with its arguments to everyone; `join` and `leave` take a room, and `join` is acknowledged; `room` takes a
/// room and arguments, and emits `msg` with those to the room. docs/loadgen.md has a server of twenty lines.
///
/// Exit code: 0, or 1 if anything was lost, doubled, damaged or disconnected, or 2 if the run did not go through. The
/// first Ctrl-C ends the run and has it reported (exit code 130), the second ends it at once.
#[derive(Clone, Debug, Parser)]
#[command(name = "tidegate-loadgen", version)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one in the process")]
pub enum Command {
    /// One scenario.
    #[command(flatten)]
    Load(ScenarioOptions),
    /// Several scenarios at once, as a TOML file says.
    Mix(MixOptions),
    /// Several results side by side.
    Compare(CompareOptions),
    /// Show that errors and stalls are seen, against a server of its own that makes them on purpose.
    Selftest,
}

/// One scenario, with its options.
#[derive(Clone, Debug, Parser)]
#[command(name = "tidegate-loadgen")]
pub struct Options {
    /// What the clients do.
    #[command(subcommand)]
    pub scenario: ScenarioOptions,
}

impl Options {
    /// The options every scenario has.
    pub fn common(&self) -> &Common {
        self.scenario.common()
    }
}

/// The transport of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TransportOption {
    /// WebSocket from the start.
    Websocket,
    /// HTTP long-polling on keep-alive connections, one for GET and one for POST per client.
    Polling,
    /// Long-polling first, then WebSocket, as the stock client does. A client has joined when it is on WebSocket.
    Upgrade,
}

impl TransportOption {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::Polling => "polling",
            Self::Upgrade => "upgrade",
        }
    }
}

/// Handshakes under way at once, where nothing else sets their pace.
const CONCURRENCY: u32 = 128;

impl Common {
    /// Handshakes under way at once; `None` without limit.
    pub fn concurrency(&self) -> Option<u32> {
        self.concurrency.or(if self.ramp.is_some() { None } else { Some(CONCURRENCY) })
    }
}

/// The options every scenario has.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    pub url: Url,
    /// Path of the Socket.IO endpoint.
    #[arg(long, value_name = "PATH", default_value = "/socket.io/", value_parser = parse_path)]
    pub path: String,
    /// The namespace that the clients join.
    #[arg(long, value_name = "NAME", default_value = "/")]
    pub namespace: Namespace,
    /// What the clients say of themselves when they join, as a JSON object: `auth` of the stock client.
    #[arg(long, value_name = "JSON")]
    pub auth: Option<Auth>,
    /// A header field for every request of the clients. Can be given several times.
    #[arg(long, value_name = "NAME: VALUE")]
    pub header: Vec<Header>,
    /// How the clients talk.
    #[arg(long, value_enum, default_value_t = TransportOption::Websocket)]
    pub transport: TransportOption,
    /// Clients.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub connections: u32,
    /// The measured time.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time_span)]
    pub duration: Duration,
    /// Time under load before the measured time.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub warmup: Duration,
    /// Handshakes under way at once, on each core, while the clients connect. 128, or without limit if there is a --ramp.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: Option<u32>,
    /// Clients that begin to connect per second, all cores together, whether or not earlier ones have joined. A handshake
    /// counts from when its client was due. Without it: as the handshakes complete.
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate)]
    pub ramp: Option<f64>,
    /// Local addresses to connect from, in turn: each has 28 000 ports. Such as 127.0.0.1-127.0.0.8.
    #[arg(long, value_name = "FROM-TO")]
    pub source_addresses: Option<SourceAddresses>,
    /// CPUs to run on, one thread pinned to each. Such as 1,3 or 2-5. Without it: one thread, not pinned.
    #[arg(long, value_name = "LIST")]
    pub cores: Option<Cores>,
    /// What to do with the result.
    #[command(flatten)]
    pub output: OutputOptions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        CommandLine::command().debug_assert();
        Options::command().debug_assert();
    }

    #[test]
    fn a_broadcast_is_a_closed_loop_or_has_a_rate() {
        let parse = |line: &str| Options::try_parse_from(line.split(' '));
        assert!(parse("loadgen broadcast --rate 10").is_ok());
        assert!(parse("loadgen broadcast --rate 10 --in-flight 2").is_err());
        assert!(parse("loadgen broadcast --rate 0").is_err());
        assert!(parse("loadgen echo --rate 10 --in-flight 2").is_err());
    }

    #[test]
    fn idle_clients_are_held_over_several_heartbeats_unless_told_otherwise() {
        let seconds = |line: &str| Options::parse_from(line.split(' ')).common().duration.as_secs();
        assert_eq!(seconds("loadgen idle"), 60);
        assert_eq!(seconds("loadgen idle --duration 2s"), 2);
        assert_eq!(seconds("loadgen echo"), 5);
    }
}
