//! Latencies in the formats of HdrHistogram, for its plotters and for other programs.

use super::Report;
use crate::interval::Interval;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// Nanoseconds in the unit of a percentile file.
const MICRO: f64 = 1e3;
/// Lines of a percentile file for each halving of what is above.
const LINES_PER_HALVING: u32 = 5;

/// Writes a file; its name says which kind.
pub(super) fn save(report: &Report, path: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let Some(histograms) = &report.histograms else {
        return Err(io::Error::other("only a run has histograms, not a report that was read"));
    };
    if path.extension().is_some_and(|extension| extension == "hlog") {
        write_log(report, &histograms.intervals, &mut out)?;
    } else {
        write_percentiles(&histograms.latency, &mut out)?;
    }
    out.flush()
}

/// The text that HdrHistogram's own tools write and its plotters read: microseconds.
fn write_percentiles(histogram: &hdrhistogram::Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    for step in histogram.iter_quantiles(LINES_PER_HALVING) {
        let (quantile, value) = (step.quantile_iterated_to(), step.value_iterated_to() as f64 / MICRO);
        let count = histogram.count_between(0, step.value_iterated_to());
        write!(out, "{value:12.3} {quantile:2.12} {count:10}")?;
        match 1.0 - quantile {
            above if above > 0.0 => writeln!(out, " {:14.2}", 1.0 / above)?,
            _ => writeln!(out, " {:>14}", "inf")?,
        }
    }
    let (mean, deviation) = (histogram.mean() / MICRO, histogram.stdev() / MICRO);
    writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]")?;
    let (max, count) = (histogram.max() as f64 / MICRO, histogram.len());
    writeln!(out, "#[Max     = {max:12.3}, Total count    = {count:12}]")?;
    writeln!(out, "#[Buckets = {:12}, SubBuckets     = {:12}]", histogram.buckets(), 2048)
}

/// One histogram per second, in nanoseconds, warm-up included.
fn write_log(report: &Report, intervals: &[Interval], out: &mut impl Write) -> io::Result<()> {
    let failed = |error: &dyn std::fmt::Debug| io::Error::other(format!("{error:?}"));
    let mut serializer = V2DeflateSerializer::new();
    let start = UNIX_EPOCH + Duration::from_secs(report.unix_time);
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Latencies in nanoseconds, written by tidegate-loadgen]")
        .with_start_time(start)
        .with_base_time(start)
        .begin_log_with(out, &mut serializer)?;
    for interval in intervals {
        let from = Duration::from_secs(u64::from(interval.second));
        let tag = Tag::new(&report.scenario);
        log.write_histogram(&interval.latency, from, Duration::from_secs(1), tag)
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Stats;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn a_percentile_file_has_columns_and_ends_at_infinity() {
        let mut stats = Stats::new();
        (1..=1000).for_each(|value| stats.delivered(value * 1000, true));
        let mut out = Vec::new();
        write_percentiles(&stats.latency, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|field| field.parse().unwrap()).collect())
            .collect();
        assert!(rows.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][1] <= pair[1][1]));
        let last = rows.last().unwrap();
        assert_eq!((last[1], last[2], last[3]), (1.0, 1000.0, f64::INFINITY));
    }

    #[test]
    fn an_interval_log_is_read_again() {
        let mut interval = Interval::new(3);
        interval.latency.record_n(5_000, 7).unwrap();
        let mut out = Vec::new();
        write_log(&Report { scenario: "echo".into(), ..Report::default() }, &[interval], &mut out).unwrap();
        let entries: Vec<_> = IntervalLogIterator::new(&out).map(Result::unwrap).collect();
        let found = entries.iter().find_map(|entry| match entry {
            LogEntry::Interval(interval) => Some(interval),
            _ => None,
        });
        let found = found.unwrap();
        assert_eq!(found.start_timestamp(), Duration::from_secs(3));
        let bytes =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, found.encoded_histogram());
        let histogram: hdrhistogram::Histogram<u32> =
            Deserializer::new().deserialize(&mut bytes.unwrap().as_slice()).unwrap();
        assert_eq!(histogram.len(), 7);
    }
}
