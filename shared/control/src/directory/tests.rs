use std::num::NonZeroU32;
use std::time::Duration;

use kafka::testing::{InProcessBroker, brokers};
use model::Role;

use secrecy::SecretString;

use super::*;
use crate::{ApiTokenSettings, Limits, NewAccount};

const ADMIN: &str = "admin-token-of-the-tests";

fn number(number: u64) -> AccountNumber {
    AccountNumber::new(number).unwrap()
}

fn account(of: u64) -> NewAccount {
    NewAccount {
        number: number(of),
        hex: None,
        label: "Demo".to_owned(),
    }
}

async fn open(config: &kafka::Config) -> Directory {
    let auth = Auth {
        admin_token: Some(ADMIN.into()),
        ..Auth::default()
    };
    Directory::open(config, &auth).await.unwrap()
}

async fn token(directory: &Directory, of: u64) -> SecretString {
    let settings = ApiTokenSettings {
        roles: vec![Role::Observer],
        ..ApiTokenSettings::default()
    };
    let tokens = directory.api_tokens();
    let created = tokens.create(number(of), settings, None, Timestamp::now()).await;
    created.unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_table_says_unavailable_and_never_that_a_token_or_account_is_unknown() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let directory = open(&broker.config()).await;
    directory.accounts().create(account(7), Timestamp::now()).await.unwrap();
    let token = token(&directory, 7).await;
    let (now, stale) = (Timestamp::now(), Instant::now() + Duration::from_secs(31));
    for token in [token.expose_secret(), "lb_7_0000000000000a_x", "nonsense"] {
        assert_eq!(
            directory.authenticate_at(token, None, now, stale),
            Err(AuthError::Unavailable),
            "{token}"
        );
    }
    assert!(matches!(directory.fresh_at(stale), Err(Error::Unavailable(_))));
    assert_eq!(
        directory.authenticate_at(ADMIN, None, now, stale),
        Ok(Caller::installation()),
        "not in the table"
    );
    assert_eq!(
        directory.authenticate_at("nonsense", None, now, Instant::now()),
        Err(AuthError::Unknown)
    );
    assert_eq!(directory.authenticate_at("", None, now, stale), Err(AuthError::Missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_writes_another_knows_within_a_second() {
    let brokers = brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let (one, other) = (open(&brokers.config()).await, open(&brokers.config()).await);
    one.accounts().create(account(7), Timestamp::now()).await.unwrap();
    let token = token(&one, 7).await;
    let known = |known: bool| {
        let (other, token) = (other.clone(), token.clone());
        async move {
            let mut changed = other.changed();
            while other
                .authenticate(token.expose_secret(), None, Timestamp::now())
                .is_ok()
                != known
            {
                changed.changed().await.unwrap();
            }
        }
    };
    // About a second is promised; the rest is for a slow machine.
    tokio::time::timeout(Duration::from_secs(5), known(true))
        .await
        .expect("the token is known");
    let id = token.expose_secret().split('_').nth(2).unwrap();
    one.api_tokens().delete(number(7), id, None).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), known(false))
        .await
        .expect("the token is revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_and_a_revocation_count_from_the_next_request_on() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let directory = open(&broker.config()).await;
    directory.accounts().create(account(7), Timestamp::now()).await.unwrap();
    let token = token(&directory, 7).await;
    let ask = || directory.authenticate(token.expose_secret(), None, Timestamp::now());
    let can_write = |caller: &Caller| caller.require(number(7), &[Role::DataWrite]).is_ok();
    let before = ask().unwrap();
    assert_eq!(
        (can_write(&before), before.token().unwrap().limits),
        (false, Limits::default())
    );

    let id = token.expose_secret().split('_').nth(2).unwrap();
    let limits = Limits {
        requests_max: NonZeroU32::new(3),
        ..Limits::default()
    };
    let edit = move |settings: &mut ApiTokenSettings| {
        settings.roles = vec![Role::DataWrite];
        settings.limits = limits;
    };
    let tokens = directory.api_tokens();
    tokens
        .update(number(7), id, None, edit, Timestamp::now())
        .await
        .unwrap();
    let after = ask().unwrap();
    assert_eq!((can_write(&after), after.token().unwrap().limits), (true, limits));

    tokens.delete(number(7), id, None).await.unwrap();
    assert_eq!(ask(), Err(AuthError::Unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_found_by_either_spelling_as_it_is_now() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let directory = open(&broker.config()).await;
    let first = directory.accounts().create(account(7), Timestamp::now()).await.unwrap();
    assert_eq!(directory.account(AccountRef::Hex(first.hex)).unwrap(), first);
    let second = directory.accounts().create(account(8), Timestamp::now()).await.unwrap();
    assert_eq!(
        directory.account(AccountRef::Hex(second.hex)).unwrap(),
        second,
        "newer than the first look-up"
    );
    directory.accounts().delete(number(7), None).await.unwrap();
    assert!(matches!(
        directory.account(AccountRef::Hex(first.hex)),
        Err(Error::NotFound(_))
    ));
    assert!(matches!(
        directory.account(AccountRef::Number(number(7))),
        Err(Error::NotFound(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn ensuring_accounts_twice_creates_them_once() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let directory = open(&broker.config()).await;
    let wanted = [(number(7), "Demo".to_owned())];
    directory.accounts().ensure(&wanted, Timestamp::now()).await.unwrap();
    let created = directory.accounts().all().unwrap();
    directory.accounts().ensure(&wanted, Timestamp::now()).await.unwrap();
    assert_eq!(directory.accounts().all().unwrap(), created);
    assert_eq!(created.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_unavailable() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let directory = open(&broker.config()).await;
    broker.down().unwrap();
    let refused = directory
        .accounts()
        .create(account(7), Timestamp::now())
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Unavailable(Some(_))), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_uses_at_two_replicas_are_one_write() {
    let brokers = brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let (one, other) = (open(&brokers.config()).await, open(&brokers.config()).await);
    one.accounts().create(account(7), Timestamp::now()).await.unwrap();
    let token = token(&one, 7).await;
    let id = token.expose_secret().split('_').nth(2).unwrap();
    let (used, mut changed) = (Timestamp::now(), other.changed());
    let known = async {
        while other.authenticate(token.expose_secret(), None, used).is_err() {
            changed.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), known).await.unwrap();
    let before = *one.changed().borrow();
    for _ in 0..500 {
        assert!(one.authenticate(token.expose_secret(), None, used).is_ok());
        assert!(other.authenticate(token.expose_secret(), None, used).is_ok());
    }
    assert_eq!(*one.changed().borrow(), before, "a use by itself writes nothing");
    assert_eq!(one.api_tokens().get(number(7), id).unwrap().last_use_time, None);
    let nonsense = format!("lb_7_{id}_nonsense");
    assert_eq!(
        one.authenticate(&nonsense, None, used + jiff::SignedDuration::from_hours(9)),
        Err(AuthError::Unknown)
    );

    assert!(one.write_uses().await.unwrap());
    other.write_uses().await.unwrap();
    assert_eq!(
        *one.changed().borrow(),
        *other.changed().borrow(),
        "the other found it written"
    );
    let all = one
        .api_tokens()
        .list(number(7), &Page::new(&["ListExportJobs"], 0, "").unwrap())
        .unwrap()
        .items;
    assert_eq!(
        all.iter().map(|token| token.last_use_time).collect::<Vec<_>>(),
        [Some(used)]
    );
    let after = *one.changed().borrow();
    assert!(!one.write_uses().await.unwrap());
    one.authenticate(token.expose_secret(), None, used).unwrap();
    assert!(!one.write_uses().await.unwrap(), "used again within the hour");
    assert_eq!(*one.changed().borrow(), after);
    one.authenticate(token.expose_secret(), None, used + jiff::SignedDuration::from_hours(1))
        .unwrap();
    assert!(one.write_uses().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_that_cannot_be_written_are_kept_for_later() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let directory = open(&broker.config()).await;
    directory.accounts().create(account(7), Timestamp::now()).await.unwrap();
    let token = token(&directory, 7).await;
    directory
        .authenticate(token.expose_secret(), None, Timestamp::now())
        .unwrap();
    broker.down().unwrap();
    assert!(directory.write_uses().await.is_err());
    broker.up().unwrap();
    assert!(directory.write_uses().await.unwrap());
}
