//! The address in an RFC 5322 mailbox, as Go's `net/mail` reads it.
//!
//! ```text
//! Ann.Lee@Example.COM               ann.lee@example.com
//! "Lee, Ann" <ann@example.com>      ann@example.com         display name dropped
//! ann@example.com (home)            ann@example.com         comments dropped
//! "ann lee"@example.com             "ann lee"@example.com   quotes stay only where they are needed
//! ann@[192.0.2.1]                   ann@[192.0.2.1]
//! team: ann@example.com;            ann@example.com         a group of one
//! a@x.org, b@x.org                  no value: several
//! ```
//!
//! Syntax only: no DNS, no list of top-level domains, so `a@b` is an address. Lower case includes the local part.
//! Beyond `net/mail`, comments are accepted on both sides of the `@`, which RFC 5322 allows; and the quotes of a local part
//! stay where it would not be an address without them, so that `email(email(x))` is `email(x)`.
//!
//! Written here because no crate reads this: addr-spec knows neither display names nor groups and drops the blanks inside
//! of quotes, email_address knows no comments, and mail-parser takes whatever it is given, since it reads real mail.

use std::borrow::Cow;
use std::net::IpAddr;

/// What a mailbox holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mailbox {
    /// In lower case.
    pub(super) address: String,
    /// The display name as written, without its quotes; empty if there is none.
    pub(super) name: String,
}

impl Mailbox {
    /// The only mailbox in `text`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader {
            rest: text.trim(),
            name: String::new(),
        };
        let address = in_lower_case(reader.mailbox_or_group()?);
        reader.skip_blanks_and_comments()?;
        let name = reader.name;
        reader.rest.is_empty().then_some(Self { address, name })
    }

    /// What stands behind the last `@` of the address.
    pub(super) fn domain(&self) -> &str {
        self.address.rsplit('@').next().unwrap_or_default()
    }
}

struct Reader<'t> {
    rest: &'t str,
    /// The display name that was read last.
    name: String,
}

impl<'t> Reader<'t> {
    fn mailbox_or_group(&mut self) -> Option<String> {
        self.skip_blanks_and_comments()?;
        if let Some(address) = self.attempt(Self::addr_spec) {
            return Some(address);
        }
        let named = self.display_name()?;
        if !named || !self.take(':') {
            return self.angle_address();
        }
        let only = self.mailbox()?;
        self.skip_blanks_and_comments()?;
        self.take(';').then_some(only)
    }

    fn mailbox(&mut self) -> Option<String> {
        self.name.clear();
        self.skip_blanks_and_comments()?;
        if let Some(address) = self.attempt(Self::addr_spec) {
            return Some(address);
        }
        self.display_name()?;
        self.angle_address()
    }

    fn angle_address(&mut self) -> Option<String> {
        if !self.take('<') {
            return None;
        }
        self.skip_blanks_and_comments()?;
        let address = self.addr_spec()?;
        self.skip_blanks_and_comments()?;
        self.take('>').then_some(address)
    }

    fn addr_spec(&mut self) -> Option<String> {
        let local = match self.quoted_string() {
            Some(content) if content.is_empty() => return None,
            Some(content) if is_dot_atom(&content) => content.into(),
            Some(content) => quote(&content).into(),
            None => Cow::Borrowed(self.dot_atom()?),
        };
        while self.rest.starts_with('(') {
            self.comment()?;
        }
        if !self.take('@') {
            return None;
        }
        self.skip_blanks_and_comments()?;
        let domain = match self.rest.strip_prefix('[').and_then(|literal| literal.split_once(']')) {
            Some((literal, rest)) => {
                let ip = literal.strip_prefix("IPv6:").unwrap_or(literal);
                ip.parse::<IpAddr>().ok()?;
                let (literal, _) = self.rest.split_at(self.rest.len() - rest.len());
                self.rest = rest;
                literal
            }
            None => self.dot_atom()?,
        };
        let mut address = String::with_capacity(local.len() + 1 + domain.len());
        address.push_str(&local);
        address.push('@');
        address.push_str(domain);
        Some(address)
    }

    /// Atoms joined by single dots.
    fn dot_atom(&mut self) -> Option<&'t str> {
        let mut last = b'.';
        let ends = |byte: u8| {
            let goes_on = is_atext(byte) || (byte == b'.' && last != b'.');
            if goes_on {
                last = byte;
            }
            !goes_on
        };
        let length = self.rest.bytes().position(ends).unwrap_or(self.rest.len());
        let (atoms, rest) = self.rest.split_at(length);
        self.rest = rest;
        (last != b'.').then_some(atoms)
    }

    /// Words, quoted or not, and whether there were any; more lenient than the RFC: dots may stand anywhere.
    fn display_name(&mut self) -> Option<bool> {
        let mut words = Vec::new();
        loop {
            self.skip_blanks_and_comments()?;
            if self.rest.starts_with('"') {
                words.push(self.quoted_string()?);
            } else if let Some(atom) = self.atom() {
                words.push(atom.to_owned());
            } else {
                self.name = words.join(" ");
                return Some(!words.is_empty());
            }
        }
    }

    fn atom(&mut self) -> Option<&'t str> {
        let ends = |byte: u8| !is_atext(byte) && byte != b'.';
        let length = self.rest.bytes().position(ends).unwrap_or(self.rest.len());
        let (atom, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!atom.is_empty()).then_some(atom)
    }

    /// The content of a quoted string, its escapes undone.
    fn quoted_string(&mut self) -> Option<String> {
        let mut content = String::new();
        let mut chars = self.rest.strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => {
                    self.rest = chars.as_str();
                    return Some(content);
                }
                '\\' => content.push(chars.next().filter(|c| is_visible_or_blank(*c))?),
                c if is_visible_or_blank(c) => content.push(c),
                _ => return None,
            }
        }
    }

    fn skip_blanks_and_comments(&mut self) -> Option<()> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
            if !self.rest.starts_with('(') {
                return Some(());
            }
            self.comment()?;
        }
    }

    /// A comment may hold comments. `None` if it is not closed.
    fn comment(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        let mut chars = self.rest.chars();
        loop {
            match chars.next()? {
                '\\' => _ = chars.next(),
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.rest = chars.as_str();
                return Some(());
            }
        }
    }

    fn take(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Reads nothing unless `read` succeeds.
    fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.rest;
        let value = read(self);
        if value.is_none() {
            self.rest = before;
        }
        value
    }
}

/// What may stand in an atom: anything visible but the specials of RFC 5322 §3.2.3, and everything beyond ASCII (RFC 6532).
fn is_atext(byte: u8) -> bool {
    static ATEXT: [bool; 256] = {
        let mut atext = [true; 256];
        let mut byte = 0_u8;
        while byte < 0x80 {
            atext[byte as usize] = byte.is_ascii_graphic()
                && !matches!(
                    byte,
                    b'(' | b')' | b'<' | b'>' | b'[' | b']' | b':' | b';' | b'@' | b'\\' | b',' | b'"' | b'.'
                );
            byte += 1;
        }
        atext
    };
    ATEXT[usize::from(byte)]
}

fn is_visible(c: char) -> bool {
    matches!(c, '!'..='~') || !c.is_ascii()
}

fn is_visible_or_blank(c: char) -> bool {
    is_visible(c) || matches!(c, ' ' | '\t')
}

/// Atoms joined by single dots.
fn is_dot_atom(text: &str) -> bool {
    let mut atoms = text.as_bytes().split(|byte| *byte == b'.');
    atoms.all(|atom| !atom.is_empty() && atom.iter().copied().all(is_atext))
}

fn in_lower_case(mut address: String) -> String {
    if !address.is_ascii() {
        return address.to_lowercase();
    }
    address.make_ascii_lowercase();
    address
}

fn quote(local: &str) -> String {
    format!("\"{}\"", local.replace('\\', "\\\\").replace('"', "\\\""))
}
