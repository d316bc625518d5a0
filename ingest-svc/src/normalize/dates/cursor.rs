//! Reads a text from the left, one part at a time.

/// What is still to be read. A read that fails takes nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'t> {
    pub(super) rest: &'t str,
}

impl<'t> Cursor<'t> {
    pub(super) fn is_at_end(self) -> bool {
        self.rest.is_empty()
    }

    /// The digits that come next, possibly none.
    pub(super) fn peek_digits(self) -> &'t str {
        self.run(|byte| byte.is_ascii_digit())
    }

    /// The ASCII letters that come next, possibly none.
    pub(super) fn peek_letters(self) -> &'t str {
        self.run(|byte| byte.is_ascii_alphabetic())
    }

    pub(super) fn peek(self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Passes over the first bytes, which must have been peeked.
    pub(super) fn skip(&mut self, peeked: &str) {
        self.rest = self.rest.get(peeked.len()..).unwrap_or_default();
    }

    /// All the digits that come next, if there are as many as may be.
    pub(super) fn number(&mut self, least: usize, most: usize) -> Option<i32> {
        let digits = self.peek_digits();
        if !(least..=most).contains(&digits.len()) {
            return None;
        }
        let number = digits.parse().ok()?;
        self.skip(digits);
        Some(number)
    }

    /// A word that `read` knows.
    pub(super) fn word<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let word = self.peek_letters();
        let value = read(word)?;
        self.skip(word);
        Some(value)
    }

    pub(super) fn take(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Blanks, and whether there were any.
    pub(super) fn blanks(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        self.rest.len() < before
    }

    /// Reads nothing unless `read` succeeds.
    pub(super) fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut trial = *self;
        let value = read(&mut trial)?;
        *self = trial;
        Some(value)
    }

    fn run(self, belongs: impl Fn(u8) -> bool) -> &'t str {
        let length = self
            .rest
            .bytes()
            .position(|byte| !belongs(byte))
            .unwrap_or(self.rest.len());
        &self.rest[..length]
    }
}
