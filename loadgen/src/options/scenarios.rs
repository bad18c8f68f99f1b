//! What the clients can be told to do.

use super::values::{parse_rate, parse_share, parse_time_span};
use super::{Common, OutputOptions};
use clap::{Args, Subcommand, ValueEnum};
use std::time::Duration;

/// What the clients do.
#[derive(Clone, Debug, Subcommand)]
pub enum ScenarioOptions {
    /// Every client sends `echo` with an ack: in a closed loop (`--in-flight`), or at a rate (`--rate`).
    Echo(EchoOptions),
    /// Some clients emit `broadcast`; every client, themselves included, must receive each `news` once, in order.
    Broadcast(BroadcastOptions),
    /// Clients join rooms; one member of each emits `room`, and every member must receive each `msg` once, in order.
    Rooms(RoomsOptions),
    /// Full handshakes as fast as they come, or with `--ramp`: TCP, transport, Engine.IO, CONNECT. Nothing after it.
    Connect(ConnectOptions),
    /// Clients come and go at a rate; those that have been there longest leave.
    Churn(ChurnOptions),
    /// Hold clients that only answer heartbeats.
    Idle(IdleOptions),
    /// A broadcast at a rate; half-way a share of the clients stops reading. What do the others notice?
    Slow(SlowOptions),
    /// All clients lose their connection at once and come back as the stock client does: after 1 s, then 2, 4, 5, ± half.
    Avalanche(AvalancheOptions),
}

impl ScenarioOptions {
    /// Its name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Echo(_) => "echo",
            Self::Broadcast(_) => "broadcast",
            Self::Rooms(_) => "rooms",
            Self::Connect(_) => "connect",
            Self::Churn(_) => "churn",
            Self::Idle(_) => "idle",
            Self::Slow(_) => "slow",
            Self::Avalanche(_) => "avalanche",
        }
    }

    /// The options every scenario has.
    pub fn common(&self) -> &Common {
        match self {
            Self::Echo(options) => &options.common,
            Self::Broadcast(options) => &options.common,
            Self::Rooms(options) => &options.common,
            Self::Connect(options) => &options.common,
            Self::Churn(options) => &options.common,
            Self::Idle(options) => &options.common,
            Self::Slow(options) => &options.common,
            Self::Avalanche(options) => &options.common,
        }
    }

    /// The same, to change them.
    pub(super) fn common_mut(&mut self) -> &mut Common {
        match self {
            Self::Echo(options) => &mut options.common,
            Self::Broadcast(options) => &mut options.common,
            Self::Rooms(options) => &mut options.common,
            Self::Connect(options) => &mut options.common,
            Self::Churn(options) => &mut options.common,
            Self::Idle(options) => &mut options.common,
            Self::Slow(options) => &mut options.common,
            Self::Avalanche(options) => &mut options.common,
        }
    }

    /// Bytes of its messages, without what is around them.
    pub(crate) fn payload_bytes(&self) -> u64 {
        match self {
            Self::Echo(options) => options.payload.into(),
            Self::Broadcast(options) => options.payload.into(),
            Self::Rooms(options) => options.payload.into(),
            Self::Slow(options) => options.payload.into(),
            Self::Connect(_) | Self::Churn(_) | Self::Idle(_) | Self::Avalanche(_) => 0,
        }
    }

    /// What to do with the result.
    pub fn output(&self) -> &OutputOptions {
        &self.common().output
    }
}

/// When the next message is sent.
#[derive(Clone, Copy, Debug, Args)]
pub struct Pace {
    /// Closed loop: messages under way, per client (`echo`) or per sender. The next is sent when one has arrived.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub in_flight: u32,
    /// Open loop: messages per second, all senders together, whether the last ones have arrived or not.
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "in_flight", value_parser = parse_rate)]
    pub rate: Option<f64>,
}

/// `echo`.
#[derive(Clone, Debug, Args)]
pub struct EchoOptions {
    /// The options every scenario has.
    #[command(flatten)]
    pub common: Common,
    /// Characters of the string that is echoed.
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(..=1 << 20))]
    pub payload: u32,
    /// When the next message is sent.
    #[command(flatten)]
    pub pace: Pace,
    /// Echo WebSocket messages, with no Socket.IO above them.
    #[arg(long)]
    pub bare: bool,
}

/// `broadcast`.
#[derive(Clone, Debug, Args)]
pub struct BroadcastOptions {
    /// The options every scenario has.
    #[command(flatten)]
    pub common: Common,
    /// Characters of the arguments, about: numbers, timestamp and padding.
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(..=1 << 20))]
    pub payload: u32,
    /// When the next message is sent.
    #[command(flatten)]
    pub pace: Pace,
    /// Clients that send.
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub senders: u32,
}

/// `rooms`.
#[derive(Clone, Debug, Args)]
pub struct RoomsOptions {
    /// The options every scenario has.
    #[command(flatten)]
    pub common: Common,
    /// Characters of the arguments behind the room, about: numbers, timestamp and padding.
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(..=1 << 20))]
    pub payload: u32,
    /// When the next message is sent.
    #[command(flatten)]
    pub pace: Pace,
    /// Rooms. Every client is in one, and the clients are dealt out evenly.
    #[arg(long, value_name = "M", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub rooms: u32,
}

/// `connect`.
#[derive(Clone, Debug, Args)]
pub struct ConnectOptions {
    /// The options every scenario has.
    #[command(flatten)]
    pub common: Common,
}

/// `churn`.
#[derive(Clone, Debug, Args)]
pub struct ChurnOptions {
    /// The options every scenario has.
    #[command(flatten)]
    pub common: Common,
    /// Clients that come per second, all cores together. As many leave, so that about `--connections` are there.
    #[arg(long, value_name = "PER_SECOND", default_value = "50", value_parser = parse_rate)]
    pub rate: f64,
    /// How long a client stays; instead of `--rate`, which is then connections by stay.
    #[arg(long, value_name = "TIME", conflicts_with = "rate", value_parser = parse_time_span)]
    pub stay: Option<Duration>,
}

impl ChurnOptions {
    /// Clients that come per second.
    pub fn arrivals_per_second(&self) -> f64 {
        match self.stay {
            Some(stay) => f64::from(self.common.connections) / stay.as_secs_f64(),
            None => self.rate,
        }
    }
}

/// `idle`.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("duration", |duration| duration.default_value("60s")))]
pub struct IdleOptions {
    /// The options every scenario has.
    #[command(flatten)]
    pub common: Common,
}

/// `slow`.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("duration", |duration| duration.default_value("10s")))]
pub struct SlowOptions {
    /// The options every scenario has.
    #[command(flatten)]
    pub common: Common,
    /// Characters of the arguments, about: numbers, timestamp and padding.
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(..=1 << 20))]
    pub payload: u32,
    /// Broadcasts per second (open loop).
    #[arg(long, value_name = "PER_SECOND", default_value = "100", value_parser = parse_rate)]
    pub rate: f64,
    /// The clients that stop reading half-way through the measured time, in per cent of all.
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = parse_share)]
    pub share: f64,
}

/// Who ends the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cut {
    /// Ours are closed without a goodbye when the measured time begins.
    Client,
    /// You stop the server, and start it again, within the measured time. Time counts from the first loss.
    Server,
}

/// `avalanche`.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("duration", |duration| duration.default_value("60s")))]
pub struct AvalancheOptions {
    /// The options every scenario has; the duration is the longest to wait.
    #[command(flatten)]
    pub common: Common,
    /// Who ends the connections.
    #[arg(long, value_enum, default_value_t = Cut::Client)]
    pub cut: Cut,
}
