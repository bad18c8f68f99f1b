//! Numbers as a reader wants them: three digits, one unit for all that are compared.

use super::results::Unit;
use tidegate_loadgen::report::grouped;

/// Latencies are shown in milliseconds if the largest is at least this, in microseconds…
const MANY_MICROS: f64 = 10_000.0;
/// …and the least leaves something to show.
const LEAST_MICROS: f64 = 50.0;

/// A unit that suits all numbers of a column or of a chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shown {
    /// How it is written behind a number; empty for a plain count.
    pub(super) name: &'static str,
    factor: f64,
    whole: bool,
}

impl Shown {
    /// The unit for numbers that will stand together.
    pub(super) fn suited(unit: Unit, values: impl Iterator<Item = f64> + Clone) -> Self {
        let most = values.clone().fold(0.0, f64::max);
        let least = values.filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let (name, factor, whole) = match unit {
            Unit::NanosAsMicros => ("µs", 1e-3, false),
            Unit::Micros if most >= MANY_MICROS && least >= LEAST_MICROS => ("ms", 1e-3, false),
            Unit::Micros => ("µs", 1.0, false),
            Unit::Bytes => ("bytes", 1.0, true),
            Unit::Percent => ("%", 100.0, false),
            Unit::Thousands => ("thousand/s", 1e-3, false),
            Unit::Count => ("", 1.0, true),
        };
        Self { name, factor, whole }
    }

    /// The number as it is drawn.
    pub(super) fn scaled(&self, value: f64) -> f64 {
        value * self.factor
    }

    /// The number, without its unit.
    pub(super) fn number(&self, value: f64) -> String {
        let value = self.scaled(value);
        if self.whole { whole(value) } else { three_digits(value) }
    }

    /// The number and its unit.
    pub(super) fn with_unit(&self, value: f64) -> String {
        match self.name {
            "" => self.number(value),
            name => format!("{} {name}", self.number(value)),
        }
    }
}

/// A ratio: `1.08×`, `12.4×`, `124×`.
pub(super) fn times(ratio: f64) -> String {
    match ratio {
        ..9.995 => format!("{ratio:.2}×"),
        ..99.95 => format!("{ratio:.1}×"),
        _ => format!("{}×", whole(ratio)),
    }
}

/// A tick of an axis: no digit more than it needs.
pub(super) fn tick(value: f64) -> String {
    if value >= 10.0 || value.fract() == 0.0 {
        return whole(value);
    }
    format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Three digits, but never more than three behind the point.
fn three_digits(value: f64) -> String {
    // What will be rounded up belongs to the next class: 9.996 is 10.0.
    match value.abs() {
        0.0 => "0".into(),
        ..0.9995 => format!("{value:.3}"),
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => whole(value),
    }
}

fn whole(value: f64) -> String {
    let sign = if value <= -0.5 { "−" } else { "" };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, which no measurement meets"
    )]
    let digits = grouped(value.abs().round() as u64);
    format!("{sign}{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(unit: Unit, values: &[f64]) -> Vec<String> {
        let shown = Shown::suited(unit, values.iter().copied());
        values.iter().map(|value| shown.with_unit(*value)).collect()
    }

    #[test]
    fn numbers_have_three_digits_and_one_unit() {
        assert_eq!(
            shown(Unit::NanosAsMicros, &[433.2, 3976.0, 9996.0, 43_290.0, 409_600.0]),
            ["0.433 µs", "3.98 µs", "10.0 µs", "43.3 µs", "410 µs"]
        );
        assert_eq!(shown(Unit::Micros, &[80.0, 9_000.0]), ["80.0 µs", "9\u{202f}000 µs"]);
        assert_eq!(shown(Unit::Micros, &[80.0, 1_234_567.0]), ["0.080 ms", "1\u{202f}235 ms"]);
        assert_eq!(shown(Unit::Micros, &[1.0, 20_000.0]), ["1.00 µs", "20\u{202f}000 µs"]);
        assert_eq!(
            shown(Unit::Bytes, &[42.4, 40_062.0, -512.0]),
            ["42 bytes", "40\u{202f}062 bytes", "−512 bytes"]
        );
        assert_eq!(shown(Unit::Percent, &[0.005, 0.0]), ["0.500 %", "0 %"]);
        assert_eq!(shown(Unit::Thousands, &[260_400.0]), ["260 thousand/s"]);
        assert_eq!(shown(Unit::Count, &[7.0]), ["7"]);
    }

    #[test]
    fn ratios_and_ticks_have_the_digits_they_need() {
        assert_eq!(
            [1.0, 0.064, 9.996, 12.44, 1234.0].map(times),
            ["1.00×", "0.06×", "10.0×", "12.4×", "1\u{202f}234×"]
        );
        assert_eq!([0.0, 0.25, 2.5, 10.0, 2000.0].map(tick), ["0", "0.25", "2.5", "10", "2\u{202f}000"]);
    }
}
