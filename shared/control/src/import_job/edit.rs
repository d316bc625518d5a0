//! What can be changed of a job that exists: what people call it, when it looks, and what it passes over.

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};

use super::moves::{ImportMove, fetch_for};
use super::{ImportJob, ImportJobs, ImportSchedule, ImportSource, must_be_free};
use crate::Error;
use crate::record::{Resource, State};

/// What is to be different; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportJobEdit {
    /// See [`ImportJob::label`].
    pub label: Option<String>,
    /// See [`ImportJob::description`].
    pub description: Option<String>,
    /// See [`ImportJob::schedule`].
    pub schedule: Option<Option<ImportSchedule>>,
    /// See [`ImportJob::drop_errors`].
    pub drop_errors: Option<bool>,
    /// See [`ImportJob::skip_bad_files`].
    pub skip_bad_files: Option<bool>,
}

impl ImportJobEdit {
    /// Whether the job does something else after it.
    fn sets_options(&self) -> bool {
        self.schedule.is_some() || self.drop_errors.is_some() || self.skip_bad_files.is_some()
    }
}

pub(super) fn decide_update(
    state: &impl State,
    name: &str,
    edit: &ImportJobEdit,
    based_on: Option<u64>,
    now: Timestamp,
) -> Result<(Vec<Change>, ImportJob), Error> {
    let what = if edit.sets_options() {
        ImportMove::SetOptions
    } else {
        ImportMove::Describe
    };
    let known = fetch_for(what, state, name, based_on)?;
    if matches!(known.source, ImportSource::Upload(_)) && matches!(edit.schedule, Some(Some(_))) {
        return Err(Error::FailedPrecondition(format!(
            "{name} reads one file that was uploaded; leave schedule out"
        )));
    }
    let edit = edit.clone();
    let job = ImportJob {
        label: edit.label.unwrap_or(known.label),
        description: edit.description.unwrap_or(known.description),
        schedule: edit.schedule.unwrap_or(known.schedule),
        drop_errors: edit.drop_errors.unwrap_or(known.drop_errors),
        skip_bad_files: edit.skip_bad_files.unwrap_or(known.skip_bad_files),
        update_time: now,
        ..known
    };
    must_be_free(state, &job)?;
    Ok((vec![job.put()], job))
}

impl ImportJobs<'_> {
    /// Changes a job.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when the job is not at the revision that the edit is based on; [`Error::AlreadyExists`] for
    /// the label; [`Error::FailedPrecondition`] when the job is killed, but for label and description, or can have no schedule.
    pub async fn update(
        &self,
        account: AccountNumber,
        id: &str,
        edit: ImportJobEdit,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ImportJob, Error> {
        let name = name::format_child(account, name::IMPORT_JOBS, id);
        let decide = move |view: &kafka::View| decide_update(view, &name, &edit, based_on, now);
        let (job, revision) = self.0.mutate(decide).await?;
        Ok(ImportJob { revision, ..job })
    }
}
