//! Authorizations over a map.

use secrecy::ExposeSecret;

use super::*;
use crate::account::tests::account;
use crate::record::testing::Map;

pub(crate) fn sealer() -> Sealer {
    Sealer::from_config(&SecretString::from("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")).unwrap()
}

pub(crate) fn authorization(number: u64, id: &str, workspace: &str) -> Authorization {
    let new = NewAuthorization {
        label: format!("label of {id}"),
        description: "d".to_owned(),
        instance: "US-01".to_owned(),
        workspace: Some(workspace.to_owned()),
        rest_api_key: SecretString::from("key-of-this-test"),
        budget: Budget::default(),
    };
    let built = build(
        account(number).number,
        new,
        &sealer(),
        "2026-01-01T00:00:00Z".parse().unwrap(),
    )
    .unwrap();
    let name = name::format_child(built.account, name::AUTHORIZATIONS, id);
    let sealed = sealer()
        .seal(&name, 1, &SecretString::from("key-of-this-test"))
        .unwrap();
    Authorization {
        id: id.to_owned(),
        sealed,
        ..built
    }
}

/// Account 7 with one authorization, `a`, for workspace `w`.
pub(crate) fn state() -> Map {
    let mut map = Map::default();
    map.apply(Ok((vec![account(7).put()], ()))).unwrap();
    map.apply(decide_create(&map, &authorization(7, "a", "w"), 8)).unwrap();
    map
}

#[test]
fn an_authorization_is_read_back_and_its_key_opens() {
    let read: Authorization = record::fetch(&state(), "accounts/7/authorizations/a").unwrap();
    assert_eq!(
        read.rest_api_key(&sealer()).unwrap().expose_secret(),
        "key-of-this-test"
    );
    assert_eq!(read.workspace_key(), "7.w");
    assert_eq!(read.revision, 3, "account, workspace, authorization");
}

#[test]
fn the_key_is_in_the_clear_neither_in_the_record_nor_in_debug_output() {
    let value = state().get("authorization/accounts/7/authorizations/a").unwrap().value;
    assert!(!value.windows(11).any(|window| window == b"key-of-this"));
    assert!(!format!("{:?}", authorization(7, "a", "w")).contains("key-of-this"));
}

#[test]
fn without_a_workspace_it_is_one_of_its_own() {
    let new = NewAuthorization {
        label: "l".to_owned(),
        description: String::new(),
        instance: "US-01".to_owned(),
        workspace: None,
        rest_api_key: SecretString::from("k"),
        budget: Budget::default(),
    };
    let built = build(account(7).number, new, &sealer(), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(built.workspace, built.id);
}

#[test]
fn a_label_is_unique_in_its_account_and_free_in_another() {
    let mut map = state();
    let same_label = Authorization {
        label: "label of a".to_owned(),
        ..authorization(7, "b", "w")
    };
    let error = decide_create(&map, &same_label, 8).unwrap_err();
    assert!(
        matches!(&error, Error::AlreadyExists(text) if text.contains("accounts/7/authorizations/a")),
        "{error}"
    );
    let elsewhere = Authorization {
        label: "label of a".to_owned(),
        ..authorization(8, "b", "w")
    };
    assert!(
        matches!(decide_create(&map, &elsewhere, 8), Err(Error::NotFound(_))),
        "account 8 does not exist yet"
    );
    map.apply(Ok((vec![account(8).put()], ()))).unwrap();
    map.apply(decide_create(&map, &elsewhere, 8)).unwrap();
}

#[test]
fn one_workspace_is_on_one_instance() {
    let map = state();
    let moved = Authorization {
        instance: "EU-01".to_owned(),
        ..authorization(7, "b", "w")
    };
    assert!(matches!(
        decide_create(&map, &moved, 8),
        Err(Error::FailedPrecondition(_))
    ));
    let second_key = authorization(7, "b", "w");
    assert!(decide_create(&map, &second_key, 8).is_ok());
}

#[test]
fn a_rotated_key_replaces_the_old_one_which_does_not_open_if_it_is_put_back() {
    let mut map = state();
    let name = "accounts/7/authorizations/a";
    let before: Authorization = record::fetch(&map, name).unwrap();
    let (key, now) = (SecretString::from("another-key"), Timestamp::now());
    map.apply(decide_rotate(&map, name, &sealer(), &key, None, now))
        .unwrap();
    let after: Authorization = record::fetch(&map, name).unwrap();
    assert_eq!(after.rest_api_key(&sealer()).unwrap().expose_secret(), "another-key");
    assert!(after.revision > before.revision && after.sealed.secret_revision == 2);
    let unchanged = Authorization {
        sealed: before.sealed.clone(),
        revision: before.revision,
        update_time: before.update_time,
        ..after.clone()
    };
    assert_eq!(unchanged, before, "nothing but the key");
    let mut put_back = after;
    put_back.sealed.ciphertext = before.sealed.ciphertext;
    put_back.sealed.nonce = before.sealed.nonce;
    assert!(put_back.rest_api_key(&sealer()).is_err());
    let nobody = decide_rotate(&map, "accounts/7/authorizations/z", &sealer(), &key, None, now);
    assert!(matches!(nobody, Err(Error::NotFound(_))));
}

#[test]
fn deleting_it_makes_the_label_free_again() {
    let mut map = state();
    map.apply(decide_delete(
        &map,
        account(7).number,
        "accounts/7/authorizations/a",
        &Removed::default(),
        None,
    ))
    .unwrap();
    assert_eq!(map.keys(), ["account/accounts/7"]);
    assert!(decide_create(&map, &authorization(7, "a", "w"), 8).is_ok());
}

fn set(edited: AuthorizationSettings) -> impl Fn(&mut AuthorizationSettings) {
    move |settings| settings.clone_from(&edited)
}

#[test]
fn an_edit_changes_what_it_names_and_a_stale_one_nothing() {
    let mut map = state();
    let name = "accounts/7/authorizations/a";
    let before: Authorization = record::fetch(&map, name).unwrap();
    let budget = Budget {
        requests_per_second: Some(20.0),
        limit_share: Some(0.25),
    };
    let edited = AuthorizationSettings {
        label: "new".to_owned(),
        description: String::new(),
        budget,
    };
    let now = Timestamp::now();
    let stale = decide_update(&map, name, Some(before.revision - 1), &set(edited.clone()), now);
    assert!(matches!(stale, Err(Error::Aborted)));
    map.apply(decide_update(
        &map,
        name,
        Some(before.revision),
        &set(edited.clone()),
        now,
    ))
    .unwrap();
    let after: Authorization = record::fetch(&map, name).unwrap();
    assert_eq!(after.settings(), edited);
    assert!(after.revision > before.revision);
    assert_eq!(
        (after.secret_revision(), after.create_time, &after.workspace),
        (before.secret_revision(), before.create_time, &before.workspace)
    );
    assert!(after.rest_api_key(&sealer()).is_ok());
}

#[test]
fn a_label_that_another_has_is_not_taken_over_by_an_edit() {
    let mut map = state();
    map.apply(decide_create(&map, &authorization(7, "b", "w"), 8)).unwrap();
    let label = |label: &'static str| move |settings: &mut AuthorizationSettings| settings.label = label.to_owned();
    let name = "accounts/7/authorizations/b";
    let taken = decide_update(&map, name, None, &label("label of a"), Timestamp::now());
    assert!(matches!(taken, Err(Error::AlreadyExists(_))));
    let own = decide_update(&map, name, None, &label("label of b"), Timestamp::now());
    assert!(own.is_ok());
}

#[test]
fn of_two_budgets_of_one_workspace_the_least_of_each_figure_holds() {
    let budget = |requests_per_second, limit_share| Budget {
        requests_per_second,
        limit_share,
    };
    let stricter = |one: Budget, other: Budget| {
        assert_eq!(one.stricter(other), other.stricter(one));
        one.stricter(other)
    };
    assert_eq!(
        stricter(budget(Some(5.0), Some(0.9)), budget(Some(7.0), Some(0.2))),
        budget(Some(5.0), Some(0.2))
    );
    assert_eq!(
        stricter(budget(Some(5.0), None), budget(None, Some(0.2))),
        budget(Some(5.0), Some(0.2))
    );
    assert_eq!(
        stricter(Budget::default(), budget(None, Some(1.0))),
        budget(None, Some(1.0))
    );
}
