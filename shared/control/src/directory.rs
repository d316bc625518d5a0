//! The control table, typed.

mod known;

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use jiff::Timestamp;
use kafka::{Change, Table, Topics, View};
use model::{AccountNumber, AccountRef, name};
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tokio::time::Instant;

use self::known::Known;
use crate::account::{Account, must_exist};
use crate::record::{self, Resource};
use crate::token::uses::Uses;
use crate::{
    Accounts, ApiTokens, Auth, AuthError, Authorizations, Caller, Error, ExportJobs, ImportJobs, Listed, Mappings,
    Network, Page, Removed, Shadows, StorageAuthorizations, address, token,
};

/// What the values of the control table are.
const VALUE_TYPE: &str = "lytics.control.v1.ControlRecord";

/// Who may do what, and what somebody wants done: accounts, API tokens, mappings, authorizations, export and import
/// jobs. Cheap to clone.
///
/// Every answer comes from memory. When the table has not heard from Kafka for 30 s, every answer is
/// [`Error::Unavailable`]: an old table must not say that something does not exist.
#[derive(Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

struct Inner {
    table: Table,
    admin_token_hash: Option<[u8; 32]>,
    trusted_proxies: Vec<Network>,
    uses: Uses,
    known: Known,
}

impl Directory {
    /// Loads the control table. Of the installation's admin token, which no account owns, only the hash is kept.
    ///
    /// # Errors
    /// When Kafka does not answer in time or has no control topic.
    pub async fn open(config: &kafka::Config, auth: &Auth) -> Result<Self, kafka::Error> {
        let table = Table::open(config, &Topics::new(config).control(), "control", VALUE_TYPE).await?;
        let admin_token = auth.admin_token.as_ref();
        Ok(Self {
            inner: Arc::new(Inner {
                known: Known::new(&table.changed()),
                table,
                admin_token_hash: admin_token.map(|token| token::hash(token.expose_secret())),
                trusted_proxies: auth.trusted_proxies.clone(),
                uses: Uses::default(),
            }),
        })
    }

    /// Bumps with every record that was applied to the table.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.inner.table.changed()
    }

    /// Whether the table has heard from Kafka lately; if not, every answer is "unavailable".
    pub fn is_fresh(&self) -> bool {
        self.is_fresh_at(Instant::now())
    }

    /// The last time at which everything was known that had been written by then, see [`Table::complete_at`].
    pub fn complete_at(&self) -> Option<Instant> {
        self.inner.table.complete_at()
    }

    fn is_fresh_at(&self, at: Instant) -> bool {
        self.inner.table.is_fresh(at)
    }

    /// Accounts.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts(self)
    }

    /// API tokens.
    pub fn api_tokens(&self) -> ApiTokens<'_> {
        ApiTokens(self)
    }

    /// Authorizations.
    pub fn authorizations(&self) -> Authorizations<'_> {
        Authorizations(self)
    }

    /// Export jobs.
    pub fn export_jobs(&self) -> ExportJobs<'_> {
        ExportJobs {
            directory: self,
            removed: Removed::default(),
        }
    }

    /// Import jobs.
    pub fn import_jobs(&self) -> ImportJobs<'_> {
        ImportJobs(self)
    }

    /// Storage authorizations.
    pub fn storage_authorizations(&self) -> StorageAuthorizations<'_> {
        StorageAuthorizations(self)
    }

    /// Mappings.
    pub fn mappings(&self) -> Mappings<'_> {
        Mappings(self)
    }

    /// Mappings that run beside the live ones.
    pub fn shadows(&self) -> Shadows<'_> {
        Shadows(self)
    }

    /// The address that a request comes from: that of its connection, unless that is a trusted proxy, which tells it in
    /// `X-Forwarded-For`. `None` when nobody knows.
    pub fn origin(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        address::origin(peer?, headers, &self.inner.trusted_proxies)
    }

    /// Who the holder of `token` is, calling from this address. As of the last change of the table that was applied: whoever was revoked
    /// by that is not let in again.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] when the table is too old to tell; else what is wrong with the token.
    pub fn authenticate(&self, token: &str, from: Option<IpAddr>, now: Timestamp) -> Result<Caller, AuthError> {
        self.authenticate_at(token, from, now, Instant::now())
    }

    fn authenticate_at(
        &self,
        token: &str,
        from: Option<IpAddr>,
        now: Timestamp,
        at: Instant,
    ) -> Result<Caller, AuthError> {
        if token.is_empty() {
            return Err(AuthError::Missing);
        }
        let hash = token::hash(token);
        let admin_token_hash = self.inner.admin_token_hash.as_ref();
        if admin_token_hash.is_some_and(|admin| token::is_same(admin, &hash)) {
            return Ok(Caller::installation());
        }
        if !self.is_fresh_at(at) {
            return Err(AuthError::Unavailable);
        }
        let find = |account, id: &str| self.inner.known.credential(&self.inner.table, account, id);
        let caller = token::authenticate(find, token, &hash, from, now)?;
        if let Some(token) = caller.token() {
            self.inner.uses.note(&token.name, now);
        }
        Ok(caller)
    }

    pub(crate) fn uses(&self) -> &Uses {
        &self.inner.uses
    }

    pub(crate) fn table(&self) -> &Table {
        &self.inner.table
    }

    /// The account of that number or those digits.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the table is too old to know.
    pub fn account(&self, account: AccountRef) -> Result<Account, Error> {
        let number = self.account_number(account)?;
        self.fetch(&name::format_account(number))
    }

    /// The number of the account of that number or those digits, if it exists; decodes nothing that was decoded before.
    ///
    /// # Errors
    /// As of [`Directory::account`].
    pub fn account_number(&self, account: AccountRef) -> Result<AccountNumber, Error> {
        self.fresh()?;
        let number = self.inner.known.account(&self.inner.table, account)?;
        number.ok_or_else(|| {
            Error::NotFound(match account {
                AccountRef::Number(number) => name::format_account(number),
                AccountRef::Hex(hex) => format!("account {hex}"),
            })
        })
    }

    fn fresh(&self) -> Result<(), Error> {
        self.fresh_at(Instant::now())
    }

    fn fresh_at(&self, at: Instant) -> Result<(), Error> {
        if self.is_fresh_at(at) {
            Ok(())
        } else {
            Err(Error::Unavailable(None))
        }
    }

    pub(crate) fn find<R: Resource>(&self, name: &str) -> Result<Option<R>, Error> {
        self.fresh()?;
        record::find(&self.inner.table, name)
    }

    pub(crate) fn fetch<R: Resource>(&self, name: &str) -> Result<R, Error> {
        self.fresh()?;
        record::fetch(&self.inner.table, name)
    }

    pub(crate) fn all<R: Resource>(&self, prefix: &str) -> Result<Vec<R>, Error> {
        self.fresh()?;
        Ok(record::all(&self.inner.table, prefix)
            .map(|(_, resource)| resource)
            .collect())
    }

    /// As [`Directory::all`], of a table of whatever age.
    pub(crate) fn known<R: Resource>(&self, prefix: &str) -> Vec<R> {
        let known = record::all(&self.inner.table, prefix);
        known.map(|(_, resource)| resource).collect()
    }

    pub(crate) fn scan<R: Resource>(&self, prefix: &str) -> Result<Vec<(String, Option<R>)>, Error> {
        self.fresh()?;
        Ok(record::scan(&self.inner.table, prefix).collect())
    }

    /// Decides on the table as it is, and writes nothing.
    pub(crate) fn ask<T>(&self, decide: impl FnOnce(&Table) -> Result<T, Error>) -> Result<T, Error> {
        self.fresh()?;
        decide(&self.inner.table)
    }

    pub(crate) fn list<R: Resource>(&self, prefix: &str, page: &Page) -> Result<Listed<R>, Error> {
        self.fresh()?;
        Ok(page.cut(record::all(&self.inner.table, prefix)))
    }

    pub(crate) fn list_children<R: Resource>(
        &self,
        account: AccountNumber,
        collection: &str,
        page: &Page,
    ) -> Result<Listed<R>, Error> {
        self.fresh()?;
        must_exist(&self.inner.table, account)?;
        self.list(&name::format_child(account, collection, ""), page)
    }

    /// Decides on the table as it is and writes the outcome if nobody wrote in between; the decision's value and the revision
    /// of its last record.
    pub(crate) async fn mutate<T: Send + 'static>(
        &self,
        decide: impl Fn(&View) -> Result<(Vec<Change>, T), Error> + Send + Sync + 'static,
    ) -> Result<(T, u64), Error> {
        let (value, revisions) = self.inner.table.mutate(decide).await?;
        Ok((value, revisions.last().copied().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests;
