//! Why a user has the slug of an audience, or has not: one profile is followed through one job.
//!
//! The membership topic tells the last record, the job's own record the identifier, the thread that serves the Braze workspace –
//! or, if another replica does, progress – what the change waits for, `export-rejected` what became of it, and Braze what it
//! holds. What is told is what the `sentence` goes by.

mod again;
mod identifier;
mod sentence;
mod topics;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use braze::{Held, Identifier};
use control::{Authorization, ExportJob, Reset};
use jiff::Timestamp;
use kafka::{Config, Topics};
use model::{Fields, Membership, membership_key};
use prost::Message;
use proto::export::v1::{
    BrazeUser, ChangeStage, ChangeStanding, ExportJobState, FeedProgress, LastRecord, MemberExplanation,
};
use proto::membership::v1::MembershipChange;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use self::topics::{Record, Search};
use crate::engine::{About, EngineHandle, GoneThrough};
use crate::settle;

/// How long the topics may be searched.
const SEARCH_MAX: Duration = Duration::from_secs(20);

/// Answers; cheap to clone.
#[derive(Clone)]
pub(crate) struct Explainer {
    pub(crate) kafka: Config,
    pub(crate) engine: EngineHandle,
    pub(crate) drain: CancellationToken,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error("the search broke off")]
    Panicked,
}

/// What the topics and the engine tell of a profile in an audience, and whom to ask Braze about.
struct Followed {
    explanation: MemberExplanation,
    identifier: Option<Identifier>,
}

impl Explainer {
    /// Follows a profile through the audiences of a job. Holds `permit` as long as it does anything, also if the caller goes.
    ///
    /// # Errors
    /// When the topics cannot be read. That Braze does not say what it holds is part of the answer.
    pub(crate) async fn explain(
        &self,
        permit: OwnedSemaphorePermit,
        (job, authorization): (ExportJob, Result<Authorization, String>),
        profile_id: String,
        audiences: Vec<String>,
    ) -> Result<Vec<MemberExplanation>, Error> {
        let (explainer, runtime) = (self.clone(), Handle::current());
        let (attribute, writes) = (job.options.attribute.clone(), job.options.writes.clone());
        let follow = move || (explainer.follow(&job, &profile_id, &audiences, &runtime), permit);
        let followed = tokio::task::spawn_blocking(follow).await;
        let (followed, _permit) = followed.map_err(|_| Error::Panicked)?;
        let followed = followed?;
        // Usually it is one user in all audiences.
        let mut known: HashMap<Identifier, Result<Option<braze::User>, String>> = HashMap::new();
        let mut explanations = Vec::with_capacity(followed.len());
        for Followed {
            mut explanation,
            identifier,
        } in followed
        {
            explanation.r#type = writes.type_name().to_owned();
            if let Some(identifier) = identifier.filter(|_| writes.is_attribute()) {
                if !known.contains_key(&identifier) {
                    let user = match &authorization {
                        Ok(authorization) => self.engine.look_up(authorization, &identifier, &attribute).await,
                        Err(problem) => Err(problem.clone()),
                    };
                    known.insert(identifier.clone(), user);
                }
                let user = known.get(&identifier);
                explanation.braze_user = user.map(|user| braze_user(user, &attribute, &explanation.audience));
            }
            explanation.sentence = sentence::sentence(&explanation);
            explanations.push(explanation);
        }
        Ok(explanations)
    }

    /// Reads the topics and asks the engine. Blocks.
    fn follow(
        &self,
        job: &ExportJob,
        profile_id: &str,
        audiences: &[String],
        runtime: &Handle,
    ) -> Result<Vec<Followed>, Error> {
        let mut search = Search::new(&self.kafka, Instant::now() + SEARCH_MAX, self.drain.clone())?;
        let topic = Topics::new(&self.kafka).audience_membership(job.account.get());
        let key = |audience: &String| membership_key(audience, profile_id);
        let mut records = search.last_records(&topic, audiences.iter().map(key).collect())?;
        let mut progress = None;
        let mut followed = Vec::with_capacity(audiences.len());
        for audience in audiences {
            let mut explanation = MemberExplanation {
                audience: audience.clone(),
                profile_id: profile_id.to_owned(),
                update_existing_only: job.options.update_existing_only,
                ..MemberExplanation::default()
            };
            let key = key(audience);
            let mut identifier = None;
            if let Some(record) = records.remove(&key) {
                let last = last_record(&record, &key, job);
                if let Some(change) = last.change.as_ref().filter(|_| last.unusable.is_empty()) {
                    let fields = Fields::from(&change.fields);
                    (explanation.identifiers, identifier) = identifier::choices(&job.identifiers, &fields);
                }
                let about = About {
                    job: job.name(),
                    audience: audience.clone(),
                    partition: record.partition,
                    offset: record.offset,
                };
                let (mut standing, gone_through) = match runtime.block_on(self.engine.standing(job, about)) {
                    Some(told) => told,
                    None => {
                        if progress.is_none() {
                            progress = Some(search.progress(&job.workspace)?);
                        }
                        let key = settle::feed_key(&job.workspace, &job.id, audience);
                        let written = progress.as_ref().and_then(|progress| progress.get(&key));
                        let (mut standing, gone_through) = written_down(written, &record);
                        // This replica may know why nobody serves it.
                        if let Some(status) = self.engine.job_status(&job.name()) {
                            standing.set_state(status.state);
                            standing.state_reason = status.reason;
                            standing.resume_time = status.resumes.map(model::time::to_wire);
                        }
                        (standing, gone_through)
                    }
                };
                if standing.stage() == ChangeStage::Settled || !last.unusable.is_empty() {
                    let rejected = search.rejected(&job.name(), &topic, &record)?;
                    let again = rejected.as_ref().and_then(|kept| {
                        again::sent(
                            kept,
                            job.redrive.as_ref(),
                            &job.resets,
                            gone_through,
                            (audience, &record),
                        )
                    });
                    explanation.sent_again_time = again.map(model::time::to_wire);
                    explanation.keep_time = rejected.as_ref().and_then(|(_, kept_ms)| time(*kept_ms));
                    explanation.rejected = rejected.map(|(rejected, _)| rejected);
                }
                correct(&mut standing, job, audience, &record, &last);
                if standing.state() == ExportJobState::Removing
                    && job.still_removes(&self.engine.removed(job.account)).next().is_none()
                {
                    standing.set_state(ExportJobState::Killed);
                }
                (explanation.last_record, explanation.standing) = (Some(last), Some(standing));
            }
            explanation.incomplete = search.incomplete;
            followed.push(Followed {
                explanation,
                identifier,
            });
        }
        Ok(followed)
    }
}

/// A record as it is told.
fn last_record(record: &Record, key: &str, job: &ExportJob) -> LastRecord {
    let payload = record.payload.as_deref();
    LastRecord {
        partition: record.partition,
        offset: record.offset,
        time: time(record.time_ms),
        change: payload.and_then(|payload| MembershipChange::decode(payload).ok()),
        unusable: payload
            .and_then(|payload| unusable(payload, key, job))
            .unwrap_or_default(),
    }
}

/// How a record breaks the contract, if it does.
fn unusable(payload: &[u8], key: &str, job: &ExportJob) -> Option<String> {
    match Membership::read(payload, None) {
        Err(error) => Some(error.to_string()),
        Ok(change) if change.account != job.account => {
            Some(format!("the change belongs to account {}", change.account))
        }
        Ok(change) => {
            let own_key = [change.audience.as_bytes(), b"/", change.profile_id].concat();
            (own_key != key.as_bytes()).then(|| "the key is not the change's <audience slug>/<profile id>".to_owned())
        }
    }
}

/// What progress tells of a record.
fn written_down(progress: Option<&FeedProgress>, record: &Record) -> (ChangeStanding, GoneThrough) {
    let Some(progress) = progress else {
        return (ChangeStanding::default(), GoneThrough::default());
    };
    let gone_through = GoneThrough {
        reset: progress.reset,
        redrive: progress.redrive,
    };
    let mut standing = ChangeStanding {
        state: progress.state,
        state_reason: progress.state_reason.clone(),
        resume_time: progress.resume_time,
        from_progress: true,
        ..ChangeStanding::default()
    };
    let mut positions = progress.positions.iter();
    let position = positions.find(|position| position.partition == record.partition);
    let next = position.map_or(0, |position| position.next);
    match position {
        Some(position) if position.open.contains(&record.offset) => standing.set_stage(ChangeStage::Open),
        _ if record.offset < next => standing.set_stage(ChangeStage::Settled),
        _ => {
            standing.set_stage(ChangeStage::Unread);
            standing.records_before = u64::try_from(record.offset - next).unwrap_or(0);
        }
    }
    (standing, gone_through)
}

/// What the job's own record says goes before what the engine knows of it.
fn correct(standing: &mut ChangeStanding, job: &ExportJob, audience: &str, record: &Record, last: &LastRecord) {
    let state = ExportJobState::try_from(standing.state).unwrap_or_default();
    standing.set_state(match state {
        ExportJobState::Fault => state,
        // With a reason it is its guard that has paused it.
        ExportJobState::Paused if !standing.state_reason.is_empty() && !job.killed => state,
        _ => job.state(state, Timestamp::now()),
    });
    let change = last.change.as_ref().filter(|_| last.unusable.is_empty());
    let action = change
        .and_then(|change| Membership::try_from(change).ok())
        .map(|change| change.action);
    if action.is_some_and(|action| !job.events.include(action)) {
        standing.set_stage(ChangeStage::NotWanted);
    } else if standing.stage() == ChangeStage::Settled && is_before_start(job, audience, record) {
        standing.set_stage(ChangeStage::BeforeStart);
    }
}

/// Whether a record was there before the job, or the audience in it, and is left out.
fn is_before_start(job: &ExportJob, audience: &str, record: &Record) -> bool {
    let start = job.addition(audience).map_or(&job.start, |addition| &addition.start);
    let of_partition = |(partition, _): &&(i32, i64)| *partition == record.partition;
    let is_before = |(_, offset): &(i32, i64)| record.offset < *offset;
    !job.existing_users
        && start.iter().find(of_partition).is_some_and(is_before)
        && !job.resets.iter().any(|reset| hands_again(reset, audience, record))
}

/// Whether a reset is to before a record.
fn hands_again(reset: &Reset, audience: &str, record: &Record) -> bool {
    let mut offsets = reset.offsets.iter();
    reset.is_about(audience)
        && offsets.any(|(partition, offset)| *partition == record.partition && *offset <= record.offset)
}

fn braze_user(user: &Result<Option<braze::User>, String>, attribute: &str, slug: &str) -> BrazeUser {
    let mut told = BrazeUser {
        attribute: attribute.to_owned(),
        ..BrazeUser::default()
    };
    match user {
        Err(problem) => told.problem.clone_from(problem),
        Ok(None) => {}
        Ok(Some(user)) => {
            told.exists = true;
            told.external_id = user.external_id.clone().unwrap_or_default();
            told.braze_id = user.braze_id.clone().unwrap_or_default();
            match &user.attribute {
                Held::Nothing => {}
                Held::Array(values) => told.values.clone_from(values),
                Held::Other => told.not_an_array = true,
            }
            told.has_slug = told.values.iter().any(|value| value == slug);
        }
    }
    told
}

fn time(ms: Option<i64>) -> Option<prost_types::Timestamp> {
    let time = ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map(model::time::to_wire)
}
