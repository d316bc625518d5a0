//! Events beside attributes. That each is sent, in order, whatever happens, is in `model`.

use braze::Clause;
use serde_json::{Value, json};

use super::*;

/// What an event says of that change.
pub(super) fn event(slug: &str, add: bool) -> Box<Clause> {
    let action = if add { "entered" } else { "exited" };
    let time = "2026-01-01T00:00:00Z".parse().unwrap();
    Box::new(Clause::event(
        !add,
        "e",
        time,
        &[("audience", slug), ("action", action)],
    ))
}

fn happens(number: u32, slug: &str, add: bool) -> Change<u32> {
    Change {
        attribute: " event e".into(),
        occurrence: Some(event(slug, add)),
        every_edge: true,
        ..change(number, slug, add, at(0))
    }
}

fn body(batch: &Batch<u32>, request: RequestId) -> Value {
    serde_json::from_slice(batch.body(request).unwrap().body()).unwrap()
}

/// The property of each event of a body.
fn property(body: &Value, key: &str) -> Vec<String> {
    let events = body["events"].as_array().into_iter().flatten();
    events
        .map(|event| event["properties"][key].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_events_of_a_user_travel_with_what_it_is_and_each_gets_its_own_verdict() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    let with = |origin, change| Change { origin, ..change };
    batch.push(with(10, happens(1, "vip", true)), &order, at(0));
    batch.push(with(20, change(1, "vip", true, at(0))), &order, at(0));
    batch.push(with(11, happens(1, "news", false)), &order, at(0));
    batch.push(with(21, change(1, "news", true, at(0))), &order, at(0));
    batch.push(with(12, happens(2, "vip", true)), &order, at(0));
    let request = batch.close(&order, at(0)).unwrap();
    let sent = body(&batch, request);
    let one = json!([{"external_id": "cust-1", "lytics_segments": {"add": ["vip", "news"]}}]);
    assert_eq!(sent["attributes"], one, "the attribute folds as ever");
    assert_eq!(property(&sent, "action"), ["entered", "exited", "entered"]);
    assert_eq!(
        (
            &sent["events"][0]["_update_existing_only"],
            &sent["events"][1]["_update_existing_only"]
        ),
        (&Value::Null, &json!(true))
    );
    let verdicts = vec![Verdict::Accepted, rejected(), Verdict::Accepted, retry()];
    let settled = batch.complete(request, ended(End::Accepted, verdicts), &mut order, at(0));
    let refused = |settled: &Settled<u32>| matches!(settled.outcome, Outcome::Rejected(_));
    let settled: Vec<_> = settled
        .iter()
        .map(|settled| (settled.origin, refused(settled)))
        .collect();
    assert_eq!(settled, [(20, false), (21, false), (10, true), (11, false)]);
    let again = batch.close(&order, at(0)).unwrap();
    assert_eq!(batch.origins(again).collect::<Vec<_>>(), [&12], "as an event, alone");
    assert_eq!(body(&batch, again)["attributes"], Value::Null);
}

#[test]
fn none_is_folded_away_and_the_next_of_a_user_and_slug_waits_for_the_one_before() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    for add in [true, false, true] {
        assert!(batch.push(happens(1, "vip", add), &order, at(0)).is_none());
    }
    for (time, action) in [(0, "entered"), (3, "exited"), (6, "entered")] {
        batch.wake(&order, at(time));
        let request = batch.close(&order, at(time)).unwrap();
        assert_eq!(property(&body(&batch, request), "action"), [action]);
        batch.complete(
            request,
            ended(End::Accepted, vec![Verdict::Accepted]),
            &mut order,
            at(time),
        );
        assert_eq!(batch.close(&order, at(time)), None);
    }
    assert_eq!((batch.pending(), batch.occurrences), (0, 0));
    assert!(batch.targets.is_empty() && batch.edges.is_empty());
}

#[test]
fn those_of_a_profile_and_slug_under_two_identifiers_are_not_in_one_request() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(happens(1, "vip", false), &order, at(0));
    let mut elsewhere = happens(2, "vip", true);
    elsewhere.profile = profile_key(b"1");
    batch.push(elsewhere, &order, at(0));
    let request = batch.close(&order, at(0)).unwrap();
    assert_eq!(property(&body(&batch, request), "action"), ["exited"]);
    assert_eq!(batch.close(&order, at(0)), None, "its profile is in flight");
    batch.complete(
        request,
        ended(End::Accepted, vec![Verdict::Accepted]),
        &mut order,
        at(0),
    );
    batch.wake(&order, at(3));
    let request = batch.close(&order, at(3)).unwrap();
    assert_eq!(property(&body(&batch, request), "action"), ["entered"]);
}

#[test]
fn events_and_attributes_fill_a_request_together_in_objects_and_in_bytes() {
    let (mut batch, order) = (Batch::new(limits()), order());
    for number in 0..40 {
        batch.push(happens(number, "vip", true), &order, at(0));
        batch.push(change(number, "vip", true, at(0)), &order, at(0));
    }
    let request = batch.close(&order, at(0)).unwrap();
    assert_eq!(
        (batch.objects(request).count(), batch.body(request).unwrap().objects()),
        (75, 75)
    );
    let mut batch = Batch::new(BatchLimits {
        body_bytes_max: 2_000,
        ..limits()
    });
    for number in 0..20 {
        batch.push(happens(number, "vip", true), &order, at(0));
    }
    let request = batch.close(&order, at(0)).unwrap();
    let bytes = batch.body(request).unwrap().body().len();
    assert!((1_000..=2_000).contains(&bytes), "{bytes}");
}
