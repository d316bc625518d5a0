//! How the files of a job are read.

use control::{FileFormat, ImportJob};

use crate::files::{Format, Options};

/// From this row on.
pub(super) fn options(job: &ImportJob, from_row: u64) -> Options {
    let FileFormat {
        format,
        compression,
        kind,
        ..
    } = &job.format;
    Options {
        format: Format {
            what: parsed(*format),
            compression: parsed(*compression),
            kind: parsed(*kind),
        },
        delimiter: job.format.delimiter,
        headers: job.format.headers.clone(),
        columns: job.format.columns.clone(),
        from_row,
    }
}

/// The words were checked when the job was created.
fn parsed<T: std::str::FromStr>(word: Option<&str>) -> Option<T> {
    word.and_then(|word| word.parse().ok())
}
