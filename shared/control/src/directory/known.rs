//! What each request asks of the control table, decoded once for each state of the table, not for each request.
//!
//! Only what is there is kept, and nothing of it survives a change of the table: so it is never older than that, and never more than the
//! table's tokens and accounts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{AccountHex, AccountNumber, AccountRef, name};
use tokio::sync::watch;

use crate::Error;
use crate::account::Account;
use crate::record::{self, State};
use crate::token::{ApiToken, Credential};

pub(super) struct Known {
    changed: watch::Receiver<u64>,
    decoded: Decoded,
}

#[derive(Default)]
struct Decoded {
    /// Tokens that were used, by account and id.
    credentials: HashMap<AccountNumber, HashMap<String, Arc<Credential>>>,
    /// Accounts that were asked for.
    accounts: HashSet<AccountNumber>,
    /// Every account, once one was asked for by its digits.
    by_hex: Option<HashMap<AccountHex, AccountNumber>>,
}

impl Known {
    /// Of a table that tells its changes so.
    pub(super) fn new(changed: watch::Receiver<u64>) -> Self {
        Self {
            changed,
            decoded: Decoded::default(),
        }
    }

    /// What is known of the table as it is now. To be asked before anything is read from that: else what is read could be older than the
    /// change that was seen.
    fn decoded(&mut self) -> &mut Decoded {
        if self.changed.has_changed().unwrap_or(true) {
            self.changed.mark_unchanged();
            self.decoded = Decoded::default();
        }
        &mut self.decoded
    }

    /// The token of that account and id, if there is one.
    pub(super) fn credential(
        &mut self,
        state: &impl State,
        account: AccountNumber,
        id: &str,
    ) -> Result<Option<Arc<Credential>>, Error> {
        let credentials = &mut self.decoded().credentials;
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
    pub(super) fn account(&mut self, state: &impl State, account: AccountRef) -> Result<Option<AccountNumber>, Error> {
        let Decoded { accounts, by_hex, .. } = self.decoded();
        let number = match account {
            AccountRef::Number(number) => number,
            AccountRef::Hex(hex) => {
                let every =
                    || record::all::<Account>(state, "accounts/").map(|(_, account)| (account.hex, account.number));
                return Ok(by_hex.get_or_insert_with(|| every().collect()).get(&hex).copied());
            }
        };
        if accounts.contains(&number) {
            return Ok(Some(number));
        }
        let found: Option<Account> = record::find(state, &name::format_account(number))?;
        Ok(found.map(|account| {
            accounts.insert(account.number);
            account.number
        }))
    }
}

#[cfg(test)]
mod tests;
