//! When a feed has caught up.

use super::*;

fn jobs_of(job: ExportJob) -> JobSet {
    JobSet {
        authorizations: [(job.authorization.clone(), grant())].into(),
        jobs: vec![Arc::new(job)],
        ..JobSet::default()
    }
}

/// A job that begins at the beginning of two partitions.
fn wanted() -> ExportJob {
    Arc::unwrap_or_clone(job(0, false, [0, 0]))
}

fn feeds() -> Feeds {
    let mut feeds = Feeds::new(2, HashMap::new());
    feeds.apply(WORKSPACE, &jobs_of(wanted()));
    feeds.take_seeks(Which::Live);
    feeds
}

/// Live shows the record of an offset, and the feed is handed it.
fn hand(feeds: &mut Feeds, offset: i64) {
    feeds.get_mut(1).unwrap().positions.hand(0, offset);
    feeds.passed(Which::Live, 0, offset + 1);
}

fn settle(feeds: &mut Feeds, offset: i64) {
    assert!(feeds.get_mut(1).unwrap().positions.settle(0, offset));
}

fn is_synced(feeds: &mut Feeds, end: i64) -> bool {
    feeds.observe_caught_up(&[end, 0]);
    feeds.get(1).unwrap().is_synced()
}

#[test]
fn what_was_open_when_everything_had_been_shown_must_be_settled_and_what_comes_later_need_not() {
    let mut feeds = feeds();
    assert!(!is_synced(&mut feeds, 3), "nothing is shown");
    hand(&mut feeds, 0);
    hand(&mut feeds, 1);
    settle(&mut feeds, 1);
    assert!(!is_synced(&mut feeds, 3), "one is unread");
    hand(&mut feeds, 2);
    assert!(!is_synced(&mut feeds, 3), "two are open");
    for later in 3..6 {
        hand(&mut feeds, later);
        settle(&mut feeds, later);
    }
    settle(&mut feeds, 2);
    assert!(
        !is_synced(&mut feeds, 6),
        "more are settled than were open, and not the first"
    );
    hand(&mut feeds, 6);
    settle(&mut feeds, 0);
    assert!(
        is_synced(&mut feeds, 9),
        "the last one came later, and so did what is unread"
    );
}

#[test]
fn a_job_that_does_not_run_begins_anew_and_a_successor_goes_on() {
    let mut feeds = feeds();
    assert!(is_synced(&mut feeds, 0), "there is nothing");
    let written: HashMap<_, _> = feeds.written(WORKSPACE, true, &[0, 0]).into_iter().collect();
    let mut successor = Feeds::new(2, written);
    successor.apply(WORKSPACE, &jobs_of(wanted()));
    assert!(is_synced(&mut successor, 5), "it was so before");
    hand(&mut feeds, 0);
    let paused = |paused| jobs_of(ExportJob { paused, ..wanted() });
    feeds.apply(WORKSPACE, &paused(true));
    assert!(!is_synced(&mut feeds, 1));
    feeds.apply(WORKSPACE, &paused(false));
    feeds.take_seeks(Which::Live);
    feeds.passed(Which::Live, 0, 0);
    hand(&mut feeds, 0);
    assert!(!is_synced(&mut feeds, 1));
    settle(&mut feeds, 0);
    assert!(is_synced(&mut feeds, 1));
}
