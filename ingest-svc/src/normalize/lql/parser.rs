//! Tokens → syntax tree. A faulty column or clause is reported and passed over, so one look finds all faults.

mod expression;

use super::keywords::{CLAUSES, keyword};
use super::lexer::{Kind, Token, lex};
use super::{Column, Expression, Name, Problems, Statement};

/// Parses one statement. What is wrong with it is added to `problems`, and left out of the tree.
pub(in super::super) fn parse(text: &str, problems: &mut Problems<'_>) -> Statement {
    let tokens = lex(text, problems);
    Parser {
        text,
        tokens,
        at: 0,
        depth: 0,
        operators: 0,
        problems,
    }
    .statement()
}

struct Parser<'t, 'p, 'q> {
    text: &'t str,
    tokens: Vec<Token<'t>>,
    at: usize,
    /// Expressions within expressions, at this place.
    depth: usize,
    /// Operators of the expression that is read, so far.
    operators: usize,
    problems: &'p mut Problems<'q>,
}

impl<'t> Parser<'t, '_, '_> {
    fn statement(mut self) -> Statement {
        if !self.take_keyword("SELECT") {
            self.unexpected("SELECT");
        }
        let columns = self.columns();
        let (mut from, mut into, mut by, mut condition, mut alias) = (None, None, None, None, None);
        loop {
            match self.keyword() {
                Some("FROM") => self.clause(&mut from, |parser| parser.name("the name of a stream")),
                Some("INTO") => self.clause(&mut into, |parser| parser.name("the name of a table")),
                Some("BY") => self.clause(&mut by, Self::by_fields),
                Some("WHERE") => self.clause(&mut condition, Self::expression),
                Some("ALIAS") => self.clause(&mut alias, |parser| parser.name("the name of the mapping")),
                _ if self.token().kind == Kind::End => break,
                _ => {
                    self.unexpected("FROM, INTO, BY, WHERE or ALIAS");
                    self.skip_to_clause();
                }
            }
        }
        let end = self.token().start;
        for (clause, missing) in [
            ("FROM <stream>", from.is_none()),
            ("INTO <table>", into.is_none()),
            ("BY <field>", by.is_none()),
            ("ALIAS <name>", alias.is_none()),
        ] {
            if missing {
                self.problems.add(end, format!("{clause} is missing"));
            }
        }
        Statement {
            columns,
            from: from.flatten(),
            into: into.flatten(),
            by: by.flatten().unwrap_or_default(),
            condition: condition.flatten(),
            alias: alias.flatten(),
        }
    }

    /// Reads the keyword of a clause and what follows; the outer `Some` says that the clause was there.
    fn clause<T>(&mut self, clause: &mut Option<Option<T>>, read: impl FnOnce(&mut Self) -> Option<T>) {
        if clause.is_some() {
            let (word, offset) = (self.found(), self.token().start);
            self.problems.add(offset, format!("{word} is stated twice"));
        }
        self.at += 1;
        let value = read(self);
        if value.is_none() {
            self.skip_to_clause();
        }
        *clause = Some(value);
    }

    fn by_fields(&mut self) -> Option<Vec<Name>> {
        let mut fields = vec![self.name("a field to identify by")?];
        while self.take_keyword("OR") {
            fields.push(self.name("a field to identify by")?);
        }
        Some(fields)
    }

    fn columns(&mut self) -> Vec<Column> {
        let mut columns = Vec::new();
        loop {
            let start = self.at;
            match self.column() {
                Some(column) => columns.push(column),
                None => {
                    // From its start, so that every parenthesis is counted.
                    self.at = start;
                    self.skip_to_comma();
                }
            }
            if self.token().kind != Kind::Comma {
                return columns;
            }
            self.at += 1;
        }
    }

    fn column(&mut self) -> Option<Column> {
        let mut column = Column {
            offset: self.token().start,
            expression: self.expression()?,
            name: None,
            guard: None,
            kind: None,
            merge_operator: None,
            short_description: None,
            long_description: None,
        };
        loop {
            let (option, offset) = (self.keyword(), self.token().start);
            let again = match option {
                Some("AS") => self.option(&mut column.name, |parser| parser.name("the name of a profile field"))?,
                Some("IF") => self.option(&mut column.guard, Self::expression)?,
                Some("KIND") => self.option(&mut column.kind, Self::kind)?,
                Some("MERGEOP") => self.option(&mut column.merge_operator, |parser| parser.name("a merge operator"))?,
                Some("SHORTDESC") => self.option(&mut column.short_description, Self::description)?,
                Some("LONGDESC") => self.option(&mut column.long_description, Self::description)?,
                Some(clause) if CLAUSES.contains(&clause) => return Some(column),
                _ if matches!(self.token().kind, Kind::Comma | Kind::End) => return Some(column),
                _ => {
                    self.unexpected(
                        "`,`, FROM, an operator or an option of the column (AS, IF, SHORTDESC, LONGDESC, KIND, MERGEOP)",
                    );
                    return None;
                }
            };
            if again {
                self.problems
                    .add(offset, format!("the column has two {}", option.unwrap_or_default()));
            }
        }
    }

    /// Reads the keyword of an option and its value; `true` if the column had that option before.
    fn option<T>(&mut self, option: &mut Option<T>, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<bool> {
        self.at += 1;
        let value = read(self)?;
        Some(option.replace(value).is_some())
    }

    /// A kind may be spelled with brackets, as `[]string` or `map[string]int`: everything up to the next blank.
    fn kind(&mut self) -> Option<Name> {
        let first = self.token().clone();
        let is_part = |token: &Token<'_>| matches!(token.kind, Kind::Word(_) | Kind::Quoted(_));
        if !is_part(&first) || self.keyword().is_some() {
            self.unexpected("a kind");
            return None;
        }
        let mut end = first.start;
        while self.token().start == end && is_part(self.token()) {
            end = self.token().end;
            self.at += 1;
        }
        Some(Name {
            text: self.text[first.start..end].to_owned(),
            offset: first.start,
        })
    }

    fn description(&mut self) -> Option<String> {
        let Kind::Text(text) = &self.token().kind else {
            self.unexpected("a text in quotes");
            return None;
        };
        let text = text.clone().into_owned();
        self.at += 1;
        Some(text)
    }

    fn name(&mut self, expected: &str) -> Option<Name> {
        let text = match self.token().kind {
            Kind::Word(word) if self.keyword().is_none() => word,
            Kind::Quoted(name) if !name.is_empty() => name,
            _ => {
                self.unexpected(expected);
                return None;
            }
        };
        let name = Name {
            text: text.to_owned(),
            offset: self.token().start,
        };
        self.at += 1;
        Some(name)
    }

    fn token(&self) -> &Token<'t> {
        self.ahead(0)
    }

    /// The token that comes after so many others; `End` behind the last.
    fn ahead(&self, tokens: usize) -> &Token<'t> {
        &self.tokens[(self.at + tokens).min(self.tokens.len() - 1)]
    }

    /// The keyword that the next token is, if any.
    fn keyword(&self) -> Option<&'static str> {
        match self.token().kind {
            Kind::Word(word) => keyword(word),
            _ => None,
        }
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.keyword() == Some(keyword);
        self.at += usize::from(found);
        found
    }

    fn unexpected(&mut self, expected: &str) {
        let (found, offset) = (self.found(), self.token().start);
        // A keyword where a name may stand was perhaps meant as one.
        let quote = match self.token().kind {
            Kind::Word(word)
                if expected.contains("field") && self.keyword().is_some_and(|word| !CLAUSES.contains(&word)) =>
            {
                format!("; a name that is a keyword is written in backticks: `{word}`")
            }
            _ => String::new(),
        };
        self.problems
            .add(offset, format!("expected {expected}, found {found}{quote}"));
    }

    /// The next token as written.
    fn found(&self) -> String {
        match self.token() {
            Token { kind: Kind::End, .. } => "the end".to_owned(),
            Token { start, end, .. } => format!("`{}`", &self.text[*start..*end]),
        }
    }

    fn skip_to_clause(&mut self) {
        while self.token().kind != Kind::End && !self.keyword().is_some_and(|word| CLAUSES.contains(&word)) {
            self.at += 1;
        }
    }

    /// To the comma that ends a column, passing over those inside of parentheses.
    fn skip_to_comma(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.token().kind {
                Kind::End => return,
                Kind::Comma if depth == 0 => return,
                Kind::Open | Kind::OpenList => depth += 1,
                Kind::Close | Kind::CloseList => depth = depth.saturating_sub(1),
                _ if self.keyword().is_some_and(|word| CLAUSES.contains(&word)) => return,
                _ => {}
            }
            self.at += 1;
        }
    }
}
