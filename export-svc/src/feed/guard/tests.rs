use super::*;

fn at(minutes: i64) -> Time {
    Time::from_millis(minutes * 60_000)
}

/// How many exits are let through at that time, one after the other, of at most `most`.
fn admitted(guard: &mut Guard, percent: u32, most: u64, now: Time) -> u64 {
    (0..most)
        .take_while(|_| {
            let admitted = guard.admit(percent, now);
            if admitted {
                guard.leaves();
            }
            admitted
        })
        .fold(0, |count, _| count + 1)
}

#[test]
fn before_anybody_has_counted_as_many_leave_as_may_of_the_smallest_audience_and_then_it_is_counted() {
    for (percent, first) in [(20, 20), (1, 1), (50, 50), (99, 99)] {
        let mut guard = Guard::none(0);
        assert_eq!(admitted(&mut guard, percent, 1_000, at(0)), first, "{percent} %");
        assert!(guard.counts() && guard.stops() && guard.held().is_none());
    }
}

#[test]
fn of_a_thousand_two_hundred_leave_within_an_hour_and_no_more_however_the_exits_are_spread() {
    for spread in [0, 1, 50] {
        let mut guard = Guard::none(0);
        assert_eq!(admitted(&mut guard, 20, 1_000, at(0)), 20);
        assert_eq!(guard.counted(980, 20, at(0)), None);
        assert_eq!(admitted(&mut guard, 20, 180, at(spread)), 180);
        assert_eq!(admitted(&mut guard, 20, 1, at(spread)), 0);
        let too_many = guard.counted(800, 20, at(spread)).unwrap();
        assert_eq!(
            too_many,
            TooMany {
                exits: 200,
                before: 1_000
            }
        );
        let reason = too_many.reason("vip", 20);
        for told in ["vip", "1000", "200", "20 %", "jobs resume --confirm"] {
            assert!(reason.contains(told), "{told}: {reason}");
        }
    }
}

#[test]
fn what_left_more_than_an_hour_ago_does_not_count_and_is_forgotten() {
    let mut guard = Guard::none(0);
    for begin in [0, 180, 360] {
        assert_eq!(guard.counted(250, 20, at(begin)), None);
        for minute in begin..begin + 50 {
            assert_eq!(admitted(&mut guard, 20, 1, at(minute)), 1, "minute {minute}");
        }
        assert_eq!(admitted(&mut guard, 20, 1, at(begin + 50)), 0);
        assert_eq!(guard.exits.len(), 50);
        assert_eq!(guard.in_window(at(begin + 60)), 49);
        assert_eq!(guard.in_window(at(begin + 109)), 0);
    }
    assert!(guard.exits.is_empty());
}

#[test]
fn members_are_not_counted_again_while_what_left_since_leaves_enough() {
    let mut guard = Guard::none(0);
    assert_eq!(admitted(&mut guard, 20, 21, at(0)), 20);
    assert_eq!(guard.counted(1_000, 20, at(0)), None);
    // 100 in an hour, for five hours: 480 are left of a thousand.
    for hour in 1..6 {
        assert_eq!(admitted(&mut guard, 20, 100, at(hour * 60)), 100, "hour {hour}");
    }
    // 20 % of 500, of whom nobody knows but that they are no fewer.
    assert_eq!(admitted(&mut guard, 20, 1_000, at(360)), 100);
    assert!(guard.counts());
    assert_eq!(guard.counted(900, 20, at(360)), None, "others had come");
    assert_eq!(admitted(&mut guard, 20, 1_000, at(360)), 100);
    assert_eq!(
        guard.counted(800, 20, at(360)),
        Some(TooMany {
            exits: 200,
            before: 1_000
        })
    );
}

#[test]
fn an_audience_of_less_than_a_hundred_is_not_guarded_and_one_of_a_hundred_is() {
    let mut small = Guard::none(0);
    assert_eq!(admitted(&mut small, 20, 99, at(0)), 20);
    assert_eq!(small.counted(79, 20, at(0)), None);
    for (exits, members) in [(40, 59), (60, 39), (80, 19)] {
        assert_eq!(admitted(&mut small, 20, 1_000, at(1)), 20);
        assert_eq!(small.counted(members, 20, at(1)), None, "{exits} have left");
    }
    // One of them was none, who can tell.
    assert_eq!(admitted(&mut small, 20, 1_000, at(1)), 20);
    let hundredth = TooMany {
        exits: 100,
        before: 100,
    };
    assert_eq!(small.counted(0, 20, at(1)), Some(hundredth));
    let mut hundred = Guard::none(0);
    assert_eq!(admitted(&mut hundred, 20, 99, at(0)), 20);
    assert!(hundred.counted(80, 20, at(0)).is_some());
}

#[test]
fn an_audience_that_comes_to_a_job_is_held_with_the_others_and_has_lost_nobody_yet() {
    let mut guard = Guard::none(2);
    assert_eq!(admitted(&mut guard, 20, 21, at(0)), 20);
    assert_eq!(
        guard.beside(),
        Guard::none(2),
        "who is counted there is its own business"
    );
    guard.hold = Some(Hold::Confirm("because".to_owned()));
    let mut beside = guard.beside();
    assert_eq!(beside.in_window(at(0)), 0);
    assert_eq!(beside.held(), Some("because"));
}

#[test]
fn what_it_knows_survives_being_written_down_also_by_a_clock_that_was_ahead() {
    let mut guard = Guard::none(3);
    assert_eq!(admitted(&mut guard, 20, 15, at(100)), 15);
    guard.members = Some(7);
    guard.hold = Some(Hold::Confirm("because".to_owned()));
    let written = |guard: &Guard| {
        let mut progress = FeedProgress::default();
        guard.write(&mut progress);
        progress
    };
    let mut restored = Guard::restore(&written(&guard));
    assert_eq!(restored, guard);
    assert_eq!((restored.held(), restored.confirms()), (Some("because"), 3));
    restored.hold = None;
    restored.members = None;
    assert_eq!(admitted(&mut restored, 20, 100, at(70)), 5);
    assert_eq!(restored.exits.len(), 1);
    // Whoever counts is asked again.
    guard.hold = Some(Hold::Counting);
    assert!(!Guard::restore(&written(&guard)).stops());
}
