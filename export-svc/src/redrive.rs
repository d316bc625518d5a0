//! What a job has omitted, to be sent again – never over a newer state.
//!
//! ```text
//! collect ─▶ watch ─▶ survey ─▶ announce ─▶ progress has committed ─▶ into the batch, as an ordinary change
//! ```
//!
//! *Collect* reads from the rejected topic which records were omitted. From then on the workspace *watches* for their keys: what
//! it hands on under one of them overtakes them. The *survey* reads the whole membership topic, which says of each key what its
//! newest record is; only an omitted one that is the newest of its profile, and of each user that it names, is left. It is
//! *announced*: open in its feed's positions again, as if it had been handed on a moment ago. When that is written down it goes
//! into the batch. From then on nothing about it is special: a later change goes behind it, a crash reads it again, and a successor
//! has it in doubt. The redrive is done when the last one is announced, in the same record of progress.

mod read;
mod survey;

use std::collections::{HashSet, VecDeque};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};

use model::Membership;

pub(crate) use self::read::{Reading, Told};
pub(crate) use self::survey::Found;
use crate::batch;
use crate::feed::FeedId;
use crate::order::Key;
use crate::route;

/// What the omitted changes of one round may hold in memory: so many changes, and so many bytes.
const ROUND: (usize, usize) = (10_000, 16 << 20);

/// One redrive that is being carried out.
#[derive(Debug)]
pub(crate) struct Run {
    /// Names it for as long as the workspace is served.
    pub(crate) id: u64,
    pub(crate) job: String,
    pub(crate) number: u64,
    /// The audiences that it is for.
    pub(crate) feeds: Vec<FeedId>,
    /// Keys of the omitted changes.
    pub(crate) watched: HashSet<Key>,
    /// Those of them that something was handed on under since they are watched.
    pub(crate) overtaken: HashSet<Key>,
    /// What the survey has left, and what of it is announced, is in the progress that is being written, and is written.
    pub(crate) found: VecDeque<Found>,
    pub(crate) announced: Vec<Found>,
    pub(crate) writing: Vec<Found>,
    pub(crate) written: Vec<Found>,
    /// Whether the survey of this round is there, and then whether another round follows.
    pub(crate) more: Option<bool>,
    pub(crate) counts: Counts,
    /// Lets the thread that reads go on.
    pub(crate) go: SyncSender<()>,
    /// That thread ends when this is dropped.
    pub(crate) _alive: Arc<()>,
}

/// What has become of the omitted changes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) overtaken: u64,
    pub(crate) unusable: u64,
}

impl Run {
    /// One that has still to find out what was omitted. `go` and `alive` are the thread's that reads.
    pub(crate) fn new(
        id: u64,
        (job, number): (String, u64),
        feeds: Vec<FeedId>,
        go: SyncSender<()>,
        alive: Arc<()>,
    ) -> Self {
        Self {
            id,
            job,
            number,
            feeds,
            watched: HashSet::new(),
            overtaken: HashSet::new(),
            found: VecDeque::new(),
            announced: Vec::new(),
            writing: Vec::new(),
            written: Vec::new(),
            more: None,
            counts: Counts::default(),
            go,
            _alive: alive,
        }
    }

    /// Whether something has been handed on that is newer than this.
    pub(crate) fn has_overtaken(&self, found: &Found) -> bool {
        found.keys.iter().any(|key| self.overtaken.contains(key))
    }

    /// Nothing is left of this round.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty() && self.announced.is_empty() && self.writing.is_empty() && self.written.is_empty()
    }
}

/// Whether anybody still wants what is being read.
fn is_wanted(alive: &Weak<()>) -> bool {
    alive.strong_count() > 0
}

/// What a record is known by: its profile, and each user that it names under the job's identifiers, with the slug.
pub(crate) fn keys(job: &control::ExportJob, slug: &str, profile_id: &[u8], payload: Option<&[u8]>) -> Vec<Key> {
    let (identifiers, place) = (&job.identifiers, &*job.place());
    let profile = batch::profile_key(profile_id);
    let mut keys = vec![batch::key_of_profile(profile, place, slug)];
    if let Some(Ok(membership)) = payload.map(|payload| Membership::read(payload, Some(slug))) {
        let present = route::identifier(identifiers, &membership.fields);
        let earlier = route::earlier(identifiers, &membership, present.as_ref());
        let users = earlier.iter().chain(&present);
        keys.extend(users.map(|user| batch::keys(user, profile, place, slug)[1]));
    }
    keys
}
