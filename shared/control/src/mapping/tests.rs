use super::*;
use crate::account::{self, tests::account};
use crate::record::testing::Map;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn state() -> Map {
    let mut map = Map::default();
    map.apply(Ok((vec![account(7).put()], ()))).unwrap();
    map
}

fn new(alias: &str, stream: &str, lql: &str) -> NewMapping {
    NewMapping {
        alias: alias.to_owned(),
        stream: stream.to_owned(),
        lql: lql.to_owned(),
    }
}

fn put(map: &mut Map, alias: &str, stream: &str, lql: &str) -> Result<u64, Error> {
    let decided = decide_put(map, account(7).number, &new(alias, stream, lql), None, NOW);
    map.apply(decided).map(|mapping| mapping.version)
}

fn live(map: &Map, alias: &str) -> Mapping {
    record::fetch(map, &name::format_child(account(7).number, name::MAPPINGS, alias)).unwrap()
}

fn older(map: &Map, alias: &str) -> Vec<u64> {
    let prefix = older_prefix(&name::format_child(account(7).number, name::MAPPINGS, alias));
    record::all::<Older>(map, &prefix)
        .map(|(_, Older(mapping))| mapping.version)
        .collect()
}

#[test]
fn a_put_makes_a_new_version_and_the_old_one_stays() {
    let mut map = state();
    assert_eq!(put(&mut map, "web", "web", "one").unwrap(), 1);
    assert_eq!(put(&mut map, "web", "site", "two").unwrap(), 2);
    let mapping = live(&map, "web");
    assert_eq!(
        (mapping.version, mapping.stream.as_str(), mapping.lql.as_str()),
        (2, "site", "two")
    );
    assert_eq!(older(&map, "web"), [1]);
}

#[test]
fn the_statement_that_is_live_makes_no_new_version() {
    let mut map = state();
    put(&mut map, "web", "web", "one").unwrap();
    let (changes, same) = decide_put(&map, account(7).number, &new("web", "web", "one"), None, NOW).unwrap();
    assert_eq!((changes, same), (vec![], live(&map, "web")));
}

#[test]
fn the_newest_versions_are_kept() {
    let mut map = state();
    for n in 1..=15 {
        put(&mut map, "web", "web", &n.to_string()).unwrap();
    }
    assert_eq!(live(&map, "web").version, 15);
    assert_eq!(older(&map, "web"), (6..=14).collect::<Vec<_>>());
    assert_eq!(older(&map, "web").len() + 1, VERSIONS_KEPT);
}

#[test]
fn a_version_is_never_given_twice_in_an_account() {
    let mut map = state();
    put(&mut map, "web", "web", "one").unwrap();
    assert_eq!(put(&mut map, "shop", "shop", "one").unwrap(), 2);
    let name = live(&map, "web").name();
    map.apply(decide_delete(&map, &name, None)).unwrap();
    assert_eq!(put(&mut map, "web", "web", "one").unwrap(), 3);
}

#[test]
fn a_stream_is_read_by_one_mapping_of_the_account() {
    let mut map = state();
    put(&mut map, "web", "web", "one").unwrap();
    assert!(
        matches!(put(&mut map, "other", "web", "two"), Err(Error::AlreadyExists(text)) if text.contains("accounts/7/mappings/web"))
    );
    put(&mut map, "web", "moved", "three").unwrap();
    put(&mut map, "other", "web", "two").unwrap();
}

#[test]
fn an_edit_of_another_revision_is_stale() {
    let mut map = state();
    let put = |map: &Map, lql: &str, if_revision| {
        decide_put(map, account(7).number, &new("web", "web", lql), if_revision, NOW)
    };
    assert!(matches!(put(&map, "one", Some(5)), Err(Error::Stale(text)) if text.contains("does not exist")));
    map.apply(put(&map, "one", Some(0))).unwrap();
    let revision = live(&map, "web").revision;
    assert!(matches!(put(&map, "two", Some(0)), Err(Error::Stale(text)) if text.contains("exists already")));
    map.apply(put(&map, "two", Some(revision))).unwrap();
    let stale = put(&map, "three", Some(revision)).unwrap_err();
    assert!(
        matches!(&stale, Error::Stale(text) if text.contains(&format!("not {revision}"))),
        "{stale}"
    );
    let name = live(&map, "web").name();
    assert!(matches!(
        decide_delete(&map, &name, Some(revision)),
        Err(Error::Stale(_))
    ));
    map.apply(decide_delete(&map, &name, Some(live(&map, "web").revision)))
        .unwrap();
    assert!(matches!(decide_delete(&map, &name, None), Err(Error::NotFound(_))));
}

#[test]
fn an_account_has_a_bounded_number_of_mappings() {
    let mut map = state();
    for n in 0..MAPPINGS_MAX {
        put(&mut map, &format!("m{n}"), &format!("stream {n}"), "x").unwrap();
    }
    assert!(matches!(
        put(&mut map, "more", "more", "x"),
        Err(Error::FailedPrecondition(_))
    ));
    put(&mut map, "m1", "stream 1", "y").unwrap();
}

#[test]
fn an_account_takes_its_mappings_with_it() {
    let mut map = state();
    put(&mut map, "web", "web", "one").unwrap();
    put(&mut map, "web", "web", "two").unwrap();
    assert!(map.keys().len() > 3);
    map.apply(account::decide_delete(&map, account(7).number, None))
        .unwrap();
    assert_eq!(map.keys(), [""; 0]);
}
