//! What is known of a job and its files, from the records of the progress table.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kafka::View;
use model::time::from_wire;
use prost::Message;
use proto::imports::v1::import_progress::Progress;
use proto::imports::v1::{
    ExportCallback, FileDone, FileProgress, ImportCounters, ImportFile, ImportFileState, ImportProgress, JobProgress,
};

use super::id::FileId;

/// What is known of a job.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct JobView {
    /// What its coordinator has written; the default before anything is.
    pub(crate) job: JobProgress,
    /// What Braze has called about last.
    pub(crate) callback: Option<ExportCallback>,
    /// Its files.
    pub(crate) files: BTreeMap<FileId, File>,
    /// Revision of the coordinator's record; 0 before there is one.
    revision: u64,
}

/// What is known of a file: at least one of the two.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct File {
    /// How far it was read.
    pub(crate) progress: Option<Arc<FileProgress>>,
    /// Its end.
    pub(crate) done: Option<Arc<FileDone>>,
    /// Revisions of the two records.
    revisions: [u64; 2],
}

/// The keys of a job's records.
pub(crate) fn callback_key(job: &str) -> String {
    format!("{job}/callback")
}

/// Where how far a file is stands.
pub(crate) fn file_key(job: &str, file: FileId) -> String {
    format!("{job}/{file}")
}

/// Where the end of a file stands.
pub(crate) fn done_key(job: &str, file: FileId) -> String {
    format!("{job}/{file}/done")
}

impl JobView {
    /// Of the job of this name. What `before` has of files that have not changed since is not decoded again.
    pub(crate) fn of(table: &View, job: &str, before: &Self) -> Self {
        let mut view = Self::default();
        if let Some(entry) = table.get(job)
            && let Some(Progress::Job(progress)) = decode(&entry.value)
        {
            (view.job, view.revision) = (progress, entry.revision);
        }
        let prefix = format!("{job}/");
        for (key, entry) in table.scan(&prefix) {
            let rest = key.strip_prefix(&prefix).unwrap_or_default();
            if rest == "callback" {
                if let Some(Progress::Callback(callback)) = decode(&entry.value) {
                    view.callback = Some(callback);
                }
                continue;
            }
            let (digits, is_done) = match rest.strip_suffix("/done") {
                Some(digits) => (digits, true),
                None => (rest, false),
            };
            let Ok(id) = digits.parse::<FileId>() else { continue };
            let known = before.files.get(&id);
            let known = known.filter(|known| known.revisions[usize::from(is_done)] == entry.revision);
            let file = view.files.entry(id).or_default();
            match known {
                Some(known) if is_done => file.done.clone_from(&known.done),
                Some(known) => file.progress.clone_from(&known.progress),
                None => match decode(&entry.value) {
                    Some(Progress::File(progress)) if !is_done => file.progress = Some(Arc::new(progress)),
                    Some(Progress::Done(done)) if is_done => file.done = Some(Arc::new(done)),
                    _ => {}
                },
            }
            file.revisions[usize::from(is_done)] = entry.revision;
        }
        // Of what a later version has written nothing is known.
        view.files
            .retain(|_, file| file.progress.is_some() || file.done.is_some());
        view
    }

    /// Its files in the order of reading.
    pub(crate) fn in_order(&self) -> Vec<(FileId, &File)> {
        let mut files: Vec<_> = self.files.iter().map(|(id, file)| (*id, file)).collect();
        files.sort_by_key(|(id, file)| (file.number(), *id));
        files
    }

    /// Files that were found gone or changed, so many as are known.
    pub(crate) fn gone(&self) -> usize {
        self.files.values().filter(|file| file.is_gone()).count()
    }

    /// A file was found gone or changed since the coordinator has written last.
    pub(crate) fn misses_a_file(&self) -> bool {
        let missed = |file: &File| file.is_gone() && file.revisions[1] > self.revision;
        self.files.values().any(missed)
    }

    /// The place of the next file that is found.
    pub(crate) fn next_number(&self) -> u64 {
        self.files.values().map(File::number).max().unwrap_or_default() + 1
    }
}

impl File {
    /// A file that was found, and not begun.
    #[cfg(test)]
    pub(crate) fn found(progress: FileProgress) -> Self {
        Self {
            progress: Some(Arc::new(progress)),
            ..Self::default()
        }
    }

    /// The same, read to its end.
    #[cfg(test)]
    pub(crate) fn ended(self, done: FileDone) -> Self {
        Self {
            done: Some(Arc::new(done)),
            revisions: [1, 2],
            ..self
        }
    }

    /// Place in the order of reading.
    pub(crate) fn number(&self) -> u64 {
        let done = self.done.as_ref().map(|done| done.number);
        done.or(self.progress.as_ref().map(|progress| progress.number))
            .unwrap_or_default()
    }

    /// The newest word about it: of its end, if that has come.
    pub(crate) fn newest(&self) -> Option<&ImportFile> {
        match (&self.done, &self.progress) {
            (Some(done), _) => done.file.as_ref(),
            (None, Some(progress)) => progress.file.as_ref(),
            (None, None) => None,
        }
    }

    /// It is read to its end, or passed over.
    pub(crate) fn is_done(&self) -> bool {
        self.done.is_some()
    }

    /// It has gone from its storage, or changed, before it was read.
    pub(crate) fn is_gone(&self) -> bool {
        let skipped = |file: &ImportFile| file.state() == ImportFileState::Skipped;
        let bad = self.progress.as_ref().is_some_and(|progress| progress.bad);
        !bad && self
            .done
            .as_ref()
            .and_then(|done| done.file.as_ref())
            .is_some_and(skipped)
    }

    /// It is bad for a job that was bounced so often: nobody reads on.
    pub(crate) fn is_bad(&self, bounces: u64) -> bool {
        let bad = |progress: &Arc<FileProgress>| progress.bad && progress.bounces >= bounces;
        !self.is_done() && self.progress.as_ref().is_some_and(bad)
    }

    /// It was read to its end, not passed over.
    pub(crate) fn is_read(&self) -> bool {
        let done = self.done.as_ref().and_then(|done| done.file.as_ref());
        done.is_some_and(|file| file.state() == ImportFileState::Done)
    }

    /// When its storage is asked again; of a job that was bounced so often.
    pub(crate) fn retry_time(&self, bounces: u64) -> Option<Timestamp> {
        let progress = self.progress.as_ref().filter(|progress| progress.bounces >= bounces)?;
        from_wire(progress.retry_time.as_ref()?)
    }

    /// What became of its rows so far.
    pub(crate) fn counters(&self) -> ImportCounters {
        self.newest().and_then(|file| file.counters).unwrap_or_default()
    }
}

/// `None` of what a later version has written.
fn decode(value: &[u8]) -> Option<Progress> {
    ImportProgress::decode(value).ok()?.progress
}
