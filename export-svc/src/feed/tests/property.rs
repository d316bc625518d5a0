//! Proves: every feed is handed every record of its audience from its start on, in order and exactly once per life – however
//! jobs come, go, are full, are refused and tried again, and whatever the restarts in between; and what is settled stays settled.
//! Whoever the clock holds, or a user cap, is handed nothing meanwhile, and everything afterwards.
//! A reset begins another life: from its place on everything is handed once more, and nothing before it.

use std::time::Duration;

use super::*;

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
    /// The job is quiet in the first hour of the day, or completed from now on, or neither.
    Hold(usize, Option<bool>),
    /// It may send so many an hour, or any number.
    Cap(usize, Option<u64>),
    /// So many minutes later.
    Later(u64),
    /// The job's record cannot be read, or can be again.
    Damage(usize),
    WriteDown,
    /// Whether the next owner does not know what this one has sent last.
    Restart(bool),
    /// What that may be is over.
    Sure,
    /// The job goes on elsewhere, in both partitions or in one.
    Reset {
        slug: usize,
        to: [prop::sample::Index; 2],
        of: Option<usize>,
    },
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
        2 => (0..SLUGS.len(), any::<Option<bool>>()).prop_map(|(slug, hold)| Step::Hold(slug, hold)),
        2 => (0..SLUGS.len(), prop::option::of(1..4u64)).prop_map(|(slug, adds)| Step::Cap(slug, adds)),
        2 => (1..1_000u64).prop_map(Step::Later),
        2 => (0..SLUGS.len()).prop_map(Step::Damage),
        2 => Just(Step::WriteDown),
        1 => any::<bool>().prop_map(Step::Restart),
        2 => Just(Step::Sure),
        2 => (0..SLUGS.len(), any::<[prop::sample::Index; 2]>(), prop::option::of(0..2usize))
            .prop_map(|(slug, to, of)| Step::Reset { slug, to, of }),
    ]
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
            Step::Hold(slug, hold) => {
                let now = Timestamp::from_millisecond(world.now.as_millis()).unwrap();
                world.set(slug, |options| {
                    options.quiet_window = (hold == Some(true)).then(hold::first_hour);
                    options.expire_time = (hold == Some(false)).then_some(now);
                });
            }
            Step::Cap(slug, adds) => world.set(slug, |options| options.user_cap = adds.map(hold::hourly)),
            Step::Later(minutes) => world.later(Duration::from_secs(60 * minutes)),
            Step::WriteDown => world.write_down(false),
            Step::Restart(in_doubt) => world.restart(in_doubt),
            Step::Sure => world.doubt(false),
            Step::Reset { slug, to, of } => {
                let ends = world.ends();
                let anywhere = |partition: usize| {
                    i64::try_from(to[partition].index(usize::try_from(ends[partition]).unwrap() + 1))
                };
                let named = (0..2).filter(|partition| of.is_none_or(|of| of == *partition));
                let place = |partition| (i32::try_from(partition).unwrap(), anywhere(partition).unwrap());
                world.reset(slug, named.map(place).collect());
            }
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
    for slug in 0..SLUGS.len() {
        world.set(slug, |options| *options = control::Options::default());
    }
    world.doubt(false);
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
            let resets = job.resets.iter().flat_map(|reset| &reset.offsets);
            let of_it = |(of, offset): &(i32, i64)| (*of == partition).then_some(*offset);
            if let Some(last) = resets.filter_map(of_it).next_back() {
                last
            } else if job.existing_users {
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
