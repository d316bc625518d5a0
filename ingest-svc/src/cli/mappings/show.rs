//! What the commands print: lines and tables for people, JSON for programs.

use std::path::Path;

use clap::{Args, ValueEnum};
use proto::mapping::v1 as wire;
use proto::mapping::v1::test_mapping_response::Outcome;
use proto::mapping::v1::tested_column::Outcome as ColumnOutcome;
use proto::profile::v1::Value as Typed;
use serde_json::{Value, json};

use crate::readable::{readable, time};

/// How an answer is shown.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::cli) struct Format {
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Lines and tables for people
    #[default]
    Text,
    /// JSON, a list as one object a line
    Json,
}

impl Format {
    pub(super) const TEXT: Self = Self { output: Output::Text };
    pub(super) const JSON: Self = Self { output: Output::Json };

    fn is_json(self) -> bool {
        self.output == Output::Json
    }
}

/// A mapping or a shadow as something to show.
pub(super) trait Show {
    /// Names and values, without the statement.
    fn fields(&self) -> Vec<(&'static str, String)>;
    fn json(&self) -> Value;
}

impl Show for wire::Mapping {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.clone()),
            ("stream", self.stream.clone()),
            ("version", self.version.to_string()),
            (
                "create_time",
                self.create_time.as_ref().and_then(time).unwrap_or_default(),
            ),
            ("revision", self.revision.to_string()),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "stream": self.stream,
            "version": self.version,
            "create_time": self.create_time.as_ref().and_then(time),
            "revision": self.revision,
            "lql": self.lql,
        })
    }
}

impl Show for wire::Shadow {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.clone()),
            ("stream", self.stream.clone()),
            (
                "create_time",
                self.create_time.as_ref().and_then(time).unwrap_or_default(),
            ),
            ("revision", self.revision.to_string()),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "stream": self.stream,
            "create_time": self.create_time.as_ref().and_then(time),
            "revision": self.revision,
            "lql": self.lql,
        })
    }
}

/// One of them; a line for each field.
pub(super) fn lines(format: Format, item: &impl Show) -> String {
    if format.is_json() {
        return format!("{}\n", item.json());
    }
    let rows = item
        .fields()
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value]);
    aligned(&rows.collect::<Vec<_>>())
}

/// Several of them; a row for each.
pub(super) fn table<T: Show>(format: Format, items: &[T]) -> String {
    if format.is_json() {
        return items.iter().map(|item| format!("{}\n", item.json())).collect();
    }
    let Some(first) = items.first() else {
        return "none\n".to_owned();
    };
    let headings = first
        .fields()
        .into_iter()
        .map(|(name, _)| name.to_uppercase())
        .collect();
    let rows = items
        .iter()
        .map(|item| item.fields().into_iter().map(|(_, value)| value).collect());
    aligned(&std::iter::once(headings).chain(rows).collect::<Vec<_>>())
}

/// Rows of cells, in columns.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or_default())
        .map(width)
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// The problems of the statement in a file.
pub(super) fn validated(format: Format, file: &Path, answer: &wire::ValidateMappingResponse) -> String {
    if format.is_json() {
        let problems = answer.problems.iter().map(|problem| {
            let wire::Problem { line, column, message } = problem;
            json!({"line": line, "column": column, "message": message})
        });
        let problems: Vec<_> = problems.collect();
        return format!(
            "{}\n",
            json!({"problems": problems, "problems_left_out": answer.problems_left_out})
        );
    }
    let problems = answer.problems.iter().map(|problem| {
        let wire::Problem { line, column, message } = problem;
        format!("{}:{line}:{column}: {message}\n", file.display())
    });
    let mut text: String = problems.collect();
    match answer.problems_left_out {
        0 if text.is_empty() => text.push_str("the statement is good\n"),
        0 => {}
        more => text.push_str(&format!("and {more} more\n")),
    }
    text
}

fn value(value: &Typed) -> Value {
    value.kind.as_ref().map_or(Value::Null, readable)
}

/// A value without the quotes of a text.
fn plain(typed: &Typed) -> String {
    match value(typed) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// What a mapping made of a record.
pub(super) fn tested(format: Format, answer: &wire::TestMappingResponse) -> String {
    let identities = |event: &proto::profile::v1::ProfileEvent| -> Vec<String> {
        let identities = event.identities.iter();
        identities
            .map(|identity| format!("{}:{}", identity.field, identity.value))
            .collect()
    };
    if format.is_json() {
        let columns = answer.columns.iter().map(|column| match &column.outcome {
            Some(ColumnOutcome::Value(typed)) => json!({"field": column.field, "value": value(typed)}),
            Some(ColumnOutcome::NothingBecause(why)) => json!({"field": column.field, "nothing_because": why}),
            None => json!({"field": column.field}),
        });
        let columns: Vec<_> = columns.collect();
        let mut json = json!({"columns": columns, "identities_dropped": answer.identities_dropped});
        match &answer.outcome {
            Some(Outcome::Event(event)) => {
                json["event"] = json!({
                    "event_id": event.event_id,
                    "mapping": event.mapping,
                    "mapping_version": event.mapping_version,
                    "event_time": event.event_time.as_ref().and_then(time),
                    "identities": identities(event),
                });
            }
            Some(Outcome::RejectedReason(reason)) => json["rejected_reason"] = json!(reason),
            Some(Outcome::NotWanted(_)) => json["not_wanted"] = json!(true),
            None => {}
        }
        return format!("{json}\n");
    }
    let mut text = match &answer.outcome {
        Some(Outcome::Event(event)) => format!("would be published, of {}\n", identities(event).join(", ")),
        Some(Outcome::RejectedReason(reason)) => format!("would be rejected: {reason}\n"),
        Some(Outcome::NotWanted(_)) => "is not wanted: its WHERE is not true of the record\n".to_owned(),
        None => String::new(),
    };
    let rows = answer.columns.iter().map(|column| {
        let outcome = match &column.outcome {
            Some(ColumnOutcome::Value(typed)) => format!("= {}", plain(typed)),
            Some(ColumnOutcome::NothingBecause(why)) => format!("  nothing: {why}"),
            None => String::new(),
        };
        vec![column.field.clone(), outcome]
    });
    text.push_str(&aligned(&rows.collect::<Vec<_>>()));
    text
}

/// How a candidate differs from the live mapping.
pub(super) fn report(format: Format, answer: &wire::GetShadowResponse) -> String {
    let shadow = answer.shadow.clone().unwrap_or_default();
    let Some(report) = &answer.report else {
        if format.is_json() {
            return format!("{}\n", json!({"shadow": shadow.json(), "report": null}));
        }
        return format!("{}\nthis replica has not heard of it yet\n", lines(format, &shadow));
    };
    if format.is_json() {
        return format!("{}\n", json!({"shadow": shadow.json(), "report": report_json(report)}));
    }
    let mut rows = vec![
        ("replica", report.replica.clone()),
        (
            "beside",
            format!("{} version {}", report.live_mapping, report.live_version),
        ),
        ("since", report.start_time.as_ref().and_then(time).unwrap_or_default()),
        ("same", report.same.to_string()),
        ("different", report.different.to_string()),
        ("passed over", report.passed_over.to_string()),
        ("other identities", report.other_identities.to_string()),
        ("other key", report.other_key.to_string()),
    ];
    if report.in_other_fields > 0 {
        rows.push(("in other fields", report.in_other_fields.to_string()));
    }
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    let mut text = format!("{}\n{}", lines(format, &shadow), aligned(&rows.collect::<Vec<_>>()));
    let outcomes = report.outcomes.iter().map(|outcome| {
        let wire::OutcomeDifference { live, candidate, count } = outcome;
        vec![live.clone(), candidate.clone(), count.to_string()]
    });
    section(&mut text, &["LIVE", "CANDIDATE", "RECORDS"], outcomes.collect());
    let fields = report.fields.iter().map(|field| {
        let example = field.examples.first().cloned().unwrap_or_default();
        vec![
            field.field.clone(),
            field.live_only.to_string(),
            field.candidate_only.to_string(),
            field.other_value.to_string(),
            field.other_merge_operator.to_string(),
            format!("{:?} -> {:?}", example.live, example.candidate),
        ]
    });
    let headings = [
        "FIELD",
        "LIVE ONLY",
        "CANDIDATE ONLY",
        "OTHER VALUE",
        "OTHER MERGEOP",
        "EXAMPLE",
    ];
    section(&mut text, &headings, fields.collect());
    text
}

/// A table below others, unless it is empty.
fn section(text: &mut String, headings: &[&str], mut rows: Vec<Vec<String>>) {
    if !rows.is_empty() {
        rows.insert(0, headings.iter().map(|&heading| heading.to_owned()).collect());
        text.push('\n');
        text.push_str(&aligned(&rows));
    }
}

fn report_json(report: &wire::ShadowReport) -> Value {
    let outcomes = report
        .outcomes
        .iter()
        .map(|outcome| json!({"live": outcome.live, "candidate": outcome.candidate, "count": outcome.count}));
    let example = |example: &wire::DifferenceExample| json!({"event_id": example.event_id, "live": example.live, "candidate": example.candidate});
    let fields = report.fields.iter().map(|field| {
        json!({
            "field": field.field,
            "live_only": field.live_only,
            "candidate_only": field.candidate_only,
            "other_value": field.other_value,
            "other_merge_operator": field.other_merge_operator,
            "examples": field.examples.iter().map(example).collect::<Vec<_>>(),
        })
    });
    json!({
        "replica": report.replica,
        "live_mapping": report.live_mapping,
        "live_version": report.live_version,
        "start_time": report.start_time.as_ref().and_then(time),
        "same": report.same,
        "different": report.different,
        "passed_over": report.passed_over,
        "other_identities": report.other_identities,
        "other_key": report.other_key,
        "outcomes": outcomes.collect::<Vec<_>>(),
        "fields": fields.collect::<Vec<_>>(),
        "in_other_fields": report.in_other_fields,
    })
}
