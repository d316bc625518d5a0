//! What people do with a job that exists. Only what they want is written down here; the engine does it, and tells when it has.

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};
use proto::control::v1::StoredReset;
use proto::export::v1::ExportJobState;

use super::{ExportJob, ExportJobs, from_stored, to_stored};
use crate::Error;
use crate::record::{self, Resource, State};

/// Resets of a job that are kept: the newest, and so many may wait to be carried out.
const RESETS_MAX: usize = 20;

/// Where audiences of a job are to go on in the membership topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// Counts the resets of a job, and its additions, from 1: each is carried out once, in this order.
    pub number: u64,
    /// Which audiences; all of the job if it names none.
    pub audiences: Vec<String>,
    /// (partition, next offset); in other partitions they stay where they are. Offset 0 is the beginning, whatever it is.
    pub offsets: Vec<(i32, i64)>,
    /// When it was asked for.
    pub time: Timestamp,
}

/// A [`Reset`] to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReset {
    /// See [`Reset::audiences`].
    pub audiences: Vec<String>,
    /// See [`Reset::offsets`].
    pub offsets: Vec<(i32, i64)>,
    /// The resets up to this number have been carried out, and no crash can undo that: they need not be kept.
    pub done: u64,
}

impl Reset {
    pub(super) fn to_stored(&self) -> StoredReset {
        StoredReset {
            number: self.number,
            audiences: self.audiences.clone(),
            offsets: to_stored(&self.offsets),
            time: Some(model::time::to_wire(self.time)),
        }
    }

    pub(super) fn from_stored(stored: StoredReset) -> Self {
        Self {
            number: stored.number,
            offsets: from_stored(&stored.offsets),
            audiences: stored.audiences,
            time: stored
                .time
                .as_ref()
                .and_then(model::time::from_wire)
                .unwrap_or_default(),
        }
    }

    /// Whether it is about this audience.
    pub fn is_about(&self, slug: &str) -> bool {
        self.audiences.is_empty() || self.audiences.iter().any(|named| named == slug)
    }
}

/// What somebody can do with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Nothing is read or sent for it until it is resumed; it keeps its position.
    Pause,
    /// A paused job goes on where it was.
    Resume,
    /// It tries again at once, if it sleeps, is in fault, or has failed.
    Bounce,
    /// It goes on, though its guard has paused it.
    Confirm,
    /// It ends for good, and its position is forgotten; it is still listed.
    Kill,
    /// It goes on elsewhere in the membership topic.
    Reset,
    /// What it has omitted is sent again.
    Redrive,
    /// It has other audiences.
    SetAudiences,
    /// It has another quiet window, expiry or user cap.
    SetOptions,
    /// It has another label, description or guard.
    Describe,
}

impl Move {
    /// Why a job in this state cannot be moved so, to be said after its name; `None` if it can.
    pub fn refusal(self, state: ExportJobState) -> Option<&'static str> {
        use ExportJobState as State;
        match (self, state) {
            (Self::Describe, _) => None,
            (Self::Kill, State::Killed | State::Removing) => Some("is killed already"),
            // What is left to be removed may have come to grief.
            (Self::Kill, _) | (Self::Bounce, State::Removing) => None,
            (_, State::Killed | State::Removing) => Some("is killed, and stays so; create another job"),
            (Self::SetOptions, State::Completed) => None,
            (_, State::Completed) => Some("is completed; let it expire later, or create another job"),
            (Self::Pause, State::Paused) => Some("is paused already"),
            (Self::Pause, State::Failed) => Some("has failed, and does nothing until it is bounced"),
            (Self::Bounce, State::Paused) => Some("is paused; resume it"),
            (Self::Pause | Self::Reset | Self::Redrive | Self::SetAudiences | Self::SetOptions | Self::Confirm, _)
            | (Self::Resume, State::Paused)
            // Also of one that runs: it may have come to grief a moment ago.
            | (Self::Bounce, _) => None,
            (Self::Resume, _) => Some("is not paused"),
        }
    }
}

impl ExportJob {
    /// The state, as its record says it now, or else as the engine does.
    pub fn state(&self, observed: ExportJobState, now: Timestamp) -> ExportJobState {
        use ExportJobState as State;
        match observed {
            _ if self.is_over() => State::Killed,
            _ if self.killed => State::Removing,
            _ if self.paused => State::Paused,
            // What it is to remove it removes also after its time, and that may come to grief.
            State::Failed if !self.removals.is_empty() => State::Failed,
            _ if self.options.is_expired(now) => State::Completed,
            // The engine has not learnt yet that it goes on.
            State::Paused | State::Completed | State::Unspecified => State::Runnable,
            observed => observed,
        }
    }

    /// That it can be moved so, as far as its record says.
    pub(super) fn must_allow(&self, what: Move, now: Timestamp) -> Result<(), Error> {
        // Only the engine knows whether it has failed; whoever bounces it takes that for granted.
        let observed = match what {
            Move::Bounce => ExportJobState::Failed,
            _ => ExportJobState::Runnable,
        };
        match what.refusal(self.state(observed, now)) {
            Some(problem) => Err(Error::FailedPrecondition(format!("{} {problem}", self.name()))),
            None => Ok(()),
        }
    }
}

/// The job, if it can be moved so.
pub(super) fn fetch_for(
    what: Move,
    state: &impl State,
    name: &str,
    based_on: Option<u64>,
    now: Timestamp,
) -> Result<ExportJob, Error> {
    let job: ExportJob = record::fetch(state, name)?;
    record::check_revision(name, Some(job.revision), based_on)?;
    job.must_allow(what, now)?;
    Ok(job)
}

pub(super) fn decide_reset(
    state: &impl State,
    name: &str,
    new: &NewReset,
    based_on: Option<u64>,
    now: Timestamp,
) -> Result<(Vec<Change>, ExportJob), Error> {
    let job = fetch_for(Move::Reset, state, name, based_on, now)?;
    let last_number = job.last_number + 1;
    let mut resets = job.resets.clone();
    if resets.len() >= RESETS_MAX {
        let done = resets.iter().take_while(|reset| reset.number <= new.done).count();
        resets.drain(..done.min(resets.len() + 1 - RESETS_MAX));
    }
    if resets.len() >= RESETS_MAX {
        return Err(Error::FailedPrecondition(format!(
            "{RESETS_MAX} resets of {name} wait to be carried out, because nobody serves it; try again when somebody does"
        )));
    }
    resets.push(Reset {
        number: last_number,
        audiences: new.audiences.clone(),
        offsets: new.offsets.clone(),
        time: now,
    });
    let job = ExportJob {
        resets,
        last_number,
        update_time: now,
        ..job
    };
    Ok((vec![job.put()], job))
}

/// A move of which nothing else need be known: `apply` is what it does to the job.
pub(super) fn decide_move(
    what: Move,
    state: &impl State,
    name: &str,
    based_on: Option<u64>,
    apply: &impl Fn(&mut ExportJob),
    now: Timestamp,
) -> Result<(Vec<Change>, ExportJob), Error> {
    let mut job = fetch_for(what, state, name, based_on, now)?;
    apply(&mut job);
    job.update_time = now;
    Ok((vec![job.put()], job))
}

/// Ends the job, also one whose record cannot be read.
pub(super) fn decide_delete(state: &impl State, name: &str, based_on: Option<u64>) -> Result<(Vec<Change>, ()), Error> {
    let Some(entry) = state.get(&record::key::<ExportJob>(name)) else {
        return Err(Error::NotFound(name.to_owned()));
    };
    record::check_revision(name, Some(entry.revision), based_on)?;
    Ok((vec![record::delete::<ExportJob>(name)], ()))
}

/// Each of them fails with [`Error::NotFound`], with [`Error::Stale`] when the job is not at the revision that was asked for, and
/// with [`Error::FailedPrecondition`] when [`Move::refusal`] says so.
impl ExportJobs<'_> {
    /// Pauses a job: it keeps its position, and nothing is read or sent for it until it is resumed.
    ///
    /// # Errors
    /// See above.
    pub async fn pause(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let apply = |job: &mut ExportJob| job.paused = true;
        self.make(Move::Pause, account, id, based_on, apply, now).await
    }

    /// Lets a paused job go on where it was.
    ///
    /// # Errors
    /// See above.
    pub async fn resume(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let apply = |job: &mut ExportJob| job.paused = false;
        self.make(Move::Resume, account, id, based_on, apply, now).await
    }

    /// Lets a job that sleeps, is in fault, or has failed try again at once; one that runs is let be.
    ///
    /// # Errors
    /// See above.
    pub async fn bounce(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let apply = |job: &mut ExportJob| job.bounces += 1;
        self.make(Move::Bounce, account, id, based_on, apply, now).await
    }

    /// Ends a job for good. It stays listed until it is deleted; its audiences and its authorization are free, but for what it was to
    /// remove before.
    ///
    /// # Errors
    /// See above.
    pub async fn kill(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let removed = self.removed.clone();
        let apply = move |job: &mut ExportJob| job.kill(&removed);
        self.make(Move::Kill, account, id, based_on, apply, now).await
    }

    /// Lets audiences of a job go on elsewhere in the membership topic. Whether there is such a place is for the caller to know.
    ///
    /// # Errors
    /// See above; [`Error::FailedPrecondition`] also when twenty resets wait to be carried out.
    pub async fn reset(
        &self,
        account: AccountNumber,
        id: &str,
        new: NewReset,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let decide = move |view: &kafka::View, name: &str| decide_reset(view, name, &new, based_on, now);
        self.write(account, id, decide).await
    }

    /// Deletes a job, also one whose record cannot be read: it ends, and its position is forgotten.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when it is at another revision than `based_on`.
    pub async fn delete(&self, account: AccountNumber, id: &str, based_on: Option<u64>) -> Result<(), Error> {
        let name = name::format_child(account, name::EXPORT_JOBS, id);
        let decide = move |view: &kafka::View| decide_delete(view, &name, based_on);
        self.directory.mutate(decide).await.map(|_| ())
    }

    /// Writes what is decided of the job of this name. Gives it back as it is then.
    pub(super) async fn write(
        &self,
        account: AccountNumber,
        id: &str,
        decide: impl Fn(&kafka::View, &str) -> Result<(Vec<Change>, ExportJob), Error> + Send + Sync + 'static,
    ) -> Result<ExportJob, Error> {
        let name = name::format_child(account, name::EXPORT_JOBS, id);
        let (job, revision) = self.directory.mutate(move |view| decide(view, &name)).await?;
        Ok(ExportJob { revision, ..job })
    }

    pub(super) async fn make(
        &self,
        what: Move,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        apply: impl Fn(&mut ExportJob) + Send + Sync + 'static,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let decide = move |view: &kafka::View, name: &str| decide_move(what, view, name, based_on, &apply, now);
        self.write(account, id, decide).await
    }
}
