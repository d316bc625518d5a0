//! Proves: every feed is handed every record of its audience from its start on, in order and exactly once per life – however
//! jobs come, go, are full, are refused and tried again, and whatever the restarts in between; and what is settled stays settled.
//!
//! How: a log with holes in two partitions that grows, two naive readers that go where they are told, and a book of what each
//! feed was handed.

mod compacted;
mod first_pass;
mod health;
mod readers;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use model::AccountNumber;
use proptest::prelude::*;

use super::*;
use crate::clock::Time;

const SLUGS: [&str; 3] = ["vip", "risk", "news"];
const WORKSPACE: &str = "1234.main";

fn job(slug: usize, existing_users: bool, start: [i64; 2]) -> Arc<ExportJob> {
    let [first, second] = start;
    Arc::new(ExportJob {
        account: AccountNumber::new(1234).unwrap(),
        id: format!("job-{slug}-{first}-{second}-{existing_users}"),
        label: String::new(),
        description: String::new(),
        audiences: vec![SLUGS[slug].to_owned()],
        // Audiences 0 and 1 share an authorization.
        authorization: format!("auth-{}", slug / 2),
        identifiers: control::Identifiers::default(),
        existing_users,
        flush_after: std::time::Duration::ZERO,
        batch_updates_max: 75,
        coalesce: control::Coalesce::Latest,
        workspace: WORKSPACE.to_owned(),
        start: vec![(0, first), (1, second)],
        new_audiences: vec![SLUGS[slug].to_owned()],
        paused: false,
        resets: Vec::new(),
        create_time: Timestamp::UNIX_EPOCH,
        update_time: Timestamp::UNIX_EPOCH,
        revision: 1,
    })
}

fn grant() -> Grant {
    let key = "key".to_owned().into();
    Grant {
        revision: 1,
        credential: Ok(Arc::new(Credential {
            endpoint: braze::endpoint("US-01").unwrap(),
            key,
        })),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    /// So often, of both partitions in turn or of one.
    Read(Which, usize, Option<usize>),
    /// The job's feed holds too much, or does so no more.
    Full(usize),
    Settle(prop::sample::Index),
    Create {
        slug: usize,
        existing_users: bool,
    },
    Delete(usize),
    Refuse(usize),
    Probe,
    /// The job is paused, or resumed.
    Pause(usize),
    /// The job's record cannot be read, or can be again.
    Damage(usize),
    WriteDown,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..8usize).prop_map(Step::Publish),
        4 => (1..8usize, prop::option::of(0..2usize)).prop_map(|(polls, of)| Step::Read(Which::Live, polls, of)),
        4 => (1..8usize, prop::option::of(0..2usize)).prop_map(|(polls, of)| Step::Read(Which::CatchUp, polls, of)),
        3 => (0..SLUGS.len()).prop_map(Step::Full),
        5 => any::<prop::sample::Index>().prop_map(Step::Settle),
        2 => (0..SLUGS.len(), any::<bool>()).prop_map(|(slug, existing_users)| Step::Create { slug, existing_users }),
        1 => (0..SLUGS.len()).prop_map(Step::Delete),
        1 => (0..2usize).prop_map(Step::Refuse),
        2 => Just(Step::Probe),
        2 => (0..SLUGS.len()).prop_map(Step::Pause),
        2 => (0..SLUGS.len()).prop_map(Step::Damage),
        2 => Just(Step::WriteDown),
        1 => Just(Step::Restart),
    ]
}

/// A reader: where it is, and whether it has said that this is the end, by partition.
#[derive(Default)]
struct Naive {
    position: [i64; 2],
    said: [bool; 2],
    turn: usize,
}

/// A record: partition, offset, audience.
type Written = (usize, i64, usize);

/// The world around the feeds.
struct World {
    /// What is written, and what will be.
    log: Vec<Written>,
    future: Vec<Written>,
    feeds: Feeds,
    jobs: BTreeMap<usize, Arc<ExportJob>>,
    /// Jobs whose records cannot be read for now.
    damaged: BTreeMap<usize, Arc<ExportJob>>,
    unreadable: Arc<BTreeSet<String>>,
    full: BTreeSet<usize>,
    readers: [Naive; 2],
    polled: usize,
    written: HashMap<String, FeedProgress>,
    /// What was handed and not settled, by feed.
    open: BTreeSet<(FeedId, i32, i64)>,
    /// The last that was handed, by feed and partition, since it was attached.
    last: BTreeMap<(FeedId, i32), i64>,
    /// By job: places settled, and how often a restart forgot that.
    settled: BTreeMap<String, BTreeMap<(i32, i64), usize>>,
    forgotten: BTreeMap<String, BTreeMap<(i32, i64), usize>>,
    since: Vec<(String, (i32, i64))>,
}

impl World {
    /// Records are given by partition, distance to the one before, and audience.
    fn new(records: Vec<(usize, i64, usize)>) -> Self {
        let mut ends = [0, 0];
        let place = |(partition, distance, slug): (usize, i64, usize)| {
            ends[partition] += distance;
            (partition, ends[partition], slug)
        };
        Self {
            log: Vec::new(),
            future: records.into_iter().map(place).collect(),
            feeds: Feeds::new(2, HashMap::new()),
            jobs: BTreeMap::new(),
            damaged: BTreeMap::new(),
            unreadable: Arc::default(),
            full: BTreeSet::new(),
            readers: Default::default(),
            polled: 0,
            written: HashMap::new(),
            open: BTreeSet::new(),
            last: BTreeMap::new(),
            settled: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            since: Vec::new(),
        }
    }

    fn publish(&mut self, records: usize) {
        let records = records.min(self.future.len());
        self.log.extend(self.future.drain(..records));
    }

    /// One past the last record and its marker.
    fn ends(&self) -> [i64; 2] {
        [0, 1].map(|partition| {
            let written = self.log.iter().filter(|(of, ..)| *of == partition);
            written.map(|(_, offset, _)| offset + 2).max().unwrap_or(0)
        })
    }

    fn create(&mut self, slug: usize, existing_users: bool) {
        let job = job(slug, existing_users, self.ends());
        // A job never comes back under its old name.
        if !self.settled.contains_key(&job.id) {
            self.settled.insert(job.id.clone(), BTreeMap::new());
            self.jobs.insert(slug, job);
            self.apply();
        }
    }

    fn wanted(&self) -> JobSet {
        let authorizations = (0..2).map(|number| (format!("auth-{number}"), grant())).collect();
        JobSet {
            jobs: self.jobs.values().cloned().collect(),
            authorizations,
            unreadable: Arc::clone(&self.unreadable),
        }
    }

    fn apply(&mut self) {
        let ended = self.feeds.apply(WORKSPACE, &self.wanted());
        self.given_up(&ended);
    }

    fn given_up(&mut self, ids: &[FeedId]) {
        self.open.retain(|(feed, ..)| !ids.contains(feed));
        self.last.retain(|(feed, _), _| !ids.contains(feed));
    }

    fn damage(&mut self, slug: usize) {
        match self.damaged.remove(&slug) {
            Some(job) => drop(self.jobs.insert(slug, job)),
            None => self.damaged.extend(self.jobs.remove(&slug).map(|job| (slug, job))),
        }
        self.unreadable = Arc::new(self.damaged.values().map(|job| job.name()).collect());
        self.apply();
    }

    fn pause(&mut self, slug: usize) {
        if let Some(job) = self.jobs.get_mut(&slug) {
            let job = Arc::make_mut(job);
            (job.paused, job.revision) = (!job.paused, job.revision + 1);
            self.apply();
        }
    }

    /// One poll, as the pipeline does it. `false` if nothing came.
    fn poll(&mut self, which: Which) -> bool {
        self.poll_of(which, None)
    }

    /// A poll that brings something of this partition, if of any only.
    fn poll_of(&mut self, which: Which, of: Option<usize>) -> bool {
        if !self.feeds.readable(which) {
            return false;
        }
        let reader = &mut self.readers[which as usize];
        for (partition, offset) in self.feeds.take_seeks(which) {
            reader.position[partition as usize] = offset;
            reader.said[partition as usize] = false;
        }
        reader.turn += 1;
        let first = of.unwrap_or(reader.turn % 2);
        for partition in [first, of.unwrap_or(1 - first)] {
            let number = i32::try_from(partition).unwrap();
            let position = reader.position[partition];
            let next = self
                .log
                .iter()
                .find(|(of, offset, _)| *of == partition && *offset >= position);
            if let Some((_, offset, slug)) = next.copied() {
                reader.position[partition] = offset + 1;
                reader.said[partition] = false;
                self.polled += 1;
                self.take(which, number, offset, slug);
            } else if std::mem::replace(&mut reader.said[partition], true) {
                continue;
            } else {
                self.feeds.passed(which, number, position);
                self.feeds.ended(which, number);
            }
            self.feeds.join();
            return true;
        }
        false
    }

    fn take(&mut self, which: Which, partition: i32, offset: i64, slug: usize) {
        self.feeds.passed(which, partition, offset);
        let mut wanting = Vec::new();
        self.feeds
            .wanting(which, Some(SLUGS[slug]), partition, offset, &mut wanting);
        for id in wanting {
            assert!(self.open.insert((id, partition, offset)), "handed while it is open");
            let last = self.last.insert((id, partition), offset);
            assert!(last.is_none_or(|last| last < offset), "handed out of order");
            let feed = self.feeds.get_mut(id).unwrap();
            assert!(feed.is_served(), "handed while it is left out");
            assert!(!feed.job.paused, "handed while it is paused");
            feed.positions.hand(partition, offset);
        }
        self.feeds.passed(which, partition, offset + 1);
    }

    fn read_all(&mut self) {
        let mut polls = 0;
        while Which::BOTH.map(|which| self.poll(which)).contains(&true) {
            polls += 1;
            assert!(polls < 100_000, "it never ends");
        }
    }

    /// A job's feed holds too much, or does so no more.
    fn fill(&mut self) {
        let full = self.full.iter().map(|slug| SLUGS[*slug]).collect::<Vec<_>>();
        let lanes = self.feeds.iter().filter(|feed| full.contains(&&*feed.slug));
        let lanes: BTreeSet<_> = lanes.map(|feed| feed.lane).collect();
        self.feeds.fill(|lane, _, _| lanes.contains(&lane));
    }

    /// Braze takes every authorization again.
    fn probe(&mut self) {
        for (used, _) in self.feeds.probe(Time::from_millis(0)) {
            assert!(self.feeds.probed(&used, Probed::Taken, |_| Time::MAX));
        }
    }

    fn settle(&mut self, (id, partition, offset): (FeedId, i32, i64)) {
        self.open.remove(&(id, partition, offset));
        let Some(feed) = self.feeds.get_mut(id) else { return };
        assert!(feed.positions.settle(partition, offset));
        let (job, place) = (feed.job.id.clone(), (partition, offset));
        *self.settled.entry(job.clone()).or_default().entry(place).or_default() += 1;
        self.since.push((job, place));
    }

    fn write_down(&mut self, all: bool) {
        for key in std::mem::take(&mut self.feeds.tombstones) {
            self.written.remove(&key);
        }
        self.written.extend(self.feeds.written(WORKSPACE, all, &[]));
        self.since.clear();
    }

    fn restart(&mut self) {
        for (job, place) in self.since.drain(..) {
            *self.forgotten.entry(job).or_default().entry(place).or_default() += 1;
        }
        self.feeds = Feeds::new(2, self.written.clone());
        self.open.clear();
        self.last.clear();
        self.apply();
    }
}

fn check(records: Vec<(usize, i64, usize)>, steps: Vec<Step>) {
    let mut world = World::new(records);
    world.apply();
    for step in steps {
        match step {
            Step::Publish(records) => world.publish(records),
            Step::Read(which, polls, of) => {
                for _ in 0..polls {
                    world.poll_of(which, of);
                }
            }
            Step::Full(slug) => {
                if !world.full.remove(&slug) {
                    world.full.insert(slug);
                }
                world.fill();
            }
            Step::Settle(index) if !world.open.is_empty() => {
                let place = *index.get(&world.open.iter().copied().collect::<Vec<_>>());
                world.settle(place);
            }
            Step::Create { slug, existing_users }
                if !world.jobs.contains_key(&slug) && !world.damaged.contains_key(&slug) =>
            {
                world.create(slug, existing_users);
            }
            Step::Delete(slug) => {
                world.jobs.remove(&slug);
                world.apply();
            }
            Step::Damage(slug) => world.damage(slug),
            Step::Refuse(number) => {
                let until = |_| Time::from_millis(0);
                let name = format!("auth-{number}");
                let used = Used {
                    name,
                    revision: grant().revision,
                };
                let detached = world.feeds.refuse(&used, until, "401");
                world.given_up(&detached);
            }
            Step::Probe => {
                world.probe();
            }
            Step::Pause(slug) => world.pause(slug),
            Step::WriteDown => world.write_down(false),
            Step::Restart => world.restart(),
            Step::Settle(_) | Step::Create { .. } => {}
        }
    }
    for slug in world.damaged.keys().copied().collect::<Vec<_>>() {
        world.damage(slug);
    }
    let paused = world.jobs.iter().filter(|(_, job)| job.paused);
    for slug in paused.map(|(slug, _)| *slug).collect::<Vec<_>>() {
        world.pause(slug);
    }
    world.probe();
    world.full.clear();
    world.fill();
    world.publish(usize::MAX);
    world.read_all();
    assert!(!world.feeds.serves(Which::CatchUp), "they never join");
    for place in world.open.clone() {
        world.settle(place);
    }
    for (slug, job) in &world.jobs {
        let start = |partition: i32| {
            if job.existing_users {
                0
            } else {
                job.start[partition as usize].1
            }
        };
        let forgotten = world.forgotten.get(&job.id);
        for (partition, offset, of) in &world.log {
            let place = (i32::try_from(*partition).unwrap(), *offset);
            if of != slug || place.1 < start(place.0) {
                continue;
            }
            let times = world.settled[&job.id].get(&place).copied().unwrap_or(0);
            let again = forgotten
                .and_then(|forgotten| forgotten.get(&place))
                .copied()
                .unwrap_or(0);
            assert!(
                (1..=1 + again).contains(&times),
                "{} at {place:?}: settled {times} times",
                job.id
            );
        }
        let settled_before_start = world.settled[&job.id].keys().any(|place| place.1 < start(place.0));
        assert!(
            !settled_before_start,
            "{} was handed something from before its start",
            job.id
        );
    }
    world.write_down(true);
    let keys: BTreeSet<_> = world.written.keys().cloned().collect();
    let wanted = world
        .jobs
        .iter()
        .map(|(slug, job)| settle::feed_key(WORKSPACE, &job.id, SLUGS[*slug]))
        .collect();
    assert_eq!(keys, wanted, "progress of what has ended is cleared away");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_feed_is_handed_every_record_of_its_audience_once_and_in_order(
        records in proptest::collection::vec((0..2usize, prop_oneof![2..6i64, Just(5_000)], 0..SLUGS.len()), 1..60),
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        check(records, steps);
    }
}
