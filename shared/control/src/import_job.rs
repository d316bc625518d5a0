//! Import jobs.

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};
use proto::control::v1::{ControlRecord, StoredImportJob, control_record};
use proto::imports::v1 as wire;

use crate::account::must_exist;
use crate::authorization::Authorization;
use crate::record::{self, Resource, State};
use crate::storage::StorageAuthorization;
use crate::{Directory, Error, Listed, Page, id};

mod edit;
mod format;
mod moves;
mod schedule;
mod source;

pub use self::edit::ImportJobEdit;
pub use self::format::{FileFormat, FormatError};
pub use self::moves::ImportMove;
pub use self::schedule::{ImportSchedule, ScheduleError};
pub use self::source::{ImportSource, SegmentFiles, StorageFiles, UploadedFile};

/// Which files go to which stream, where they come from, and when: what somebody wants. What became of it is told by whoever reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportJob {
    /// The account it belongs to.
    pub account: AccountNumber,
    /// Last part of its name.
    pub id: String,
    /// For people; unique in the account.
    pub label: String,
    /// For people.
    pub description: String,
    /// Where the records go.
    pub stream: String,
    /// Where the files come from.
    pub source: ImportSource,
    /// How they are to be read.
    pub format: FileFormat,
    /// When it looks for files. `None`: once, at once.
    pub schedule: Option<ImportSchedule>,
    /// Rows that cannot be read are passed over; else the first one makes its file bad.
    pub drop_errors: bool,
    /// Files that are bad are passed over; else the job is in fault when all others are read.
    pub skip_bad_files: bool,
    /// Of each file only the rows that the one before it does not have are sent.
    pub diff: bool,
    /// Somebody has paused it.
    pub paused: bool,
    /// Somebody has killed it: it is still listed, and nothing else.
    pub killed: bool,
    /// How often somebody has bounced it: it is to try again at once, whatever it waits for.
    pub bounces: u64,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last edited.
    pub update_time: Timestamp,
    /// Changes with every edit.
    pub revision: u64,
}

/// An import job to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImportJob {
    /// For people; unique in the account.
    pub label: String,
    /// For people.
    pub description: String,
    /// Where the records go.
    pub stream: String,
    /// Where the files come from; of authorizations of the same account.
    pub source: ImportSource,
    /// How they are to be read.
    pub format: FileFormat,
    /// When it looks for files. `None`: once, at once.
    pub schedule: Option<ImportSchedule>,
    /// See [`ImportJob::drop_errors`].
    pub drop_errors: bool,
    /// See [`ImportJob::skip_bad_files`].
    pub skip_bad_files: bool,
    /// See [`ImportJob::diff`].
    pub diff: bool,
}

impl ImportJob {
    /// `accounts/{number}/importJobs/{id}`.
    pub fn name(&self) -> String {
        name::format_child(self.account, name::IMPORT_JOBS, &self.id)
    }

    /// As the contracts write it, without what is observed and the mapping.
    pub fn to_wire(&self) -> wire::ImportJob {
        wire::ImportJob {
            name: self.name(),
            label: self.label.clone(),
            description: self.description.clone(),
            stream: self.stream.clone(),
            source: Some(self.source.to_wire()),
            format: Some(self.format.to_wire()),
            schedule: self.schedule.as_ref().map(ImportSchedule::to_wire),
            drop_errors: self.drop_errors,
            skip_bad_files: self.skip_bad_files,
            diff: self.diff,
            create_time: Some(model::time::to_wire(self.create_time)),
            update_time: Some(model::time::to_wire(self.update_time)),
            revision: self.revision,
            ..wire::ImportJob::default()
        }
    }
}

impl Resource for ImportJob {
    const KIND: &'static str = "importJob/";

    fn name(&self) -> String {
        self.name()
    }

    fn to_record(&self) -> ControlRecord {
        let import_job = Some(wire::ImportJob {
            revision: 0,
            ..self.to_wire()
        });
        let stored = StoredImportJob {
            import_job,
            paused: self.paused,
            killed: self.killed,
            bounces: self.bounces,
        };
        ControlRecord {
            resource: Some(control_record::Resource::ImportJob(stored)),
        }
    }

    fn from_record(record: ControlRecord, revision: u64) -> Option<Self> {
        let control_record::Resource::ImportJob(stored) = record.resource? else {
            return None;
        };
        let job = stored.import_job?;
        let (account, id) = name::child(&job.name, name::IMPORT_JOBS).ok()?;
        let schedule = job.schedule.as_ref().map(ImportSchedule::from_wire);
        Some(Self {
            account,
            id: id.to_owned(),
            source: ImportSource::from_wire(job.source?)?,
            format: FileFormat::from_wire(&job.format?).ok()?,
            schedule: schedule.transpose().ok()?,
            create_time: model::time::from_wire(&job.create_time?)?,
            update_time: model::time::from_wire(&job.update_time?)?,
            label: job.label,
            description: job.description,
            stream: job.stream,
            drop_errors: job.drop_errors,
            skip_bad_files: job.skip_bad_files,
            diff: job.diff,
            paused: stored.paused,
            killed: stored.killed,
            bounces: stored.bounces,
            revision,
        })
    }
}

/// The import jobs of an account that use the authorization of that name, of Braze or of a storage, and are not killed: name and label.
pub(crate) fn users(state: &impl State, account: AccountNumber, authorization: &str) -> Vec<String> {
    let siblings = name::format_child(account, name::IMPORT_JOBS, "");
    let jobs = record::all::<ImportJob>(state, &siblings);
    jobs.filter(|(_, job)| !job.killed && job.source.authorizations().contains(&authorization))
        .map(|(name, job)| format!("{name} (\"{}\")", job.label))
        .collect()
}

/// If its authorizations exist, and it is neither there already nor called as another.
fn decide_create(state: &impl State, wanted: &ImportJob) -> Result<(Vec<Change>, ()), Error> {
    must_exist(state, wanted.account)?;
    match &wanted.source {
        ImportSource::Storage(files) => {
            record::fetch::<StorageAuthorization>(state, &files.authorization)?;
        }
        ImportSource::SegmentExport(files) => {
            record::fetch::<StorageAuthorization>(state, &files.storage_authorization)?;
            record::fetch::<Authorization>(state, &files.authorization)?;
        }
        ImportSource::Upload(_) => {}
    }
    let name = wanted.name();
    if state.get(&record::key::<ImportJob>(&name)).is_some() {
        return Err(Error::AlreadyExists(format!("{name} exists already")));
    }
    must_be_free(state, wanted)?;
    Ok((vec![wanted.put()], ()))
}

/// No other job of the account has its label.
fn must_be_free(state: &impl State, wanted: &ImportJob) -> Result<(), Error> {
    let siblings = name::format_child(wanted.account, name::IMPORT_JOBS, "");
    let mut others = record::all::<ImportJob>(state, &siblings);
    match others.find(|(_, other)| other.label == wanted.label && other.id != wanted.id) {
        None => Ok(()),
        Some((name, other)) => Err(Error::AlreadyExists(format!(
            "{name} has the label \"{}\" already",
            other.label
        ))),
    }
}

/// The import jobs of every account.
#[derive(Debug, Default)]
pub struct AllImportJobs {
    /// Ascending by name.
    pub jobs: Vec<ImportJob>,
    /// Names of jobs whose records cannot be read: damaged, or of a newer version. They are not deleted.
    pub unreadable: Vec<String>,
}

impl FromIterator<(String, Option<ImportJob>)> for AllImportJobs {
    fn from_iter<I: IntoIterator<Item = (String, Option<ImportJob>)>>(scanned: I) -> Self {
        let mut all = Self::default();
        for (name, job) in scanned {
            match job {
                Some(job) => all.jobs.push(job),
                None => all.unreadable.push(name),
            }
        }
        all
    }
}

/// The import jobs of a [`Directory`].
pub struct ImportJobs<'a>(pub(crate) &'a Directory);

impl ImportJobs<'_> {
    /// Creates a job.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the account or an authorization; [`Error::AlreadyExists`] for the label.
    pub async fn create(&self, account: AccountNumber, new: NewImportJob, now: Timestamp) -> Result<ImportJob, Error> {
        self.put(build(account, id::new_id(now), new, now)).await
    }

    /// Creates the job of an upload under an id that the caller has chosen ([`crate::new_id`], [`name::is_id`]): asked for twice, it is
    /// created once.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the account; [`Error::AlreadyExists`] for the id and for the label.
    pub async fn create_upload(
        &self,
        account: AccountNumber,
        id: &str,
        new: NewImportJob,
        now: Timestamp,
    ) -> Result<ImportJob, Error> {
        self.put(build(account, id.to_owned(), new, now)).await
    }

    async fn put(&self, wanted: ImportJob) -> Result<ImportJob, Error> {
        let mut created = wanted.clone();
        created.revision = self.0.mutate(move |view| decide_create(view, &wanted)).await?.1;
        Ok(created)
    }

    /// The job of that id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the table is too old to know.
    pub fn get(&self, account: AccountNumber, id: &str) -> Result<ImportJob, Error> {
        self.0.fetch(&name::format_child(account, name::IMPORT_JOBS, id))
    }

    /// A page of the account's jobs, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account does not exist; [`Error::Unavailable`] when the table is too old.
    pub fn list(&self, account: AccountNumber, page: &Page) -> Result<Listed<ImportJob>, Error> {
        self.0.list_children(account, name::IMPORT_JOBS, page)
    }

    /// The jobs of every account, as of one moment.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the table is too old.
    pub fn all(&self) -> Result<AllImportJobs, Error> {
        Ok(self.0.scan("accounts/")?.into_iter().collect())
    }
}

fn build(account: AccountNumber, id: String, new: NewImportJob, now: Timestamp) -> ImportJob {
    ImportJob {
        account,
        id,
        label: new.label,
        description: new.description,
        stream: new.stream,
        source: new.source,
        format: new.format,
        schedule: new.schedule,
        drop_errors: new.drop_errors,
        skip_bad_files: new.skip_bad_files,
        diff: new.diff,
        paused: false,
        killed: false,
        bounces: 0,
        create_time: now,
        update_time: now,
        revision: 0,
    }
}

#[cfg(test)]
mod tests;
