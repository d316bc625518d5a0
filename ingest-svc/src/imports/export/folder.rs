//! Where Braze puts the files of an export: `segment-export/<segment id>/<date of completion>/<uuid>-<time of the request>/<file>`.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use twox_hash::XxHash3_128;

use crate::imports::plan::Found;

/// The date is that of completion, by whichever clock: it may be a day off on either side.
const DATE_MARGIN: SignedDuration = SignedDuration::from_hours(24);
/// How far a clock of Braze's may be behind ours.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(60);
/// Of more days everything below the segment is listed.
const DAYS_MAX: usize = 9;

/// The folder of an export, or of any export of the segment.
pub(super) struct Folder<'a> {
    pub(super) segment_id: &'a str,
    /// Braze's word for it, if it is known.
    pub(super) object_prefix: Option<&'a str>,
}

impl Folder<'_> {
    fn root(&self) -> String {
        format!("segment-export/{}/", self.segment_id)
    }

    /// What to list to find what was asked for at `asked`. Not everything of the segment: nobody clears it up.
    pub(super) fn prefixes(&self, asked: Timestamp, now: Timestamp) -> Vec<String> {
        let date = |time: Timestamp| TimeZone::UTC.to_datetime(time).date();
        let (first, last) = (date(asked - DATE_MARGIN), date(now + DATE_MARGIN));
        let dates = first.series(1.day()).take_while(|date| *date <= last);
        let prefixes: Vec<String> = dates
            .take(DAYS_MAX + 1)
            .map(|date| match self.object_prefix {
                Some(prefix) => format!("{}{date}/{prefix}/", self.root()),
                None => format!("{}{date}/", self.root()),
            })
            .collect();
        if prefixes.len() > DAYS_MAX {
            vec![self.root()]
        } else {
            prefixes
        }
    }

    /// Of what was listed the files in it, by key.
    pub(super) fn files(&self, listing: &[Found]) -> Vec<Found> {
        let here = |object: &&Found| self.folder_of(&object.key).is_some() && !object.key.ends_with('/');
        let mut files: Vec<Found> = listing.iter().filter(here).cloned().collect();
        files.sort_by(|one, other| one.key.cmp(&other.key));
        files
    }

    /// Of what was listed the folder that Braze may have begun when it was asked first, at `asked`: the nearest in time that is not `taken`.
    pub(super) fn begun_at<'l>(
        &self,
        listing: &'l [Found],
        asked: Timestamp,
        taken: impl Fn(&str) -> bool,
    ) -> Option<&'l str> {
        let earliest = (asked - CLOCKS_APART).as_second();
        let found = listing.iter().filter_map(|object| self.folder_of(&object.key));
        found
            .filter_map(|folder| Some((time_of(folder)?, folder)))
            .filter(|(time, folder)| *time >= earliest && !taken(folder))
            .min_by_key(|(time, folder)| (time.abs_diff(asked.as_second()), *folder))
            .map(|(_, folder)| folder)
    }

    /// The part of a key that names the export, if it lies here.
    fn folder_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        let (date, rest) = key.strip_prefix(self.root().as_str())?.split_once('/')?;
        let (folder, _file) = rest.split_once('/')?;
        let is_here = !date.is_empty() && self.object_prefix.is_none_or(|prefix| prefix == folder);
        is_here.then_some(folder)
    }
}

/// Of `segment-export/<segment>/<date>/<folder>/…` the folder: whose export a file is of.
pub(crate) fn export_of(key: &str) -> Option<&str> {
    key.strip_prefix("segment-export/")?.split('/').nth(2)
}

/// The seconds behind the UUID.
fn time_of(folder: &str) -> Option<i64> {
    let (uuid, seconds) = folder.rsplit_once('-')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_number = seconds.bytes().all(|byte| byte.is_ascii_digit());
    (!uuid.is_empty() && uuid.bytes().all(plain) && is_number).then(|| seconds.parse().ok())?
}

/// What was seen of a folder: differs if other files are there, or Braze has called meanwhile.
pub(super) struct Seen {
    called: bool,
    files: u128,
}

/// What begins what was seen after a call.
const CALLED: &str = "called ";

impl Seen {
    pub(super) fn new(files: &[Found], called: bool) -> Self {
        let mut bytes = Vec::new();
        for Found { key, etag, size, .. } in files {
            for part in [key, etag] {
                bytes.extend_from_slice(&part.len().to_be_bytes());
                bytes.extend_from_slice(part.as_bytes());
            }
            bytes.extend_from_slice(&size.to_be_bytes());
        }
        let files = XxHash3_128::oneshot(&bytes);
        Self { called, files }
    }

    /// Whether Braze had called.
    pub(super) fn has_called(seen: &str) -> bool {
        seen.starts_with(CALLED)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let called = if self.called { CALLED } else { "" };
        write!(f, "{called}{:032x}", self.files)
    }
}
