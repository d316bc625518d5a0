//! How the files of a job are to be read, in the words of the contracts.

use std::collections::HashSet;

use proto::imports::v1 as wire;

/// Columns of a CSV that can be named, each of at most [`NAME_BYTES_MAX`].
const COLUMNS_MAX: usize = 2_000;
/// Bytes of the name of a column or a field. A job is one record of the control table, which Kafka takes up to a megabyte of.
const NAME_BYTES_MAX: usize = 255;
/// Bytes of all names of columns of a job.
const NAMES_BYTES_MAX: usize = 256 * 1024;

/// How files are to be read. What is `None` is seen by a file's name, or by its first bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileFormat {
    /// One of [`FileFormat::FORMATS`].
    pub format: Option<&'static str>,
    /// One of [`FileFormat::COMPRESSIONS`].
    pub compression: Option<&'static str>,
    /// One of [`FileFormat::KINDS`]: whose the files are.
    pub kind: Option<&'static str>,
    /// What stands between two columns of a CSV. `None`: a comma, of a `.tsv` a tab.
    pub delimiter: Option<u8>,
    /// Names of the columns of a CSV whose first row is data.
    pub headers: Option<Vec<String>>,
    /// The columns to keep; empty: all.
    pub columns: Vec<String>,
    /// The field that says when a row happened.
    pub timestamp_field: Option<String>,
}

/// What is wrong with a format, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// The field of the contracts' `FileFormat`.
    pub field: &'static str,
    /// What to give instead.
    pub problem: String,
}

impl FileFormat {
    /// How rows are written.
    pub const FORMATS: [&'static str; 3] = ["csv", "ndjson", "avro"];
    /// How files are compressed.
    pub const COMPRESSIONS: [&'static str; 3] = ["none", "gzip", "zip"];
    /// Whose files are.
    pub const KINDS: [&'static str; 2] = ["braze", "plain"];

    /// As the contracts write it.
    pub fn to_wire(&self) -> wire::FileFormat {
        let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
        let delimiter = self.delimiter.map(|delimiter| match delimiter {
            b'\t' => "t".to_owned(),
            delimiter => char::from(delimiter).to_string(),
        });
        wire::FileFormat {
            format: word(self.format),
            compression: word(self.compression),
            kind: word(self.kind),
            delimiter: delimiter.unwrap_or_default(),
            headers: self.headers.clone().unwrap_or_default(),
            columns: self.columns.clone(),
            timestamp_field: self.timestamp_field.clone().unwrap_or_default(),
        }
    }

    /// As the contracts write it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn from_wire(given: &wire::FileFormat) -> Result<Self, Vec<FormatError>> {
        let mut errors = Vec::new();
        let mut word = |field, given: &str, known: &[&'static str]| {
            let found = known.iter().find(|known| **known == given).copied();
            if found.is_none() && !given.is_empty() {
                let problem = format!("must be one of {}, or empty", known.join(", "));
                errors.push(FormatError { field, problem });
            }
            found
        };
        let format = word("format", &given.format, &Self::FORMATS);
        let compression = word("compression", &given.compression, &Self::COMPRESSIONS);
        let kind = word("kind", &given.kind, &Self::KINDS);
        let delimiter = delimiter(&given.delimiter).unwrap_or_else(|problem| {
            let problem = problem.to_owned();
            errors.push(FormatError {
                field: "delimiter",
                problem,
            });
            None
        });
        names("headers", &given.headers, &mut errors);
        names("columns", &given.columns, &mut errors);
        let of_csv = [
            ("delimiter", !given.delimiter.is_empty()),
            ("headers", !given.headers.is_empty()),
            ("columns", !given.columns.is_empty()),
        ];
        for (field, _) in of_csv.into_iter().filter(|(_, is_given)| *is_given) {
            if let Some(format @ ("ndjson" | "avro")) = format {
                let problem = format!("is of csv, and format is {format}; leave it out");
                errors.push(FormatError { field, problem });
            }
        }
        if !given.headers.is_empty() {
            for column in given.columns.iter().filter(|column| !given.headers.contains(column)) {
                let problem = format!("\"{column}\" is not among the headers");
                let field = "columns";
                errors.push(FormatError { field, problem });
            }
        }
        if given.timestamp_field.len() > NAME_BYTES_MAX {
            errors.push(FormatError {
                field: "timestamp_field",
                problem: format!("must have at most {NAME_BYTES_MAX} bytes"),
            });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            format,
            compression,
            kind,
            delimiter,
            headers: Some(given.headers.clone()).filter(|headers| !headers.is_empty()),
            columns: given.columns.clone(),
            timestamp_field: Some(given.timestamp_field.clone()).filter(|field| !field.is_empty()),
        })
    }
}

/// The byte that the contracts mean; none if nothing is said.
fn delimiter(given: &str) -> Result<Option<u8>, &'static str> {
    match given.as_bytes() {
        [] => Ok(None),
        b"t" => Ok(Some(b'\t')),
        [b'"' | b'\r' | b'\n'] => Err("must not be a quote or the end of a line"),
        [delimiter] => Ok(Some(*delimiter)),
        _ => Err("must be one ASCII character, or t for a tab"),
    }
}

/// That names of columns are bounded, not empty, and each there once.
fn names(field: &'static str, given: &[String], errors: &mut Vec<FormatError>) {
    let mut error = |problem| errors.push(FormatError { field, problem });
    if given.len() > COLUMNS_MAX {
        error(format!("must have at most {COLUMNS_MAX} names, not {}", given.len()));
        return;
    }
    if given.iter().map(String::len).sum::<usize>() > NAMES_BYTES_MAX {
        error(format!("must have at most {NAMES_BYTES_MAX} bytes in all"));
        return;
    }
    if given.iter().any(|name| !(1..=NAME_BYTES_MAX).contains(&name.len())) {
        error(format!("must be names of 1 to {NAME_BYTES_MAX} bytes"));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = given.iter().find(|name| !seen.insert(*name)) {
        error(format!("\"{twice}\" is there twice"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> wire::FileFormat {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        wire::FileFormat {
            format: "csv".to_owned(),
            compression: "gzip".to_owned(),
            kind: "plain".to_owned(),
            delimiter: "t".to_owned(),
            headers: names(&["id", "email", "at"]),
            columns: names(&["id", "at"]),
            timestamp_field: "at".to_owned(),
        }
    }

    fn fields(format: &wire::FileFormat) -> Vec<&'static str> {
        let errors = FileFormat::from_wire(format).unwrap_err();
        errors.iter().map(|error| error.field).collect()
    }

    #[test]
    fn what_is_said_is_kept_and_what_is_not_is_open() {
        let read = FileFormat::from_wire(&wire()).unwrap();
        assert_eq!((read.format, read.delimiter), (Some("csv"), Some(b'\t')));
        assert_eq!(read.to_wire(), wire());
        let open = FileFormat::from_wire(&wire::FileFormat::default()).unwrap();
        assert_eq!(open, FileFormat::default());
        assert_eq!(open.to_wire(), wire::FileFormat::default());
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_with_its_field() {
        let wrong = wire::FileFormat {
            format: "xml".to_owned(),
            compression: "rar".to_owned(),
            kind: "appboy".to_owned(),
            delimiter: "::".to_owned(),
            headers: vec!["id".to_owned(), "id".to_owned()],
            columns: vec![String::new()],
            timestamp_field: "x".repeat(256),
        };
        let told = [
            "format",
            "compression",
            "kind",
            "delimiter",
            "headers",
            "columns",
            "columns",
            "timestamp_field",
        ];
        assert_eq!(fields(&wrong), told);
    }

    #[test]
    fn columns_are_among_the_headers_and_of_a_csv_alone() {
        let other = wire::FileFormat {
            columns: vec!["name".to_owned()],
            ..wire()
        };
        assert_eq!(fields(&other), ["columns"]);
        let lines = wire::FileFormat {
            format: "ndjson".to_owned(),
            ..wire()
        };
        assert_eq!(fields(&lines), ["delimiter", "headers", "columns"]);
    }

    #[test]
    fn a_delimiter_is_one_character_that_ends_neither_a_value_nor_a_row_already() {
        for (given, read) in [("", None), (";", Some(b';')), ("\t", Some(b'\t')), ("t", Some(b'\t'))] {
            assert_eq!(delimiter(given), Ok(read), "{given:?}");
        }
        for wrong in ["\"", "\n", "\r", "ü", ",,"] {
            assert!(delimiter(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_are_bounded() {
        let headers = |count: usize, bytes: usize| wire::FileFormat {
            headers: (0..count).map(|number| format!("{number:0bytes$}")).collect(),
            ..wire::FileFormat::default()
        };
        assert!(FileFormat::from_wire(&headers(2_000, 131)).is_ok());
        assert_eq!(fields(&headers(2_000, 132)), ["headers"]);
        assert_eq!(fields(&headers(2_001, 5)), ["headers"]);
    }
}
