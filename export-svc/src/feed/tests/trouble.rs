//! Feeds that meet errors, and fail of them.

use std::time::Duration;

use proto::export::v1::ExportJobState;

use super::*;

const PATIENCE: Patience = Patience {
    apart_max: Duration::from_secs(100),
    fail_after: Duration::from_secs(1_000),
};

fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1_000)
}

/// Two jobs: of audience 0, and of audience 2 under another authorization.
fn world() -> World {
    let mut world = World::new(vec![(0, 2, 0), (0, 2, 2), (1, 2, 0)]);
    world.create(0, false);
    world.create(2, false);
    world
}

fn of(world: &World, slug: usize) -> FeedId {
    let mut feeds = world.feeds.feeds.iter();
    feeds.find(|(_, feed)| *feed.slug == *SLUGS[slug]).unwrap().0
}

fn state(world: &World, slug: usize) -> ExportJobState {
    let feed = world.feeds.get(of(world, slug)).unwrap();
    world.feeds.condition(feed).0
}

/// An error of audience 0's feed; whether it fails with that.
fn err(world: &mut World, seconds: i64) -> bool {
    let id = of(world, 0);
    world.feeds.hold_up(&[id], "503");
    let failed = world.feeds.err(&[id], "503", PATIENCE, at(seconds));
    world.given_up(&failed);
    failed == [id]
}

fn bounce(world: &mut World) -> Vec<FeedId> {
    Arc::make_mut(world.jobs.get_mut(&0).unwrap()).bounces += 1;
    world.apply();
    world.feeds.bounce()
}

#[test]
fn a_feed_sleeps_between_errors_and_fails_when_there_was_nothing_else_for_too_long() {
    let mut world = world();
    for seconds in (0..1_000).step_by(100) {
        assert!(!err(&mut world, seconds));
        assert_eq!(state(&world, 0), ExportJobState::Sleeping);
    }
    assert!(err(&mut world, 1_000));
    assert_eq!(
        [state(&world, 0), state(&world, 2)],
        [ExportJobState::Failed, ExportJobState::Runnable]
    );
    world.publish(3);
    world.read_all();
    let handed: Vec<_> = world.open.iter().map(|(id, ..)| *id).collect();
    assert_eq!(handed, [of(&world, 2)], "who has failed is handed nothing");
}

#[test]
fn errors_are_consecutive_if_nothing_went_well_between_them_and_something_was_tried() {
    let mut world = world();
    err(&mut world, 0);
    let id = of(&world, 0);
    assert!(world.feeds.went_well([id].into_iter()));
    assert!(!world.feeds.went_well([id].into_iter()), "it is known already");
    assert_eq!(state(&world, 0), ExportJobState::Runnable);
    for first in [950, 2_000] {
        // The last error before was 50 s ago and forgiven, or is long past.
        for seconds in (first..first + 1_000).step_by(100) {
            assert!(!err(&mut world, seconds), "{seconds}");
        }
    }
}

#[test]
fn who_has_failed_and_since_when_there_are_errors_survives_a_restart_and_a_bounce_is_carried_out_once() {
    let mut world = world();
    for seconds in (0..1_000).step_by(100) {
        err(&mut world, seconds);
    }
    world.write_down(false);
    world.restart(false);
    assert!(err(&mut world, 1_000), "those from before count");
    world.write_down(false);
    world.restart(false);
    assert_eq!(state(&world, 0), ExportJobState::Failed);
    let bounced = bounce(&mut world);
    assert_eq!(bounced, [of(&world, 0)]);
    assert_eq!(state(&world, 0), ExportJobState::Runnable);
    assert!(!err(&mut world, 1_001), "the errors begin anew");
    world.write_down(false);
    world.restart(false);
    assert!(world.feeds.bounce().is_empty(), "it has gone through that");
    world.publish(3);
    world.read_all();
    assert_eq!(world.open.len(), 3, "and goes on where it was");
}

#[test]
fn a_bounce_asks_about_a_refused_authorization_at_once() {
    let mut world = world();
    let used = Used {
        name: "auth-0".to_owned(),
        revision: grant().revision,
    };
    let detached = world.feeds.refuse(&used, |_| at(5_000), "401");
    world.given_up(&detached);
    assert_eq!(world.feeds.under(&used), [of(&world, 0)]);
    assert!(world.feeds.probe(at(10)).is_empty());
    bounce(&mut world);
    assert_eq!(state(&world, 0), ExportJobState::Sleeping, "until Braze has answered");
    assert_eq!(world.feeds.probe(at(10)).len(), 1);
    let stale = Used { revision: 9, ..used };
    assert!(world.feeds.under(&stale).is_empty(), "that key is another one");
}

#[test]
fn an_audience_that_is_added_to_a_job_that_has_failed_has_failed_with_it() {
    let mut world = world();
    for seconds in (0..=1_000).step_by(100) {
        err(&mut world, seconds);
    }
    let job = Arc::make_mut(world.jobs.get_mut(&0).unwrap());
    job.audiences.push(SLUGS[1].to_owned());
    world.apply();
    assert_eq!(state(&world, 1), ExportJobState::Failed);
}

#[test]
fn no_edit_of_a_job_that_is_in_fault_lets_it_go_on_but_a_bounce() {
    let mut world = world();
    let id = of(&world, 0);
    let edit = |world: &mut World, edit: &dyn Fn(&mut ExportJob)| {
        let job = Arc::make_mut(world.jobs.get_mut(&0).unwrap());
        edit(job);
        job.revision += 1;
        world.apply();
        let feed = world.feeds.get(id).unwrap();
        (world.feeds.condition(feed).0, feed.is_served())
    };
    world.feeds.stick(&[id], |_| "resync needed".to_owned());
    let edits: [fn(&mut ExportJob); 5] = [
        |job| job.description = "For the winter".to_owned(),
        |job| job.guard.percent = 30,
        |job| job.options.user_cap = Some(super::hold::hourly(5)),
        |job| job.paused = true,
        |job| job.paused = false,
    ];
    for in_vain in edits {
        let (state, served) = edit(&mut world, &in_vain);
        assert!(!served && state != ExportJobState::Runnable, "{state:?}");
    }
    assert_eq!(state(&world, 0), ExportJobState::Fault);
    assert_eq!(
        edit(&mut world, &|job| job.bounces += 1),
        (ExportJobState::Runnable, true)
    );
}
