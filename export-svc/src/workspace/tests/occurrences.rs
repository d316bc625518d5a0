//! A change that is an event, and what it costs to remember it.

use control::{Coalesce, CustomEvents, ExportJob, Options, Writes};
use proto::membership::v1::{MembershipAction, MembershipChange};

use super::redrive::{job, wanted};
use super::*;
use crate::consume;
use crate::positions::Part;

/// An enter of profile 1, pending for a job that writes this, in a workspace that may remember so much.
fn pending(writes: Writes, pending_bytes_max: usize) -> Workspace {
    let config = EngineConfig {
        pending_bytes_max,
        ..EngineConfig::default()
    };
    let mut workspace = workspace_with(config, None);
    let job = ExportJob {
        coalesce: Coalesce::EveryEdge,
        options: Options {
            writes,
            ..Options::default()
        },
        ..job()
    };
    workspace.apply(&wanted(job), at(100));
    let change = MembershipChange {
        account: 1234,
        audience_slug: "vip".to_owned(),
        profile_id: "1".to_owned(),
        action: MembershipAction::Enter.into(),
        fields: [("user_id".to_owned(), "cust-1".to_owned())].into(),
        ..MembershipChange::default()
    };
    let payload = change.encode_to_vec();
    let key = Some((&b"vip"[..], &b"1"[..]));
    let membership = consume::read(workspace.account, &payload, None, key).unwrap();
    let origin = Origin {
        feed: 1,
        partition: 0,
        offset: 0,
        part: Part::WHOLE,
        moves: 0,
        written: None,
        payload: payload.clone().into(),
        trace: None,
    };
    workspace.change(&membership, origin, None, at(100));
    assert_eq!(workspace.batch.pending(), 1);
    workspace
}

#[test]
fn what_an_event_says_counts_with_the_bytes_that_may_be_pending() {
    let event = || {
        Writes::Events(CustomEvents {
            name: "n".repeat(200),
            ..CustomEvents::default()
        })
    };
    assert!(!pending(Writes::Attribute, 600).batch.is_full());
    assert!(pending(event(), 600).batch.is_full(), "its name alone is 200 bytes");
    assert!(!pending(event(), 1_200).batch.is_full());
}
