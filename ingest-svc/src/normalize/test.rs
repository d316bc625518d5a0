//! What a mapping makes of a record, column by column: for trying one out before it is used.

mod explain;

use jiff::Timestamp;
use proto::profile::v1::Value;

use super::event::Typed;
use super::expression::Scope;
use super::{Column, Kind, Mapping, Normalized, RawRecord, Reason, normalized, run};

/// What became of a record, and of each column.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    /// What [`normalize`](super::normalize()) gives.
    pub outcome: Result<Normalized, Reason>,
    /// The columns of the mapping, in its order; none if the record cannot be read or is not wanted.
    pub columns: Vec<TestedColumn>,
}

/// What became of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct TestedColumn {
    /// The profile field that it fills.
    pub field: String,
    /// Its value, or why it has none.
    pub value: Result<Value, Nothing>,
}

/// Why a column gave nothing. `Display` is what the author of the mapping reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    /// Its `IF` is false or has no value.
    #[error("its IF is not true")]
    NotTrue,
    /// The record does not have a field, or has nothing in it.
    #[error("the record has no value in `{field}`")]
    NoField {
        /// The field's name.
        field: String,
    },
    /// A function can make nothing of its arguments.
    #[error("`{function}` makes nothing of {arguments}")]
    NoResult {
        /// The function's name.
        function: &'static str,
        /// Its arguments, as a sentence part.
        arguments: String,
    },
    /// An operator has nothing to work on.
    #[error("its operators have nothing that they can work on")]
    NoOperands,
    /// A value is not what the column wants.
    #[error("{value} is not a value of kind {}, or is empty", kind.as_str())]
    OtherKind {
        /// The value, as a sentence part.
        value: String,
        /// The kind of the column.
        kind: Kind,
    },
    /// An identity that is blank or longer than 256 bytes.
    #[error("what is blank or longer than 256 bytes identifies nobody")]
    NotAnIdentity,
}

/// How far a column came that gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Guard,
    Expression,
    Kind,
    Identity,
}

/// Tries a mapping out on a record: what [`normalize`](super::normalize()) would give, and what each column did.
pub fn test(mapping: &Mapping, raw: &RawRecord<'_>, received: Timestamp) -> Tested {
    let mut columns = Vec::with_capacity(mapping.columns().len());
    let watch = |column: &Column, value: &Result<Typed<'_>, Stage>, scope: Scope<'_>| {
        columns.push(TestedColumn {
            field: column.field.clone(),
            value: match value {
                Ok(value) => Ok(value.message()),
                Err(stage) => Err(explain::nothing(mapping, column, *stage, scope)),
            },
        });
    };
    let outcome = run(mapping, raw, received, watch, normalized);
    Tested { outcome, columns }
}
