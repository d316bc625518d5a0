//! LQL text → syntax tree, or every problem in it with its line and column.
//!
//! ```text
//! SELECT  <expression> [AS field] [SHORTDESC "…"] [LONGDESC "…"] [KIND kind] [MERGEOP operator], …
//! FROM    stream
//! INTO    table
//! BY      field [OR field]…
//! ALIAS   name
//! ```
//!
//! * Keywords are known in any case; a field that is spelled like one is written in backticks or square brackets, which
//!   quote any other odd name too (`` `key[0].sub` ``, `[first name]`).
//! * A name starts with a letter, `@` or `_` and goes on with letters, digits and `_ . - /`: `first-name` is one name.
//! * `--` starts a comment, wherever it stands outside of quotes.
//! * Text is in double or single quotes; a backslash before a quote or a backslash keeps it.
//! * An expression is a field of the record, a text, a number, or a call `name(expression, …)`.
//! * `IF`, `WHERE`, operators and lists are not supported, and said to be so rather than passed over.
//! * The options of a column, and the clauses after the columns, may come in any order.
//!
//! The lexer is written by hand: with positions, comments and two forms of quoting it is about as long as the glue
//! that winnow or logos would need around theirs.

mod lexer;
mod parser;
mod problem;
mod syntax;

pub(super) use parser::parse;
pub use problem::Problem;
pub(super) use problem::Problems;
pub(super) use syntax::{Column, Expression, Name, Statement};
