//! A compiled LQL statement.

/// Something wrong with a statement, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// A compiled LQL statement.
#[derive(Debug)]
pub struct Mapping {}

impl Mapping {
    /// Parses and compiles a statement; gives all of its problems at once.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        unimplemented!("{text}")
    }

    /// The mapping of stream `braze_users` that ships with the service.
    pub fn braze_users() -> &'static Self {
        unimplemented!()
    }

    /// Unique key of the mapping within an account.
    pub fn alias(&self) -> &str {
        unimplemented!()
    }

    /// The stream that it reads.
    pub fn stream(&self) -> &str {
        unimplemented!()
    }
}
