//! Who is read for, by which of the two readers, and how often.

use super::*;

/// Records of audience 0 and 2 in turn, in both partitions, all published.
fn world(records: usize) -> World {
    let record = |number: usize| (number / 2 % 2, 2, number % 2 * 2);
    let mut world = World::new((0..2 * records).map(record).collect());
    world.publish(records);
    world
}

fn reader(world: &World, slug: usize) -> Option<Which> {
    world
        .feeds
        .iter()
        .find(|feed| &*feed.slug == SLUGS[slug])
        .and_then(|feed| feed.reader)
}

fn handed(world: &World, slug: usize) -> usize {
    let feeds = world.feeds.iter().filter(|feed| &*feed.slug == SLUGS[slug]);
    feeds.map(|feed| feed.positions.open_len()).sum()
}

#[test]
fn in_steady_state_every_record_is_read_once_however_many_jobs_there_are() {
    let mut world = world(40);
    for slug in 0..3 {
        world.create(slug, false);
    }
    world.publish(40);
    world.read_all();
    assert_eq!((world.polled, handed(&world, 0), handed(&world, 2)), (40, 20, 20));
    assert!(!world.feeds.serves(Which::CatchUp));
}

#[test]
fn the_backlog_of_a_new_job_stands_in_nobodys_way_and_it_joins_live_at_its_end() {
    let mut world = world(40);
    world.create(0, false);
    world.read_all();
    world.create(2, true);
    assert_eq!(
        (reader(&world, 0), reader(&world, 2)),
        (Some(Which::Live), Some(Which::CatchUp))
    );
    world.publish(40);
    // Catch-up is not polled at all.
    while world.poll(Which::Live) {}
    assert_eq!(handed(&world, 0), 20);
    world.read_all();
    assert_eq!((handed(&world, 0), handed(&world, 2)), (20, 40));
    assert_eq!(reader(&world, 2), Some(Which::Live));
}

#[test]
fn whoever_is_full_is_left_out_for_the_others_and_comes_back_by_catch_up() {
    let mut world = world(40);
    world.create(0, false);
    world.create(2, false);
    world.publish(10);
    world.read_all();
    world.full.insert(0);
    world.fill();
    assert_eq!(
        (reader(&world, 0), handed(&world, 0)),
        (None, 5),
        "it keeps what it was handed"
    );
    world.publish(30);
    world.read_all();
    assert_eq!((handed(&world, 0), handed(&world, 2)), (5, 20));
    world.full.clear();
    world.fill();
    assert_eq!(reader(&world, 0), Some(Which::CatchUp));
    world.read_all();
    assert_eq!((reader(&world, 0), handed(&world, 0)), (Some(Which::Live), 20));
}

#[test]
fn a_reader_all_of_whose_feeds_are_full_is_not_polled_and_goes_on_where_it_was() {
    let mut world = world(40);
    world.create(0, false);
    world.publish(40);
    world.full.insert(0);
    world.fill();
    assert!(!world.poll(Which::Live) && !world.poll(Which::CatchUp));
    assert_eq!(reader(&world, 0), Some(Which::Live));
    world.full.clear();
    world.fill();
    world.read_all();
    assert_eq!((handed(&world, 0), world.polled), (20, 40));
}

#[test]
fn what_a_left_out_feed_was_handed_is_read_again_if_its_authorization_is_refused() {
    let mut world = world(40);
    world.create(0, false);
    world.create(2, false);
    world.publish(10);
    world.read_all();
    world.full.insert(0);
    world.fill();
    let name = "auth-0".to_owned();
    let used = Used { name, revision: 1 };
    let given_up = world.feeds.refuse(&used, |_| Time::from_millis(0), "401");
    assert_eq!(given_up.len(), 1, "its changes are not to be sent");
    world.given_up(&given_up);
    world.full.clear();
    world.fill();
    world.probe();
    world.read_all();
    assert_eq!(world.open.len(), 10);
}

#[test]
fn an_end_that_was_seen_before_live_went_on_is_looked_at_again() {
    let mut world = world(40);
    world.create(0, false);
    world.create(2, true);
    while world.poll_of(Which::CatchUp, Some(0)) {}
    world.publish(40);
    while world.poll_of(Which::Live, Some(0)) {}
    while world.poll_of(Which::CatchUp, Some(1)) {}
    world.read_all();
    assert_eq!((reader(&world, 2), handed(&world, 2)), (Some(Which::Live), 40));
}

#[test]
fn live_rests_while_catch_up_takes_its_last_looks() {
    let mut world = world(40);
    world.create(0, false);
    world.create(2, true);
    // Behind the last record is a marker, so that only the ends can tell, and then each is looked at once more.
    while world.feeds.readable(Which::Live) {
        assert!(world.poll(Which::CatchUp));
    }
    assert!(world.poll_of(Which::CatchUp, Some(0)));
    world.publish(40);
    while world.poll(Which::Live) {}
    while world.poll_of(Which::CatchUp, Some(1)) {}
    world.read_all();
    assert_eq!((reader(&world, 2), handed(&world, 2)), (Some(Which::Live), 40));
}

#[test]
fn a_catch_up_that_is_full_in_its_last_looks_does_not_keep_live_waiting() {
    let mut world = world(40);
    world.create(0, false);
    world.create(2, true);
    while world.feeds.readable(Which::Live) {
        assert!(world.poll(Which::CatchUp));
    }
    world.full.insert(2);
    world.fill();
    world.publish(40);
    world.read_all();
    assert_eq!(handed(&world, 0), 20);
}
