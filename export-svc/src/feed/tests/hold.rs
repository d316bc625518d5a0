//! Feeds that the clock holds, and those whose job has sent enough for now.

use std::time::Duration;

use control::{QuietWindow, UserCap};
use jiff::civil;
use jiff::tz::TimeZone;
use proto::export::v1::ExportJobState as State;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) fn first_hour() -> QuietWindow {
    let (start, end) = (civil::time(0, 0, 0, 0), civil::time(1, 0, 0, 0));
    QuietWindow::new(start, end, TimeZone::UTC).unwrap()
}

pub(super) fn hourly(adds_max: u64) -> UserCap {
    UserCap { adds_max, period: HOUR }
}

/// Job 0 with so many records of its own in one partition, and job 1 with one between them.
fn world(records: usize) -> World {
    let mut own = vec![(0, 2, 0); records];
    own.insert(1, (0, 2, 1));
    let mut world = World::new(own);
    world.create(0, false);
    world.create(1, false);
    world
}

fn feed(world: &World, slug: usize) -> &Feed {
    let mut feeds = world.feeds.iter();
    feeds.find(|feed| *feed.slug == *SLUGS[slug]).unwrap()
}

fn state(world: &World, slug: usize) -> (State, Option<Time>) {
    let feed = feed(world, slug);
    (world.feeds.condition(feed).0, world.feeds.resumes(feed))
}

/// How much of a job is open.
fn open(world: &World, slug: usize) -> usize {
    feed(world, slug).positions.open_len()
}

fn settle_all(world: &mut World) {
    for place in world.open.clone() {
        world.settle(place);
    }
}

/// Midnight, so many hours on.
fn at(hours: u32) -> Time {
    Time::from_millis(0) + hours * HOUR
}

#[test]
fn a_quiet_job_gives_up_what_it_has_pending_sleeps_and_reads_all_of_it_afterwards() {
    let mut world = world(3);
    world.later(23 * HOUR);
    world.set(0, |options| options.quiet_window = Some(first_hour()));
    world.publish(2);
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0)), (1, (State::Runnable, None)));
    assert_eq!(world.feeds.next_turn(), Some(at(24)));
    world.later(HOUR);
    assert_eq!(
        world.open.len(),
        1,
        "what was pending of it is given up, and of the other job not"
    );
    assert_eq!(state(&world, 0), (State::Sleeping, Some(at(25))));
    world.publish(2);
    world.read_all();
    assert_eq!(world.open.len(), 1, "nothing is read for it");
    assert_eq!(state(&world, 1), (State::Runnable, None));
    let written: HashMap<_, _> = world.feeds.written(WORKSPACE, true, &[]).into_iter().collect();
    let resumes = written.values().filter_map(|progress| progress.resume_time);
    assert_eq!(resumes.map(settle::from_timestamp).collect::<Vec<_>>(), [at(25)]);
    world.later(HOUR);
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0)), (3, (State::Runnable, None)));
}

#[test]
fn a_completed_job_says_so_keeps_its_position_and_goes_on_when_it_expires_later() {
    let mut world = world(3);
    let expires = |hours| Timestamp::from_millisecond(at(hours).as_millis()).ok();
    world.set(0, |options| options.expire_time = expires(2));
    world.publish(1);
    world.read_all();
    settle_all(&mut world);
    world.later(2 * HOUR);
    world.publish(3);
    world.read_all();
    let reason = |world: &World| world.feeds.condition(feed(world, 0)).1.map(str::to_owned);
    assert_eq!(state(&world, 0), (State::Completed, None));
    assert!(
        reason(&world).unwrap().starts_with("completed at 1970-01-01T02:00:00Z"),
        "{:?}",
        reason(&world)
    );
    assert_eq!(open(&world, 0), 0);
    world.write_down(false);
    world.restart(false);
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0)), (0, (State::Completed, None)));
    world.set(0, |options| options.expire_time = expires(3));
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0).0), (2, State::Runnable));
}

#[test]
fn beyond_its_cap_a_job_rests_until_the_next_period_and_what_it_was_handed_goes_on() {
    let mut world = world(5);
    world.set(0, |options| options.user_cap = Some(hourly(2)));
    world.publish(usize::MAX);
    world.read_all();
    assert_eq!((open(&world, 0), open(&world, 1)), (2, 1), "the other job reads on");
    assert_eq!(state(&world, 0), (State::Sleeping, Some(at(1))));
    settle_all(&mut world);
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0).0), (0, State::Sleeping));
    world.write_down(false);
    world.restart(false);
    world.read_all();
    assert_eq!(open(&world, 0), 0, "what was sent before the restart counts");
    world.later(HOUR);
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0).0), (2, State::Sleeping));
    // They are still on their way in the next period, and count in it.
    world.later(HOUR);
    world.read_all();
    assert_eq!(open(&world, 0), 2);
    settle_all(&mut world);
    world.later(HOUR);
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0).0), (1, State::Runnable));
}

#[test]
fn an_enter_that_is_read_again_is_not_counted_again_and_another_cap_holds_at_once() {
    let mut world = world(4);
    world.set(0, |options| options.user_cap = Some(hourly(2)));
    world.publish(2);
    world.read_all();
    assert_eq!(open(&world, 0), 1);
    world.pause(0);
    world.pause(0);
    world.publish(usize::MAX);
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0).0), (2, State::Sleeping));
    // Nothing of it has been sent: it is read again, and no more.
    world.pause(0);
    assert_eq!(world.open.len(), 1, "the other job's");
    world.pause(0);
    world.read_all();
    assert_eq!((world.open.len(), state(&world, 0).0), (3, State::Sleeping));
    world.set(0, |options| options.user_cap = Some(hourly(3)));
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0).0), (3, State::Sleeping));
    world.set(0, |options| options.user_cap = None);
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0)), (4, (State::Runnable, None)));
}

#[test]
fn what_does_not_become_an_enter_at_braze_leaves_room_for_others() {
    let mut world = world(4);
    world.set(0, |options| options.user_cap = Some(hourly(2)));
    world.publish(usize::MAX);
    world.read_all();
    let of_job = feed(&world, 0).lane;
    let places: Vec<_> = world.open.iter().copied().collect();
    let mut places = places
        .into_iter()
        .filter(|(id, ..)| world.feeds.get(*id).unwrap().lane == of_job);
    let (first, second) = (places.next().unwrap(), places.next().unwrap());
    drop(places);
    world.settle(first);
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0).0), (1, State::Sleeping));
    world.settle_as(second, false);
    world.read_all();
    assert_eq!(
        (open(&world, 0), state(&world, 0).0),
        (1, State::Sleeping),
        "another one"
    );
    settle_all(&mut world);
    world.read_all();
    assert_eq!((open(&world, 0), state(&world, 0)), (0, (State::Sleeping, Some(at(1)))));
}

#[test]
fn a_capped_job_whose_authorization_braze_does_not_take_has_no_time_at_which_it_goes_on() {
    let mut world = world(3);
    world.set(0, |options| options.user_cap = Some(hourly(1)));
    world.publish(usize::MAX);
    world.read_all();
    assert_eq!(state(&world, 0), (State::Sleeping, Some(at(1))));
    let (used, _) = world.feeds.caller("auth-0").unwrap();
    world.feeds.refuse(&used, |_| at(2), "401");
    assert_eq!(state(&world, 0), (State::Sleeping, None));
}
