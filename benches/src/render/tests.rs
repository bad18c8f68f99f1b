//! Whole files in, whole sections and charts out.

use super::fixture::{PEERS, SCALING, file, run};
use super::results::Results;
use super::{MarkerError, RenderError, RenderOptions, groups, markdown, render, svg};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn section(file: &str) -> String {
    markdown::section(&Results::parse(file).unwrap(), "peers")
}

fn charts(file: &str) -> Vec<String> {
    let results = Results::parse(file).unwrap();
    groups::groups(&results).iter().filter_map(|group| svg::chart(&results, group)).collect()
}

fn echo(server: &str, cpu: f64, saturated: bool) -> Value {
    let report = json!({ "ok": true, "messages_per_second": 200_000.0, "latency_us": { "p99": 900.0 },
        "client": { "saturated": saturated }, "server": { "cpu_ns_per_message": cpu } });
    run("echo-100", server, &report)
}

fn small(runs: &[Value]) -> String {
    section(&file(runs).to_string())
}

/// The only line that starts like this.
fn line<'a>(text: &'a str, start: &str) -> &'a str {
    let mut lines = text.lines().filter(|line| line.starts_with(start));
    let line = lines.next().unwrap_or_else(|| panic!("no line `{start}` in\n{text}"));
    assert!(lines.next().is_none(), "two lines `{start}` in\n{text}");
    line
}

#[test]
fn a_table_has_median_spread_and_ratio_and_its_best_in_bold() {
    let runs = [
        echo("floor", 1000.0, false),
        echo("tidegate", 2000.0, false),
        echo("tidegate", 2200.0, false),
        echo("tidegate", 1900.0, false),
        echo("bun", 5000.0, false),
    ];
    let text = small(&runs);
    assert_eq!(line(&text, "| Floor"), "| Floor | 1.00 | 0.50× | 200 | 1.00× | 900 | 1.00× |");
    let tidegate = line(&text, "| Tidegate");
    assert!(
        tidegate.starts_with("| Tidegate | **2.00** [1.90–2.20] | 1.00× | **200** [200–200] |"),
        "{tidegate}"
    );
    assert!(line(&text, "| Bun").starts_with("| Bun | 5.00 | 2.50× | **200** |"));
    assert_eq!(line(&text, "| Node"), "| Node | – | – | – | – | – | – |");
    assert_eq!(line(&text, "| echo-100"), "| echo-100 | 0.50× | **2.00 µs** | 2.50× | – |");
}

#[test]
fn it_says_in_what_tidegate_does_not_lead() {
    let ahead = small(&[echo("tidegate", 2000.0, false), echo("bun", 5000.0, false)]);
    assert!(ahead.contains("**Tidegate leads in all 3 comparisons** with other servers."), "{ahead}");
    let behind = small(&[echo("tidegate", 5000.0, false), echo("bun", 2000.0, false)]);
    assert!(behind.contains("**Tidegate leads in 2 of 3 comparisons**"), "{behind}");
    assert!(behind.contains("- echo, 100 connections, CPU per echo: 5.00 µs; Bun has 2.00 µs\n"), "{behind}");
    let alone = small(&[echo("tidegate", 5000.0, false)]);
    assert!(!alone.contains("leads"), "{alone}");
}

#[test]
fn a_busy_load_generator_is_noted_at_rate_and_latency_only() {
    let text = small(&[echo("tidegate", 2000.0, true), echo("bun", 5000.0, false)]);
    assert_eq!(
        line(&text, "| Tidegate"),
        "| Tidegate | **2.00** | 1.00× | **200**\\* | 1.00× | **900**\\* | 1.00× |"
    );
    assert!(!line(&text, "| Bun").contains("\\*"));
    assert!(line(&text, "\\* ").contains("the pair’s"));
}

#[test]
fn a_failed_run_is_marked_in_every_table_and_in_the_chart() {
    let failed =
        json!({ "ok": false, "server": { "cpu_ns_per_message": 10.0 }, "error_samples": ["<b>|x|</b>"] });
    let file = file(&[echo("tidegate", 2000.0, false), run("echo-100", "bun", &failed)]).to_string();
    let text = section(&file);
    assert!(line(&text, "| Bun").starts_with("| Bun<sup>1</sup> | 0.010 |"), "{text}");
    assert!(text.contains("<sup>1</sup> its only run failed: “&lt;b&gt;\\|x\\|&lt;/b&gt;”."), "{text}");
    assert!(line(&text, "| echo-100").contains("<sup>1</sup>"));
    assert!(line(&text, "| Tidegate").contains("**2.00**"), "who failed is not the best\n{text}");
    assert!(charts(&file)[0].contains("runs failed"));
}

#[test]
fn a_quick_run_is_loudly_not_to_be_trusted() {
    let mut file = file(&[echo("tidegate", 2000.0, false)]);
    assert!(!section(&file.to_string()).contains("trusted"));
    file["quick"] = json!(true);
    assert!(section(&file.to_string()).starts_with("> [!WARNING]\n> **Not to be trusted.**"));
    assert!(charts(&file.to_string())[0].contains("Not to be trusted"));
}

#[test]
fn the_first_line_says_when_and_on_what() {
    let text = section(PEERS);
    assert_eq!(
        text.lines().next().unwrap(),
        "Measured 2026-11-20, commit 7f2cdec, Intel(R) Xeon(R) Processor, 2 cores, Linux 6.18.44, SCHED\\_FIFO; 3 runs of each."
    );
    assert_eq!(
        line(&text, "| node |"),
        "| node | Node, socket.io + ws | node 20.19.2, socket.io 4.8.4, ws 8.18.3 |"
    );
    assert!(text.ends_with("Not measured: 500 clients that come and go.\n"));
}

#[test]
fn curves_have_a_table_for_each_number_with_a_row_for_each_point() {
    let text = section(SCALING);
    let first = line(&text, "**server CPU per echo, µs**");
    let table = &text[text.find(first).unwrap()..];
    let rows: Vec<&str> = table.lines().skip(4).take(5).collect();
    assert!(
        rows[0].starts_with("| 1\u{202f}000 | ") && rows[4].starts_with("| 100\u{202f}000 | "),
        "{rows:#?}"
    );
    assert!(rows[4].ends_with("| – |"), "{rows:#?}");
    assert!(!text.contains("leads"), "curves are not compared");
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    for file in [PEERS, SCALING] {
        assert_eq!((section(file), charts(file)), (section(file), charts(file)));
    }
}

#[test]
fn charts_are_whole_images_without_anything_to_fetch() {
    let all: Vec<String> = [charts(PEERS), charts(SCALING)].concat();
    assert_eq!(all.len(), 6 + 2);
    for svg in all {
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        for needed in
            ["role=\"img\"", "<title id=\"title\">", "<desc id=\"desc\">", "prefers-color-scheme: dark"]
        {
            assert!(svg.contains(needed), "{needed}");
        }
        for unwanted in ["NaN", "inf\"", "href", "url(", "<script", "@import"] {
            assert!(!svg.contains(unwanted), "{unwanted} in {svg}");
        }
    }
}

#[test]
fn a_logarithmic_scale_says_so() {
    let log: Vec<bool> = charts(PEERS).iter().map(|svg| svg.contains("log scale")).collect();
    assert_eq!(log, [false, true, false, false, false, false]);
}

#[test]
fn whatever_is_missing_there_is_something_to_read() {
    let no_lines = json!({ "rows": [{ "name": "echo-1" }], "runs": [run("echo-1", "bun", &Value::Null)] });
    let odd_pointer = json!({ "rows": [{ "name": "x", "lines": [{ "pointer": "no slash" }] }],
        "runs": [run("x", "tidegate", &json!({ "ok": true }))] });
    let zeros = file(&[echo("tidegate", 0.0, false), echo("bun", 0.0, false)]);
    let negative = file(&[echo("tidegate", -5.0, false), echo("bun", 3.0, false)]);
    for file in [json!({}), file(&[]), no_lines, odd_pointer, zeros, negative] {
        let file = file.to_string();
        assert!(section(&file).starts_with("Measured "), "{file}");
        assert!(charts(&file).iter().all(|svg| !svg.contains("NaN")), "{file}");
    }
    assert!(section("{}").contains("No run has a result."));
    assert!(Results::parse("7").is_err() && Results::parse("").is_err());
}

#[test]
fn a_long_name_does_not_push_the_bars_off_the_chart() {
    let mut file = file(&[echo("tidegate", 2000.0, false), echo("bun", 5000.0, false)]);
    file["servers"][2]["title"] = json!("A server with <a name> & that is much too long".repeat(3));
    let svg = charts(&file.to_string()).remove(0);
    assert!(svg.contains("A server with &lt;a") && svg.contains("…</text>"), "{svg}");
    let bar = svg.split("class=\"peer\" x=\"").nth(1).unwrap();
    let x: f64 = bar.split('"').next().unwrap().parse().unwrap();
    assert!((150.0..260.0).contains(&x), "{x}");
}

#[test]
fn one_number_of_connections_is_a_curve_of_one_point() {
    let mut file: Value = serde_json::from_str(SCALING).unwrap();
    file["rows"].as_array_mut().unwrap().truncate(1);
    let charts = charts(&file.to_string());
    assert!(charts.len() == 1 && !charts[0].contains("NaN"), "{charts:?}");
}

fn options(results: &[&Path], docs: &Path) -> RenderOptions {
    let results = results.iter().map(|path| (*path).to_owned()).collect();
    RenderOptions { results, docs: docs.to_owned(), out_dir: docs.to_owned() }
}

const MARKED: &str = "before\n<!-- bench:peers -->\n<!-- end of bench:peers -->\nbetween\n<!-- bench:scaling -->\n<!-- end of bench:scaling -->\nafter\n";

#[test]
fn documents_and_charts_are_written_and_every_chart_of_the_text_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let docs = dir.path();
    fs::write(docs.join("peers.json"), PEERS).unwrap();
    fs::write(docs.join("scaling.json"), SCALING).unwrap();
    fs::write(docs.join("benchmarks.md"), MARKED).unwrap();
    fs::write(docs.join("other.md"), "nothing of ours\n").unwrap();
    render(&options(&[], docs)).unwrap();
    let text = fs::read_to_string(docs.join("benchmarks.md")).unwrap();
    assert!(text.starts_with("before\n<!-- bench:peers -->\n\nMeasured ") && text.ends_with("-->\nafter\n"));
    let links: Vec<&str> = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    assert_eq!(links.len(), 8);
    for link in links {
        assert!(docs.join(link).is_file(), "{link}");
    }
    assert_eq!(fs::read_to_string(docs.join("other.md")).unwrap(), "nothing of ours\n");
    render(&options(&[], docs)).unwrap();
    assert_eq!(fs::read_to_string(docs.join("benchmarks.md")).unwrap(), text);
}

#[test]
fn without_its_markers_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let docs = dir.path();
    let peers = docs.join("peers.json");
    fs::write(&peers, PEERS).unwrap();
    let error = |documents: &[&str]| {
        for (number, text) in documents.iter().enumerate() {
            fs::write(docs.join(format!("{number}.md")), text).unwrap();
        }
        let error = render(&options(&[&peers], docs)).unwrap_err();
        assert!(!docs.join("benchmarks").exists());
        match error {
            RenderError::Marker { error, .. } => error,
            other => panic!("{other}"),
        }
    };
    assert_eq!(error(&["no markers\n"]), MarkerError::Missing);
    assert_eq!(error(&["<!-- bench:peers -->\n"]), MarkerError::Missing);
    assert_eq!(error(&[&MARKED.repeat(2)]), MarkerError::Doubled);
    assert_eq!(error(&[MARKED, MARKED]), MarkerError::Doubled);
}

#[test]
fn without_results_it_says_where_it_looked() {
    let dir = tempfile::tempdir().unwrap();
    let error = render(&options(&[], dir.path())).unwrap_err();
    assert!(matches!(error, RenderError::NoResults(_)) && error.to_string().contains("peers.json"));
}
