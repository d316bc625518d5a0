//! The syntax tree of a statement. Every part that can be at fault knows its byte offset in the text.

/// A statement as written; nothing in it has been looked up yet. A clause that is missing has been reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Statement {
    pub(in super::super) columns: Vec<Column>,
    pub(in super::super) from: Option<Name>,
    pub(in super::super) into: Option<Name>,
    pub(in super::super) by: Vec<Name>,
    pub(in super::super) condition: Option<Expression>,
    pub(in super::super) alias: Option<Name>,
}

/// One column of the `SELECT`.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Column {
    pub(in super::super) offset: usize,
    pub(in super::super) expression: Expression,
    pub(in super::super) name: Option<Name>,
    pub(in super::super) guard: Option<Expression>,
    pub(in super::super) kind: Option<Name>,
    pub(in super::super) merge_operator: Option<Name>,
    pub(in super::super) short_description: Option<String>,
    pub(in super::super) long_description: Option<String>,
}

/// What a column is computed from, or a condition.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Expression {
    /// A field of the record.
    Field(Name),
    /// A text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Number(f64),
    /// `TRUE` or `FALSE`.
    Bool(bool),
    /// `NULL`: no value.
    Null,
    /// `["a", "b"]`, and what stands behind `IN`.
    List(Vec<Expression>),
    /// A function applied to arguments.
    Call { function: Name, arguments: Vec<Expression> },
    /// `-x`
    Minus(Box<Expression>),
    /// `NOT x`
    Not(Box<Expression>),
    /// `EXISTS x`
    Exists(Box<Expression>),
    /// `a AND b AND …`
    All(Vec<Expression>),
    /// `a OR b OR …`
    Any(Vec<Expression>),
    /// Any other operator between two operands.
    Binary(Operator, Box<[Expression; 2]>),
    /// `a BETWEEN b AND c`
    Between(Box<[Expression; 3]>),
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Like,
    Contains,
    /// `IN` and `INTERSECTS`
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Name {
    pub(in super::super) text: String,
    pub(in super::super) offset: usize,
}

impl Expression {
    /// The expressions that this one is made of.
    pub(in super::super) fn parts(&self) -> &[Self] {
        match self {
            Self::List(parts) | Self::All(parts) | Self::Any(parts) => parts,
            Self::Call { arguments, .. } => arguments,
            Self::Minus(part) | Self::Not(part) | Self::Exists(part) => std::slice::from_ref(&**part),
            Self::Binary(_, parts) => &parts[..],
            Self::Between(parts) => &parts[..],
            Self::Field(_) | Self::Text(_) | Self::Int(_) | Self::Number(_) | Self::Bool(_) | Self::Null => &[],
        }
    }
}
