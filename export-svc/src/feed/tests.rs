//! The world around the feeds of the tests: a log with holes in two partitions that grows, two naive readers that go where they
//! are told, and a book of what each feed was handed.

mod added;
mod caught_up;
mod compacted;
mod doubt;
mod first_pass;
mod guard;
mod health;
mod hold;
mod oldest;
mod property;
mod readers;
mod reading;
mod removal;
mod trouble;

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
        events: control::AudienceEvents::Both,
        options: control::Options::default(),
        workspace: WORKSPACE.to_owned(),
        start: vec![(0, first), (1, second)],
        // To the others another job may have been first.
        new_audiences: Vec::from_iter(existing_users.then(|| SLUGS[slug].to_owned())),
        paused: false,
        killed: false,
        bounces: 0,
        guard: control::Guard::new(20),
        resets: Vec::new(),
        additions: Vec::new(),
        redrive: None,
        removals: Vec::new(),
        last_number: 0,
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
    now: Time,
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
            now: Time::from_millis(0),
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
            budget: control::Budget::default(),
            unreadable: Arc::clone(&self.unreadable),
        }
    }

    fn apply(&mut self) {
        self.feeds.now = self.now;
        let ended = self.feeds.apply(WORKSPACE, &self.wanted());
        self.given_up(&ended);
        let of = |feeds: &Feeds, id: &FeedId| feeds.get(*id).map(|feed| feed.reset);
        let ids: Vec<_> = self.feeds.feeds.iter().map(|(id, _)| id).collect();
        let before: BTreeMap<_, _> = ids.iter().map(|id| (*id, of(&self.feeds, id))).collect();
        let moved = self.feeds.reset();
        self.given_up(&moved);
        for id in moved {
            let feed = self.feeds.get(id).unwrap();
            let done = feed.job.resets.iter().filter(|reset| reset.number <= feed.reset);
            let gone_through = done.filter(|reset| Some(reset.number) > before[&id]);
            let elsewhere: BTreeSet<_> = gone_through
                .flat_map(|reset| &reset.offsets)
                .map(|(partition, _)| *partition)
                .collect();
            // What was settled there says nothing of what is handed now.
            let job = feed.job.id.clone();
            for book in [&mut self.settled, &mut self.forgotten] {
                let known = book.entry(job.clone()).or_default();
                known.retain(|(partition, _), _| !elsewhere.contains(partition));
            }
            self.since
                .retain(|(of, (partition, _))| *of != job || !elsewhere.contains(partition));
        }
    }

    /// Calls of a predecessor may still take effect, or cannot any more.
    fn doubt(&mut self, in_doubt: bool) {
        self.feeds.in_doubt = in_doubt;
        self.apply();
    }

    /// The job goes on at these offsets.
    fn reset(&mut self, slug: usize, offsets: Vec<(i32, i64)>) {
        if let Some(job) = self.jobs.get_mut(&slug) {
            let job = Arc::make_mut(job);
            job.revision += 1;
            job.last_number += 1;
            job.resets.push(Reset {
                number: job.last_number,
                audiences: Vec::new(),
                offsets,
                time: Timestamp::UNIX_EPOCH,
            });
            self.apply();
        }
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

    /// The job has other options.
    fn set(&mut self, slug: usize, change: impl Fn(&mut control::Options)) {
        if let Some(job) = self.jobs.get_mut(&slug) {
            let job = Arc::make_mut(job);
            change(&mut job.options);
            job.revision += 1;
            self.apply();
        }
    }

    /// So much later.
    fn later(&mut self, wait: std::time::Duration) {
        self.now = self.now + wait;
        if self.feeds.next_turn().is_some_and(|turn| turn <= self.now) {
            let held = self.feeds.keep_time(self.now);
            self.given_up(&held);
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
            .wanting(which, Some(SLUGS[slug].as_bytes()), partition, offset, &mut wanting);
        for id in wanting {
            // All are enters.
            if !self.feeds.may_add(id, partition, offset, self.now) {
                continue;
            }
            assert!(self.open.insert((id, partition, offset)), "handed while it is open");
            let last = self.last.insert((id, partition), offset);
            assert!(last.is_none_or(|last| last < offset), "handed out of order");
            let feed = self.feeds.get_mut(id).unwrap();
            assert!(feed.is_served(), "handed while it is left out");
            assert!(!feed.job.paused, "handed while it is paused");
            assert!(feed.hold.is_none(), "handed while the clock holds it");
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
        self.feeds.fill(|feed, _| lanes.contains(&feed.lane));
    }

    /// Braze takes every authorization again.
    fn probe(&mut self) {
        for (used, _) in self.feeds.probe(Time::from_millis(0)) {
            assert!(self.feeds.probed(&used, Probed::Taken, |_| Time::MAX));
        }
    }

    fn settle(&mut self, place: (FeedId, i32, i64)) {
        self.settle_as(place, true);
    }

    /// `added`: as an enter that Braze has accepted.
    fn settle_as(&mut self, (id, partition, offset): (FeedId, i32, i64), added: bool) {
        self.open.remove(&(id, partition, offset));
        let Some(feed) = self.feeds.get_mut(id) else { return };
        assert!(feed.positions.settle(partition, offset));
        self.feeds.count_add(id, partition, offset, added);
        let Some(feed) = self.feeds.get(id) else { return };
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

    /// `in_doubt`: nobody has released the workspace.
    fn restart(&mut self, in_doubt: bool) {
        for (job, place) in self.since.drain(..) {
            *self.forgotten.entry(job).or_default().entry(place).or_default() += 1;
        }
        self.feeds = Feeds::new(2, self.written.clone());
        self.open.clear();
        self.last.clear();
        self.doubt(in_doubt);
    }
}
