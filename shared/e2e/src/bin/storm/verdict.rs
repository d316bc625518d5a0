//! What came of it: the simulator against the log's last word, by a plain loop that shares nothing with export-svc.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proto::export::v1::ExportCounters;

use crate::braze::Held;
use crate::calls::{Call, Calls};
use crate::log::{Entry, Rejected};
use crate::storm::Job;
use crate::world::{Audience, AudienceId, Export, Kind, Name, User, WORKSPACES};

/// What may have been sent and not yet written down when a replica dies.
const UNWRITTEN: Duration = Duration::from_secs(2);

/// The last record of every user and audience.
pub(crate) fn last_words(log: &[Entry]) -> HashMap<(AudienceId, User), Entry> {
    log.iter().map(|entry| ((entry.audience, entry.user), *entry)).collect()
}

/// Who must hold what, by workspace: whom the last record that is about them says so of. Nobody holds an empty set.
pub(crate) fn expected(log: &[Entry], audiences: &[Audience]) -> Vec<Held> {
    let mut expected = vec![Held::new(); WORKSPACES];
    for entry in log.iter().filter(|entry| entry.user.kind() == Kind::Known) {
        let Audience { slug, workspace, .. } = &audiences[entry.audience];
        let named = entry.name.map(|name| (name, entry.enter));
        // Whom it named before holds nothing because of it any more.
        for (name, holds) in entry.previous.map(|name| (name, false)).into_iter().chain(named) {
            let held = expected[*workspace].entry(name).or_default();
            if holds {
                held.insert(slug.clone());
            } else {
                held.remove(slug);
            }
        }
    }
    for held in &mut expected {
        held.retain(|_, slugs| !slugs.is_empty());
    }
    expected
}

/// Where the simulator differs: workspace, user, slug.
pub(crate) fn mismatches(expected: &[Held], held: &[Held]) -> BTreeSet<(usize, Name, String)> {
    let mut mismatches = BTreeSet::new();
    for (workspace, (expected, held)) in expected.iter().zip(held).enumerate() {
        for (one, other) in [(expected, held), (held, expected)] {
            for (name, slugs) in one {
                let others = other.get(name);
                let missing = slugs
                    .iter()
                    .filter(|slug| !others.is_some_and(|others| others.contains(*slug)));
                mismatches.extend(missing.map(|slug| (workspace, *name, slug.clone())));
            }
        }
    }
    mismatches
}

/// Last words about users whom Braze refuses, or does not know by any name, that are not on the rejected topic, for the job that
/// exports the audience now.
pub(crate) fn not_kept(
    last: &HashMap<(AudienceId, User), Entry>,
    audiences: &[Audience],
    jobs: &[Job],
    rejected: &Rejected,
) -> Vec<String> {
    let refused = last.values().filter(|entry| entry.user.kind() != Kind::Known);
    let not_kept = refused.filter_map(|entry| {
        let audience = &audiences[entry.audience];
        let job = jobs.iter().find(|job| job.is_about(audience))?;
        let place = (job.name.clone(), entry.partition, entry.offset);
        (!rejected.places.contains(&place)).then(|| format!("{} of {}: {place:?}", entry.user, audience.slug))
    });
    not_kept.collect()
}

/// How often something took effect again, for the jobs that neither end nor go back, and how often it might.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeats {
    /// Updates that took effect less those that a job counts. Below zero a job counted what never took effect.
    pub(crate) repeats: i64,
    /// Updates of calls that took effect though they ended badly, per interruption those in flight and those of the last two
    /// seconds before it, and one per record that takes the slug from whom it named before: only the other one is counted.
    pub(crate) allowed: i64,
}

pub(crate) fn repeats(
    calls: &Calls,
    log: &[Entry],
    audiences: &[Audience],
    jobs: &[Job],
    counters: &HashMap<String, ExportCounters>,
    interruptions: &[Timestamp],
) -> Repeats {
    let stays = |export: Export| matches!(export, Export::Lasting | Export::Edges);
    let lasting = |audience: AudienceId| stays(audiences[audience].export);
    let effective = |call: &Call| call.applied_at.is_some();
    let counted: u64 = jobs
        .iter()
        .filter(|job| stays(job.export))
        .filter_map(|job| counters.get(&job.name))
        .map(|counters| counters.added + counters.removed)
        .sum();
    let unwritten = SignedDuration::try_from(UNWRITTEN).unwrap_or(SignedDuration::MAX);
    let exposed = |call: &Call, interruption: Timestamp| {
        Calls::exposed(
            call,
            interruption.checked_sub(unwritten).unwrap_or(Timestamp::MIN),
            interruption,
        )
    };
    let unknown = calls.count(lasting, |call| effective(call) && !call.answered());
    let interrupted: u64 = interruptions
        .iter()
        .map(|at| calls.count(lasting, |call| effective(call) && call.answered() && exposed(call, *at)))
        .sum();
    let moved = log
        .iter()
        .filter(|entry| lasting(entry.audience) && entry.previous.is_some());
    let moved = moved.count() as u64;
    Repeats {
        repeats: calls.count(lasting, effective).cast_signed() - counted.cast_signed(),
        allowed: (unknown + interrupted + moved).cast_signed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::Back;
    use crate::world::{audiences, workspace_name};

    fn entry(user: u32, enter: bool, offset: i64) -> Entry {
        Entry {
            audience: 0,
            user: User(user),
            enter,
            name: Some(User(user).named(false)),
            previous: None,
            partition: 0,
            offset,
            time: 0,
        }
    }

    /// As [`entry`], of somebody who names the second user at Braze, after the first.
    fn moved(user: u32, enter: bool, offset: i64) -> Entry {
        Entry {
            name: Some(User(user).named(true)),
            previous: Some(User(user).named(false)),
            ..entry(user, enter, offset)
        }
    }

    fn job() -> Job {
        Job {
            name: "job".to_owned(),
            workspace: 0,
            export: Export::Lasting,
            back: Back::default(),
        }
    }

    #[test]
    fn the_last_record_decides_and_neither_refused_nor_nameless_users_hold_anything() {
        let log = [
            entry(1, true, 0),
            entry(2, true, 1),
            entry(1, false, 2),
            entry(7, true, 3),
            entry(19, true, 4),
        ];
        let expected = expected(&log, &audiences());
        let slugs = BTreeSet::from([format!("{}-first", workspace_name(0))]);
        assert_eq!(expected[0], HashMap::from([(User(2).named(false), slugs)]));
        assert!(expected[1..].iter().all(HashMap::is_empty));
    }

    #[test]
    fn whoever_was_named_before_holds_nothing_any_more_whatever_the_action() {
        let log = [
            entry(1, true, 0),
            moved(1, true, 1),
            entry(2, true, 2),
            moved(2, false, 3),
        ];
        let expected = expected(&log, &audiences());
        let names: Vec<_> = expected[0].keys().copied().collect();
        assert_eq!(names, [User(1).named(true)]);
    }

    #[test]
    fn a_slug_too_many_and_a_slug_too_few_are_mismatches() {
        let holds = |slugs: &[&str]| {
            vec![Held::from([(
                User(1).named(false),
                slugs.iter().map(|slug| (*slug).to_owned()).collect(),
            )])]
        };
        let count = |one: &[&str], other: &[&str]| mismatches(&holds(one), &holds(other)).len();
        assert_eq!(count(&["a"], &["a"]), 0);
        assert_eq!(count(&["a"], &[]), 1);
        assert_eq!(count(&[], &["a"]), 1);
        assert_eq!(count(&["a"], &["b"]), 2);
        assert_eq!(mismatches(&holds(&["a"]), &[Held::new()]).len(), 1);
    }

    #[test]
    fn only_the_last_word_about_a_user_who_cannot_be_sent_must_be_kept() {
        let last = last_words(&[
            entry(7, true, 0),
            entry(7, false, 1),
            entry(1, true, 2),
            entry(19, true, 3),
        ]);
        let count = |places: &[i64]| {
            let rejected = Rejected {
                places: places.iter().map(|offset| ("job".to_owned(), 0, *offset)).collect(),
                ..Rejected::default()
            };
            not_kept(&last, &audiences(), &[job()], &rejected).len()
        };
        assert_eq!(count(&[0, 1, 3]), 0);
        assert_eq!(count(&[0, 3]), 1);
        assert_eq!(count(&[1]), 1, "nobody at Braze");
    }

    #[test]
    fn what_an_interruption_exposes_may_be_repeated_and_nothing_else() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let call = |from, to, status| Call {
            arrived_at: at(from),
            ended_at: Some(at(to)),
            status,
            fault: None,
            applied_at: Some(at(to)),
            applied_order: None,
            overlaps: Vec::new(),
        };
        let calls = [
            call(100, 101, Some(201)), // long before
            call(108, 109, Some(201)), // not written down at 110
            call(109, 111, Some(201)), // in flight at 110
            call(112, 113, Some(500)), // ended unknown
            call(112, 113, Some(201)),
        ];
        let update = |call| crate::calls::Update {
            call,
            audience: 0,
            name: User(1).named(false),
            add: true,
        };
        let calls = Calls {
            updates: (0..calls.len()).map(update).collect(),
            calls: calls.into(),
        };
        let counters = ExportCounters {
            added: 3,
            ..ExportCounters::default()
        };
        let counters = HashMap::from([("job".to_owned(), counters)]);
        let found = |log: &[Entry]| repeats(&calls, log, &audiences(), &[job()], &counters, &[at(110)]);
        assert_eq!(found(&[entry(1, true, 0)]), Repeats { repeats: 2, allowed: 3 });
        assert_eq!(found(&[moved(1, true, 0)]).allowed, 4);
    }
}
