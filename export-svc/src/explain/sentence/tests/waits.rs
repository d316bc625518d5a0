//! What a change waits for.

use super::*;

#[test]
fn whatever_a_change_waits_for_is_named_with_the_time_if_that_is_known() {
    use ChangeStage as Stage;
    let time = "2023-11-14T22:13:20Z";
    let told = |stage| {
        with_standing(stage, |standing| {
            (standing.updates, standing.updates_max, standing.attempts) = (3, 75, 2);
            standing.records_before = 400;
        })
    };
    for (stage, why) in [
        (Stage::Unread, "up to 400 records to read before the enter".to_owned()),
        (Stage::Open, "has read the enter".to_owned()),
        (
            Stage::Window,
            format!("batch to fill, which has 3 of 75 updates, until {time} at the latest; nothing"),
        ),
        (Stage::PersonInFlight, "about the same user or profile; ask".to_owned()),
        (
            Stage::EarlierChange,
            "waits for an earlier change of the profile; ask".to_owned(),
        ),
        (
            Stage::SettleGap,
            format!("waits until {time}, when Braze has surely applied"),
        ),
        (
            Stage::Doubt,
            format!("waits until {time}, for a call with the opposite had no usable answer"),
        ),
        (
            Stage::Retry,
            format!("was in 2 requests that Braze did not take, and is tried again at {time};"),
        ),
        (Stage::Takeover, format!("waits until {time}, for calls of the replica")),
        (
            Stage::Budget,
            format!("waits until {time}, for there are no more requests to Braze before;"),
        ),
        (Stage::Next, "goes with the next request; ask".to_owned()),
        (Stage::Keeping, "being written to export-rejected; ask".to_owned()),
        (
            Stage::Unspecified,
            "nobody has served this audience of the job yet".to_owned(),
        ),
    ] {
        assert!(told(stage).contains(&why), "{why}: {}", told(stage));
    }
    let tried = |status| {
        with_standing(Stage::Budget, |standing| {
            standing.last_attempt_time = standing.until;
            (standing.last_status, standing.last_message) = (status, "no words".into());
        })
    };
    let answer = |how: &str| format!("to Braze before (the last attempt ended at {time} {how}: no words);");
    assert!(tried(503).contains(&answer("with status 503")), "{}", tried(503));
    assert!(tried(0).contains(&answer("without an answer")), "{}", tried(0));
    let backlog = with_standing(Stage::Unread, |standing| {
        (standing.records_before, standing.catch_up) = (7, true);
    });
    assert!(
        backlog.contains("has a backlog of up to 7 records to read before"),
        "{backlog}"
    );
    let soon = with_standing(Stage::Unread, |_| {});
    assert!(
        soon.contains(&format!("the job is about to read the enter {AT}; ask again")),
        "{soon}"
    );
}

#[test]
fn what_a_quiet_window_or_a_user_cap_holds_says_until_when_and_is_not_told_to_be_bounced() {
    let held = |stage| {
        with_standing(stage, |standing| {
            standing.set_state(ExportJobState::Sleeping);
            standing.state_reason = "its quiet window holds its changes until 2023-11-14T22:13:20Z".into();
            standing.resume_time = standing.until;
        })
    };
    assert_eq!(
        held(ChangeStage::Unread),
        format!(
            "User with external id cust-1 does not have vip: the enter {AT} waits, for the job sleeps: its quiet window holds its \
             changes until 2023-11-14T22:13:20Z; it goes on then by itself, or before with another --quiet or --user-cap of \
             `export-svc jobs update`."
        )
    );
    assert!(held(ChangeStage::InFlight).contains("is in a request to Braze now"));
}
