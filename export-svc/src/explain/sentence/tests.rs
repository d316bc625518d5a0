//! A sentence for each thing that may have happened, word for word.

mod waits;

use std::collections::HashMap;

use proto::export::v1::{BrazeUser, IdentifierChoice};
use proto::membership::v1::MembershipChange;

use super::*;

/// Where the record of every case is.
const AT: &str = "(partition 2, offset 12)";

fn choice(chosen: bool) -> IdentifierChoice {
    IdentifierChoice {
        kind: "external_id".into(),
        field: "user_id".into(),
        value: if chosen { "cust-1".into() } else { String::new() },
        chosen,
        ..IdentifierChoice::default()
    }
}

fn braze(exists: bool, values: &[&str]) -> BrazeUser {
    BrazeUser {
        exists,
        attribute: "lytics_segments".into(),
        values: values.iter().map(|&value| value.to_owned()).collect(),
        has_slug: values.contains(&"vip"),
        ..BrazeUser::default()
    }
}

/// A record of profile 42 in audience vip, of a job that goes by `user_id`; the user has no slug yet.
fn facts(action: MembershipAction, stage: ChangeStage) -> MemberExplanation {
    let change = MembershipChange {
        action: action.into(),
        fields: HashMap::from([("user_id".into(), "cust-1".into())]),
        ..MembershipChange::default()
    };
    let mut standing = ChangeStanding::default();
    standing.set_stage(stage);
    standing.set_state(ExportJobState::Runnable);
    standing.until = Some(prost_types::Timestamp {
        seconds: 1_700_000_000,
        nanos: 0,
    });
    MemberExplanation {
        audience: "vip".into(),
        profile_id: "42".into(),
        last_record: Some(LastRecord {
            partition: 2,
            offset: 12,
            change: Some(change),
            ..LastRecord::default()
        }),
        identifiers: vec![choice(true)],
        standing: Some(standing),
        braze_user: Some(braze(true, &[])),
        ..MemberExplanation::default()
    }
}

fn enter(stage: ChangeStage) -> MemberExplanation {
    facts(MembershipAction::Enter, stage)
}

fn exit(stage: ChangeStage) -> MemberExplanation {
    facts(MembershipAction::Exit, stage)
}

fn of(facts: MemberExplanation, change: impl FnOnce(&mut MemberExplanation)) -> String {
    let mut facts = facts;
    change(&mut facts);
    sentence(&facts)
}

fn with_standing(stage: ChangeStage, change: impl FnOnce(&mut ChangeStanding)) -> String {
    of(enter(stage), |facts| change(facts.standing.as_mut().unwrap()))
}

#[test]
fn without_a_record_nobody_is_known() {
    let none = |incomplete| {
        sentence(&MemberExplanation {
            audience: "vip".into(),
            profile_id: "42".into(),
            incomplete,
            ..MemberExplanation::default()
        })
    };
    assert_eq!(
        none(false),
        "No user at Braze is known for profile 42: the membership topic has no record of profile 42 in audience vip; see whether the \
         profile's id is right, and whether Lytics publishes this audience."
    );
    assert_eq!(
        none(true),
        "No user at Braze is known for profile 42: the newest records of the membership topic have none of profile 42 in audience \
         vip, and older ones could not be looked through in time; ask again, for this audience alone."
    );
}

#[test]
fn what_is_settled_says_what_braze_holds_and_what_to_do_if_that_is_not_what_it_should() {
    let has = |facts: &mut MemberExplanation| facts.braze_user = Some(braze(true, &["vip", "news"]));
    let settled = ChangeStage::Settled;
    assert_eq!(
        of(enter(settled), has),
        format!("User with external id cust-1 has vip: Braze has taken the enter {AT}; nothing is to be done.")
    );
    assert_eq!(
        of(exit(settled), |_| {}),
        format!(
            "User with external id cust-1 does not have vip: the job has settled the exit {AT}; nothing is to be done."
        )
    );
    for (changes, others) in [
        (1, "alone in its request"),
        (2, "in a request with one other change"),
        (75, "in a request with 74 other changes"),
    ] {
        let taken = with_standing(settled, |standing| {
            standing.taken_time = standing.until;
            standing.taken_changes = changes;
        });
        let taken_so = format!("Braze has taken the enter {AT} at 2023-11-14T22:13:20Z, {others};");
        assert!(taken.contains(&taken_so), "{taken}");
    }
    let nobody = |facts: &mut MemberExplanation| facts.braze_user = Some(braze(false, &[]));
    assert_eq!(
        of(enter(settled), nobody),
        format!(
            "Braze has no user with external id cust-1: Braze has taken the enter {AT}; ask again in a minute, for Braze applies later \
             what it has taken; if it stays so, somebody has deleted the user, or the key belongs to another Braze workspace, and \
             `export-svc jobs reset` sends it again."
        )
    );
    assert_eq!(
        of(exit(settled), nobody),
        format!("Braze has no user with external id cust-1: the job has settled the exit {AT}; nothing is to be done.")
    );
    let elsewise = "ask again in a minute, for Braze applies later what it has taken; if it stays so, somebody else writes to \
                    lytics_segments, or another profile has the same identifier, and `export-svc jobs reset` sends it again.";
    assert_eq!(
        of(enter(settled), |_| {}),
        format!("User with external id cust-1 does not have vip: Braze has taken the enter {AT}; {elsewise}")
    );
    assert_eq!(
        of(exit(settled), has),
        format!("User with external id cust-1 has vip: the job has settled the exit {AT}; {elsewise}")
    );
    let no_array = |facts: &mut MemberExplanation| facts.braze_user.as_mut().unwrap().not_an_array = true;
    assert_eq!(
        of(enter(settled), no_array),
        format!(
            "User with external id cust-1 does not have vip: Braze has taken the enter {AT}; lytics_segments holds something that is no \
             array: make it one at Braze, then `export-svc jobs reset` sends it again."
        )
    );
    let late =
        |facts: &mut MemberExplanation| (facts.incomplete, facts.braze_user) = (true, Some(braze(true, &["vip"])));
    assert_eq!(
        of(enter(settled), late),
        format!(
            "User with external id cust-1 has vip: the job has settled the enter {AT}, and whether that was refused could not be looked \
             up in time; nothing is to be done."
        )
    );
}

#[test]
fn if_braze_does_not_tell_what_it_holds_the_rest_is_told_all_the_same() {
    let silent = |facts: &mut MemberExplanation| {
        facts.braze_user = Some(BrazeUser {
            problem: "status 403: no".into(),
            ..BrazeUser::default()
        });
    };
    assert_eq!(
        of(enter(ChangeStage::Settled), silent),
        format!(
            "It is not known whether user with external id cust-1 has vip (status 403: no): Braze has taken the enter {AT}; the user \
             should have it, look it up at Braze."
        )
    );
    assert!(of(exit(ChangeStage::Settled), silent).ends_with("; the user should not have it, look it up at Braze."));
}

#[test]
fn each_kind_of_identifier_is_named() {
    let named = |kind: &str, label: &str| {
        of(enter(ChangeStage::InFlight), |facts| {
            let choice = &mut facts.identifiers[0];
            (choice.kind, choice.label) = (kind.into(), label.into());
        })
    };
    assert!(named("braze_id", "").starts_with("User with Braze id cust-1 does"));
    assert!(named("user_alias", "crm").starts_with("User with alias crm cust-1 does"));
}

#[test]
fn what_was_not_sent_says_why_and_how_to_mend_it() {
    let rejected = |reason: &str, detail: &str, braze_message: &str| {
        of(enter(ChangeStage::Settled), |facts| {
            facts.rejected = Some(RejectedChange {
                reason: reason.into(),
                detail: detail.into(),
                braze_message: braze_message.into(),
                ..RejectedChange::default()
            });
            if reason == "no_identifier" {
                (facts.identifiers, facts.braze_user) = (vec![choice(false)], None);
            }
        })
    };
    assert_eq!(
        rejected("no_identifier", "the change has no value in user_id", ""),
        format!(
            "No user at Braze is known for profile 42: the enter {AT} was omitted, for the change has no value in user_id; give the \
             profile such a value in Lytics; its next record is sent."
        )
    );
    assert_eq!(
        rejected("blocked", "", "external_id is blacklisted"),
        format!(
            "User with external id cust-1 does not have vip: Braze refused the enter {AT} for good (blocked): external_id is \
             blacklisted; mend that in the profile or at Braze; the profile's next record is sent."
        )
    );
    let mend = "whoever publishes it must mend it and publish it again.";
    assert!(
        rejected("wrong_key", "the key is wrong", "")
            .ends_with(&format!("the enter {AT} breaks the contract: the key is wrong; {mend}"))
    );
    let unusable = of(enter(ChangeStage::Unread), |facts| {
        let last = facts.last_record.as_mut().unwrap();
        (last.change, last.unusable) = (None, "no change".into());
    });
    assert!(
        unusable.ends_with(&format!("the last record {AT} breaks the contract: no change; {mend}")),
        "{unusable}"
    );
}

#[test]
fn what_was_refused_and_sent_again_is_over_once_braze_has_it() {
    let told = |facts: MemberExplanation, holds: &[&str], sent_again: bool| {
        of(facts, |facts| {
            facts.rejected = Some(RejectedChange {
                reason: "blocked".into(),
                braze_message: "external_id is blacklisted".into(),
                ..RejectedChange::default()
            });
            facts.keep_time = facts.standing.as_ref().unwrap().until;
            facts.sent_again_time = facts.keep_time.filter(|_| sent_again);
            facts.braze_user = Some(braze(true, holds));
        })
    };
    let (enter, exit) = (enter(ChangeStage::Settled), exit(ChangeStage::Settled));
    assert_eq!(
        told(enter.clone(), &["vip"], true),
        format!(
            "User with external id cust-1 has vip: the enter {AT} was refused at 2023-11-14T22:13:20Z (external_id is blacklisted), was \
             sent again since, and Braze has it now; nothing is to be done."
        )
    );
    assert!(told(exit.clone(), &[], true).contains("was sent again since"));
    for (facts, holds, sent_again) in [
        (enter.clone(), &[][..], true),
        (exit, &["vip"], true),
        (enter, &["vip"], false),
    ] {
        let told = told(facts, holds, sent_again);
        assert!(told.contains("for good (blocked)"), "{told}");
    }
}

#[test]
fn an_event_that_was_refused_is_over_once_it_was_gone_through_again_for_braze_tells_no_single_events() {
    let told = |sent_again: bool, chosen: bool| {
        of(enter(ChangeStage::Settled), |facts| {
            (facts.r#type, facts.braze_user) = ("export_events".into(), None);
            facts.identifiers = vec![choice(chosen)];
            facts.rejected = Some(RejectedChange {
                reason: "blocked".into(),
                braze_message: "external_id is blacklisted".into(),
                ..RejectedChange::default()
            });
            facts.keep_time = facts.standing.as_ref().unwrap().until;
            facts.sent_again_time = facts.keep_time.filter(|_| sent_again);
        })
    };
    let over = told(true, true);
    assert!(
        over.ends_with(&format!(
            ": the enter {AT} was refused at 2023-11-14T22:13:20Z (external_id is blacklisted), a redrive or a reset has gone through it \
             since, and it was not refused again; nothing is to be done."
        )),
        "{over}"
    );
    for told in [told(false, true), told(true, false)] {
        assert!(told.contains("for good (blocked)"), "{told}");
    }
}

#[test]
fn what_is_never_sent_says_so() {
    let nameless = of(enter(ChangeStage::Unread), |facts| {
        (facts.identifiers, facts.braze_user) = (vec![choice(false)], None);
    });
    assert!(
        nameless.contains(&format!("the enter {AT} has no value in user_id; give")),
        "{nameless}"
    );
    let tombstone = of(enter(ChangeStage::Settled), |facts| {
        facts.last_record.as_mut().unwrap().change = None;
        (facts.identifiers, facts.braze_user) = (Vec::new(), None);
    });
    assert_eq!(
        tombstone,
        format!(
            "No user at Braze is known for profile 42: the last record, a tombstone, {AT} names nobody at Braze, so the job passes over \
             it; if the user has the slug, publish an exit with the profile's fields."
        )
    );
    assert_eq!(
        sentence(&exit(ChangeStage::NotWanted)),
        format!(
            "User with external id cust-1 does not have vip: the job does not send changes of this kind, and the exit {AT} is one; if \
             that is not what you want, create the job anew with other --events."
        )
    );
    assert_eq!(
        sentence(&enter(ChangeStage::BeforeStart)),
        format!(
            "User with external id cust-1 does not have vip: the enter {AT} was there before the job, which does not send existing \
             users; `export-svc jobs reset --to-beginning` sends them."
        )
    );
    let killed = with_standing(ChangeStage::Unspecified, |standing| {
        standing.set_state(ExportJobState::Killed)
    });
    assert!(killed.contains("the job is killed"), "{killed}");
    let removing = with_standing(ChangeStage::Settled, |standing| {
        standing.set_state(ExportJobState::Removing)
    });
    assert!(removing.contains("removes the slugs of its audiences"), "{removing}");
}

#[test]
fn a_job_that_does_not_go_on_is_why_unless_the_change_is_on_its_way_already() {
    for (state, why) in [
        (
            ExportJobState::Paused,
            "waits, for the job is paused by its guard (because); if that is as it should be, `export-svc jobs resume --confirm`",
        ),
        (
            ExportJobState::Fault,
            "waits, for the job is in fault (because); the reason names",
        ),
        (
            ExportJobState::Failed,
            "waits, for the job is failed (because); mend that",
        ),
        (
            ExportJobState::Sleeping,
            "waits, for the job is asleep (because); it tries again",
        ),
    ] {
        let told = |stage| {
            with_standing(stage, |standing| {
                standing.set_state(state);
                standing.state_reason = "because".into();
            })
        };
        for stage in [ChangeStage::Unread, ChangeStage::Window, ChangeStage::Retry] {
            assert!(
                told(stage).contains(&format!("the enter {AT} {why}")),
                "{}",
                told(stage)
            );
        }
        assert!(told(ChangeStage::InFlight).contains("is in a request to Braze now"));
        assert!(told(ChangeStage::Settled).contains("Braze has taken the enter"));
    }
}

#[test]
fn a_job_that_somebody_has_paused_is_resumed_without_a_confirmation() {
    let paused = with_standing(ChangeStage::Unread, |standing| {
        standing.set_state(ExportJobState::Paused)
    });
    let told = format!("the enter {AT} waits, for the job is paused; `export-svc jobs resume` lets it go on.");
    assert!(paused.ends_with(&told), "{paused}");
}

#[test]
fn of_a_job_that_sends_events_nothing_is_said_of_what_braze_holds() {
    let facts = |action, stage| MemberExplanation {
        r#type: "export_events".into(),
        braze_user: None,
        ..facts(action, stage)
    };
    let head =
        "What happens to user with external id cust-1 in vip is sent as events, which Braze does not tell one by one";
    for (action, stage, rest) in [
        (
            MembershipAction::Enter,
            ChangeStage::Settled,
            format!("Braze has taken the enter {AT}; {NOTHING}."),
        ),
        (
            MembershipAction::Exit,
            ChangeStage::Settled,
            format!("the job has settled the exit {AT}; {NOTHING}."),
        ),
        (
            MembershipAction::Enter,
            ChangeStage::Next,
            format!("the enter {AT} goes with the next request; {SOON}."),
        ),
    ] {
        assert_eq!(sentence(&facts(action, stage)), format!("{head}: {rest}"));
    }
    let omitted = MemberExplanation {
        r#type: "export_purchases".into(),
        rejected: Some(RejectedChange {
            reason: "no_purchase".into(),
            detail: "a price is a number, such as 9.50, and the change has none in price".into(),
            ..RejectedChange::default()
        }),
        ..facts(MembershipAction::Enter, ChangeStage::Settled)
    };
    assert_eq!(
        sentence(&omitted),
        format!(
            "What happens to user with external id cust-1 in vip is sent as purchases, which Braze does not tell one by one: the enter {AT} \
             was omitted: a price is a number, such as 9.50, and the change has none in price; give the profile such a value in \
             Lytics; its next record is sent."
        )
    );
}

#[test]
fn an_enter_of_a_user_whom_braze_does_not_know_is_explained_by_the_jobs_option() {
    let unknown = |facts: &mut MemberExplanation| {
        (facts.update_existing_only, facts.braze_user) = (true, Some(braze(false, &[])));
    };
    assert_eq!(
        of(enter(ChangeStage::Settled), unknown),
        format!(
            "Braze has no user with external id cust-1: Braze has taken the enter {AT}; Braze does not know the user and the job \
             creates none (`update_existing_only`): once the user is there, `export-svc jobs reset` sends it again."
        )
    );
    assert!(of(exit(ChangeStage::Settled), unknown).ends_with("; nothing is to be done."));
}
