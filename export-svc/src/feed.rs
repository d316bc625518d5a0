//! Feeds: one audience of one export job, with its own positions, and the jobs and authorizations they belong to.
//!
//! Which records a feed has had is the feed's own knowledge, whichever of the two readers serves it (`readers`). A feed that
//! must not be served (its job is paused, or quiet, its authorization is refused) is *detached*: it keeps its positions and nothing
//! else (`hold`).

mod cap;
mod caught_up;
mod first_pass;
mod guard;
mod health;
mod hold;
mod oldest;
mod readers;
mod reading;
mod redrive;
mod removal;
mod table;
#[cfg(test)]
mod tests;
mod told;
mod trouble;

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use control::{Addition, ExportJob, Reset};
use proto::export::v1::{ExportCounters, FeedProgress};

use self::cap::{Adds, Caps};
use self::caught_up::CaughtUp;
pub(crate) use self::first_pass::Filter;
use self::first_pass::{FirstPasses, Pace};
pub(crate) use self::guard::Guard;
use self::health::Authorization;
pub(crate) use self::health::{Credential, Grant, Probed, Used};
use self::hold::Held;
use self::oldest::Oldest;
use self::readers::Readers;
pub(crate) use self::readers::Which;
pub(crate) use self::reading::Reading;
use self::redrive::Redriven;
pub(crate) use self::removal::Course;
use self::removal::Removing;
use self::table::Table;
pub(crate) use self::trouble::{Patience, Trouble};
use crate::batch::LaneId;
use crate::clock::Time;
use crate::hash::Map;
use crate::positions::Positions;
use crate::settle;

/// Names a feed for as long as the workspace is served; never used twice.
pub(crate) type FeedId = u64;

/// What a Braze workspace has to do.
#[derive(Debug, Default)]
pub(crate) struct JobSet {
    pub(crate) jobs: Vec<Arc<ExportJob>>,
    pub(crate) authorizations: BTreeMap<String, Grant>,
    /// Of all authorizations that name the workspace, the strictest.
    pub(crate) budget: control::Budget,
    /// Names of jobs, of any workspace, whose records cannot be read: nobody knows what they want, so they are not served, and
    /// nothing of theirs is forgotten.
    pub(crate) unreadable: Arc<BTreeSet<String>>,
}

impl JobSet {
    /// No job, besides those that cannot be read.
    pub(crate) fn none(unreadable: &Arc<BTreeSet<String>>) -> Self {
        Self {
            unreadable: Arc::clone(unreadable),
            ..Self::default()
        }
    }
}

#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) job: Arc<ExportJob>,
    pub(crate) job_name: String,
    pub(crate) slug: Arc<str>,
    /// The attribute that its slug is a value of, or another place ([`ExportJob::place`]).
    pub(crate) attribute: Arc<str>,
    /// With what it came to its job, if it was not there from the beginning.
    added: Option<Addition>,
    /// The same for all feeds of a job: what requests are shared by.
    pub(crate) lane: LaneId,
    pub(crate) positions: Positions,
    pub(crate) counters: ExportCounters,
    /// Which reader serves it, if any.
    reader: Option<Which>,
    /// It is left out for now, and what it was handed goes on.
    resting: bool,
    /// Too much of the batch is its own.
    full: bool,
    /// Why the clock holds it, if it does.
    hold: Option<Held>,
    /// Its job may send no more enters for now.
    capped: bool,
    /// Those that it has sent, if its job has a cap.
    adds: Adds,
    /// It sends existing users, has not come to its job's start, and all that it handed on is known.
    pub(crate) first_pass: bool,
    /// How fast it comes to its job's start.
    pub(crate) pace: Pace,
    /// Where it began, by partition, until it is known that the topic reaches so far.
    began: Vec<i64>,
    /// Why it is not served until somebody acts.
    pub(crate) fault: Option<Fault>,
    /// What it has met since something went well.
    pub(crate) trouble: Trouble,
    pub(crate) guard: Guard,
    /// Since when its oldest change has waited.
    oldest: Oldest,
    caught_up: CaughtUp,
    /// Number of the newest reset that it has gone through.
    pub(crate) reset: u64,
    /// How far it is with what is to be sent again.
    pub(crate) redriven: Redriven,
    /// Its audience has left the job: it removes the slug, and adds nothing.
    pub(crate) removing: Option<Removing>,
    /// How often a reset has let it go on elsewhere: what was handed to it before is not what it is handed now.
    pub(crate) moves: u32,
    /// It is known to be among those with something that progress does not have yet.
    dirty: bool,
}

/// Why a feed is not served until somebody acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The job's record in the control table cannot be read.
    Unreadable,
    /// It cannot go on where it is, for this reason.
    Stuck(String),
}

impl Feed {
    /// Resets that it has not gone through, oldest first.
    pub(crate) fn resets(&self) -> impl Iterator<Item = &Reset> {
        let resets = self.job.resets.iter().filter(|_| self.removing.is_none());
        resets.filter(|reset| reset.number > self.reset)
    }

    /// Goes through the resets of its job, up to the first that must wait.
    fn go_through_resets(&mut self, in_doubt: bool) {
        let (job, done) = (Arc::clone(&self.job), self.reset);
        for reset in job.resets.iter().filter(|reset| reset.number > done) {
            if reset.is_about(&self.slug) {
                if in_doubt && self.positions.leaves_out(&reset.offsets) {
                    return;
                }
                self.positions.go_to(&reset.offsets);
                self.moves += 1;
                self.guard.forget_members();
                self.began.clear();
                self.fault = None;
                self.oldest = Oldest::default();
                self.caught_up = CaughtUp::No;
            }
            self.reset = reset.number;
        }
    }

    /// The job has lost its audience since, and has got it again, or removes its slug.
    fn is_from_before(&self, job: &ExportJob) -> bool {
        self.reset < job.life(&self.slug) || self.removing.is_some() != job.removal(&self.slug).is_some()
    }

    /// A reader serves it.
    pub(crate) fn is_served(&self) -> bool {
        self.reader.is_some()
    }
}

impl Fault {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Unreadable => "the job's record cannot be read: it is damaged, or was written by a newer version",
            Self::Stuck(reason) => reason,
        }
    }
}

/// All feeds of a workspace.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    partitions: usize,
    next_id: FeedId,
    feeds: Table,
    /// Feeds with something that progress does not have yet.
    dirty: BTreeSet<FeedId>,
    by_slug: Map<Arc<[u8]>, Vec<FeedId>>,
    authorizations: BTreeMap<String, Authorization>,
    /// What a predecessor wrote, by progress key, until the feed is there.
    restored: HashMap<String, FeedProgress>,
    /// Progress keys of feeds that have ended.
    pub(crate) tombstones: BTreeSet<String>,
    readers: Readers,
    first_passes: FirstPasses,
    caps: Caps,
    /// What time it is, as far as anybody has said.
    pub(crate) now: Time,
    /// When the clock says something else of a feed.
    next_turn: Option<Time>,
    /// Calls of a predecessor may still take effect, and it may have served feeds of which it wrote nothing down.
    pub(crate) in_doubt: bool,
}

impl Feeds {
    pub(crate) fn new(partitions: usize, restored: HashMap<String, FeedProgress>) -> Self {
        Self {
            partitions,
            restored,
            readers: Readers::new(partitions),
            ..Self::default()
        }
    }

    /// Takes over what is wanted now. Gives back the feeds that have ended or are detached: their changes are not to be sent.
    /// While calls of a predecessor may still take effect, no feed begins that may be another one's successor.
    pub(crate) fn apply(&mut self, workspace: &str, wanted: &JobSet) -> Vec<FeedId> {
        self.apply_authorizations(wanted);
        let mut missing = BTreeMap::new();
        for job in &wanted.jobs {
            for slug in job.served() {
                missing.insert((job.name(), slug.clone()), job);
            }
        }
        let (mut ended, mut unreadable) = (Vec::new(), Vec::new());
        for (id, feed) in self.feeds.iter_mut() {
            let key = (feed.job_name.clone(), feed.slug.to_string());
            match missing.remove(&key) {
                Some(job) if feed.is_from_before(job) => {
                    missing.insert(key, job);
                    ended.push(id);
                }
                Some(job) => {
                    if feed.job.revision != job.revision || feed.fault == Some(Fault::Unreadable) {
                        feed.mend(job);
                        self.dirty.insert(id);
                    }
                    feed.job = Arc::clone(job);
                }
                None if wanted.unreadable.contains(&feed.job_name) => {
                    feed.fault = Some(Fault::Unreadable);
                    unreadable.push(id);
                }
                None => ended.push(id),
            }
        }
        self.detach(&unreadable);
        self.look_at_clock();
        let held = self.held();
        self.detach(&held);
        for id in &ended {
            self.leave(*id);
            self.caps.forget(*id);
            self.dirty.remove(id);
            if let Some(feed) = self.feeds.remove(*id) {
                let key = settle::feed_key(workspace, &feed.job.id, &feed.slug);
                let next = missing.get(&(feed.job_name.clone(), feed.slug.to_string()));
                if next.is_some_and(|job| job.removal(&feed.slug).is_some()) {
                    self.restored.insert(key, feed.left());
                } else {
                    self.tombstones.insert(key);
                }
                if let Some(ids) = self.by_slug.get_mut(feed.slug.as_bytes()) {
                    ids.retain(|other| other != id);
                }
            }
        }
        self.by_slug.retain(|_, ids| !ids.is_empty());
        let (exported, mut waiting) = (LazyCell::new(|| wanted.exported()), HashSet::new());
        for ((job_name, slug), job) in missing {
            let key = settle::feed_key(workspace, &job.id, &slug);
            // A predecessor may have known more of the job: whether it exports the audience or removes its slug.
            let known = self.restored.get(&key);
            let is_outdated = known.is_some_and(|known| known.reset > job.last_number);
            // What a predecessor has in flight may be adds, and must have taken effect before.
            if is_outdated || (self.in_doubt && job.removal(&slug).is_some()) {
                waiting.insert(key);
                continue;
            }
            let (addition, number) = (job.addition(&slug), job.life(&slug));
            let restored = self.restored.remove(&key);
            let removes = job.removal(&slug).is_some();
            let is_older = |known: &FeedProgress| known.reset < number || (removes && known.removal.is_none());
            let is_older = restored.as_ref().is_some_and(is_older);
            let (before, known) = if is_older { (restored, None) } else { (None, restored) };
            let told = (known.as_ref(), before.as_ref());
            let removing = Removing::of(job, &slug, self.partitions, told, self.now);
            // Nobody gets it before that is over, whatever has become of what was written down.
            let removing =
                removing.map(|removing| removing.or_is_over(exported.contains(&(job.place(), slug.as_ref()))));
            if is_older && removing.is_none() {
                self.tombstones.insert(key);
            }
            // Another job, gone since, may have exported it: what a predecessor has in flight for that one nothing tells.
            if self.in_doubt && known.is_none() && !job.new_audiences.contains(&slug) {
                continue;
            }
            let (positions, counters) = match &known {
                Some(known) => (
                    Positions::restore(self.partitions, &known.positions),
                    known.counters.unwrap_or_default(),
                ),
                None => {
                    let start = addition.map_or(&job.start, |addition| &addition.start);
                    let all = job.existing_users || removing.is_some();
                    let start: &[_] = if all { &[] } else { start };
                    (Positions::starting(self.partitions, start), ExportCounters::default())
                }
            };
            let is_new = job.existing_users && job.new_audiences.contains(&slug);
            let first_pass = is_new && known.is_none() && !self.in_doubt && removing.is_none();
            let slug: Arc<str> = slug.into();
            let of_job = || self.feeds.values().filter(|feed| feed.job_name == job_name);
            let lane = of_job().next().map_or(self.next_id, |feed| feed.lane);
            // A job that has failed, or that its guard has paused, is so as a whole, but for what it removes.
            let same_job = of_job().find(|feed| feed.removing.is_none() && removing.is_none());
            let (trouble, guard) = match (&known, same_job) {
                (Some(known), _) => (Trouble::restore(known), Guard::restore(known)),
                (None, Some(feed)) => (feed.trouble.clone(), feed.guard.beside()),
                (None, None) => (Trouble::none(job.bounces), Guard::none(job.guard.confirms)),
            };
            let feed = Feed {
                lane,
                job: Arc::clone(job),
                job_name,
                added: addition.cloned(),
                slug: Arc::clone(&slug),
                attribute: (&*job.place()).into(),
                began: (0..)
                    .take(self.partitions)
                    .map(|number| positions.next(number))
                    .collect(),
                positions,
                counters,
                reader: None,
                resting: false,
                full: false,
                hold: None,
                capped: false,
                adds: known.as_ref().map(Adds::restore).unwrap_or_default(),
                first_pass,
                pace: Pace::default(),
                fault: None,
                trouble,
                guard,
                oldest: known.as_ref().map(Oldest::restore).unwrap_or_default(),
                caught_up: CaughtUp::restore(known.as_ref().is_some_and(|known| known.synced)),
                reset: known.as_ref().map_or(number, |known| known.reset),
                redriven: Redriven::restore(known.as_ref(), job),
                removing,
                moves: 0,
                dirty: false,
            };
            self.next_id += 1;
            if known.is_none() {
                self.dirty.insert(self.next_id);
            }
            self.feeds.insert(self.next_id, feed);
            let same = self.by_slug.entry(slug.as_bytes().into());
            same.or_default().push(self.next_id);
        }
        // What a predecessor served and nobody wants any more.
        let kept: HashSet<_> = wanted
            .unreadable
            .iter()
            .filter_map(|name| name.rsplit('/').next())
            .collect();
        let stays = |key: &String| settle::job_of(workspace, key).is_some_and(|id| kept.contains(id));
        let gone = |key: &String| !stays(key) && !waiting.contains(key);
        let gone = self.restored.extract_if(|key, _| gone(key));
        self.tombstones.extend(gone.map(|(key, _)| key));
        self.look_at_clock();
        self.serve();
        ended.extend(unreadable);
        ended.extend(held);
        ended
    }

    /// Feeds are served no more for now: they keep their positions, and what was handed to them and is not settled must be read
    /// again.
    fn detach(&mut self, ids: &[FeedId]) {
        for id in ids {
            self.leave(*id);
            if let Some(feed) = self.feeds.get_mut(*id) {
                feed.positions.detach();
                feed.trouble.detach();
                feed.redriven.detach();
                feed.resting = false;
                feed.first_pass = false;
                self.dirty.insert(*id);
            }
        }
        self.reopen_caps(ids);
    }

    /// Lets feeds go on where resets of their jobs say. Gives back those that were moved: what they had pending is not to be sent.
    /// While calls of a predecessor may still take effect, what it sent is known from the records that are read again, so a reset
    /// that would leave some of them out must wait.
    pub(crate) fn reset(&mut self) -> Vec<FeedId> {
        let behind = self.feeds.iter().filter(|(_, feed)| feed.resets().next().is_some());
        let behind: Vec<_> = behind
            .filter(|(_, feed)| !self.must_wait(feed))
            .map(|(id, _)| id)
            .collect();
        let is_moved = |id: &FeedId| {
            let feed = self.feeds.get(*id);
            feed.is_some_and(|feed| feed.resets().any(|reset| reset.is_about(&feed.slug)))
        };
        let moved: Vec<_> = behind.iter().copied().filter(is_moved).collect();
        self.detach(&moved);
        for id in &moved {
            self.caps.forget(*id);
        }
        for id in behind {
            if let Some(feed) = self.feeds.get_mut(id) {
                feed.go_through_resets(self.in_doubt);
                self.dirty.insert(id);
            }
        }
        if !moved.is_empty() {
            self.serve();
        }
        moved
    }

    /// Whether the next reset of a feed must wait: a predecessor may have sent what it leaves out.
    fn must_wait(&self, feed: &Feed) -> bool {
        let leaves_out = |(partition, offset): &(i32, i64)| {
            let read = feed.positions.next(*partition).max(self.shown(feed, *partition));
            let open = feed.positions.first_open(*partition);
            *offset > open.map_or(read, |open| open.min(read))
        };
        let next = feed.resets().find(|reset| reset.is_about(&feed.slug));
        self.in_doubt && next.is_some_and(|reset| reset.offsets.iter().any(leaves_out))
    }

    /// Feeds cannot go on where they are: they are in fault for this reason, and detached.
    pub(crate) fn stick(&mut self, ids: &[FeedId], reason: impl Fn(&Feed) -> String) {
        self.detach(ids);
        for id in ids {
            if let Some(feed) = self.feeds.get_mut(*id) {
                feed.fault = Some(Fault::Stuck(reason(feed)));
                self.dirty.insert(*id);
            }
        }
        self.serve();
    }

    /// The newest feed there is.
    pub(crate) fn newest(&self) -> FeedId {
        self.next_id
    }

    pub(crate) fn get(&self, id: FeedId) -> Option<&Feed> {
        self.feeds.get(id)
    }

    /// A feed that is about to change.
    pub(crate) fn get_mut(&mut self, id: FeedId) -> Option<&mut Feed> {
        let feed = self.feeds.get_mut(id)?;
        if !std::mem::replace(&mut feed.dirty, true) {
            self.dirty.insert(id);
        }
        Some(feed)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Feed> {
        self.feeds.values()
    }

    pub(crate) fn any_dirty(&self) -> bool {
        !self.tombstones.is_empty() || !self.dirty.is_empty()
    }

    /// Everything is written with the next progress.
    pub(crate) fn all_dirty(&mut self) {
        self.dirty.extend(self.feeds.iter().map(|(id, _)| id));
    }

    /// How far a feed's reader has come; 0 if it has none.
    fn shown(&self, feed: &Feed, partition: i32) -> i64 {
        feed.reader.map_or(0, |which| self.readers.read_to(which, partition))
    }
}
