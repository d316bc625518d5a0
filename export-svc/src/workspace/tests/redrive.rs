//! A change that is sent again: not before it is written down that it is open, and not if it has been overtaken.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use control::{ExportJob, Identifiers};
use jiff::Timestamp;
use proto::export::v1::rejected_change::Identifier;
use proto::export::v1::{ExportLogEntry, FeedProgress};
use proto::membership::v1::{MembershipAction, MembershipChange};

use super::*;
use crate::feed::{Credential, Grant};
use crate::redrive::{self, Found, Run};

pub(super) fn job() -> ExportJob {
    ExportJob {
        account: AccountNumber::new(1234).unwrap(),
        id: "job".to_owned(),
        label: String::new(),
        description: String::new(),
        audiences: vec!["vip".to_owned()],
        authorization: "auth".to_owned(),
        identifiers: Identifiers {
            external_id_field: Some("user_id".to_owned()),
            ..Identifiers::default()
        },
        existing_users: false,
        flush_after: Duration::ZERO,
        batch_updates_max: 75,
        coalesce: control::Coalesce::Latest,
        events: control::AudienceEvents::Both,
        workspace: "1234.main".to_owned(),
        start: vec![(0, 0)],
        new_audiences: Vec::new(),
        paused: false,
        killed: false,
        bounces: 0,
        resets: Vec::new(),
        additions: Vec::new(),
        redrive: None,
        removals: Vec::new(),
        guard: control::Guard::new(20),
        options: control::Options::default(),
        last_number: 0,
        create_time: Timestamp::UNIX_EPOCH,
        update_time: Timestamp::UNIX_EPOCH,
        revision: 1,
    }
}

/// Of the authorization `auth`.
pub(super) fn grant() -> Grant {
    let credential = Credential {
        endpoint: braze::endpoint("US-01").unwrap(),
        key: "key".to_owned().into(),
    };
    Grant {
        revision: 1,
        credential: Ok(Arc::new(credential)),
    }
}

/// That job alone.
pub(super) fn wanted(job: ExportJob) -> JobSet {
    JobSet {
        jobs: vec![Arc::new(job)],
        authorizations: [("auth".to_owned(), grant())].into(),
        ..JobSet::default()
    }
}

/// A workspace with a feed that has omitted offset 0, the enter of profile 1, of which a survey has said that it is the last word.
fn surveyed() -> Workspace {
    surveyed_of(job(), &[], Vec::new())
}

/// Of this job, with such fields before the change, refused for these users.
fn surveyed_of(job: ExportJob, previous: &[(&str, &str)], refused: Vec<Identifier>) -> Workspace {
    let mut workspace = workspace(None);
    workspace.apply(&wanted(job.clone()), at(100));
    let positions = &mut workspace.feeds.get_mut(1).unwrap().positions;
    positions.hand(0, 0);
    assert!(positions.settle(0, 0));
    let change = MembershipChange {
        account: 1234,
        audience_slug: "vip".to_owned(),
        profile_id: "1".to_owned(),
        action: MembershipAction::Enter.into(),
        fields: [("user_id".to_owned(), "cust-1".to_owned())].into(),
        previous_fields: previous
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..MembershipChange::default()
    };
    let payload = change.encode_to_vec();
    let keys = redrive::keys(&job, "vip", b"1", Some(&payload));
    let (go, _) = sync_channel(1);
    let mut run = Run::new(1, (job.name(), 7), vec![1], go, Arc::new(()));
    run.watched.extend(&keys);
    run.more = Some(false);
    run.found.push_back(Found {
        partition: 0,
        offset: 0,
        written: None,
        key: b"vip/1"[..].into(),
        payload: payload.into(),
        keys,
        refused,
    });
    workspace.feeds.begin_redrive(&run.feeds);
    workspace.redrive = Some(run);
    workspace
}

/// What is open by the next progress, and whether that has the redrive as done.
fn open(workspace: &mut Workspace) -> (Vec<i64>, u64) {
    let records = workspace.progress(false, at(101));
    let feed = records
        .iter()
        .find(|record| record.key.as_deref() == Some(b"1234.main/job/vip"));
    let progress = FeedProgress::decode(feed.expect("it has changed").payload.clone().unwrap()).unwrap();
    (progress.positions[0].open.clone(), progress.redrive)
}

fn go_on(workspace: &mut Workspace) -> Option<ExportLogEntry> {
    workspace.go_on_with_redrive(at(101))
}

#[test]
fn nothing_is_sent_again_before_it_is_written_down_that_it_is_open() {
    let mut workspace = surveyed();
    assert!(go_on(&mut workspace).is_none());
    assert_eq!(open(&mut workspace), (vec![0], 0));
    assert!(go_on(&mut workspace).is_none());
    assert_eq!(workspace.batch.pending(), 0, "it is being written");
    workspace.progress_aborted();
    assert!(go_on(&mut workspace).is_none());
    assert_eq!(workspace.batch.pending(), 0, "it is not written");
    assert_eq!(open(&mut workspace), (vec![0], 0));
    workspace.redrive_was_written(true);
    let done = go_on(&mut workspace).expect("it was the last one");
    assert_eq!(workspace.batch.pending(), 1);
    assert!(
        done.message.starts_with("1 sent again, 0 overtaken"),
        "{}",
        done.message
    );
    assert_eq!(open(&mut workspace), (vec![0], 7), "done, and open until it is settled");
}

#[test]
fn what_is_overtaken_while_that_is_written_is_not_sent_whoever_overtakes_it() {
    // Its own profile leaves, in words that nobody can read; or another profile with the same user comes.
    let another = MembershipChange {
        account: 1234,
        audience_slug: "vip".to_owned(),
        profile_id: "2".to_owned(),
        action: MembershipAction::Exit.into(),
        fields: [("user_id".to_owned(), "cust-1".to_owned())].into(),
        ..MembershipChange::default()
    };
    for (profile, payload) in [("1", b"\xff".to_vec()), ("2", another.encode_to_vec())] {
        let mut workspace = surveyed();
        assert!(go_on(&mut workspace).is_none());
        assert_eq!(open(&mut workspace), (vec![0], 0));
        workspace.overtake(Some((b"vip", profile.as_bytes())), Some(&payload), &[1]);
        assert_eq!(
            open(&mut workspace).0,
            [0; 0],
            "a successor would send it after what overtakes it"
        );
        workspace.redrive_was_written(true);
        let done = go_on(&mut workspace).expect("nothing is left");
        assert_eq!(workspace.batch.pending(), 0);
        assert!(
            done.message.starts_with("0 sent again, 1 overtaken"),
            "{}",
            done.message
        );
        assert_eq!(open(&mut workspace), (vec![], 7));
    }
}

#[test]
fn a_feed_that_is_left_out_meanwhile_begins_anew() {
    let mut workspace = surveyed();
    assert!(go_on(&mut workspace).is_none());
    assert_eq!(open(&mut workspace), (vec![0], 0));
    workspace.feeds.stick(&[1], |_| "a fault".to_owned());
    workspace.redrive_was_written(true);
    assert!(go_on(&mut workspace).is_none());
    assert!(workspace.redrive.is_none());
    assert_eq!(workspace.batch.pending(), 0);
    assert_eq!(
        open(&mut workspace),
        (vec![], 0),
        "it is not done, and nothing of it is open"
    );
}

#[test]
fn no_more_are_open_at_once_than_half_of_what_may_be_pending() {
    let mut workspace = surveyed();
    workspace.config.pending_max = 4;
    let positions = &mut workspace.feeds.get_mut(1).unwrap().positions;
    for offset in 1..5 {
        positions.hand(0, offset);
        assert!(positions.settle(0, offset));
    }
    let found = &mut workspace.redrive.as_mut().unwrap().found;
    for offset in 1..5 {
        let first = &found[0];
        let other = Found {
            offset,
            keys: vec![offset.unsigned_abs()],
            key: first.key.clone(),
            payload: first.payload.clone(),
            refused: Vec::new(),
            ..*first
        };
        found.push_back(other);
    }
    assert!(go_on(&mut workspace).is_none());
    assert_eq!(open(&mut workspace), (vec![0, 1], 0));
    let run = workspace.redrive.as_ref().unwrap();
    assert_eq!(run.found.len(), 3, "the others wait");
}

/// Of one that was refused for both, the entries may be of different rounds.
#[test]
fn of_a_changed_identifier_an_attribute_is_written_for_both_users_again_and_an_event_for_whom_it_was_refused() {
    let events = control::Options {
        writes: control::Writes::Events(control::CustomEvents::default()),
        ..control::Options::default()
    };
    for (options, expected) in [(control::Options::default(), 2), (events, 1)] {
        let refused = Identifier::ExternalId("cust-1".to_owned());
        let of = ExportJob { options, ..job() };
        let mut workspace = surveyed_of(of, &[("user_id", "cust-0")], vec![refused]);
        assert!(go_on(&mut workspace).is_none());
        open(&mut workspace);
        workspace.redrive_was_written(true);
        go_on(&mut workspace).expect("it was the last one");
        assert_eq!(workspace.batch.pending(), expected);
    }
}
