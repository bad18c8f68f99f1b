//! The figures of a page: latency by percentile, and everything over time.

use super::chart::Chart;
use super::escape;
use crate::interval::Second;
use crate::report::text::{bytes, cores, grouped, micros, rounded};
use crate::report::{Percentile, Report, Scale};

/// Lines that have a colour of their own.
pub(super) const COLOURS: usize = 6;
/// Points of a line over time. Longer runs are gathered: the worst of several seconds, so that nothing is smoothed away.
const POINTS_MAX: usize = 400;

const MIB: f64 = 1_048_576.0;

/// One line of a figure: its name, its class, and its points.
struct Line {
    name: String,
    class: String,
    points: Vec<(f64, Option<f64>)>,
}

/// A figure with a caption, and what is shown when a pointer is over it.
fn figure(title: &str, unit: &str, lines: &[Line], svg: &str, hover: &[(f64, String)]) -> String {
    let keys = lines.iter().filter(|line| !line.name.is_empty()).map(|line| {
        let colour = line.class.split(' ').next().unwrap_or_default();
        format!(r#"<span class="key"><i class="{colour}"></i>{}</span>"#, escape(&line.name))
    });
    let (keys, xs, rows) = (
        keys.collect::<String>(),
        hover.iter().map(|(x, _)| format!("{x:.1}")).collect::<Vec<_>>().join(" "),
        hover.iter().map(|(_, row)| row.replace('|', "/")).collect::<Vec<_>>().join("|"),
    );
    format!(
        "<figure data-x=\"{xs}\" data-rows=\"{}\"><figcaption><b>{title} <span class=\"unit\">{unit}</span></b>{keys}</figcaption>{svg}</figure>\n",
        escape(&rows)
    )
}

/// What a report is called where several are shown.
pub(super) fn colour(number: usize) -> String {
    format!("k{}", number % COLOURS)
}

/// A percentile as a place: 90, 99, 99.9 are at 1, 2, 3.
fn nines(percentile: f64) -> f64 {
    -((1.0 - percentile / 100.0).max(1e-12)).log10()
}

/// Latency by percentile, one line for each report (and one for what was before a disturbance).
pub(super) fn distribution(runs: &[(String, &Report)]) -> String {
    let mut curves: Vec<(String, String, &[Percentile], u64)> = Vec::new();
    for (number, (name, report)) in runs.iter().enumerate() {
        if !report.baseline_percentiles.is_empty() {
            let before = if name.is_empty() { "before".to_owned() } else { format!("{name}, before") };
            curves.push((
                before,
                format!("{} thin dash", colour(number + 1)),
                &report.baseline_percentiles,
                u64::MAX,
            ));
            let during = if name.is_empty() { "while some do not read" } else { name };
            curves.push((during.to_owned(), colour(number), &report.percentiles, report.messages));
        } else if report.messages > 0 {
            curves.push((name.clone(), colour(number), &report.percentiles, report.messages));
        }
    }
    let reaches = |messages: u64| (messages.clamp(100, 10_000_000) as f64).log10();
    let Some(reach) =
        curves.iter().filter(|curve| curve.3 < u64::MAX).map(|curve| reaches(curve.3)).reduce(f64::max)
    else {
        return String::new();
    };
    let values = || curves.iter().flat_map(|curve| curve.2.iter());
    let most = values().map(|point| point.us).fold(0.0, f64::max);
    let usual = values().filter(|point| point.percentile <= 50.0).map(|point| point.us).fold(most, f64::min);
    let mut chart = Chart::new(Scale::linear(0.0, reach), Scale::suited(usual, most), 340.0);
    chart.grid_y(7, tick);
    let named = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999];
    let ticks: Vec<(f64, String)> = named
        .into_iter()
        .filter(|percentile| nines(*percentile) <= reach + 1e-9)
        .map(|percentile| (nines(percentile), format!("{percentile} %")))
        .collect();
    chart.grid_x(&ticks, true);
    let mut lines = Vec::new();
    for (name, class, points, messages) in curves {
        let end = reaches(messages).min(reach);
        let points: Vec<_> =
            points.iter().map(|point| (nines(point.percentile).min(end), Some(point.us))).collect();
        chart.line(&class, points.iter().copied());
        if let Some((x, Some(y))) = points.last() {
            chart.dot(class.split(' ').next().unwrap_or_default(), *x, *y);
        }
        lines.push(Line { name, class, points });
    }
    let hover: Vec<(f64, String)> = ticks
        .iter()
        .map(|(x, name)| {
            let values = lines.iter().filter_map(|line| {
                let (_, y) = line.points.iter().find(|(at, _)| *at >= *x - 1e-9)?;
                Some(format!("{}{}", prefix(&line.name), micros((*y)?)))
            });
            (chart.x(*x), format!("{name};{}", values.collect::<Vec<_>>().join(";")))
        })
        .collect();
    let words = "Latency by percentile, with the percentiles on a scale that gives each nine the same room";
    figure("Latency by percentile", "", &lines, &chart.finish(words), &hover)
}

/// A latency on an axis.
fn tick(us: f64) -> String {
    if us == 0.0 { "0".into() } else { micros(us) }
}

fn prefix(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("{name}  ") }
}

/// The seconds that are shown, gathered if there are many, with the moment each ends.
fn gathered(report: &Report, whole: bool) -> Vec<(f64, Second)> {
    let from = if whole { 0.0 } else { report.phases.measure_from_s };
    let is_shown = |second: &Second| {
        let (start, end) = (f64::from(second.second), f64::from(second.second) + 1.0);
        // In the second that the run ended in its clients have left.
        let is_whole = end <= report.phases.end_s + 0.01 || report.phases.end_s - from < 2.0;
        whole || is_whole && (from..report.phases.end_s).contains(&(start + 0.5))
    };
    let shown = without_the_rest(&report.timeline);
    let shown: Vec<&Second> = shown.iter().filter(|second| is_shown(second)).collect();
    let each = shown.len().div_ceil(POINTS_MAX).max(1);
    shown.chunks(each).map(|chunk| (f64::from(chunk[0].second) + 1.0 - from, gather(chunk))).collect()
}

/// The last second ended early, and its rates would be too low: what went wrong in it goes to the one before.
fn without_the_rest(timeline: &[Second]) -> Vec<Second> {
    let mut seconds = timeline.to_vec();
    if let [.., before, rest] = &mut seconds[..] {
        let rates = (before.messages, before.handshakes, before.connected, before.client_core);
        *before = gather(&[before, rest]);
        (before.messages, before.handshakes, before.connected, before.client_core) = rates;
        seconds.pop();
    }
    seconds
}

/// The worst of several seconds; rates are their mean, counts their sum.
fn gather(seconds: &[&Second]) -> Second {
    let count = seconds.len() as u64;
    let worst = |value: fn(&Second) -> Option<f64>| {
        seconds.iter().filter_map(|second| value(second)).reduce(f64::max)
    };
    let last = seconds[seconds.len() - 1];
    Second {
        second: seconds[0].second,
        connected: last.connected,
        handshakes: seconds.iter().map(|second| second.handshakes).sum::<u64>() / count,
        messages: seconds.iter().map(|second| second.messages).sum::<u64>() / count,
        errors: seconds.iter().map(|second| second.errors).sum(),
        p50_us: worst(|second| second.p50_us),
        p99_us: worst(|second| second.p99_us),
        max_us: worst(|second| second.max_us),
        client_core: worst(|second| Some(second.client_core)).unwrap_or(0.0),
    }
}

/// The figures over time. One run is shown whole, with its phases; several from the start of what was measured.
pub(super) fn over_time(runs: &[(String, &Report)], same_server: bool) -> String {
    let whole = runs.len() == 1;
    let seconds: Vec<Vec<(f64, Second)>> = runs.iter().map(|(_, report)| gathered(report, whole)).collect();
    let end = seconds.iter().flatten().map(|(at, _)| *at).fold(1.0, f64::max);
    let time = Time { runs, seconds: &seconds, end, whole };
    let mut page = String::new();
    page += &time.latency();
    let handshakes = |second: &Second| Some(second.handshakes as f64);
    if runs.iter().all(|(_, report)| report.scenario == "connect") {
        let name = |value| grouped(rounded(value));
        page += &time.figure("Rate", "handshakes per second", 150.0, &name, &[("", "", &handshakes)]);
    }
    let rate = |second: &Second| Some(second.messages as f64);
    if runs.iter().any(|(_, report)| report.timeline.iter().any(|second| second.messages > 0)) {
        let unit = if whole {
            format!("{} per second", runs[0].1.messages_are())
        } else {
            "messages per second".into()
        };
        page += &time.figure("Rate", &unit, 150.0, &|value| grouped(rounded(value)), &[("", "", &rate)]);
    }
    let connected = |second: &Second| Some(second.connected as f64);
    page += &time.figure(
        "Connections",
        "at the end of each second",
        130.0,
        &|value| grouped(rounded(value)),
        &[("", "", &connected)],
    );
    page += &time.errors();
    page += &time.processors(same_server);
    page += &time.memory(same_server);
    page
}

/// What the figures over time have in common.
struct Time<'a> {
    runs: &'a [(String, &'a Report)],
    seconds: &'a [Vec<(f64, Second)>],
    end: f64,
    whole: bool,
}

/// A name, a modifier of its class, and a value of each second.
type Value<'a> = (&'a str, &'a str, &'a dyn Fn(&Second) -> Option<f64>);

impl Time<'_> {
    fn latency(&self) -> String {
        if self.seconds.iter().flatten().all(|(_, second)| second.p50_us.is_none()) {
            return String::new();
        }
        let (p50, p99, max) = (|s: &Second| s.p50_us, |s: &Second| s.p99_us, |s: &Second| s.max_us);
        let all: &[Value<'_>] = if self.whole {
            &[("max", "thin", &max), ("p99", "", &p99), ("p50", "", &p50)]
        } else {
            &[("", "", &p99)]
        };
        let unit =
            if self.whole { "of the messages that arrived in each second" } else { "p99 of each second" };
        self.figure("Latency", unit, 230.0, &micros, all)
    }

    /// One line for each run, or for each value of a single run.
    fn figure(
        &self,
        title: &str,
        unit: &str,
        height: f64,
        name: &dyn Fn(f64) -> String,
        values: &[Value<'_>],
    ) -> String {
        let mut lines = Vec::new();
        for (number, (run, seconds)) in self.runs.iter().zip(self.seconds).enumerate() {
            for (index, (value_name, more, value)) in values.iter().enumerate() {
                // The last value is the first colour: what matters most is drawn last.
                let class = colour(if values.len() > 1 { values.len() - 1 - index } else { number });
                let points = seconds.iter().map(|(at, second)| (*at, value(second))).collect();
                let name = if value_name.is_empty() { run.0.clone() } else { (*value_name).to_owned() };
                lines.push(Line { name, class: format!("{class} {more}"), points });
            }
        }
        self.draw(title, unit, height, name, &lines)
    }

    fn draw(
        &self,
        title: &str,
        unit: &str,
        height: f64,
        name: &dyn Fn(f64) -> String,
        lines: &[Line],
    ) -> String {
        let mut all: Vec<f64> =
            lines.iter().flat_map(|line| &line.points).filter_map(|point| point.1).collect();
        if all.is_empty() {
            return String::new();
        }
        all.sort_by(f64::total_cmp);
        let (most, least) = (all[all.len() - 1], all[0]);
        let scale = if title == "Latency" {
            Scale::suited(least.max(1.0), most)
        } else {
            // Room for the names of the phases.
            Scale::linear(0.0, most.max(1e-9) * 1.25)
        };
        let mut chart = self.chart(scale, height);
        chart.grid_y(
            if height > 200.0 { 6 } else { 4 },
            |value| if value == 0.0 { "0".into() } else { name(value) },
        );
        for line in lines {
            chart.line(&line.class, line.points.iter().copied());
        }
        let hover = self.hover(&chart, lines, name);
        figure(title, unit, lines, &chart.finish(&format!("{title} over time")), &hover)
    }

    /// Phases and the time along the bottom.
    fn chart(&self, y: Scale, height: f64) -> Chart {
        let x = Scale::linear(0.0, self.end);
        let mut chart = Chart::new(x, y, height);
        let ticks: Vec<(f64, String)> =
            x.ticks(10).into_iter().map(|tick| (tick, format!("{tick} s"))).collect();
        if let [(_, report)] = self.runs {
            let phases = report.phases;
            if report.scenario != "connect" {
                chart.band(0.0, phases.connected_s.min(self.end), "connecting");
                chart.band(phases.connected_s, phases.measure_from_s.min(self.end), "warm-up");
            }
            if phases.end_s > 0.0 && phases.end_s < self.end - 0.5 {
                chart.band(phases.end_s, self.end, "end");
            }
            if let Some(disturbance) = report.disturbance.filter(|disturbance| disturbance.began_s > 0.0) {
                chart.mark(
                    disturbance.began_s,
                    if report.scenario == "slow" { "some stop reading" } else { "all lost" },
                );
            }
        }
        chart.grid_x(&ticks, false);
        chart
    }

    fn hover(&self, chart: &Chart, lines: &[Line], name: &dyn Fn(f64) -> String) -> Vec<(f64, String)> {
        let Some(longest) = lines.iter().max_by_key(|line| line.points.len()) else { return Vec::new() };
        let row = |(index, (at, _)): (usize, &(f64, Option<f64>))| {
            let values = lines.iter().filter_map(|line| {
                let (_, value) = line.points.get(index)?;
                Some(format!("{}{}", prefix(&line.name), name((*value)?)))
            });
            (chart.x(*at), format!("{at:.0} s;{}", values.collect::<Vec<_>>().join(";")))
        };
        longest.points.iter().enumerate().map(row).collect()
    }

    fn errors(&self) -> String {
        let most = self.seconds.iter().flatten().map(|(_, second)| second.errors).max().unwrap_or(0);
        if most == 0 {
            return String::new();
        }
        let mut chart = self.chart(Scale::linear(0.0, most as f64 * 1.1), 120.0);
        chart.grid_y(2, |value| grouped(rounded(value)));
        let (mut lines, mut hover) = (Vec::new(), Vec::new());
        for (number, ((name, _), seconds)) in self.runs.iter().zip(self.seconds).enumerate() {
            let class = if self.whole { String::new() } else { colour(number) };
            for (at, second) in seconds.iter().filter(|(_, second)| second.errors > 0) {
                chart.bar(&class, at - 1.0, *at, second.errors as f64);
            }
            let row = |(at, second): &(f64, Second)| {
                let errors = grouped(second.errors);
                (chart.x(at - 0.5), format!("{at:.0} s;{}{errors} errors", prefix(name)))
            };
            hover.extend(seconds.iter().filter(|(_, second)| self.whole || second.errors > 0).map(row));
            if seconds.iter().any(|(_, second)| second.errors > 0) {
                lines.push(Line { name: name.clone(), class, points: Vec::new() });
            }
        }
        figure("Errors", "seen in each second", &lines, &chart.finish("Errors over time"), &hover)
    }

    /// Cores of the server and of the generator's busiest worker.
    fn processors(&self, same_server: bool) -> String {
        let mut lines = Vec::new();
        for (number, (run, report)) in
            self.runs.iter().enumerate().take(if same_server { 1 } else { self.runs.len() })
        {
            let name = if self.whole || same_server { "server, all its threads and children" } else { run };
            let class = colour(number);
            lines.extend(self.server_line(name, &class, report, |moment| moment.cpu_share));
        }
        let generator = |second: &Second| Some(second.client_core);
        if self.whole {
            let points = self.seconds[0].iter().map(|(at, second)| (*at, generator(second))).collect();
            lines.push(Line {
                name: "generator, its busiest core".into(),
                class: format!("{} dash", colour(5)),
                points,
            });
        }
        self.draw("CPU", "cores in use", 150.0, &cores, &lines)
    }

    fn memory(&self, same_server: bool) -> String {
        let runs = self.runs.iter().enumerate().take(if same_server { 1 } else { self.runs.len() });
        let lines = runs.filter_map(|(number, (run, report))| {
            let name = if self.whole || same_server { "" } else { run };
            self.server_line(name, &colour(number), report, |moment| moment.rss_bytes as f64 / MIB)
        });
        self.draw("Server memory", "resident", 130.0, &|mib| bytes(mib * MIB), &lines.collect::<Vec<_>>())
    }

    fn server_line(
        &self,
        name: &str,
        class: &str,
        report: &Report,
        value: fn(&crate::report::ServerMoment) -> f64,
    ) -> Option<Line> {
        let from = if self.whole { 0.0 } else { report.phases.measure_from_s };
        let moments = &report.server.as_ref()?.timeline;
        let each = moments.len().div_ceil(POINTS_MAX).max(1);
        let points = moments
            .iter()
            .step_by(each)
            .filter(|moment| moment.at_s >= from && moment.at_s - from <= self.end + 0.5)
            .map(|moment| (moment.at_s - from, Some(value(moment))));
        Some(Line { name: name.to_owned(), class: class.to_owned(), points: points.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nine_has_the_same_room() {
        for (percentile, place) in [(0.0, 0.0), (90.0, 1.0), (99.0, 2.0), (99.9, 3.0), (99.99, 4.0)] {
            assert!((nines(percentile) - place).abs() < 1e-6, "{percentile}");
        }
    }

    #[test]
    fn a_long_run_shows_its_worst_seconds() {
        let second = |second, max| Second {
            second,
            connected: 1,
            handshakes: 0,
            messages: 10,
            errors: 1,
            p50_us: None,
            p99_us: None,
            max_us: max,
            client_core: 0.0,
        };
        let timeline: Vec<Second> =
            (0..4000).map(|n| second(n, Some(if n == 1234 { 9e6 } else { 100.0 }))).collect();
        let report = Report { timeline, ..Report::default() };
        let shown = gathered(&report, true);
        assert!(shown.len() <= POINTS_MAX);
        assert_eq!(shown.iter().filter(|(_, second)| second.max_us == Some(9e6)).count(), 1);
        assert_eq!(shown.iter().map(|(_, second)| second.errors).sum::<u64>(), 4000);
    }
}
