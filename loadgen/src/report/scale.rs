//! Scales of charts: from values to places, and the round values between. No drawing: who draws multiplies.

/// From values to places.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    from: f64,
    to: f64,
    log: bool,
}

impl Scale {
    /// Even steps; `to` is beyond `from`, or one step is made up.
    pub fn linear(from: f64, to: f64) -> Self {
        Self { from, to: if to > from { to } else { from + 1.0 }, log: false }
    }

    /// For values above zero that may span several powers of ten; the ends are whole steps of 1, 2, 5.
    pub fn log(least: f64, most: f64) -> Self {
        let least = least.max(1e-3);
        let (from, to) = (step_down(least), step_up(most.max(least * 1.01)));
        Self { from, to, log: true }
    }

    /// Linear from zero, unless the largest is many times what is usual.
    pub fn suited(usual: f64, most: f64) -> Self {
        if most > 20.0 * usual.max(1e-3) {
            Self::log(usual / 2.0, most)
        } else {
            Self::linear(0.0, most * 1.08)
        }
    }

    /// 0 at the start, 1 at the end.
    pub fn place(&self, value: f64) -> f64 {
        let (value, from, to) = match self.log {
            true => (value.max(self.from).log10(), self.from.log10(), self.to.log10()),
            false => (value, self.from, self.to),
        };
        ((value - from) / (to - from)).clamp(0.0, 1.0)
    }

    /// Round values along the scale, at most about `count`.
    pub fn ticks(&self, count: usize) -> Vec<f64> {
        if self.log {
            return self.log_ticks(count);
        }
        let rough = (self.to - self.from) / count.max(1) as f64;
        let step = linear_step(rough);
        let first = (self.from / step).ceil();
        (0..=count * 2)
            .map(|n| (first + n as f64) * step)
            .take_while(|tick| *tick <= self.to + step * 1e-9)
            .collect()
    }

    fn log_ticks(&self, count: usize) -> Vec<f64> {
        let decades = (self.to / self.from).log10();
        let mantissas: &[f64] = if decades * 3.0 <= count as f64 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut decade = 10_f64.powf(self.from.log10().floor());
        let mut ticks = Vec::new();
        while decade <= self.to * 1.001 {
            ticks.extend(mantissas.iter().map(|mantissa| mantissa * decade));
            decade *= 10.0;
        }
        ticks.retain(|tick| (self.from * 0.999..=self.to * 1.001).contains(tick));
        ticks
    }
}

/// The next of …, 1, 2, 5, 10, … that is not below `value`.
fn step_up(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|mantissa| mantissa * decade);
    steps.into_iter().find(|step| *step >= value * (1.0 - 1e-9)).unwrap_or(decade * 10.0)
}

/// The same with 2.5 among them.
fn linear_step(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let step = 2.5 * decade;
    if step >= value && step < step_up(value) { step } else { step_up(value) }
}

/// The last of them that is not above `value`.
fn step_down(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [5.0, 2.0, 1.0].map(|mantissa| mantissa * decade);
    steps.into_iter().find(|step| *step <= value * (1.0 + 1e-9)).unwrap_or(decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_scale() {
        assert_eq!(Scale::linear(0.0, 9.7).ticks(5), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(Scale::linear(0.0, 8800.0).ticks(4), [0.0, 2500.0, 5000.0, 7500.0]);
        assert_eq!(Scale::log(120.0, 900.0).ticks(5), [100.0, 200.0, 500.0, 1000.0]);
        assert_eq!(Scale::log(90.0, 2e5).ticks(6).len(), 4);
        assert!(Scale::linear(0.0, 0.0).ticks(4).len() > 1);
    }
}
