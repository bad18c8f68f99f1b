//! A report as a page for people: one file, nothing fetched, readable without its script, in the dark, and on paper.
//!
//! What stands first is what a reader must know before any number: errors, and whether the generator was the limit.

mod chart;
mod figures;
mod numbers;

use super::Report;
use super::text::grouped;
use figures::{colour, distribution, over_time};
use numbers::{comparison, details, key_figures};
use time::OffsetDateTime;

const STYLE: &str = include_str!("style.css");
const HOVER: &str = include_str!("hover.js");

/// The page of one run.
pub fn single(report: &Report) -> String {
    let runs = [(String::new(), report)];
    let scenario =
        if report.scenario == "slow" { "Slow clients".into() } else { capitalized(&report.scenario) };
    let title = format!("{scenario} over {}", spelled(&report.transport));
    let body = [
        verdict(&runs),
        key_figures(report),
        section("Latency", &capitalized_sentence(report.latency_is()), &distribution(&runs)),
        section(
            "Over time",
            "Second by second, from the first connection to the last goodbye.",
            &over_time(&runs, true),
        ),
        section("Numbers", "", &comparison(&runs)),
        details(&[report]),
        reading(&[report]),
    ];
    page(&title, &subtitle(report), &body.concat())
}

/// The page of a mix: its parts ran at the same time, against the same server.
pub fn mix(parts: &[Report]) -> String {
    let runs: Vec<(String, &Report)> = parts.iter().map(|part| (part.name.clone(), part)).collect();
    let clients: u64 = parts.iter().map(|part| u64::from(part.connections)).sum();
    let url = parts[0].settings.get("url").cloned().unwrap_or_default();
    let subtitle = format!("{} clients together · {url} · {}", grouped(clients), date(parts[0].unix_time));
    several(&format!("A mix of {} loads", parts.len()), &subtitle, &runs, true)
}

/// The page of several runs side by side.
pub fn compare(runs: &[(String, Report)]) -> String {
    let shown: Vec<(String, &Report)> = runs.iter().map(|(name, report)| (name.clone(), report)).collect();
    let names: Vec<&str> = runs.iter().map(|(name, _)| name.as_str()).collect();
    several(&format!("{} runs compared", runs.len()), &names.join(" · "), &shown, false)
}

fn several(title: &str, subtitle: &str, runs: &[(String, &Report)], same_server: bool) -> String {
    let reports: Vec<&Report> = runs.iter().map(|(_, report)| *report).collect();
    let body = [
        verdict(runs),
        section("Side by side", "", &comparison(runs)),
        section(
            "Latency",
            "Each run counts as its scenario does; the table above says which.",
            &distribution(runs),
        ),
        section("Over time", "From the start of the measured time.", &over_time(runs, same_server)),
        details(&reports),
        reading(&reports),
    ];
    page(title, &escape(subtitle), &body.concat())
}

fn page(title: &str, subtitle: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} · tidegate-loadgen</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<p class=\"eyebrow\">tidegate-loadgen {version}</p>\n<h1>{title}</h1>\n<p>{subtitle}</p>\n</header>\n{body}</main>\n<script>\n{HOVER}</script>\n</body>\n</html>\n",
        title = escape(title),
        version = env!("CARGO_PKG_VERSION"),
    )
}

fn section(title: &str, about: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    let about = if about.is_empty() { String::new() } else { format!("<p>{about}</p>\n") };
    format!("<section>\n<h2>{title}</h2>\n{about}{content}</section>\n")
}

fn subtitle(report: &Report) -> String {
    let load = match report.settings.get("rate").or(report.settings.get("ramp")) {
        Some(rate) => format!("{rate}, open loop"),
        None => match report.settings.get("in-flight") {
            Some(in_flight) => format!("closed loop, {in_flight} under way"),
            None => String::new(),
        },
    };
    let url = report.settings.get("url").cloned().unwrap_or_default();
    let facts =
        [format!("{} clients", grouped(u64::from(report.connections))), load, url, date(report.unix_time)];
    let facts: Vec<String> = facts.iter().filter(|fact| !fact.is_empty()).map(|fact| escape(fact)).collect();
    facts.join(" · ")
}

/// `2026-11-20 15:40 UTC`; nothing for a report that does not say.
fn date(unix_time: u64) -> String {
    let date =
        i64::try_from(unix_time).ok().filter(|time| *time > 0).map(OffsetDateTime::from_unix_timestamp);
    let Some(Ok(date)) = date else { return String::new() };
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", date.hour(), date.minute())
}

/// Errors and warnings of all runs, or that there are none.
fn verdict(runs: &[(String, &Report)]) -> String {
    let mut notes = String::new();
    for (name, report) in runs {
        let of = if name.is_empty() { String::new() } else { format!("{}: ", escape(name)) };
        let total = report.errors.total();
        if total > 0 {
            notes += &error_note(&of, report, total);
        }
        let warnings = report.warnings();
        if !warnings.is_empty() {
            let of = if name.is_empty() {
                String::new()
            } else {
                format!("<p><strong>{}</strong></p>", escape(name))
            };
            let warnings: String =
                warnings.iter().map(|warning| format!("<p>{}</p>", escape(warning))).collect();
            notes += &format!("<div class=\"note warn\">{of}{warnings}</div>\n");
        }
    }
    if runs.iter().all(|(_, report)| report.errors.total() == 0) {
        let talks =
            |report: &&Report| matches!(report.scenario.as_str(), "echo" | "broadcast" | "rooms" | "slow");
        let messages: u64 =
            runs.iter().map(|(_, report)| *report).filter(talks).map(|report| report.messages).sum();
        let claim = match messages {
            0 if runs.iter().all(|(_, report)| report.scenario == "avalanche") => {
                "Every client joined, and all came back.".into()
            }
            0 => "Every client joined, and none was lost.".into(),
            _ => format!(
                "What was sent arrived: {} in the measured time, each once, in order, and with the content that was sent.",
                grouped(messages)
            ),
        };
        notes = format!("<div class=\"note good\"><p><strong>No errors.</strong> {claim}</p></div>\n{notes}");
    }
    format!("<div class=\"verdict\">\n{notes}</div>\n")
}

fn error_note(of: &str, report: &Report, total: u64) -> String {
    let kinds = report.errors.kinds().into_iter().filter(|(.., count)| *count > 0);
    let kinds: String = kinds.map(|(_, name, count)| format!("<li>{} {name}</li>", grouped(count))).collect();
    let samples: String = report
        .error_samples
        .iter()
        .map(|sample| format!("<li class=\"sample\">{}</li>", escape(sample)))
        .chain(report.hint().map(|hint| format!("<li>{hint}</li>")))
        .collect();
    let (class, allowed) = if report.ok { ("warn", " They were allowed for this run.") } else { ("bad", "") };
    let noun = if total == 1 { "error" } else { "errors" };
    format!(
        "<div class=\"note {class}\"><p><strong>{of}{} {noun}.</strong>{allowed}</p><ul>{kinds}{samples}</ul></div>\n",
        grouped(total)
    )
}

/// What the numbers mean, and what they do not.
fn reading(reports: &[&Report]) -> String {
    let mut notes = Vec::new();
    if reports.iter().any(|report| report.open_loop) {
        notes.push("<b>Open loop.</b> Messages were due at fixed times, whether or not earlier ones had been answered, and latency counts from the time each was due. A server that stalls is charged for everything that should have happened meanwhile; there is no coordinated omission.");
    }
    if reports
        .iter()
        .any(|report| !report.open_loop && matches!(report.scenario.as_str(), "echo" | "broadcast" | "rooms"))
    {
        notes.push("<b>Closed loop.</b> The next message was sent when one had arrived, so a server that stalled was asked less while it did, and its stalls weigh little in the percentiles. This shows what the pair can do at most. To see what users would wait, set a rate (<code>--rate</code>).");
    }
    notes.push("<b>Percentiles.</b> 99.9 % of the messages took at most p99.9. It rests on one message in a thousand: with fewer than some thousands it is an anecdote. The latencies are kept to three digits.");
    if reports.iter().any(|report| report.server.is_some()) {
        notes.push("<b>Server CPU</b> is the time its threads and those of its child processes ran, user and kernel, TCP included; resident memory is theirs together, pages they share counted for each.");
    }
    let notes: String = notes.iter().map(|note| format!("<p class=\"small\">{note}</p>\n")).collect();
    section("How to read this", "", &notes)
}

/// Text as text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn capitalized_sentence(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{}.", capitalized(text)) }
}

fn spelled(transport: &str) -> &str {
    match transport {
        "websocket" => "WebSocket",
        "polling" => "long-polling",
        "upgrade" => "polling, upgraded to WebSocket",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Errors;

    fn report() -> Report {
        Report {
            scenario: "echo".into(),
            transport: "websocket".into(),
            messages: 10,
            ok: true,
            unix_time: 1_795_188_932,
            ..Report::default()
        }
    }

    #[test]
    fn a_page_says_first_whether_anything_went_wrong() {
        let good = single(&report());
        assert!(good.contains("No errors.") && good.contains("2026-11-20"), "{good}");
        let bad = single(&Report {
            errors: Errors { lost: 1234, ..Errors::default() },
            error_samples: vec!["<script>".into()],
            ok: false,
            ..report()
        });
        let at = |text: &str| bad.find(text).unwrap_or_else(|| panic!("no {text}"));
        assert!(at("1\u{202f}234 errors") < at("<h2>"));
        assert!(bad.contains("&lt;script&gt;") && !bad.contains("<li class=\"sample\"><script>"));
    }

    #[test]
    fn a_page_fetches_nothing() {
        let page = compare(&[("a".into(), report()), ("b <i>".into(), report())]);
        for word in ["<link", "src=", "@import", "url(", "fetch(", "<i>b"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
