//! A report as a few lines for a terminal.

use super::{ClientUsage, Latency, Report, ServerUsage};
use std::fmt;

/// Microseconds, with a unit that suits them and three digits.
pub(crate) fn micros(us: f64) -> String {
    match us {
        ..10.0 => format!("{us:.1} µs"),
        ..1_000.0 => format!("{us:.0} µs"),
        ..10_000.0 => format!("{:.2} ms", us / 1e3),
        ..100_000.0 => format!("{:.1} ms", us / 1e3),
        ..1_000_000.0 => format!("{:.0} ms", us / 1e3),
        ..10_000_000.0 => format!("{:.2} s", us / 1e6),
        _ => format!("{:.1} s", us / 1e6),
    }
}

/// Digits in groups of three, with thin spaces between them.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Bytes, in the largest binary unit that leaves something before the point.
pub(super) fn bytes(bytes: f64) -> String {
    match bytes {
        ..1024.0 => format!("{bytes:.0} B"),
        ..1_048_576.0 => format!("{:.1} KiB", bytes / 1024.0),
        ..1_073_741_824.0 => format!("{:.1} MiB", bytes / 1_048_576.0),
        _ => format!("{:.2} GiB", bytes / 1_073_741_824.0),
    }
}

/// Cores in use, with as many digits as show that it is not none.
pub(super) fn cores(cores: f64) -> String {
    match cores {
        0.0 => "0".into(),
        ..0.0095 => format!("{cores:.4}"),
        ..0.095 => format!("{cores:.3}"),
        _ => format!("{cores:.2}"),
    }
}

/// A number above zero, rounded to a whole one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates and counts are small")]
pub(super) fn rounded(value: f64) -> u64 {
    value.round() as u64
}

impl Report {
    /// What the messages of this scenario are.
    pub(super) fn messages_are(&self) -> &'static str {
        match self.scenario.as_str() {
            "echo" => "echoes",
            "broadcast" | "rooms" | "slow" => "deliveries",
            "connect" | "churn" => "handshakes",
            "avalanche" => "returns",
            _ => "messages",
        }
    }

    /// What may be wrong if nothing at all came back.
    pub(super) fn hint(&self) -> Option<&'static str> {
        let talks = matches!(self.scenario.as_str(), "echo" | "broadcast" | "rooms" | "slow");
        (talks && self.messages == 0 && self.errors.lost > 0 && self.errors.disconnected == 0).then_some(
            "Nothing came back at all: does the application answer these events (docs/loadgen.md)?",
        )
    }

    /// What the latency of this scenario counts.
    pub(super) fn latency_is(&self) -> &'static str {
        match (self.scenario.as_str(), self.open_loop) {
            ("echo", true) => "from when a message was due to its answer",
            ("echo", false) => "from sending a message to its answer",
            ("slow", _) => "from when a message was due to each delivery, while some clients do not read",
            ("broadcast" | "rooms", true) => "from when a message was due to each delivery",
            ("broadcast" | "rooms", false) => "from sending a message to each delivery",
            ("connect", true) => "from when a client was due to the reply to its CONNECT",
            ("connect", false) => "from the first SYN to the reply to the CONNECT",
            ("churn", _) => "from when a client was due to the reply to its CONNECT",
            ("avalanche", _) => "from the loss of a connection to the reply to the new CONNECT",
            _ => "",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} over {}: {} of {} clients joined, handshake p50 {}, max {}",
            if self.name.is_empty() { &self.scenario } else { &self.name },
            self.transport,
            self.joined,
            self.connections,
            micros(self.handshake_us.p50),
            micros(self.handshake_us.max)
        )?;
        for warning in self.warnings() {
            writeln!(f, "  WARNING    {warning}")?;
        }
        if self.messages > 0 {
            let (rate, kind) = (grouped(rounded(self.messages_per_second)), self.messages_are());
            let (messages, seconds) = (grouped(self.messages), self.seconds);
            writeln!(f, "  {kind:<10} {rate}/s ({messages} in {seconds:.2} s)")?;
            writeln!(f, "  latency    {}", self.latency_us)?;
        }
        if let Some(baseline) = self.baseline_us.filter(|baseline| baseline.max > 0.0) {
            writeln!(f, "  before     {baseline}")?;
        }
        if let Some(disturbance) = &self.disturbance {
            match (self.scenario.as_str(), disturbance.recovery_seconds) {
                ("slow", _) => writeln!(
                    f,
                    "  slow       {} clients stopped reading; the server disconnected {} of them",
                    disturbance.clients, disturbance.consequences
                )?,
                (_, Some(seconds)) => writeln!(
                    f,
                    "  recovery   all {} clients back after {seconds:.2} s; {} attempts failed on the way",
                    disturbance.clients, disturbance.consequences
                )?,
                (_, None) => writeln!(
                    f,
                    "  recovery   {} clients lost their connection, and not all came back; {} attempts failed",
                    disturbance.clients, disturbance.consequences
                )?,
            }
        }
        if let Some(server) = &self.server {
            writeln!(f, "  server     {server}")?;
        }
        if let Some(backend) = &self.backend {
            writeln!(f, "  backend    {backend}")?;
        }
        writeln!(f, "  generator  {}", self.client)?;
        if self.errors.total() == 0 {
            return writeln!(f, "  errors     none");
        }
        for (_, name, count) in self.errors.kinds().into_iter().filter(|(.., count)| *count > 0) {
            let allowed = if self.ok { " (allowed)" } else { "" };
            writeln!(f, "  ERROR      {} {name}{allowed}", grouped(count))?;
        }
        self.error_samples.iter().try_for_each(|sample| writeln!(f, "             {sample}"))?;
        match self.hint() {
            Some(hint) => writeln!(f, "             {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p99_9, p99_99, max } = *self;
        let named =
            [("p50", p50), ("p90", p90), ("p99", p99), ("p99.9", p99_9), ("p99.99", p99_99), ("max", max)];
        let text: Vec<String> = named.iter().map(|(name, us)| format!("{name} {}", micros(*us))).collect();
        write!(f, "{}", text.join("   "))
    }
}

impl fmt::Display for ServerUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cpu) = self.cpu_ns_per_message {
            write!(f, "{} of CPU per message, ", micros(cpu / 1e3))?;
        }
        write!(f, "{:.2} cores", self.cpu_share)?;
        if let Some(quiet) = self.quiet_cpu_share.filter(|_| self.heartbeats > 0) {
            write!(f, " ({quiet:.4} without heartbeats; {} came)", self.heartbeats)?;
        }
        let (resident, each) = (bytes(self.rss_bytes as f64), bytes(self.rss_bytes_per_client));
        write!(f, ", {resident} resident, {each} per client")?;
        write!(f, ", {} of CPU per handshake", micros(self.connect_cpu_ns / 1e3))
    }
}

impl fmt::Display for ClientUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cpu) = self.cpu_ns_per_message {
            write!(f, "{} of CPU per message", micros(cpu / 1e3))?;
            let user = self.user_cpu_ns_per_message.unwrap_or(0.0);
            write!(f, " ({} outside the kernel), ", micros(user / 1e3))?;
        }
        write!(f, "{:.0} % of its core", self.busiest_core * 100.0)?;
        match &self.late_us {
            Some(late) => write!(f, ", sent late by p99 {}, max {}", micros(late.p99), micros(late.max)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_and_as_many_digits_as_they_deserve() {
        let shown: Vec<String> =
            [0.0, 9.94, 210.4, 1_400.0, 14_000.0, 203_400.0, 2.5e6, 12.34e6].map(micros).into();
        assert_eq!(shown, ["0.0 µs", "9.9 µs", "210 µs", "1.40 ms", "14.0 ms", "203 ms", "2.50 s", "12.3 s"]);
        assert_eq!([bytes(12.0), bytes(2268.0), bytes(3e7)], ["12 B", "2.2 KiB", "28.6 MiB"]);
        assert_eq!([cores(0.0), cores(0.005), cores(0.05), cores(1.5)], ["0", "0.0050", "0.050", "1.50"]);
        assert_eq!([grouped(7), grouped(1_234), grouped(260_500)], ["7", "1\u{202f}234", "260\u{202f}500"]);
    }
}
