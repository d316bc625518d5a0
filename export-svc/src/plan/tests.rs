use control::{AudienceEvents, Coalesce, Guard, Identifiers};
use jiff::Timestamp;
use model::AccountNumber;
use proptest::prelude::*;

use super::*;

/// A job of audiences 0 to 2, which were exported before or not.
pub(crate) fn job(new: bool) -> ExportJob {
    let audiences: Vec<_> = (0..3).map(|number| number.to_string()).collect();
    ExportJob {
        account: AccountNumber::new(7).unwrap(),
        id: "j".to_owned(),
        label: String::new(),
        description: String::new(),
        new_audiences: if new { audiences.clone() } else { Vec::new() },
        audiences,
        authorization: String::new(),
        options: control::Options::default(),
        identifiers: Identifiers {
            external_id_field: Some("user_id".to_owned()),
            braze_id_field: Some("b".to_owned()),
            ..Identifiers::default()
        },
        existing_users: true,
        flush_after: std::time::Duration::ZERO,
        batch_updates_max: 75,
        coalesce: Coalesce::Latest,
        events: AudienceEvents::Both,
        guard: Guard::new(20),
        workspace: "7.w".to_owned(),
        start: vec![(0, 10)],
        paused: false,
        killed: false,
        bounces: 0,
        resets: Vec::new(),
        additions: Vec::new(),
        redrive: None,
        removals: Vec::new(),
        last_number: 0,
        create_time: Timestamp::UNIX_EPOCH,
        update_time: Timestamp::UNIX_EPOCH,
        revision: 1,
    }
}

type Field<'a> = (&'a str, &'a str);

/// A change of audience 0, unless it says another.
fn change<'a>(
    audience: &'a str,
    profile: &'a str,
    enter: bool,
    fields: &[Field<'a>],
    before: &[Field<'a>],
) -> Membership<'a> {
    Membership {
        account: AccountNumber::new(7).unwrap(),
        audience,
        profile_id: profile.as_bytes(),
        action: if enter { Action::Enter } else { Action::Exit },
        fields: fields.iter().copied().collect(),
        previous_fields: before.iter().copied().collect(),
    }
}

fn planned(job: ExportJob, changes: &[Membership<'_>]) -> Plan {
    let mut planner = Planner::new(job);
    changes.iter().for_each(|change| planner.see(change));
    planner.plan()
}

fn exact() -> Plan {
    Plan {
        one_in: 1,
        ..Plan::default()
    }
}

#[test]
fn whoever_has_no_identifier_is_omitted_and_only_an_external_id_creates_a_user() {
    let changes = [
        change("0", "1", true, &[("user_id", "a")], &[]),
        change("0", "2", true, &[("b", "64b1")], &[]),
        change("0", "3", true, &[("email", "x@example.org")], &[]),
        change("other", "1", true, &[("user_id", "a")], &[]),
    ];
    let plan = Plan {
        adds: 2,
        nameless: 1,
        users: 2,
        writes: 2,
        created: 1,
        ..exact()
    };
    assert_eq!(planned(job(true), &changes), plan);
}

#[test]
fn an_exit_is_needless_where_nobody_was_given_the_slug_and_else_it_is_a_remove_that_creates_nobody() {
    let a = [("user_id", "a")];
    let exit = [change("0", "1", false, &a, &[])];
    let needless = Plan { omitted: 1, ..exact() };
    assert_eq!(planned(job(true), &exit), needless);
    let remove = Plan {
        removes: 1,
        users: 1,
        writes: 1,
        ..exact()
    };
    assert_eq!(planned(job(false), &exit), remove);
    let given = [change("0", "1", true, &a, &[]), change("0", "1", false, &a, &[])];
    let overtaken = Plan { overtaken: 1, ..remove };
    assert_eq!(planned(job(true), &given), overtaken);
    let enters = ExportJob {
        events: AudienceEvents::Enters,
        ..job(false)
    };
    assert_eq!(planned(enters, &exit), needless);
}

#[test]
fn of_a_job_that_sends_events_each_change_is_one_and_nothing_is_written() {
    let (a, b) = ([("user_id", "a")], [("user_id", "b")]);
    let changes = [
        change("0", "1", true, &a, &[]),
        change("0", "1", false, &a, &[]),
        change("0", "1", true, &b, &a),
    ];
    let sends = |events| {
        let mut job = job(true);
        (job.events, job.options.writes) = (events, control::Writes::Events(control::CustomEvents::default()));
        planned(job, &changes)
    };
    // The enter, the exit, and under the new identifier an exit of the one before and an enter.
    let both = sends(AudienceEvents::Both);
    assert_eq!((both.events, both.writes, both.adds, both.overtaken), (4, 4, 1, 2));
    let enters = sends(AudienceEvents::Enters);
    assert_eq!(
        (enters.events, enters.writes, enters.adds, enters.omitted),
        (2, 2, 2, 1)
    );
    assert_eq!(planned(job(true), &changes).events, 0);
    let mut purchases = job(true);
    let one = || control::Source::Constant("1".to_owned());
    purchases.options.writes = control::Writes::Purchases(Box::new(control::Purchases {
        product_id: one(),
        price: one(),
        currency: one(),
        quantity: one(),
        time_field: None,
    }));
    purchases.events = AudienceEvents::Enters;
    let purchases = planned(purchases, &changes);
    assert_eq!((purchases.purchases, purchases.events, purchases.writes), (2, 0, 2));
}

#[test]
fn a_changed_identifier_is_one_add_and_two_writes_and_a_user_of_two_audiences_is_one_user() {
    let (a, b) = ([("user_id", "a")], [("user_id", "b")]);
    let changes = [change("0", "1", true, &b, &a), change("1", "1", true, &b, &[])];
    let plan = Plan {
        adds: 2,
        users: 2,
        writes: 3,
        created: 1,
        ..exact()
    };
    assert_eq!(planned(job(true), &changes), plan);
    let gone = [change("0", "1", true, &[], &a)];
    let plan = Plan {
        removes: 1,
        users: 1,
        writes: 1,
        ..exact()
    };
    assert_eq!(planned(job(true), &gone), plan);
}

#[test]
fn without_existing_users_nothing_lies_before_the_job() {
    let mut job = job(true);
    assert_eq!(Planner::new(job.clone()).ends(), [(0, 10)]);
    job.existing_users = false;
    assert!(Planner::new(job).ends().is_empty());
}

#[test]
fn of_more_users_than_may_be_remembered_the_numbers_are_an_estimate() {
    let mut planner = Planner::bounded(job(true), 4_000);
    let names: Vec<_> = (0..40_000).map(|number| format!("cust-{number}")).collect();
    for name in &names {
        planner.see(&change("0", name, true, &[("user_id", name)], &[]));
    }
    assert!(planner.changes <= 4_000);
    let plan = planner.plan();
    assert!(plan.one_in >= 16 && plan.adds == plan.users && plan.users == plan.created);
    // Seven standard deviations of a sample of one in sixteen.
    assert!((34_500..45_500).contains(&plan.users), "{plan:?}");
}

proptest! {
    /// Every record is in one number: it adds, removes, is overtaken, or is not sent. And of each user and audience the last word
    /// is what the naive reader of the same records has.
    #[test]
    fn every_change_is_counted_once(
        new in any::<bool>(),
        changes in prop::collection::vec((0..3usize, 0..5usize, any::<bool>(), 0..4usize), 0..60),
    ) {
        let (slugs, profiles, ids) = (["0", "1", "2"], ["p", "q", "r", "s", "t"], ["a", "b", "c"]);
        let mut planner = Planner::new(job(new));
        let mut naive = HashMap::new();
        for (slug, profile, enter, id) in &changes {
            // A fourth id is none.
            let fields: Vec<_> = ids.get(*id).map(|id| ("user_id", *id)).into_iter().collect();
            planner.see(&change(slugs[*slug], profiles[*profile], *enter, &fields, &[]));
            if let Some(id) = ids.get(*id) && (*enter || !new || naive.contains_key(&(slug, id))) {
                naive.insert((slug, id), *enter);
            }
        }
        let plan = planner.plan();
        let sum = plan.adds + plan.removes + plan.nameless + plan.omitted + plan.overtaken;
        prop_assert_eq!(sum, changes.len() as u64);
        let adds = naive.values().filter(|enter| **enter).count() as u64;
        prop_assert!(plan.adds == adds, "{:?}, not {}", plan, adds);
        prop_assert!(plan.users <= plan.writes && plan.created <= plan.users && plan.writes == plan.adds + plan.removes);
    }
}
