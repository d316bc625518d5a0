//! Expressions: fields become slots, names become functions, constants become what they are used as.

use super::super::super::functions::{self, Function, Gives, Prepared};
use super::super::super::kind::Kind;
use super::super::super::lql::{self, Name, Operator, Problems};
use super::super::super::suggestion;
use super::super::super::value::Value;
use super::{Expression, Sources};

/// What expressions are compiled against, and what is found on the way.
pub(super) struct Compiler<'c, 'p> {
    /// The fields of the record.
    pub(super) sources: &'c Sources,
    /// What `match` was called with.
    pub(super) prefixes: Vec<String>,
    pub(super) problems: &'c mut Problems<'p>,
}

impl Compiler<'_, '_> {
    /// Compiles one expression; `None` if something in it is wrong, which has been reported.
    pub(super) fn expression(&mut self, expression: lql::Expression) -> Option<Expression> {
        Some(match expression {
            lql::Expression::Text(text) => Expression::Literal(Value::from(text)),
            lql::Expression::Int(int) => Expression::Literal(Value::Int(int)),
            lql::Expression::Number(number) => Expression::Literal(Value::Number(number)),
            lql::Expression::Bool(bool) => Expression::Literal(Value::Bool(bool)),
            lql::Expression::Null => Expression::Nothing,
            lql::Expression::Field(Name { text, .. }) => Expression::Field(self.sources.slot(&text)?),
            lql::Expression::List(items) => list(self.all(items)?),
            lql::Expression::Call { function, arguments } => self.call(&function, arguments)?,
            lql::Expression::Minus(operand) => Expression::Minus(self.boxed(*operand)?),
            lql::Expression::Not(operand) => Expression::Not(self.boxed(*operand)?),
            lql::Expression::Exists(operand) => Expression::Exists(self.boxed(*operand)?),
            lql::Expression::All(operands) => Expression::All(self.all(operands)?),
            lql::Expression::Any(operands) => Expression::Any(self.all(operands)?),
            lql::Expression::Binary(operator, operands) => {
                Expression::Binary(operator, Box::new(self.array(*operands)?))
            }
            lql::Expression::Between(operands) => Expression::Between(Box::new(self.array(*operands)?)),
        })
    }

    fn boxed(&mut self, expression: lql::Expression) -> Option<Box<Expression>> {
        self.expression(expression).map(Box::new)
    }

    /// All of them are compiled even if one is wrong, to find the problems of each.
    fn all(&mut self, expressions: impl IntoIterator<Item = lql::Expression>) -> Option<Vec<Expression>> {
        let compiled: Vec<_> = expressions.into_iter().map(|one| self.expression(one)).collect();
        compiled.into_iter().collect()
    }

    fn array<const N: usize>(&mut self, expressions: [lql::Expression; N]) -> Option<[Expression; N]> {
        self.all(expressions)?.try_into().ok()
    }

    fn call(&mut self, name: &Name, arguments: Vec<lql::Expression>) -> Option<Expression> {
        let function = functions::find(&name.text);
        let prepared = match function {
            None => Err(unknown_function(&name.text)),
            Some(function) if !function.takes(arguments.len()) => Err(wrong_arity(function, arguments.len())),
            Some(function) => (function.prepare)(name.offset, &arguments),
        };
        if let Ok(Prepared::Prefixes(prefixes)) = &prepared {
            self.prefixes.extend_from_slice(prefixes);
        }
        let prepared = prepared.map_err(|problem| self.problems.add(name.offset, problem));
        let arguments = self.all(arguments);
        Some(Expression::Call(function?, arguments?, prepared.ok()?))
    }
}

/// A list of constants is a constant.
fn list(items: Vec<Expression>) -> Expression {
    let constant = |item: &Expression| match item {
        Expression::Literal(value) => Some(value.clone()),
        _ => None,
    };
    match items.iter().map(constant).collect() {
        Some(values) => Expression::Literal(Value::list(values)),
        None => Expression::List(items),
    }
}

fn unknown_function(name: &str) -> String {
    let hint = suggestion::nearest(name, functions::all().map(|function| function.name));
    let hint = hint.unwrap_or_else(|| "docs/mapping.md lists all".to_owned());
    format!("unknown function `{name}`; {hint}")
}

fn wrong_arity(function: &Function, found: usize) -> String {
    let (least, most) = function.arity;
    let takes = match most {
        usize::MAX => format!("at least {least}"),
        _ if least == most => least.to_string(),
        _ => format!("{least} to {most}"),
    };
    let arguments = if most == 1 || (most == usize::MAX && least == 1) {
        "argument"
    } else {
        "arguments"
    };
    format!("`{}` takes {takes} {arguments}, not {found}", function.name)
}

/// The kind of a column that states none: that of the outermost function or operator, else string.
pub(super) fn own_kind(expression: &Expression) -> Kind {
    match expression {
        Expression::Call(function, arguments, prepared) => match (function.gives, prepared) {
            (_, Prepared::Cast(cast)) => cast.kind(),
            (Gives::Kind(kind), _) => kind,
            (Gives::Argument(place), _) => arguments.get(place).map_or(Kind::Text, own_kind),
        },
        Expression::Literal(value) => match value {
            Value::Bool(_) => Kind::Bool,
            Value::Int(_) => Kind::Int,
            Value::Number(_) => Kind::Number,
            Value::List(_) => Kind::Texts,
            _ => Kind::Text,
        },
        Expression::List(_) => Kind::Texts,
        Expression::Minus(operand) if own_kind(operand) == Kind::Int => Kind::Int,
        Expression::Minus(_) => Kind::Number,
        Expression::Binary(
            Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder,
            operands,
        ) => {
            if operands.iter().all(|operand| own_kind(operand) == Kind::Int) {
                Kind::Int
            } else {
                Kind::Number
            }
        }
        Expression::Not(_)
        | Expression::Exists(_)
        | Expression::All(_)
        | Expression::Any(_)
        | Expression::Binary(..)
        | Expression::Between(_) => Kind::Bool,
        Expression::Field(_) | Expression::Nothing => Kind::Text,
    }
}
