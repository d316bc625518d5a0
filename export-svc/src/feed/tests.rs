//! Proves: every feed is handed every record of its audience from its start on, in order and exactly once per life – however
//! jobs come, go, are refused and tried again, and whatever the restarts in between; and what is settled stays settled.
//!
//! How: a log with holes in one partition, a naive reader that goes where it is told, and a book of what each feed was handed.

mod health;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use model::AccountNumber;
use proptest::prelude::*;

use super::*;
use crate::clock::Time;

const SLUGS: [&str; 3] = ["vip", "risk", "news"];
const WORKSPACE: &str = "1234.main";

fn job(slug: usize, existing_users: bool, start: i64) -> Arc<ExportJob> {
    Arc::new(ExportJob {
        account: AccountNumber::new(1234).unwrap(),
        id: format!("job-{slug}-{start}-{existing_users}"),
        label: String::new(),
        description: String::new(),
        audiences: vec![SLUGS[slug].to_owned()],
        // Audiences 0 and 1 share an authorization.
        authorization: format!("auth-{}", slug / 2),
        identifiers: control::Identifiers::default(),
        existing_users,
        flush_after: std::time::Duration::ZERO,
        batch_updates_max: 75,
        workspace: WORKSPACE.to_owned(),
        start: vec![(0, start)],
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
    Read(usize),
    Settle(prop::sample::Index),
    Create {
        slug: usize,
        existing_users: bool,
    },
    Delete(usize),
    Refuse(usize),
    Probe,
    /// The job's record cannot be read, or can be again.
    Damage(usize),
    WriteDown,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..6usize).prop_map(Step::Read),
        5 => any::<prop::sample::Index>().prop_map(Step::Settle),
        2 => (0..SLUGS.len(), any::<bool>()).prop_map(|(slug, existing_users)| Step::Create { slug, existing_users }),
        1 => (0..SLUGS.len()).prop_map(Step::Delete),
        1 => (0..2usize).prop_map(Step::Refuse),
        2 => Just(Step::Probe),
        2 => (0..SLUGS.len()).prop_map(Step::Damage),
        2 => Just(Step::WriteDown),
        1 => Just(Step::Restart),
    ]
}

/// The world around the feeds.
struct World {
    log: Vec<(i64, usize)>,
    feeds: Feeds,
    jobs: BTreeMap<usize, Arc<ExportJob>>,
    /// Jobs whose records cannot be read for now.
    damaged: BTreeMap<usize, Arc<ExportJob>>,
    unreadable: Arc<BTreeSet<String>>,
    position: i64,
    written: HashMap<String, FeedProgress>,
    /// What was handed and not settled, by feed.
    open: BTreeSet<(FeedId, i64)>,
    /// By job: offsets settled, and how often a restart forgot that.
    settled: BTreeMap<String, BTreeMap<i64, usize>>,
    forgotten: BTreeMap<String, BTreeMap<i64, usize>>,
    since: Vec<(String, i64)>,
}

impl World {
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
        self.open.retain(|(feed, _)| !ended.contains(feed));
        self.go();
    }

    fn damage(&mut self, slug: usize) {
        match self.damaged.remove(&slug) {
            Some(job) => drop(self.jobs.insert(slug, job)),
            None => self.damaged.extend(self.jobs.remove(&slug).map(|job| (slug, job))),
        }
        self.unreadable = Arc::new(self.damaged.values().map(|job| job.name()).collect());
        self.apply();
    }

    fn go(&mut self) {
        for (_, offset) in self.feeds.take_seeks() {
            self.position = offset;
        }
    }

    fn read(&mut self) -> bool {
        let next = self.log.iter().find(|(offset, _)| *offset >= self.position);
        let Some((offset, slug)) = next.copied().filter(|_| self.feeds.any_attached()) else {
            return false;
        };
        self.feeds.passed(0, offset);
        let mut wanting = Vec::new();
        self.feeds.wanting(Some(SLUGS[slug]), 0, offset, &mut wanting);
        for id in wanting {
            assert!(self.open.insert((id, offset)), "handed while it is open");
            let last = self.open.range((id, 0)..(id, offset)).next_back();
            assert!(last.is_none_or(|(_, last)| *last < offset));
            self.feeds.get_mut(id).unwrap().positions.hand(0, offset);
        }
        self.position = offset + 1;
        self.feeds.passed(0, offset + 1);
        true
    }

    /// Braze takes every authorization again.
    fn probe(&mut self) {
        for (used, _) in self.feeds.probe(Time::from_millis(0)) {
            assert!(self.feeds.probed(&used, Probed::Taken, |_| Time::MAX));
        }
        self.go();
    }

    fn settle(&mut self, id: FeedId, offset: i64) {
        self.open.remove(&(id, offset));
        let Some(feed) = self.feeds.get_mut(id) else { return };
        assert!(feed.positions.settle(0, offset));
        let job = feed.job.id.clone();
        *self.settled.entry(job.clone()).or_default().entry(offset).or_default() += 1;
        self.since.push((job, offset));
    }

    fn write_down(&mut self, all: bool) {
        for key in std::mem::take(&mut self.feeds.tombstones) {
            self.written.remove(&key);
        }
        self.written.extend(self.feeds.written(WORKSPACE, all, &[]));
        self.since.clear();
    }

    fn restart(&mut self) {
        for (job, offset) in self.since.drain(..) {
            *self.forgotten.entry(job).or_default().entry(offset).or_default() += 1;
        }
        self.feeds = Feeds::new(1, self.written.clone());
        self.open.clear();
        self.position = i64::MAX;
        self.apply();
    }
}

fn check(log: Vec<(i64, usize)>, steps: Vec<Step>) {
    let mut world = World {
        log,
        feeds: Feeds::new(1, HashMap::new()),
        jobs: BTreeMap::new(),
        damaged: BTreeMap::new(),
        unreadable: Arc::default(),
        position: i64::MAX,
        written: HashMap::new(),
        open: BTreeSet::new(),
        settled: BTreeMap::new(),
        forgotten: BTreeMap::new(),
        since: Vec::new(),
    };
    world.apply();
    for step in steps {
        match step {
            Step::Read(records) => {
                for _ in 0..records {
                    world.read();
                }
            }
            Step::Settle(index) if !world.open.is_empty() => {
                let (id, offset) = *index.get(&world.open.iter().copied().collect::<Vec<_>>());
                world.settle(id, offset);
            }
            Step::Create { slug, existing_users }
                if !world.jobs.contains_key(&slug) && !world.damaged.contains_key(&slug) =>
            {
                let start = if world.position == i64::MAX { 0 } else { world.position };
                let job = job(slug, existing_users, start);
                // A job never comes back under its old name.
                if !world.settled.contains_key(&job.id) {
                    world.settled.insert(job.id.clone(), BTreeMap::new());
                    world.jobs.insert(slug, job);
                    world.apply();
                }
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
                world.open.retain(|(feed, _)| !detached.contains(feed));
            }
            Step::Probe => {
                world.probe();
            }
            Step::WriteDown => world.write_down(false),
            Step::Restart => world.restart(),
            Step::Settle(_) | Step::Create { .. } => {}
        }
    }
    for slug in world.damaged.keys().copied().collect::<Vec<_>>() {
        world.damage(slug);
    }
    world.probe();
    while world.read() {}
    for (id, offset) in world.open.clone() {
        world.settle(id, offset);
    }
    for (slug, job) in &world.jobs {
        let start = if job.existing_users { 0 } else { job.start[0].1 };
        let forgotten = world.forgotten.get(&job.id);
        for (offset, _) in world.log.iter().filter(|(offset, of)| of == slug && *offset >= start) {
            let times = world.settled[&job.id].get(offset).copied().unwrap_or(0);
            let again = forgotten
                .and_then(|forgotten| forgotten.get(offset))
                .copied()
                .unwrap_or(0);
            assert!(
                (1..=1 + again).contains(&times),
                "{} at {offset}: settled {times} times",
                job.id
            );
        }
        let settled_before_start = world.settled[&job.id].keys().any(|offset| *offset < start);
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
        records in proptest::collection::btree_map(0i64..60, 0..SLUGS.len(), 1..40),
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        check(records.into_iter().collect(), steps);
    }
}
