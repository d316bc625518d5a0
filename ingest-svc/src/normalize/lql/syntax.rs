//! The syntax tree of a statement. Every part knows its byte offset in the text.

/// A statement as written; nothing in it has been looked up yet. A clause that is missing has been reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Statement {
    pub(in super::super) columns: Vec<Column>,
    pub(in super::super) from: Option<Name>,
    pub(in super::super) into: Option<Name>,
    pub(in super::super) by: Vec<Name>,
    pub(in super::super) alias: Option<Name>,
}

/// One column of the `SELECT`.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Column {
    pub(in super::super) offset: usize,
    pub(in super::super) expression: Expression,
    pub(in super::super) name: Option<Name>,
    pub(in super::super) kind: Option<Name>,
    pub(in super::super) merge_operator: Option<Name>,
    pub(in super::super) short_description: Option<String>,
    pub(in super::super) long_description: Option<String>,
}

/// What a column is computed from.
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
    /// A function applied to arguments.
    Call { function: Name, arguments: Vec<Expression> },
}

/// A name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Name {
    pub(in super::super) text: String,
    pub(in super::super) offset: usize,
}
