//! What the guard of a feed forgets.

use super::*;

const NEWS: usize = 2;

/// A feed whose audience has so many members, as far as its guard knows.
fn world() -> (World, FeedId) {
    let mut world = World::new(Vec::new());
    world.create(NEWS, false);
    let (id, _) = world.feeds.feeds.iter().next().unwrap();
    count(&mut world, id);
    assert!(knows(&world, id));
    (world, id)
}

/// As many leave as may of the smallest audience, and the members are counted: 1,000.
fn count(world: &mut World, id: FeedId) {
    while leaves(world, id) {}
    let moves = world.feeds.get(id).unwrap().moves;
    assert_eq!(world.feeds.counted((id, moves), Ok(1_000), world.now), None);
}

/// Whether one more may leave.
fn leaves(world: &mut World, id: FeedId) -> bool {
    let next = world.feeds.get(id).unwrap().positions.next(0);
    world.feeds.admit_exit(id, 0, next, None, world.now)
}

/// Whether more may leave than of the smallest audience, because members were counted.
fn knows(world: &World, id: FeedId) -> bool {
    let mut guard = world.feeds.get(id).unwrap().guard.clone();
    let mut progress = FeedProgress::default();
    guard.write(&mut progress);
    guard.forget_members();
    guard != world.feeds.get(id).unwrap().guard && progress.guard.unwrap().members.is_some()
}

#[test]
fn members_are_forgotten_when_the_feed_goes_on_elsewhere() {
    let (mut world, id) = world();
    world.reset(NEWS, vec![(0, 0)]);
    assert!(!knows(&world, id));
}

#[test]
fn members_are_forgotten_when_somebody_leaves_uncounted_while_the_guard_is_off() {
    let (mut world, id) = world();
    let job = Arc::make_mut(world.jobs.get_mut(&NEWS).unwrap());
    (job.guard, job.revision) = (control::Guard::new(0), job.revision + 1);
    world.apply();
    assert!(leaves(&mut world, id), "nobody is counted");
    assert!(!knows(&world, id));
}

#[test]
fn what_its_job_removes_is_not_held_when_a_guard_holds_the_job() {
    let (mut world, id) = world();
    let job = Arc::make_mut(world.jobs.get_mut(&NEWS).unwrap());
    (job.last_number, job.revision) = (1, job.revision + 1);
    job.removals = vec![control::Removal {
        number: 1,
        audiences: vec![SLUGS[0].to_owned()],
    }];
    world.apply();
    while leaves(&mut world, id) {}
    let (held, _) = world.feeds.counted((id, 0), Ok(1), world.now).unwrap();
    assert_eq!(held, [id]);
    let removes = world.feeds.iter().find(|feed| feed.removing.is_some()).unwrap();
    assert!(removes.guard.held().is_none());
}
