//! Since when the oldest change of a feed has waited.

use super::*;

fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1_000)
}

/// A feed of one job from the beginning, and records 0 to 9 of its audience in partition 0.
fn feeds() -> Feeds {
    let mut feeds = Feeds::new(2, HashMap::new());
    feeds.apply(WORKSPACE, &jobs_of(job(0, false, [0, 0])));
    feeds.take_seeks(Which::Live);
    feeds
}

fn jobs_of(job: Arc<ExportJob>) -> JobSet {
    JobSet {
        authorizations: [(job.authorization.clone(), grant())].into(),
        jobs: vec![job],
        ..JobSet::default()
    }
}

fn oldest(feeds: &Feeds) -> Option<Time> {
    feeds.get(1).unwrap().oldest()
}

/// Live shows the record of an offset, written then, and the feed is handed it.
fn hand(feeds: &mut Feeds, offset: i64, written: Time) {
    feeds.show(Which::Live, 0, Some(written));
    feeds.get_mut(1).unwrap().positions.hand(0, offset);
    feeds.passed(Which::Live, 0, offset + 1);
}

#[test]
fn what_is_handed_on_counts_from_when_it_was_written_until_it_is_settled() {
    let mut feeds = feeds();
    hand(&mut feeds, 0, at(10));
    hand(&mut feeds, 1, at(20));
    let pending = BTreeMap::from([(1, at(10))]);
    assert!(feeds.observe_oldest(&pending, &[2, 0], at(30), at(31)));
    assert_eq!(oldest(&feeds), Some(at(10)));
    feeds.get_mut(1).unwrap().positions.settle(0, 0);
    feeds.observe_oldest(&BTreeMap::from([(1, at(20))]), &[2, 0], at(30), at(32));
    assert_eq!(oldest(&feeds), Some(at(20)));
    // What is not in the batch any more but is to be read again is as old as it was.
    feeds.detach(&[1]);
    feeds.observe_oldest(&BTreeMap::new(), &[2, 0], at(30), at(33));
    assert_eq!(oldest(&feeds), Some(at(20)));
    feeds.get_mut(1).unwrap().positions.settle(0, 1);
    assert_eq!(oldest(&feeds), None, "also between two looks");
}

#[test]
fn what_is_unread_is_no_older_than_what_was_shown_last_or_than_when_nothing_was_unread() {
    let mut feeds = feeds();
    let nothing = BTreeMap::new();
    feeds.observe_oldest(&nothing, &[5, 0], at(100), at(100));
    assert_eq!(oldest(&feeds), None, "nobody knows yet");
    feeds.show(Which::Live, 0, Some(at(10)));
    feeds.passed(Which::Live, 0, 3);
    feeds.observe_oldest(&nothing, &[5, 0], at(100), at(101));
    assert_eq!(oldest(&feeds), Some(at(10)));
    feeds.show(Which::Live, 0, Some(at(12)));
    feeds.passed(Which::Live, 0, 5);
    feeds.observe_oldest(&nothing, &[5, 0], at(100), at(102));
    assert_eq!(oldest(&feeds), None);
    // Days later: not from when the last record was written.
    feeds.observe_oldest(&nothing, &[5, 0], at(90_000), at(90_001));
    feeds.observe_oldest(&nothing, &[6, 0], at(90_010), at(90_011));
    assert_eq!(oldest(&feeds), Some(at(90_000)));
    // It is not served any more, and falls behind; whoever comes next knows what was written down.
    feeds.detach(&[1]);
    feeds.observe_oldest(&nothing, &[9, 3], at(90_020), at(90_021));
    assert_eq!(oldest(&feeds), Some(at(90_000)));
    let written = feeds.written(WORKSPACE, true, &[9, 3]).into_iter().collect();
    let mut successor = Feeds::new(2, written);
    successor.apply(WORKSPACE, &jobs_of(job(0, false, [0, 0])));
    successor.observe_oldest(&nothing, &[9, 3], at(90_100), at(90_100));
    assert_eq!(oldest(&successor), Some(at(90_000)));
}
