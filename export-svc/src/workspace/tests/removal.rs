//! Jobs that remove slugs, beside what else a workspace does.

use control::{ExportJob, Removal};
use proto::export::v1::{FeedProgress, RemovalProgress};

use super::redrive::{job, wanted};
use super::*;
use crate::engine::Statuses;

/// Of which audience gold has left.
fn without_gold() -> ExportJob {
    ExportJob {
        removals: vec![Removal {
            number: 1,
            audiences: vec!["gold".to_owned()],
        }],
        last_number: 1,
        ..job()
    }
}

#[test]
fn a_killed_job_says_how_large_a_request_may_be_as_long_as_it_removes() {
    for (done, expected) in [(false, 1), (true, braze::OBJECTS_MAX)] {
        let mut workspace = workspace(None);
        let progress = FeedProgress {
            reset: 1,
            removal: Some(RemovalProgress {
                number: 1,
                done,
                ..RemovalProgress::default()
            }),
            ..FeedProgress::default()
        };
        let restored = HashMap::from([("1234.main/job/gold".to_owned(), progress)]);
        workspace.feeds = Feeds::new(1, restored);
        let killed = ExportJob {
            killed: true,
            batch_updates_max: 1,
            ..without_gold()
        };
        workspace.apply(&wanted(killed), at(100));
        assert_eq!(workspace.feeds.iter().count(), 1);
        assert_eq!(workspace.batch.objects_max(), expected, "done: {done}");
    }
}

/// The audience that has left is the first that is looked at.
#[test]
fn what_holds_for_its_whole_workspace_is_told_of_a_job_whatever_it_removes() {
    let (mut workspace, statuses) = (workspace(None), Statuses::default());
    for killed in [false, true] {
        workspace.apply(
            &wanted(ExportJob {
                killed,
                ..without_gold()
            }),
            at(100),
        );
        workspace.not_kept = Some("kafka is away".to_owned());
        workspace.show(&statuses, at(100));
        let status = statuses.get(&job().name()).unwrap();
        assert_eq!(status.removals.len(), 1);
        assert_eq!(
            (status.requests_per_second, status.reason.as_str()),
            (workspace.budget.rate(), "kafka is away")
        );
        assert!(status.requests_per_second > 0.0);
    }
}

#[test]
fn a_fault_names_a_way_out_that_there_is() {
    let mut workspace = workspace(None);
    workspace.apply(&wanted(without_gold()), at(100));
    workspace.feeds.remove_until(&[10], at(100));
    let ids: Vec<_> = (1..=2).collect();
    for id in &ids {
        workspace.feeds.get_mut(*id).unwrap().positions.go_to(&[(0, 9)]);
    }
    workspace.offset_gone(Which::Live, 0, (0, 5), at(100));
    for id in ids {
        let feed = workspace.feeds.get(id).unwrap();
        let reason = feed.fault.as_ref().unwrap().reason();
        let way_out = match feed.removing {
            Some(_) => "--remove-slugs",
            None => "jobs reset",
        };
        assert!(reason.contains(way_out), "{reason}");
    }
}
