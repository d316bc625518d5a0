//! Why a column gave nothing: found by looking again, so that records that are only normalized do not pay for it.

use super::super::expression::{Expression, Scope};
use super::super::value::Value;
use super::super::{Column, Mapping};
use super::{Nothing, Stage};

/// Characters of a value that are shown.
const SHOWN_MAX: usize = 60;

/// The innermost reason why a column that came as far as `stage` gave nothing.
pub(super) fn nothing(mapping: &Mapping, column: &Column, stage: Stage, scope: Scope<'_>) -> Nothing {
    match stage {
        Stage::Guard => Nothing::NotTrue,
        Stage::Expression => no_value(mapping, &column.expression, scope),
        Stage::Kind => Nothing::OtherKind {
            value: shown(column.expression.evaluate(scope).as_ref()),
            kind: column.kind,
        },
        Stage::Identity => Nothing::NotAnIdentity,
    }
}

/// Why an expression has no value: because a part of it has none, or by itself.
fn no_value(mapping: &Mapping, expression: &Expression, scope: Scope<'_>) -> Nothing {
    let parts = match expression {
        Expression::Field(slot) => {
            let field = mapping.sources().name(*slot).unwrap_or_default().to_owned();
            return Nothing::NoField { field };
        }
        Expression::Call(_, parts, _) => parts.as_slice(),
        Expression::Minus(part) | Expression::Not(part) => std::slice::from_ref(&**part),
        Expression::Binary(_, parts) => &parts[..],
        Expression::Between(parts) => &parts[..],
        Expression::All(parts) | Expression::Any(parts) | Expression::List(parts) => parts,
        Expression::Nothing | Expression::Literal(_) | Expression::Exists(_) => &[],
    };
    if let Some(part) = parts.iter().find(|part| part.evaluate(scope).is_none()) {
        return no_value(mapping, part, scope);
    }
    let Expression::Call(function, arguments, _) = expression else {
        return Nothing::NoOperands;
    };
    let shown: Vec<_> = arguments
        .iter()
        .map(|argument| shown(argument.evaluate(scope).as_ref()))
        .collect();
    Nothing::NoResult {
        function: function.name,
        arguments: if shown.is_empty() {
            "no arguments".to_owned()
        } else {
            shown.join(", ")
        },
    }
}

/// A value as somebody may read it.
fn shown(value: Option<&Value<'_>>) -> String {
    match value {
        None => "no value".to_owned(),
        Some(Value::Text(text)) if text.chars().nth(SHOWN_MAX).is_some() => {
            format!("\"{}…\"", text.chars().take(SHOWN_MAX).collect::<String>())
        }
        Some(Value::Text(text)) => format!("\"{text}\""),
        Some(Value::List(items)) => format!("a list of {}", items.len()),
        Some(Value::Map(entries)) => format!("a map of {}", entries.len()),
        Some(value) => value.lend().into_text().unwrap_or_default().into_owned(),
    }
}
