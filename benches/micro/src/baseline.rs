//! The committed numbers, and how others compare with them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What is committed: `benches/instructions.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// With which tools it was made. Others may count differently.
    pub made_with: BTreeMap<String, String>,
    /// How far a number may be from its baseline, in percent, unless an entry has its own.
    pub tolerance_percent: f64,
    /// By name of the workload.
    pub workloads: BTreeMap<String, Entry>,
}

/// One committed number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Per operation.
    pub instructions: f64,
    /// Instead of that of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance_percent: Option<f64>,
}

/// What a number is next to its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Within the tolerance.
    Same,
    /// More instructions.
    Worse,
    /// Fewer. To be committed, or what is won can be lost unseen.
    Better,
    /// Not committed.
    New,
}

impl Baseline {
    /// What `instructions` of a workload are next to what is committed.
    pub fn verdict(&self, name: &str, instructions: f64) -> Verdict {
        let Some(entry) = self.workloads.get(name) else { return Verdict::New };
        let tolerance =
            entry.instructions * entry.tolerance_percent.unwrap_or(self.tolerance_percent) / 100.0;
        match instructions - entry.instructions {
            more if more > tolerance => Verdict::Worse,
            less if less < -tolerance => Verdict::Better,
            _ => Verdict::Same,
        }
    }

    /// Takes new numbers over. Those of workloads that there are no more are dropped; tolerances are kept.
    pub fn update(&mut self, counts: &[(String, f64)], all: &[String]) {
        self.workloads.retain(|name, _| all.contains(name));
        for (name, instructions) in counts {
            let entry = self.workloads.entry(name.clone());
            let entry = entry.or_insert(Entry { instructions: 0.0, tolerance_percent: None });
            entry.instructions = (instructions * 10.0).round() / 10.0;
        }
    }

    /// Committed workloads that there are no more.
    pub fn gone<'a>(&'a self, all: &'a [String]) -> impl Iterator<Item = &'a str> {
        self.workloads.keys().filter(|name| !all.contains(name)).map(String::as_str)
    }
}

/// One line of the table.
pub struct Line<'a> {
    /// Name of the workload.
    pub name: &'a str,
    /// Per operation, now.
    pub instructions: f64,
    /// Next to what.
    pub baseline: &'a Baseline,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, instructions, baseline } = self;
        write!(f, "{name:<40} {instructions:>12.1}")?;
        if let Some(entry) = baseline.workloads.get(*name) {
            let change = ((instructions / entry.instructions - 1.0) * 10_000.0).round() / 100.0;
            // Without the sign of a zero.
            let change = change + 0.0;
            write!(f, " {:>12.1} {change:>+8.2} %", entry.instructions)?;
        } else {
            write!(f, " {:>12} {:>8}  ", "-", "-")?;
        }
        f.write_str(match baseline.verdict(name, *instructions) {
            Verdict::Same => "",
            Verdict::Worse => "  WORSE",
            Verdict::Better => "  better",
            Verdict::New => "  NEW",
        })
    }
}

/// The heading of the table.
pub fn heading() -> String {
    format!("{:<40} {:>12} {:>12} {:>10}", "instructions per operation", "now", "baseline", "change")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline() -> Baseline {
        let entry = |instructions, tolerance_percent| Entry { instructions, tolerance_percent };
        let workloads = [("a", entry(100.0, None)), ("b", entry(100.0, Some(10.0)))];
        Baseline {
            made_with: BTreeMap::new(),
            tolerance_percent: 3.0,
            workloads: workloads.map(|(name, entry)| (name.to_owned(), entry)).into(),
        }
    }

    #[test]
    fn a_number_may_be_as_far_from_its_baseline_as_the_entry_or_the_file_says() {
        let baseline = baseline();
        assert_eq!(baseline.verdict("a", 103.0), Verdict::Same);
        assert_eq!(baseline.verdict("a", 103.1), Verdict::Worse);
        assert_eq!(baseline.verdict("a", 96.9), Verdict::Better);
        assert_eq!(baseline.verdict("b", 109.0), Verdict::Same);
        assert_eq!(baseline.verdict("c", 1.0), Verdict::New);
    }

    #[test]
    fn an_update_keeps_tolerances_and_drops_what_is_gone() {
        let mut baseline = baseline();
        let all = ["b", "c"].map(str::to_owned);
        assert_eq!(baseline.gone(&all).collect::<Vec<_>>(), ["a"]);
        baseline.update(&[("b".to_owned(), 50.04), ("c".to_owned(), 7.0)], &all);
        assert_eq!(baseline.workloads.len(), 2);
        assert_eq!(baseline.workloads["b"], Entry { instructions: 50.0, tolerance_percent: Some(10.0) });
        assert_eq!(baseline.workloads["c"].instructions, 7.0);
    }
}
