//! Jobs that share a Braze workspace: each gets its share of every request, whatever the others have waiting.

use super::*;

fn of(lane: LaneId, number: u32) -> Change<u32> {
    Change {
        lane,
        ..change(number, "vip", true, at(0))
    }
}

/// How many objects of each lane the next request holds; lanes are in the numbers' thousands.
fn shares(batch: &mut Batch<u32>, order: &mut Order) -> [usize; 3] {
    let mut shares = [0; 3];
    for (id, ..) in deliver(batch, order, at(0)) {
        let number: usize = id.trim_start_matches("cust-").parse().unwrap();
        shares[number / 1_000] += 1;
    }
    shares
}

#[test]
fn jobs_with_backlogs_of_any_size_share_each_request_evenly() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    for number in 0..600 {
        batch.push(of(0, number), &order, at(0));
    }
    for number in 0..200 {
        batch.push(of(1, 1_000 + number), &order, at(0));
    }
    for number in 0..30 {
        batch.push(of(2, 2_000 + number), &order, at(0));
    }
    assert_eq!([0, 1, 2].map(|lane| batch.pending_of(lane)), [600, 200, 30]);
    assert_eq!(shares(&mut batch, &mut order), [25, 25, 25]);
    assert_eq!(
        shares(&mut batch, &mut order),
        [35, 35, 5],
        "the third has nothing more"
    );
    assert_eq!(shares(&mut batch, &mut order).iter().sum::<usize>(), 75);
    assert_eq!(batch.pending_of(2), 0);
    batch.push(of(2, 2_999), &order, at(0));
    assert_eq!(
        shares(&mut batch, &mut order)[2],
        1,
        "whoever comes late does not wait for the backlogs"
    );
    batch.drain();
    while batch.pending() > 0 {
        shares(&mut batch, &mut order);
    }
    assert!(batch.lanes.is_empty());
}

#[test]
fn turns_go_on_where_the_last_request_ended() {
    let (mut batch, mut order) = (
        Batch::new(BatchLimits {
            objects_max: 4,
            ..limits()
        }),
        order(),
    );
    for number in 0..60 {
        for lane in 0..3 {
            batch.push(of(lane.into(), lane * 1_000 + number), &order, at(0));
        }
    }
    let mut sums = [0; 3];
    for _ in 0..9 {
        for (sum, share) in sums.iter_mut().zip(shares(&mut batch, &mut order)) {
            *sum += share;
        }
    }
    assert_eq!(sums, [12, 12, 12]);
}

#[test]
fn a_job_whose_changes_fail_or_wait_takes_nothing_from_the_others() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    for number in 0..300 {
        batch.push(of(0, number), &order, at(0));
        batch.push(of(1, 1_000 + number), &order, at(0));
    }
    // Whatever the first job sends is refused in unknown words, and waits.
    let mut accepted = 0;
    for _ in 0..8 {
        let request = batch.close(&order, at(0)).unwrap();
        let refused = Verdict::Retry {
            message: Some("no such luck".into()),
        };
        let of_first = |object: &(String, Vec<String>, Vec<String>)| object.0.len() < "cust-1000".len();
        let verdicts: Vec<_> = wire(&batch, request)
            .iter()
            .map(|object| {
                if of_first(object) {
                    refused.clone()
                } else {
                    Verdict::Accepted
                }
            })
            .collect();
        accepted += verdicts.iter().filter(|verdict| **verdict == Verdict::Accepted).count();
        batch.complete(request, ended(End::Accepted, verdicts), &mut order, at(0));
    }
    assert_eq!(accepted, 300, "half of each of eight requests");
    assert_eq!((batch.pending_of(0), batch.pending_of(1)), (300, 0));
}

/// Whoever may still be read for is read for, a change each in turn, until nobody may.
fn fill(batch: &mut Batch<u32>, order: &Order, lanes: std::ops::Range<u32>) {
    for round in 0..1_000 {
        for lane in lanes.clone() {
            if !batch.is_full() && !batch.is_crowded_by(lane.into(), false) {
                batch.push(of(lane.into(), lane * 1_000 + round), order, at(0));
            }
        }
    }
}

#[test]
fn however_many_jobs_get_nowhere_there_is_room_for_one_more() {
    for stuck in [1, 7, 20, 200] {
        let order = order();
        for bounded_in_bytes in [false, true] {
            let mut batch = Batch::new(BatchLimits {
                pending_max: if bounded_in_bytes { usize::MAX } else { 2_000 },
                pending_bytes_max: if bounded_in_bytes {
                    2_000 * of(0, 0).bytes
                } else {
                    usize::MAX
                },
                ..limits()
            });
            fill(&mut batch, &order, 0..stuck);
            assert!(!batch.is_full(), "{stuck} jobs fill it, in bytes: {bounded_in_bytes}");
            assert!(!batch.is_crowded_by(u64::from(stuck), false));
            // One that is stuck may go on when it is down to less than half of what is its share by then.
            assert!(batch.is_crowded_by(0, true));
        }
    }
}
