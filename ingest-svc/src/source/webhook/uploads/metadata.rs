//! `Upload-Metadata`: what the file is called, and how it is to be read.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use control::FileFormat;
use model::text;
use proto::imports::v1 as wire;

/// Characters of a file's name that is part of a label, at most.
const NAME_CHARS_MAX: usize = 200;

/// What is said of a file. Other names are passed over: clients add some of their own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) file_name: String,
    /// The label of the job, if it is to have a certain one.
    pub(super) label: Option<String>,
    pub(super) format: FileFormat,
    pub(super) drop_errors: bool,
}

impl Metadata {
    /// Reads names and values: `name base64,name base64`.
    ///
    /// # Errors
    /// What is wrong, for the sender.
    pub(super) fn read(header: &[u8]) -> Result<Self, String> {
        let pairs = pairs(header)?;
        let value = |name: &str| pairs.get(name).cloned().unwrap_or_default();
        let file_name = Some(value("filename")).filter(|name| !name.is_empty());
        let file_name = file_name.unwrap_or_else(|| "file".to_owned());
        if text::label(&file_name).is_err() || file_name.chars().count() > NAME_CHARS_MAX {
            return Err(format!(
                "filename: must have at most {NAME_CHARS_MAX} visible characters"
            ));
        }
        let label = Some(value("label")).filter(|label| !label.is_empty());
        if let Some(label) = &label {
            text::label(label).map_err(|error| format!("label: {error}"))?;
        }
        let drop_errors = match &*value("drop_errors") {
            "" | "false" => false,
            "true" => true,
            _ => return Err("drop_errors: must be true or false".to_owned()),
        };
        let format = wire::FileFormat {
            format: value("format"),
            compression: value("compression"),
            kind: value("kind"),
            delimiter: value("delimiter"),
            headers: names("headers", &value("headers"))?,
            columns: names("columns", &value("columns"))?,
            timestamp_field: value("timestamp_field"),
        };
        let format = FileFormat::from_wire(&format).map_err(|errors| {
            let errors = errors.iter().map(|error| format!("{}: {}", error.field, error.problem));
            errors.collect::<Vec<_>>().join("; ")
        })?;
        Ok(Self {
            file_name,
            label,
            format,
            drop_errors,
        })
    }
}

fn pairs(header: &[u8]) -> Result<HashMap<String, String>, String> {
    let header = std::str::from_utf8(header).map_err(|_| "must be ASCII".to_owned())?;
    let mut pairs = HashMap::new();
    for pair in header.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = BASE64_STANDARD.decode(value.trim()).ok();
        let value = value.and_then(|value| String::from_utf8(value).ok());
        let value = value.ok_or_else(|| format!("{name}: must be UTF-8 in Base64"))?;
        if pairs.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name}: it is there twice"));
        }
    }
    Ok(pairs)
}

/// Names of columns: separated by commas or, if one has a comma in it, an array in JSON.
fn names(field: &str, value: &str) -> Result<Vec<String>, String> {
    if value.starts_with('[') {
        return serde_json::from_str(value).map_err(|_| format!("{field}: must be an array of strings"));
    }
    let names = value.split(',').filter(|_| !value.is_empty());
    Ok(names.map(|name| name.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(pairs: &[(&str, &str)]) -> Vec<u8> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| format!("{name} {}", BASE64_STANDARD.encode(value)));
        pairs.collect::<Vec<_>>().join(",").into_bytes()
    }

    #[test]
    fn what_is_said_of_a_file_is_read() {
        let read = Metadata::read(&header(&[
            ("filename", "José.csv"),
            ("filetype", "text/csv"),
            ("label", "January"),
            ("format", "csv"),
            ("delimiter", ";"),
            ("headers", "[\"id\",\"a,b\"]"),
            ("columns", "id"),
            ("drop_errors", "true"),
        ]));
        let read = read.unwrap();
        assert_eq!(
            (&*read.file_name, read.label.as_deref(), read.drop_errors),
            ("José.csv", Some("January"), true)
        );
        assert_eq!((read.format.format, read.format.delimiter), (Some("csv"), Some(b';')));
        assert_eq!(read.format.headers, Some(vec!["id".to_owned(), "a,b".to_owned()]));
        let nothing = Metadata::read(b"").unwrap();
        assert_eq!(
            (&*nothing.file_name, nothing.label, nothing.format),
            ("file", None, FileFormat::default())
        );
        // A name may stand alone.
        assert_eq!(Metadata::read(b"is_confidential").unwrap().file_name, "file");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (pairs, problem) in [
            (&[("format", "xml")][..], "format: must be one of"),
            (&[("filename", "a\nb")], "filename: "),
            (&[("label", " x")], "label: "),
            (&[("drop_errors", "yes")], "drop_errors: "),
            (&[("headers", "[1]")], "headers: "),
            (&[("kind", "plain"), ("kind", "braze")], "kind: it is there twice"),
        ] {
            let told = Metadata::read(&header(pairs)).unwrap_err();
            assert!(told.starts_with(problem), "{told}");
        }
        assert_eq!(
            Metadata::read(b"filename %%").unwrap_err(),
            "filename: must be UTF-8 in Base64"
        );
    }
}
