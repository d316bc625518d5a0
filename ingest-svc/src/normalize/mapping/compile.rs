//! Syntax tree → mapping: looks everything up and checks what the grammar cannot.

mod expression;

use std::collections::HashMap;

use model::name::is_alias;
use proto::profile::v1::MergeOperator;

use super::super::event::Frame;
use super::super::kind::{self, Kind};
use super::super::lql::{self, Name, Problems, Statement};
use super::super::suggestion;
use super::{Column, Expression, Mapping, Sources};
use crate::source::STREAM_BYTES_MAX;
use expression::{Compiler, own_kind};

/// The only table that events are about.
const TABLE: &str = "user";

/// Compiles a statement. What is wrong with it is added to `problems`; the mapping is of use only if nothing was.
pub(super) fn compile(statement: Statement, problems: &mut Problems<'_>) -> Mapping {
    if let Some(table) = statement.into.filter(|table| table.text != TABLE) {
        problems.add(
            table.offset,
            format!("unknown table `{}`; there is only `{TABLE}`", table.text),
        );
    }
    if let Some(stream) = statement
        .from
        .as_ref()
        .filter(|stream| stream.text.len() > STREAM_BYTES_MAX)
    {
        let problem = format!("a stream's name has at most {STREAM_BYTES_MAX} bytes");
        problems.add(stream.offset, problem);
    }
    if let Some(alias) = statement.alias.as_ref().filter(|alias| !is_alias(&alias.text)) {
        let problem = "the name of a mapping has 1 to 63 letters without accents, digits, `_`, `-` and `.`";
        problems.add(alias.offset, problem);
    }
    let expressions = statement
        .columns
        .iter()
        .flat_map(|column| std::iter::once(&column.expression).chain(&column.guard))
        .chain(&statement.condition);
    let mut sources = Vec::new();
    expressions.for_each(|expression| collect_sources(expression, &mut sources));
    let sources = Sources::new(sources);
    let mut compiler = Compiler {
        sources: &sources,
        prefixes: Vec::new(),
        problems,
    };
    let mut columns: Vec<Column> = Vec::with_capacity(statement.columns.len());
    let mut places = HashMap::with_capacity(columns.len());
    for column in statement.columns {
        let offset = column.name.as_ref().map_or(column.offset, |name| name.offset);
        let compiled = compile_column(column, &mut compiler);
        if !compiled.field.is_empty() && places.insert(compiled.field.clone(), columns.len()).is_some() {
            compiler.problems.add(
                offset,
                format!(
                    "two columns fill the field `{}`: make one of them, with oneof(…) if the first that has a value counts",
                    compiled.field
                ),
            );
        }
        columns.push(compiled);
    }
    let condition = statement
        .condition
        .map(|condition| compiler.expression(condition).unwrap_or(Expression::Nothing));
    let prefixes = compiler.prefixes;
    let identity = identity(statement.by, &columns, &places, problems);
    identity.iter().for_each(|column| columns[*column].identifies = true);
    let text = |name: Option<Name>| name.map(|name| name.text).unwrap_or_default();
    Mapping {
        alias: text(statement.alias),
        version: 0,
        stream: text(statement.from),
        columns,
        identity,
        sources,
        prefixes,
        condition,
    }
}

/// The columns that `BY` names.
fn identity(
    by: Vec<Name>,
    columns: &[Column],
    places: &HashMap<String, usize>,
    problems: &mut Problems<'_>,
) -> Vec<usize> {
    let mut identity = Vec::with_capacity(by.len());
    for Name { text, offset } in by {
        match places.get(&text) {
            None => {
                let fields = columns.iter().map(|column| column.field.as_str());
                let hint = suggestion::nearest(&text, fields).unwrap_or_else(|| "name a column so with AS".to_owned());
                problems.add(offset, format!("BY names `{text}`, which no column fills; {hint}"));
            }
            Some(column) if identity.contains(column) => problems.add(offset, format!("BY names `{text}` twice")),
            Some(column) if !matches!(columns[*column].kind, Kind::Text | Kind::Texts) => problems.add(
                offset,
                format!(
                    "`{text}` cannot identify: it is of kind {}, not string or []string",
                    columns[*column].kind.as_str()
                ),
            ),
            Some(column) => identity.push(*column),
        }
    }
    identity
}

fn compile_column(column: lql::Column, compiler: &mut Compiler<'_, '_>) -> Column {
    let field = match (&column.name, &column.expression) {
        (Some(name), _) => name.text.clone(),
        (None, lql::Expression::Field(source)) => source.text.clone(),
        (None, _) => {
            compiler
                .problems
                .add(column.offset, "the column needs a name: AS <field>");
            String::new()
        }
    };
    let expression = compiler.expression(column.expression);
    let guard = column
        .guard
        .map(|guard| compiler.expression(guard).unwrap_or(Expression::Nothing));
    let kind = match &column.kind {
        None => expression.as_ref().map_or(Kind::Text, own_kind),
        Some(name) => Kind::parse(&name.text).unwrap_or_else(|| {
            compiler.problems.add(name.offset, unknown_kind(&name.text));
            Kind::Text
        }),
    };
    let merge_operator = column.merge_operator.map_or(MergeOperator::Unspecified, |name| {
        let Some(operator) = kind::parse_merge_operator(&name.text) else {
            let known = kind::merge_operator_names();
            compiler.problems.add(
                name.offset,
                format!("unknown merge operator `{}`; there are {known}", name.text),
            );
            return MergeOperator::Unspecified;
        };
        if !kind::can_merge(operator, kind) {
            compiler.problems.add(
                name.offset,
                format!("`{}` cannot merge values of kind {}", name.text, kind.as_str()),
            );
        }
        operator
    });
    Column {
        frame: Frame::new(&field, merge_operator),
        field,
        kind,
        merge_operator,
        short_description: column.short_description,
        long_description: column.long_description,
        expression: expression.unwrap_or(Expression::Nothing),
        guard,
        identifies: false,
    }
}

fn unknown_kind(name: &str) -> String {
    let known = Kind::ALL.map(Kind::as_str).join(", ");
    if Kind::INTERNAL
        .iter()
        .any(|internal| internal.eq_ignore_ascii_case(name))
    {
        format!("a mapping cannot fill the kind `{name}`, only Lytics itself; there are {known}")
    } else {
        format!("unknown kind `{name}`; there are {known}")
    }
}

fn collect_sources(expression: &lql::Expression, sources: &mut Vec<String>) {
    if let lql::Expression::Field(name) = expression {
        sources.push(name.text.clone());
    }
    for part in expression.parts() {
        collect_sources(part, sources);
    }
}
