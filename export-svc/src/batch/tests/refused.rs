//! Objects that Braze refuses in words we do not know.

use super::*;

fn unknown_words() -> Verdict {
    Verdict::Retry {
        message: Some("no such luck".into()),
    }
}

#[test]
fn what_is_refused_in_unknown_words_waits_longer_each_time_and_is_rejected_after_the_fifth() {
    for end in [End::Accepted, End::Refused] {
        let (mut batch, mut order) = (Batch::new(limits()), order());
        batch.drain();
        batch.push(change(1, "vip", true, at(0)), &order, at(0));
        let (mut now, mut waits) = (at(0), Vec::new());
        let settled = loop {
            let request = batch.close(&order, now).expect("it is its turn");
            let settled = batch.complete(request, ended(end, vec![unknown_words()]), &mut order, now);
            if !settled.is_empty() {
                break settled;
            }
            // The others do not wait with it.
            batch.push(change(2, "vip", true, now), &order, now);
            assert_eq!(deliver(&mut batch, &mut order, now)[0].0, "cust-2");
            let next = batch.next_wake().expect("it is tried again");
            batch.wake(&order, next - Duration::from_millis(1));
            assert!(!batch.is_ready(next - Duration::from_millis(1)));
            waits.push(next.since(now).as_secs());
            now = next;
            batch.wake(&order, now);
            assert!(batch.is_ready(now));
        };
        assert_eq!(waits, [1, 2, 4, 6]);
        let expected = Outcome::Rejected(Box::new(Rejection {
            identifier: Identifier::ExternalId("cust-1".into()),
            reason: Reason::Unusable,
            message: "no such luck".into(),
        }));
        assert_eq!((&settled[0].outcome, settled[0].attempts), (&expected, 5));
        assert_eq!(batch.pending(), 0);
    }
}

#[test]
fn attempts_that_ended_unknown_do_not_count_as_refusals() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    let mut now = at(0);
    for end in [End::Unknown, End::Refused].repeat(20) {
        let request = batch.close(&order, now).expect("its turn");
        assert!(batch.complete(request, ended(end, vec![]), &mut order, now).is_empty());
        now = batch.next_wake().unwrap_or(now).max(now);
        batch.wake(&order, now);
    }
    let request = batch.close(&order, now).unwrap();
    let ending = ended(End::Accepted, vec![unknown_words()]);
    assert!(batch.complete(request, ending, &mut order, now).is_empty());
    assert_eq!(
        batch.next_wake(),
        Some(now + Duration::from_secs(1)),
        "the first refusal"
    );
}

#[test]
fn a_newer_change_does_not_wait_for_the_refused_one_whose_place_it_takes() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    let request = batch.close(&order, at(0)).unwrap();
    let ending = ended(End::Refused, vec![unknown_words()]);
    batch.complete(request, ending, &mut order, at(0));
    assert_eq!(batch.close(&order, at(0)), None);
    let omitted = batch.push(change(1, "vip", false, at(0)), &order, at(0)).unwrap();
    assert!(omitted.add && omitted.attempts == 1, "the enter: {omitted:?}");
    assert_eq!(deliver(&mut batch, &mut order, at(0))[0].2, ["vip"]);
    assert_eq!(batch.pending(), 0);
}

#[test]
fn an_only_update_that_braze_accepts_and_does_not_process_is_not_sent_for_ever() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    let (mut now, mut requests) = (at(0), 0);
    while batch.pending() > 0 {
        let request = batch.close(&order, now).expect("it is its turn");
        let ending = Ending {
            split: true,
            ..ended(End::Accepted, vec![retry()])
        };
        batch.complete(request, ending, &mut order, now);
        requests += 1;
        now = batch.next_wake().unwrap_or(now);
        batch.wake(&order, now);
    }
    assert_eq!(requests, 5);
}
