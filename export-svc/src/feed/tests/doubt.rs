//! What waits while calls of a predecessor may still take effect.

use super::*;

/// A job of audience 0 that is not the first to export it, in doubt.
fn in_doubt() -> World {
    let mut world = World::new(vec![(0, 2, 0); 4]);
    world.feeds.in_doubt = true;
    world.publish(1);
    world.create(0, false);
    world
}

#[test]
fn whoever_may_follow_a_job_of_which_nothing_is_known_begins_when_the_doubt_is_over() {
    let mut world = in_doubt();
    world.publish(1);
    assert_eq!(world.feeds.iter().count(), 0);
    world.create(2, true);
    assert_eq!(world.feeds.iter().count(), 1, "no job before it exported that audience");
    // Somebody else who takes over meanwhile must not take it for a feed that goes on.
    world.write_down(true);
    world.restart(true);
    assert_eq!(world.feeds.iter().count(), 1);
    world.doubt(false);
    world.read_all();
    assert_eq!(world.open.len(), 1, "what came after its start");
}

#[test]
fn whoever_goes_on_where_a_predecessor_was_waits_for_nothing() {
    let mut world = in_doubt();
    world.doubt(false);
    world.write_down(true);
    world.restart(true);
    assert!(world.feeds.iter().all(Feed::is_served));
    assert_eq!(world.feeds.iter().count(), 1);
}

#[test]
fn a_reset_that_must_wait_interrupts_nothing_meanwhile() {
    let mut world = in_doubt();
    world.doubt(false);
    world.publish(2);
    world.read_all();
    let [first, second] = [0, 1].map(|index| world.open.iter().copied().nth(index).unwrap());
    world.settle(second);
    world.doubt(true);
    world.reset(0, vec![(0, second.2)]);
    let open = BTreeSet::from([first]);
    assert_eq!(world.open, open, "it leaves out what is open");
    assert!(Which::BOTH.iter().all(|which| !world.feeds.must_seek(*which)));
    world.settle(first);
    world.doubt(true);
    assert_eq!(
        world.feeds.iter().map(|feed| feed.reset).max(),
        Some(1),
        "now it leaves out nothing"
    );
    world.read_all();
    assert_eq!(world.open.len(), 1);
}
