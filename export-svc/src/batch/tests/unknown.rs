//! Requests that end unknown again and again: perhaps because of one object.

use super::*;

/// Sends whatever may be sent; requests that hold `guilty` end unknown. Gives back how many objects each request held.
fn round(batch: &mut Batch<u32>, order: &mut Order, now: Time, guilty: &str) -> Vec<usize> {
    let mut sizes = Vec::new();
    batch.wake(order, now);
    while let Some(request) = batch.close(order, now) {
        let objects = wire(batch, request);
        sizes.push(objects.len());
        let ending = if objects.iter().any(|object| object.0 == guilty) {
            ended(End::Unknown, vec![])
        } else {
            ended(End::Accepted, vec![Verdict::Accepted; objects.len()])
        };
        batch.complete(request, ending, order, now);
        assert!(sizes.len() < 100, "{sizes:?}");
    }
    sizes
}

#[test]
fn the_object_that_makes_braze_fail_is_isolated_and_the_others_get_through() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    for number in 0..75 {
        batch.push(change(number, "vip", true, at(0)), &order, at(0));
    }
    batch.drain();
    let sizes = round(&mut batch, &mut order, at(0), "cust-33");
    assert_eq!(sizes[..3], [75, 75, 75], "not before it has failed three times");
    assert!(
        sizes[3..].iter().all(|size| *size < 75) && sizes.len() <= 16,
        "{sizes:?}"
    );
    assert_eq!(batch.pending(), 1, "it is not given up");
    // It waits longer each time, alone, and holds nobody back.
    let (mut now, mut waits) = (at(0), Vec::new());
    for number in 100..104 {
        let next = batch.next_wake().expect("it is tried again");
        waits.push(next.since(now).as_secs());
        now = next;
        batch.push(change(number, "vip", true, now), &order, now);
        assert_eq!(round(&mut batch, &mut order, now, "cust-33"), [1, 1]);
    }
    assert_eq!(waits, [1, 2, 4, 6]);
    now = batch.next_wake().unwrap();
    assert_eq!(round(&mut batch, &mut order, now, "nobody"), [1]);
    assert_eq!(batch.pending(), 0);
}

#[test]
fn its_opposite_waits_out_the_doubt_of_the_last_attempt() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    assert_eq!(round(&mut batch, &mut order, at(0), "cust-1"), [1, 1, 1]);
    assert_eq!(round(&mut batch, &mut order, at(1), "cust-1"), [1]);
    batch.push(change(1, "vip", false, at(1)), &order, at(1));
    assert!(round(&mut batch, &mut order, at(60), "nobody").is_empty());
    assert_eq!(round(&mut batch, &mut order, at(61), "nobody"), [1]);
}

#[test]
fn an_outage_takes_one_request_apart_and_not_all_of_them() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    for number in 0..300 {
        batch.push(change(number, "vip", true, at(0)), &order, at(0));
    }
    let mut sizes = Vec::new();
    for _ in 0..10 {
        let requests: Vec<_> = std::iter::from_fn(|| batch.close(&order, at(0))).collect();
        sizes.clear();
        for request in requests {
            sizes.push(batch.objects(request).count());
            batch.complete(request, ended(End::Unknown, vec![]), &mut order, at(0));
        }
    }
    assert!(sizes.iter().filter(|size| **size == 75).count() >= 3, "{sizes:?}");
    batch.wake(&order, at(600));
    let mut accepted = 0;
    while let Some(request) = batch.close(&order, at(600)) {
        let objects = batch.objects(request).count();
        let ending = ended(End::Accepted, vec![Verdict::Accepted; objects]);
        accepted += batch.complete(request, ending, &mut order, at(600)).len();
    }
    assert_eq!((accepted, batch.pending()), (300, 0));
}
