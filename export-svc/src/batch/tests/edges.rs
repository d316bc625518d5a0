//! A slug whose every edge is wanted. That all are sent, in order, whatever happens, is in `model`.

use super::*;

fn edge(add: bool, time: Time) -> Change<u32> {
    Change {
        every_edge: true,
        ..change(1, "vip", add, time)
    }
}

/// Enter, exit, enter, of one user.
fn edges(batch: &mut Batch<u32>, order: &Order) {
    for add in [true, false, true] {
        assert!(
            batch.push(edge(add, at(0)), order, at(0)).is_none(),
            "none is folded away"
        );
    }
}

#[test]
fn each_goes_in_a_request_of_its_own_when_the_one_before_has_settled() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    edges(&mut batch, &order);
    for (time, add) in [(0, true), (3, false), (6, true)] {
        batch.wake(&order, at(time));
        let [(_, added, removed)] = &deliver(&mut batch, &mut order, at(time))[..] else {
            panic!("one object")
        };
        assert_eq!((added.len(), removed.len()), (usize::from(add), usize::from(!add)));
        batch.wake(&order, at(time + 2));
        assert_eq!(batch.close(&order, at(time + 2)), None);
    }
    assert_eq!(batch.pending(), 0);
    assert!(batch.edges.is_empty() && batch.targets.is_empty());
}

#[test]
fn each_waits_for_its_own_time() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.push(edge(true, at(0)), &order, at(0));
    batch.push(edge(false, at(60)), &order, at(60));
    assert_eq!(batch.next_wake(), Some(at(300)));
    deliver(&mut batch, &mut order, at(300));
    batch.wake(&order, at(303));
    assert_eq!(batch.next_wake(), Some(at(360)));
}

#[test]
fn one_that_comes_back_goes_before_those_behind_it_and_one_that_is_refused_lets_them_go() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    edges(&mut batch, &order);
    let enter = batch.close(&order, at(0)).unwrap();
    assert!(
        batch
            .complete(enter, ended(End::Refused, vec![retry()]), &mut order, at(0))
            .is_empty(),
        "a newer one does not take its place"
    );
    let enter = batch.close(&order, at(0)).unwrap();
    assert_eq!(wire(&batch, enter)[0].1, ["vip"]);
    let settled = batch.complete(enter, ended(End::Accepted, vec![rejected()]), &mut order, at(0));
    assert_eq!((settled.len(), settled[0].attempts), (1, 2));
    assert_eq!(deliver(&mut batch, &mut order, at(0))[0].2, ["vip"], "then the exit");
}

#[test]
fn another_slug_of_the_user_is_folded_as_ever_and_travels_along() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    edges(&mut batch, &order);
    batch.push(change(1, "news", true, at(0)), &order, at(0));
    assert!(batch.push(change(1, "news", false, at(0)), &order, at(0)).is_some());
    let sent = deliver(&mut batch, &mut order, at(0));
    assert_eq!(sent, [("cust-1".into(), vec!["vip".into()], vec!["news".into()])]);
    assert_eq!(batch.pending(), 2);
}

#[test]
fn those_that_are_abandoned_are_given_back_also_from_behind() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    edges(&mut batch, &order);
    let enter = batch.close(&order, at(0)).unwrap();
    assert_eq!(batch.abandon(|_| true, &order, at(0)), [1, 1]);
    batch.complete(enter, ended(End::Unknown, vec![]), &mut order, at(0));
    assert_eq!((batch.pending(), batch.targets.len()), (0, 0));
    assert!(batch.edges.is_empty() && batch.people.is_empty());
}
