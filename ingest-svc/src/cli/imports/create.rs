//! `imports create storage | segment-export`.

use std::time::Duration;

use clap::{Args, Subcommand};
use model::AccountNumber;
use proto::imports::v1 as wire;
use proto::imports::v1::import_schedule::Schedule;
use proto::imports::v1::import_source::Source;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Create {
    /// Read files from object storage
    ///
    /// Those whose keys begin with --prefix and, behind it, match --pattern; in the order in which they were changed. With a schedule new
    /// ones are read as they come, and nothing twice.
    #[command(after_long_help = examples!(
        "imports create storage --account 1234 --stream braze_users \\\n      --authorization accounts/1234/storageAuthorizations/a1b2c3 \\\n      --label People --prefix people/ --watch",
        "imports create storage --account 1234 --stream crm --label Daily \\\n      --authorization accounts/1234/storageAuthorizations/a1b2c3 \\\n      --prefix crm_ --pattern '[0-9]{8}\\.csv' --diff \\\n      --daily 06:00 --time-zone Europe/Berlin",
    ))]
    Storage {
        #[command(flatten)]
        job: Job,
        /// accounts/{number}/storageAuthorizations/{id}
        #[arg(long, value_name = "NAME")]
        authorization: String,
        /// What the keys of the files begin with; a whole key for one file; without it, every file
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        prefix: String,
        /// A regular expression that the rest of a key matches as a whole
        #[arg(long, value_name = "REGEX", default_value = "", hide_default_value = true)]
        pattern: String,
    },
    /// Have Braze export a segment, and read what it writes
    ///
    /// Braze writes into the storage that is connected to its workspace, which takes minutes to hours, and calls this service when it is
    /// done.
    #[command(after_long_help = examples!(
        "imports create segment-export --account 1234 --stream braze_users \\\n      --label VIPs \\\n      --authorization accounts/1234/authorizations/d4e5f6 \\\n      --storage accounts/1234/storageAuthorizations/a1b2c3 \\\n      --segment 7a1b0c52-0000-4d3e-9e11-2f3a4b5c6d7e \\\n      --fields braze_id,external_id,email",
    ))]
    SegmentExport {
        #[command(flatten)]
        job: Job,
        /// The key that Braze is asked with: accounts/{number}/authorizations/{id}, as export-svc lists it
        #[arg(long, value_name = "NAME")]
        authorization: String,
        /// The storage that Braze writes to: accounts/{number}/storageAuthorizations/{id}
        #[arg(long, value_name = "NAME")]
        storage: String,
        /// As `imports segments` lists it
        #[arg(long, value_name = "ID")]
        segment: String,
        /// Braze's names of fields, with commas; custom_attributes is all of them
        #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
        fields: Vec<String>,
        /// Custom attributes by name, with commas
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        custom_attributes: Vec<String>,
    },
}

/// What every job has.
#[derive(Debug, Args)]
pub(in crate::cli) struct Job {
    /// Number of the account
    #[arg(long, value_name = "NUMBER")]
    account: AccountNumber,
    /// The stream that the rows go to, which says how they are mapped
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// What people call it; unique in the account
    #[arg(long)]
    label: String,
    /// For people
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    format: Format,
    /// Pass over rows that cannot be read; else the first one makes its file bad
    #[arg(long)]
    drop_errors: bool,
    /// Pass over bad files; else the job is in fault when all others are read
    #[arg(long)]
    skip_bad_files: bool,
    /// Of each file send only the rows that the one before it does not have
    #[arg(long)]
    diff: bool,
    /// Follow it at once, as `imports watch` does
    #[arg(long)]
    watch: bool,
}

/// When it looks for files.
#[derive(Debug, Args)]
pub(super) struct Times {
    /// Look again after so long, such as 1h; from 1m to 31d
    #[arg(long, value_name = "DURATION", value_parser = humantime, conflicts_with = "daily")]
    every: Option<Duration>,
    /// Look every day at that time, such as 06:00
    #[arg(long, value_name = "HH:MM", requires = "time_zone")]
    daily: Option<String>,
    /// Whose time that is, such as Europe/Berlin
    #[arg(long, value_name = "NAME", requires = "daily")]
    time_zone: Option<String>,
}

/// How the files are to be read.
#[derive(Debug, Args)]
struct Format {
    /// csv, ndjson or avro; else names or contents say so
    #[arg(long, default_value = "", hide_default_value = true)]
    format: String,
    /// none, gzip or zip; else contents say so
    #[arg(long, value_name = "HOW", default_value = "", hide_default_value = true)]
    compression: String,
    /// Whose they are: braze, or plain; else their paths say so
    #[arg(long, value_name = "WHOSE", default_value = "", hide_default_value = true)]
    kind: String,
    /// What stands between the columns of a CSV: one character, or t for a tab
    #[arg(long, value_name = "CHARACTER", default_value = "", hide_default_value = true)]
    delimiter: String,
    /// The names of the columns, with commas, if the first row of a CSV does not have them
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    headers: Vec<String>,
    /// The columns of a CSV to keep, with commas; else all
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// The field that says when a row happened
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    timestamp_field: String,
}

fn humantime(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "a duration such as 90m or 24h is expected".to_owned())?;
    Duration::try_from(span).map_err(|_| "must be longer than nothing".to_owned())
}

impl Times {
    pub(super) fn to_wire(&self) -> Option<wire::ImportSchedule> {
        let every = self.every.and_then(|every| every.try_into().ok()).map(Schedule::Every);
        let daily = self.daily.as_ref().map(|time| {
            Schedule::Daily(wire::DailyTime {
                time: time.clone(),
                time_zone: self.time_zone.clone().unwrap_or_default(),
            })
        });
        let schedule = every.or(daily);
        schedule.is_some().then_some(wire::ImportSchedule { schedule })
    }
}

impl Create {
    /// The account, whether the job is to be followed, and the job.
    pub(super) fn into_job(self) -> (AccountNumber, bool, wire::ImportJob) {
        let (job, source) = match self {
            Self::Storage {
                job,
                authorization,
                prefix,
                pattern,
            } => {
                let source = wire::StorageSource {
                    authorization,
                    prefix,
                    pattern,
                };
                (job, Source::Storage(source))
            }
            Self::SegmentExport {
                job,
                authorization,
                storage,
                segment,
                fields,
                custom_attributes,
            } => {
                let source = wire::SegmentExportSource {
                    storage_authorization: storage,
                    authorization,
                    segment_id: segment,
                    fields,
                    custom_attributes,
                };
                (job, Source::SegmentExport(source))
            }
        };
        let format = wire::FileFormat {
            format: job.format.format,
            compression: job.format.compression,
            kind: job.format.kind,
            delimiter: job.format.delimiter,
            headers: job.format.headers,
            columns: job.format.columns,
            timestamp_field: job.format.timestamp_field,
        };
        let wanted = wire::ImportJob {
            label: job.label,
            description: job.description,
            stream: job.stream,
            source: Some(wire::ImportSource { source: Some(source) }),
            format: Some(format),
            schedule: job.times.to_wire(),
            drop_errors: job.drop_errors,
            skip_bad_files: job.skip_bad_files,
            diff: job.diff,
            ..Default::default()
        };
        (job.account, job.watch, wanted)
    }
}
