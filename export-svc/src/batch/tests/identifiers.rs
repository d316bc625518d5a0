//! A profile under two identifiers, which may be one user at Braze.

use super::*;

fn under(identifier: &str, change: Change<u32>) -> Change<u32> {
    Change {
        identifier: Identifier::ExternalId(identifier.into()),
        ..change
    }
}

#[test]
fn a_profile_in_flight_under_one_identifier_is_not_sent_under_another() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    let first = batch.close(&order, at(0)).unwrap();
    let other = Change {
        identifier: Identifier::BrazeId("b1".into()),
        ..change(1, "news", true, at(0))
    };
    batch.push(other, &order, at(0));
    assert_eq!(batch.close(&order, at(0)), None);
    assert!(
        !batch.is_ready(at(0)),
        "it waits for the other request, not for another look"
    );
    batch.complete(first, ended(End::Accepted, vec![Verdict::Accepted]), &mut order, at(0));
    assert!(batch.is_ready(at(0)));
    assert!(batch.close(&order, at(0)).is_some());
}

#[test]
fn a_profile_under_two_identifiers_is_not_twice_in_one_request() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    let enter = change(1, "vip", true, at(0));
    let exit = Change {
        identifier: Identifier::ExternalId("another".into()),
        ..change(1, "vip", false, at(0))
    };
    batch.push(enter, &order, at(0));
    batch.push(exit, &order, at(0));
    let sent = deliver(&mut batch, &mut order, at(0));
    assert_eq!(sent.len(), 1, "the enter alone: {sent:?}");
    assert_eq!(sent[0].1, ["vip"]);
    assert_eq!(
        batch.close(&order, at(2)),
        None,
        "the opposite waits for the settle gap"
    );
    batch.wake(&order, at(3));
    assert_eq!(deliver(&mut batch, &mut order, at(3))[0].2, ["vip"]);
    assert_eq!(batch.pending(), 0);
}

/// The first of two opposite changes is held back by what another profile sent to its user.
fn held_back(first: bool) -> (Batch<u32>, Order) {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(under("a", change(9, "vip", !first, at(0))), &order, at(0));
    deliver(&mut batch, &mut order, at(0));
    batch.push(under("a", change(1, "vip", first, at(1))), &order, at(1));
    batch.push(under("b", change(1, "vip", !first, at(1))), &order, at(1));
    (batch, order)
}

#[test]
fn the_later_of_two_opposite_changes_waits_for_an_earlier_one_that_is_held_back() {
    for first in [true, false] {
        let (mut batch, mut order) = held_back(first);
        assert_eq!(
            batch.close(&order, at(1)),
            None,
            "the later one is free, and waits all the same"
        );
        assert_eq!(batch.next_wake(), Some(at(3)));
        batch.wake(&order, at(3));
        assert_eq!(deliver(&mut batch, &mut order, at(3))[0].0, "a");
        batch.wake(&order, at(5));
        assert_eq!(batch.close(&order, at(5)), None, "and then for the settle gap");
        batch.wake(&order, at(6));
        assert_eq!(deliver(&mut batch, &mut order, at(6))[0].0, "b");
        assert!(batch.people.is_empty());
    }
}

#[test]
fn an_equal_value_waits_for_nobody() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(under("a", change(9, "vip", false, at(0))), &order, at(0));
    deliver(&mut batch, &mut order, at(0));
    batch.push(under("a", change(1, "vip", true, at(1))), &order, at(1));
    batch.push(under("b", change(1, "vip", true, at(1))), &order, at(1));
    assert_eq!(deliver(&mut batch, &mut order, at(1))[0].0, "b");
    assert_eq!(
        batch.close(&order, at(1)),
        None,
        "the first enter is held back by another profile's exit"
    );
}

#[test]
fn whoever_waits_goes_when_the_earlier_change_is_superseded_or_forgotten() {
    let (mut batch, mut order) = held_back(true);
    // Another profile has the last word about user a.
    batch.push(under("a", change(8, "vip", false, at(1))), &order, at(1));
    assert_eq!(deliver(&mut batch, &mut order, at(1)).len(), 2);
    let (mut batch, mut order) = held_back(true);
    batch.push(under("c", change(7, "vip", true, at(1))), &order, at(1));
    assert_eq!(batch.abandon(|profile| *profile == 1, &order, at(1)), [1, 1]);
    assert_eq!(deliver(&mut batch, &mut order, at(1))[0].0, "c");
    assert!(batch.people.is_empty());
}

#[test]
fn a_retried_change_keeps_its_turn() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(under("a", change(1, "vip", true, at(0))), &order, at(0));
    let first = batch.close(&order, at(0)).unwrap();
    batch.push(under("b", change(1, "vip", false, at(0))), &order, at(0));
    let refused = Verdict::Retry {
        message: Some("not now".into()),
    };
    batch.complete(first, ended(End::Refused, vec![refused]), &mut order, at(0));
    assert_eq!(
        batch.close(&order, at(0)),
        None,
        "the exit waits for the enter, which waits by itself"
    );
    batch.wake(&order, at(1));
    assert_eq!(deliver(&mut batch, &mut order, at(1))[0].0, "a");
}

#[test]
fn two_profiles_of_one_user_are_counted_and_the_last_change_decides() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    let push = |batch: &mut Batch<u32>, order: &Order, number, slug, add| {
        let superseded = batch.push(under("a", change(number, slug, add, at(0))), order, at(0));
        superseded.map(|settled| (settled.origin, settled.contested))
    };
    let complete = |batch: &mut Batch<u32>, order: &mut Order, request| {
        let settled = batch.complete(request, ended(End::Accepted, vec![Verdict::Accepted]), order, at(0));
        let settled = settled.into_iter().map(|settled| (settled.origin, settled.contested));
        settled.collect::<Vec<_>>()
    };
    assert_eq!(push(&mut batch, &order, 1, "vip", true), None);
    assert_eq!(
        push(&mut batch, &order, 1, "vip", true),
        Some((1, false)),
        "one profile"
    );
    push(&mut batch, &order, 2, "news", true);
    let request = batch.close(&order, at(0)).unwrap();
    push(&mut batch, &order, 2, "vip", false);
    assert_eq!(
        push(&mut batch, &order, 3, "vip", true),
        Some((2, true)),
        "it met what was in flight"
    );
    let settled = complete(&mut batch, &mut order, request);
    assert_eq!(settled, [(1, false), (2, false)], "the first, and another slug");
    let request = batch.close(&order, at(0)).unwrap();
    assert_eq!(wire(&batch, request)[0].1, ["vip"], "the last change decides");
    let settled = complete(&mut batch, &mut order, request);
    assert_eq!(settled, [(3, true)], "it met what was pending");
    push(&mut batch, &order, 1, "vip", true);
    let request = batch.close(&order, at(0)).unwrap();
    assert_eq!(complete(&mut batch, &mut order, request), [(1, false)], "it met nobody");
}
