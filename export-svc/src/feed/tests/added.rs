//! Audiences that come to a job after it was created, or come back.

use control::Addition;

use super::*;

/// Lets audience 0 leave its job and come back before anybody has looked; the last number given is that of its addition.
fn come_back(world: &mut World) {
    let ends = world.ends();
    let job = Arc::make_mut(world.jobs.get_mut(&0).unwrap());
    job.last_number += 1;
    job.revision += 1;
    job.additions = vec![Addition {
        number: job.last_number,
        audiences: job.audiences.clone(),
        start: vec![(0, ends[0]), (1, ends[1])],
    }];
    job.new_audiences.clear();
}

fn open(world: &World) -> Vec<i64> {
    world.open.iter().map(|(_, _, offset)| *offset).collect()
}

#[test]
fn an_audience_that_comes_back_begins_anew_whether_or_not_anybody_saw_it_leave() {
    for restarted in [false, true] {
        for existing_users in [false, true] {
            let mut world = World::new(vec![(0, 2, 0); 4]);
            world.create(0, existing_users);
            world.publish(1);
            world.read_all();
            world.write_down(true);
            world.publish(1);
            come_back(&mut world);
            if restarted {
                world.restart(false);
            } else {
                world.apply();
            }
            world.publish(2);
            // The books of the tests are about one life of a feed.
            world.read_all();
            let expected: &[i64] = if existing_users { &[2, 4, 6, 8] } else { &[6, 8] };
            assert_eq!(open(&world), expected, "restarted: {restarted}");
            assert_eq!(world.feeds.iter().count(), 1);
            let key = settle::feed_key(WORKSPACE, &world.jobs[&0].id, SLUGS[0]);
            assert!(world.feeds.tombstones.contains(&key));
            world.write_down(false);
            assert_eq!(
                world.written[&key].reset, 1,
                "its new life is written behind the end of the old one"
            );
        }
    }
}

#[test]
fn an_audience_that_is_added_goes_through_none_of_the_resets_before_it() {
    let mut world = World::new(vec![(0, 2, 0); 3]);
    world.create(0, false);
    world.publish(2);
    world.reset(0, vec![(0, 0)]);
    Arc::make_mut(world.jobs.get_mut(&0).unwrap()).last_number = 1;
    come_back(&mut world);
    world.apply();
    world.publish(1);
    world.read_all();
    assert_eq!(open(&world), [6]);
}

#[test]
fn an_audience_that_comes_back_in_doubt_waits_until_it_is_over() {
    let mut world = World::new(vec![(0, 2, 0); 2]);
    world.create(0, false);
    world.write_down(true);
    come_back(&mut world);
    world.restart(true);
    assert_eq!(world.feeds.iter().count(), 0);
    world.doubt(false);
    assert_eq!(world.feeds.iter().count(), 1);
}
