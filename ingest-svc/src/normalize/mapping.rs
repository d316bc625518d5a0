//! A compiled LQL statement: what a stream's records say about profiles.

mod compile;
mod sources;

use std::fmt;
use std::sync::{Arc, LazyLock};

use proto::profile::v1::MergeOperator;

use super::Kind;
use super::event::{Frame, Typed};
use super::expression::{Expression, Scope};
use super::lql::{self, Problem, Problems};
use super::test::Stage;
use sources::Sources;

/// Which column of which field makes a profile field, and which of those identify a person.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    alias: String,
    version: u64,
    stream: String,
    columns: Vec<Column>,
    /// The columns that identify, in the order of `BY`.
    identity: Vec<usize>,
    /// The record's fields that some expression uses.
    sources: Sources,
    /// What the names of the fields that `match` asks for begin with.
    prefixes: Vec<String>,
    /// What `WHERE` says.
    condition: Option<Expression>,
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
    /// What `IF` says.
    pub(super) guard: Option<Expression>,
    /// Whether `BY` names it.
    pub(super) identifies: bool,
    /// What stands around its values in the bytes of an event.
    pub(super) frame: Frame,
}

impl Column {
    /// What the column gives for a record, or the stage at which nothing came of it.
    #[inline(always)]
    pub(super) fn value<'e>(&'e self, scope: &Scope<'e>) -> Result<Typed<'e>, Stage> {
        // Most columns are the text of a field.
        if self.kind == Kind::Text
            && self.guard.is_none()
            && let Some(text) = self.expression.lent_text(scope)
        {
            return match text {
                "" => Err(Stage::Kind),
                text => Ok(Typed::Text(text.into())),
            };
        }
        self.evaluated(scope)
    }

    fn evaluated<'e>(&'e self, scope: &Scope<'e>) -> Result<Typed<'e>, Stage> {
        if self.guard.as_ref().is_some_and(|guard| !guard.is_true(*scope)) {
            return Err(Stage::Guard);
        }
        let value = self.expression.evaluate(*scope).ok_or(Stage::Expression)?;
        self.kind.typed(value, scope.now).ok_or(Stage::Kind)
    }
}

/// Bytes of a statement, at most.
const STATEMENT_BYTES_MAX: usize = 64 * 1024;

/// The mappings that ship with the service, with their statements.
static BUILT_IN: LazyLock<[(&str, Arc<Mapping>); 2]> = LazyLock::new(|| {
    [
        include_str!("../../mappings/braze_users.lql"),
        include_str!("../../mappings/braze_currents.lql"),
    ]
    .map(|lql| {
        #[expect(clippy::expect_used, reason = "a test compiles these very texts")]
        let mapping = Mapping::parse(lql).expect("a built-in mapping is valid");
        (lql, Arc::new(mapping))
    })
});

impl Mapping {
    /// Parses and compiles a statement, or tells all of its problems in the order of the text.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::new(text);
        if text.len() > STATEMENT_BYTES_MAX {
            problems.add(0, format!("the statement is longer than {STATEMENT_BYTES_MAX} bytes"));
            return problems.or(Self::default());
        }
        let statement = lql::parse(text, &mut problems);
        let mapping = compile::compile(statement, &mut problems);
        problems.or(mapping)
    }

    /// The mapping of stream `braze_users` that ships with the service, `mappings/braze_users.lql`.
    pub fn braze_users() -> &'static Self {
        let [(_, mapping), _] = &*BUILT_IN;
        mapping
    }

    /// The mapping of stream `braze_currents` that ships with the service, `mappings/braze_currents.lql`.
    pub fn braze_currents() -> &'static Self {
        let [_, (_, mapping)] = &*BUILT_IN;
        mapping
    }

    /// The mappings that ship with the service, each with its statement. An account's own for the same stream goes before one.
    pub fn built_in() -> impl Iterator<Item = (&'static str, &'static Arc<Self>)> {
        BUILT_IN.iter().map(|(lql, mapping)| (*lql, mapping))
    }

    /// The same as a version of an account's mapping; events name it.
    pub fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// Which version it is; 0 if it ships with the service.
    pub fn version(&self) -> u64 {
        self.version
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

    /// The columns that identify a person, strongest first.
    pub fn identity(&self) -> impl ExactSizeIterator<Item = &Column> {
        self.identity.iter().map(|column| &self.columns[*column])
    }

    /// The record's fields that the mapping uses.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What `WHERE` says.
    pub(super) fn condition(&self) -> Option<&Expression> {
        self.condition.as_ref()
    }

    /// Whether a call of `match` may ask for a record's field.
    pub(super) fn may_match(&self, source: &str) -> bool {
        self.prefixes.iter().any(|prefix| source.starts_with(prefix))
    }
}

/// Names the mapping in a log line.
impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.alias)
    }
}
