use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use model::Role;
use proptest::collection::vec;
use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::record::Resource;
use crate::record::testing::Map;
use crate::token::{self, tests::authenticate};
use crate::{AllowedSource, ApiTokenSettings, Limits};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const ACCOUNTS: [u64; 2] = [7, 8];

fn number(number: u64) -> AccountNumber {
    AccountNumber::new(number).unwrap()
}

/// A change of one of the tokens, or of one of the accounts.
#[derive(Debug, Clone)]
enum Step {
    Put(usize, ApiTokenSettings, Option<Timestamp>),
    Delete(usize),
    /// Its record can no longer be read.
    Break(usize),
    PutAccount(u64, u128),
    DeleteAccount(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let settings = (any::<bool>(), 0..3_u32, any::<bool>()).prop_map(|(admin, requests_max, bound)| {
        let source = || "10.0.0.0/8".parse::<AllowedSource>().unwrap();
        ApiTokenSettings {
            roles: vec![if admin { Role::Admin } else { Role::Observer }],
            limits: Limits {
                requests_max: NonZeroU32::new(requests_max),
                ..Limits::default()
            },
            allowed_sources: bound.then(source).into_iter().collect(),
            ..ApiTokenSettings::default()
        }
    });
    let expiry = any::<bool>().prop_map(|expires| expires.then_some(NOW + SignedDuration::from_mins(1)));
    let (token, account) = (0..4_usize, prop::sample::select(&ACCOUNTS[..]));
    prop_oneof![
        4 => (token.clone(), settings, expiry).prop_map(|(token, settings, expiry)| Step::Put(token, settings, expiry)),
        2 => token.clone().prop_map(Step::Delete),
        1 => token.prop_map(Step::Break),
        1 => (account.clone(), 1..3_u128).prop_map(|(account, hex)| Step::PutAccount(account, hex)),
        1 => account.prop_map(Step::DeleteAccount),
    ]
}

/// Two tokens of each account.
fn tokens() -> Vec<(ApiToken, SecretString)> {
    let accounts = ACCOUNTS.into_iter().flat_map(|account| [account, account]);
    accounts
        .map(|account| ApiToken::generate(number(account), ApiTokenSettings::default(), None, NOW))
        .collect()
}

fn apply(map: &mut Map, tokens: &[(ApiToken, SecretString)], step: Step) {
    let account = |of: u64, hex| Account {
        hex: AccountHex::new(hex),
        ..crate::account::tests::account(of)
    };
    let change = match step {
        Step::Put(token, settings, expire_time) => {
            let mut edited = tokens[token].0.clone();
            (edited.settings, edited.expire_time) = (settings, expire_time);
            edited.put()
        }
        Step::Delete(token) => record::delete::<ApiToken>(&tokens[token].0.name()),
        Step::Break(token) => {
            return map.insert(&record::key::<ApiToken>(&tokens[token].0.name()), b"\xff");
        }
        Step::PutAccount(of, hex) => account(of, hex).put(),
        Step::DeleteAccount(of) => record::delete::<Account>(&name::format_account(number(of))),
    };
    map.apply(Ok((vec![change], ()))).unwrap();
}

/// That both answer the same, whoever asks for whatever.
fn compare(known: &Known, map: &Map, tokens: &[(ApiToken, SecretString)]) {
    for (token, secret) in tokens {
        let wrong = format!("lb_{}_{}_wrong", token.account, token.id);
        for text in [secret.expose_secret(), &wrong] {
            for (from, minutes) in [(None, 0), ("10.1.1.1".parse().ok(), 0), ("10.1.1.1".parse().ok(), 1)] {
                let now = NOW + SignedDuration::from_mins(minutes);
                let find = |account, id: &str| known.credential(map, account, id);
                let kept = token::authenticate(find, text, &token::hash(text), from, now);
                assert_eq!(kept, authenticate(map, text, from, now));
            }
        }
    }
    for account in ACCOUNTS.map(number) {
        let found: Option<Account> = record::find(map, &name::format_account(account)).unwrap();
        let kept = known.account(map, AccountRef::Number(account)).unwrap();
        assert_eq!(kept, found.map(|account| account.number));
    }
    for hex in (1..3).map(AccountHex::new) {
        let mut every = record::all::<Account>(map, "accounts/").filter(|(_, account)| account.hex == hex);
        let kept = known.account(map, AccountRef::Hex(hex)).unwrap();
        // No two accounts have the same digits but here.
        assert_eq!(kept.is_some(), every.next().is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_kept_answers_as_the_table_does_after_any_change(steps in vec(step(), 1..20)) {
        let (tokens, mut map) = (tokens(), Map::default());
        let (changed, receiver) = watch::channel(0);
        let known = Known::new(&receiver);
        for step in steps {
            apply(&mut map, &tokens, step);
            // Also a table that was loaded anew tells so, be its last revision the same.
            changed.send_replace(1);
            compare(&known, &map, &tokens);
            compare(&known, &map, &tokens);
        }
    }
}

#[test]
fn what_is_there_is_decoded_once_and_what_is_not_takes_no_memory() {
    let (tokens, mut map) = (tokens(), Map::default());
    let (token, account) = (&tokens[0].0, number(ACCOUNTS[0]));
    apply(&mut map, &tokens, Step::Put(0, ApiTokenSettings::default(), None));
    apply(&mut map, &tokens, Step::PutAccount(ACCOUNTS[0], 1));
    let (changed, receiver) = watch::channel(0);
    let known = Known::new(&receiver);
    let of = |id: &str| known.credential(&map, account, id).unwrap();
    let first = of(&token.id).unwrap();
    assert!(Arc::ptr_eq(&first, &of(&token.id).unwrap()));
    assert!(of("nobody").is_none());
    assert_eq!(known.account(&map, AccountRef::Number(number(8))).unwrap(), None);
    assert_eq!(known.account(&map, AccountRef::Number(account)).unwrap(), Some(account));
    assert_eq!(lock(&known.named).decoded.credentials[&account].len(), 1);
    assert_eq!(lock(&known.named).decoded.accounts.len(), 1);

    changed.send_replace(0);
    known.account(&map, AccountRef::Number(account)).unwrap();
    assert!(
        lock(&known.named).decoded.credentials.is_empty(),
        "a change is the end of all"
    );
}

/// Looks at what it is decoded under.
struct Decoding<'a>(&'a Map, &'a Known);

impl State for Decoding<'_> {
    fn get(&self, key: &str) -> Option<kafka::Entry> {
        self.0.get(key)
    }

    fn scan(&self, prefix: &str) -> Vec<(String, kafka::Entry)> {
        assert!(self.1.named.try_lock().is_ok(), "tokens wait for every account");
        self.0.scan(prefix)
    }
}

#[test]
fn no_token_waits_until_every_account_is_decoded() {
    let (tokens, mut map) = (tokens(), Map::default());
    apply(&mut map, &tokens, Step::PutAccount(ACCOUNTS[0], 1));
    let (_changed, receiver) = watch::channel(0);
    let known = Known::new(&receiver);
    let hex = AccountRef::Hex(AccountHex::new(1));
    let found = known.account(&Decoding(&map, &known), hex).unwrap();
    assert_eq!(found, Some(number(ACCOUNTS[0])));
}
