//! What a workspace hands to its next owner, and what it takes over.

mod occurrences;
mod oldest;
mod redrive;
mod removal;

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use proto::export::v1::NotBefore;

use super::*;
use crate::batch::{Change, KEY_VERSION, keys, profile_key};
use crate::measure;
use crate::order::Key;

fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1_000)
}

/// Taken over at 100 s.
fn workspace(predecessor: Option<WorkspaceProgress>) -> Workspace {
    workspace_with(EngineConfig::default(), predecessor)
}

fn workspace_with(config: EngineConfig, predecessor: Option<WorkspaceProgress>) -> Workspace {
    let restored = Restored {
        workspace: predecessor,
        feeds: HashMap::new(),
        partition: 3,
    };
    let beginning = Beginning {
        config,
        key: "1234.main".to_owned(),
        account: AccountNumber::new(1234).unwrap(),
        topics: Topics::new(&kafka::Config::default()),
        layout: Layout {
            partitions: 1,
            ..Layout::default()
        },
        restored,
        traced: false,
    };
    Workspace::new(beginning, at(100))
}

fn written(workspace: &mut Workspace, last: bool, now: Time) -> WorkspaceProgress {
    let records = workspace.progress(last, now);
    assert_eq!(
        (records[0].partition, records[0].key.as_deref()),
        (Some(3), Some(&b"1234.main"[..]))
    );
    WorkspaceProgress::decode(records[0].payload.clone().unwrap()).unwrap()
}

#[test]
fn a_workspace_that_nobody_has_served_needs_no_wait_and_is_released_at_the_end() {
    let mut workspace = workspace(None);
    assert!(workspace.takeover.is_none());
    assert!(!written(&mut workspace, false, at(101)).released);
    assert!(written(&mut workspace, true, at(102)).released);
}

#[test]
fn a_released_one_waits_only_for_what_its_predecessor_wrote_down() {
    let mut first = workspace(None);
    first.order.accepted([1, 2], true, at(100));
    let released = written(&mut first, true, at(101));
    assert_eq!(released.not_before.len(), 2);
    let second = workspace(Some(released));
    assert!(second.takeover.is_none());
    assert_eq!(
        second.order.not_before([1, 9], false),
        at(102),
        "two of three seconds were left"
    );
}

#[test]
fn one_that_was_not_released_is_in_doubt_until_every_call_of_the_predecessor_is_over() {
    let config = EngineConfig::default();
    let predecessor = doubtful(at(130), Some(at(100)));
    let predecessor = WorkspaceProgress {
        released: false,
        ..predecessor
    };
    let mut workspace = workspace(Some(predecessor));
    let takeover = workspace.takeover.as_ref().unwrap();
    assert_eq!(takeover.send_from, at(100) + config.lease);
    assert_eq!(
        takeover.doubt_until,
        at(100) + config.lease + config.attempt_max() + config.doubt
    );
    assert_eq!(workspace.order.not_before([7, 7], false), at(130));
    assert!(
        !written(&mut workspace, true, at(101)).released,
        "what it has not read yet is in doubt too"
    );
    let asked = at(100) + config.lease;
    workspace.measured(vec![10], asked - Duration::from_millis(1));
    assert!(
        workspace.takeover.as_ref().unwrap().ends.is_none(),
        "asked while the predecessor may still have been reading, whenever the answer came"
    );
    workspace.measured(vec![12], asked);
    assert_eq!(workspace.takeover.as_ref().unwrap().ends, Some(vec![12]));
}

/// Progress of a predecessor that had one wait to hand over, by its own clock.
fn doubtful(until: Time, written: Option<Time>) -> WorkspaceProgress {
    let doubt = NotBefore {
        key: 7,
        add: true,
        time: Some(settle::timestamp(until)),
    };
    WorkspaceProgress {
        not_before: vec![doubt],
        released: true,
        write_time: written.map(settle::timestamp),
        key_version: KEY_VERSION,
        ..WorkspaceProgress::default()
    }
}

#[test]
fn whom_another_version_lets_wait_nobody_knows_so_nothing_is_sent_until_all_waits_are_over() {
    let another = WorkspaceProgress {
        key_version: KEY_VERSION - 1,
        ..doubtful(at(130), Some(at(100)))
    };
    let workspace = workspace(Some(another));
    let over = at(100) + EngineConfig::default().longest_wait();
    let takeover = workspace
        .takeover
        .as_ref()
        .expect("released, and taken over in doubt all the same");
    assert_eq!((takeover.send_from, takeover.doubt_until), (over, over));
}

#[test]
fn a_wait_is_taken_over_by_what_was_left_of_it_whatever_the_predecessors_clock_said() {
    let not_before = |until, written| {
        let workspace = workspace(Some(doubtful(until, written)));
        workspace.order.not_before([7, 7], false)
    };
    let hour = Duration::from_secs(3_600);
    for clock in [at(10), at(100), at(100) + hour] {
        let until = clock + Duration::from_secs(30);
        assert_eq!(not_before(until, Some(clock)), at(130), "its clock said {clock:?}");
    }
    let config = EngineConfig::default();
    let longest = at(100) + config.longest_wait();
    assert_eq!(not_before(at(100) + hour, Some(at(100))), longest, "no wait is longer");
    assert_eq!(not_before(at(130), None), longest, "nobody knows when it was written");
    assert_eq!(
        not_before(at(90), Some(at(90))),
        Time::MIN,
        "it was over when it was written"
    );
}

#[test]
fn a_predecessor_with_a_longer_lease_and_longer_waits_is_waited_for_by_its_own_times() {
    let config = EngineConfig::default();
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let predecessor = WorkspaceProgress {
        released: false,
        lease: seconds(20),
        longest_wait: seconds(300),
        ..doubtful(at(390), Some(at(100)))
    };
    let workspace = workspace(Some(predecessor));
    let takeover = workspace.takeover.as_ref().unwrap();
    assert_eq!((takeover.send_from, takeover.doubt_until), (at(120), at(400)));
    assert_eq!(workspace.order.not_before([7, 7], false), at(390));
    assert!(config.lease < Duration::from_secs(20) && config.longest_wait() < Duration::from_secs(290));
}

#[test]
fn an_unknown_attempt_is_doubted_from_when_its_last_byte_may_have_left() {
    let config = EngineConfig::default();
    let mut workspace = workspace(None);
    workspace.order.unknown([1, 2], true, at(100));
    assert_eq!(
        workspace.order.not_before([1, 2], false),
        at(100) + config.tcp_user_timeout + config.doubt
    );
}

#[test]
fn progress_says_the_lease_and_the_longest_wait_of_its_writer() {
    let config = EngineConfig::default();
    let progress = written(&mut workspace(None), false, at(100));
    let said = |duration: Option<prost_types::Duration>| Duration::try_from(duration.unwrap()).unwrap();
    assert_eq!(said(progress.lease), config.lease);
    assert_eq!(said(progress.longest_wait), config.longest_wait());
}

fn sent() -> Sent {
    let used = crate::feed::Used {
        name: "a".to_owned(),
        revision: 1,
    };
    Sent { used, body_bytes: 1 }
}

#[test]
fn it_is_not_released_with_a_call_in_flight() {
    let mut workspace = workspace(None);
    workspace.in_flight.insert(1, sent());
    assert!(!written(&mut workspace, true, at(101)).released);
}

/// An enter that is due at 100 s, with its keys.
fn enter() -> (Change<Origin>, [Key; 2]) {
    let identifier = braze::Identifier::ExternalId("cust-1".into());
    let both = keys(&identifier, profile_key(b"1"), control::ATTRIBUTE, "vip");
    let origin = Origin {
        feed: 1,
        partition: 0,
        offset: 0,
        part: Part::WHOLE,
        moves: 0,
        written: None,
        payload: Box::default(),
        trace: None,
    };
    let change = Change {
        identifier,
        profile: profile_key(b"1"),
        lane: 1,
        attribute: control::ATTRIBUTE.into(),
        slug: "vip".into(),
        occurrence: None,
        add: true,
        existing_only: false,
        every_edge: false,
        flush_at: at(100),
        bytes: 1,
        origin,
    };
    (change, both)
}

#[test]
fn what_a_deleted_job_has_in_flight_is_in_doubt_for_whoever_comes_after_a_crash() {
    let config = EngineConfig::default();
    let mut first = workspace(None);
    let (change, both) = enter();
    first.batch.push(change, &first.order, at(90));
    let request = first.batch.close(&first.order, at(90)).unwrap();
    first.in_flight.insert(request, sent());
    assert!(
        written(&mut first, false, at(95)).not_before.is_empty(),
        "it is unsettled: a successor reads it again"
    );
    first.batch.abandon(|_| true, &first.order, at(96));
    let progress = written(&mut first, false, at(100));
    let successor = workspace(Some(progress));
    let over = at(100) + config.attempt_max() + config.doubt;
    for key in both {
        assert_eq!(successor.order.not_before([key, 7], false), over);
    }
    let accepted = crate::batch::Ending {
        end: crate::batch::End::Accepted,
        verdicts: vec![braze::Verdict::Accepted],
        split: false,
    };
    first.batch.complete(request, accepted, &mut first.order, at(100));
    assert!(
        written(&mut first, false, at(101)).not_before.is_empty(),
        "it has ended"
    );
}

#[test]
fn a_doubt_is_written_down_for_as_long_as_it_lasts_even_if_its_change_is_settled() {
    let mut workspace = workspace(None);
    let (change, both) = enter();
    workspace.batch.push(change, &workspace.order, at(100));
    let request = workspace.batch.close(&workspace.order, at(100)).unwrap();
    let unknown = crate::batch::Ending {
        end: crate::batch::End::Unknown,
        verdicts: Vec::new(),
        split: false,
    };
    workspace
        .batch
        .complete(request, unknown, &mut workspace.order, at(100));
    let request = workspace.batch.close(&workspace.order, at(101)).unwrap();
    let accepted = crate::batch::Ending {
        end: crate::batch::End::Accepted,
        verdicts: vec![braze::Verdict::Accepted],
        split: false,
    };
    workspace
        .batch
        .complete(request, accepted, &mut workspace.order, at(101));
    assert_eq!(workspace.batch.pending(), 0);
    let keys: Vec<_> = written(&mut workspace, false, at(110))
        .not_before
        .iter()
        .map(|entry| entry.key)
        .collect();
    assert_eq!(keys, both);
    let over = at(100) + EngineConfig::default().unknown_gap();
    workspace.order.expire(over);
    assert!(written(&mut workspace, false, over).not_before.is_empty());
}

#[test]
fn a_workspace_that_is_given_up_is_not_shown_by_gauges_any_more() {
    let metrics = runtime::telemetry::install_metrics();
    let shown = || -> Vec<_> {
        let rendered = metrics.render();
        let lines = rendered.lines().filter(|line| line.contains("given-up"));
        let shown = lines.filter(|line| !line.ends_with(" 0"));
        shown
            .map(|line| line.split('{').next().unwrap_or_default().to_owned())
            .collect()
    };
    let mut workspace = workspace(None);
    workspace.key = "1234.given-up".to_owned();
    workspace.order.accepted([1, 2], true, at(100));
    workspace.ends = vec![10];
    workspace.count(at(101));
    workspace.count(at(102));
    let mut before = shown();
    before.sort();
    assert_eq!(before, [measure::LAG, measure::NOT_BEFORE]);
    drop(workspace);
    assert_eq!(shown(), [""; 0]);
}
