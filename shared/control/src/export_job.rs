//! Export jobs.

use std::time::Duration;

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, Action, name};
use proto::control::v1::{ControlRecord, StoredExportJob, control_record};
use proto::export::v1 as wire;

use crate::account::must_exist;
use crate::authorization::Authorization;
use crate::record::{self, Resource, State};
use crate::{Directory, Error, Listed, Page, exported, id};

mod edit;
mod guard;
mod identifiers;
mod moves;
mod options;
mod plan;
mod purchases;
mod quiet;
mod redrive;
mod removal;
mod writes;

pub use self::edit::{Addition, ExportJobEdit};
pub use self::guard::Guard;
pub use self::identifiers::{Alias, Identifiers};
pub use self::moves::{Move, NewReset, Reset};
pub use self::options::{ATTRIBUTE, Hold, Options, OptionsEdit, UserCap};
pub use self::purchases::{Purchases, Source};
pub use self::quiet::{QuietError, QuietWindow};
pub use self::redrive::{NewRedrive, Redrive};
pub use self::removal::{Removal, Removed};
pub use self::writes::{CustomEvents, EVENT_NAME, Writes};

/// What is exported, to where, under which identifiers: what somebody wants. What became of it is told by the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportJob {
    /// The account it belongs to.
    pub account: AccountNumber,
    /// Last part of its name.
    pub id: String,
    /// For people; unique in the account.
    pub label: String,
    /// For people.
    pub description: String,
    /// Slugs of the audiences to export, each once, in the order they were given.
    pub audiences: Vec<String>,
    /// Name of the authorization to use.
    pub authorization: String,
    /// Where Braze's identifiers are found.
    pub identifiers: Identifiers,
    /// Send those who are members already when the job is created.
    pub existing_users: bool,
    /// How long a change may wait for its batch to fill.
    pub flush_after: Duration,
    /// Updates in one request.
    pub batch_updates_max: u32,
    /// What becomes of a change that waits when a later one of the same user and audience comes.
    pub coalesce: Coalesce,
    /// Which changes are sent.
    pub events: AudienceEvents,
    /// Pauses it before too many members of an audience are removed.
    pub guard: Guard,
    /// What it does otherwise than others.
    pub options: Options,
    /// The Braze workspace, unique in the installation ([`Authorization::workspace_key`]).
    pub workspace: String,
    /// (partition, offset) of the membership topic when the job was created; where it starts unless it sends existing users.
    pub start: Vec<(i32, i64)>,
    /// Those of its audiences that no job had ever exported to its Braze instance before: no user there had them.
    pub new_audiences: Vec<String>,
    /// Somebody has paused it.
    pub paused: bool,
    /// Somebody has killed it: it is still listed, and nothing else.
    pub killed: bool,
    /// How often somebody has bounced it: it is to try again at once, whatever it waits for.
    pub bounces: u64,
    /// Where it is to go on elsewhere, oldest first: all that may not have been carried out, and the newest of the others.
    pub resets: Vec<Reset>,
    /// Audiences that came after it was created, ascending by number.
    pub additions: Vec<Addition>,
    /// The newest wish that omitted changes be sent again.
    pub redrive: Option<Redrive>,
    /// Audiences that have left it, or were left when it was killed, and whose slugs are to be removed, ascending by number.
    pub removals: Vec<Removal>,
    /// The last number that a reset, an addition, a redrive or a removal was given.
    pub last_number: u64,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last edited.
    pub update_time: Timestamp,
    /// Changes with every edit.
    pub revision: u64,
}

/// What becomes of a change that waits when a later one of the same user and audience comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Coalesce {
    /// The later one takes its place.
    #[default]
    Latest,
    /// Every change is sent, one after the other.
    EveryEdge,
}

impl Coalesce {
    /// As the contracts write it.
    pub fn to_wire(self) -> wire::Coalesce {
        match self {
            Self::Latest => wire::Coalesce::Latest,
            Self::EveryEdge => wire::Coalesce::EveryEdge,
        }
    }

    /// As the contracts write it; unspecified is the default. `None`: no value that this version knows.
    pub fn from_wire(coalesce: i32) -> Option<Self> {
        match wire::Coalesce::try_from(coalesce).ok()? {
            wire::Coalesce::Unspecified | wire::Coalesce::Latest => Some(Self::Latest),
            wire::Coalesce::EveryEdge => Some(Self::EveryEdge),
        }
    }
}

/// Which changes of membership a job sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AudienceEvents {
    /// Enters and exits.
    #[default]
    Both,
    /// Enters alone: nobody loses the slug by leaving.
    Enters,
    /// Exits alone: nobody gets the slug by entering.
    Exits,
}

impl AudienceEvents {
    /// Whether a change of this kind is sent.
    pub fn include(self, action: Action) -> bool {
        match self {
            Self::Both => true,
            Self::Enters => action == Action::Enter,
            Self::Exits => action == Action::Exit,
        }
    }

    /// As the contracts write it.
    pub fn to_wire(self) -> wire::AudienceEvents {
        match self {
            Self::Both => wire::AudienceEvents::Both,
            Self::Enters => wire::AudienceEvents::Enters,
            Self::Exits => wire::AudienceEvents::Exits,
        }
    }

    /// As the contracts write it; unspecified is the default. `None`: no value that this version knows.
    pub fn from_wire(events: i32) -> Option<Self> {
        match wire::AudienceEvents::try_from(events).ok()? {
            wire::AudienceEvents::Unspecified | wire::AudienceEvents::Both => Some(Self::Both),
            wire::AudienceEvents::Enters => Some(Self::Enters),
            wire::AudienceEvents::Exits => Some(Self::Exits),
        }
    }
}

/// An export job to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExportJob {
    /// For people; unique in the account.
    pub label: String,
    /// For people.
    pub description: String,
    /// Slugs of the audiences to export, each once.
    pub audiences: Vec<String>,
    /// Name of the authorization to use, of the same account.
    pub authorization: String,
    /// Where Braze's identifiers are found.
    pub identifiers: Identifiers,
    /// Send those who are members already.
    pub existing_users: bool,
    /// How long a change may wait for its batch to fill.
    pub flush_after: Duration,
    /// Updates in one request.
    pub batch_updates_max: u32,
    /// What becomes of a change that waits when a later one of the same user and audience comes.
    pub coalesce: Coalesce,
    /// Which changes are sent.
    pub events: AudienceEvents,
    /// See [`Guard::percent`].
    pub guard_percent: u32,
    /// What it does otherwise than others.
    pub options: Options,
    /// (partition, offset): the end of the membership topic now.
    pub start: Vec<(i32, i64)>,
}

impl ExportJob {
    /// `accounts/{number}/exportJobs/{id}`.
    pub fn name(&self) -> String {
        name::format_child(self.account, name::EXPORT_JOBS, &self.id)
    }

    /// As the contracts write it, without state and counters.
    pub fn to_wire(&self) -> wire::ExportJob {
        let mut job = wire::ExportJob {
            name: self.name(),
            label: self.label.clone(),
            description: self.description.clone(),
            audiences: self.audiences.clone(),
            authorization: self.authorization.clone(),
            existing_users: self.existing_users,
            flush_after: prost_types::Duration::try_from(self.flush_after).ok(),
            batch_updates_max: self.batch_updates_max,
            coalesce: self.coalesce.to_wire().into(),
            audience_events: self.events.to_wire().into(),
            guard_percent: Some(self.guard.percent),
            create_time: Some(model::time::to_wire(self.create_time)),
            update_time: Some(model::time::to_wire(self.update_time)),
            revision: self.revision,
            ..wire::ExportJob::default()
        };
        self.identifiers.write(&mut job);
        self.options.write(&mut job);
        job
    }
}

impl Resource for ExportJob {
    const KIND: &'static str = "exportJob/";

    fn name(&self) -> String {
        self.name()
    }

    fn to_record(&self) -> ControlRecord {
        let export_job = Some(wire::ExportJob {
            revision: 0,
            ..self.to_wire()
        });
        let stored = StoredExportJob {
            export_job,
            workspace: self.workspace.clone(),
            start: to_stored(&self.start),
            new_audiences: self.new_audiences.clone(),
            paused: self.paused,
            killed: self.killed,
            bounces: self.bounces,
            confirmation: self.guard.to_stored(),
            resets: self.resets.iter().map(Reset::to_stored).collect(),
            additions: self.additions.iter().map(Addition::to_stored).collect(),
            last_number: self.last_number,
            redrive: self.redrive.as_ref().map(Redrive::to_stored),
            removals: self.removals.iter().map(Removal::to_stored).collect(),
        };
        ControlRecord {
            resource: Some(control_record::Resource::ExportJob(stored)),
        }
    }

    fn from_record(record: ControlRecord, revision: u64) -> Option<Self> {
        let control_record::Resource::ExportJob(stored) = record.resource? else {
            return None;
        };
        let job = stored.export_job?;
        let (account, id) = name::child(&job.name, name::EXPORT_JOBS).ok()?;
        Some(Self {
            account,
            id: id.to_owned(),
            identifiers: Identifiers::read(&job),
            options: Options::read(&job)?,
            flush_after: job.flush_after?.try_into().ok()?,
            create_time: model::time::from_wire(&job.create_time?)?,
            update_time: model::time::from_wire(&job.update_time?)?,
            label: job.label,
            description: job.description,
            audiences: job.audiences,
            authorization: job.authorization,
            existing_users: job.existing_users,
            batch_updates_max: job.batch_updates_max,
            coalesce: Coalesce::from_wire(job.coalesce)?,
            events: AudienceEvents::from_wire(job.audience_events)?,
            guard: Guard::from_stored(job.guard_percent, stored.confirmation),
            workspace: stored.workspace,
            start: from_stored(&stored.start),
            new_audiences: stored.new_audiences,
            paused: stored.paused,
            killed: stored.killed,
            bounces: stored.bounces,
            // Before there were additions, the newest reset told it.
            last_number: stored
                .last_number
                .max(stored.resets.last().map_or(0, |newest| newest.number)),
            resets: stored.resets.into_iter().map(Reset::from_stored).collect(),
            additions: stored.additions.into_iter().map(Addition::from_stored).collect(),
            redrive: stored.redrive.map(Redrive::from_stored),
            removals: stored.removals.into_iter().map(Removal::from_stored).collect(),
            revision,
        })
    }
}

fn to_stored(offsets: &[(i32, i64)]) -> Vec<wire::PartitionOffset> {
    let offsets = offsets.iter();
    offsets
        .map(|&(partition, offset)| wire::PartitionOffset { partition, offset })
        .collect()
}

fn from_stored(offsets: &[wire::PartitionOffset]) -> Vec<(i32, i64)> {
    let offsets = offsets.iter();
    offsets.map(|stored| (stored.partition, stored.offset)).collect()
}

/// Finishes the job with the workspace of its authorization as it is when the job is written, and with which of its audiences
/// are new there.
fn decide_create(state: &impl State, wanted: &ExportJob) -> Result<(Vec<Change>, ExportJob), Error> {
    must_exist(state, wanted.account)?;
    let authorization: Authorization = record::fetch(state, &wanted.authorization)?;
    let mut job = ExportJob {
        workspace: authorization.workspace_key(),
        ..wanted.clone()
    };
    if !job.options.writes.is_attribute() {
        // Whoever is told of an exit loses nothing by it.
        job.guard = Guard::new(0);
    }
    check_others(state, &job)?;
    let (new_audiences, mut changes) = exported::decide_new(state, &job, &authorization.instance, &job.audiences);
    job.new_audiences = new_audiences;
    // The last record's revision is the job's.
    changes.push(job.put());
    Ok((changes, job))
}

/// That no other job of the account has its label, or exports one of its audiences to the same place.
fn check_others(state: &impl State, job: &ExportJob) -> Result<(), Error> {
    for (name, other) in record::scan::<ExportJob>(state, &name::format_child(job.account, name::EXPORT_JOBS, "")) {
        if name == job.name() {
            continue;
        }
        let Some(other) = other else {
            return Err(Error::FailedPrecondition(format!(
                "the record of {name} cannot be read, so it is not known whether it exports the same audiences; delete it, or \
                 serve with the version that wrote it"
            )));
        };
        if other.label == job.label {
            return Err(Error::AlreadyExists(format!(
                "{name} has the label \"{}\" already",
                other.label
            )));
        }
        if job.killed || other.killed || other.workspace != job.workspace || other.place() != job.place() {
            continue;
        }
        if let Some(audience) = job.audiences.iter().find(|audience| other.audiences.contains(audience)) {
            return Err(Error::AlreadyExists(format!(
                "{name} (\"{}\") exports audience {audience} to {} of the same Braze workspace already",
                other.label,
                other.place().trim_start()
            )));
        }
    }
    Ok(())
}

/// The export jobs of every account.
#[derive(Debug, Default)]
pub struct AllExportJobs {
    /// Ascending by name.
    pub jobs: Vec<ExportJob>,
    /// Names of jobs whose records cannot be read: damaged, or of a newer version. They are not deleted.
    pub unreadable: Vec<String>,
}

impl FromIterator<(String, Option<ExportJob>)> for AllExportJobs {
    fn from_iter<I: IntoIterator<Item = (String, Option<ExportJob>)>>(scanned: I) -> Self {
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

/// The export jobs of a [`Directory`].
pub struct ExportJobs<'a> {
    pub(crate) directory: &'a Directory,
    /// Removals that are known to be over.
    pub(crate) removed: Removed,
}

impl ExportJobs<'_> {
    /// Creates a job.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the account or the authorization; [`Error::AlreadyExists`] for the label, or when another job,
    /// which is named, exports one of the audiences to the same Braze workspace; [`Error::FailedPrecondition`] when it still
    /// removes one from there, or when that is not known, because the record of a job of the account cannot be read.
    pub async fn create(&self, account: AccountNumber, new: NewExportJob, now: Timestamp) -> Result<ExportJob, Error> {
        let wanted = build(account, new, now);
        let removed = self.removed.clone();
        let decide = move |view: &kafka::View| {
            let (changes, job) = decide_create(view, &wanted)?;
            removal::check(view, &job, &removed)?;
            Ok((changes, job))
        };
        let (job, revision) = self.directory.mutate(decide).await?;
        Ok(ExportJob { revision, ..job })
    }

    /// The job of that id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the table is too old to know.
    pub fn get(&self, account: AccountNumber, id: &str) -> Result<ExportJob, Error> {
        self.directory
            .fetch(&name::format_child(account, name::EXPORT_JOBS, id))
    }

    /// A page of the account's jobs, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account does not exist; [`Error::Unavailable`] when the table is too old.
    pub fn list(&self, account: AccountNumber, page: &Page) -> Result<Listed<ExportJob>, Error> {
        self.directory.list_children(account, name::EXPORT_JOBS, page)
    }

    /// The jobs of every account, as of one moment.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the table is too old.
    pub fn all(&self) -> Result<AllExportJobs, Error> {
        Ok(self.directory.scan("accounts/")?.into_iter().collect())
    }
}

fn build(account: AccountNumber, new: NewExportJob, now: Timestamp) -> ExportJob {
    ExportJob {
        account,
        id: id::new_id(now),
        label: new.label,
        description: new.description,
        audiences: new.audiences,
        authorization: new.authorization,
        identifiers: new.identifiers,
        existing_users: new.existing_users,
        flush_after: new.flush_after,
        batch_updates_max: new.batch_updates_max,
        coalesce: new.coalesce,
        events: new.events,
        guard: Guard::new(new.guard_percent),
        options: new.options,
        workspace: String::new(),
        start: new.start,
        new_audiences: Vec::new(),
        paused: false,
        killed: false,
        bounces: 0,
        resets: Vec::new(),
        additions: Vec::new(),
        redrive: None,
        removals: Vec::new(),
        last_number: 0,
        create_time: now,
        update_time: now,
        revision: 0,
    }
}

#[cfg(test)]
mod tests;
