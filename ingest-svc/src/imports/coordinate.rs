//! One step of the coordinator of a job: it looks for files, and writes down which there are.

mod segment;

use control::{ImportJob, ImportSource};
use futures::TryStreamExt;
use jiff::Timestamp;
use kafka::MutateError;
use regex::Regex;

use super::export::Asker;
use super::open::{self, Error, Opener};
use super::plan::{self, Listing, Step, Trouble};
use super::progress::{Progress, Write};
use super::view::JobView;

/// What a coordinator needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Coordinator {
    pub(super) opener: Opener,
    pub(super) progress: Progress,
    /// `None`: there are no keys.
    pub(super) asker: Option<Asker>,
}

impl Coordinator {
    /// Does what is next for a job at this moment. Nothing that it decides counts if another has written meanwhile.
    pub(super) async fn step(&self, job: ImportJob) {
        let view = self.progress.job(&job.name());
        let done = match plan::next(&job, &view, Timestamp::now()) {
            Step::Rest | Step::Wait(_) => return,
            Step::Bounce => self.bounce(&job).await,
            Step::Look => self.look(&job, &view).await,
        };
        if let Err(error) = done {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, job = job.name(), "the progress of an import job was not written");
        }
    }

    async fn bounce(&self, job: &ImportJob) -> Written {
        let (name, wanted) = (job.name(), job.clone());
        let change = self
            .progress
            .change(&name, move |view| match view.job.bounces < wanted.bounces {
                true => vec![Write::Job(plan::bounced(&wanted, &view.job))],
                false => Vec::new(),
            });
        change.await
    }

    async fn look(&self, job: &ImportJob, view: &JobView) -> Written {
        if let ImportSource::SegmentExport(files) = &job.source {
            return self.export(job, files).await;
        }
        if let ImportSource::Upload(file) = &job.source {
            match self.opener.arrived(job, file).await {
                Ok(arrived) if arrived < file.size => return self.wait_for_parts(job, view, arrived, file.size).await,
                Ok(_) => {}
                Err(error) => return self.failed(job, view, error).await,
            }
        }
        match self.list(job, view).await {
            Ok(listing) => self.found(job, listing).await,
            Err(error) => self.failed(job, view, error).await,
        }
    }

    async fn wait_for_parts(&self, job: &ImportJob, view: &JobView, arrived: u64, size: u64) -> Written {
        let (before, now) = (view.job.clone(), Timestamp::now());
        let change = move |view: &JobView| match view.job == before {
            true => vec![Write::Job(plan::uploading(&before, arrived, size, now))],
            false => Vec::new(),
        };
        self.progress.change(&job.name(), change).await
    }

    /// What there is.
    async fn list(&self, job: &ImportJob, view: &JobView) -> Result<Listing, Error> {
        let mut listing = Listing::new(view);
        match &job.source {
            ImportSource::Storage(files) => {
                let pattern = match files.pattern.as_str() {
                    "" => None,
                    pattern => Some(Regex::new(&format!("^(?:{pattern})$"))),
                };
                let pattern = pattern.transpose();
                let pattern = pattern.map_err(|error| Error::Trouble(Trouble::Refusal, error.to_string()))?;
                let mut objects = self.opener.store(job)?.list(&files.prefix);
                while let Some(object) = objects.try_next().await? {
                    let rest = object.key.strip_prefix(&files.prefix).unwrap_or(&object.key);
                    let is_wanted = pattern.as_ref().is_none_or(|pattern| pattern.is_match(rest));
                    if is_wanted && !listing.take(open::found(object)) {
                        break;
                    }
                }
            }
            ImportSource::Upload(file) => {
                listing.take(plan::Found {
                    key: file.file_name.clone(),
                    etag: file.upload.clone(),
                    size: file.size,
                    modified: job.create_time,
                });
            }
            // Whose files are listed by their own steps.
            ImportSource::SegmentExport(_) => {}
        }
        Ok(listing.in_order())
    }

    /// Writes down the files that are new, as many at a time as go into a transaction.
    async fn found(&self, job: &ImportJob, listing: Listing) -> Written {
        let (name, listing) = (job.name(), std::sync::Arc::new(listing));
        while self.progress.job(&name).job.looks == listing.looks() {
            let (listing, is_kept_updated) = (std::sync::Arc::clone(&listing), job.schedule.is_some());
            let now = Timestamp::now();
            let change = self
                .progress
                .change(&name, move |view| plan::looked(view, &listing, is_kept_updated, now));
            change.await?;
        }
        let known = self.progress.job(&name);
        tracing::debug!(job = name, files = known.files.len(), "looked for files");
        Ok(())
    }

    async fn failed(&self, job: &ImportJob, view: &JobView, error: Error) -> Written {
        let (trouble, why) = match error {
            Error::Gone(why) => (Trouble::Refusal, why),
            Error::Trouble(trouble, why) => (trouble, why),
        };
        let (name, before) = (job.name(), view.job.clone());
        if before.failures == 0 {
            tracing::warn!(job = name, "files cannot be looked for: {why}");
        }
        let now = Timestamp::now();
        let change = self.progress.change(&name, move |view| match view.job == before {
            true => vec![Write::Job(plan::failed(&before, trouble, &why, now))],
            false => Vec::new(),
        });
        change.await
    }
}

type Written = Result<(), MutateError<std::convert::Infallible>>;
