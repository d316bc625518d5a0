//! The files: the same users in each form.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use apache_avro::types::Record;
use apache_avro::{Codec, DeflateSettings, Schema, Writer};
use clap::ValueEnum;
use flate2::Compression;
use flate2::write::GzEncoder;
use shared_e2e::ingest::requests::fields;

/// How the rows of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Csv,
    /// A JSON object a line, in gzip.
    Lines,
    /// Deflated.
    Avro,
}

impl Form {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Lines => "lines",
            Self::Avro => "avro",
        }
    }

    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Lines => "ndjson.gz",
            Self::Avro => "avro",
        }
    }

    /// Writes so many rows.
    ///
    /// # Errors
    /// When the disk is full.
    pub(crate) fn write(self, path: &Path, rows: usize) -> anyhow::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        match self {
            Self::Csv => csv(&mut out, rows)?,
            Self::Lines => {
                let mut gzip = GzEncoder::new(&mut out, Compression::default());
                for number in 0..rows {
                    writeln!(gzip, "{}", serde_json::to_string(&object(number))?)?;
                }
                gzip.finish()?;
            }
            Self::Avro => avro(&mut out, rows)?,
        }
        Ok(out.flush()?)
    }
}

fn csv(out: &mut impl Write, rows: usize) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(fields(0).map(|(name, _)| name))?;
    for number in 0..rows {
        writer.write_record(fields(number).map(|(_, value)| value))?;
    }
    Ok(writer.flush()?)
}

fn object(number: usize) -> serde_json::Map<String, serde_json::Value> {
    let members = fields(number).into_iter();
    members.map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn avro(out: &mut impl Write, rows: usize) -> anyhow::Result<()> {
    let members: Vec<_> = fields(0)
        .map(|(name, _)| serde_json::json!({ "name": name, "type": "string" }))
        .into();
    let schema = serde_json::json!({ "type": "record", "name": "User", "fields": members });
    let schema = Schema::parse(&schema)?;
    let mut writer = Writer::with_codec(&schema, out, Codec::Deflate(DeflateSettings::default()));
    for number in 0..rows {
        let mut record = Record::new(&schema).ok_or_else(|| anyhow::anyhow!("a schema of a record"))?;
        for (name, value) in fields(number) {
            record.put(name, value);
        }
        writer.append(record)?;
    }
    writer.flush()?;
    Ok(())
}
