//! The words that are not names unless they are quoted.

/// Words that begin a clause, and so end the columns and the clause before.
pub(super) const CLAUSES: [&str; 5] = ["FROM", "INTO", "BY", "WHERE", "ALIAS"];

/// Words within a column that are no operators.
const COLUMN_WORDS: [&str; 10] = [
    "SELECT",
    "AS",
    "IF",
    "SHORTDESC",
    "LONGDESC",
    "KIND",
    "MERGEOP",
    "TRUE",
    "FALSE",
    "NULL",
];

/// Words that an operand follows, or stands before, or both.
const OPERATOR_WORDS: [&str; 11] = [
    "AND",
    "OR",
    "NOT",
    "LIKE",
    "CONTAINS",
    "IN",
    "INTERSECTS",
    "BETWEEN",
    "EXISTS",
    "IS",
    "INCLUDE",
];

/// The keyword that a word is, in upper case.
pub(super) fn keyword(word: &str) -> Option<&'static str> {
    let mut all = CLAUSES.iter().chain(&COLUMN_WORDS).chain(&OPERATOR_WORDS);
    all.find(|keyword| keyword.eq_ignore_ascii_case(word)).copied()
}

/// Whether a word is an operator, or a keyword that an expression follows.
pub(super) fn is_operator_word(word: &str) -> bool {
    let mut words = OPERATOR_WORDS.iter().chain(["SELECT", "IF", "WHERE"].iter());
    words.any(|operator| operator.eq_ignore_ascii_case(word))
}
