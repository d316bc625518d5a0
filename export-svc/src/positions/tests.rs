use proptest::prelude::*;

use super::*;

fn written(next: i64, open: &[i64]) -> PartitionPosition {
    PartitionPosition {
        partition: 0,
        next,
        open: open.to_vec(),
        ..PartitionPosition::default()
    }
}

#[test]
fn an_open_offset_holds_nothing_back_but_is_read_again() {
    let mut positions = Positions::starting(1, &[(0, 5)]);
    for offset in [5, 7, 9] {
        assert!(positions.wants(0, offset));
        positions.hand(0, offset);
    }
    assert!(positions.settle(0, 5) && positions.settle(0, 9));
    assert!(!positions.settle(0, 9), "settled once");
    assert_eq!(positions.written(|_| 0), [written(10, &[7])]);
    let successor = Positions::restore(1, &positions.written(|_| 12));
    assert_eq!(successor.read_from(0), 7);
    let wanted: Vec<_> = (0..14).filter(|offset| successor.wants(0, *offset)).collect();
    assert_eq!(wanted, [7, 12, 13]);
}

#[test]
fn an_awaited_offset_that_was_compacted_away_is_dropped_when_it_is_passed() {
    let mut positions = Positions::restore(1, &[written(10, &[3, 7])]);
    positions.passed(0, 5);
    assert_eq!(positions.written(|_| 0), [written(10, &[7])]);
    positions.hand(0, 7);
    positions.passed(0, 20);
    assert_eq!(positions.open_len(), 1, "what was handed is not awaited");
}

#[test]
fn a_detached_feed_reads_again_what_was_not_settled_and_a_late_settlement_counts() {
    let mut positions = Positions::starting(1, &[]);
    positions.hand(0, 0);
    positions.hand(0, 1);
    positions.detach();
    assert_eq!(positions.read_from(0), 0);
    assert!(positions.settle(0, 0));
    assert_eq!(positions.read_from(0), 1);
    assert!(positions.wants(0, 1) && !positions.wants(0, 0));
}

#[test]
fn a_feed_that_goes_elsewhere_forgets_what_was_open_there_and_keeps_the_rest() {
    let mut positions = Positions::starting(2, &[(0, 5), (1, 5)]);
    for partition in [0, 1] {
        positions.hand(partition, 5);
        positions.hand(partition, 6);
    }
    positions.detach();
    assert!(positions.leaves_out(&[(0, 6)]) && !positions.leaves_out(&[(0, 5), (1, 0)]));
    positions.go_to(&[(0, 2), (7, 0)]);
    assert!(!positions.settle(0, 5), "whoever was in flight has nothing to settle");
    assert!(positions.wants(0, 2) && !positions.wants(0, 1));
    assert!(positions.settle(1, 5));
    assert_eq!((positions.read_from(0), positions.read_from(1)), (2, 6));
}

#[test]
fn what_is_reopened_is_as_if_handed_and_only_what_was_settled_is() {
    let mut positions = Positions::starting(1, &[(0, 5)]);
    assert!(!positions.reopen(0, 5), "it is still to be read");
    positions.hand(0, 5);
    assert!(!positions.reopen(0, 5), "it is on its way");
    positions.hand(0, 6);
    assert!(positions.settle(0, 5) && positions.reopen(0, 5));
    assert_eq!(positions.written(|_| 0), [written(7, &[5, 6])]);
    positions.detach();
    assert_eq!(positions.read_from(0), 5);
    assert!(positions.settle(0, 5) && !positions.settle(0, 5));
}

fn parts<const N: usize>() -> [Part; N] {
    let mut parts = Part::each(u8::try_from(N).unwrap());
    std::array::from_fn(|_| parts.next().unwrap())
}

#[test]
fn a_record_of_two_changes_is_settled_with_the_second_and_a_settled_one_is_not_sent_again() {
    let mut positions = Positions::starting(1, &[]);
    let [first, second] = parts();
    assert!(!first.counts() && second.counts() && Part::WHOLE.counts());
    positions.hand(0, 7);
    assert!(positions.settle_part(0, 7, first));
    assert!(!positions.settle_part(0, 7, first), "once");
    let persisted = positions.written(|_| 0);
    assert_eq!(persisted[0].open, [7]);
    let mut successor = Positions::restore(1, &persisted);
    for positions in [&mut positions, &mut successor] {
        positions.detach();
        positions.hand(0, 7);
        assert!(positions.is_settled(0, 7, first) && !positions.is_settled(0, 7, second));
        assert!(positions.settle_part(0, 7, second));
        assert!(!positions.settle_part(0, 7, first), "the record is settled");
        assert_eq!(positions.written(|_| 0), [written(8, &[])]);
    }
}

#[test]
fn a_record_that_is_one_change_now_is_settled_with_it_whichever_parts_were_settled_before() {
    for part in parts::<2>() {
        let mut positions = Positions::starting(1, &[]);
        positions.hand(0, 7);
        assert!(positions.settle_part(0, 7, part));
        assert!(!positions.is_settled(0, 7, Part::WHOLE), "it is still to be sent");
        assert!(positions.settle(0, 7));
        assert_eq!(positions.written(|_| 0), [written(8, &[])], "{part:?}");
    }
}

#[test]
fn the_parts_of_a_record_that_was_compacted_away_are_forgotten() {
    let mut positions = Positions::starting(1, &[]);
    for offset in [3, 4] {
        positions.hand(0, offset);
        assert!(positions.settle_part(0, offset, parts::<2>()[0]));
    }
    positions.detach();
    positions.hand(0, 4);
    positions.passed(0, 5);
    let kept = PartitionPosition {
        settled_parts: [(4, 1)].into(),
        ..written(5, &[4])
    };
    assert_eq!(positions.written(|_| 0), [kept]);
}

proptest! {
    /// Proves: whatever is handed and settled in whatever order, with restarts, detaching, late answers and other feeds'
    /// seeks in between, every part of every record of a log with holes is settled exactly once, except those handed again
    /// because a restart lost the knowledge of them; and none is left out.
    #[test]
    fn every_record_is_settled_whatever_happens(
        holes in proptest::collection::btree_set(0i64..60, 0..30),
        script in proptest::collection::vec((0..7u8, any::<prop::sample::Index>()), 1..200),
    ) {
        let log: Vec<i64> = (0..60).filter(|offset| !holes.contains(offset)).collect();
        let parts_of = |offset: i64| Part::each(1 + u8::try_from(offset % 3).unwrap());
        let mut feed = Positions::starting(1, &[]);
        let mut persisted = feed.written(|_| 0);
        let (mut read_to, mut handed, mut late) = (0i64, Vec::new(), Vec::new());
        let mut settled = std::collections::HashMap::new();
        let mut since = Vec::new();
        let mut repeats_allowed = std::collections::HashMap::<(i64, u8), usize>::new();
        let read = |feed: &mut Positions, read_to: &mut i64, handed: &mut Vec<(i64, Part)>| {
            let Some(offset) = log.iter().copied().find(|offset| offset >= read_to) else { return false };
            feed.passed(0, offset);
            if feed.wants(0, offset) {
                feed.hand(0, offset);
                handed.extend(parts_of(offset).filter(|part| !feed.is_settled(0, offset, *part)).map(|part| (offset, part)));
            }
            *read_to = offset + 1;
            true
        };
        for (what, index) in script {
            let answered = if what == 6 { &mut late } else { &mut handed };
            match what {
                0 | 1 => {
                    read(&mut feed, &mut read_to, &mut handed);
                }
                2 | 6 if !answered.is_empty() => {
                    let (offset, part) = answered.swap_remove(index.index(answered.len()));
                    if feed.settle_part(0, offset, part) {
                        *settled.entry((offset, part.index)).or_insert(0) += 1;
                        since.push((offset, part.index));
                    }
                }
                3 => {
                    persisted = feed.written(|_| read_to);
                    since.clear();
                }
                4 => {
                    // A crash: what was settled since the last write may be settled again.
                    feed = Positions::restore(1, &persisted);
                    for part in since.drain(..) {
                        *repeats_allowed.entry(part).or_default() += 1;
                    }
                    (handed, late) = (Vec::new(), Vec::new());
                    read_to = feed.read_from(0);
                }
                5 => {
                    // Another feed makes the reader go back, and this one is detached and attached again.
                    feed.advance(0, read_to);
                    feed.detach();
                    late.append(&mut handed);
                    read_to = feed.read_from(0).min(read_to) / 2;
                }
                _ => {}
            }
        }
        while read(&mut feed, &mut read_to, &mut handed) {}
        for (offset, part) in handed.drain(..) {
            if feed.settle_part(0, offset, part) {
                *settled.entry((offset, part.index)).or_insert(0) += 1;
            }
        }
        for (offset, part) in log.iter().flat_map(|offset| parts_of(*offset).map(|part| (*offset, part.index))) {
            let times = settled.get(&(offset, part)).copied().unwrap_or(0);
            let allowed = 1 + repeats_allowed.get(&(offset, part)).copied().unwrap_or(0);
            prop_assert!((1..=allowed).contains(&times), "{offset}, part {part}: settled {times} times");
        }
        prop_assert_eq!(feed.open_len(), 0);
        prop_assert!(feed.written(|_| 0)[0].settled_parts.is_empty());
    }
}
