//! Proves: whatever the interleaving of changes, closes, verdicts, unknown ends, retries and drains, and however Braze
//! delays and reorders what it applies (within the settle gap of its 2xx, and within the doubt of an unknown end), every
//! user ends with what the last change said – also where a profile is sent under two identifiers that are one user at Braze, and
//! where one record removes under an earlier identifier and says something else under the present one. Of the slug whose every
//! edge is wanted, each change is sent, in the order of the log: of a profile, and of a user; and so is each event, as an object of its
//! own.
//!
//! How: a naive last-write map beside the batch, and a Braze that applies each call at a random time within its bound, or,
//! if the end is unknown, perhaps never. On every close the test's own books say whether a person was in flight already and
//! whether an opposite value came too early.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use braze::{Identifier, Verdict};
use proptest::prelude::*;

use super::super::*;
use super::{DOUBT, GAP, at, limits, order};
use crate::order::Order;

const PROFILES: u8 = 5;
const SLUGS: [&str; 4] = ["vip", "risk", "news", "seen"];
/// The first slug whose every edge is wanted: as a value of the attribute, and then as an event.
const EDGES: usize = 2;
const EVENTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A change of a profile; `under` chooses among the identifiers that it may be sent under, and `before` among them, if it was
    /// another before.
    Change {
        profile: u8,
        before: Option<u8>,
        under: u8,
        slug: usize,
        add: bool,
    },
    Wait {
        millis: u64,
    },
    Close,
    End {
        which: usize,
        how: How,
        delay: u64,
    },
    /// A job is detached: everything pending is forgotten, to be read again.
    Reread,
}

#[derive(Clone, Debug)]
enum How {
    Accepted,
    /// Some objects accepted, the others to be retried.
    Mixed(u8),
    Refused,
    RefusedAndSplit,
    UnknownApplied,
    UnknownNotApplied,
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![
        3 => Just(How::Accepted),
        1 => any::<u8>().prop_map(How::Mixed),
        1 => Just(How::Refused),
        1 => Just(How::RefusedAndSplit),
        1 => Just(How::UnknownApplied),
        1 => Just(How::UnknownNotApplied),
    ];
    prop_oneof![
        6 => (0..PROFILES, proptest::option::weighted(0.3, 0..3u8), 0..3u8, 0..SLUGS.len(), any::<bool>())
            .prop_map(|(profile, before, under, slug, add)| Step::Change { profile, before, under, slug, add }),
        3 => (0..4_000u64).prop_map(|millis| Step::Wait { millis }),
        1 => (0..90_000u64).prop_map(|millis| Step::Wait { millis }),
        4 => Just(Step::Close),
        4 => (any::<usize>(), how, 0..60_000u64).prop_map(|(which, how, delay)| Step::End { which, how, delay }),
        1 => Just(Step::Reread),
    ]
}

/// Usually its own external id; sometimes one shared with the next profile, or a Braze id of its own.
fn identifier(profile: u8, under: u8) -> Identifier {
    match under {
        0 => Identifier::ExternalId(format!("cust-{profile}")),
        1 => Identifier::ExternalId(format!("shared-{}", profile / 2)),
        _ => Identifier::BrazeId(format!("braze-{profile}")),
    }
}

/// The user at Braze: a profile's own external id and its Braze id are one and the same.
fn user(identifier: &Identifier) -> String {
    match identifier {
        Identifier::ExternalId(id) => id.replace("cust-", "user-"),
        Identifier::BrazeId(id) => id.replace("braze-", "user-"),
        Identifier::Alias { name: id, .. } | Identifier::Email(id) | Identifier::Phone(id) => id.clone(),
    }
}

/// A slug of a user.
type Slot = (String, String);
/// An object: whom it is about, what is added, what is removed.
type Sent = (Identifier, Vec<String>, Vec<String>);

#[derive(Clone, Debug)]
struct Origin {
    number: usize,
    profile: u8,
}

/// Everything outside the batch: the log, Braze, and the books of what was sent.
struct World {
    batch: Batch<Origin>,
    order: Order,
    now: Time,
    /// Changes: profile, identifier, slug, value. A record that changes an identifier is two.
    log: Vec<(u8, u8, usize, bool)>,
    open: HashSet<usize>,
    /// Changes as they were sent, in order; several times, if they had to be.
    sent: Vec<usize>,
    last: HashMap<Slot, bool>,
    braze: HashMap<Slot, bool>,
    /// What Braze will still apply, by time.
    floating: BTreeMap<(Time, usize), (Slot, bool)>,
    /// How many there ever were: what is applied at the same time keeps its order.
    floated: usize,
    /// Requests in flight, with their objects: identifier, added, removed.
    in_flight: Vec<(RequestId, Vec<Sent>)>,
    /// Until when a value may still be applied to a user.
    may_come: HashMap<(Slot, bool), Time>,
}

impl World {
    fn new(objects_max: usize) -> Self {
        Self {
            batch: Batch::new(BatchLimits {
                objects_max,
                ..limits()
            }),
            order: order(),
            now: at(1_000),
            log: Vec::new(),
            open: HashSet::new(),
            sent: Vec::new(),
            last: HashMap::new(),
            braze: HashMap::new(),
            floating: BTreeMap::new(),
            floated: 0,
            in_flight: Vec::new(),
            may_come: HashMap::new(),
        }
    }

    fn hand(&mut self, number: usize) {
        let (profile, under, slug, add) = self.log[number];
        let change = Change {
            identifier: identifier(profile, under),
            profile: profile_key(profile.to_string().as_bytes()),
            lane: slug as LaneId,
            attribute: if slug == EVENTS { " event e" } else { control::ATTRIBUTE }.into(),
            slug: SLUGS[slug].into(),
            occurrence: (slug == EVENTS).then(|| super::occurrences::event(SLUGS[slug], add)),
            add,
            existing_only: false,
            every_edge: slug >= EDGES,
            flush_at: self.now + Duration::from_secs(5),
            bytes: 1,
            origin: Origin { number, profile },
        };
        if let Some(superseded) = self.batch.push(change, &self.order, self.now) {
            self.open.remove(&superseded.origin.number);
        }
    }

    fn wait(&mut self, time: Time) {
        self.now = self.now.max(time);
        while let Some(entry) = self.floating.first_entry()
            && entry.key().0 <= self.now
        {
            let (slot, add) = entry.remove();
            self.braze.insert(slot, add);
        }
        self.order.expire(self.now);
        self.batch.wake(&self.order, self.now);
    }

    fn close(&mut self, objects_max: usize) -> bool {
        let Some(request) = self.batch.close(&self.order, self.now) else {
            return false;
        };
        let mut objects = Vec::new();
        for object in self.batch.objects(request) {
            let (add, remove) = (super::texts(object.add), super::texts(object.remove));
            objects.push((object.identifier.clone(), add, remove));
        }
        assert!((1..=objects_max).contains(&objects.len()));
        let profiles = |request| {
            self.batch
                .origins(request)
                .map(|origin| origin.profile)
                .collect::<HashSet<_>>()
        };
        let mine = profiles(request);
        self.sent
            .extend(self.batch.origins(request).map(|origin| origin.number));
        let mut identifiers = HashSet::new();
        for (identifier, add, remove) in &objects {
            let is_event = is_event((add, remove));
            assert!(
                identifiers.insert((identifier, is_event)),
                "one object per user and request, and one event"
            );
            assert!(!is_event || add.len() + remove.len() == 1, "an event is of one change");
            assert!(!add.is_empty() || !remove.is_empty());
            assert!(add.iter().all(|slug| !remove.contains(slug)), "a slug in one list only");
            for (slug, add) in add
                .iter()
                .map(|slug| (slug, true))
                .chain(remove.iter().map(|slug| (slug, false)))
            {
                let opposite = self.may_come.get(&((user(identifier), slug.clone()), !add));
                assert!(
                    opposite.is_none_or(|until| *until <= self.now),
                    "{identifier:?} {slug}: too early"
                );
            }
        }
        for (other, others) in &self.in_flight {
            assert!(
                others
                    .iter()
                    .all(|(user, add, remove)| !identifiers.contains(&(user, is_event((add, remove))))),
                "a user twice in flight"
            );
            assert!(profiles(*other).is_disjoint(&mine), "a profile twice in flight");
        }
        self.in_flight.push((request, objects));
        true
    }

    fn end(&mut self, which: usize, how: &How, delay: u64) {
        if self.in_flight.is_empty() {
            return;
        }
        let (request, objects) = self.in_flight.remove(which % self.in_flight.len());
        let (end, bound) = match how {
            How::Accepted | How::Mixed(_) => (End::Accepted, GAP),
            How::Refused | How::RefusedAndSplit => (End::Refused, Duration::ZERO),
            How::UnknownApplied | How::UnknownNotApplied => (End::Unknown, DOUBT),
        };
        let mut verdicts = Vec::new();
        for (index, (identifier, add, remove)) in objects.into_iter().enumerate() {
            let accepted = match how {
                How::Accepted => true,
                How::Mixed(bits) => bits >> (index % 8) & 1 == 1,
                _ => false,
            };
            verdicts.push(if accepted { Verdict::Accepted } else { super::retry() });
            let applied = accepted || matches!(how, How::UnknownApplied);
            let slugs = add
                .into_iter()
                .map(|slug| (slug, true))
                .chain(remove.into_iter().map(|slug| (slug, false)));
            for (slug, add) in slugs {
                let slot = (user(&identifier), slug);
                if bound > Duration::ZERO {
                    let until = self.may_come.entry((slot.clone(), add)).or_insert(Time::MIN);
                    *until = (*until).max(self.now + bound);
                }
                if applied {
                    // Later objects sooner: the order in which Braze applies them is not ours.
                    let share = f64::from(u32::try_from(delay).unwrap()) / 60_001.0 / (1 + index) as f64;
                    let delay = bound.mul_f64(share);
                    self.floated += 1;
                    self.floating.insert((self.now + delay, self.floated), (slot, add));
                }
            }
        }
        let answer = Answer {
            time: self.now,
            status: None,
            message: "words".into(),
        };
        self.batch.answered(request, answer);
        let ending = Ending {
            end,
            verdicts,
            split: matches!(how, How::RefusedAndSplit),
        };
        for settled in self.batch.complete(request, ending, &mut self.order, self.now) {
            let edge = self.log[settled.origin.number].2 >= EDGES;
            assert!(!edge || settled.outcome == Outcome::Accepted, "{settled:?}");
            self.open.remove(&settled.origin.number);
        }
    }

    /// Everything pending is forgotten and handed again, in order: what a detached or restarted feed does.
    fn reread(&mut self) {
        self.batch.abandon(|_| true, &self.order, self.now);
        let mut open: Vec<_> = self.open.iter().copied().collect();
        open.sort_unstable();
        for number in open {
            self.hand(number);
        }
    }
}

/// Whether an object with these slugs is an event.
fn is_event((add, remove): (&[String], &[String])) -> bool {
    add.iter().chain(remove).any(|slug| slug == SLUGS[EVENTS])
}

/// Whether the edges of whoever is picked were sent as they stand in the log; a repeat is sent before the next one.
fn check_edges(world: &World, edge: usize, whose: impl Fn(u8, u8) -> bool) {
    let edges = |number: &usize| {
        let (profile, under, slug, _) = world.log[*number];
        slug == edge && whose(profile, under)
    };
    let mut sent: Vec<_> = world.sent.iter().copied().filter(edges).collect();
    sent.dedup();
    assert_eq!(sent, (0..world.log.len()).filter(edges).collect::<Vec<_>>());
}

fn check(steps: &[Step], objects_max: usize) {
    let mut world = World::new(objects_max);
    for step in steps {
        match step {
            Step::Change {
                profile,
                before,
                under,
                slug,
                add,
            } => {
                let removed = before.filter(|before| before != under).map(|before| (before, false));
                for (under, add) in removed.into_iter().chain([(*under, *add)]) {
                    world.log.push((*profile, under, *slug, add));
                    let number = world.log.len() - 1;
                    world.open.insert(number);
                    world
                        .last
                        .insert((user(&identifier(*profile, under)), SLUGS[*slug].into()), add);
                    world.hand(number);
                }
            }
            Step::Wait { millis } => world.wait(world.now + Duration::from_millis(*millis)),
            Step::Close => {
                world.close(objects_max);
            }
            Step::End { which, how, delay } => world.end(*which, how, *delay),
            Step::Reread => world.reread(),
        }
    }
    world.batch.drain();
    let mut rounds = 0;
    while world.batch.pending() > 0 || !world.in_flight.is_empty() {
        rounds += 1;
        assert!(rounds < 10_000, "it never comes to rest");
        while world.close(objects_max) {}
        let next = world.batch.next_wake();
        if world.in_flight.is_empty() {
            world.wait(next.expect("pending changes wait for something"));
        }
        world.end(0, &How::Accepted, 2_999);
    }
    assert!(world.open.is_empty(), "every change is settled");
    world.wait(world.now + DOUBT);
    for (slot, add) in &world.last {
        assert_eq!(world.braze.get(slot), Some(add), "{slot:?}");
    }
    for (edge, one) in (EDGES..SLUGS.len()).flat_map(|edge| (0..PROFILES).map(move |one| (edge, one))) {
        check_edges(&world, edge, |profile, _| profile == one);
        for under in 0..3 {
            let user = identifier(one, under);
            check_edges(&world, edge, |profile, under| identifier(profile, under) == user);
        }
    }
    assert_eq!(world.batch.occurrences, 0);
    assert!(world.batch.targets.is_empty() && world.batch.people.is_empty() && world.batch.edges.is_empty());
    assert!(world.batch.answers.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_user_ends_with_what_the_last_change_said(
        steps in proptest::collection::vec(step(), 1..120),
        objects_max in 1..4usize,
    ) {
        check(&steps, objects_max);
    }
}
