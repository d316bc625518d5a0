use std::time::Duration;

use kafka::testing::{InProcessBroker, brokers};
use model::Role;

use super::*;
use crate::{NewAccount, NewApiToken};

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
    Directory::open(config, Some(&ADMIN.into())).await.unwrap()
}

async fn token(directory: &Directory, of: u64) -> SecretString {
    let roles = vec![Role::Observer];
    let new = NewApiToken {
        label: "l".to_owned(),
        description: String::new(),
        roles,
        expire_time: None,
    };
    directory
        .api_tokens()
        .create(number(of), new, Timestamp::now())
        .await
        .unwrap()
        .1
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
            directory.authenticate_at(token, now, stale),
            Err(AuthError::Unavailable),
            "{token}"
        );
    }
    assert!(matches!(directory.fresh_at(stale), Err(Error::Unavailable(_))));
    assert_eq!(
        directory.authenticate_at(ADMIN, now, stale),
        Ok(Caller::installation()),
        "not in the table"
    );
    assert_eq!(
        directory.authenticate_at("nonsense", now, Instant::now()),
        Err(AuthError::Unknown)
    );
    assert_eq!(directory.authenticate_at("", now, stale), Err(AuthError::Missing));
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
            while other.authenticate(token.expose_secret(), Timestamp::now()).is_ok() != known {
                changed.changed().await.unwrap();
            }
        }
    };
    // About a second is promised; the rest is for a slow machine.
    tokio::time::timeout(Duration::from_secs(5), known(true))
        .await
        .expect("the token is known");
    let id = token.expose_secret().split('_').nth(2).unwrap();
    one.api_tokens().delete(number(7), id).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), known(false))
        .await
        .expect("the token is revoked");
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
    directory.accounts().delete(number(7)).await.unwrap();
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
