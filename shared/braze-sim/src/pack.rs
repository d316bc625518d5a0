//! The files of an export: one JSON object per line, in a zip or compressed by gzip (reference §5.3).

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Zip,
    Gzip,
}

impl Format {
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Gzip => "gz",
        }
    }
}

/// Packs lines that have no line end yet. A zip gets two entries, of which only one has a name that ends in `.json`: Braze
/// promises neither one entry nor a name.
pub(crate) fn pack(format: Format, name: &str, lines: &[Vec<u8>]) -> Result<Vec<u8>, ZipError> {
    match format {
        Format::Zip => {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            let (first, second) = lines.split_at(lines.len().div_ceil(2));
            for (lines, entry) in [(first, format!("{name}.json")), (second, format!("{name}_1"))] {
                if !lines.is_empty() {
                    zip.start_file(entry, SimpleFileOptions::default())?;
                    zip.write_all(&text(lines))?;
                }
            }
            Ok(zip.finish()?.into_inner())
        }
        Format::Gzip => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(&text(lines))?;
            Ok(gzip.finish()?)
        }
    }
}

fn text(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut text = lines.join(&b'\n');
    text.push(b'\n');
    text
}
