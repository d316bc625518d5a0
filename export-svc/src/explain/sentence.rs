//! One plain sentence: whether the user has the slug, why, and what to do. Pure: it goes by nothing but what is told.

#[cfg(test)]
mod tests;

use proto::export::v1::{ChangeStage, ChangeStanding, ExportJobState, LastRecord, MemberExplanation, RejectedChange};
use proto::membership::v1::MembershipAction;

/// What nobody has to do anything about.
const NOTHING: &str = "nothing is to be done";
const SOON: &str = "ask again in a moment";

/// `<whether the user has the slug>: <why>; <what to do>.`
pub(super) fn sentence(facts: &MemberExplanation) -> String {
    let (why, advice) = why(facts);
    format!("{}: {why}; {advice}.", held(facts))
}

/// Whether the user has the slug.
fn held(facts: &MemberExplanation) -> String {
    let slug = &facts.audience;
    if writes_no_attribute(facts) {
        let whom = user(facts).unwrap_or_else(|| format!("profile {}", facts.profile_id));
        let what = facts.r#type.trim_start_matches("export_");
        return format!("What happens to {whom} in {slug} is sent as {what}, which Braze does not tell one by one");
    }
    let (Some(user), Some(braze)) = (user(facts), &facts.braze_user) else {
        return format!("No user at Braze is known for profile {}", facts.profile_id);
    };
    if !braze.problem.is_empty() {
        return format!("It is not known whether {user} has {slug} ({})", braze.problem);
    }
    if !braze.exists {
        return format!("Braze has no {user}");
    }
    let user = format!("U{}", &user[1..]);
    if braze.has_slug {
        format!("{user} has {slug}")
    } else {
        format!("{user} does not have {slug}")
    }
}

/// Whether the job writes no attribute that Braze could be asked for.
fn writes_no_attribute(facts: &MemberExplanation) -> bool {
    !["", "export_audiences"].contains(&facts.r#type.as_str())
}

/// `user with external id cust-1`.
fn user(facts: &MemberExplanation) -> Option<String> {
    let chosen = facts.identifiers.iter().find(|choice| choice.chosen)?;
    let kind = match chosen.kind.as_str() {
        "external_id" => "external id".to_owned(),
        "braze_id" => "Braze id".to_owned(),
        "user_alias" => format!("alias {}", chosen.label),
        other => other.to_owned(),
    };
    Some(format!("user with {kind} {}", chosen.value))
}

/// Why, and what to do.
fn why(facts: &MemberExplanation) -> (String, String) {
    let (audience, profile) = (&facts.audience, &facts.profile_id);
    let Some(last) = &facts.last_record else {
        return if facts.incomplete {
            (
                format!(
                    "the newest records of the membership topic have none of profile {profile} in audience {audience}, and older \
                     ones could not be looked through in time"
                ),
                "ask again, for this audience alone".to_owned(),
            )
        } else {
            (
                format!("the membership topic has no record of profile {profile} in audience {audience}"),
                "see whether the profile's id is right, and whether Lytics publishes this audience".to_owned(),
            )
        };
    };
    let (what, standing) = (change(last), facts.standing.clone().unwrap_or_default());
    if let Some(rejected) = &facts.rejected {
        return sent_again(facts, last, &what, rejected).unwrap_or_else(|| kept(&what, rejected));
    }
    if !last.unusable.is_empty() {
        return unusable(&what, &last.unusable);
    }
    if last.change.is_none() {
        return (
            format!("{what} names nobody at Braze, so the job passes over it"),
            "if the user has the slug, publish an exit with the profile's fields".to_owned(),
        );
    }
    if standing.state() == ExportJobState::Killed {
        return (
            format!("the job is killed, and what became of {what} is not known any more"),
            "create another job for the audience".to_owned(),
        );
    }
    if standing.state() == ExportJobState::Removing {
        return (
            format!("the job is killed and removes the slugs of its audiences, so that {what} gives nobody the slug"),
            "`export-svc jobs watch` tells when that is over".to_owned(),
        );
    }
    if !facts.identifiers.iter().any(|choice| choice.chosen) {
        let fields: Vec<_> = facts.identifiers.iter().map(|choice| choice.field.as_str()).collect();
        return nameless(&format!("{what} has no value in {}", fields.join(", ")));
    }
    match standing.stage() {
        ChangeStage::NotWanted => (
            format!("the job does not send changes of this kind, and {what} is one"),
            "if that is not what you want, create the job anew with other --events".to_owned(),
        ),
        ChangeStage::BeforeStart => (
            format!("{what} was there before the job, which does not send existing users"),
            "`export-svc jobs reset --to-beginning` sends them".to_owned(),
        ),
        ChangeStage::Settled => settled(facts, last, &what),
        ChangeStage::InFlight | ChangeStage::Keeping => waits(&standing, &what),
        _ => stopped(&standing, &what).unwrap_or_else(|| waits(&standing, &what)),
    }
}

/// `the enter (partition 0, offset 12)`.
fn change(last: &LastRecord) -> String {
    let action = last.change.as_ref().map(|change| change.action());
    let word = match action {
        Some(MembershipAction::Enter) => "the enter",
        Some(MembershipAction::Exit) => "the exit",
        _ if last.unusable.is_empty() => "the last record, a tombstone,",
        _ => "the last record",
    };
    format!("{word} (partition {}, offset {})", last.partition, last.offset)
}

/// It is on `export-rejected`.
fn kept(what: &str, rejected: &RejectedChange) -> (String, String) {
    match rejected.reason.as_str() {
        "no_identifier" => nameless(&format!("{what} was omitted, for {}", rejected.detail)),
        "no_purchase" => (
            format!("{what} was omitted: {}", rejected.detail),
            "give the profile such a value in Lytics; its next record is sent".to_owned(),
        ),
        "undecodable" | "invalid" | "wrong_account" | "wrong_key" => unusable(what, &rejected.detail),
        reason => (
            format!("Braze refused {what} for good ({reason}): {}", rejected.braze_message),
            "mend that in the profile or at Braze; the profile's next record is sent".to_owned(),
        ),
    }
}

/// It is on `export-rejected`, and that is over: it was sent again since, and Braze has what it says. What Braze does not tell one by
/// one is over as well: if it had been refused once more, that would be what was kept last.
fn sent_again(
    facts: &MemberExplanation,
    last: &LastRecord,
    what: &str,
    rejected: &RejectedChange,
) -> Option<(String, String)> {
    facts.sent_again_time.as_ref()?;
    let why = [&rejected.braze_message, &rejected.detail];
    let why = why
        .into_iter()
        .find(|words| !words.is_empty())
        .unwrap_or(&rejected.reason);
    let refused = format!("{what} was refused at {} ({why})", when(facts.keep_time.as_ref()));
    let (is_so, since) = if writes_no_attribute(facts) {
        // Whoever has no identifier is not sent, and not kept once more.
        let is_so = facts.identifiers.iter().any(|choice| choice.chosen);
        (
            is_so,
            "a redrive or a reset has gone through it since, and it was not refused again",
        )
    } else {
        let braze = facts.braze_user.as_ref()?;
        let is_so = braze.problem.is_empty() && braze.has_slug == is_enter(last);
        (is_so, "was sent again since, and Braze has it now")
    };
    is_so.then(|| (format!("{refused}, {since}"), NOTHING.to_owned()))
}

fn is_enter(last: &LastRecord) -> bool {
    let change = last.change.as_ref();
    change.is_some_and(|change| change.action() == MembershipAction::Enter)
}

fn nameless(why: &str) -> (String, String) {
    let advice = "give the profile such a value in Lytics; its next record is sent";
    (why.to_owned(), advice.to_owned())
}

fn unusable(what: &str, problem: &str) -> (String, String) {
    (
        format!("{what} breaks the contract: {problem}"),
        "whoever publishes it must mend it and publish it again".to_owned(),
    )
}

/// Braze has taken it, as far as is known.
fn settled(facts: &MemberExplanation, last: &LastRecord, what: &str) -> (String, String) {
    let enters = is_enter(last);
    let done = if facts.incomplete {
        format!("the job has settled {what}, and whether that was refused could not be looked up in time")
    } else if let Some((time, changes)) = taken(facts) {
        let others = match changes {
            0 | 1 => "alone in its request".to_owned(),
            2 => "in a request with one other change".to_owned(),
            more => format!("in a request with {} other changes", more - 1),
        };
        format!("Braze has taken {what} at {time}, {others}")
    } else if enters {
        format!("Braze has taken {what}")
    } else {
        format!("the job has settled {what}")
    };
    if writes_no_attribute(facts) {
        return (done, NOTHING.to_owned());
    }
    let braze = facts.braze_user.clone().unwrap_or_default();
    let again = "`export-svc jobs reset` sends it again";
    let advice = if !braze.problem.is_empty() {
        let should = if enters { "should have it" } else { "should not have it" };
        format!("the user {should}, look it up at Braze")
    } else if braze.has_slug == enters {
        NOTHING.to_owned()
    } else if braze.not_an_array {
        format!(
            "{} holds something that is no array: make it one at Braze, then {again}",
            braze.attribute
        )
    } else if !braze.exists && enters && facts.update_existing_only {
        "Braze does not know the user and the job creates none (`update_existing_only`): once the user is there, `export-svc jobs \
         reset` sends it again"
            .to_owned()
    } else if !braze.exists && enters {
        format!(
            "ask again in a minute, for Braze applies later what it has taken; if it stays so, somebody has deleted the user, or the \
             key belongs to another Braze workspace, and {again}"
        )
    } else {
        format!(
            "ask again in a minute, for Braze applies later what it has taken; if it stays so, somebody else writes to {}, or \
             another profile has the same identifier, and {again}",
            braze.attribute
        )
    };
    (done, advice)
}

/// When Braze has taken it, if that is known, and with how many changes it was taken.
fn taken(facts: &MemberExplanation) -> Option<(String, u32)> {
    let standing = facts.standing.as_ref()?;
    let time = standing.taken_time.as_ref()?;
    Some((when(Some(time)), standing.taken_changes))
}

/// The job does not go on, or not well.
fn stopped(standing: &ChangeStanding, what: &str) -> Option<(String, String)> {
    let reason = &standing.state_reason;
    let (state, advice) = match standing.state() {
        ExportJobState::Paused if reason.is_empty() => ("paused".to_owned(), "`export-svc jobs resume` lets it go on"),
        ExportJobState::Paused => (
            format!("paused by its guard ({reason})"),
            "if that is as it should be, `export-svc jobs resume --confirm` lets it go on",
        ),
        ExportJobState::Completed => (
            "completed".to_owned(),
            "`export-svc jobs update` with --expires and a later time lets it go on",
        ),
        ExportJobState::Fault => (format!("in fault ({reason})"), "the reason names the way out"),
        ExportJobState::Failed => (
            format!("failed ({reason})"),
            "mend that, and let the job go on with `export-svc jobs bounce`",
        ),
        ExportJobState::Sleeping if standing.resume_time.is_some() => {
            return Some(held_back(standing, what));
        }
        ExportJobState::Sleeping => (
            format!("asleep ({reason})"),
            "it tries again by itself, and with `export-svc jobs bounce` at once",
        ),
        _ => return None,
    };
    Some((format!("{what} waits, for the job is {state}"), advice.to_owned()))
}

/// A quiet window or a user cap holds it, which nothing but time or another option ends. The reason says which, and until when.
fn held_back(standing: &ChangeStanding, what: &str) -> (String, String) {
    (
        format!("{what} waits, for the job sleeps: {}", standing.state_reason),
        "it goes on then by itself, or before with another --quiet or --user-cap of `export-svc jobs update`"
            .to_owned(),
    )
}

/// It is on its way.
fn waits(standing: &ChangeStanding, what: &str) -> (String, String) {
    let until = when(standing.until.as_ref());
    let (why, advice) = match standing.stage() {
        ChangeStage::Unread if standing.records_before == 0 => (format!("the job is about to read {what}"), SOON),
        ChangeStage::Unread => {
            let kind = if standing.catch_up { "a backlog of " } else { "" };
            (
                format!(
                    "the job has {kind}up to {} records to read before {what}",
                    standing.records_before
                ),
                "`export-svc jobs watch` shows how long that takes",
            )
        }
        ChangeStage::Open => (
            format!("the job has read {what}, which waits or is in a request to Braze"),
            "the replica that serves the Braze workspace knows more, and this one does not serve it",
        ),
        ChangeStage::Window => (
            format!(
                "{what} waits for its batch to fill, which has {} of {} updates, until {until} at the latest",
                standing.updates, standing.updates_max
            ),
            NOTHING,
        ),
        ChangeStage::InFlight => (format!("{what} is in a request to Braze now"), SOON),
        ChangeStage::PersonInFlight => (
            format!("{what} waits for the end of a request that is about the same user or profile"),
            SOON,
        ),
        ChangeStage::EarlierChange => (format!("{what} waits for an earlier change of the profile"), SOON),
        ChangeStage::SettleGap => (
            format!("{what} waits until {until}, when Braze has surely applied the opposite, which was sent last"),
            NOTHING,
        ),
        ChangeStage::Doubt => (
            format!(
                "{what} waits until {until}, for a call with the opposite had no usable answer, and Braze may still apply it"
            ),
            NOTHING,
        ),
        ChangeStage::Retry => (
            format!(
                "{what} was in {} requests that Braze did not take, and is tried again at {until}",
                standing.attempts
            ),
            "if Braze goes on refusing it in such words, it is omitted, and `export-svc jobs redrive` sends it again",
        ),
        ChangeStage::Takeover => (
            format!("{what} waits until {until}, for calls of the replica that served the Braze workspace before"),
            NOTHING,
        ),
        ChangeStage::Budget => (
            format!("{what} waits until {until}, for there are no more requests to Braze before"),
            "if that is often so, let the authorization have more, if Braze allows them (--requests-per-second)",
        ),
        ChangeStage::Next => (format!("{what} goes with the next request"), SOON),
        ChangeStage::Keeping => (
            format!("{what} is not sent, and is being written to export-rejected"),
            SOON,
        ),
        _ => (
            format!("nobody has served this audience of the job yet, and {what} waits for that"),
            "if it stays so, see with `export-svc doctor` what is wrong",
        ),
    };
    (why + &last_attempt(standing), advice.to_owned())
}

/// What Braze said to the last attempt that did not take it, if there was one.
fn last_attempt(standing: &ChangeStanding) -> String {
    let Some(time) = &standing.last_attempt_time else {
        return String::new();
    };
    let status = match standing.last_status {
        0 => "without an answer".to_owned(),
        status => format!("with status {status}"),
    };
    format!(
        " (the last attempt ended at {} {status}: {})",
        when(Some(time)),
        standing.last_message
    )
}

fn when(time: Option<&prost_types::Timestamp>) -> String {
    let time = time.and_then(model::time::from_wire);
    time.map_or_else(|| "some time".to_owned(), |time| time.to_string())
}
