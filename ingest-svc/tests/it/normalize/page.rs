//! docs/mapping.md keeps its word.
//!
//! A statement (```` ```lql ````), a record (```` ```json ````) and the fields that it becomes (```` ```text ````) that follow
//! each other are one example. Tables headed *expression* and *gives* are evaluated for the page's record, the first of
//! its examples; *no value* means what it says.

use std::collections::BTreeSet;

use ingest_svc::normalize::Mapping;

use super::functions::FUNCTIONS;
use super::{evaluate, run, text};

const PAGE: &str = include_str!("../../../../docs/mapping.md");

/// The blocks of the page: language and content.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut blocks = Vec::new();
    let mut rest = PAGE;
    while let Some((_, behind)) = rest.split_once("\n```") {
        let (language, content) = behind.split_once('\n').unwrap();
        let (content, behind) = content.split_once("\n```").unwrap();
        blocks.push((language, content));
        rest = behind;
    }
    blocks
}

/// The cells of the rows of tables with these headings.
fn rows(headings: [&str; 2]) -> Vec<[String; 2]> {
    let cells = |line: &str| -> Option<[String; 2]> {
        let line = line.replace("\\|", "\u{0}");
        let mut cells = line
            .strip_prefix('|')?
            .split('|')
            .map(|cell| cell.trim().replace('\u{0}', "|"));
        Some([cells.next()?, cells.next()?])
    };
    let mut rows = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        match cells(line) {
            Some(row) if row == headings => inside = true,
            Some(row) if inside && !row[0].starts_with('-') => rows.push(row),
            Some(_) => {}
            None => inside = false,
        }
    }
    rows
}

/// What stands between the first backticks, one or two of them.
fn code(cell: &str) -> &str {
    match cell.strip_prefix("``") {
        Some(code) => code.split("``").next().unwrap().trim(),
        None => cell.split('`').nth(1).unwrap(),
    }
}

#[test]
fn every_example_gives_what_stands_below_it() {
    let blocks = blocks();
    let mut examples = 0;
    for example in blocks.windows(3) {
        let [("lql", statement), ("json", record), ("text", expected)] = example else {
            continue;
        };
        let mapping = Mapping::parse(statement).unwrap_or_else(|problems| panic!("{statement}\n{problems:?}"));
        let found = match run(&mapping, record) {
            Ok(normalized) => {
                let fields = normalized.event.fields.into_iter();
                let lines =
                    fields.map(|field| format!("{} = {}", field.name, text(field.value.unwrap().kind.unwrap())));
                lines.collect::<Vec<_>>().join("\n")
            }
            Err(reason) => reason.to_string(),
        };
        assert_eq!(found, *expected, "{statement}");
        examples += 1;
    }
    let statements = blocks.iter().filter(|(language, _)| *language == "lql").count();
    assert_eq!(examples, statements, "every statement is an example");
    assert!(examples > 3);
}

#[test]
fn every_row_of_the_tables_is_true() {
    let record = blocks()
        .into_iter()
        .find(|(language, _)| *language == "json")
        .unwrap()
        .1;
    let rows = rows(["expression", "gives"]);
    assert!(rows.len() > 90, "{}", rows.len());
    for [expression, expected] in rows {
        let expression = code(&expression);
        let found =
            evaluate(expression, "", &record).map_or_else(|| "no value".to_owned(), |kind| format!("`{}`", text(kind)));
        assert_eq!(found, expected, "{expression}");
    }
}

#[test]
fn every_problem_of_the_page_is_told_so() {
    let rows = rows(["statement or column", "problem"]);
    assert!(rows.len() > 5);
    for [faulty, problem] in rows {
        let faulty = code(&faulty);
        let text = if faulty.starts_with("SELECT") {
            faulty.to_owned()
        } else {
            format!("SELECT id, {faulty} FROM s INTO user BY id ALIAS a")
        };
        let problems = Mapping::parse(&text).unwrap_err();
        assert!(
            problems.iter().any(|found| found.message == code(&problem)),
            "{faulty}: {problems:?}"
        );
    }
}

#[test]
fn every_function_is_on_the_page() {
    let on_the_page: BTreeSet<&str> = PAGE.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).collect();
    for name in FUNCTIONS {
        assert!(on_the_page.contains(name), "{name} is not on the page");
        let problems = Mapping::parse(&format!("SELECT {name}() AS a FROM s INTO user BY a ALIAS q"));
        let unknown =
            problems.is_err_and(|problems| problems.iter().any(|one| one.message.contains("unknown function")));
        assert!(!unknown, "{name} is not a function");
    }
}
