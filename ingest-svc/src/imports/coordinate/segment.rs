//! The coordinator's part of a segment export: what it lists, asks and writes.

use std::sync::Arc;

use control::{ImportJob, SegmentFiles};
use futures::TryStreamExt;
use jiff::Timestamp;
use proto::imports::v1::JobProgress;

use super::{Coordinator, Written};
use crate::imports::export::{self, Step};
use crate::imports::open::{self, Error};
use crate::imports::plan::{self, FILES_MAX, Found, Trouble};
use crate::imports::progress::Write;

impl Coordinator {
    /// Does what is next for a job whose files Braze writes.
    pub(super) async fn export(&self, job: &ImportJob, files: &SegmentFiles) -> Written {
        let (name, mut listing) = (job.name(), None);
        loop {
            let view = self.progress.job(&name);
            match plan::of_segment(job, files, &view, listing.as_deref(), Timestamp::now()) {
                Step::Rest | Step::Wait(_) => return Ok(()),
                Step::List(prefixes) => match self.below(job, &prefixes).await {
                    Ok(found) => listing = Some(found),
                    Err(error) => return self.failed(job, &view, error).await,
                },
                Step::Write(progress) => return self.put(&name, &view.job, Vec::new(), progress).await,
                Step::Import(found, progress) => return self.put(&name, &view.job, found, progress).await,
                Step::Ask(asked, progress) => {
                    let Some(asker) = &self.asker else {
                        let why = "Braze's key cannot be opened: set secrets.keys".to_owned();
                        return self.failed(job, &view, Error::Trouble(Trouble::Refusal, why)).await;
                    };
                    self.put(&name, &view.job, Vec::new(), progress.clone()).await?;
                    // Somebody else was faster, and asks.
                    if self.progress.job(&name).job != progress {
                        return Ok(());
                    }
                    let answer = export::ask(asker, (job.account, &job.id), files, asked).await;
                    let answered = self.progress.change(&name, move |view| {
                        let progress = export::answered(&view.job, asked, &answer, Timestamp::now());
                        progress.map(Write::Job).into_iter().collect()
                    });
                    return answered.await;
                }
            }
        }
    }

    /// What is below these prefixes.
    async fn below(&self, job: &ImportJob, prefixes: &[String]) -> Result<Vec<Found>, Error> {
        let store = self.opener.store(job)?;
        let mut found = Vec::new();
        for prefix in prefixes {
            let mut objects = store.list(prefix);
            while let Some(object) = objects.try_next().await? {
                found.push(open::found(object));
                if found.len() > FILES_MAX {
                    let why = format!("there are more than {FILES_MAX} files below {prefix}");
                    return Err(Error::Trouble(Trouble::Refusal, why));
                }
            }
        }
        Ok(found)
    }

    /// Writes the files of an export and how far the job is, if nobody has written since.
    async fn put(&self, job: &str, before: &JobProgress, files: Vec<Found>, after: JobProgress) -> Written {
        let (files, after) = (Arc::new(files), Arc::new(after));
        while self.progress.job(job).job == *before && *before != *after {
            let (before, files, after) = (before.clone(), Arc::clone(&files), Arc::clone(&after));
            let change = self
                .progress
                .change(job, move |view| plan::exported(view, &before, &files, &after));
            change.await?;
        }
        Ok(())
    }
}
