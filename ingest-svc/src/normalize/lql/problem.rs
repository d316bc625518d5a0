//! What is wrong with a statement, and where.

use std::fmt;

/// Something wrong with an LQL statement, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for Problem {}

/// Collects the problems of one text by byte offset; lines and columns are only counted when there is something to say.
#[derive(Debug)]
pub(in super::super) struct Problems<'t> {
    text: &'t str,
    found: Vec<(usize, String)>,
}

impl<'t> Problems<'t> {
    pub(in super::super) fn new(text: &'t str) -> Self {
        Self {
            text,
            found: Vec::new(),
        }
    }

    /// Adds a problem at a byte offset of the text.
    pub(in super::super) fn add(&mut self, offset: usize, message: impl Into<String>) {
        self.found.push((offset, message.into()));
    }

    /// `value` if nothing was found; else every problem, in the order of the text.
    pub(in super::super) fn or<T>(mut self, value: T) -> Result<T, Vec<Problem>> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort();
        self.found.dedup();
        // One walk through the text, however many there are.
        let (mut at, mut line, mut column) = (0, 1, 1);
        let place = |(offset, message): (usize, String)| {
            for c in self.text.get(at..offset).unwrap_or_default().chars() {
                (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            at = offset;
            Problem { line, column, message }
        };
        Err(self.found.into_iter().map(place).collect())
    }
}
