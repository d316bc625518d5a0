use braze::{End, RateHints, Refusal};
use control::sealing::Sealer;

use super::rounds::due;
use super::uses::{EXPORTS, LOOKUPS, is_whole, looked_up, told};
use super::*;

pub(super) const NAME: &str = "accounts/7/authorizations/a";

pub(super) fn health() -> Health {
    let sealer = Sealer::from_config(&"k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into());
    let client = braze::Client::new(braze::ClientOptions::default()).unwrap();
    Health::new(client, Arc::new(sealer.unwrap()))
}

fn used(revision: u64) -> Used {
    Used {
        name: NAME.to_owned(),
        revision,
    }
}

fn attempt(end: End) -> Attempt {
    Attempt {
        end,
        status: None,
        rate: RateHints::default(),
    }
}

fn refused(status: u16, message: &str) -> Attempt {
    attempt(End::Refused {
        refusal: Refusal::Unauthorized { status: Some(status) },
        verdicts: Vec::new(),
        split: false,
        message: message.to_owned(),
    })
}

fn accepted() -> Attempt {
    attempt(End::Accepted {
        verdicts: Vec::new(),
        split: false,
    })
}

fn status(health: &Health, revision: u64) -> Option<HealthStatus> {
    health.seen(NAME, revision).map(|seen| seen.status())
}

#[test]
fn a_refused_request_makes_it_unhealthy_at_once_and_names_the_permission_and_what_it_is_for() {
    let health = health();
    health.observe(&used(1), &refused(403, "Insufficient permissions"));
    let seen = health.seen(NAME, 1).unwrap();
    assert_eq!(seen.status(), HealthStatus::Unhealthy);
    for word in ["403", "Insufficient permissions", "exports", "users.track"] {
        assert!(seen.reason.contains(word), "{word}: {}", seen.reason);
    }
    health.observe(&used(1), &refused(401, "Invalid API key: ***"));
    let seen = health.seen(NAME, 1).unwrap();
    assert!(
        !seen.reason.contains("users.track"),
        "no permission helps: {}",
        seen.reason
    );
    health.observe(&used(1), &accepted());
    assert_eq!(status(&health, 1), Some(HealthStatus::Healthy));
}

#[test]
fn what_is_known_of_a_key_says_nothing_of_the_next_one() {
    let health = health();
    health.observe(&used(1), &refused(401, "no"));
    assert_eq!(status(&health, 2), None);
    health.observe(&used(2), &accepted());
    assert_eq!(status(&health, 2), Some(HealthStatus::Healthy));
}

#[test]
fn an_outage_of_braze_is_no_news_of_a_key() {
    let health = health();
    let away = attempt(End::Unknown {
        status: Some(503),
        message: "away".to_owned(),
    });
    health.observe(&used(1), &away);
    assert_eq!(status(&health, 1), None);
    health.observe(&used(1), &refused(401, "no"));
    health.observe(&used(1), &away);
    assert_eq!(status(&health, 1), Some(HealthStatus::Unhealthy));
}

#[test]
fn a_thousand_requests_that_show_the_same_are_written_down_once() {
    let health = health();
    let written = || std::mem::take(&mut health.known().unwritten).len();
    for _ in 0..1_000 {
        health.observe(&used(1), &accepted());
    }
    assert_eq!(written(), 1);
    health.observe(&used(1), &accepted());
    assert_eq!(written(), 0);
    health.observe(&used(1), &refused(401, "no"));
    assert_eq!(written(), 1);
    health.observe(&used(1), &refused(401, "no"));
    assert_eq!(written(), 0);
}

#[test]
fn what_another_replica_wrote_down_is_taken_over_and_a_tombstone_forgets_it() {
    let (one, other) = (health(), health());
    one.observe(&used(1), &refused(401, "no"));
    let record = one.known().healths.get(NAME).unwrap().encode_to_vec();
    let key = key_of(NAME).unwrap();
    let rest = key.strip_prefix(PREFIX).unwrap();
    other.take(rest, Some(&record));
    assert_eq!(other.seen(NAME, 1), one.seen(NAME, 1));
    other.observe(&used(1), &accepted());
    other.take(rest, Some(&record));
    assert_eq!(
        status(&other, 1),
        Some(HealthStatus::Healthy),
        "what was seen here since is still to be written"
    );
    other.known().unwritten.clear();
    other.take(rest, None);
    assert_eq!(status(&other, 1), None);
    other.take("x/y", Some(&record));
    other.take("7", Some(b"\xff"));
    assert!(other.known().healths.is_empty());
}

#[test]
fn a_key_is_asked_about_daily_not_all_at_once_and_again_soon_if_braze_did_not_say() {
    let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
    let hours = |hours: i64| now + SignedDuration::from_hours(hours);
    let daily = SignedDuration::from_hours(24);
    let next = |name: &str| due(name, hours(-100), Some((now, daily)), None, now);
    let dues: BTreeSet<Timestamp> = (0..50)
        .map(|n| next(&format!("accounts/7/authorizations/{n}")))
        .collect();
    assert!(dues.len() > 20, "{dues:?}");
    assert!(dues.iter().all(|due| (hours(21)..=hours(24)).contains(due)), "{dues:?}");
    assert!(due(NAME, hours(-100), Some((hours(-24), daily)), None, now) <= now);
    assert_eq!(
        due(NAME, now, None, None, now),
        now + SignedDuration::from_secs(30),
        "a new one is asked about by whoever was given it"
    );
    let again = now + SignedDuration::from_mins(15);
    assert_eq!(due(NAME, hours(-1), None, Some(now), now), again);
    let soon = SignedDuration::from_mins(15);
    assert!(
        due(NAME, hours(-100), Some((now, soon)), None, now) <= again,
        "a use of which Braze did not say"
    );
    assert!(
        due(NAME, hours(-100), Some((hours(1_000), daily)), None, now) <= hours(24),
        "a clock that is ahead"
    );
}

fn reason(text: &str) -> Probed {
    Probed::Refused {
        reason: text.to_owned(),
    }
}

#[test]
fn each_use_has_its_own_answer_and_only_what_is_not_optional_makes_a_key_unhealthy() {
    use HealthStatus::{Healthy, Unhealthy, Unknown};
    let now = Timestamp::now();
    let statuses = |health: &Observed| {
        let uses = health.uses.iter().map(|used_for| used_for.status());
        (health.status(), uses.collect::<Vec<_>>())
    };
    let new = |exports, lookups| told(&[(&EXPORTS, exports), (&LOOKUPS, lookups)], None, now);
    let whole = new(Probed::Taken, reason("403"));
    assert_eq!(statuses(&whole), (Healthy, vec![Healthy, Unhealthy]));
    assert_eq!(whole.uses[1].reason, "403");
    assert_eq!(
        statuses(&new(reason("403"), Probed::Taken)),
        (Unhealthy, vec![Unhealthy, Healthy])
    );
    let half = new(Probed::NotKnown, Probed::Taken);
    assert_eq!(statuses(&half), (Unknown, vec![Unknown, Healthy]));
    let away = [(&EXPORTS, Probed::NotKnown), (&LOOKUPS, Probed::NotKnown)];
    assert_eq!(told(&away, Some(&whole), now), whole, "what was known before stays");
    assert!(is_whole(&whole) && !is_whole(&half));
}

#[test]
fn what_a_request_shows_of_a_key_says_nothing_of_its_other_uses() {
    let health = health();
    let seen = told(
        &[(&EXPORTS, Probed::Taken), (&LOOKUPS, reason("403"))],
        None,
        Timestamp::now(),
    );
    health.note(NAME, 1, seen);
    health.observe(&used(1), &refused(401, "no"));
    let seen = health.seen(NAME, 1).unwrap();
    let uses: Vec<_> = seen.uses.iter().map(|used_for| &*used_for.reason).collect();
    assert!(uses[0].contains("401") && uses[1] == "403", "{uses:?}");
}

#[test]
fn only_a_refusal_of_the_key_is_news_of_the_permission_to_look_users_up() {
    let answer = |status| {
        let message = "words".to_owned();
        looked_up::<()>(Err(braze::LookupError { status, message }))
    };
    for status in [401, 403] {
        assert!(matches!(answer(Some(status)), Probed::Refused { .. }), "{status}");
    }
    for status in [None, Some(429), Some(503)] {
        assert!(matches!(answer(status), Probed::NotKnown), "{status:?}");
    }
    assert!(matches!(looked_up(Ok(())), Probed::Taken));
}

#[test]
fn where_users_cannot_be_looked_up_at_all_that_is_known_and_blamed_on_no_permission() {
    let message = "Not Found".to_owned();
    let missing = looked_up::<()>(Err(braze::LookupError {
        status: Some(404),
        message,
    }));
    let health = told(
        &[(&EXPORTS, Probed::Taken), (&LOOKUPS, LOOKUPS.explained(missing))],
        None,
        Timestamp::now(),
    );
    assert!(is_whole(&health), "it is asked about daily, not every 15 minutes");
    assert_eq!(health.status(), HealthStatus::Healthy);
    let reason = &health.uses[1].reason;
    assert!(reason.contains("404") && !reason.contains("permission"), "{reason}");
}

#[test]
fn an_answer_about_a_key_that_was_replaced_meanwhile_says_nothing_of_the_new_one() {
    let health = health();
    let now = Some(Timestamp::now());
    health.note(NAME, 2, observed(HealthStatus::Healthy, "", now));
    health.note(NAME, 1, observed(HealthStatus::Unhealthy, "the old one is gone", now));
    assert_eq!(status(&health, 2), Some(HealthStatus::Healthy));
    assert_eq!(status(&health, 1), None);
}
