//! How far a feed is from a record, for people who ask.

use super::*;

#[test]
fn what_a_feed_has_to_do_with_a_record_is_known_from_its_backlog_to_its_end() {
    // Audience 0 in partition 0, one record next to the other.
    let mut world = World::new((0..5).map(|_| (0, 1, 0)).collect());
    world.publish(5);
    world.create(1, false);
    world.read_all();
    world.create(0, true);
    let job = world.jobs[&0].name();
    let reading = |world: &World, offset| {
        let (_, feed) = world.feeds.of(&job, SLUGS[0]).unwrap();
        world.feeds.reading(feed, 0, offset)
    };
    let unread = |before, catch_up| Reading::Unread { before, catch_up };
    assert_eq!(reading(&world, 4), unread(4, true), "it has all before it to read");
    while reading(&world, 1) != Reading::Handed {
        assert!(world.poll(Which::CatchUp));
    }
    assert_eq!(
        (reading(&world, 4), reading(&world, 0)),
        (unread(2, true), Reading::Done)
    );
    let (id, _) = world.feeds.of(&job, SLUGS[0]).unwrap();
    world.settle((id, 0, 1));
    assert_eq!(reading(&world, 1), Reading::Done);
    world.read_all();
    let [end, _] = world.ends();
    assert_eq!(reading(&world, end + 3), unread(3, false), "what is still to come");
    world.pause(0);
    assert_eq!(reading(&world, 3), unread(1, false), "it is handed once more");
    assert!(world.feeds.of(&job, SLUGS[1]).is_none());
}
