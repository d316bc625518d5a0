//! Which jobs this replica coordinates and which files it reads: those whose slots are ours.
//!
//! A slot that is to move is given back when its readers have stopped behind the window that they were at, and have written down where to go
//! on. One that was lost is somebody else's already: its readers stop too, and what they still write harms nothing.

mod choose;
mod leftover;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use control::ImportJob;
use jiff::{SignedDuration, Timestamp};
use kafka::{Held, Member};
use runtime::background::Background;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::choose::choose;
use self::leftover::Leftover;
use super::coordinate::Coordinator;
use super::export::Asker;
use super::id::{FileId, slot};
use super::plan::{self, Step};
use super::view::JobView;
use super::worker::{Parts, Worker};
use crate::metrics;

/// Changes that come within so long are looked at together.
const TOGETHER: Duration = Duration::from_millis(100);
/// Nothing is waited for longer without a look.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long to wait until it is looked again whether what the last holder of a slot has written is known.
const KNOWN_LOOK: SignedDuration = SignedDuration::from_millis(250);
/// Jobs that are looked after at once, at most; further ones wait.
const STEPS_MAX: usize = 4;
/// How much of a job that is no more is forgotten at once.
const SWEEP_MAX: usize = 1_000;
/// Leaving the group takes a few round trips, or for ever if Kafka is away; then the session runs out.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// Serves what is ours.
pub(crate) struct Placement {
    parts: Parts,
    coordinator: Coordinator,
    member: Member,
    slots: i32,
    files_max: usize,
    /// Where files are read.
    background: Background,
    jobs: BTreeMap<String, ImportJob>,
    /// When each slot that is ours came.
    came: BTreeMap<i32, Instant>,
    /// Files that are being read.
    reading: BTreeMap<(String, FileId), CancellationToken>,
    /// Jobs that are being looked after.
    looking: BTreeSet<String>,
    tasks: JoinSet<()>,
    about: HashMap<Id, About>,
    /// When each job was given a reader last, in the order of giving.
    served: BTreeMap<String, u64>,
    leftover: Leftover,
}

/// What a task is about.
enum About {
    File(String, FileId),
    Job(String),
    Leftovers,
}

impl Placement {
    pub(super) fn new(
        parts: Parts,
        asker: Option<Asker>,
        member: Member,
        slots: i32,
        files_max: usize,
        background: Background,
    ) -> Self {
        let coordinator = Coordinator {
            opener: parts.opener.clone(),
            progress: parts.progress.clone(),
            asker,
        };
        Self {
            parts,
            coordinator,
            member,
            slots,
            files_max,
            background,
            jobs: BTreeMap::new(),
            came: BTreeMap::new(),
            reading: BTreeMap::new(),
            looking: BTreeSet::new(),
            tasks: JoinSet::new(),
            about: HashMap::new(),
            served: BTreeMap::new(),
            leftover: Leftover::new(Instant::now()),
        }
    }

    /// Serves until the drain.
    pub(super) async fn run(mut self, drain: CancellationToken) {
        let mut changed = self.parts.opener.directory.changed();
        let (mut progress, mut held) = (self.parts.progress.changed(), self.member.held());
        while !drain.is_cancelled() {
            changed.borrow_and_update();
            progress.borrow_and_update();
            let holding = held.borrow_and_update().clone();
            let until = self.round(&holding, Timestamp::now());
            let goes_on = tokio::select! {
                () = drain.cancelled() => false,
                changed = changed.changed() => changed.is_ok(),
                changed = progress.changed() => changed.is_ok(),
                changed = held.changed() => changed.is_ok(),
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.ended(ended);
                    true
                }
                () = tokio::time::sleep(until) => true,
            };
            if !goes_on {
                break;
            }
            drain.run_until_cancelled(tokio::time::sleep(TOGETHER)).await;
        }
        self.leave(held).await;
    }

    /// Begins what is ours and due, stops what is not, gives back what is free. How long nothing else is due.
    fn round(&mut self, held: &Held, now: Timestamp) -> Duration {
        // As long as the table is old, nothing that it says of a job is new.
        if let Ok(all) = self.parts.opener.directory.import_jobs().all() {
            let jobs: BTreeMap<_, _> = all.jobs.into_iter().map(|job| (job.name(), job)).collect();
            if self.jobs.keys().any(|name| !jobs.contains_key(name)) {
                self.leftover.deleted();
            }
            self.jobs = jobs;
            self.sweep(held, &all.unreadable);
        }
        self.came.retain(|slot, _| held.owned.contains(slot));
        for slot in &held.owned {
            self.came.entry(*slot).or_insert_with(Instant::now);
        }
        let mut next = now.saturating_add(LOOK_EVERY).unwrap_or(Timestamp::MAX);
        let known = self.known();
        if known.len() < self.came.len() {
            next = next.min(now.saturating_add(KNOWN_LOOK).unwrap_or(Timestamp::MAX));
        }
        let (mut due, mut candidates, mut waiting) = (Vec::new(), BTreeMap::new(), 0);
        let fresh = self.parts.progress.is_fresh();
        let mut late = 0.0_f64;
        for (name, job) in &self.jobs {
            let view = self.parts.progress.job(name);
            if held.owned.contains(&slot(name, self.slots)) {
                match plan::next(job, &view, now) {
                    Step::Wait(time) => next = next.min(time),
                    Step::Rest => {}
                    Step::Bounce | Step::Look => {
                        late = late.max(plan::lateness(job, &view, now));
                        due.push(job.clone());
                    }
                }
            }
            let ours = self.ours(name, job, &view, &known, now);
            waiting += ours.len();
            candidates.insert(name.clone(), ours);
            next = plan::next_retry(job, &view)
                .filter(|time| *time > now)
                .map_or(next, |time| next.min(time));
        }
        self.stop(held);
        if fresh {
            due.into_iter().for_each(|job| self.look_after(job));
            self.read(candidates);
        }
        self.release(held);
        self.measure(waiting, late);
        Duration::try_from(next.duration_since(now)).unwrap_or_default()
    }

    /// Files of a job that may be read, are ours, and are not being read.
    fn ours(&self, name: &str, job: &ImportJob, view: &JobView, known: &BTreeSet<i32>, now: Timestamp) -> Vec<FileId> {
        let mut readable = plan::readable(job, view, now);
        readable.retain(|file| {
            known.contains(&self.slot_of(name, *file)) && !self.reading.contains_key(&(name.to_owned(), *file))
        });
        readable
    }

    /// The slots that are ours, and of which is known what their last holders wrote before they came: where to go on.
    fn known(&self) -> BTreeSet<i32> {
        let complete = self.parts.progress.complete_at();
        let known = self.came.iter().filter(|(_, came)| complete > Some(**came));
        known.map(|(slot, _)| *slot).collect()
    }

    fn slot_of(&self, job: &str, file: FileId) -> i32 {
        slot(&format!("{job}/{file}"), self.slots)
    }

    /// Stops the readers of what is not ours any more, or is not to be read.
    fn stop(&self, held: &Held) {
        for ((name, file), stop) in &self.reading {
            let wanted = self.jobs.get(name).is_some_and(|job| !job.paused && !job.killed);
            if !wanted || !held.owned.contains(&self.slot_of(name, *file)) {
                stop.cancel();
            }
        }
    }

    fn look_after(&mut self, job: ImportJob) {
        let name = job.name();
        if self.looking.len() < STEPS_MAX && self.looking.insert(name.clone()) {
            let coordinator = self.coordinator.clone();
            let task = self.tasks.spawn(async move { coordinator.step(job).await });
            self.about.insert(task.id(), About::Job(name));
        }
    }

    /// Gives readers to the files, so many as there may be.
    fn read(&mut self, candidates: BTreeMap<String, Vec<FileId>>) {
        let mut at_work = BTreeMap::new();
        for (name, _) in self.reading.keys() {
            *at_work.entry(name.clone()).or_default() += 1;
        }
        let room = self.files_max.saturating_sub(self.reading.len());
        for (name, file) in choose(candidates, at_work, &mut self.served, room) {
            let Some(job) = self.jobs.get(&name).cloned() else {
                continue;
            };
            let stop = CancellationToken::new();
            let worker = Worker {
                parts: self.parts.clone(),
                job,
                file,
                stop: stop.clone(),
            };
            let task = self.tasks.spawn_on(worker.run(), self.background.handle());
            self.about.insert(task.id(), About::File(name.clone(), file));
            self.reading.insert((name, file), stop);
        }
        let jobs = &self.jobs;
        self.served.retain(|name, _| jobs.contains_key(name));
    }

    /// Gives back the leaving slots for which nothing is done any more.
    fn release(&self, held: &Held) {
        for leaving in &held.leaving {
            let reads = self
                .reading
                .keys()
                .any(|(name, file)| self.slot_of(name, *file) == *leaving);
            let looks = self.looking.iter().any(|name| slot(name, self.slots) == *leaving);
            if !reads && !looks {
                self.member.release(*leaving);
            }
        }
    }

    /// Forgets what is left of jobs that are no more.
    fn sweep(&mut self, held: &Held, unreadable: &[String]) {
        let names = self.jobs.keys().cloned().collect();
        self.parts.progress.keep_only(&names);
        let (known, now) = (self.parts.opener.directory.complete_at(), Instant::now());
        let is_sweeping = self.about.values().any(|about| matches!(about, About::Leftovers));
        if is_sweeping || !self.leftover.is_due(known, now) {
            return;
        }
        let mut left = self.parts.progress.jobs();
        left.retain(|job| {
            let is_ours = held.owned.contains(&slot(job, self.slots));
            is_ours && !names.contains(job) && !unreadable.contains(job)
        });
        let gone = self.leftover.found(left, known, now);
        if gone.is_empty() {
            return;
        }
        let progress = self.parts.progress.clone();
        let task = self.tasks.spawn(async move {
            for job in gone {
                match progress.forget(&job, SWEEP_MAX).await {
                    Ok(_) => tracing::debug!(job, "what was known of a deleted import job is forgotten"),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::debug!(error, job, "what is known of a deleted import job is not forgotten yet");
                    }
                }
            }
        });
        self.about.insert(task.id(), About::Leftovers);
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let about = self.about.remove(&id);
        if let Err(error) = &ended {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "a task of an import job has failed");
        }
        match about {
            Some(About::File(name, file)) => drop(self.reading.remove(&(name, file))),
            Some(About::Job(name)) => drop(self.looking.remove(&name)),
            Some(About::Leftovers) | None => {}
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact beyond 2^52")]
    fn measure(&self, waiting: usize, late: f64) {
        ::metrics::gauge!(metrics::IMPORT_FILES_READING).set(self.reading.len() as f64);
        let begun = waiting.min(self.files_max);
        ::metrics::gauge!(metrics::IMPORT_FILES_WAITING).set(waiting.saturating_sub(begun) as f64);
        ::metrics::gauge!(metrics::IMPORT_LOOK_LATE_SECONDS).set(late);
    }

    /// Stops every reader behind its window, and leaves the group.
    async fn leave(mut self, held: watch::Receiver<Held>) {
        self.reading.values().for_each(CancellationToken::cancel);
        while !self.tasks.is_empty() {
            let holding = held.borrow().clone();
            self.release(&holding);
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = tokio::time::sleep(TOGETHER) => {}
            }
        }
        if tokio::time::timeout(LEAVE_MAX, self.member.leave()).await.is_err() {
            tracing::warn!(
                "the group of imports was not left in time; others get the slots when the session has run out"
            );
        }
    }
}
