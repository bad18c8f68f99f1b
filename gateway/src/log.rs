//! Log lines: to stderr, one per start, stop or warning, and never one per message.

use crate::config::LogFormat;
use std::io::IsTerminal as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Sends the log of the whole process to stderr. Called once, at start; a second call changes nothing.
///
/// `level` has been checked with the configuration: `info`, or `info,tidegate::admin=debug`.
pub fn init(level: &str, format: LogFormat) {
    let filter: Targets = level.parse().unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let terminal = std::io::stderr().is_terminal();
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let json = match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let registry = tracing_subscriber::registry();
    // Failing means that a log is there already, as in tests.
    let _already_there = if json {
        registry.with(layer.json().flatten_event(true).with_filter(filter)).try_init()
    } else {
        registry.with(layer.with_ansi(terminal).with_filter(filter)).try_init()
    };
}
