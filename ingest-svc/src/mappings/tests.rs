use control::{Auth, NewAccount, NewMapping};
use kafka::testing::InProcessBroker;

use super::*;
use crate::shadow;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn account() -> AccountNumber {
    AccountNumber::new(7).unwrap()
}

fn lql(stream: &str) -> String {
    format!("SELECT id FROM {stream} INTO user BY id ALIAS m")
}

fn live(stream: &str, version: u64, lql: &str) -> control::Mapping {
    control::Mapping {
        account: account(),
        alias: "m".to_owned(),
        stream: stream.to_owned(),
        lql: lql.to_owned(),
        version,
        create_time: NOW,
        revision: version,
    }
}

fn candidate(stream: &str, revision: u64) -> control::Shadow {
    control::Shadow {
        account: account(),
        alias: "m".to_owned(),
        stream: stream.to_owned(),
        lql: lql(stream),
        create_time: NOW,
        revision,
    }
}

fn next(before: &Streams, live: Vec<control::Mapping>, shadows: Vec<control::Shadow>) -> Streams {
    build(before, live, shadows, &shadow::queue().0, NOW)
}

fn mapping<'a>(streams: &'a Streams, stream: &str) -> &'a Arc<Mapping> {
    streams[&account()][stream].mapping.as_ref().unwrap()
}

fn shadow<'a>(streams: &'a Streams, stream: &str) -> &'a Arc<Shadow> {
    streams[&account()][stream].shadow.as_ref().unwrap()
}

#[test]
fn a_version_is_compiled_once_and_the_next_one_takes_its_place() {
    let first = next(&Streams::new(), vec![live("web", 1, &lql("web"))], vec![]);
    assert_eq!(mapping(&first, "web").version(), 1);
    let again = next(&first, vec![live("web", 1, &lql("web"))], vec![]);
    assert!(Arc::ptr_eq(mapping(&first, "web"), mapping(&again, "web")));
    let second = next(&again, vec![live("web", 2, &lql("web"))], vec![]);
    assert_eq!(mapping(&second, "web").version(), 2);
    assert!(next(&second, vec![], vec![]).is_empty());
}

#[test]
fn what_does_not_compile_here_is_said_and_never_read_by_something_else() {
    let broken = |version| vec![live("braze_users", version, "SELECT future()")];
    let first = next(&Streams::new(), broken(1), vec![]);
    // As often as the table changes.
    for streams in [&first, &next(&first, broken(1), vec![])] {
        let chosen = &streams[&account()]["braze_users"];
        assert!(matches!(&chosen.mapping, Err(refusal @ Refusal::BrokenMapping(version))
                if version == "version 1 of accounts/7/mappings/m" && refusal.code() == "broken_mapping"));
    }
    let mended = next(&first, vec![live("braze_users", 2, &lql("braze_users"))], vec![]);
    assert_eq!(mapping(&mended, "braze_users").version(), 2);
}

#[test]
fn a_shadow_counts_from_its_own_start_and_from_that_of_the_mapping_beside_it() {
    let mappings = |version| vec![live("web", version, &lql("web"))];
    let first = next(&Streams::new(), mappings(1), vec![candidate("web", 5)]);
    let same = next(&first, mappings(1), vec![candidate("web", 5)]);
    assert!(Arc::ptr_eq(shadow(&first, "web"), shadow(&same, "web")));
    let edited = next(&same, mappings(1), vec![candidate("web", 6)]);
    assert!(!Arc::ptr_eq(shadow(&same, "web"), shadow(&edited, "web")));
    let beside_another = next(&edited, mappings(2), vec![candidate("web", 6)]);
    assert!(!Arc::ptr_eq(shadow(&edited, "web"), shadow(&beside_another, "web")));
    let (one, other) = (
        shadow(&edited, "web").candidate(),
        shadow(&beside_another, "web").candidate(),
    );
    assert!(Arc::ptr_eq(one, other), "it is not compiled again");
    assert_eq!(shadow(&beside_another, "web").report().live_version, 2);
}

#[test]
fn a_shadow_runs_beside_what_ships_with_the_service_too() {
    let streams = next(
        &Streams::new(),
        vec![],
        vec![candidate("braze_users", 1), candidate("web", 2)],
    );
    assert_eq!(mapping(&streams, "braze_users").version(), 0);
    assert_eq!(shadow(&streams, "braze_users").report().live_mapping, "braze_users");
    let unread = &streams[&account()]["web"];
    assert!(matches!(&unread.mapping, Err(Refusal::NoMapping(_))) && unread.shadow.is_some());
}

#[test]
fn the_built_in_mappings_are_of_version_0() {
    assert_eq!(Chosen::built_in("braze_users").mapping.unwrap().version(), 0);
    assert!(matches!(Chosen::built_in("web").mapping, Err(Refusal::NoMapping(stream)) if stream == "web"));
}

#[tokio::test]
async fn what_was_put_before_the_start_is_live_before_the_first_request() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let directory = Directory::open(&broker.config(), &Auth::default()).await.unwrap();
    let new = NewAccount {
        number: account(),
        hex: None,
        label: "test".to_owned(),
    };
    directory.accounts().create(new, NOW).await.unwrap();
    let new = NewMapping {
        alias: "m".to_owned(),
        stream: "braze_users".to_owned(),
        lql: lql("braze_users"),
    };
    directory.mappings().put(account(), new, None, NOW).await.unwrap();
    let mappings = Mappings::new(&directory, shadow::queue().0);
    let chosen = mappings.choose(account(), "braze_users");
    assert_eq!(chosen.mapping.unwrap().version(), 1);
    let others = mappings.choose(AccountNumber::new(8).unwrap(), "braze_users");
    assert_eq!(others.mapping.unwrap().version(), 0, "an account's mapping is its own");
}
