//! What Braze refuses of one attribute of a user, and what of the user itself.

use std::collections::BTreeMap;

use super::*;

const ATTRIBUTES: [&str; 3] = [control::ATTRIBUTE, "other", "third"];

/// A user with an enter for each of these attributes.
fn push(batch: &mut Batch<u32>, order: &Order, user: u32, attributes: &[&str]) {
    for (number, attribute) in (0..).zip(attributes) {
        let change = Change {
            attribute: (*attribute).into(),
            origin: user * 10 + number,
            ..change(user, "vip", true, at(0))
        };
        assert!(batch.push(change, order, at(0)).is_none());
    }
}

/// What becomes of everything at a Braze that says this to every object which holds an attribute; in how many requests.
fn ends(
    batch: &mut Batch<u32>,
    order: &mut Order,
    at_fault: &str,
    verdict: &Verdict,
) -> (BTreeMap<u32, Outcome>, usize) {
    let (mut outcomes, mut requests, mut now) = (BTreeMap::new(), 0, at(0));
    batch.drain();
    while batch.pending() > 0 {
        batch.wake(order, now);
        let Some(request) = batch.close(order, now) else {
            now = batch.next_wake().expect("something is still to be sent");
            continue;
        };
        requests += 1;
        let body: serde_json::Value = serde_json::from_slice(batch.body(request).unwrap().body()).unwrap();
        let objects = body["attributes"].as_array().unwrap().iter();
        let said = objects.map(|object| {
            let refused = object.get(at_fault).is_some();
            if refused { verdict.clone() } else { Verdict::Accepted }
        });
        let ending = ended(End::Accepted, said.collect());
        for settled in batch.complete(request, ending, order, now) {
            let before = outcomes.insert(settled.origin, settled.outcome);
            assert!(before.is_none(), "it is settled once");
        }
    }
    (outcomes, requests)
}

#[test]
fn what_is_refused_for_one_attribute_of_a_user_takes_no_other_along() {
    let unknown_words = Verdict::Retry {
        message: Some("no such luck".into()),
    };
    for verdict in [rejected(), unknown_words] {
        for at_fault in ATTRIBUTES {
            let (mut batch, mut order) = (Batch::new(limits()), order());
            // Every set of attributes, a user each.
            for user in 1..8_u32 {
                let has = (0..).zip(ATTRIBUTES).filter(|(bit, _)| user & (1 << bit) != 0);
                let has: Vec<_> = has.map(|(_, attribute)| attribute).collect();
                push(&mut batch, &order, user, &has);
            }
            let (outcomes, _) = ends(&mut batch, &mut order, at_fault, &verdict);
            assert_eq!(outcomes.len(), 12);
            let refused = outcomes.values().filter(|outcome| **outcome != Outcome::Accepted);
            assert_eq!(refused.count(), 4, "those of {at_fault}, and no others: {outcomes:?}");
            assert_eq!(batch.pending(), 0);
            assert!(batch.targets.is_empty());
        }
    }
}

#[test]
fn what_is_refused_because_of_the_user_is_not_sent_once_more() {
    let blocked = Verdict::Rejected {
        reason: braze::Reason::Blocked,
        message: "no".into(),
    };
    let (mut batch, mut order) = (Batch::new(limits()), order());
    push(&mut batch, &order, 1, &ATTRIBUTES);
    let (outcomes, requests) = ends(&mut batch, &mut order, "other", &blocked);
    assert!(
        outcomes.values().all(|outcome| *outcome != Outcome::Accepted),
        "{outcomes:?}"
    );
    assert_eq!((outcomes.len(), requests), (3, 1));
}
