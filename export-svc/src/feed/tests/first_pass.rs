//! When an exit of a first pass is needless, and for how long that is asked.

use super::*;

const KEYS: [u64; 2] = [0xdead_beef_0000_0001, 0xdead_beef_0000_0002];

/// A job of audience 0 that sends existing users, created at the end of ten records of it.
fn world() -> World {
    let mut world = World::new((0..20).map(|_| (0, 2, 0)).collect());
    world.publish(10);
    world.create(0, true);
    world
}

/// Whether the feed would leave out an exit at this offset, of whom no enter was handed on.
fn leaves_out(world: &mut World, offset: i64) -> bool {
    world.feeds.is_needless(world.feeds.newest(), 0, offset, false, &KEYS)
}

#[test]
fn an_exit_is_needless_below_the_start_unless_an_enter_of_the_profile_or_the_user_was_handed_on() {
    let mut world = world();
    assert!(leaves_out(&mut world, 4));
    assert!(!leaves_out(&mut world, 1_000), "it came after the job");
    let id = world.feeds.newest();
    assert!(!world.feeds.is_needless(id, 0, 6, true, &[KEYS[1], 5]), "an enter");
    assert!(!leaves_out(&mut world, 8), "one of two keys is known");
    assert!(world.feeds.is_needless(id, 0, 8, false, &KEYS[..1]));
}

#[test]
fn of_events_no_exit_below_the_start_is_sent_though_the_pass_was_interrupted() {
    let mut world = world();
    world.set(0, |options| {
        options.writes = control::Writes::Events(control::CustomEvents {
            name: "moved".to_owned(),
            time_field: None,
        });
    });
    world.write_down(false);
    world.restart(false);
    assert!(leaves_out(&mut world, 4));
    assert!(!leaves_out(&mut world, 1_000), "it came after the job");
    let id = world.feeds.newest();
    assert!(!world.feeds.is_needless(id, 0, 4, true, &KEYS), "a member");
}

#[test]
fn a_feed_that_is_left_out_for_a_while_still_knows_what_it_handed_on() {
    let mut world = world();
    world.create(2, false);
    world.full.insert(0);
    world.fill();
    world.full.clear();
    world.fill();
    let id = world
        .feeds
        .feeds
        .iter()
        .find(|(_, feed)| &*feed.slug == SLUGS[0])
        .map(|(id, _)| id);
    assert!(world.feeds.is_needless(id.unwrap(), 0, 4, false, &KEYS));
}

#[test]
fn after_a_restart_or_a_refusal_in_mid_pass_every_exit_is_handed_on() {
    let mut restarted = world();
    restarted.write_down(false);
    restarted.restart(false);
    assert!(!leaves_out(&mut restarted, 4));

    let mut detached = world();
    let name = "auth-0".to_owned();
    detached
        .feeds
        .refuse(&Used { name, revision: 1 }, |_| Time::from_millis(0), "401");
    detached.probe();
    assert!(!leaves_out(&mut detached, 4));
}

#[test]
fn what_a_predecessor_may_have_served_without_a_word_is_no_first_pass() {
    let mut world = World::new(vec![(0, 2, 0)]);
    world.publish(1);
    world.feeds.in_doubt = true;
    world.create(0, true);
    assert!(!leaves_out(&mut world, 2));
}

#[test]
fn an_audience_that_was_exported_before_has_no_needless_exits() {
    let mut world = World::new(vec![(0, 2, 0)]);
    world.publish(1);
    let job = ExportJob {
        new_audiences: Vec::new(),
        ..(*job(0, true, [4, 0])).clone()
    };
    world.settled.insert(job.id.clone(), BTreeMap::new());
    world.jobs.insert(0, Arc::new(job));
    world.apply();
    assert!(!leaves_out(&mut world, 2));
}

#[test]
fn the_first_pass_ends_at_the_start_and_the_filter_goes_with_the_last_one() {
    let mut world = world();
    let id = world.feeds.newest();
    world.feeds.is_needless(id, 0, 2, true, &KEYS);
    for _ in 0..3 {
        world.poll_of(Which::Live, Some(0));
    }
    world.feeds.end_first_passes();
    let left = |world: &World| world.feeds.left_of_pass(world.feeds.get(id).unwrap());
    assert!(world.feeds.remembers_enters() && left(&world) > 0);
    // Behind the last record is a marker: only the end shows that nothing is left.
    world.read_all();
    assert_eq!(left(&world), 0);
    world.feeds.end_first_passes();
    assert!(!world.feeds.remembers_enters() && !leaves_out(&mut world, 2));
}
