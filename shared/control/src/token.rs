//! API tokens: `lb_<account>_<id>_<secret>`, kept as a hash.

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, Role, name};
use proto::apitoken::v1 as wire;
use proto::control::v1::{ControlRecord, StoredApiToken, control_record};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::account::must_exist;
use crate::record::{self, Resource, State};
use crate::{AuthError, Caller, Directory, Error, Listed, Page, id};

/// An API token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// The account it is for.
    pub account: AccountNumber,
    /// Last part of its name.
    pub id: String,
    /// For people.
    pub label: String,
    /// For people.
    pub description: String,
    /// What it may do. Roles add up.
    pub roles: Vec<Role>,
    /// When it was created.
    pub create_time: Timestamp,
    /// From when on it is refused; `None` is never.
    pub expire_time: Option<Timestamp>,
    /// Changes with every edit.
    pub revision: u64,
    hash: [u8; 32],
}

/// An API token to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiToken {
    /// For people.
    pub label: String,
    /// For people.
    pub description: String,
    /// What it may do; at least one role.
    pub roles: Vec<Role>,
    /// From when on it is refused; `None` is never.
    pub expire_time: Option<Timestamp>,
}

/// SHA-256: enough for a secret of 256 random bits, which nobody can guess from a list.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether a token has this hash, in a time that does not tell where they differ.
pub(crate) fn matches(token: &str, expected: &[u8; 32]) -> bool {
    hash(token).ct_eq(expected).into()
}

/// The account and id that a token claims; `None` when it is none of ours.
fn claims(token: &str) -> Option<(AccountNumber, &str)> {
    let mut parts = token.strip_prefix("lb_")?.splitn(3, '_');
    let (account, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
    (name::is_id(id) && !secret.is_empty()).then_some((account.parse().ok()?, id))
}

/// Who the holder of `token` is.
pub(crate) fn authenticate(state: &impl State, token: &str, now: Timestamp) -> Result<Caller, AuthError> {
    let (account, id) = claims(token).ok_or(AuthError::Unknown)?;
    let name = name::format_child(account, name::API_TOKENS, id);
    let stored: ApiToken = match record::find(state, &name) {
        Ok(stored) => stored.ok_or(AuthError::Unknown)?,
        Err(error) => {
            tracing::error!(token = name, "{error}");
            return Err(AuthError::Unavailable);
        }
    };
    if !matches(token, &stored.hash) {
        return Err(AuthError::Unknown);
    }
    if stored.expire_time.is_some_and(|expiry| expiry <= now) {
        return Err(AuthError::Expired);
    }
    Ok(Caller::of(account, stored.roles))
}

impl ApiToken {
    /// `accounts/{number}/apiTokens/{id}`.
    pub fn name(&self) -> String {
        name::format_child(self.account, name::API_TOKENS, &self.id)
    }

    /// As the contracts write it.
    pub fn to_wire(&self) -> wire::ApiToken {
        wire::ApiToken {
            name: self.name(),
            label: self.label.clone(),
            description: self.description.clone(),
            roles: self.roles.iter().map(|role| role.to_wire() as i32).collect(),
            create_time: Some(model::time::to_wire(self.create_time)),
            expire_time: self.expire_time.map(model::time::to_wire),
            revision: self.revision,
        }
    }

    fn generate(account: AccountNumber, new: NewApiToken, now: Timestamp) -> (Self, SecretString) {
        let id = id::new_id(now);
        let mut text = zeroize::Zeroizing::new(String::with_capacity(128));
        text.push_str(&format!("lb_{account}_{id}_"));
        text.push_str(&id::new_secret());
        let NewApiToken {
            label,
            description,
            roles,
            expire_time,
        } = new;
        let hash = hash(&text);
        let token = Self {
            account,
            id,
            label,
            description,
            roles,
            create_time: now,
            expire_time,
            revision: 0,
            hash,
        };
        (token, SecretString::from(text.as_str()))
    }
}

impl Resource for ApiToken {
    const KIND: &'static str = "apiToken/";

    fn name(&self) -> String {
        self.name()
    }

    fn to_record(&self) -> ControlRecord {
        let api_token = Some(wire::ApiToken {
            revision: 0,
            ..self.to_wire()
        });
        let stored = StoredApiToken {
            api_token,
            hash: self.hash.to_vec().into(),
        };
        ControlRecord {
            resource: Some(control_record::Resource::ApiToken(stored)),
        }
    }

    fn from_record(record: ControlRecord, revision: u64) -> Option<Self> {
        let control_record::Resource::ApiToken(stored) = record.resource? else {
            return None;
        };
        let token = stored.api_token?;
        let (account, id) = name::child(&token.name, name::API_TOKENS).ok()?;
        // An expiry that cannot be read must not become "never".
        let expire_time = match token.expire_time {
            Some(time) => Some(model::time::from_wire(&time)?),
            None => None,
        };
        Some(Self {
            account,
            id: id.to_owned(),
            // A role of a later version gives nothing here.
            roles: token.roles.iter().filter_map(|role| Role::from_wire(*role)).collect(),
            create_time: model::time::from_wire(&token.create_time?)?,
            expire_time,
            revision,
            hash: stored.hash.as_ref().try_into().ok()?,
            label: token.label,
            description: token.description,
        })
    }
}

fn decide_create(state: &impl State, token: &ApiToken) -> Result<(Vec<Change>, ()), Error> {
    must_exist(state, token.account)?;
    Ok((vec![token.put()], ()))
}

fn decide_delete(state: &impl State, name: &str) -> Result<(Vec<Change>, ()), Error> {
    record::fetch::<ApiToken>(state, name)?;
    Ok((vec![record::delete::<ApiToken>(name)], ()))
}

/// The API tokens of a [`Directory`].
pub struct ApiTokens<'a>(pub(crate) &'a Directory);

impl ApiTokens<'_> {
    /// Creates a token; the second half of the answer is the secret itself, which exists nowhere else.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account does not exist.
    pub async fn create(
        &self,
        account: AccountNumber,
        new: NewApiToken,
        now: Timestamp,
    ) -> Result<(ApiToken, SecretString), Error> {
        let (mut token, secret) = ApiToken::generate(account, new, now);
        let wanted = token.clone();
        token.revision = self.0.mutate(move |view| decide_create(view, &wanted)).await?.1;
        Ok((token, secret))
    }

    /// The token of that id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the table is too old to know.
    pub fn get(&self, account: AccountNumber, id: &str) -> Result<ApiToken, Error> {
        self.0.fetch(&name::format_child(account, name::API_TOKENS, id))
    }

    /// A page of the account's tokens, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account does not exist; [`Error::Unavailable`] when the table is too old.
    pub fn list(&self, account: AccountNumber, page: &Page) -> Result<Listed<ApiToken>, Error> {
        self.0.list_children(account, name::API_TOKENS, page)
    }

    /// Revokes a token; every replica knows within about a second.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete(&self, account: AccountNumber, id: &str) -> Result<(), Error> {
        let name = name::format_child(account, name::API_TOKENS, id);
        self.0.mutate(move |view| decide_delete(view, &name)).await.map(|_| ())
    }
}

/// Fewest characters of the installation's admin token: a shorter one can be guessed.
const ADMIN_TOKEN_CHARS_MIN: usize = 16;

/// What is wrong with the installation's admin token, if anything. Never shows it.
pub(crate) fn admin_token_problem(token: &SecretString) -> Option<&'static str> {
    let token = token.expose_secret();
    let good = token.len() >= ADMIN_TOKEN_CHARS_MIN && token.bytes().all(|byte| byte.is_ascii_graphic());
    (!good).then_some("must be at least 16 visible ASCII characters; make one with: openssl rand -hex 24")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::account;
    use crate::record::testing::Map;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn state_with_token(expire_time: Option<Timestamp>) -> (Map, ApiToken, SecretString) {
        let mut map = Map::default();
        map.apply(Ok((vec![account(7).put()], ()))).unwrap();
        let roles = vec![Role::DataManager, Role::Observer];
        let new = NewApiToken {
            label: "Braze".to_owned(),
            description: String::new(),
            roles,
            expire_time,
        };
        let (token, secret) = ApiToken::generate(account(7).number, new, NOW);
        map.apply(decide_create(&map, &token)).unwrap();
        (map, token, secret)
    }

    #[test]
    fn a_token_proves_its_account_and_roles() {
        let (map, token, secret) = state_with_token(None);
        let caller = authenticate(&map, secret.expose_secret(), NOW).unwrap();
        assert_eq!(
            caller,
            Caller::of(token.account, vec![Role::DataManager, Role::Observer])
        );
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
            assert_eq!(authenticate(&map, &bad, NOW), Err(AuthError::Unknown), "{bad}");
        }
        for bad in ["", "lb_", "lb_7", "lb_7__", "lb_0_a_b", "hunter2", "lb_7_a/b_c"] {
            assert_eq!(authenticate(&map, bad, NOW), Err(AuthError::Unknown), "{bad}");
        }
    }

    #[test]
    fn a_token_is_refused_from_its_expiry_on() {
        let expiry: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let (map, _, secret) = state_with_token(Some(expiry));
        let before = expiry - jiff::SignedDuration::from_nanos(1);
        assert!(authenticate(&map, secret.expose_secret(), before).is_ok());
        assert_eq!(
            authenticate(&map, secret.expose_secret(), expiry),
            Err(AuthError::Expired)
        );
    }

    #[test]
    fn a_revoked_token_is_unknown() {
        let (mut map, token, secret) = state_with_token(None);
        map.apply(decide_delete(&map, &token.name())).unwrap();
        assert_eq!(authenticate(&map, secret.expose_secret(), NOW), Err(AuthError::Unknown));
        assert!(matches!(decide_delete(&map, &token.name()), Err(Error::NotFound(_))));
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
            authenticate(&map, secret.expose_secret(), NOW),
            Err(AuthError::Unavailable)
        );
    }
}
