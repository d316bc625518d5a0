//! LQL text → tokens with byte offsets.

use std::borrow::Cow;

use super::Problems;
use super::keywords::is_operator_word;

/// One token; its text is borrowed unless it had escapes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'t> {
    /// An unquoted name or a keyword.
    Word(&'t str),
    /// A name in backticks or square brackets: never a keyword.
    Quoted(&'t str),
    /// A text in quotes.
    Text(Cow<'t, str>),
    /// Digits, with at most one dot; a minus right before them belongs to them, unless something stands before it that
    /// it can be subtracted from.
    Number(&'t str),
    /// One of `+ - * / % == = != <> > >= < <= && || !`.
    Operator(&'t str),
    Comma,
    Open,
    Close,
    /// A square bracket behind which a text or a number stands, and the one that closes it.
    OpenList,
    CloseList,
    /// Behind the last token, any number of times.
    End,
}

/// Longer ones before those that they begin with.
const OPERATORS: [&str; 16] = [
    "==", "=", "!=", "!", "<>", "<=", "<", ">=", ">", "&&", "||", "+", "-", "*", "/", "%",
];

/// A token and the half-open range of bytes it was read from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Reads the whole text. A character that belongs nowhere is reported and left out. The last token is always `End`.
pub(super) fn lex<'t>(text: &'t str, problems: &mut Problems<'_>) -> Vec<Token<'t>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let start = at;
        let rest = &text[start..];
        let kind = match first {
            _ if first.is_whitespace() => {
                at += first.len_utf8();
                continue;
            }
            '-' if rest.starts_with("--") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            ',' | '(' | ')' | ']' => {
                at += 1;
                match first {
                    ',' => Kind::Comma,
                    '(' => Kind::Open,
                    ')' => Kind::Close,
                    _ => Kind::CloseList,
                }
            }
            '[' if begins_list(&rest[1..]) => {
                at += 1;
                Kind::OpenList
            }
            '`' | '[' => {
                let close = if first == '`' { '`' } else { ']' };
                let line = rest.split('\n').next().unwrap_or_default();
                let Some(length) = line[1..].find(close) else {
                    problems.add(
                        start,
                        format!("the name that `{first}` begins is not closed by `{close}` on its line"),
                    );
                    at += line.len();
                    continue;
                };
                at += length + 2;
                Kind::Quoted(&rest[1..=length])
            }
            '"' | '\'' => {
                let Some((content, length)) = quoted_text(rest, first) else {
                    problems.add(start, format!("the text is not closed by {first}"));
                    at = text.len();
                    continue;
                };
                at += length;
                Kind::Text(content)
            }
            _ if first.is_ascii_digit()
                || first == '-'
                    && rest[1..].starts_with(|next: char| next.is_ascii_digit())
                    && !tokens.last().is_some_and(is_operand) =>
            {
                let length = number_length(rest);
                at += length;
                Kind::Number(&rest[..length])
            }
            _ if starts_name(first) => {
                let length = name_length(rest);
                at += length;
                Kind::Word(&rest[..length])
            }
            _ => {
                let Some(operator) = OPERATORS.into_iter().find(|operator| rest.starts_with(operator)) else {
                    problems.add(start, format!("`{first}` does not belong here"));
                    at += first.len_utf8();
                    continue;
                };
                at += operator.len();
                Kind::Operator(operator)
            }
        };
        tokens.push(Token { kind, start, end: at });
    }
    tokens.push(Token {
        kind: Kind::End,
        start: at,
        end: at,
    });
    tokens
}

/// The content of the text that begins `rest`, and how many bytes it takes with its quotes.
fn quoted_text(rest: &str, quote: char) -> Option<(Cow<'_, str>, usize)> {
    let mut escaped = false;
    let mut escapes = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
            escapes = true;
        } else if c == quote {
            let inside = &rest[1..at];
            let content = if escapes {
                Cow::Owned(unescape(inside))
            } else {
                Cow::Borrowed(inside)
            };
            return Some((content, at + 1));
        }
    }
    None
}

/// `\"`, `\'` and `\\` lose their backslash; any other backslash stays.
fn unescape(inside: &str) -> String {
    let mut content = String::with_capacity(inside.len());
    let mut chars = inside.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(&next @ ('"' | '\'' | '\\'))) => {
                content.push(next);
                chars.next();
            }
            _ => content.push(c),
        }
    }
    content
}

/// Whether a list and no quoted name begins behind a square bracket: names in brackets begin with neither quotes nor digits.
fn begins_list(rest: &str) -> bool {
    rest.trim_start()
        .starts_with(|first: char| matches!(first, '"' | '\'' | '-') || first.is_ascii_digit())
}

/// Whether an expression may end with a token, so that a minus behind it subtracts.
fn is_operand(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Word(word) => !is_operator_word(word),
        Kind::Quoted(_) | Kind::Text(_) | Kind::Number(_) | Kind::Close | Kind::CloseList => true,
        Kind::Operator(_) | Kind::Comma | Kind::Open | Kind::OpenList | Kind::End => false,
    }
}

fn number_length(rest: &str) -> usize {
    let mut dots = 0;
    let digits = rest[1..].find(|c: char| {
        dots += usize::from(c == '.');
        !(c.is_ascii_digit() || c == '.' && dots == 1)
    });
    digits.map_or(rest.len(), |length| length + 1)
}

fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '@' || c == '_'
}

/// A name ends before `--`, which is a comment.
fn name_length(rest: &str) -> usize {
    let ends = |(at, c): &(usize, char)| {
        !(c.is_alphanumeric() || matches!(c, '_' | '@' | '.' | '-' | '/')) || rest[*at..].starts_with("--")
    };
    rest.char_indices().skip(1).find(ends).map_or(rest.len(), |(at, _)| at)
}
