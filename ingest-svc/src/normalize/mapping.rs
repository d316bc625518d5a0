//! A compiled LQL statement: what a stream's records say about profiles.

mod compile;

use std::fmt;
use std::sync::LazyLock;

use proto::profile::v1::MergeOperator;

use super::Kind;
use super::expression::Expression;
use super::lql::{self, Problem, Problems};

/// Which column of which field makes a profile field, and which of those identify a person.
#[derive(Clone, Debug)]
pub struct Mapping {
    alias: String,
    stream: String,
    columns: Vec<Column>,
    /// The columns that identify, in the order of `BY`.
    identity: Vec<usize>,
    /// Names of the record's fields that some expression uses, sorted: a field's place is its slot.
    sources: Vec<String>,
}

/// One column of a mapping.
#[derive(Clone, Debug)]
pub struct Column {
    /// The profile field that it fills.
    pub field: String,
    /// What values are converted to.
    pub kind: Kind,
    /// How the profile store merges them; unspecified if the mapping does not say.
    pub merge_operator: MergeOperator,
    /// What `SHORTDESC` says.
    pub short_description: Option<String>,
    /// What `LONGDESC` says.
    pub long_description: Option<String>,
    pub(super) expression: Expression,
}

static BRAZE_USERS: LazyLock<Mapping> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "a test compiles this very text")]
    Mapping::parse(include_str!("../../mappings/braze_users.lql")).expect("the built-in mapping is valid")
});

impl Mapping {
    /// Parses and compiles a statement, or tells all of its problems in the order of the text.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::new(text);
        let statement = lql::parse(text, &mut problems);
        let mapping = compile::compile(statement, &mut problems);
        problems.or(mapping)
    }

    /// The mapping of stream `braze_users` that ships with the service, `mappings/braze_users.lql`.
    pub fn braze_users() -> &'static Self {
        &BRAZE_USERS
    }

    /// Its unique name within an account.
    pub fn alias(&self) -> &str {
        &self.alias
    }

    /// The stream whose records it reads.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Its columns, in the order of the statement.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The profile fields that identify a person, strongest first.
    pub fn identity_fields(&self) -> impl Iterator<Item = &str> {
        self.identity.iter().map(|column| self.columns[*column].field.as_str())
    }

    /// The place of a column in `BY`, if it is there.
    pub(super) fn rank(&self, column: usize) -> Option<usize> {
        self.identity.iter().position(|identity| *identity == column)
    }

    /// How many of a record's fields the mapping uses.
    pub(super) fn slots(&self) -> usize {
        self.sources.len()
    }

    /// The slot of a record's field; `None` if the mapping does not use it.
    pub(super) fn slot(&self, source: &str) -> Option<usize> {
        self.sources
            .binary_search_by(|candidate| candidate.as_str().cmp(source))
            .ok()
    }
}

/// Names the mapping in a log line.
impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.alias)
    }
}
