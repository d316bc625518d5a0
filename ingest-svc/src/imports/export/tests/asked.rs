//! Braze's answers, and none.

use std::time::Duration;

use braze::{Denial, Denied, StartedExport};
use secrecy::SecretString;

use super::*;

/// A job that has just been about to ask, `seconds` after the start.
fn asking(progress: &JobProgress, seconds: i64) -> (Asked, JobProgress) {
    let Step::Ask(asked, progress) = step(&standing(progress), after(seconds)) else {
        panic!("{progress:?}")
    };
    (asked, progress)
}

fn started(url: Option<&str>) -> Result<StartedExport, Denied> {
    Ok(StartedExport {
        object_prefix: PREFIX.to_owned(),
        url: url.map(SecretString::from),
    })
}

fn denied(denial: Denial) -> Result<StartedExport, Denied> {
    Err(Denied {
        denial,
        message: "Braze's words".to_owned(),
    })
}

/// What `denial` makes of a job that asks for the first time.
fn first(denial: Denial) -> JobProgress {
    let (asked, progress) = asking(&JobProgress::default(), 0);
    answered(&progress, asked, &denied(denial), after(1)).unwrap()
}

#[test]
fn an_export_that_has_begun_is_waited_for() {
    let (asked, progress) = asking(&first(Denial::Busy), 61);
    let progress = answered(&progress, asked, &started(None), after(62)).unwrap();
    assert_eq!(progress.export.as_ref().unwrap().object_prefix, PREFIX);
    assert_eq!((progress.failures, progress.failing_since), (0, None));
    assert_eq!(waits(&step(&standing(&progress), after(63))), after(92));
    assert!(matches!(step(&standing(&progress), after(92)), Step::List(_)));
}

#[test]
fn a_refusal_is_asked_again_under_the_same_number_after_pauses_that_grow() {
    let mut progress = JobProgress::default();
    let mut now = 0;
    for minutes in [1, 2, 4, 8, 10, 10] {
        let (asked, asking) = asking(&progress, now);
        assert_eq!(asked.number, 1);
        progress = answered(&asking, asked, &denied(Denial::Busy), after(now)).unwrap();
        assert_eq!(
            waits(&step(&standing(&progress), after(now))),
            after(now + 60 * minutes)
        );
        now += 60 * minutes;
    }
    assert!(progress.reason.contains("Braze's words"), "{}", progress.reason);
}

#[test]
fn the_rate_limit_is_waited_for_as_braze_says() {
    let wait = |retry_after| {
        let progress = first(Denial::RateLimited { retry_after });
        waits(&step(&standing(&progress), after(1)))
    };
    assert_eq!(wait(Some(Duration::from_secs(90))), after(91));
    assert_eq!(wait(Some(Duration::ZERO)), after(2));
    assert_eq!(wait(None), after(61));
}

#[test]
fn a_key_that_braze_refuses_is_tried_again_with_the_permission_named() {
    let progress = first(Denial::Unauthorized { status: Some(401) });
    assert!(
        progress.reason.contains("users.export.segment: Braze's words"),
        "{}",
        progress.reason
    );
    assert_eq!(waits(&step(&standing(&progress), after(1))), after(61));
}

#[test]
fn what_a_repeat_would_not_change_is_a_fault_in_brazes_words() {
    for denial in [Denial::Unusable, Denial::Other { status: 404 }] {
        let progress = first(denial);
        assert!(progress.reason.contains("Braze's words"), "{}", progress.reason);
        assert_eq!(step(&standing(&progress), after(10_000)), Step::Rest);
    }
    let (asked, progress) = asking(&JobProgress::default(), 0);
    let progress = answered(&progress, asked, &started(Some("https://b.example.net/?s=1")), after(1)).unwrap();
    assert_eq!(step(&standing(&progress), after(10_000)), Step::Rest);
    assert!(
        progress
            .reason
            .contains("connect that of the job's storage authorization in Braze"),
        "{}",
        progress.reason
    );
    assert!(!progress.reason.contains("example.net"));
    let bounced = JobProgress {
        reason: String::new(),
        ..progress
    };
    assert_eq!(asking(&bounced, 2).0.number, 2, "the first one has begun");
}

#[test]
fn a_day_of_nothing_but_errors_fails_the_job() {
    let mut progress = first(Denial::NotSent);
    for (seconds, failed) in [(86_400, false), (86_520, true)] {
        let (asked, asking) = asking(&progress, seconds);
        progress = answered(&asking, asked, &denied(Denial::NotSent), after(seconds)).unwrap();
        assert_eq!(progress.failed, failed);
    }
}

#[test]
fn an_answer_that_comes_too_late_changes_nothing() {
    let (asked, progress) = asking(&JobProgress::default(), 0);
    let later = answered(&progress, asked, &started(None), after(1)).unwrap();
    assert_eq!(answered(&later, asked, &denied(Denial::Busy), after(2)), None);
    let (_, again) = asking(
        &answered(&progress, asked, &denied(Denial::Busy), after(1)).unwrap(),
        61,
    );
    assert_eq!(answered(&again, asked, &started(None), after(62)), None);
}

#[test]
fn without_an_answer_a_folder_that_may_be_ours_is_adopted() {
    // Also if nobody was there any more to hear it.
    for mut progress in [first(Denial::Unknown), asking(&JobProgress::default(), 0).1] {
        let Step::List(prefixes) = step(&standing(&progress), after(31)) else {
            panic!()
        };
        assert_eq!(prefixes.len(), 3);
        assert!(prefixes.contains(&format!("segment-export/{SEGMENT}/2026-11-28/")));
        let at = |seconds: i64| format!("0000-{}", after(seconds).as_second());
        let older = object("2026-11-28", &at(-61), "a.gz");
        assert_eq!(
            waits(&look(&mut progress, None, std::slice::from_ref(&older), after(30))),
            after(60)
        );
        let ours = object("2026-11-28", &at(-60), "a.gz");
        let later = object("2026-11-28", &at(300), "a.gz");
        let listing = [later, older, ours];
        look(&mut progress, None, &listing, after(60));
        assert_eq!(progress.export.as_ref().unwrap().object_prefix, at(-60));
        assert_eq!(waits(&look(&mut progress, None, &listing, after(61))), after(91));
        assert_eq!(imported(look(&mut progress, None, &listing, after(361))).0, ["a.gz"]);
    }
}

#[test]
fn a_folder_that_is_an_earlier_exports_is_not_adopted() {
    let progress = first(Denial::Unknown);
    let listing = [object("2026-11-28", PREFIX, "a.gz")];
    let taken = |prefix: &str| prefix == PREFIX;
    let standing = Standing {
        listing: Some(&listing),
        taken: &taken,
        ..standing(&progress)
    };
    let Step::Write(waiting) = step(&standing, after(31)) else {
        panic!()
    };
    assert_eq!(waiting.export.unwrap().object_prefix, "");
}

#[test]
fn after_ten_minutes_without_a_folder_braze_is_asked_under_the_next_number_and_may_be_at_it_still() {
    let mut progress = first(Denial::Unknown);
    assert_eq!(waits(&look(&mut progress, None, &[], after(599))), after(600));
    let Step::Ask(asked, progress) = look(&mut progress, None, &[], after(600)) else {
        panic!()
    };
    assert_eq!(asked.number, 2);
    let mut progress = answered(&progress, asked, &denied(Denial::Busy), after(601)).unwrap();
    assert_eq!(waits(&step(&standing(&progress), after(602))), after(601 + 120));
    let listing = [object("2026-11-28", PREFIX, "a.gz")];
    look(&mut progress, None, &listing, after(721));
    assert_eq!(progress.export.unwrap().object_prefix, PREFIX, "as of the first time");
}
