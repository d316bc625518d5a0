//! LQL text → syntax tree, or every problem in it with its line and column.
//!
//! ```text
//! SELECT  <expression> [AS field] [IF condition] [SHORTDESC "…"] [LONGDESC "…"] [KIND kind] [MERGEOP operator], …
//! FROM    stream
//! INTO    table
//! BY      field [OR field]…
//! [WHERE  condition]
//! ALIAS   name
//! ```
//!
//! * Keywords are known in any case; a field that is spelled like one is written in backticks or square brackets, which
//!   quote any other odd name too (`` `key[0].sub` ``, `[first name]`).
//! * A name starts with a letter, `@` or `_` and goes on with letters, digits and `_ . - /`: `first-name` is one name.
//! * `--` starts a comment, wherever it stands outside of quotes.
//! * Text is in double or single quotes; a backslash before a quote or a backslash keeps it.
//! * An expression is a field of the record, a text, a number, `TRUE`, `FALSE`, `NULL`, a list `["a", "b"]`, a call
//!   `name(expression, …)`, or operators between these (see `parser::expression`); a condition is an expression.
//! * The options of a column, and the clauses after the columns, may come in any order.
//!
//! The lexer and the parser are written by hand: with positions, comments, two forms of quoting and every fault found at
//! once they are about as long as the glue that winnow, logos or chumsky would need around theirs.

mod keywords;
mod lexer;
mod parser;
mod problem;
mod syntax;

pub(super) use parser::parse;
pub use problem::Problem;
pub(super) use problem::Problems;
pub(super) use syntax::{Column, Expression, Name, Operator, Statement};
