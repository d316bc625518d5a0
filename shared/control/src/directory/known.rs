//! What each request asks of the control table, decoded once for each state of the table, not for each request.
//!
//! Only what is there is kept, and nothing of it survives a change of the table: so it is never older than that, and never more than the
//! table's tokens and accounts.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{AccountHex, AccountNumber, AccountRef, name};
use tokio::sync::watch;

use crate::Error;
use crate::account::Account;
use crate::record::{self, State};
use crate::token::{ApiToken, Credential};

pub(super) struct Known {
    named: Mutex<Kept<Named>>,
    /// Apart: it takes as long as there are accounts, and who has a token does not wait for it.
    by_hex: Mutex<Kept<ByHex>>,
}

#[derive(Default)]
struct Named {
    /// Tokens that were used, by account and id.
    credentials: HashMap<AccountNumber, HashMap<String, Arc<Credential>>>,
    /// Accounts that were asked for.
    accounts: HashSet<AccountNumber>,
}

/// Every account, once one was asked for by its digits.
type ByHex = Option<HashMap<AccountHex, AccountNumber>>;

/// What was decoded of the table since it last changed.
struct Kept<T> {
    changed: watch::Receiver<u64>,
    decoded: T,
}

impl<T: Default> Kept<T> {
    fn new(changed: watch::Receiver<u64>) -> Mutex<Self> {
        let decoded = T::default();
        Mutex::new(Self { changed, decoded })
    }

    /// What is known of the table as it is now. To be asked before anything is read from that: else what is read could be older than the
    /// change that was seen.
    fn decoded(&mut self) -> &mut T {
        if self.changed.has_changed().unwrap_or(true) {
            self.changed.mark_unchanged();
            self.decoded = T::default();
        }
        &mut self.decoded
    }
}

/// Whatever panicked elsewhere, what was kept is complete in itself.
fn lock<T>(kept: &Mutex<Kept<T>>) -> MutexGuard<'_, Kept<T>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    /// Of a table that tells its changes so.
    pub(super) fn new(changed: &watch::Receiver<u64>) -> Self {
        Self {
            named: Kept::new(changed.clone()),
            by_hex: Kept::new(changed.clone()),
        }
    }

    /// The token of that account and id, if there is one.
    pub(super) fn credential(
        &self,
        state: &impl State,
        account: AccountNumber,
        id: &str,
    ) -> Result<Option<Arc<Credential>>, Error> {
        let mut named = lock(&self.named);
        let credentials = &mut named.decoded().credentials;
        let known = credentials.get(&account).and_then(|tokens| tokens.get(id));
        if let Some(known) = known {
            return Ok(Some(Arc::clone(known)));
        }
        let found: Option<ApiToken> = record::find(state, &name::format_child(account, name::API_TOKENS, id))?;
        Ok(found.map(|token| {
            let credential = Arc::new(Credential::from(token));
            let tokens = credentials.entry(account).or_default();
            tokens.insert(id.to_owned(), Arc::clone(&credential));
            credential
        }))
    }

    /// The number of an account that exists.
    pub(super) fn account(&self, state: &impl State, account: AccountRef) -> Result<Option<AccountNumber>, Error> {
        match account {
            AccountRef::Number(number) => self.numbered(state, number),
            AccountRef::Hex(hex) => Ok(self.of_digits(state, hex)),
        }
    }

    fn numbered(&self, state: &impl State, number: AccountNumber) -> Result<Option<AccountNumber>, Error> {
        let mut named = lock(&self.named);
        let accounts = &mut named.decoded().accounts;
        if accounts.contains(&number) {
            return Ok(Some(number));
        }
        let found: Option<Account> = record::find(state, &name::format_account(number))?;
        Ok(found.map(|account| {
            accounts.insert(account.number);
            account.number
        }))
    }

    fn of_digits(&self, state: &impl State, hex: AccountHex) -> Option<AccountNumber> {
        let every = || record::all::<Account>(state, "accounts/").map(|(_, account)| (account.hex, account.number));
        let mut by_hex = lock(&self.by_hex);
        let by_hex = by_hex.decoded().get_or_insert_with(|| every().collect());
        by_hex.get(&hex).copied()
    }
}

#[cfg(test)]
mod tests;
