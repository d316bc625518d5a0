//! What somebody does with a job.

use control::{ExportJob, ExportJobEdit, NewReset};
use jiff::Timestamp;

use super::{ACCOUNT, Rig};

impl Rig {
    pub(in crate::engine) async fn pause(&self, job: &ExportJob) {
        let jobs = self.directory.export_jobs();
        let paused = jobs.pause(self.account, &job.id, None, Timestamp::now());
        paused.await.unwrap();
    }

    pub(in crate::engine) async fn resume(&self, job: &ExportJob) {
        let jobs = self.directory.export_jobs();
        let resumed = jobs.resume(self.account, &job.id, None, Timestamp::now());
        resumed.await.unwrap();
    }

    /// Lets a job try again at once.
    pub(in crate::engine) async fn bounce(&self, job: &ExportJob) {
        let jobs = self.directory.export_jobs();
        let bounced = jobs.bounce(self.account, &job.id, None, Timestamp::now());
        bounced.await.unwrap();
    }

    pub(in crate::engine) async fn kill(&self, job: &ExportJob) {
        let jobs = self.directory.export_jobs();
        let killed = jobs.kill(self.account, &job.id, None, Timestamp::now());
        killed.await.unwrap();
    }

    /// Kills a job, and lets the slugs that it wrote be removed.
    pub(in crate::engine) async fn kill_and_remove(&self, job: &ExportJob) {
        let jobs = self.directory.export_jobs();
        let killed = jobs.kill_and_remove(self.account, &job.id, None, Timestamp::now());
        killed.await.unwrap();
    }

    /// Lets a job have these audiences only, and the slugs of the others be removed.
    pub(in crate::engine) async fn keep_audiences(&self, job: &ExportJob, audiences: &[&str]) {
        let edit = ExportJobEdit {
            audiences: Some(audiences.iter().map(|&slug| slug.to_owned()).collect()),
            remove_slugs: true,
            ..ExportJobEdit::default()
        };
        let jobs = self.directory.export_jobs();
        let edited = jobs.update(self.account, &job.id, edit, None, Timestamp::now());
        edited.await.unwrap();
    }

    /// Lets a job have these audiences; those that are new to it begin at the present end of the topic.
    pub(in crate::engine) async fn set_audiences(&self, job: &ExportJob, audiences: &[&str]) {
        let edit = ExportJobEdit {
            audiences: Some(audiences.iter().map(|&slug| slug.to_owned()).collect()),
            start: self.ends(self.topics.audience_membership(ACCOUNT)).await,
            ..ExportJobEdit::default()
        };
        let jobs = self.directory.export_jobs();
        let edited = jobs.update(self.account, &job.id, edit, None, Timestamp::now());
        edited.await.unwrap();
    }

    /// Lets a job go on at the beginning of the topic.
    pub(in crate::engine) async fn reset_to_beginning(&self, job: &ExportJob) {
        let ends = self.ends(self.topics.audience_membership(ACCOUNT)).await;
        let beginning = ends.into_iter().map(|(partition, _)| (partition, 0));
        self.reset(job, beginning.collect()).await;
    }

    /// Lets a job go on at these offsets.
    pub(in crate::engine) async fn reset(&self, job: &ExportJob, offsets: Vec<(i32, i64)>) {
        let new = NewReset {
            audiences: Vec::new(),
            offsets,
            done: 0,
        };
        let jobs = self.directory.export_jobs();
        let reset = jobs.reset(self.account, &job.id, new, None, Timestamp::now());
        reset.await.unwrap();
    }
}
