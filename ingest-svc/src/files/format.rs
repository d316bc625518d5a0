//! What a file is: as somebody says, else by the ending of its name, else by its first bytes.

use std::str::FromStr;

use super::avro;

/// How the rows of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A header, then a record a row.
    Csv,
    /// A JSON object a line.
    Lines,
    /// Avro's object container file.
    Avro,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    /// Any number of files in it, each plain or deflated.
    Zip,
}

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anybody's: its rows are records as they are.
    Plain,
    /// Braze's: the dashboard's CSV, a segment export, or Currents.
    Braze,
}

/// What a file is, as far as that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Format {
    /// `None`: that is seen by each file's name, or its first bytes.
    pub what: Option<What>,
    /// `None`: that is seen by the first bytes.
    pub compression: Option<Compression>,
    /// `None`: that is seen by the path that Braze gives its files, and by the name of an Avro file's record.
    pub kind: Option<Kind>,
}

/// A word that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is none of {known}")]
pub struct Unknown {
    given: String,
    known: &'static str,
}

impl FromStr for What {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        match word {
            "csv" => Ok(Self::Csv),
            "ndjson" => Ok(Self::Lines),
            "avro" => Ok(Self::Avro),
            _ => Err(unknown(word, "csv, ndjson and avro")),
        }
    }
}

impl FromStr for Compression {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        match word {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "zip" => Ok(Self::Zip),
            _ => Err(unknown(word, "none, gzip and zip")),
        }
    }
}

impl FromStr for Kind {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        match word {
            "plain" => Ok(Self::Plain),
            "braze" => Ok(Self::Braze),
            _ => Err(unknown(word, "plain and braze")),
        }
    }
}

fn unknown(given: &str, known: &'static str) -> Unknown {
    let given = given.to_owned();
    Unknown { given, known }
}

impl What {
    /// By a file's name, without the ending of a compression.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match ending(name)?.as_str() {
            "csv" | "tsv" => Some(Self::Csv),
            "ndjson" | "jsonl" | "json" => Some(Self::Lines),
            "avro" => Some(Self::Avro),
            _ => None,
        }
    }

    /// By its first bytes. A file of no bytes is anything.
    pub(super) fn of_beginning(beginning: &[u8]) -> Self {
        if beginning.starts_with(avro::MAGIC) {
            return Self::Avro;
        }
        let beginning = beginning.strip_prefix("\u{feff}".as_bytes()).unwrap_or(beginning);
        match beginning.trim_ascii_start().first() {
            Some(b'{') => Self::Lines,
            _ => Self::Csv,
        }
    }
}

impl Kind {
    /// The word that it is parsed from.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Braze => "braze",
        }
    }

    /// By a file's path, as Braze makes it for its exports and for Currents.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let is_of_currents = || folders(path).any(|part| part.starts_with("event_type="));
        (Self::is_segment_export(path) || is_of_currents()).then_some(Self::Braze)
    }

    /// Whether a path is one that Braze makes for its exports.
    pub(super) fn is_segment_export(path: &str) -> bool {
        folders(path).any(|part| part == "segment-export")
    }
}

fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.split(['/', '\\'])
}

impl Compression {
    /// By a file's name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match ending(name)?.as_str() {
            "gz" | "gzip" => Some(Self::Gzip),
            "zip" => Some(Self::Zip),
            _ => None,
        }
    }

    /// By its first four bytes.
    pub(super) fn of_beginning(beginning: &[u8]) -> Self {
        match beginning {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // Of a zip without files there is only its end.
            [b'P', b'K', 3, 4] | [b'P', b'K', 5, 6] => Self::Zip,
            _ => Self::None,
        }
    }

    /// The word that it is parsed from.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zip => "zip",
        }
    }
}

/// A file's name without the ending that its compression gave it.
pub(super) fn without_compression(name: &str) -> &str {
    match (Compression::of_name(name), name.rsplit_once('.')) {
        (Some(_), Some((name, _))) => name,
        _ => name,
    }
}

/// Whether columns stand between tabs.
pub(super) fn is_tsv(name: &str) -> bool {
    ending(name).as_deref() == Some("tsv")
}

fn ending(name: &str) -> Option<String> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(ending.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_the_ending_of_its_name() {
        for (name, what, compression) in [
            ("a/b.csv", Some(What::Csv), None),
            ("b.TSV.gz", Some(What::Csv), Some(Compression::Gzip)),
            ("b.ndjson.zip", Some(What::Lines), Some(Compression::Zip)),
            ("b.jsonl", Some(What::Lines), None),
            ("b.json.gzip", Some(What::Lines), Some(Compression::Gzip)),
            ("b.gz", None, Some(Compression::Gzip)),
            ("b.avro", Some(What::Avro), None),
            ("b.txt", None, None),
            ("b", None, None),
        ] {
            assert_eq!(What::of_name(without_compression(name)), what, "{name}");
            assert_eq!(Compression::of_name(name), compression, "{name}");
        }
    }

    #[test]
    fn a_file_is_known_by_its_first_bytes() {
        for (beginning, what) in [
            ("{\"a\":1}", What::Lines),
            ("\u{feff} \n{", What::Lines),
            ("Obj\u{1}", What::Avro),
            ("a,b", What::Csv),
            ("", What::Csv),
        ] {
            assert_eq!(What::of_beginning(beginning.as_bytes()), what, "{beginning}");
        }
    }
}
