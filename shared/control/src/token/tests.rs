use super::*;
use crate::account::tests::account;
use crate::record::testing::Map;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// As without anything kept.
pub(crate) fn authenticate(
    state: &impl State,
    token: &str,
    from: Option<IpAddr>,
    now: Timestamp,
) -> Result<Caller, AuthError> {
    let find = |account, id: &str| {
        let stored = record::find::<ApiToken>(state, &name::format_child(account, name::API_TOKENS, id))?;
        Ok(stored.map(|token| Arc::new(Credential::from(token))))
    };
    super::authenticate(find, token, &hash(token), from, now)
}

pub(crate) fn state_with_token(expire_time: Option<Timestamp>) -> (Map, ApiToken, SecretString) {
    let mut map = Map::default();
    map.apply(Ok((vec![account(7).put()], ()))).unwrap();
    let roles = vec![Role::DataManager, Role::Observer];
    let settings = ApiTokenSettings {
        label: "Braze".to_owned(),
        roles,
        ..ApiTokenSettings::default()
    };
    let (token, secret) = ApiToken::generate(account(7).number, settings, expire_time, NOW);
    map.apply(decide_create(&map, &token)).unwrap();
    (map, token, secret)
}

#[test]
fn a_token_proves_its_account_and_roles() {
    let (map, token, secret) = state_with_token(None);
    let caller = authenticate(&map, secret.expose_secret(), None, NOW).unwrap();
    let roles = vec![Role::DataManager, Role::Observer];
    let used = UsedToken {
        name: token.name(),
        limits: Limits::default(),
    };
    assert_eq!(caller, Caller::with(token.account, roles, used));
}

#[test]
fn only_the_hash_is_kept() {
    let (map, token, secret) = state_with_token(None);
    let stored = map.get(&record::key::<ApiToken>(&token.name())).unwrap().value;
    let secret_part = secret.expose_secret().rsplit('_').next().unwrap().as_bytes();
    assert!(!stored.windows(secret_part.len()).any(|window| window == secret_part));
    assert!(stored.windows(32).any(|window| window == hash(secret.expose_secret())));
}

#[test]
fn another_secret_another_account_and_nonsense_are_unknown() {
    let (map, token, secret) = state_with_token(None);
    let good = secret.expose_secret();
    let (head, _) = good.rsplit_once('_').unwrap();
    let other_account = good.replacen("lb_7_", "lb_8_", 1);
    let other_id = good.replacen(&token.id, "0000000000000a", 1);
    let shorter = &good[..good.len() - 1];
    for bad in [
        format!("{head}_x"),
        head.to_owned(),
        format!("{head}_"),
        other_account,
        other_id,
        shorter.to_owned(),
    ] {
        assert_eq!(authenticate(&map, &bad, None, NOW), Err(AuthError::Unknown), "{bad}");
    }
    for bad in ["", "lb_", "lb_7", "lb_7__", "lb_0_a_b", "hunter2", "lb_7_a/b_c"] {
        assert_eq!(authenticate(&map, bad, None, NOW), Err(AuthError::Unknown), "{bad}");
    }
}

#[test]
fn a_token_is_refused_from_its_expiry_on() {
    let expiry: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let (map, _, secret) = state_with_token(Some(expiry));
    let before = expiry - jiff::SignedDuration::from_nanos(1);
    assert!(authenticate(&map, secret.expose_secret(), None, before).is_ok());
    assert_eq!(
        authenticate(&map, secret.expose_secret(), None, expiry),
        Err(AuthError::Expired)
    );
}

#[test]
fn a_revoked_token_is_unknown() {
    let (mut map, token, secret) = state_with_token(None);
    map.apply(decide_delete(&map, &token.name(), None)).unwrap();
    assert_eq!(
        authenticate(&map, secret.expose_secret(), None, NOW),
        Err(AuthError::Unknown)
    );
    assert!(matches!(
        decide_delete(&map, &token.name(), None),
        Err(Error::NotFound(_))
    ));
}

#[test]
fn an_account_that_does_not_exist_gets_no_token() {
    let (_, token, _) = state_with_token(None);
    assert!(matches!(decide_create(&Map::default(), &token), Err(Error::NotFound(name)) if name == "accounts/7"));
}

#[test]
fn a_stored_expiry_that_cannot_be_read_lets_nobody_in() {
    let (mut map, token, secret) = state_with_token(None);
    let mut record = token.to_record();
    let Some(control_record::Resource::ApiToken(stored)) = &mut record.resource else {
        unreachable!()
    };
    stored.api_token.as_mut().unwrap().expire_time = Some(prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    });
    map.insert(
        &record::key::<ApiToken>(&token.name()),
        &prost::Message::encode_to_vec(&record),
    );
    assert_eq!(
        authenticate(&map, secret.expose_secret(), None, NOW),
        Err(AuthError::Unavailable)
    );
}

/// The token of `state_with_token`, edited.
fn edited(edit: impl Fn(&mut ApiTokenSettings)) -> (Map, SecretString) {
    let (mut map, token, secret) = state_with_token(None);
    map.apply(decide_update(&map, &token.name(), None, &edit, NOW)).unwrap();
    (map, secret)
}

#[test]
fn a_token_with_allowed_sources_is_good_from_those_alone() {
    let (map, secret) = edited(|settings| {
        settings.allowed_sources = vec!["10.1.0.0/16".parse().unwrap(), "braze:EU-01".parse().unwrap()];
    });
    let from = |address: Option<&str>| {
        let address = address.map(|address| address.parse().unwrap());
        authenticate(&map, secret.expose_secret(), address, NOW).map(|_| ())
    };
    assert_eq!(from(Some("10.1.2.3")), Ok(()));
    assert_eq!(from(Some("52.58.142.242")), Ok(()));
    assert_eq!(from(None), Err(AuthError::Source(None)));
    let refused = from(Some("10.2.0.1")).unwrap_err();
    assert_eq!(refused.to_string(), "the API token may not be used from 10.2.0.1");
    let wrong = authenticate(&map, "lb_7_a_b", Some("10.2.0.1".parse().unwrap()), NOW);
    assert_eq!(
        wrong,
        Err(AuthError::Unknown),
        "who has no token learns nothing of its sources"
    );
}

#[test]
fn everything_that_can_be_changed_is_read_back_and_the_rest_stays() {
    let (mut map, token, secret) = state_with_token(Some("2027-01-01T00:00:00Z".parse().unwrap()));
    let before: ApiToken = record::fetch(&map, &token.name()).unwrap();
    let settings = ApiTokenSettings {
        label: "l".to_owned(),
        description: "d".to_owned(),
        roles: vec![Role::DataWrite],
        limits: Limits {
            requests_per_second: NonZeroU32::new(5),
            requests_max: NonZeroU32::new(2),
        },
        allowed_sources: vec!["203.0.113.7".parse().unwrap(), "braze:US-08".parse().unwrap()],
    };
    let (wanted, now) = (settings.clone(), NOW + jiff::SignedDuration::from_mins(1));
    let edit = move |settings: &mut ApiTokenSettings| *settings = wanted.clone();
    map.apply(decide_update(&map, &token.name(), Some(before.revision), &edit, now))
        .unwrap();
    let after: ApiToken = record::fetch(&map, &token.name()).unwrap();
    assert!(after.revision > before.revision);
    let expected = ApiToken {
        settings: settings.clone(),
        update_time: now,
        revision: after.revision,
        ..before
    };
    assert_eq!(after, expected);
    let caller = authenticate(&map, secret.expose_secret(), "203.0.113.7".parse().ok(), NOW).unwrap();
    assert_eq!(caller.token().unwrap().limits, settings.limits);
}

#[test]
fn an_edit_of_an_older_revision_is_aborted_and_of_a_missing_token_not_found() {
    let (mut map, token, _) = state_with_token(None);
    let read: ApiToken = record::fetch(&map, &token.name()).unwrap();
    let rename = |label: &'static str| move |settings: &mut ApiTokenSettings| label.clone_into(&mut settings.label);
    let base = Some(read.revision);
    map.apply(decide_update(&map, &token.name(), base, &rename("first"), NOW))
        .unwrap();
    let second = decide_update(&map, &token.name(), base, &rename("second"), NOW);
    assert!(matches!(second, Err(Error::Aborted)));
    let nobody = decide_update(&map, "accounts/7/apiTokens/z", None, &rename("x"), NOW);
    assert!(matches!(nobody, Err(Error::NotFound(_))));
}

#[test]
fn a_stored_source_that_cannot_be_read_lets_nobody_in() {
    let (mut map, token, secret) = state_with_token(None);
    let mut record = token.to_record();
    let Some(control_record::Resource::ApiToken(stored)) = &mut record.resource else {
        unreachable!()
    };
    stored.api_token.as_mut().unwrap().allowed_sources = vec!["of a later version".to_owned()];
    map.insert(
        &record::key::<ApiToken>(&token.name()),
        &prost::Message::encode_to_vec(&record),
    );
    let refused = authenticate(&map, secret.expose_secret(), "192.0.2.1".parse().ok(), NOW);
    assert_eq!(refused, Err(AuthError::Unavailable));
}
