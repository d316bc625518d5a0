//! A job before it is created.

use jiff::Timestamp;
use model::AccountNumber;

use super::{ExportJob, ExportJobs, NewExportJob, build, decide_create, removal};
use crate::Error;

impl ExportJobs<'_> {
    /// The job that [`ExportJobs::create`] would create, of which nothing is written.
    ///
    /// # Errors
    /// As [`ExportJobs::create`]; [`Error::Unavailable`] when the table is too old.
    pub fn plan(&self, account: AccountNumber, new: NewExportJob, now: Timestamp) -> Result<ExportJob, Error> {
        let wanted = build(account, new, now);
        self.directory.ask(|table| {
            let (_, job) = decide_create(table, &wanted)?;
            removal::check(table, &job, &self.removed)?;
            Ok(job)
        })
    }
}
