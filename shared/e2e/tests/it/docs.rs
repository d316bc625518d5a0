//! Proves that the documents which say what is guaranteed name only tests and metrics that exist. How: what stands between backticks
//! and reads like the name of one is looked for in the sources.

use std::fs;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const PAGES: [&str; 2] = ["ARCHITECTURE.md", "docs/delivery-semantics.md"];
/// How the names of our metrics begin.
const METRICS: [&str; 5] = ["export_", "ingest_", "kafka_", "server_", "grpc_server_"];
/// A name of so many words is a test's: a sentence.
const WORDS: usize = 5;
/// The heading of the table of queues, and where the columns are that name a metric and a test.
const QUEUES: &str = "| queue | bound | metric | when full | tests |";

/// Every source of ours: its path without the extension, and its text.
fn sources() -> Vec<(String, String)> {
    let mut sources = Vec::new();
    let folders = ["deploy/local", "export-svc", "ingest-svc", "proto", "shared"];
    let mut folders: Vec<_> = folders.iter().map(|folder| Path::new(ROOT).join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push((path.with_extension("").display().to_string(), text));
            }
        }
    }
    sources
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The path and the name of a test, either of which may be empty: `engine::moves::a_reset_…`.
fn test(quoted: &str) -> Option<(&str, &str)> {
    let spelt = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_:…".contains(letter);
    if !quoted.chars().all(spelt) || METRICS.iter().any(|metric| quoted.starts_with(metric)) {
        return None;
    }
    let (path, name) = quoted.rsplit_once("::").unwrap_or(("", quoted));
    if name.contains('…') || name.split('_').count() >= WORDS {
        return Some((path, name));
    }
    quoted.contains("::").then_some((quoted, ""))
}

/// Whether a name is this one, in which "…" stands for anything.
fn is_like(name: &str, pattern: &str) -> bool {
    let mut left = name;
    let (mut parts, open) = (pattern.split('…'), pattern.contains('…'));
    left = match left.strip_prefix(parts.next().unwrap_or_default()) {
        Some(left) => left,
        None => return false,
    };
    for part in parts {
        left = match left.split_once(part) {
            Some((_, left)) => left,
            None => return false,
        };
    }
    open || left.is_empty()
}

/// The names of the tests in a source.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    let marked = text.split("#[test]").skip(1);
    let marked = marked.chain(text.split("#[tokio::test").skip(1));
    marked.filter_map(|after| after.split_once("fn ")?.1.split(['(', '<']).next())
}

fn exists(sources: &[(String, String)], path: &str, name: &str) -> bool {
    let path = path.replace("::", "/");
    // A module may be a part of its file.
    let file = path.strip_suffix("/tests").unwrap_or(&path);
    let within = |source: &str| {
        let names = [&path, file].map(|path| format!("/{path}"));
        path.is_empty()
            || names
                .iter()
                .any(|path| source.ends_with(path) || source.contains(&format!("{path}/")))
    };
    let mut sources = sources.iter().filter(|(source, _)| within(source));
    sources.any(|(_, text)| tests(text).any(|test| name.is_empty() || is_like(test, name)))
}

#[test]
fn every_test_that_a_page_names_exists() {
    let sources = sources();
    for page_name in PAGES {
        let text = page(page_name);
        let named: Vec<_> = quoted(&text).filter_map(test).collect();
        assert!(named.len() > 20, "{page_name} names {} tests", named.len());
        let missing: Vec<_> = named
            .iter()
            .filter(|(path, name)| !exists(&sources, path, name))
            .collect();
        assert!(
            missing.is_empty(),
            "{page_name} names tests that are not there: {missing:#?}"
        );
    }
}

#[test]
fn every_metric_that_a_page_names_exists() {
    let sources = sources();
    for page_name in PAGES {
        let text = page(page_name);
        for metric in quoted(&text).filter(|quoted| METRICS.iter().any(|metric| quoted.starts_with(metric))) {
            let name = metric.split(['…', '{']).next().unwrap_or_default();
            let name = if metric.contains('…') {
                format!("\"{name}")
            } else {
                format!("\"{name}\"")
            };
            let found = sources.iter().any(|(_, text)| text.contains(&name));
            assert!(found, "{page_name} names the metric {metric}");
        }
    }
}

#[test]
fn every_queue_has_a_bound_a_word_on_its_end_and_a_test() {
    let page = page("docs/delivery-semantics.md");
    let rows: Vec<_> = page
        .lines()
        .skip_while(|line| *line != QUEUES)
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        assert!(quoted(cells[4]).any(|quoted| test(quoted).is_some()), "no test: {row}");
    }
}
