//! What a batch promises, one sentence at a time; the property test is beside.

mod apart;
mod attributes;
mod edges;
mod fair;
mod identifiers;
mod model;
mod occurrences;
mod refused;
mod unknown;

use std::time::Duration;

use braze::{Reason, Verdict};

use super::*;
use crate::order::OrderLimits;

pub(super) const GAP: Duration = Duration::from_secs(3);
pub(super) const DOUBT: Duration = Duration::from_secs(60);
const BACKOFF: Backoff = Backoff {
    min: Duration::from_secs(1),
    max: Duration::from_secs(6),
};
pub(super) const FLUSH: Duration = Duration::from_secs(300);

pub(super) fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1_000)
}

pub(super) fn order() -> Order {
    Order::new(OrderLimits {
        settle_gap: GAP,
        doubt: DOUBT,
        entries_max: 100_000,
        doubts_max: 100_000,
    })
}

pub(super) fn limits() -> BatchLimits {
    BatchLimits {
        backoff: BACKOFF,
        objects_max: 75,
        body_bytes_max: 100_000,
        pending_max: 1_000,
        pending_bytes_max: 1_000_000,
    }
}

/// A change of the profile of that number, under the external id of the same number.
pub(super) fn change(number: u32, slug: &str, add: bool, time: Time) -> Change<u32> {
    Change {
        identifier: Identifier::ExternalId(format!("cust-{number}")),
        profile: profile_key(number.to_string().as_bytes()),
        lane: 1,
        attribute: control::ATTRIBUTE.into(),
        slug: slug.into(),
        occurrence: None,
        add,
        existing_only: false,
        every_edge: false,
        flush_at: time + FLUSH,
        bytes: 100,
        origin: number,
    }
}

/// The objects of a request: identifier, added, removed.
fn wire(batch: &Batch<u32>, request: RequestId) -> Vec<(String, Vec<String>, Vec<String>)> {
    let mut objects = Vec::new();
    for object in batch.objects(request) {
        let Identifier::ExternalId(id) = object.identifier else {
            panic!("only external ids here")
        };
        objects.push((id.clone(), texts(object.add), texts(object.remove)));
    }
    objects
}

fn texts<'a>(slugs: impl Iterator<Item = &'a str>) -> Vec<String> {
    slugs.map(str::to_owned).collect()
}

pub(super) fn ended(end: End, verdicts: Vec<Verdict>) -> Ending {
    Ending {
        end,
        verdicts,
        split: false,
    }
}

pub(super) fn retry() -> Verdict {
    Verdict::Retry { message: None }
}

pub(super) fn rejected() -> Verdict {
    Verdict::Rejected {
        reason: Reason::Value,
        message: "no".into(),
    }
}

/// Closes and has Braze accept everything.
fn deliver(batch: &mut Batch<u32>, order: &mut Order, now: Time) -> Vec<(String, Vec<String>, Vec<String>)> {
    let request = batch.close(order, now).expect("something to send");
    let sent = wire(batch, request);
    let settled = batch.complete(
        request,
        ended(End::Accepted, vec![Verdict::Accepted; sent.len()]),
        order,
        now,
    );
    assert!(settled.iter().all(|settled| settled.outcome == Outcome::Accepted));
    sent
}

#[test]
fn it_is_ready_at_75_objects_and_not_before() {
    let (mut batch, order) = (Batch::new(limits()), order());
    for number in 0..75 {
        assert!(!batch.is_ready(at(0)));
        batch.push(change(number, "vip", true, at(0)), &order, at(0));
    }
    assert!(batch.is_ready(at(0)));
    batch.push(change(75, "vip", true, at(0)), &order, at(0));
    let request = batch.close(&order, at(0)).unwrap();
    assert_eq!(batch.objects(request).count(), 75);
    assert!(!batch.is_ready(at(0)), "the 76th begins a new one");
}

#[test]
fn several_slugs_of_a_person_are_one_object_and_each_is_in_one_list() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    batch.push(change(1, "risk", false, at(0)), &order, at(0));
    batch.push(change(1, "news", true, at(0)), &order, at(0));
    batch.drain();
    let sent = deliver(&mut batch, &mut order, at(0));
    assert_eq!(
        sent,
        [("cust-1".into(), vec!["vip".into(), "news".into()], vec!["risk".into()])]
    );
}

#[test]
fn the_body_says_of_each_object_what_it_adds_and_removes_and_who_must_exist_already() {
    let (mut batch, order) = (Batch::new(limits()), order());
    for (user, slug, add) in [
        (1, "vip", true),
        (2, "vip", false),
        (3, "vip", true),
        (3, "risk", false),
    ] {
        batch.push(change(user, slug, add, at(0)), &order, at(0));
    }
    batch.drain();
    let request = batch.close(&order, at(0)).unwrap();
    let track = batch.body(request).unwrap();
    let body: serde_json::Value = serde_json::from_slice(track.body()).unwrap();
    let expected = serde_json::json!({"attributes": [
        {"external_id": "cust-1", "lytics_segments": {"add": ["vip"]}},
        {"external_id": "cust-2", "_update_existing_only": true, "lytics_segments": {"remove": ["vip"]}},
        {"external_id": "cust-3", "lytics_segments": {"add": ["vip"], "remove": ["risk"]}},
    ]});
    assert_eq!((body, track.objects()), (expected, 3));
}

#[test]
fn an_enter_undone_inside_the_window_becomes_a_remove_that_creates_nobody() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    assert!(batch.push(change(1, "vip", true, at(0)), &order, at(0)).is_none());
    let omitted = batch.push(change(1, "vip", false, at(1)), &order, at(1)).unwrap();
    assert!(omitted.add && omitted.outcome == Outcome::Superseded, "{omitted:?}");
    batch.drain();
    let sent = deliver(&mut batch, &mut order, at(1));
    assert_eq!(sent, [("cust-1".into(), vec![], vec!["vip".into()])]);
    assert_eq!(batch.pending(), 0);
}

#[test]
fn it_is_due_when_its_first_change_is_even_if_that_one_was_superseded() {
    let (mut batch, order) = (Batch::new(limits()), order());
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    batch.push(change(2, "vip", true, at(100)), &order, at(100));
    batch.push(change(1, "vip", false, at(200)), &order, at(200));
    assert_eq!(batch.next_wake(), Some(at(300)));
    assert!(!batch.is_ready(at(299)));
    assert!(batch.is_ready(at(300)));
    let request = batch.close(&order, at(300)).unwrap();
    assert_eq!(batch.objects(request).count(), 2, "what is there goes with it");
}

#[test]
fn the_byte_cap_closes_a_request_early() {
    let (mut batch, order) = (
        Batch::new(BatchLimits {
            body_bytes_max: 2_000,
            ..limits()
        }),
        order(),
    );
    let mut pushed = 0;
    while !batch.is_ready(at(0)) {
        batch.push(change(pushed, "vip", true, at(0)), &order, at(0));
        pushed += 1;
    }
    assert!(pushed < 75);
    let request = batch.close(&order, at(0)).unwrap();
    let bytes = batch.body(request).unwrap().body().len();
    assert!((1_000..=2_000).contains(&bytes), "{bytes}");
}

#[test]
fn a_conflicting_change_waits_beside_and_does_not_block_the_batch() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    let first = batch.close(&order, at(0)).unwrap();
    batch.push(change(1, "news", true, at(0)), &order, at(0));
    batch.push(change(2, "vip", true, at(0)), &order, at(0));
    let second = batch.close(&order, at(0)).unwrap();
    assert_eq!(wire(&batch, second)[0].0, "cust-2");
    assert_eq!(batch.close(&order, at(0)), None, "person 1 is in flight");
    batch.complete(first, ended(End::Accepted, vec![Verdict::Accepted]), &mut order, at(0));
    assert_eq!(
        deliver(&mut batch, &mut order, at(0)),
        [("cust-1".into(), vec!["news".into()], vec![])]
    );
}

#[test]
fn the_opposite_waits_for_the_settle_gap_and_wakes_by_itself() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    deliver(&mut batch, &mut order, at(1));
    batch.push(change(1, "vip", false, at(1)), &order, at(1));
    batch.push(change(1, "news", true, at(1)), &order, at(1));
    assert_eq!(
        deliver(&mut batch, &mut order, at(1))[0].1,
        ["news"],
        "only the opposite value waits"
    );
    assert_eq!(batch.next_wake(), Some(at(4)));
    batch.wake(&order, at(3));
    assert!(!batch.is_ready(at(3)));
    batch.wake(&order, at(4));
    assert_eq!(deliver(&mut batch, &mut order, at(4))[0].2, ["vip"]);
}

#[test]
fn after_an_unknown_end_the_same_value_goes_again_at_once_and_the_opposite_is_in_doubt() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    let first = batch.close(&order, at(0)).unwrap();
    assert!(
        batch
            .complete(first, ended(End::Unknown, vec![]), &mut order, at(10))
            .is_empty()
    );
    let again = batch.close(&order, at(10)).unwrap();
    batch.push(change(1, "vip", false, at(11)), &order, at(11));
    let settled = batch.complete(again, ended(End::Unknown, vec![]), &mut order, at(20));
    assert_eq!(
        settled[0].outcome,
        Outcome::Superseded,
        "a newer change of the slug wins"
    );
    assert_eq!(settled[0].attempts, 2);
    assert_eq!(batch.next_wake(), Some(at(80)));
    batch.wake(&order, at(80));
    assert_eq!(deliver(&mut batch, &mut order, at(80))[0].2, ["vip"]);
}

#[test]
fn each_object_gets_its_own_verdict() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    for number in 1..=3 {
        batch.push(change(number, "vip", true, at(0)), &order, at(0));
    }
    let request = batch.close(&order, at(0)).unwrap();
    let verdicts = vec![Verdict::Accepted, rejected(), retry()];
    let settled = batch.complete(request, ended(End::Accepted, verdicts), &mut order, at(0));
    let outcomes: Vec<_> = settled
        .iter()
        .map(|settled| (settled.origin, &settled.outcome))
        .collect();
    assert!(
        matches!(outcomes[..], [(1, Outcome::Accepted), (2, Outcome::Rejected(_))]),
        "{outcomes:?}"
    );
    assert_eq!(deliver(&mut batch, &mut order, at(0))[0].0, "cust-3");
}

#[test]
fn an_unattributed_refusal_is_halved_until_the_object_at_fault_is_alone() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    for number in 0..75 {
        batch.push(change(number, "vip", true, at(0)), &order, at(0));
    }
    let (mut requests, mut accepted, mut kept) = (0, 0, Vec::new());
    while batch.pending() > 0 {
        assert!(
            batch.is_ready(at(0)),
            "parts of a refused request do not wait to be filled"
        );
        let request = batch.close(&order, at(0)).unwrap();
        let objects = wire(&batch, request);
        let guilty = objects.iter().any(|object| object.0 == "cust-33");
        let ending = match (guilty, objects.len()) {
            (false, len) => ended(End::Accepted, vec![Verdict::Accepted; len]),
            (true, 1) => ended(End::Refused, vec![rejected()]),
            (true, len) => Ending {
                split: true,
                ..ended(End::Refused, vec![retry(); len])
            },
        };
        for settled in batch.complete(request, ending, &mut order, at(0)) {
            match settled.outcome {
                Outcome::Accepted => accepted += 1,
                _ => kept.push(settled.origin),
            }
        }
        requests += 1;
    }
    assert_eq!((accepted, kept), (74, vec![33]));
    assert!(requests <= 15, "{requests}");
}

#[test]
fn it_is_full_at_its_bounds_and_what_is_in_flight_counts() {
    let (mut batch, mut order) = (
        Batch::new(BatchLimits {
            pending_max: 2,
            ..limits()
        }),
        order(),
    );
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    batch.push(change(2, "vip", true, at(0)), &order, at(0));
    assert!(batch.is_full());
    batch.drain();
    let request = batch.close(&order, at(0)).unwrap();
    assert!(batch.is_full());
    batch.complete(
        request,
        ended(End::Accepted, vec![Verdict::Accepted; 2]),
        &mut order,
        at(0),
    );
    assert!(!batch.is_full());
    batch.push(
        Change {
            bytes: 1_000_000,
            ..change(3, "vip", true, at(0))
        },
        &order,
        at(0),
    );
    assert!(batch.is_full());
}

#[test]
fn what_is_abandoned_comes_back_and_in_flight_it_is_not_retried() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    batch.push(change(2, "vip", true, at(0)), &order, at(0));
    batch.drain();
    let request = batch.close(&order, at(0)).unwrap();
    batch.push(change(1, "news", true, at(0)), &order, at(0));
    batch.push(change(3, "vip", true, at(0)), &order, at(0));
    assert_eq!(batch.abandon(|origin| *origin != 2, &order, at(0)), [1, 3]);
    assert!(
        batch
            .complete(request, ended(End::Unknown, vec![]), &mut order, at(0))
            .is_empty()
    );
    assert_eq!(deliver(&mut batch, &mut order, at(0))[0].0, "cust-2");
    assert_eq!(
        (batch.pending(), batch.targets.len()),
        (0, 0),
        "nothing is remembered of the others"
    );
}

#[test]
fn what_no_longer_counts_does_not_pile_up() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    for round in 0..1_000 {
        batch.push(change(1, "vip", round % 2 == 0, at(round)), &order, at(round));
        batch.push(change(2, "vip", true, at(round)), &order, at(round));
        batch.wake(&order, at(round));
        if let Some(request) = batch.close(&order, at(round)) {
            let objects = batch.objects(request).count();
            batch.complete(
                request,
                ended(End::Accepted, vec![Verdict::Accepted; objects]),
                &mut order,
                at(round),
            );
        }
        order.expire(at(round));
    }
    assert!(batch.wake.len() + batch.lanes.len() < 500);
    assert!(batch.targets.len() <= 2 && order.len() < 50);
}
