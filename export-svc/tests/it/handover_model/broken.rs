//! Without any of its rules the hand-over goes wrong.

use std::time::Duration;

use export_svc::engine::EngineConfig;
use stateright::{Checker, HasDiscoveries, Model};

use super::rules::{Broken, Rules, Scale};
use super::world::{FINISH, OVERLAP, QUIET, SETTLED, SUCCESSOR};

/// The checker finds a way to `property` not holding.
fn goes_wrong(scale: Scale, broken: Option<Broken>, property: &'static str) {
    let rules = Rules { scale, broken };
    let until = HasDiscoveries::AllOf([property].into());
    let checker = rules.checker().finish_when(until).spawn_bfs().join();
    let path = checker.discovery(property).map(|path| path.into_actions());
    println!("{broken:?}: {} states, {path:?}", checker.unique_state_count());
    assert!(path.is_some(), "in vain: {property}, even with {scale:?}, {broken:?}");
}

fn breaks(broken: Broken, property: &'static str) {
    goes_wrong(Scale::SMALL, Some(broken), property);
}

#[test]
fn without_the_fence_a_predecessor_goes_on_sending() {
    breaks(Broken::NoFence, SUCCESSOR);
}

#[test]
fn without_a_lease_a_thawed_owner_sends() {
    breaks(Broken::NoLease, SUCCESSOR);
}

#[test]
fn the_lease_must_be_looked_at_when_the_body_is_taken() {
    breaks(Broken::LeaseNotSeenByTheBody, SUCCESSOR);
}

#[test]
fn the_lease_counts_from_the_begin_of_the_transaction() {
    breaks(Broken::LeaseFromTheAnswer, SUCCESSOR);
}

#[test]
fn a_new_owner_must_write_before_it_sends() {
    breaks(Broken::LeaseFromTheStart, SUCCESSOR);
}

#[test]
fn a_call_keeps_the_lease_of_its_own_owner() {
    breaks(Broken::LeaseOfTheProcess, SUCCESSOR);
}

#[test]
fn the_clock_must_not_stand_still_with_the_process() {
    breaks(Broken::ClockStandsStill, SUCCESSOR);
}

#[test]
fn after_a_crash_the_predecessors_lease_is_waited_for() {
    breaks(Broken::NoWaitAfterACrash, SUCCESSOR);
}

#[test]
fn after_a_crash_what_may_have_been_sent_is_in_doubt() {
    breaks(Broken::NoDoubtAfterACrash, OVERLAP);
}

#[test]
fn that_doubt_counts_how_long_a_call_may_be_under_way() {
    let scale = Scale {
        attempt: 2,
        doubt: 2,
        ..Scale::SMALL
    };
    goes_wrong(scale, Some(Broken::DoubtWithoutTheAttempt), OVERLAP);
}

#[test]
fn that_doubt_counts_from_the_end_of_the_predecessors_lease() {
    breaks(Broken::DoubtWithoutTheLease, OVERLAP);
}

#[test]
fn what_may_have_been_sent_is_measured_when_that_lease_is_over() {
    let scale = Scale {
        lease: 1,
        doubt: 2,
        records: 3,
        ..Scale::SMALL
    };
    goes_wrong(scale, Some(Broken::EndsTooEarly), OVERLAP);
}

#[test]
fn a_workspace_is_not_released_with_a_call_in_flight() {
    breaks(Broken::ReleasedInFlight, OVERLAP);
}

#[test]
fn a_workspace_is_not_released_while_a_predecessor_is_in_doubt() {
    breaks(Broken::ReleasedInDoubt, OVERLAP);
}

#[test]
fn a_released_workspace_says_what_was_just_accepted() {
    breaks(Broken::GapsNotReleased, OVERLAP);
}

#[test]
fn doubts_are_part_of_progress() {
    breaks(Broken::DoubtsNotWritten, OVERLAP);
}

#[test]
fn waits_that_were_taken_over_are_part_of_progress() {
    breaks(Broken::WaitsTakenOverNotWritten, OVERLAP);
}

#[test]
fn waits_are_taken_over_by_what_was_left_of_them_not_by_the_clock() {
    breaks(Broken::WaitsByTheClock, OVERLAP);
}

#[test]
fn a_later_accepted_attempt_does_not_shorten_a_doubt() {
    breaks(Broken::DoubtShortened, OVERLAP);
}

#[test]
fn opposite_values_wait() {
    breaks(Broken::NoOrder, QUIET);
}

#[test]
fn a_change_is_not_settled_when_it_is_sent() {
    breaks(Broken::SettledWhenSent, SETTLED);
}

#[test]
fn braze_must_apply_within_the_settle_gap() {
    breaks(Broken::BrazeSlowerThanTheGap, QUIET);
}

#[test]
fn braze_must_apply_within_the_doubt() {
    breaks(Broken::BrazeSlowerThanTheDoubt, OVERLAP);
}

#[test]
fn the_last_byte_must_have_left_when_a_call_ends_unknown() {
    breaks(Broken::BytesAfterTheEnd, OVERLAP);
}

#[test]
fn a_lease_shorter_than_the_settle_gap_is_wrong_and_refused_by_the_configuration() {
    let scale = Scale {
        lease: 1,
        settle_gap: 2,
        ..Scale::SMALL
    };
    goes_wrong(scale, None, OVERLAP);
    let config = |scale: Scale| EngineConfig {
        settle_gap: Scale::ticks(scale.settle_gap),
        doubt: Scale::ticks(scale.doubt),
        lease: Scale::ticks(scale.lease),
        progress_every: Duration::from_millis(100),
        ..EngineConfig::default()
    };
    let keys = |scale| {
        config(scale)
            .problems()
            .into_iter()
            .map(|(key, _)| key)
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(scale), ["lease"]);
    assert_eq!(keys(Scale::SMALL), [""; 0]);
}

#[test]
fn where_no_lease_can_be_had_nobody_finishes() {
    goes_wrong(
        Scale {
            lease: 0,
            ..Scale::SMALL
        },
        None,
        FINISH,
    );
}
