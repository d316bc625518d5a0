//! Syntax tree → mapping: looks everything up and checks what the grammar cannot.

use proto::profile::v1::MergeOperator;

use super::super::functions::{self, Function};
use super::super::kind::{self, Kind};
use super::super::lql::{self, Name, Problems, Statement};
use super::super::{Value, expression};
use super::{Column, Mapping};

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
    let mut sources = Vec::new();
    for column in &statement.columns {
        collect_sources(&column.expression, &mut sources);
    }
    sources.sort();
    sources.dedup();
    let mut columns: Vec<Column> = Vec::with_capacity(statement.columns.len());
    for column in statement.columns {
        let offset = column.name.as_ref().map_or(column.offset, |name| name.offset);
        let compiled = compile_column(column, &sources, problems);
        if columns.iter().any(|other| other.field == compiled.field) && !compiled.field.is_empty() {
            problems.add(offset, format!("two columns fill the field `{}`", compiled.field));
        }
        columns.push(compiled);
    }
    let mut identity = Vec::with_capacity(statement.by.len());
    for Name { text, offset } in statement.by {
        match columns.iter().position(|column| column.field == text) {
            None => problems.add(offset, format!("BY names `{text}`, which no column fills")),
            Some(column) if identity.contains(&column) => problems.add(offset, format!("BY names `{text}` twice")),
            Some(column) if !matches!(columns[column].kind, Kind::Text | Kind::Texts) => problems.add(
                offset,
                format!(
                    "`{text}` cannot identify: it is of kind {}, not string or []string",
                    columns[column].kind.as_str()
                ),
            ),
            Some(column) => identity.push(column),
        }
    }
    let text = |name: Option<Name>| name.map(|name| name.text).unwrap_or_default();
    Mapping {
        alias: text(statement.alias),
        stream: text(statement.from),
        columns,
        identity,
        sources,
    }
}

fn compile_column(column: lql::Column, sources: &[String], problems: &mut Problems<'_>) -> Column {
    let field = match (&column.name, &column.expression) {
        (Some(name), _) => name.text.clone(),
        (None, lql::Expression::Field(source)) => source.text.clone(),
        (None, _) => {
            problems.add(column.offset, "the column needs a name: AS <field>");
            String::new()
        }
    };
    let expression = compile_expression(column.expression, sources, problems);
    let kind = match &column.kind {
        None => expression.as_ref().map_or(Kind::Text, own_kind),
        Some(name) => Kind::parse(&name.text).unwrap_or_else(|| {
            let known = Kind::ALL.map(Kind::as_str).join(", ");
            problems.add(name.offset, format!("unknown kind `{}`; there are {known}", name.text));
            Kind::Text
        }),
    };
    let merge_operator = column.merge_operator.map_or(MergeOperator::Unspecified, |name| {
        let Some(operator) = kind::parse_merge_operator(&name.text) else {
            let known = kind::merge_operator_names();
            problems.add(
                name.offset,
                format!("unknown merge operator `{}`; there are {known}", name.text),
            );
            return MergeOperator::Unspecified;
        };
        if !kind::can_merge(operator, kind) {
            problems.add(
                name.offset,
                format!("`{}` cannot merge values of kind {}", name.text, kind.as_str()),
            );
        }
        operator
    });
    Column {
        field,
        kind,
        merge_operator,
        short_description: column.short_description,
        long_description: column.long_description,
        expression: expression.unwrap_or(expression::Expression::Literal(Value::list(Vec::new()))),
    }
}

fn compile_expression(
    expression: lql::Expression,
    sources: &[String],
    problems: &mut Problems<'_>,
) -> Option<expression::Expression> {
    Some(match expression {
        lql::Expression::Text(text) => expression::Expression::Literal(Value::Text(text.into())),
        lql::Expression::Int(int) => expression::Expression::Literal(Value::Int(int)),
        lql::Expression::Number(number) => expression::Expression::Literal(Value::Number(number)),
        lql::Expression::Field(Name { text, .. }) => expression::Expression::Field(sources.binary_search(&text).ok()?),
        lql::Expression::Call {
            function: name,
            arguments,
        } => {
            let function = functions::find(&name.text);
            match function {
                None => problems.add(name.offset, format!("unknown function `{}`", name.text)),
                Some(function) if !function.arity.contains(&arguments.len()) => {
                    problems.add(name.offset, wrong_arity(function, arguments.len()));
                }
                Some(_) => {}
            }
            // The arguments are compiled even if the function is not known, to find their problems too.
            let compiled: Vec<_> = arguments
                .into_iter()
                .map(|argument| compile_expression(argument, sources, problems))
                .collect();
            expression::Expression::Call(function?, compiled.into_iter().collect::<Option<_>>()?)
        }
    })
}

fn wrong_arity(function: &Function, found: usize) -> String {
    let (least, most) = (function.arity.start(), function.arity.end());
    let takes = if least == most {
        least.to_string()
    } else {
        format!("{least} to {most}")
    };
    let arguments = if *most == 1 { "argument" } else { "arguments" };
    format!("`{}` takes {takes} {arguments}, not {found}", function.name)
}

/// The kind of a column that states none: that of the outermost function, else string.
fn own_kind(expression: &expression::Expression) -> Kind {
    match expression {
        expression::Expression::Call(function, _) => function.kind,
        expression::Expression::Literal(Value::Int(_)) => Kind::Int,
        expression::Expression::Literal(Value::Number(_)) => Kind::Number,
        _ => Kind::Text,
    }
}

fn collect_sources(expression: &lql::Expression, sources: &mut Vec<String>) {
    match expression {
        lql::Expression::Field(name) => sources.push(name.text.clone()),
        lql::Expression::Call { arguments, .. } => {
            for argument in arguments {
                collect_sources(argument, sources);
            }
        }
        lql::Expression::Text(_) | lql::Expression::Int(_) | lql::Expression::Number(_) => {}
    }
}
