//! Expressions, by how tightly their operators bind.
//!
//! From the loosest to the tightest: `OR`, `AND`, `NOT`, comparisons, `+ -`, `* / %`, a minus or `EXISTS` before an operand.

use super::super::lexer::{Kind, Token};
use super::super::syntax::Operator;
use super::{Expression, Name, Parser};

/// Expressions within expressions, at most; deeper ones would only exhaust the stack.
const DEPTH_MAX: usize = 32;

/// Operators in one expression, at most: each may be a level of the tree.
const OPERATORS_MAX: usize = 256;

/// How tightly an operator binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Or,
    And,
    Not,
    Comparison,
    Sum,
    Product,
    Prefix,
}

/// What may stand between two operands.
enum Infix {
    Logic { and: bool },
    Binary(Operator),
    Between,
    Is,
}

impl Parser<'_, '_, '_> {
    /// A whole expression. `None` if there is none, which has been reported.
    pub(super) fn expression(&mut self) -> Option<Expression> {
        if self.depth == 0 {
            self.operators = 0;
        }
        self.level(Binding::Or)
    }

    /// An expression of operators that bind at least as tightly.
    fn level(&mut self, least: Binding) -> Option<Expression> {
        if self.depth > DEPTH_MAX {
            let offset = self.token().start;
            self.problems
                .add(offset, format!("expressions are nested more than {DEPTH_MAX} deep"));
            return None;
        }
        self.depth += 1;
        let expression = self.operations(least);
        self.depth -= 1;
        expression
    }

    fn operations(&mut self, least: Binding) -> Option<Expression> {
        let mut left = self.operand()?;
        while let Some((infix, binding, negated, tokens)) = self.infix() {
            if binding < least {
                break;
            }
            self.count_operator()?;
            self.at += tokens;
            left = self.operation(left, &infix, binding)?;
            if negated {
                left = Expression::Not(Box::new(left));
            }
        }
        Some(left)
    }

    fn operation(&mut self, left: Expression, infix: &Infix, binding: Binding) -> Option<Expression> {
        let tighter = match binding {
            Binding::Or => Binding::And,
            Binding::And => Binding::Not,
            Binding::Not | Binding::Comparison => Binding::Sum,
            Binding::Sum => Binding::Product,
            Binding::Product | Binding::Prefix => Binding::Prefix,
        };
        Some(match infix {
            Infix::Logic { and } => {
                let mut operands = vec![left, self.level(tighter)?];
                while let Some((Infix::Logic { and: again }, ..)) = self.infix()
                    && again == *and
                {
                    self.at += 1;
                    operands.push(self.level(tighter)?);
                }
                if *and {
                    Expression::All(operands)
                } else {
                    Expression::Any(operands)
                }
            }
            Infix::Is => {
                let negated = self.take_keyword("NOT");
                let is = equal(left, self.level(tighter)?);
                if negated { Expression::Not(Box::new(is)) } else { is }
            }
            Infix::Between => {
                let low = self.level(tighter)?;
                if !self.take_keyword("AND") {
                    self.unexpected("AND and the upper end of BETWEEN");
                    return None;
                }
                Expression::Between(Box::new([left, low, self.level(tighter)?]))
            }
            Infix::Binary(Operator::Equal) => equal(left, self.level(tighter)?),
            Infix::Binary(Operator::NotEqual) => match equal(left, self.level(tighter)?) {
                Expression::Binary(_, operands) => Expression::Binary(Operator::NotEqual, operands),
                missing => Expression::Not(Box::new(missing)),
            },
            Infix::Binary(Operator::In) if self.token().kind == Kind::Open => {
                self.at += 1;
                let list = Expression::List(self.items(&Kind::Close, "`,` or `)`")?);
                Expression::Binary(Operator::In, Box::new([left, list]))
            }
            Infix::Binary(operator) => Expression::Binary(*operator, Box::new([left, self.level(tighter)?])),
        })
    }

    /// The operator that comes next, how it binds, whether a NOT stands before it, and its number of tokens.
    fn infix(&self) -> Option<(Infix, Binding, bool, usize)> {
        let binary = |operator, binding| Some((Infix::Binary(operator), binding, false, 1));
        match self.token().kind {
            Kind::Operator(operator) => match operator {
                "&&" => Some((Infix::Logic { and: true }, Binding::And, false, 1)),
                "||" => Some((Infix::Logic { and: false }, Binding::Or, false, 1)),
                "=" | "==" => binary(Operator::Equal, Binding::Comparison),
                "!=" | "<>" => binary(Operator::NotEqual, Binding::Comparison),
                ">" => binary(Operator::Greater, Binding::Comparison),
                ">=" => binary(Operator::GreaterOrEqual, Binding::Comparison),
                "<" => binary(Operator::Less, Binding::Comparison),
                "<=" => binary(Operator::LessOrEqual, Binding::Comparison),
                "+" => binary(Operator::Add, Binding::Sum),
                "-" => binary(Operator::Subtract, Binding::Sum),
                "*" => binary(Operator::Multiply, Binding::Product),
                "/" => binary(Operator::Divide, Binding::Product),
                "%" => binary(Operator::Remainder, Binding::Product),
                _ => None,
            },
            Kind::Word(word) => {
                let word = super::keyword(word)?;
                let negated = word == "NOT";
                let word = match &self.ahead(1).kind {
                    Kind::Word(next) if negated => super::keyword(next)?,
                    _ => word,
                };
                let (infix, binding) = match word {
                    "AND" if !negated => (Infix::Logic { and: true }, Binding::And),
                    "OR" if !negated => (Infix::Logic { and: false }, Binding::Or),
                    "IS" if !negated => (Infix::Is, Binding::Comparison),
                    "LIKE" => (Infix::Binary(Operator::Like), Binding::Comparison),
                    "CONTAINS" => (Infix::Binary(Operator::Contains), Binding::Comparison),
                    "IN" | "INTERSECTS" => (Infix::Binary(Operator::In), Binding::Comparison),
                    "BETWEEN" => (Infix::Between, Binding::Comparison),
                    _ => return None,
                };
                Some((infix, binding, negated, 1 + usize::from(negated)))
            }
            _ => None,
        }
    }

    fn operand(&mut self) -> Option<Expression> {
        let Token { kind, start, .. } = self.token().clone();
        let expression = match kind {
            Kind::Text(text) => Expression::Text(text.into_owned()),
            Kind::Number(digits) => match (digits.parse(), digits.parse()) {
                (Ok(int), _) => Expression::Int(int),
                (_, Ok(number)) => Expression::Number(number),
                _ => {
                    self.problems.add(start, format!("`{digits}` is not a number"));
                    return None;
                }
            },
            Kind::Quoted("") => Expression::List(Vec::new()),
            Kind::OpenList => {
                self.at += 1;
                return Some(Expression::List(self.items(&Kind::CloseList, "`,` or `]`")?));
            }
            Kind::Open => {
                self.at += 1;
                let inner = self.expression()?;
                if self.token().kind != Kind::Close {
                    self.unexpected("`)` or an operator");
                    return None;
                }
                inner
            }
            Kind::Operator("!") => return self.prefixed(Binding::Prefix, Expression::Not),
            Kind::Operator("-") => return self.prefixed(Binding::Prefix, Expression::Minus),
            Kind::Word(word) => return self.word(word, start),
            _ => return self.field(),
        };
        self.at += 1;
        Some(expression)
    }

    /// A field, a call, a constant that is a word, or an operator that stands before its operand.
    fn word(&mut self, word: &str, start: usize) -> Option<Expression> {
        let calls = self.ahead(1).kind == Kind::Open;
        match super::keyword(word) {
            Some("TRUE") => self.constant(Expression::Bool(true)),
            Some("FALSE") => self.constant(Expression::Bool(false)),
            Some("NULL") => self.constant(Expression::Null),
            Some("NOT") => self.prefixed(Binding::Not, Expression::Not),
            Some("EXISTS") if !calls => self.prefixed(Binding::Prefix, Expression::Exists),
            Some(logic @ ("AND" | "OR")) if calls => {
                self.at += 2;
                let operands = self.items(&Kind::Close, "`,` or `)`")?;
                Some(if logic == "AND" {
                    Expression::All(operands)
                } else {
                    Expression::Any(operands)
                })
            }
            Some("INCLUDE") => {
                let problem = "INCLUDE names an audience, and audiences are not known here: write its condition";
                self.problems.add(start, problem);
                None
            }
            keyword if calls && matches!(keyword, None | Some("EXISTS" | "IF" | "CONTAINS")) => {
                self.at += 2;
                let function = Name {
                    text: word.to_ascii_lowercase(),
                    offset: start,
                };
                let arguments = if function.text == "cast" {
                    self.cast_arguments()?
                } else {
                    self.items(&Kind::Close, "`,` or `)`")?
                };
                Some(Expression::Call { function, arguments })
            }
            _ => self.field(),
        }
    }

    fn constant(&mut self, constant: Expression) -> Option<Expression> {
        self.at += 1;
        Some(constant)
    }

    fn field(&mut self) -> Option<Expression> {
        self.name("a field, a text, a number or a call").map(Expression::Field)
    }

    fn prefixed(&mut self, binding: Binding, with: fn(Box<Expression>) -> Expression) -> Option<Expression> {
        self.count_operator()?;
        self.at += 1;
        Some(with(Box::new(self.level(binding)?)))
    }

    /// Expressions between commas, up to what closes them, which is taken too.
    fn items(&mut self, close: &Kind<'_>, expected: &str) -> Option<Vec<Expression>> {
        let mut items = Vec::new();
        if self.token().kind == *close {
            self.at += 1;
            return Some(items);
        }
        loop {
            items.push(self.expression()?);
            let done = self.token().kind == *close;
            if !done && self.token().kind != Kind::Comma {
                self.unexpected(expected);
                return None;
            }
            self.at += 1;
            if done {
                return Some(items);
            }
        }
    }

    /// `x AS kind)` or `x, "kind")`, both as two arguments.
    fn cast_arguments(&mut self) -> Option<Vec<Expression>> {
        let value = self.expression()?;
        if self.take_keyword("AS") {
            let kind = self.name("a kind")?;
            if self.token().kind != Kind::Close {
                self.unexpected("`)`");
                return None;
            }
            self.at += 1;
            return Some(vec![value, Expression::Text(kind.text)]);
        }
        if self.token().kind != Kind::Comma {
            self.unexpected("AS and a kind");
            return None;
        }
        self.at += 1;
        let mut arguments = vec![value];
        arguments.extend(self.items(&Kind::Close, "`,` or `)`")?);
        Some(arguments)
    }

    fn count_operator(&mut self) -> Option<()> {
        self.operators += 1;
        if self.operators <= OPERATORS_MAX {
            return Some(());
        }
        let offset = self.token().start;
        self.problems.add(
            offset,
            format!("the expression has more than {OPERATORS_MAX} operators: make several columns of it"),
        );
        None
    }
}

/// Equality; being NULL is not existing.
fn equal(left: Expression, right: Expression) -> Expression {
    match (left, right) {
        (Expression::Null, other) | (other, Expression::Null) => {
            Expression::Not(Box::new(Expression::Exists(Box::new(other))))
        }
        (left, right) => Expression::Binary(Operator::Equal, Box::new([left, right])),
    }
}
