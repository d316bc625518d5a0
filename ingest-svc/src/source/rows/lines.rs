//! A JSON object a line. Whether it is one is for the mapping to say.

use bytes::Bytes;

use super::RECORD_BYTES_MAX;
use crate::source::{Raw, body};

/// Finds the lines in the pieces of a body. Blank ones are passed over.
#[derive(Debug)]
pub struct Lines {
    /// Bytes of a record, at most.
    record_bytes_max: usize,
    /// What there is of the line so far, at most the limit.
    line: Vec<u8>,
    too_large: bool,
    /// How many lines have begun before this one.
    number: u64,
}

impl Default for Lines {
    fn default() -> Self {
        Self::new(RECORD_BYTES_MAX)
    }
}

impl Lines {
    /// Of records of at most so many bytes.
    pub fn new(record_bytes_max: usize) -> Self {
        Self {
            record_bytes_max,
            line: Vec::new(),
            too_large: false,
            number: 0,
        }
    }

    /// See [`Rows::next`](super::Rows::next).
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Raw> {
        while let Some(end) = memchr::memchr(b'\n', input) {
            self.take(&input[..end]);
            *input = &input[end + 1..];
            if let Some(raw) = self.end() {
                return Some(raw);
            }
        }
        self.take(std::mem::take(input));
        None
    }

    /// The record that the line is, as it has ended.
    pub fn end(&mut self) -> Option<Raw> {
        let mut line = self.line.as_slice();
        if self.number == 0 {
            line = body::without_mark(line);
        }
        self.number += 1;
        let json = Bytes::copy_from_slice(line.trim_ascii());
        self.line.clear();
        if std::mem::take(&mut self.too_large) {
            let problem = format!(
                "line {}: the record is larger than {} bytes",
                self.number, self.record_bytes_max
            );
            return Some(Raw {
                json,
                unusable: Some(problem),
            });
        }
        (!json.is_empty()).then(|| json.into())
    }

    fn take(&mut self, part: &[u8]) {
        let room = self.record_bytes_max - self.line.len();
        self.too_large |= part.len() > room;
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Rows, read};
    use super::*;

    fn lines(body: &str, piece: usize) -> Vec<Result<String, String>> {
        read(Rows::Lines(Lines::default()), body.as_bytes(), piece).unwrap()
    }

    fn good(texts: &[&str]) -> Vec<Result<String, String>> {
        texts.iter().map(|text| Ok((*text).to_owned())).collect()
    }

    #[test]
    fn a_line_is_a_record_however_the_body_is_cut() {
        let body = "\u{feff}{\"a\":1}\r\n\n  \n {\"b\": 2} \nx\n{\"c\":\"\u{e9}\"}";
        for piece in 1..=body.len() {
            assert_eq!(
                lines(body, piece),
                good(&["{\"a\":1}", "{\"b\": 2}", "x", "{\"c\":\"\u{e9}\"}"]),
                "{piece}"
            );
        }
        assert_eq!(lines("", 1), []);
        assert_eq!(lines("\n\r\n", 1), []);
    }

    #[test]
    fn a_line_over_the_limit_is_told_with_its_number_and_the_next_is_read() {
        let most = "x".repeat(RECORD_BYTES_MAX);
        let body = format!("{most}\n{most}x\n{most}{most}\n1");
        let too_large = |line| Err(format!("line {line}: the record is larger than 16384 bytes"));
        for piece in [1_000, 5_000, body.len()] {
            assert_eq!(
                lines(&body, piece),
                [Ok(most.clone()), too_large(2), too_large(3), Ok("1".to_owned())],
                "{piece}"
            );
        }
    }

    #[test]
    fn of_a_line_over_the_limit_its_beginning_is_kept() {
        let mut lines = Lines::default();
        let body = "y".repeat(3 * RECORD_BYTES_MAX);
        assert!(lines.next(&mut body.as_bytes()).is_none());
        assert_eq!(lines.end().unwrap().json.len(), RECORD_BYTES_MAX);
    }
}
