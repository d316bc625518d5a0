//! API tokens: `lb_<account>_<id>_<secret>`, kept as a hash.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, Role, name};
use proto::apitoken::v1 as wire;
use proto::control::v1::{ControlRecord, StoredApiToken, control_record};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use self::uses::TokenUse;
use crate::account::must_exist;
use crate::caller::UsedToken;
use crate::record::{self, Resource, State};
use crate::{AllowedSource, AuthError, Caller, Directory, Error, Listed, Page, id};

pub(crate) mod uses;

/// An API token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// The account it is for.
    pub account: AccountNumber,
    /// Last part of its name.
    pub id: String,
    /// What can be changed.
    pub settings: ApiTokenSettings,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last edited.
    pub update_time: Timestamp,
    /// From when on it is refused; `None` is never.
    pub expire_time: Option<Timestamp>,
    /// When it was used, and for up to an hour after it may have been used again; `None` is never.
    pub last_use_time: Option<Timestamp>,
    /// Changes with every edit, not with use.
    pub revision: u64,
    hash: [u8; 32],
}

/// What can be changed of an API token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiTokenSettings {
    /// For people.
    pub label: String,
    /// For people.
    pub description: String,
    /// What it may do; at least one role. Roles add up.
    pub roles: Vec<Role>,
    /// How much may be sent with it.
    pub limits: Limits,
    /// From where it may be used; from anywhere if this is empty.
    pub allowed_sources: Vec<AllowedSource>,
}

/// How much may be sent with an API token, at each replica; `None` is as the installation has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests begun a second; after a pause as many may come at once.
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests in progress at once.
    pub requests_max: Option<NonZeroU32>,
}

impl Limits {
    /// The most that `requests_per_second` may be.
    pub const REQUESTS_PER_SECOND_MAX: u32 = 1_000_000;

    fn to_wire(self) -> Option<wire::Limits> {
        let number = |limit: Option<NonZeroU32>| limit.map_or(0, NonZeroU32::get);
        (self != Self::default()).then(|| wire::Limits {
            requests_per_second: number(self.requests_per_second),
            requests_max: number(self.requests_max),
        })
    }

    /// As the contracts write it: 0 is as the installation has it.
    pub fn from_wire(limits: &wire::Limits) -> Self {
        Self {
            requests_per_second: NonZeroU32::new(limits.requests_per_second),
            requests_max: NonZeroU32::new(limits.requests_max),
        }
    }
}

/// SHA-256: enough for a secret of 256 random bits, which nobody can guess from a list.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether two hashes are the same, in a time that does not tell where they differ.
pub(crate) fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.ct_eq(other).into()
}

/// The account and id that a token claims; `None` when it is none of ours.
fn claims(token: &str) -> Option<(AccountNumber, &str)> {
    let mut parts = token.strip_prefix("lb_")?.splitn(3, '_');
    let (account, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
    (name::is_id(id) && !secret.is_empty()).then_some((account.parse().ok()?, id))
}

/// What of a token decides who is let in with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    caller: Caller,
    hash: [u8; 32],
    expire_time: Option<Timestamp>,
    allowed_sources: Vec<AllowedSource>,
}

impl From<ApiToken> for Credential {
    fn from(token: ApiToken) -> Self {
        let used = UsedToken {
            name: token.name(),
            limits: token.settings.limits,
        };
        Self {
            caller: Caller::with(token.account, token.settings.roles, used),
            hash: token.hash,
            expire_time: token.expire_time,
            allowed_sources: token.settings.allowed_sources,
        }
    }
}

impl Credential {
    /// Who calls from an address with a token that has this hash.
    fn admit(&self, hash: &[u8; 32], from: Option<IpAddr>, now: Timestamp) -> Result<Caller, AuthError> {
        if !is_same(hash, &self.hash) {
            return Err(AuthError::Unknown);
        }
        if self.expire_time.is_some_and(|expiry| expiry <= now) {
            return Err(AuthError::Expired);
        }
        // An address that nobody told is nobody's.
        let is_allowed = |source: &AllowedSource| from.is_some_and(|from| source.contains(from));
        if !self.allowed_sources.is_empty() && !self.allowed_sources.iter().any(is_allowed) {
            return Err(AuthError::Source(from));
        }
        Ok(self.caller.clone())
    }
}

/// Who the holder of `token` is, which has this hash, calling from an address; `find` knows the tokens by account and id.
pub(crate) fn authenticate(
    find: impl FnOnce(AccountNumber, &str) -> Result<Option<Arc<Credential>>, Error>,
    token: &str,
    hash: &[u8; 32],
    from: Option<IpAddr>,
    now: Timestamp,
) -> Result<Caller, AuthError> {
    let (account, id) = claims(token).ok_or(AuthError::Unknown)?;
    let found = find(account, id).map_err(|error| {
        tracing::error!(token = name::format_child(account, name::API_TOKENS, id), "{error}");
        AuthError::Unavailable
    })?;
    found.ok_or(AuthError::Unknown)?.admit(hash, from, now)
}

impl ApiToken {
    /// `accounts/{number}/apiTokens/{id}`.
    pub fn name(&self) -> String {
        name::format_child(self.account, name::API_TOKENS, &self.id)
    }

    /// As the contracts write it.
    pub fn to_wire(&self) -> wire::ApiToken {
        let settings = &self.settings;
        wire::ApiToken {
            name: self.name(),
            label: settings.label.clone(),
            description: settings.description.clone(),
            roles: settings.roles.iter().map(|role| role.to_wire() as i32).collect(),
            create_time: Some(model::time::to_wire(self.create_time)),
            update_time: Some(model::time::to_wire(self.update_time)),
            expire_time: self.expire_time.map(model::time::to_wire),
            last_use_time: self.last_use_time.map(model::time::to_wire),
            limits: settings.limits.to_wire(),
            allowed_sources: settings.allowed_sources.iter().map(AllowedSource::to_string).collect(),
            revision: self.revision,
        }
    }

    pub(crate) fn generate(
        account: AccountNumber,
        settings: ApiTokenSettings,
        expire_time: Option<Timestamp>,
        now: Timestamp,
    ) -> (Self, SecretString) {
        let id = id::new_id(now);
        let mut text = zeroize::Zeroizing::new(String::with_capacity(128));
        text.push_str(&format!("lb_{account}_{id}_"));
        text.push_str(&id::new_secret());
        let hash = hash(&text);
        let token = Self {
            account,
            id,
            settings,
            create_time: now,
            update_time: now,
            expire_time,
            last_use_time: None,
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
            last_use_time: None,
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
        // An expiry that cannot be read must not become "never", nor a source "anywhere".
        let expire_time = match token.expire_time {
            Some(time) => Some(model::time::from_wire(&time)?),
            None => None,
        };
        let allowed_sources = token.allowed_sources.iter().map(|source| source.parse().ok());
        let create_time = model::time::from_wire(&token.create_time?)?;
        let update_time = token.update_time.as_ref().and_then(model::time::from_wire);
        Some(Self {
            account,
            id: id.to_owned(),
            settings: ApiTokenSettings {
                allowed_sources: allowed_sources.collect::<Option<_>>()?,
                label: token.label,
                description: token.description,
                // A role of a later version gives nothing here.
                roles: token.roles.iter().filter_map(|role| Role::from_wire(*role)).collect(),
                limits: token.limits.as_ref().map(Limits::from_wire).unwrap_or_default(),
            },
            create_time,
            update_time: update_time.unwrap_or(create_time),
            expire_time,
            last_use_time: None,
            revision,
            hash: stored.hash.as_ref().try_into().ok()?,
        })
    }
}

fn decide_create(state: &impl State, token: &ApiToken) -> Result<(Vec<Change>, ()), Error> {
    must_exist(state, token.account)?;
    Ok((vec![token.put()], ()))
}

/// The token as `edit` makes it, if it is still the one that the edit is based on.
fn decide_update(
    state: &impl State,
    name: &str,
    based_on: Option<u64>,
    edit: &impl Fn(&mut ApiTokenSettings),
    now: Timestamp,
) -> Result<(Vec<Change>, ApiToken), Error> {
    let mut token: ApiToken = record::fetch(state, name)?;
    if based_on.is_some_and(|revision| revision != token.revision) {
        return Err(Error::Aborted);
    }
    edit(&mut token.settings);
    token.update_time = now;
    Ok((vec![token.put()], token))
}

fn decide_delete(state: &impl State, name: &str, based_on: Option<u64>) -> Result<(Vec<Change>, ()), Error> {
    let known: ApiToken = record::fetch(state, name)?;
    record::check_revision(name, Some(known.revision), based_on)?;
    Ok((forget(state, name), ()))
}

/// The token, and what is known of its use.
pub(crate) fn forget(state: &impl State, name: &str) -> Vec<Change> {
    let used = state.get(&record::key::<TokenUse>(name)).is_some();
    let used = used.then(|| record::delete::<TokenUse>(name));
    used.into_iter().chain([record::delete::<ApiToken>(name)]).collect()
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
        settings: ApiTokenSettings,
        expire_time: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(ApiToken, SecretString), Error> {
        let (mut token, secret) = ApiToken::generate(account, settings, expire_time, now);
        let wanted = token.clone();
        token.revision = self.0.mutate(move |view| decide_create(view, &wanted)).await?.1;
        Ok((token, secret))
    }

    /// The token of that id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the table is too old to know.
    pub fn get(&self, account: AccountNumber, id: &str) -> Result<ApiToken, Error> {
        let mut token: ApiToken = self.0.fetch(&name::format_child(account, name::API_TOKENS, id))?;
        token.last_use_time = self.last_use(&token)?;
        Ok(token)
    }

    /// A page of the account's tokens, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account does not exist; [`Error::Unavailable`] when the table is too old.
    pub fn list(&self, account: AccountNumber, page: &Page) -> Result<Listed<ApiToken>, Error> {
        let mut listed: Listed<ApiToken> = self.0.list_children(account, name::API_TOKENS, page)?;
        for token in &mut listed.items {
            token.last_use_time = self.last_use(token)?;
        }
        Ok(listed)
    }

    fn last_use(&self, token: &ApiToken) -> Result<Option<Timestamp>, Error> {
        let used = self.0.find::<TokenUse>(&token.name())?;
        Ok(used.map(|used| used.last_use_time))
    }

    /// Changes a token; every replica knows within about a second. `edit` may be asked several times.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Aborted`] when the token is not the revision that the edit is based on.
    pub async fn update(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        edit: impl Fn(&mut ApiTokenSettings) + Send + Sync + 'static,
        now: Timestamp,
    ) -> Result<ApiToken, Error> {
        let name = name::format_child(account, name::API_TOKENS, id);
        let decide = move |view: &kafka::View| decide_update(view, &name, based_on, &edit, now);
        let (mut token, revision) = self.0.mutate(decide).await?;
        token.last_use_time = self.last_use(&token)?;
        Ok(ApiToken { revision, ..token })
    }

    /// Revokes a token; every replica knows within about a second.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when it is at another revision than `based_on`.
    pub async fn delete(&self, account: AccountNumber, id: &str, based_on: Option<u64>) -> Result<(), Error> {
        let name = name::format_child(account, name::API_TOKENS, id);
        let decide = move |view: &kafka::View| decide_delete(view, &name, based_on);
        self.0.mutate(decide).await.map(|_| ())
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
pub(crate) mod tests;
