//! Audiences that have left their job, and whose slugs are removed.

use std::time::Duration;

use control::{Addition, Removal};

use super::*;

const LAG: Option<Duration> = Some(Duration::from_secs(60));

/// A job of audience 0 that has settled so many records, all of the four that there are or will be.
fn settled(records: usize) -> World {
    let mut world = World::new(vec![(0, 2, 0); 4]);
    world.create(0, true);
    world.publish(records);
    world.read_all();
    settle_all(&mut world);
    world
}

fn settle_all(world: &mut World) {
    for place in world.open.clone() {
        world.settle(place);
    }
}

/// Lets audience 0 leave its job, which has no other.
fn remove(world: &mut World) {
    let job = Arc::make_mut(world.jobs.get_mut(&0).unwrap());
    job.last_number += 1;
    job.revision += 1;
    job.removals = vec![Removal {
        number: job.last_number,
        audiences: std::mem::take(&mut job.audiences),
    }];
    world.apply();
}

/// Somebody tells where the topic ends now.
fn tell_ends(world: &mut World) {
    let ends = world.ends();
    world.feeds.remove_until(&ends, world.now);
}

fn open(world: &World) -> Vec<i64> {
    world.open.iter().map(|(_, _, offset)| *offset).collect()
}

fn the_one(world: &World) -> &Feed {
    assert_eq!(world.feeds.iter().count(), 1);
    world.feeds.iter().next().unwrap()
}

#[test]
fn it_reads_from_the_beginning_to_the_end_of_then_and_is_done_when_everything_is_settled() {
    let mut world = settled(2);
    world.publish(1);
    world.later(Duration::from_secs(1));
    remove(&mut world);
    assert!(!the_one(&world).is_served(), "how far it is to go is not known");
    let wanted = world.feeds.ends_wanted();
    assert_eq!(wanted, Some(world.now));
    let ends = world.ends();
    world.feeds.remove_until(&ends, Time::from_millis(0));
    assert!(!the_one(&world).is_served(), "that was asked before");
    tell_ends(&mut world);
    assert_eq!(world.feeds.ends_wanted(), None);
    world.publish(1);
    world.read_all();
    assert_eq!(open(&world), [2, 4, 6, 8], "from the beginning");
    let removing = the_one(&world).removing.clone().unwrap();
    let wants = |offset| (removing.wants(true, 0, offset), removing.wants(false, 0, offset));
    assert_eq!(
        [2, 4, 6, 8].map(wants),
        [(true, false), (true, false), (true, true), (false, false)],
        "exits from where the job stood, and nothing behind the end"
    );
    assert!(world.feeds.end_removals(LAG, world.now).is_empty());
    settle_all(&mut world);
    assert_eq!(world.feeds.end_removals(LAG, world.now).len(), 1);
    assert!(the_one(&world).has_removed() && !the_one(&world).is_served());
    assert!(world.feeds.end_removals(LAG, world.now).is_empty(), "once");
    // For ever: another job may have the audience by now.
    world.write_down(true);
    world.restart(false);
    world.read_all();
    assert!(the_one(&world).has_removed() && world.open.is_empty());
}

#[test]
fn a_successor_that_knows_less_of_the_job_than_its_predecessor_waits_until_it_knows_as_much() {
    let mut world = settled(2);
    let before = world.jobs.clone();
    remove(&mut world);
    tell_ends(&mut world);
    world.write_down(true);
    let after = std::mem::replace(&mut world.jobs, before);
    world.restart(false);
    world.read_all();
    assert_eq!(world.feeds.iter().count(), 0, "it would add");
    world.jobs = after;
    world.apply();
    world.read_all();
    assert!(the_one(&world).removing.is_some());
    assert_eq!(open(&world), [2, 4]);
}

#[test]
fn a_removal_waits_until_nothing_that_an_earlier_owner_has_sent_can_take_effect_and_forgets_nothing() {
    let mut world = settled(2);
    world.write_down(true);
    let key = settle::feed_key(WORKSPACE, &world.jobs[&0].id, SLUGS[0]);
    world.restart(true);
    remove(&mut world);
    assert_eq!(world.feeds.iter().count(), 0);
    assert!(
        !world.feeds.tombstones.contains(&key),
        "where the job stood is still needed"
    );
    world.doubt(true);
    world.doubt(false);
    tell_ends(&mut world);
    assert!(
        !the_one(&world).removing.as_ref().unwrap().wants(false, 0, 4),
        "it is known"
    );
    world.read_all();
    assert_eq!(open(&world), [2, 4]);
    world.settle(world.open.iter().next().copied().unwrap());
    world.write_down(true);
    world.restart(true);
    assert_eq!(world.feeds.iter().count(), 0);
    world.doubt(false);
    world.read_all();
    assert_eq!(open(&world), [4], "it goes on where it was");
    settle_all(&mut world);
    assert_eq!(world.feeds.end_removals(LAG, world.now).len(), 1);
}

#[test]
fn one_that_takes_longer_than_the_topic_keeps_every_record_goes_on_to_what_is_the_end_by_then() {
    let mut world = settled(2);
    remove(&mut world);
    tell_ends(&mut world);
    world.publish(1);
    world.read_all();
    settle_all(&mut world);
    world.later(Duration::from_secs(60));
    assert!(world.feeds.end_removals(LAG, world.now).is_empty());
    assert_eq!(world.feeds.ends_wanted(), Some(world.now));
    tell_ends(&mut world);
    // The book takes what it is handed again for out of order.
    world.last.clear();
    world.read_all();
    assert_eq!(open(&world), [6], "what came behind its first end");
    assert!(the_one(&world).removing.as_ref().unwrap().wants(false, 0, 6));
    settle_all(&mut world);
    assert_eq!(world.feeds.end_removals(LAG, world.now).len(), 1);
}

/// Of another job the reader has said that it is at the end, where it is not any more.
#[test]
fn it_ends_where_its_reader_has_come_to_since_and_not_where_that_was_at_an_end_before() {
    let mut world = World::new(vec![(0, 2, 0); 4]);
    world.create(2, false);
    world.create(0, true);
    world.publish(2);
    world.read_all();
    settle_all(&mut world);
    world.publish(1);
    remove(&mut world);
    for round in 0..2 {
        tell_ends(&mut world);
        world.last.clear();
        while world.poll(Which::CatchUp) {}
        settle_all(&mut world);
        assert!(world.feeds.end_removals(LAG, world.now).is_empty(), "round {round}");
        world.read_all();
        assert_eq!(open(&world), [6 + 2 * round]);
        settle_all(&mut world);
        // It is over with the second round.
        world.later(Duration::from_secs(60) * u32::from(round == 0));
        assert_eq!(world.feeds.end_removals(LAG, world.now).len() as i64, round);
        world.publish(1);
    }
}

#[test]
fn one_whose_next_records_the_topic_has_lost_goes_on_with_the_first_there_is() {
    let mut world = settled(4);
    remove(&mut world);
    tell_ends(&mut world);
    while open(&world).len() < 2 {
        world.poll(Which::Live);
    }
    world.settle(world.open.iter().next().copied().unwrap());
    world.write_down(true);
    for (first, left) in [(6, &[6, 8][..]), (10, &[])] {
        world.restart(false);
        assert_eq!(the_one(&world).positions.read_from(0), 4);
        world.feeds.take_seeks(Which::Live);
        world.log.retain(|(_, offset, _)| *offset >= first);
        let stuck = world.feeds.offset_gone(Which::Live, 0, (first, 10), |_| String::new());
        assert_eq!(stuck, [0; 0]);
        if left.is_empty() {
            // Of where it is the client says nothing, for there is no record.
            (0..2).for_each(|partition| world.feeds.ended(Which::Live, partition));
        } else {
            world.read_all();
        }
        assert_eq!(open(&world), left);
        settle_all(&mut world);
        assert_eq!(world.feeds.end_removals(LAG, world.now).len(), 1);
    }
}

#[test]
fn a_removal_adds_nobody_and_keeps_no_change_that_the_job_has_kept() {
    use model::Action::{Enter, Exit};
    let course = |world: &World, action, offset, is_named| the_one(world).course(action, 0, offset, is_named);
    let (added, removed) = (Course::Sent { add: true }, Course::Sent { add: false });
    let mut world = settled(2);
    for (action, is_named, expected) in [
        (Enter, true, added),
        (Exit, true, removed),
        (Exit, false, Course::Nameless),
    ] {
        assert_eq!(course(&world, action, 2, is_named), expected);
    }
    let job = Arc::make_mut(world.jobs.get_mut(&0).unwrap());
    (job.events, job.revision) = (control::AudienceEvents::Exits, job.revision + 1);
    world.apply();
    assert_eq!(course(&world, Enter, 2, true), Course::Omitted);
    remove(&mut world);
    tell_ends(&mut world);
    for (action, offset, is_named, expected) in [
        (Enter, 2, true, removed),
        (Enter, 2, false, Course::Omitted),
        (Exit, 4, true, Course::Passed),
        (Exit, 5, true, removed),
        (Enter, 6, true, Course::Passed),
    ] {
        assert_eq!(
            course(&world, action, offset, is_named),
            expected,
            "{action:?} {offset}"
        );
    }
}

/// Makes another job of one.
type Change = fn(&mut ExportJob);

/// What was written down of it is lost, or says that it goes on.
#[test]
fn one_whose_audience_another_job_exports_to_there_by_now_is_over_whatever_is_known_of_it() {
    let mut world = settled(2);
    remove(&mut world);
    let changes: [(bool, Change); 5] = [
        (true, |_| {}),
        (true, |heir| heir.paused = true),
        (false, |heir| heir.killed = true),
        (false, |heir| heir.options.attribute = "another".to_owned()),
        (false, |heir| heir.audiences = vec![SLUGS[1].to_owned()]),
    ];
    for (is_over, change) in changes {
        for is_written in [false, true] {
            world.jobs.remove(&9);
            world.written.clear();
            world.restart(false);
            assert_eq!(world.feeds.ends_wanted(), Some(world.now));
            tell_ends(&mut world);
            if is_written {
                world.write_down(true);
            }
            let mut heir = (*job(0, true, [9, 9])).clone();
            change(&mut heir);
            world.jobs.insert(9, Arc::new(heir.clone()));
            world.restart(false);
            let mut feeds = world.feeds.iter();
            let removes = feeds.find(|feed| feed.removing.is_some()).unwrap();
            assert_eq!(removes.has_removed(), is_over, "{is_written}, {heir:?}");
            assert!(!is_over || world.feeds.ends_wanted().is_none());
        }
    }
}

#[test]
fn an_audience_that_comes_back_after_it_was_removed_begins_anew() {
    let mut world = settled(2);
    remove(&mut world);
    tell_ends(&mut world);
    world.read_all();
    settle_all(&mut world);
    world.feeds.end_removals(LAG, world.now);
    let ends = world.ends();
    let job = Arc::make_mut(world.jobs.get_mut(&0).unwrap());
    job.last_number += 1;
    job.revision += 1;
    job.audiences = std::mem::take(&mut job.removals).remove(0).audiences;
    job.additions = vec![Addition {
        number: job.last_number,
        audiences: job.audiences.clone(),
        start: vec![(0, ends[0]), (1, ends[1])],
    }];
    world.apply();
    assert!(the_one(&world).removing.is_none() && the_one(&world).is_served());
    world.read_all();
    assert_eq!(open(&world), [2, 4], "its members, of whom nobody has the slug");
}
