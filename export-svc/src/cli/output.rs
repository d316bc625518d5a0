//! What commands print: lines and tables for people, JSON for programs.

use clap::ValueEnum;
use runtime::stdout;
use serde_json::{Map, Value};

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Output {
    /// Lines and tables for people.
    #[default]
    Text,
    /// JSON for programs, in the contracts' own spelling.
    Json,
}

/// A resource as something to show.
pub(super) trait Show {
    /// Headings of a table of these.
    const COLUMNS: &'static [&'static str];
    /// One row under the headings.
    fn row(&self) -> Vec<String>;
    /// Everything, in the order of the contract; what is empty is left out of the text.
    fn fields(&self) -> Vec<(&'static str, Value)>;
}

impl Output {
    /// Prints one resource.
    pub(super) fn one(self, item: &impl Show) {
        match self {
            Self::Json => stdout::line(json(item)),
            Self::Text => stdout::text(lines(item)),
        }
    }

    /// One resource as JSON, on one line.
    pub(super) fn json_line(item: &impl Show) -> String {
        json(item).to_string()
    }

    /// Prints a list of resources.
    pub(super) fn list<T: Show>(self, items: &[T]) {
        match self {
            Self::Json => stdout::line(Value::Array(items.iter().map(json).collect())),
            Self::Text if items.is_empty() => stdout::line("none"),
            Self::Text => stdout::text(table(T::COLUMNS, items.iter().map(Show::row).collect())),
        }
    }

    /// Prints what comes one after the other: a line of JSON each, or a row under headings.
    pub(super) fn rows(self) -> Rows {
        Rows {
            output: self,
            any: false,
        }
    }

    /// Prints a sentence, or the same as JSON.
    pub(super) fn done(self, sentence: &str, fields: Vec<(&'static str, Value)>) {
        match self {
            Self::Json => stdout::line(object(fields)),
            Self::Text => stdout::line(sentence),
        }
    }
}

/// What is printed as it comes, so that nobody knows how wide its columns will be.
pub(super) struct Rows {
    output: Output,
    any: bool,
}

impl Rows {
    /// Whether anybody still reads.
    pub(super) fn next<T: Show>(&mut self, item: &T) -> bool {
        let headed = std::mem::replace(&mut self.any, true);
        match self.output {
            Output::Json => stdout::offer(json(item)),
            Output::Text => {
                if !headed {
                    stdout::line(T::COLUMNS.join("\t"));
                }
                stdout::offer(item.row().join("\t"))
            }
        }
    }

    pub(super) fn end(self) {
        if self.output == Output::Text && !self.any {
            stdout::line("none");
        }
    }
}

fn object(fields: Vec<(&'static str, Value)>) -> Value {
    Value::Object(
        fields
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
}

fn json(item: &impl Show) -> Value {
    object(item.fields())
}

fn lines(item: &impl Show) -> String {
    let fields: Vec<(&str, String)> = item
        .fields()
        .into_iter()
        .map(|(key, value)| (key, plain(&value)))
        .filter(|(_, text)| !text.is_empty())
        .collect();
    let width = fields.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    fields
        .iter()
        .map(|(key, text)| format!("{key:width$}  {text}\n"))
        .collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let separator = if items.iter().any(Value::is_object) { "; " } else { ", " };
            items.iter().map(plain).collect::<Vec<_>>().join(separator)
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| format!("{key} {}", plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}

fn table(columns: &[&str], mut rows: Vec<Vec<String>>) -> String {
    rows.insert(0, columns.iter().map(|&column| column.to_owned()).collect());
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A time as people and programs read it; nothing for none.
pub(super) fn time(time: Option<prost_types::Timestamp>) -> Value {
    let text = time
        .as_ref()
        .and_then(model::time::from_wire)
        .map(|time| time.to_string());
    text.map_or(Value::Null, Value::String)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Thing;

    impl Show for Thing {
        const COLUMNS: &'static [&'static str] = &["NAME", "LABEL"];
        fn row(&self) -> Vec<String> {
            vec!["things/1".to_owned(), "Größe".to_owned()]
        }
        fn fields(&self) -> Vec<(&'static str, Value)> {
            vec![
                ("name", "things/1".into()),
                ("description", "".into()),
                ("audiences", json!(["a", "b"])),
                ("counters", json!({"added": 1})),
            ]
        }
    }

    #[test]
    fn a_resource_is_lines_without_what_is_empty() {
        assert_eq!(
            lines(&Thing),
            "name       things/1\naudiences  a, b\ncounters   added 1\n"
        );
    }

    #[test]
    fn json_holds_what_is_empty_too() {
        let expected =
            json!({"name": "things/1", "description": "", "audiences": ["a", "b"], "counters": {"added": 1}});
        assert_eq!(super::json(&Thing), expected);
    }

    #[test]
    fn a_table_lines_its_columns_up() {
        let rows = vec![Thing.row(), vec!["t".to_owned(), "x".to_owned()]];
        assert_eq!(
            table(Thing::COLUMNS, rows),
            "NAME      LABEL\nthings/1  Größe\nt         x\n"
        );
    }
}
